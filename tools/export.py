"""Export a student to ONNX and prove that it gives the same pictures."""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('student', help='student file of a run')
    parser.add_argument('--out', required=True, help='folder to write into')
    parser.add_argument(
        '--size',
        type=int,
        help='side of the images (default: that of the training images)')
    parser.add_argument(
        '--dynamic',
        action='store_true',
        help='leave batch, height and width free')
    parser.add_argument(
        '--images',
        metavar='PATH',
        help='image or folder to compare on (default: the demo images)')
    parser.add_argument(
        '--tolerance',
        type=float,
        default=1e-4,
        help='largest difference allowed in [-1, 1] (default: %(default)g)')
    parser.add_argument(
        '--domain', help='domain to generate, of a student that has two')
    return parser.parse_args()


def print_table(report: dict) -> None:
    """Print what was measured on each input."""
    name_width = max(len(check['input']) for check in report['checks'])
    print(f'{"input":{name_width}}  {"shape":>13}  {"max-abs":>9}  PSNR')
    for check in report['checks']:
        psnr = 'equal' if check['psnr'] is None else f'{check["psnr"]} dB'
        print(f'{check["input"]:{name_width}}  {check["shape"]:>13}  '
              f'{check["max_abs"]:9.2e}  {psnr}')


def main() -> None:
    """Export and report."""
    args = parse_args()
    # Imported late: -h and a wrong command line answer at once.
    from mmgan_compress.deploy.onnx import export_onnx
    from mmgan_compress.deploy.parity import ParityError
    try:
        report = export_onnx(args.student, args.out, args.size, args.dynamic,
                             args.tolerance, args.images, args.domain)
    except ParityError as error:
        print_table(error.report)
        sys.exit(str(error))
    except (ValueError, OSError, ImportError) as error:
        sys.exit(str(error))
    print_table(report)
    if report['instance_norm'] == 'staged':
        print('instance norms are written out: the ONNX operator loses '
              'precision on large or flat images')
    if {check['input'] for check in report['checks']} == {'random', 'flat'}:
        print('no real images were compared: give some with --images')
    if report['replaced']:
        print('replaced the export of another student '
              f'(sha256 {report["replaced"][:12]}...)')
    print(f'{args.out}/end2end.onnx equals torch within '
          f'{report["tolerance"]:g} in {report["runtime"]}')


if __name__ == '__main__':
    main()
