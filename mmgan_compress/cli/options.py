"""Options that several commands share: one name, one meaning, one default."""

import argparse
import contextlib
import math
import os
import sys
from collections.abc import Callable
from typing import Any


def positive(text: str) -> int:
    """Read a whole number above 0."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f'{text!r} is no whole number above 0')
    return int(text)


def number(words: str, holds: Callable[[float], bool]) -> Callable[[str], float]:
    """Return what reads a number.

    Args:
        words (str): What is expected, for the message.
        holds (Callable): Tells whether a number is good.
    """

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not holds(value):
            raise argparse.ArgumentTypeError(f'{text!r} is no number {words}')
        return value

    return read


positive_float = number('above 0', lambda value: 0 < value < math.inf)
share = number('from 0 to below 1', lambda value: 0 <= value < 1)

# What argparse has to know of each; without more, None if it is not given.
SHARED: dict[str, dict[str, Any]] = {
    'import': dict(
        nargs='+',
        default=[],
        dest='imports',
        metavar='MODULE',
        help='modules that register your own networks, losses or pruners',
    ),
    'size': dict(
        type=positive,
        metavar='PIXELS',
        help='side of the images (default: that of the training images)',
    ),
    'threads': dict(
        type=positive, metavar='N', help="threads of the processor (default: the runtime's choice)"
    ),
    'out': dict(
        required=True, metavar='FOLDER', type=os.path.normpath, help='folder to write into'
    ),
    'domain': dict(
        help='domain to generate, of a student that has two (default: that of the student file)'
    ),
    'processor': dict(
        choices=('any', 'vnni'),
        help='any: 7-bit weights in int8 (default; a GPU takes 8), the same picture everywhere; '
        'vnni: all 8 bits, wrong on x86 without avx512_vnni or avx_vnni, where it is refused',
    ),
    'demo': dict(
        action='store_true',
        help="take the recipe's demo: data and teachers of the package, minutes on a CPU",
    ),
    'data-root': dict(metavar='FOLDER', help='your own images in place of those of the recipe'),
    'work-dir': dict(
        metavar='FOLDER', help='folder to write into (default: work_dirs/<config>[-demo])'
    ),
    'overwrite': dict(action='store_true', help='replace results that are there'),
    'seed': dict(
        type=int, metavar='N', help='seed of all random numbers (default: that of the recipe, or 0)'
    ),
    'cfg-options': dict(
        nargs='+',
        metavar='KEY=VALUE',
        help='replace values of the recipe, e.g. train_dataloader.batch_size=4',
    ),
    'launcher': dict(
        default='none',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        help='what started several processes (default: none)',
    ),
    'local-rank': dict(type=int, default=0, help=argparse.SUPPRESS),
    'trust': dict(
        action='store_true',
        help='open .pt2, .aoti.pt2 and .pt, which are programs: whoever made one can run '
        'anything here',
    ),
    'options': dict(
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='settings of the pruner, quantizer or sampler',
    ),
    'skip': dict(
        nargs='+',
        metavar='LAYER',
        help='layers that stay float in int8, also with * (default: first rgb norms)',
    ),
    'calibration': dict(
        metavar='PATH',
        help='folder of training images, or a recipe for its own, for int8; not needed by a '
        'student that learnt in 8 bits',
    ),
    'images': dict(
        metavar='PATH',
        help="image or folder to compare on, or a recipe for its test images (default: the demo's)",
    ),
}


def add(parser: argparse.ArgumentParser, *names: str):
    """Add options of :data:`SHARED` to the parser of a command."""
    for name in names:
        parser.add_argument(f'--{name}', **SHARED[name])


def stdout_for_result() -> contextlib.redirect_stdout:
    """Send what libraries print inside the block to standard error: only the
    result of a command may stand in standard output.
    """
    return contextlib.redirect_stdout(sys.stderr)
