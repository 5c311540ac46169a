"""Modules of the user that register networks, pruners and the like.

A file never says which modules are imported; only the command line, a recipe
or the caller does.
"""
import importlib
from collections.abc import Iterable


def import_modules(names: Iterable[str]):
    """Import modules for what they register."""
    for name in names:
        importlib.import_module(name)
