"""Score a run: python tools/test.py CONFIG CHECKPOINT

CHECKPOINT is one of a run (iter_N.pth: teachers and student are scored) or a
student file (student.pth: the student alone). Writes report.json, report.md
and comparison.png.
"""
import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmgan_compress.core.commands import one_line_errors  # noqa: E402


def parse_args() -> argparse.Namespace:
    """Parse the command line; imports nothing heavy, so -h is quick."""
    from mmgan_compress.core.extensions import add_import
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('config', help='recipe of the run')
    parser.add_argument('checkpoint', help='iter_N.pth or student.pth')
    parser.add_argument('--demo', action='store_true',
                        help='the run was made with --demo')
    parser.add_argument('--data-root', help='your own images')
    parser.add_argument('--work-dir',
                        help='default: folder "test" beside the checkpoint')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace results that are there')
    parser.add_argument('--launcher', default='none',
                        choices=['none', 'pytorch', 'slurm', 'mpi'])
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0,
                        help=argparse.SUPPRESS)
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE')
    add_import(parser)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    args.resume, args.amp, args.seed = None, False, None
    return args


def main():
    """Build the runner, load the weights, write the report."""
    args = parse_args()
    from mmgan_compress.engine.runner_builder import (finish_distributed,
                                                      make_tester)
    from mmgan_compress.engine.results import report_run
    with one_line_errors(OSError), ExitStack() as held:
        report_run(make_tester(args, held))
        finish_distributed()


if __name__ == '__main__':
    main()
