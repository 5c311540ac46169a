"""Make images from noise, each as a picture, and a grid of them.

mmgan-compress sample student.pth --count 16 --seed 0 --out samples/

The model is a student file, or what mmgan-compress export made of one. The
images of a seed are always the same.
"""

import argparse

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    add = parser.add_argument
    add('model', help='student file (.pth), exported model, or the folder of an export')
    add('--count', type=options.positive, default=16, help='images (default: %(default)s)')
    add('--seed', type=int, default=0, metavar='N', help='of the noise (default: %(default)s)')
    add('--runtime', help="such as openvino for an ONNX file (default: the file's own)")
    add('--batch', type=options.positive, default=16, help='images at once (default: %(default)s)')
    options.add(parser, 'out', 'domain', 'threads', 'trust', 'overwrite', 'import')


def run(args: argparse.Namespace):
    """Sample and say where the pictures are."""
    from ..inference.sampler import Sampler

    sample = Sampler(args.model, args.domain, args.runtime, args.threads, args.trust)
    *files, grid = sample(args.count, args.seed, args.out, args.batch, args.overwrite)
    print(f'{len(files)} picture(s) in {args.out}, together in {grid}')
