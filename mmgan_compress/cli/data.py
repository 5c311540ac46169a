"""Fetch a data set and lay it out for training.

mmgan-compress data horse2zebra
"""

import argparse

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    add = parser.add_argument
    add(
        'name',
        help='horse2zebra, summer2winter, edges2shoes, facades, maps, cityscapes, '
        'cityscapes_labels, labels2emoji, elpv, or one '
        'that a module of --import adds',
    )
    add('--out', metavar='FOLDER', help='folder to write into (default: data/NAME)')
    add(
        '--size',
        type=options.positive,
        help='side of the images (default: as published; others are made 256 x 256)',
    )
    add('--archive', nargs='+', default=[], help='use local archives, fetch nothing')
    options.add(parser, 'import')


def run(args: argparse.Namespace):
    """Prepare the data set and say what came out."""
    from ..datasets.prepare import prepare_data

    manifest = prepare_data(args.name, args.out, args.size, args.archive)
    for folder, count in manifest['counts'].items():
        print(f'  {folder}: {count} images')
    print(f'Licence: {manifest["licence"]}')
