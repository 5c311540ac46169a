"""Score a checkpoint or a student on the test split of its recipe.

mmgan-compress test configs/omgd_cyclegan.py work_dirs/RUN/student.pth

The checkpoint is one of a run (iter_N.pth: teachers and student are scored)
or a student file (student.pth: the student alone). Writes report.json,
report.md and comparison.png.
"""

import argparse
import contextlib
import os

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    parser.add_argument('config', help='recipe of the run')
    parser.add_argument('checkpoint', help='iter_N.pth or student.pth')
    parser.add_argument('--work-dir', help='folder (default: "test" beside the checkpoint)')
    options.add(parser, 'overwrite', 'demo', 'data-root', 'size', 'cfg-options', 'import')
    options.add(parser, 'launcher', 'local-rank')


def run(args: argparse.Namespace):
    """Build the runner, load the weights, write the report."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    from ..engine.results import report_run
    from ..engine.runner_builder import finish_distributed, make_tester

    with contextlib.ExitStack() as held:
        report_run(make_tester(args, held))
        finish_distributed()
