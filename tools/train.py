"""Train a recipe: python tools/train.py configs/omgd_cyclegan.py [--demo]"""
import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmgan_compress.core.commands import one_line_errors  # noqa: E402


def parse_args(argv: Optional[list[str]] = None) -> argparse.Namespace:
    """Parse the command line; imports nothing heavy, so -h is quick."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='recipe, e.g. configs/omgd_cyclegan.py')
    parser.add_argument(
        '--demo', action='store_true',
        help='minutes on a CPU: data and teachers shipped with the package')
    parser.add_argument('--data-root', help='your own images')
    parser.add_argument('--work-dir', help='default: work_dirs/<config>')
    parser.add_argument(
        '--resume', nargs='?', const='auto', metavar='PATH',
        help='continue from PATH, or from the newest checkpoint of work-dir')
    parser.add_argument('--amp', action='store_true',
                        help='mixed precision (CUDA)')
    parser.add_argument('--seed', type=int)
    parser.add_argument('--launcher', default='none',
                        choices=['none', 'pytorch', 'slurm', 'mpi'])
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0,
                        help=argparse.SUPPRESS)
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE',
                        help='overrides, e.g. train_dataloader.batch_size=4')
    return parser.parse_args(argv)


def main():
    """Refuse what cannot work, then hand over to Runner."""
    args = parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    from mmgan_compress.engine.runner_builder import (finish_distributed,
                                                      make_runner, resumable)
    # a ValueError in training is no mistake of the user: with its traceback
    with one_line_errors(OSError), ExitStack() as held:
        runner = make_runner(args, held)
        with resumable(runner):
            runner.train()
        finish_distributed()


if __name__ == '__main__':
    main()
