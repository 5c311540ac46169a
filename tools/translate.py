"""Translate an image or a folder of images with a student."""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('student', help='student file of a run')
    parser.add_argument('input', help='image or folder of images, any size')
    parser.add_argument(
        '--out', required=True, help='folder for the PNG files')
    parser.add_argument(
        '--domain', help='domain to generate, of a student that has two')
    return parser.parse_args()


def main() -> None:
    """Translate and say where the pictures are."""
    args = parse_args()
    # Imported late: -h and a wrong command line answer at once.
    from mmgan_compress.student import load_student, translate
    try:
        net = load_student(args.student, args.domain)
        files = translate(net, args.input, args.out)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    print(f'{len(files)} picture(s) in {args.out}')


if __name__ == '__main__':
    main()
