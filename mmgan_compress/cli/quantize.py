"""Make the 8-bit model of a student and say what it loses.

mmgan-compress quantize student.pth --out int8/ --calibration FOLDER

Writes what mmgan-compress export writes, and quantize.json: which layers compute
in 8 bits, and the loss against single precision on images. With --test RECIPE
on all of its test split, where both are scored by its metrics, too. Ends with
status 1 where the images are not as near as --psnr-floor asks for.

A student that was trained with quantization brings its ranges along: no
images are needed, and what was trained is what is exported.

The file gives the same picture on any processor, since its weights have 7
bits; --processor vnni keeps all 8, for x86 processors with VNNI instructions.
"""
import argparse
import contextlib
import dataclasses
import sys
from pathlib import Path

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    parser.add_argument('student', help='student file of a run')
    parser.add_argument('--out', required=True, help='folder to write into')
    parser.add_argument('--quantizer', help='name in the registry QUANTIZERS: '
                        'ORTStatic, NNIPTQ, INCStatic\n(default: '
                        "the student's own ranges, else ORTStatic)")
    parser.add_argument('--calibration', metavar='FOLDER_OR_RECIPE',
                        help="training images of the student's source "
                        'domain')
    parser.add_argument('--psnr-floor', type=float, metavar='DB',
                        help='leave those layers in float that 8 bits hurt '
                        'most,\nuntil each image is that near (ORTStatic)')
    parser.add_argument('--sensitivity', action='store_true',
                        help='list what 8 bits do to each layer alone '
                        '(ORTStatic)')
    parser.add_argument('--skip', nargs='+', metavar='LAYER',
                        help='layers that stay float, also with * (default: '
                        'first rgb norms)')
    parser.add_argument('--options', nargs='+', default=[],
                        metavar='KEY=VALUE', help="the quantizer's settings")
    parser.add_argument('--deploy-cfg', metavar='FILE', help='another '
                        'runtime of configs/deploy, in int8')
    parser.add_argument('--processor', choices=('any', 'vnni'), help='any: '
                        '7-bit weights (default; a GPU takes 8); vnni: all '
                        '8 bits,\nwrong on x86 without avx512_vnni or '
                        'avx_vnni, where it is refused')
    options.add_size(parser)
    parser.add_argument('--images', metavar='PATH', help='what the loss is '
                        'measured on (default: test images\nof --test, else '
                        "of the demo)")
    parser.add_argument('--test', metavar='RECIPE', help='compare and score '
                        'both models on its test split')
    options.add_data(parser)
    options.add_domain(parser)
    options.add_import(parser)


def quantizer_of(args: argparse.Namespace, info: dict) -> dict:
    """Return the quantizer's config."""
    from ..pruning.workflow import read_options
    chosen = dict(skip=args.skip, psnr_floor=args.psnr_floor,
                  sensitivity=args.sensitivity or None)
    options = dict(read_options(args.options), **{
        key: value for key, value in chosen.items() if value is not None})
    own = 'StudentScales' if info.get('quantization') and not options and \
        not args.calibration else 'ORTStatic'
    return dict(type=args.quantizer or own, **options)


def quantize(args: argparse.Namespace) -> dict:
    """Quantize and score; return the record."""
    from ..quantization.workflow import (LOWERED, build_quantizer,
                                                      quantize_student,
                                                      write_record)
    from ..deploy.export import CALIBRATION_IMAGES
    from ..deploy.targets import read_target
    from ..engine.evaluate import (named_images, read_recipe,
                                                recipe_images, source_of)
    from ..models.student import student_info
    info = student_info(args.student)
    domain = args.domain or info['default_domain']
    source = source_of(info, domain)
    quantizer = quantizer_of(args, info)
    build_quantizer(quantizer)
    target = read_target(args.deploy_cfg) if args.deploy_cfg else LOWERED
    if args.processor:
        target = dataclasses.replace(target, processor=args.processor)
    # what is missing shows before the work
    data = dict(demo=args.demo, data_root=args.data_root)
    test, tested = None, None
    if args.test:
        test = read_recipe(args.test, 'test_dataloader', info, **data)
        check_size(args, test, target, info)
        tested = recipe_images(test, 'test_dataloader', source)
    calibration = named_images(args.calibration, 'train_dataloader', info,
                               domain, CALIBRATION_IMAGES, **data)
    record = quantize_student(args.student, args.out, quantizer, calibration,
                              target, args.size, args.images or tested,
                              domain)
    if test is not None:
        record['test'] = score(args, test, tested, [source, domain], record)
        write_record(args.out, record)
    return record


def check_size(args: argparse.Namespace, cfg, target, info: dict) -> None:
    """Refuse a fixed size that the test images do not have."""
    size = args.size or target.size or info['image_size']
    tested = cfg.test_dataloader.dataset.get('size', size)
    if not target.dynamic and size != tested:
        raise ValueError(
            f'the model takes {size}x{size} images and those of {args.test} '
            f'are {tested}x{tested}: say --size {tested}, or take a dynamic '
            'deploy config')


def score(args: argparse.Namespace, cfg, images: list, domains: list,
          record: dict) -> dict:
    """Return the figures of both models on the test split."""
    from ..quantization.workflow import RuntimeNetwork, loss_on
    from ..engine.evaluate import score_networks
    from ..models.student import load_student
    model = Path(args.out, next(iter(record['export']['files'])))
    networks = dict(
        fp32=load_student(args.student, domains[1]),
        int8=RuntimeNetwork(model, record['export']['uint8']))
    lost = loss_on(*networks.values(), images)
    figures, protocols = score_networks(cfg, networks, domains, domains[1])
    return dict(recipe=Path(args.test).name, lost=lost, protocols=protocols,
                **figures)


def print_record(record: dict, out: str) -> None:
    """Print what a user has to know."""
    for row in record.get('layers', []):
        print(f'{row["layer"]:40} {row["psnr"]:7.2f} dB  '
              f'{row["macs"] / 1e6:9.3f} M MACs  '
              f'{"int8" if row["int8"] else "float"}')
    test, lost = record.get('test'), record['lost']
    if test:
        for name, before in test['fp32'].items():
            print(f'{name}: {before:.4g} in single precision, '
                  f'{test["int8"][name]:.4g} in 8 bits')
        all_of = test['lost']
        print(f'{all_of["images"]} test images of {test["recipe"]}: '
              f'{decibels(all_of["psnr"])} (PSNR, SSIM {all_of["ssim"]:.4f}) '
              'from single precision in the mean, '
              f'{decibels(all_of["worst_psnr"])} at worst')
    print(f'{out}/{next(iter(record["export"]["files"]))}: '
          f'{decibels(lost["psnr"])} (PSNR, SSIM {lost["ssim"]}, max-abs '
          f'{lost["max_abs"]:.3f}) from single precision on the worst of '
          f'{lost["images"]} images; made for processor '
          f'{record["export"]["processor"]}')
    from ..deploy.verify import VISIBLE
    if lost['psnr'] is not None and lost['psnr'] < VISIBLE:
        print('That can be seen: more calibration images, --psnr-floor, or '
              'training with quantization (configs/quantization) lose less')


def decibels(psnr) -> str:
    """Return a PSNR as it is printed."""
    return 'no difference' if psnr is None else f'{psnr:.2f} dB'


def run(args: argparse.Namespace):
    """Quantize, print what was lost."""
    # libraries log to standard output; only the result may stand there
    with contextlib.redirect_stdout(sys.stderr):
        record = quantize(args)
    print_record(record, args.out)
    if record['floor_met'] is False:
        raise ValueError(
            f'--psnr-floor {args.psnr_floor:g} was found on the '
                 'calibration images and is not met on those above: give '
                 'more calibration images like them, or a higher floor')
