"""Make the generators of a student smaller, to a budget.

python tools/compress.py student.pth --pruner NormWidths --budget macs=0.25

Writes student.pth, compress.md (a table of the layers) and compress.json
(how the result was found). A budget is KIND=NUMBER or DOMAIN.KIND=NUMBER:
macs (the true count), macs_paper (the papers' count) or params; up to 1 it
is a share of the network's own.
"""
import argparse
import contextlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_args() -> argparse.Namespace:
    """Parse the command line; imports nothing heavy, so -h is quick."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('source', help='student.pth, or a config (.py) whose '
                        'generators name their weights in init_cfg')
    parser.add_argument('--pruner', required=True,
                        help='name in the registry PRUNERS, e.g. GCCWidths')
    parser.add_argument('--budget', required=True, nargs='+',
                        metavar='BUDGET', help='what a generator may cost')
    parser.add_argument('--size', type=int, help='side of the image that '
                        'MACs are counted at\n(default: that of the '
                        'training images)')
    parser.add_argument('--domain', help='make only the generator of this '
                        'domain smaller;\nthe others stay')
    parser.add_argument('--tolerance', type=float, default=0.02,
                        help='how far from the budget the result may be, '
                        'relative\n(default: %(default)s)')
    parser.add_argument('--options', nargs='+', default=[],
                        metavar='KEY=VALUE', help="the pruner's settings")
    parser.add_argument('--seed', type=int, default=0,
                        help='of new weights (default: %(default)s)')
    parser.add_argument('--out', help='folder to write into (default: '
                        'work_dirs/<source>-<pruner>)')
    return parser.parse_args()


def compress(args: argparse.Namespace) -> str:
    """Read, compress, write; return the table."""
    import torch

    from mmgan_compress.compressors import students
    students.refuse_overwriting(Path(args.out))
    options = students.read_options(args.options)
    source = students.read_source(args.source)
    size = args.size or source.image_size
    texts = [f'{args.domain}.{text}' if args.domain else text
             for text in args.budget]
    budgets = students.read_budgets(texts, list(source.networks), size=size,
                                    tolerance=args.tolerance)
    torch.manual_seed(args.seed)
    results = students.compress_source(source, args.pruner, budgets, options)
    return students.write_results(Path(args.out), source, results,
                                  args.pruner, size)


def main() -> None:
    """Compress and say where the result is."""
    args = parse_args()
    if args.out is None:
        args.out = f'work_dirs/{Path(args.source).stem}-{args.pruner}'
    try:
        # libraries log to standard output; only the result may stand there
        with contextlib.redirect_stdout(sys.stderr):
            text = compress(args)
    except (ValueError, TypeError, OSError, ImportError) as error:
        sys.exit(f'error: {error}')
    print(text)
    print(f'{args.out}/student.pth')


if __name__ == '__main__':
    main()
