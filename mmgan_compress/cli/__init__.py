"""The command line: ``mmgan-compress COMMAND``, one module a command.

A command is a module of this package whose docstring is its help::

    \"\"\"One line: what the command does.\"\"\"

    def add_arguments(parser):  # imports nothing heavy
    def run(args) -> int | None:  # imports what it needs; raises its errors

``STOPPED``, if a module has it, says how to go on after Ctrl-C.
"""

import argparse
import difflib
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType

from .. import __version__
from ..core.extensions import import_modules
from ..core.logging import silence_meaningless
from . import errors

COMMANDS = (
    'train',
    'test',
    'prune',
    'search',
    'quantize',
    'export',
    'translate',
    'sample',
    'benchmark',
    'report',
    'pipeline',
    'data',
    'weights',
    'convert',
    'teachers',
    'images',
    'flops',
    'page',
    'doctor',
    'demo',
)
PROGRAM = 'mmgan-compress'


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv (Sequence[str] | None): The words after the program's name;
            ``None``: those of this process.

    Returns:
        int: Exit status: 0, 1 after an error, 130 after Ctrl-C. Wrong usage
        raises ``SystemExit(2)``, as of argparse.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = '--debug' in words
    place = next((i for i, word in enumerate(words) if not word.startswith('-')), len(words))
    if set(words[:place]) - {'--debug'} or words[place:] == [] or words[place] not in COMMANDS:
        return _explain(words[: place + 1])
    command = load(words[place])

    silence_meaningless()

    def work() -> int | None:
        args = parse_args(words[place:])
        if getattr(args, 'config', None):  # what is no config, before anything slow
            from ..core.configs import check_files

            check_files(args.config, getattr(args, 'cfg_options', None))
        return command.run(args)

    return errors.guard(work, debug, getattr(command, 'STOPPED', errors.ANEW))


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the options of a command and import what ``--import`` names.

    Args:
        argv (Sequence[str]): Name of the command and its words.

    Returns:
        Namespace: The options, and ``words``: what was parsed.

    Raises:
        SystemExit: If the usage is wrong.
        ImportError: If a module of ``--import`` cannot be imported.
    """
    name, *words = argv
    args = make_parser(name).parse_args(words)
    args.words = list(argv)
    import_modules(getattr(args, 'imports', []))
    return args


def make_parser(name: str) -> argparse.ArgumentParser:
    """Return the parser of a command; imports nothing heavy."""
    command = load(name)
    parser = argparse.ArgumentParser(
        prog=f'{PROGRAM} {name}',
        description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    _add_debug(parser)
    return parser


def load(name: str) -> ModuleType:
    """Return the module of a command."""
    return importlib.import_module(f'{__name__}.{name}')


def _add_debug(parser: argparse.ArgumentParser):
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')


def _explain(words: list[str]):
    """Answer ``-h`` and ``--version``, or refuse what is no command."""
    lines = [f'  {name:10} {str(load(name).__doc__).splitlines()[0]}' for name in COMMANDS]
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f'{PROGRAM} [-h] [--version] [--debug] COMMAND ...',
        description='Compress image-to-image GANs.',
        epilog='\n'.join(
            ['commands:', *lines, '', f'{PROGRAM} COMMAND -h shows the options of a command.']
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=f'{PROGRAM} {__version__}')
    _add_debug(parser)
    parser.add_argument('command', help=argparse.SUPPRESS)
    if not words:
        parser.print_help(sys.stderr)
        parser.exit(2)
    name = parser.parse_args(words).command
    near = difflib.get_close_matches(name, COMMANDS, 1)
    parser.error(
        f'no command {name!r}; '
        + (f'did you mean {near[0]!r}?' if near else f'choose one of {", ".join(COMMANDS)}')
    )
