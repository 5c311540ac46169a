"""Take teachers and discriminators out of a checkpoint, for a new run.

mmgan-compress teachers work_dirs/RUN/iter_N.pth teachers.pth

The file goes into a recipe as model.distiller.teacher_checkpoints.
"""

import argparse

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    parser.add_argument('checkpoint', help='iter_N.pth of a run')
    parser.add_argument('out', help='file to write')
    parser.add_argument('--half', action='store_true', help='half precision: half the size')
    parser.add_argument(
        '--only',
        nargs='+',
        default=['teacher', 'discrim'],
        metavar='PREFIX',
        help='what of the distiller to keep (default: teacher discrim)',
    )
    options.add_overwrite(parser)


def run(args: argparse.Namespace):
    """Write the distiller's part of a checkpoint as one small file."""
    from ..distillers.teacher_loading import save_teachers

    kept = save_teachers(args.checkpoint, args.out, args.only, args.half, args.overwrite)
    print(
        f'{args.out}: {len(kept)} tensors, '
        f'{sum(tensor.numel() for tensor in kept.values()):,} numbers'
    )
