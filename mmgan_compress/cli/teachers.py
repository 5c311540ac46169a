"""Take teachers and discriminators out of a checkpoint, for a new run.

mmgan-compress teachers work_dirs/RUN/iter_N.pth teachers.pth

The file goes into a recipe as model.distiller.teacher_checkpoints.
"""

import argparse

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    add = parser.add_argument
    add('checkpoint', help='iter_N.pth of a run')
    add('out', help='file to write')
    add('--half', action='store_true', help='half precision: half the size')
    add('--only', nargs='+', default=['teacher', 'discrim'], help='prefixes of what is kept')
    options.add(parser, 'overwrite')


def run(args: argparse.Namespace):
    """Write the distiller's part of a checkpoint as one small file."""
    from ..distillers.teacher_loading import save_teachers

    kept = save_teachers(args.checkpoint, args.out, args.only, args.half, args.overwrite)
    print(
        f'{args.out}: {len(kept)} tensors, '
        f'{sum(tensor.numel() for tensor in kept.values()):,} numbers'
    )
