"""Registries of mmgan_compress: children of mmagic's, filled on first use.

A config with ``default_scope = 'mmagic'`` names our classes as
``type='mmgan_compress.<Name>'``. ``DISTILLERS``, ``PRUNERS``, ``QUANTIZERS``
and ``SEARCHERS`` are the registries that users of this project extend::

    from mmgan_compress.registry import DISTILLERS

    @DISTILLERS.register_module()
    class MyDistiller(BaseDistiller):
        ...
"""
import inspect
from typing import Optional

from . import compat

compat.install()  # before the first import of mmagic's models

from mmagic import registry as mmagic_registry  # noqa: E402
from mmengine.registry import MODEL_WRAPPERS as MMENGINE_WRAPPERS  # noqa: E402
from mmengine.registry import Registry  # noqa: E402


class ClosedRegistry(Registry):
    """A registry that knows what is registered, and nothing else.

    mmengine's takes any other name for that of a module of Python, and
    imports it: a file that names a type would say what is run.
    """

    def get(self, key: str) -> Optional[type]:
        """Return what is registered here or in a parent; None if nothing.

        Args:
            key (str): Name, also with the scope before it:
                ``'mmagic.ResnetGenerator'``.
        """
        self.import_from_location()
        scope, name = self.split_scope_key(key)
        registry = self
        while registry is not None:
            if scope == registry.scope:
                scope = None
            if scope is None and name in registry.module_dict:
                return registry.module_dict[name]
            registry = registry.parent
        return None


def _child(parent: Registry, *locations: str) -> Registry:
    return ClosedRegistry(
        parent.name,
        parent=parent,
        scope='mmgan_compress',
        locations=[f'mmgan_compress.{name}' for name in locations])


MODELS = _child(mmagic_registry.MODELS, 'models', 'losses',
                'distillers')
MODEL_WRAPPERS = _child(MMENGINE_WRAPPERS, 'engine')
DATASETS = _child(mmagic_registry.DATASETS, 'datasets.translation')
DATA_SAMPLERS = _child(mmagic_registry.DATA_SAMPLERS,
                       'datasets.translation')
TRANSFORMS = _child(mmagic_registry.TRANSFORMS, 'datasets.transforms')
HOOKS = _child(mmagic_registry.HOOKS, 'engine')
LOOPS = _child(mmagic_registry.LOOPS, 'engine')
EVALUATORS = _child(mmagic_registry.EVALUATORS, 'evaluation')
METRICS = _child(mmagic_registry.METRICS, 'evaluation')
TASK_UTILS = _child(mmagic_registry.TASK_UTILS, 'engine', 'pruning',
                    'quantization', 'integrations', 'search')

# A distiller is a module of the model: one registry, two names. The other
# verbs of compression are tools, built the way TASK_UTILS are.
DISTILLERS = MODELS
PRUNERS = QUANTIZERS = SEARCHERS = TASK_UTILS


def find_pruner(name: str, budget: bool) -> type:
    """Return a pruner by its name, if it can be used so.

    Args:
        name (str): In the registry.
        budget (bool): Whether it will be given a budget.

    Raises:
        ValueError: If there is none, or if it needs a budget and gets none,
            or takes none and gets one.
    """
    with PRUNERS.switch_scope_and_registry('mmgan_compress') as registry:
        kind = registry.get(name)
        known = sorted(n for n, c in registry.module_dict.items()
                       if hasattr(c, 'compress'))
    if not hasattr(kind, 'compress'):
        raise ValueError(f'no pruner {name!r}; registered are {known}')
    taken = inspect.signature(kind).parameters.get('budget')
    if budget and taken is None:
        raise ValueError(f'{name} takes no budget: the network itself tells '
                         'what goes. Leave the budget out')
    if not budget and taken is not None and taken.default is taken.empty:
        raise ValueError(f'{name} needs a budget, such as macs=0.25')
    return kind
