"""Train a recipe's demo, export the student and check the export.

mmgan-compress demo configs/offline/offline_cyclegan.py
"""

import argparse
import subprocess

from ..core.commands import command_line


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    parser.add_argument('config', help='recipe, a path or its file name')


def run(args: argparse.Namespace) -> int:
    """Train into the next free folder, then export to ONNX."""
    from ..engine.runner_builder import next_work_dir

    work_dir = next_work_dir(args.config, demo=True)
    student = f'{work_dir}/student.pth'
    for words in (
        ('train', args.config, '--demo', '--work-dir', work_dir),
        ('export', student, '--out', f'{work_dir}/onnx'),
    ):
        status = subprocess.run(command_line(*words)).returncode
        if status:
            return status
    print(
        f'pictures: {work_dir}/comparison.png\n'
        f'table:    {work_dir}/report.md\n'
        f'student:  {student}\n'
        f'onnx:     {work_dir}/onnx/end2end.onnx'
    )
    return 0
