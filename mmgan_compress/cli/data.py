"""Fetch a data set and lay it out for training.

mmgan-compress data horse2zebra
"""

import argparse

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    parser.add_argument(
        'name',
        help='horse2zebra, summer2winter, edges2shoes, facades, maps, '
        'cityscapes, elpv, or one that a module of --import adds',
    )
    parser.add_argument('--out', metavar='FOLDER', help='folder to write into (default: data/NAME)')
    parser.add_argument(
        '--size',
        type=options.positive,
        metavar='PIXELS',
        help='side of the images (default: published images stay as they '
        'are, the others are made 256 x 256)',
    )
    parser.add_argument(
        '--archive', nargs='+', default=[], metavar='PATH', help='use local archives, fetch nothing'
    )
    options.add_import(parser)


def run(args: argparse.Namespace):
    """Prepare the data set and say what came out."""
    from ..datasets.prepare import prepare_data

    manifest = prepare_data(args.name, args.out, args.size, args.archive)
    for folder, count in manifest['counts'].items():
        print(f'  {folder}: {count} images')
    print(f'Licence: {manifest["licence"]}')
