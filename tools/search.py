"""Search the sub-networks of a super-net; the same command continues it.

python tools/search.py configs/gan_compression_cyclegan.py \\
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
import sys
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmgan_compress.core.commands import AGAIN, one_line_errors  # noqa: E402


def parse_args(argv: Optional[list[str]] = None) -> argparse.Namespace:
    """Parse the command line; imports nothing heavy, so -h is quick."""
    from mmgan_compress.core.extensions import add_import
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
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
    parser.add_argument('--trials', type=int, help='sub-networks to '
                        'evaluate, of all workers (default: all for\n'
                        'exhaustive, else 100)')
    parser.add_argument('--workers', type=int, default=1,
                        help='processes here (default: %(default)s)')
    parser.add_argument('--join', action='store_true', help='help a search '
                        'that was started elsewhere; writes no\nresults')
    parser.add_argument('--top', type=int, default=3, help='students to '
                        'write (default: %(default)s)')
    parser.add_argument('--calibration-images', type=int, default=512,
                        help='for batch norms (default: %(default)s)')
    parser.add_argument('--measured', type=int, default=48, help='sub-'
                        'networks to measure, where times are predicted\n'
                        '(default: %(default)s)')
    parser.add_argument('--size', type=int, help='side of the image that '
                        'costs hold for (default:\nthat of the training '
                        'images)')
    parser.add_argument('--threads', type=int, help='of the processor, '
                        "where time is measured\n(default: the runtime's "
                        'choice)')
    parser.add_argument('--seed', type=int, default=0,
                        help='of all draws (default: %(default)s)')
    parser.add_argument('--rank', type=int, metavar='N', help='only order N '
                        'sub-networks by their cost')
    parser.add_argument('--demo', action='store_true',
                        help='the super-net was trained with --demo')
    parser.add_argument('--data-root', help='your own images')
    add_import(parser)
    args = parser.parse_args(argv)
    for name in ('workers', 'top', 'trials', 'rank', 'calibration_images',
                 'size', 'threads'):
        value = getattr(args, name)
        if value is not None and value < 1:
            parser.error(f'--{name.replace("_", "-")} is {value}: expected '
                         'at least 1')
    if args.storage is None:
        args.storage = f'sqlite:///{os.path.join(args.out, "study.db")}'
    return args


@one_line_errors(stopped=AGAIN)
def main() -> None:
    """Search, or say what is wrong."""
    args = parse_args()
    from mmgan_compress.search.run import run_search
    run_search(args)


if __name__ == '__main__':
    main()
