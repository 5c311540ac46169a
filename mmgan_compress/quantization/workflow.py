"""A student in, an 8-bit model with its loss of quality out."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn as nn
from torch import Tensor

from ..compat import require
from ..core.channels import input_shape
from ..core.files import write_text
from ..core.inputs import Noise, input_of
from ..deploy.export import CALIBRATION_IMAGES, LOSS, export_student
from ..deploy.formats import check_target, open_model
from ..deploy.metadata import takes_of
from ..deploy.targets import Target
from ..deploy.verify import (
    difference,
    feeds,
    from_levels,
    noise_inputs,
    real_inputs,
    similarity,
    with_styles,
)
from ..models.student import load_student
from ..models.student_config import kind_of_input
from ..registry import QUANTIZERS

LOWERED = Target(precision='int8')
# inputs of export_student that are no real images
_MADE = ('random', 'flat')


def quantize_student(
    student: str | Path,
    out_dir: str | Path,
    quantizer: dict,
    calibration: Any = None,
    target: Target = LOWERED,
    size: int | None = None,
    images: Any = None,
    domain: str | None = None,
) -> dict:
    """Make the int8 model of a student and say what it loses.

    Args:
        student (str | Path): Student file.
        out_dir (str | Path): Folder for what ``export_student`` writes, and
            for ``quantize.json``.
        quantizer (dict): Config, of the registry ``QUANTIZERS``.
        calibration (Any): Training images, as for ``translate``.
        target (Target): The runtime, in ``'int8'``.
        size (int | None): Side of the images; as of ``export_student``.
        images (Any): What the loss is measured on; the demo's if None.
        domain (str | None): Domain to generate; the default one if None.

    Returns:
        dict: What is in ``quantize.json``: ``'lost'`` has the ``max_abs``
        and the worst ``psnr`` (dB) and ``ssim`` of real images against the
        student in single precision; ``'floor_met'`` whether that reaches
        the quantizer's ``psnr_floor``, which it had to find on the
        calibration images; ``'export'`` the whole comparison.

    Raises:
        ValueError: If the target is not int8, images are missing, or the
            quantizer cannot be used so.
        FileNotFoundError: If student or images are missing.
        FileExistsError: As of ``export_student``.
    """
    if target.precision != 'int8':
        raise ValueError(f'the target is {target.precision}: expected a deploy config of int8')
    check_target(target)
    method = build_quantizer(quantizer)
    net = load_student(student, domain)
    size = size or net.meta['image_size']
    inputs = _inputs(method, size, calibration, net)
    plan = method.plan(net, inputs, target.processor)
    target = dataclasses.replace(
        target, settings=dict(target.settings, quantization_config=plan.settings)
    )
    report = export_student(
        student, out_dir, target, size, images=images, calibration=calibration, domain=domain
    )
    lost, floor = _lost(report), quantizer.get('psnr_floor')
    record = dict(
        student_sha256=report['student_sha256'],
        quantizer=quantizer,
        calibration_images=len(inputs) if method.calibrates else 0,
        lost=lost,
        floor_met=None if floor is None or lost['psnr'] is None else lost['psnr'] >= floor,
        **plan.summary,
        export=report,
    )
    write_record(out_dir, record)
    return record


def _inputs(method: Any, size: int, calibration: Any, net: nn.Module) -> list[np.ndarray]:
    """Return what a quantizer looks at."""
    takes = input_of(net)
    if isinstance(takes, Noise):
        return [x for _, x in noise_inputs(takes, CALIBRATION_IMAGES)]
    if not method.calibrates:  # the shape alone counts
        return [np.zeros(input_shape(net, size), np.float32)]
    if not calibration:
        raise ValueError(
            f'{type(method).__name__} needs images to calibrate on: give a '
            "folder of training images of the student's source domain "
            '(--calibration FOLDER), or a recipe'
        )
    found = real_inputs(size, calibration, CALIBRATION_IMAGES, kind_of_input(net.meta))
    return [x for _, x in with_styles(found, takes)]


def write_record(out_dir: str | Path, record: dict):
    """Write ``quantize.json``.

    Args:
        out_dir (str | Path): Folder of the export.
        record (dict): Of :func:`quantize_student`, with what was added.
    """
    write_text(Path(out_dir, LOSS), json.dumps(record, indent=2) + '\n')


def loss_on(net: nn.Module, model: nn.Module, images: Sequence[np.ndarray]) -> dict:
    """Say how far a model is from the network that it was made from.

    Args:
        net (nn.Module): In single precision.
        model (nn.Module): In 8 bits.
        images (Sequence[ndarray]): (H, W, 3), RGB, uint8.

    Returns:
        dict: ``images``, how many; the mean and the worst ``psnr`` (dB) and
        ``ssim``. None where nothing differs.
    """
    psnr, ssim = [], []
    for image in images:
        with torch.inference_mode():
            ((_, x),) = with_styles([('', from_levels(image[None]))], input_of(net))
            x = torch.from_numpy(x)
            expected, got = (run(x).numpy() for run in (net, model))
        psnr.append(difference(expected, got)[1])
        ssim.append(similarity(expected, got))
    found = [value for value in psnr if value is not None]
    return dict(
        images=len(images),
        psnr=float(np.mean(found)) if found else None,
        worst_psnr=min(found, default=None),
        ssim=float(np.mean(ssim)),
        worst_ssim=min(ssim),
    )


def build_quantizer(config: dict) -> Any:
    """Build a quantizer from its config.

    Args:
        config (dict): With its name in ``QUANTIZERS`` as ``type``.

    Raises:
        ValueError: If there is none of that name.
        TypeError: If it does not know a setting.
        ImportError: If what it needs is not installed.
    """
    for module in ('onnx', *getattr(QUANTIZERS.find(config['type']), 'needs', ())):
        require(module, config['type'])  # before the work, not in it
    return QUANTIZERS.build(dict(config))


def _lost(report: dict) -> dict:
    """Return the worst figures of real images, else of all inputs."""
    real = [check for check in report['checks'] if check['input'] not in _MADE] or report['checks']
    return dict(
        images=len(real),
        max_abs=max(check['max_abs'] for check in real),
        psnr=min((check['psnr'] for check in real if check['psnr'] is not None), default=None),
        ssim=min(check['ssim'] for check in real),
    )


class RuntimeNetwork(nn.Module):
    """A model in its runtime, in the place of a network.

    Args:
        path (str | Path): Model that was exported here: it is trusted.
        uint8 (bool): Whether it takes 8-bit pictures.
    """

    def __init__(self, path: str | Path, uint8: bool = False):
        super().__init__()
        model = open_model(path, trust=True)
        self.run, self.uint8, self.takes = model.run, uint8, takes_of(model.facts, path)

    def forward(self, x: Tensor) -> Tensor:
        """Map what the network takes to (N, 3, H, W) in [-1, 1], an image at a time."""
        inputs = [feeds(one.cpu().numpy(), self.takes, self.uint8) for one in x.split(1)]
        images = np.concatenate([self.run(*given) for given in inputs])
        return torch.from_numpy(from_levels(images) if self.uint8 else images).to(x.device)
