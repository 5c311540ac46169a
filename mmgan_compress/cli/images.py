"""Run a teacher over training images, to distil without its network.

mmgan-compress images teacher.onnx data/horse2zebra/trainA --out teachers/h2z
"""

import argparse

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    add = parser.add_argument
    add(
        'teacher',
        help='student file, ONNX file, or package.module:function that maps a tensor '
        '(N, 3, H, W) in [-1, 1] to the same',
    )
    add('input', help='folder of training images: trainA, or train of pairs')
    add(
        '--size',
        type=options.positive,
        help='side of the images, best the load_size of the data set (default: that of the '
        'teacher, else 256)',
    )
    add('--paired-side', choices=['A', 'B'], help='half of the pairs that the teacher translates')
    options.add(parser, 'out', 'domain', 'import')


def run(args: argparse.Namespace):
    """Make the images and say how a recipe uses them."""
    from ..inference.teacher_images import make_teacher_images

    files = make_teacher_images(
        args.teacher, args.input, args.out, args.size, args.paired_side, args.domain
    )
    print(
        f'{len(files)} image(s) in {args.out}; train on them with '
        'train_dataloader.dataset.teacher_images='
        f"dict(DOMAIN='{args.out}')"
    )
