"""Search the sub-networks of a super-net; the same command continues it.

mmgan-compress search configs/gan_compression_cyclegan.py \\
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
    parser.add_argument('config', help='recipe of the super-net')
    parser.add_argument('checkpoint', help='its student.pth, or iter_N.pth')
    parser.add_argument('--out', required=True, help='folder to write into')
    parser.add_argument('--storage', help='sqlite:///FILE or postgresql://...'
                        '\n(default: sqlite:///OUT/study.db)')
    parser.add_argument('--study', help='name in the storage (default: '
                        'search)', default='search')
    parser.add_argument('--sampler', default='nsga2', help='name in the '
                        'registry SEARCHERS: nsga2, random,\nexhaustive or '
                        'budget, which seeks the best metric alone\n'
                        '(default: %(default)s)')
    parser.add_argument('--options', nargs='+', default=[],
                        metavar='KEY=VALUE', help="the sampler's settings")
    parser.add_argument('--objective', metavar='KIND', help='cost of the '
                        'front: macs, macs_paper, params,\nlatency@RUNTIME '
                        '(default: that of the budget, or macs)')
    parser.add_argument('--budget', help='what a sub-network may cost at '
                        'most')
    parser.add_argument('--metric', help="figure of the recipe's val split "
                        '(default: what\nchooses its best student)')
    parser.add_argument('--higher-is-better', action='store_true',
                        help='of a metric other than PSNR and SSIM')
    parser.add_argument('--trials', type=options.positive, help='sub-networks to '
                        'evaluate, of all workers (default: all for\n'
                        'exhaustive, else 100)')
    parser.add_argument('--workers', type=options.positive, default=1,
                        help='processes here (default: %(default)s)')
    parser.add_argument('--join', action='store_true', help='help a search '
                        'that was started elsewhere; writes no\nresults')
    parser.add_argument('--top', type=options.positive, default=3, help='students to '
                        'write (default: %(default)s)')
    parser.add_argument('--calibration-images', type=options.positive, default=512,
                        help='for batch norms (default: %(default)s)')
    parser.add_argument('--measured', type=int, default=48, help='sub-'
                        'networks to measure, where times are predicted\n'
                        '(default: %(default)s)')
    options.add_size(parser)
    options.add_threads(parser)
    options.add_seed(parser)
    parser.add_argument('--rank', type=options.positive, metavar='N', help='only order N '
                        'sub-networks by their cost')
    options.add_data(parser)
    options.add_import(parser)


def run(args: argparse.Namespace):
    """Search, or help a search."""
    args.seed = args.seed or 0
    if args.storage is None:
        args.storage = f'sqlite:///{os.path.join(args.out, "study.db")}'
    from ..search.run import run_search
    run_search(args)
