"""Fetch a data set and lay it out for training."""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmgan_compress.core.commands import one_line_errors  # noqa: E402


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'name',
        help='horse2zebra, summer2winter, edges2shoes, facades, maps, '
        'cityscapes, edges2emoji, flat2emoji, outline2emoji or elpv')
    parser.add_argument('--out', help='folder (default: data/NAME)')
    parser.add_argument(
        '--size',
        type=int,
        help='side length of the images (default: published images stay as '
        'they are, the others are made 256 x 256)')
    parser.add_argument(
        '--archive',
        nargs='+',
        default=[],
        metavar='PATH',
        help='use local archives, fetch nothing')
    return parser.parse_args()


@one_line_errors()
def main() -> None:
    """Prepare the data set and say what came out."""
    args = parse_args()
    # Imported late: -h and a wrong command line answer at once.
    from mmgan_compress.datasets.prepare import prepare_data
    manifest = prepare_data(args.name, args.out, args.size, args.archive)
    for folder, count in manifest['counts'].items():
        print(f'  {folder}: {count} images')
    print(f'Licence: {manifest["licence"]}')


if __name__ == '__main__':
    main()
