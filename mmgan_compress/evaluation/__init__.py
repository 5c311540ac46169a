"""Metrics, feature networks and reports."""
import importlib
import pkgutil

from mmengine.evaluator import Evaluator

from ..registry import EVALUATORS

# mmagic's evaluator of this name feeds metrics in another way
EVALUATORS.register_module(name='Evaluator', module=Evaluator)

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f'{__name__}.{_module.name}')
