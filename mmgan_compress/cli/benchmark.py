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
import tempfile
from pathlib import Path

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    add = parser.add_argument
    add('sources', nargs='+', metavar='SOURCE', help='student.pth, recipe.py or recipe.py:NAME')
    add(
        '--runtimes',
        nargs='+',
        metavar='NAME',
        help='eager, or a backend of mmgan-compress export (default: all that are installed)',
    )
    add('--precisions', nargs='+', default=['fp32'], choices=['fp32', 'fp16', 'int8'])
    add('--threads', nargs='+', type=options.positive, metavar='N', help='numbers of threads')
    add(
        '--rounds',
        type=options.positive,
        default=20,
        help='timed turns at most; less where times are steady (default: %(default)s)',
    )
    add('--quick', action='store_true', help='rough figures: fewer turns')
    add('--images', help="training images to calibrate int8 on (default: the demo's)")
    add('--compare', metavar='JSON', type=Path, help='benchmark.json of an earlier run')
    add(
        '--keep',
        action='store_true',
        help='keep the converted models in the out folder: a second run does not make them again',
    )
    add('--convert', action='store_true', help='only convert: --keep, and measure nothing yet')
    options.add(parser, 'out', 'skip', 'size', 'import', 'overwrite')


def run(args: argparse.Namespace):
    """Measure, print the table and write the files."""
    from ..benchmark.report import save, to_markdown
    from ..benchmark.run import benchmark

    args.out = Path(args.out)
    models = args.out / 'models'
    with tempfile.TemporaryDirectory() as temporary:
        figures = benchmark(args, models if args.keep or args.convert else Path(temporary))
    if figures is None:
        print(f'{models}: to measure these, give the same command with --keep, not --convert')
        return
    paths = save(figures, args.out)
    print(to_markdown(figures))
    print(*paths, sep='\n')
