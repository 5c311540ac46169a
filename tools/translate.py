"""Translate an image, a folder of images or a video.

python tools/translate.py student.pth photos/ --out results/

The model is a student file, or what tools/export.py made of one. Of a video
the pictures are translated; its sound is left out.
"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmgan_compress.core.commands import one_line_errors  # noqa: E402


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    from mmgan_compress.core.extensions import add_import
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'model', help='student file (.pth), exported model (.onnx, .xml, '
        '.param, .pt2, .aoti.pt2, .pt), or the folder of an export')
    parser.add_argument(
        'input', help='image, folder of images, or video, of any size')
    parser.add_argument('--out', required=True, help='folder for the results')
    parser.add_argument(
        '--domain', help='domain to generate, of a student that has two')
    parser.add_argument(
        '--runtime', help="what runs it, such as openvino for an ONNX file "
        "(default: the file's own)")
    parser.add_argument(
        '--threads', type=int, help='CPU threads (default: all cores)')
    parser.add_argument(
        '--trust', action='store_true',
        help='open .pt2, .aoti.pt2 and .pt, which are programs: whoever made '
        'one can run anything here')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace results that are there')
    parser.add_argument(
        '--batch', type=int, default=1, metavar='N',
        help='images at once (default: %(default)s)')
    add_import(parser)
    return parser.parse_args()


@one_line_errors()
def main() -> None:
    """Translate and say where the results are."""
    args = parse_args()
    # Imported late: -h and a wrong command line answer at once.
    from mmgan_compress.inference.translator import Translator
    from mmgan_compress.inference.video import is_video
    run = Translator(args.model, args.domain, args.runtime, args.threads,
                     args.trust)
    files = run(args.input, args.out, args.batch, args.overwrite)
    if is_video(args.input):
        print(f'{files[0]}, without sound')
    else:
        print(f'{len(files)} picture(s) in {args.out}')


if __name__ == '__main__':
    main()
