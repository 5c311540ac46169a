"""Run the stages of a pipeline in order; the same command continues it.

mmgan-compress pipeline configs/gcc/gcc_pix2pix-pipeline.py --demo
"""

import argparse

from . import options

STOPPED = 'to continue, run the same command again'


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    add = parser.add_argument
    add('config', help='config with stages = [...]')
    add(
        '--from',
        dest='from_stage',
        metavar='STAGE',
        help='leave out the stages before this one; their results are used',
    )
    add(
        '--skip',
        nargs='+',
        default=[],
        metavar='STAGE',
        help='leave out these stages; later ones use their results, or what they would have '
        'started from',
    )
    add('--status', action='store_true', help='show what is done, and run nothing')
    options.add(parser, 'work-dir', 'demo', 'data-root')


def run(args: argparse.Namespace):
    """Run the stages, each as a command of its own process."""
    from ..engine.pipeline import run_pipeline
    from . import parse_args

    run_pipeline(args, parse_args)
