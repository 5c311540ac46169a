"""Make the 8-bit model of a student and say what it loses.

mmgan-compress quantize student.pth --out int8/ --calibration FOLDER

Writes what mmgan-compress export writes, and quantize.json: which layers
compute in 8 bits, and the loss against single precision on images. With
--test RECIPE these are all of its test split, and its metrics score both
models, too. The status is 1 if --psnr-floor is not met.

A student that was trained with quantization brings its ranges along: no
images are needed, and what was trained is what is exported.

The file gives the same picture on any processor, since its weights have 7
bits; --processor vnni keeps all 8, for x86 processors with VNNI instructions.
"""

import argparse

from ..core import units
from ..core.tables import plain
from . import options
from .export import print_size

# of the multiply-accumulates: with less in 8 bits, rounding costs what they save
WORTH_IT = 0.5


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    add = parser.add_argument
    add('student', help='student file of a run')
    add(
        '--quantizer',
        help='name in the registry QUANTIZERS: ORTStatic, NNIPTQ, INCStatic (default: the '
        "student's own ranges, else ORTStatic)",
    )
    add(
        '--psnr-floor',
        type=options.positive_float,
        metavar='DB',
        help='leave those layers in float that 8 bits hurt most, until each image is that near '
        '(ORTStatic)',
    )
    add('--sensitivity', action='store_true', help='list what 8 bits do to each layer (ORTStatic)')
    add('--test', metavar='RECIPE', help='compare and score both models on its test split')
    add('--deploy-cfg', help='another runtime of configs/deploy, in int8')
    options.add(parser, 'out', 'calibration', 'images', 'skip', 'options', 'processor', 'size')
    options.add(parser, 'domain', 'demo', 'data-root', 'import')


def print_record(record: dict, out: str) -> None:
    """Print what a user has to know."""
    rows = [['layer', 'in', 'PSNR alone', 'MACs']]
    for row in record.get('layers', []):
        kind = 'int8' if row['int8'] else 'float'
        rows.append([row['layer'], kind, f'{row["psnr"]:.2f} dB', units.count(row['macs'])])
    if rows[1:]:
        print(plain(rows, words=2))
    print_floor(record)
    test, lost = record.get('test'), record['lost']
    if test:
        for name, before in test['fp32'].items():
            print(f'{name}: {before:.4g} in single precision, {test["int8"][name]:.4g} in 8 bits')
        all_of = test['lost']
        print(
            f'{all_of["images"]} test images of {test["recipe"]}: '
            f'{decibels(all_of["psnr"])} (PSNR, SSIM {all_of["ssim"]:.4f}) '
            'from single precision in the mean, '
            f'{decibels(all_of["worst_psnr"])} at worst'
        )
    export, worst = record['export'], f'{decibels(lost["psnr"])} (PSNR, SSIM {lost["ssim"]}'
    print(
        f'{out}/{next(iter(export["files"]))}: {worst}, '
        f'max-abs {lost["max_abs"]:.3f}) from single precision on the worst of {lost["images"]} '
        f'images; made for processor {export["processor"]}, {export["size"]}x{export["size"]}'
    )
    print_size(export)
    from ..deploy.verify import VISIBLE

    if lost['psnr'] is not None and lost['psnr'] < VISIBLE:
        print(
            'That can be seen: more calibration images, --psnr-floor, or '
            'training with quantization (configs/quantization) lose less'
        )


def print_floor(record: dict) -> None:
    """Print what a floor leaves in float, and whether 8 bits still pay."""
    floor, share = record.get('psnr_floor'), record.get('int8_share_of_macs', 1)
    if floor is None or share == 1:
        return
    layers = record['layers']
    print(
        f'--psnr-floor {floor:g} leaves {sum(not row["int8"] for row in layers)} of '
        f'{len(layers)} layers in float: 8 bits compute {share:.0%} of their multiply-accumulates'
    )
    if share < WORTH_IT:
        print(
            'So little in 8 bits hardly saves time: compare it with single precision by '
            'mmgan-compress benchmark, or lower the floor'
        )


def decibels(psnr) -> str:
    """Return a PSNR as it is printed."""
    return 'no difference' if psnr is None else f'{psnr:.2f} dB'


def run(args: argparse.Namespace):
    """Quantize, print what was lost."""
    from ..engine.quantize import quantize

    with options.stdout_for_result():
        record = quantize(args)
    print_record(record, args.out)
    if record['floor_met'] is False:
        raise ValueError(
            f'--psnr-floor {args.psnr_floor:g} was found on the calibration '
            'images and is not met on those above: give more calibration '
            'images like them, or a higher floor'
        )
