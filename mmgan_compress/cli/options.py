"""Options that several commands share: one name, one meaning, one default."""

import argparse
import contextlib
import os
import sys


@contextlib.contextmanager
def stdout_for_result():
    """Send what libraries print inside the block to standard error: only the
    result of a command may stand in standard output.
    """
    with contextlib.redirect_stdout(sys.stderr):
        yield


def positive(text: str) -> int:
    """Read a whole number above 0."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f'{text!r} is no whole number above 0')
    return int(text)


def port(text: str) -> int:
    """Read the number of a network port."""
    value = positive(text)
    if value > 65535:
        raise argparse.ArgumentTypeError(f'{text!r} is no port: expected a number up to 65535')
    return value


def positive_float(text: str) -> float:
    """Read a finite number above 0."""
    value = _number(text)
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text!r} is no number above 0')
    return value


def share(text: str) -> float:
    """Read a number of at least 0 and below 1."""
    value = _number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no number from 0 to below 1')
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float('nan')


def add_import(parser: argparse.ArgumentParser):
    """Add ``--import``, which sets ``imports`` (list[str])."""
    parser.add_argument(
        '--import',
        nargs='+',
        default=[],
        dest='imports',
        metavar='MODULE',
        help='modules that register your own networks, losses or pruners',
    )


def add_size(parser: argparse.ArgumentParser):
    """Add ``--size``, which is None if it is not given."""
    parser.add_argument(
        '--size',
        type=positive,
        metavar='PIXELS',
        help='side of the images (default: that of the training images)',
    )


def add_threads(parser: argparse.ArgumentParser):
    """Add ``--threads``, which is None if it is not given."""
    parser.add_argument(
        '--threads',
        type=positive,
        metavar='N',
        help="threads of the processor (default: the runtime's choice)",
    )


def add_out(parser: argparse.ArgumentParser):
    """Add ``--out``, which must be given; printed without a last slash."""
    parser.add_argument(
        '--out', required=True, metavar='FOLDER', type=os.path.normpath, help='folder to write into'
    )


def add_domain(parser: argparse.ArgumentParser):
    """Add ``--domain``, which is None if it is not given."""
    parser.add_argument(
        '--domain',
        help='domain to generate, of a student that has two (default: that of the student file)',
    )


def add_processor(parser: argparse.ArgumentParser):
    """Add ``--processor``, which is None if it is not given."""
    parser.add_argument(
        '--processor',
        choices=('any', 'vnni'),
        help='any: 7-bit weights in '
        'int8 (default; a GPU takes 8), the same picture everywhere; vnni: '
        'all 8 bits, wrong on x86 without avx512_vnni or avx_vnni, where it '
        'is refused',
    )


def add_data(parser: argparse.ArgumentParser):
    """Add ``--demo`` and ``--data-root``: where a recipe's images are."""
    parser.add_argument(
        '--demo',
        action='store_true',
        help="take the recipe's demo: data and teachers of the package, minutes on a CPU",
    )
    parser.add_argument(
        '--data-root', metavar='FOLDER', help='your own images in place of those of the recipe'
    )


def add_overwrite(parser: argparse.ArgumentParser):
    """Add ``--overwrite``."""
    parser.add_argument('--overwrite', action='store_true', help='replace results that are there')


def add_json(parser: argparse.ArgumentParser):
    """Add ``--json``."""
    parser.add_argument('--json', action='store_true', help='print JSON in place of the table')


def add_seed(parser: argparse.ArgumentParser):
    """Add ``--seed``, which is None if it is not given."""
    parser.add_argument(
        '--seed',
        type=int,
        metavar='N',
        help='seed of all random numbers (default: that of the recipe, or 0)',
    )


def add_cfg_options(parser: argparse.ArgumentParser):
    """Add ``--cfg-options`` (list of texts)."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        metavar='KEY=VALUE',
        help='replace values of the recipe, e.g. train_dataloader.batch_size=4',
    )


def add_launcher(parser: argparse.ArgumentParser):
    """Add what says how several processes were started."""
    parser.add_argument(
        '--launcher',
        default='none',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        help='what started several processes (default: none)',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
