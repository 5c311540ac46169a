"""Registries of mmgan_compress: children of mmagic's, filled on first use.

A config with ``default_scope = 'mmagic'`` names our classes as
``type='mmgan_compress.<Name>'``. ``DISTILLERS``, ``PRUNERS``, ``QUANTIZERS``
and ``SEARCHERS`` are the registries that users of this project extend::

    from mmgan_compress.registry import DISTILLERS

    @DISTILLERS.register_module()
    class MyDistiller(BaseDistiller):
        ...
"""

from typing import Any, cast

from . import compat
from .renamed import current_type

compat.install()  # before the first import of mmagic's models

from mmagic import registry as mmagic_registry  # noqa: E402
from mmengine.registry import MODEL_WRAPPERS as MMENGINE_WRAPPERS  # noqa: E402
from mmengine.registry import Registry  # noqa: E402


class ClosedRegistry(Registry):
    """A registry that knows what is registered, and nothing else.

    mmengine's takes any other name for that of a module of Python, and
    imports it: a file that names a type would say what is run.
    """

    def get(self, key: str) -> type | None:
        """Return what is registered here or in a parent; None if nothing.

        A name of before stands for that of today.

        Args:
            key (str): Name, also with the scope before it:
                ``'mmagic.ResnetGenerator'``.
        """
        self.import_from_location()
        scope, name = self.split_scope_key(current_type(key))
        registry = self
        while registry is not None:
            if scope == registry.scope:
                scope = None
            if scope is None and name in registry.module_dict:
                return registry.module_dict[name]
            registry = registry.parent
        return None


def _child(parent: Registry, *locations: str, kind: type = ClosedRegistry) -> Registry:
    return kind(
        parent.name,
        parent=parent,
        scope='mmgan_compress',
        locations=[f'mmgan_compress.{name}' for name in locations],
    )


class OwnRegistry(ClosedRegistry):
    """A registry of things that mmagic does not have.

    It has parents all the same, so that mmengine finds it from any default
    scope. A name needs no scope.
    """

    def find(self, name: str) -> type:
        """Return what is registered by a name.

        Raises:
            ValueError: If there is no such name; lists those that are.
        """
        kind = self.get(name)
        if kind is None:
            raise ValueError(f'no {self.name} {name!r}; registered are {sorted(self.module_dict)}')
        return kind

    def build(self, cfg: dict, *args, **kwargs) -> Any:
        """Build what a config describes.

        Args:
            cfg (dict): With a name in this registry as ``type``.
            *args: For mmengine's ``Registry.build``.
            **kwargs: Likewise.

        Raises:
            ValueError: As :meth:`find`.
        """
        return super().build(dict(cfg, type=self.find(cfg['type'])), *args, **kwargs)


def _own(name: str, *locations: str) -> OwnRegistry:
    parent = Registry(name, parent=Registry(name, scope='mmengine'), scope='mmagic')
    return cast(OwnRegistry, _child(parent, *locations, kind=OwnRegistry))


MODELS = _child(mmagic_registry.MODELS, 'models', 'losses')
MODEL_WRAPPERS = _child(MMENGINE_WRAPPERS, 'engine')
DATASETS = _child(mmagic_registry.DATASETS, 'datasets.translation')
DATA_SAMPLERS = _child(mmagic_registry.DATA_SAMPLERS, 'datasets.translation')
TRANSFORMS = _child(mmagic_registry.TRANSFORMS, 'datasets.transforms')
HOOKS = _child(mmagic_registry.HOOKS, 'engine')
OPTIM_WRAPPERS = _child(mmagic_registry.OPTIM_WRAPPERS, 'engine')
LOOPS = _child(mmagic_registry.LOOPS, 'engine')
EVALUATORS = _child(mmagic_registry.EVALUATORS, 'evaluation')
METRICS = _child(mmagic_registry.METRICS, 'evaluation')
TASK_UTILS = _child(mmagic_registry.TASK_UTILS, 'engine')

DISTILLERS = _own('distiller', 'distillers')
PRUNERS = _own('pruner', 'pruning', 'integrations')
QUANTIZERS = _own('quantizer', 'quantization')
SEARCHERS = _own('searcher', 'search')


def find_pruner(name: str, budget: bool) -> type:
    """Return a pruner by its name, if it can be used so.

    A pruner says by its class attribute ``takes_budget`` whether a budget is
    ``'needed'``, ``'optional'`` (the default), or ``'none'`` is taken.

    Args:
        name (str): In the registry.
        budget (bool): Whether it will be given a budget.

    Raises:
        ValueError: If there is none, or if it needs a budget and gets none,
            or takes none and gets one.
    """
    kind = PRUNERS.find(name)
    use = getattr(kind, 'takes_budget', 'optional')
    if budget and use == 'none':
        raise ValueError(
            f'{name} takes no budget: the network itself tells what goes. Leave the budget out'
        )
    if not budget and use == 'needed':
        raise ValueError(f'{name} needs a budget, such as macs=0.25')
    return kind
