"""Run a teacher over training images, for distillation without a network."""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmgan_compress.core.commands import one_line_errors  # noqa: E402


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    from mmgan_compress.core.extensions import add_import
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'teacher',
        help='student file, ONNX file, or package.module:function that maps '
        'a tensor (N, 3, H, W) in [-1, 1] to the same')
    parser.add_argument(
        'input', help='folder of training images: trainA, or train of pairs')
    parser.add_argument(
        '--out', required=True, help='new folder for the PNG files')
    parser.add_argument(
        '--size',
        type=int,
        help='side of the images, best the load_size of the data set '
        '(default: that of the teacher, else 256)')
    parser.add_argument(
        '--paired-side',
        choices=['A', 'B'],
        help='the images are pairs: half that the teacher translates')
    parser.add_argument(
        '--domain', help='domain to generate, of a student that has two')
    add_import(parser)
    return parser.parse_args()


@one_line_errors()
def main() -> None:
    """Make the images and say how a recipe uses them."""
    args = parse_args()
    # Imported late: -h and a wrong command line answer at once.
    from mmgan_compress.inference.teacher_images import make_teacher_images
    files = make_teacher_images(args.teacher, args.input, args.out,
                                args.size, args.paired_side, args.domain)
    print(f'{len(files)} image(s) in {args.out}; train on them with '
          'train_dataloader.dataset.teacher_images='
          f"dict(DOMAIN='{args.out}')")


if __name__ == '__main__':
    main()
