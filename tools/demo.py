"""The whole path once: train a recipe's demo, export the student, prove it.

python tools/demo.py configs/omgd_cyclegan.py
"""
import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmgan_compress.core.commands import one_line_errors  # noqa: E402

TOOLS = Path(__file__).parent


def parse_args() -> argparse.Namespace:
    """Parse the command line; imports nothing heavy, so -h is quick."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('config', help='recipe, a path or its file name')
    return parser.parse_args()


def run(*command: str):
    """Run a tool with this Python; stop where it stops."""
    code = subprocess.run([sys.executable, *command]).returncode
    if code:
        sys.exit(code)


@one_line_errors()
def main():
    """Train into the next free folder, then export to ONNX."""
    config = parse_args().config
    from mmgan_compress.engine.runner_builder import next_work_dir
    work_dir = next_work_dir(config, demo=True)
    run(str(TOOLS / 'train.py'), config, '--demo', '--work-dir', work_dir)
    run(str(TOOLS / 'export.py'), f'{work_dir}/student.pth',
        '--out', f'{work_dir}/onnx')
    print(f'pictures: {work_dir}/comparison.png\n'
          f'table:    {work_dir}/report.md\n'
          f'student:  {work_dir}/student.pth\n'
          f'onnx:     {work_dir}/onnx/end2end.onnx')


if __name__ == '__main__':
    main()
