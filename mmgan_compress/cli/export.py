"""Export a student to a runtime and prove that it gives the same pictures.

mmgan-compress export student.pth --out onnx/
mmgan-compress export student.pth --out all/ --all
"""

import argparse
from pathlib import Path
from typing import Any

from ..core import units
from ..core.tables import plain
from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    add = parser.add_argument
    add('student', help='student file of a run')
    add('--deploy-cfg', help='runtime and form, of configs/deploy (default: ONNX Runtime)')
    add(
        '--all',
        action='store_true',
        help='export by every deploy config whose runtime is installed, in one table: by the '
        'static ones, or with --dynamic by those of free sides',
    )
    add('--dynamic', action='store_true', help='leave batch, height and width free')
    add('--uint8', action='store_true', help='take and give 8-bit pictures, (N, H, W, 3)')
    add(
        '--tolerance',
        type=options.positive_float,
        help='largest difference allowed in [-1, 1] (default: fp32 1e-4, fp16 5e-2, int8 any, '
        'which is stated)',
    )
    options.add(parser, 'out', 'images', 'calibration', 'processor', 'size', 'domain')
    options.add(parser, 'demo', 'data-root', 'import')


def print_table(report: dict) -> None:
    """Print what was measured on each input."""
    rows = [['input', 'shape', 'max-abs', 'SSIM', 'PSNR']]
    for check in report['checks']:
        psnr = 'equal' if check['psnr'] is None else f'{check["psnr"]} dB'
        figures = [f'{check["max_abs"]:.2e}', f'{check["ssim"]:.6f}', psnr]
        rows.append([check['input'], check['shape'], *figures])
    print(plain(rows))


def images_of(args: argparse.Namespace) -> tuple[Any, Any]:
    """Return the images to compare on, and those to calibrate on."""
    from ..deploy.export import CALIBRATION_IMAGES
    from ..deploy.verify import MAX_IMAGES
    from ..engine.evaluate import named_images
    from ..models.student import student_info

    info = student_info(args.student)
    domain, data = args.domain or info['default_domain'], [args.demo, args.data_root]
    return (
        named_images(args.images, 'test_dataloader', info, domain, MAX_IMAGES, *data),
        named_images(args.calibration, 'train_dataloader', info, domain, CALIBRATION_IMAGES, *data),
    )


def print_size(report: dict) -> None:
    """Say where the size is not that of training, or of the deploy config."""
    size, trained, asked = (report[key] for key in ('size', 'image_size', 'config_size'))
    if size != trained:
        print(f'exported for {size}x{size} images; the training images were {trained}x{trained}')
    elif asked not in (None, size):
        print(
            f'exported for {size}x{size}, the size of the training images; '
            f'the deploy config asks for {asked}x{asked}: --size {asked}'
        )


def print_summary(report: dict, target, out: str) -> None:
    """Print what a user has to know of the export."""
    from ..deploy.formats import FORMATS

    if report['instance_norm'] not in (None, 'fused', 'mixed'):
        print(
            'instance norms are written out: the operator of the runtime '
            'loses precision on large or flat images'
        )
    if {check['input'] for check in report['checks']} == {'random', 'flat'}:
        print('no real images were compared: give some with --images')
    size, free = report['size'], 'free sides, compared at ' if report['dynamic'] else ''
    if not report['dynamic']:
        larger = '; the dynamic configs keep their size' if FORMATS[target.backend].free else ''
        print(f'translate resizes pictures to {size}x{size} for this model and back again{larger}')
    print_size(report)
    if report.get('style_encoder'):
        params, macs = (units.count(report['style_encoder'][key]) for key in ('params', 'macs'))
        print(
            'the inputs are image and style; what reads a style from a picture is not in the file: '
            f'{params} parameters, {macs} MACs'
        )
    if report['replaced']:
        print(f'replaced the export of another student (sha256 {report["replaced"][:12]}...)')
    shape = f'{free}{size}x{size}'
    model = f'{out}/{next(iter(report["files"]))}'
    if target.backend == 'tensorrt':
        from ..deploy.targets import how_to_build

        how = how_to_build(target, size, report['size_multiple'], model, report['channels'][0])
        print(f'the ONNX file is ready for TensorRT. On the machine with the GPU:\n  {how}')
    if target.backend == 'web':
        print(f'to see it: mmgan-compress page --web {out}; any static host can serve the folder')
    if report['tolerance'] is None:
        print(
            f'{model} is {report["psnr"]} dB (PSNR, SSIM {report["ssim"]}) '
            f'from torch on the worst input, in {report["runtime"]}; '
            f'before, in single precision, {report["parent"]["psnr"]} dB; '
            f'made for processor {report["processor"]}, {shape}'
        )
        print('mmgan-compress quantize --test RECIPE says what that costs on a test split')
    else:
        print(
            f'{model} equals torch within {report["tolerance"]:g} in {report["runtime"]}, {shape}'
        )


def export_all(args: argparse.Namespace, images: Any, calibration: Any):
    """Export by each deploy config of one form and print what came out."""
    from ..benchmark.candidates import choose, convert
    from ..benchmark.report import LOSSES, loss_cells
    from ..benchmark.workers import LEAST, measure
    from ..deploy.export import checked_size
    from ..models.student import load_student

    student: Any = load_student(args.student, args.domain)
    size = checked_size(args.size, student.meta)
    found = choose([''], dynamic=args.dynamic)
    convert(
        found,
        {'': args.student},
        size,
        Path(args.out),
        calibration=calibration,
        uint8=args.uint8,
        dynamic=args.dynamic,
        images=images,
        tolerance=args.tolerance,
        domain=args.domain,
    )
    results, _ = measure(found, [1], size, LEAST, args.imports)
    rows = [['export', *LOSSES, 'ms']]
    for each, result in zip(found, results):
        if 'pictures' in result:
            ms = f'{1e3 * result["pictures"][1].median:.1f}'
        else:
            ms = 'not run here'
        if each.kb is not None:
            rows.append([each.form, *loss_cells(vars(each)), ms])
    print(plain(rows))
    print('ms: from an 8-bit picture to another in one thread; ExecuTorch takes all')
    for each, result in zip(found, results):
        if result['reason']:
            print(f'no {each.form}: {result["reason"]}')
    if wrong := [each.form for each in found if not each.exact]:
        raise ValueError(f'{", ".join(wrong)}: not the same model as in torch, see above')


def run(args: argparse.Namespace):
    """Export and report."""
    from ..deploy.export import export_student
    from ..deploy.targets import choose_target
    from ..deploy.verify import ParityError

    if args.all:
        if args.deploy_cfg or args.processor:
            raise ValueError('--all is for each deploy config: no further choice of one')
        return export_all(args, *images_of(args))
    try:
        target = choose_target(args.deploy_cfg, args.dynamic, args.uint8, args.processor)
        report = export_student(
            args.student, args.out, target, args.size, args.tolerance, *images_of(args), args.domain
        )
    except ParityError as error:
        print_table(error.report)
        raise
    print_table(report)
    print_summary(report, target, args.out)
