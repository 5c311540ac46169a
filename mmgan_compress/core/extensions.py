"""Modules of the user that register networks, pruners and the like.

A file never says which modules are imported; only the command line, a recipe
or the caller does.
"""

import importlib
from collections.abc import Iterable


def import_modules(names: Iterable[str]):
    """Import modules for what they register.

    Raises:
        ImportError: If one cannot be imported, whatever happens in it.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # a module is any code
            raise ImportError(
                f'cannot import {name!r}: {type(error).__name__}: {error}; '
                'expected the dotted name of a module on PYTHONPATH'
            ) from error
