"""Registries of mmgan_compress: children of mmagic's, filled on first use.

A config with ``default_scope = 'mmagic'`` names our classes as
``type='mmgan_compress.<Name>'``. ``DISTILLERS``, ``PRUNERS``, ``QUANTIZERS``
and ``SEARCHERS`` are the registries that users of this project extend::

    from mmgan_compress.registry import DISTILLERS

    @DISTILLERS.register_module()
    class MyDistiller(BaseDistiller):
        ...
"""
from . import compat

compat.install()  # before the first import of mmagic's models

from mmagic import registry as mmagic_registry  # noqa: E402
from mmengine.registry import MODEL_WRAPPERS as MMENGINE_WRAPPERS  # noqa: E402
from mmengine.registry import Registry  # noqa: E402


def _child(parent: Registry, *locations: str) -> Registry:
    return Registry(
        parent.name,
        parent=parent,
        scope='mmgan_compress',
        locations=[f'mmgan_compress.{name}' for name in locations])


MODELS = _child(mmagic_registry.MODELS, 'models', 'distillers')
MODEL_WRAPPERS = _child(MMENGINE_WRAPPERS, 'engine')
DATASETS = _child(mmagic_registry.DATASETS, 'data.datasets')
DATA_SAMPLERS = _child(mmagic_registry.DATA_SAMPLERS, 'data.datasets')
HOOKS = _child(mmagic_registry.HOOKS, 'engine')
LOOPS = _child(mmagic_registry.LOOPS, 'engine')
EVALUATORS = _child(mmagic_registry.EVALUATORS, 'evaluation')
METRICS = _child(mmagic_registry.METRICS, 'evaluation')
TASK_UTILS = _child(mmagic_registry.TASK_UTILS, 'engine', 'compressors')

# A distiller is a module of the model: one registry, two names. The other
# verbs of compression are tools, built the way TASK_UTILS are.
DISTILLERS = MODELS
PRUNERS = QUANTIZERS = SEARCHERS = TASK_UTILS
