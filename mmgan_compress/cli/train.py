"""Train a recipe: distil a small student from its teachers.

mmgan-compress train configs/omgd_cyclegan.py --demo
"""

import argparse
import contextlib
import os

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    add = parser.add_argument
    add('config', help='recipe, e.g. configs/omgd_cyclegan.py')
    add(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='continue from PATH, or from the newest checkpoint of work-dir',
    )
    add('--amp', action='store_true', help='mixed precision: CUDA, or a CPU with bfloat16')
    add('--quick', action='store_true', help='a first try: within 10 minutes on two cores')
    options.add(parser, 'work-dir', 'demo', 'data-root', 'size', 'seed', 'cfg-options', 'import')
    options.add(parser, 'launcher', 'local-rank')


def run(args: argparse.Namespace):
    """Build the runner and train."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    from ..engine.runner_builder import finish_distributed, make_runner, resumable

    with contextlib.ExitStack() as held:
        runner = make_runner(args, held)
        with resumable(runner):
            runner.train()
        finish_distributed()
