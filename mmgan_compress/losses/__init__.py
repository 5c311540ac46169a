"""Distillation losses: one file a family."""
import importlib
import pkgutil

from .. import registry  # noqa: F401  applies the shims before mmcv

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f'{__name__}.{_module.name}')
