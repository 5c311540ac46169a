r"""Measure how fast a student is in each runtime, beside its teachers.

mmgan-compress benchmark student.pth teacher.pth --out work_dirs/benchmark
mmgan-compress benchmark omgd_cyclegan.py:student \
    gan_slimming_cyclegan.py:teacher --out work_dirs/benchmark

The first network is the student, the others are its teachers. A recipe
stands for all its networks, or for the one named behind a colon; with random
weights, since time does not depend on them. Ratios are against the first
teacher in eager torch, or the student where there is no teacher.
"""

import argparse
import contextlib
import tempfile
from pathlib import Path

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    add = parser.add_argument
    add('sources', nargs='+', metavar='SOURCE', help='student.pth, recipe.py or recipe.py:NAME')
    add(
        '--out',
        required=True,
        type=Path,
        metavar='FOLDER',
        help='folder for benchmark.json, .md and .png',
    )
    add(
        '--runtimes',
        nargs='+',
        metavar='NAME',
        default=['eager', 'onnxruntime', 'openvino', 'ncnn'],
        help='eager, or a backend of mmgan-compress export (default: %(default)s)',
    )
    add('--precisions', nargs='+', default=['fp32'], choices=['fp32', 'fp16', 'int8'])
    add(
        '--rounds',
        type=options.positive,
        metavar='N',
        default=20,
        help='timed turns of each model (default: %(default)s)',
    )
    add(
        '--images',
        metavar='FOLDER',
        help="training images to calibrate int8 on (default: the demo's)",
    )
    add(
        '--skip',
        nargs='+',
        metavar='LAYER',
        help='layers that stay float '
        'in int8, as of mmgan-compress quantize (default: first rgb norms)',
    )
    add('--compare', metavar='JSON', type=Path, help='benchmark.json of an earlier run')
    add('--keep', action='store_true', help='keep the converted models in the out folder')
    options.add_size(parser)
    options.add_threads(parser)
    options.add_import(parser)
    options.add_overwrite(parser)


def run(args: argparse.Namespace):
    """Measure, print the table and write the files."""
    from ..benchmark.report import save, to_markdown
    from ..benchmark.run import benchmark

    with contextlib.ExitStack() as stack:
        folder = (
            args.out / 'models' if args.keep else stack.enter_context(tempfile.TemporaryDirectory())
        )
        figures = benchmark(args, Path(folder))
        paths = save(figures, args.out)
    print(to_markdown(figures))
    print(*paths, sep='\n')
