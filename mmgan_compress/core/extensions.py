"""Modules of the user that register networks, pruners and the like.

A file never says which modules are imported; only the command line, a recipe
or the caller does.
"""
import argparse
import importlib
import sys
from collections.abc import Iterable


def import_modules(names: Iterable[str]):
    """Import modules for what they register."""
    for name in names:
        importlib.import_module(name)


class _Import(argparse.Action):
    """Import the modules when the option is read."""

    def __call__(self, parser, namespace, values, option_string=None):
        try:
            import_modules(values)
        except ImportError as error:
            sys.exit(f'error: {option_string}: {error}')
        setattr(namespace, self.dest, values)


def add_import(parser: argparse.ArgumentParser):
    """Add ``--import``, which sets ``imports`` (list[str])."""
    parser.add_argument('--import', nargs='+', default=[], dest='imports',
                        metavar='MODULE', action=_Import,
                        help='modules that register your own networks')
