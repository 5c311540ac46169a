"""Quantize a student and score both models on a recipe's test split."""

import dataclasses
from argparse import Namespace
from pathlib import Path

from mmengine.config import Config

from ..core.inputs import is_noise
from ..deploy.export import CALIBRATION_IMAGES
from ..deploy.targets import Target, read_target
from ..models.student import load_student, student_info
from ..pruning.workflow import read_options
from ..quantization.workflow import (
    LOWERED,
    RuntimeNetwork,
    build_quantizer,
    loss_on,
    quantize_student,
    write_record,
)
from .evaluate import named_images, read_recipe, recipe_images, score_networks, source_of


def quantize(args: Namespace) -> dict:
    """Quantize a student, and score it where a recipe is given.

    Args:
        args (Namespace): Command line of ``mmgan-compress quantize``.

    Returns:
        dict: The content of quantize.json.

    Raises:
        ValueError: If an option does not fit the student or the others.
    """
    info = student_info(args.student)
    domain = args.domain or info['default_domain']
    source = source_of(info, domain)
    if args.test and is_noise(load_student(args.student, domain)):
        raise ValueError(
            '--test compares pictures made from images, and this student makes them from noise: '
            'leave it out, the loss is measured on noise'
        )
    quantizer = _quantizer_of(args, info)
    build_quantizer(quantizer)
    target = read_target(args.deploy_cfg) if args.deploy_cfg else LOWERED
    if args.processor:
        target = dataclasses.replace(target, processor=args.processor)
    # what is missing shows before the work
    data, test, tested = [args.demo, args.data_root], None, None
    if args.test:
        test = read_recipe(args.test, 'test_dataloader', info, *data)
        check_size(args, test, target, info)
        tested = recipe_images(test, 'test_dataloader', source)
    calibration = named_images(
        args.calibration, 'train_dataloader', info, domain, CALIBRATION_IMAGES, *data
    )
    images = args.images or tested
    record = quantize_student(
        args.student, args.out, quantizer, calibration, target, args.size, images, domain
    )
    if test is not None:
        record['test'] = _score(args, test, tested, [source, domain], record)
        write_record(args.out, record)
    return record


def check_size(args: Namespace, cfg: Config, target: Target, info: dict) -> None:
    """Refuse a fixed size that the test images do not have."""
    size = args.size or info['image_size']
    tested = cfg.test_dataloader.dataset.get('size', size)
    if not target.dynamic and size != tested:
        raise ValueError(
            f'the model takes {size}x{size} images and those of {args.test} are {tested}x{tested}: '
            f'say --size {tested}, or take a dynamic deploy config'
        )


def _score(args: Namespace, cfg: Config, images: list, domains: list, record: dict) -> dict:
    """Return the figures of both models on the test split."""
    model = Path(args.out, next(iter(record['export']['files'])))
    networks = dict(
        fp32=load_student(args.student, domains[1]),
        int8=RuntimeNetwork(model, record['export']['uint8']),
    )
    lost = loss_on(*networks.values(), images)
    figures, protocols = score_networks(cfg, networks, domains, domains[1])
    return dict(recipe=Path(args.test).name, lost=lost, protocols=protocols, **figures)


def _quantizer_of(args: Namespace, info: dict) -> dict:
    """Return the quantizer's config."""
    chosen = dict(skip=args.skip, psnr_floor=args.psnr_floor, sensitivity=args.sensitivity or None)
    chosen = {key: value for key, value in chosen.items() if value is not None}
    options = dict(read_options(args.options), **chosen)
    learnt = info.get('quantization') and not options and not args.calibration
    own = 'StudentScales' if learnt else 'ORTStatic'
    return dict(type=args.quantizer or own, **options)
