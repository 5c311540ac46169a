"""Translate an image, a folder of images or a video.

mmgan-compress translate student.pth photos/ --out results/
mmgan-compress translate flat2emoji emoji.png --out results/

The model is a student file, what mmgan-compress export made of one, or the name
of a student that comes with the package. Of a video the pictures are translated;
its sound is copied where ffmpeg is there.
"""

import argparse
import shutil

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    add = parser.add_argument
    add(
        'model',
        help='student file (.pth), exported model (.onnx, .xml, .param, .tflite, ...), '
        'or the folder of an export',
    )
    add('input', help='image, folder of images, or video, of any size')
    add('--runtime', help="such as openvino for an ONNX file (default: the file's own)")
    add('--batch', type=options.positive, default=1, help='images at once (default: %(default)s)')
    add(
        '--tile',
        type=options.positive,
        metavar='SIDE',
        help='px: larger pictures go through in tiles, which bounds the memory',
    )
    add('--seed', type=int, metavar='N', help='of the style, where there is one (default: 0)')
    add(
        '--styles',
        type=options.positive,
        metavar='N',
        help='so many styles of each image in one picture (default: 1)',
    )
    add('--style-from', metavar='PICTURE', help='the style of a picture, in place of a random one')
    options.add(parser, 'out', 'domain', 'threads', 'trust', 'overwrite', 'import')


def run(args: argparse.Namespace):
    """Translate and say where the results are."""
    from ..inference.translator import Translator
    from ..inference.video import is_video

    translate = Translator(
        args.model, args.domain, args.runtime, args.threads, args.trust, args.tile
    )
    style = args.seed, args.styles, args.style_from
    files = translate(args.input, args.out, args.batch, args.overwrite, *style)
    if is_video(args.input):
        how = '' if shutil.which('ffmpeg') else ', without sound, which ffmpeg would copy'
        print(f'{files[0]}{how}')
    else:
        print(f'{len(files)} picture(s) in {args.out}')
