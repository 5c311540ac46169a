"""Train a recipe: distil a small student from its teachers.

mmgan-compress train configs/omgd_cyclegan.py --demo
"""

import argparse
import contextlib
import os

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    parser.add_argument('config', help='recipe, e.g. configs/omgd_cyclegan.py')
    parser.add_argument(
        '--work-dir', metavar='FOLDER', help='folder to write into (default: work_dirs/<config>)'
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='continue from PATH, or from the newest checkpoint of work-dir',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision (CUDA)')
    parser.add_argument(
        '--quick',
        action='store_true',
        help='make the '
        'recipe small, for a first try on your own images: '
        'it ends within 10 minutes on two cores',
    )
    options.add_data(parser)
    options.add_size(parser)
    options.add_seed(parser)
    options.add_cfg_options(parser)
    options.add_import(parser)
    options.add_launcher(parser)


def run(args: argparse.Namespace):
    """Build the runner and train."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    from ..core.configs import check_files

    check_files(args.config, args.cfg_options)
    from ..engine.runner_builder import finish_distributed, make_runner, resumable

    with contextlib.ExitStack() as held:
        runner = make_runner(args, held)
        with resumable(runner):
            runner.train()
        finish_distributed()
