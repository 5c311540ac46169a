r"""Search the sub-networks of a super-net; the same command continues it.

mmgan-compress search configs/gan_compression_cyclegan.py \
    work_dirs/gan_compression_cyclegan/student.pth --out search --workers 2

Writes front.png, front.json and search.md; the best sub-networks of the front
as students in subnets/; the best of all as student.pth. Repeated on another
machine with --join, it helps.

A budget is KIND=NUMBER: macs (the true count), macs_paper (the papers'
count), params or latency@RUNTIME, up to 1 a share of the largest
sub-network's; latency@openvino=8ms is a time.
"""

import argparse
import os

from . import options

STOPPED = 'to continue, run the same command again'


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    add, positive = parser.add_argument, options.positive
    add('config', help='recipe of the super-net')
    add('checkpoint', help='its student.pth, or iter_N.pth')
    add('--storage', help='sqlite:///FILE or postgresql://... (default: sqlite:///OUT/study.db)')
    add('--study', default='search', help='name in the storage (default: %(default)s)')
    add(
        '--sampler',
        default='nsga2',
        help='name in the registry SEARCHERS: nsga2, random, exhaustive or budget, which seeks '
        'the best metric alone (default: %(default)s)',
    )
    add(
        '--objective',
        help='cost of the front: macs, macs_paper, params, latency@RUNTIME (default: that of '
        'the budget, or macs)',
    )
    add('--budget', help='what a sub-network may cost at most')
    add('--metric', help="of the recipe's val split (default: what chooses its best student)")
    add('--higher-is-better', action='store_true', help='of a metric other than PSNR and SSIM')
    add('--trials', type=positive, help='sub-networks to evaluate (default: 100, exhaustive all)')
    add('--workers', type=positive, default=1, help='processes here (default: %(default)s)')
    add('--join', action='store_true', help='help a search started elsewhere; writes no results')
    add('--top', type=positive, default=3, help='students to write (default: %(default)s)')
    add(
        '--calibration-images',
        type=positive,
        default=512,
        help='for batch norms (default: %(default)s)',
    )
    add(
        '--measured',
        type=int,
        default=48,
        help='sub-networks to measure, where times are predicted (default: %(default)s)',
    )
    add('--rank', type=positive, help='only order so many sub-networks by their cost')
    options.add(parser, 'out', 'options', 'size', 'threads', 'seed', 'demo', 'data-root', 'import')


def run(args: argparse.Namespace):
    """Search, or help a search."""
    args.seed = args.seed or 0
    if args.storage is None:
        args.storage = f'sqlite:///{os.path.join(args.out, "study.db")}'
    from ..search.run import run_search

    run_search(args)
