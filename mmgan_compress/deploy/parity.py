"""Proof that a runtime gives the same pictures as torch."""
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
import torch.nn as nn

from .. import pictures
from ..data.images import list_images

DEMO = Path(__file__).resolve().parents[1] / 'data' / 'demo'
MAX_IMAGES = 8


class ParityError(RuntimeError):
    """A converted model is not the model that it was made from.

    Args:
        report (dict): What :func:`compare` measured.
    """

    def __init__(self, report: dict):
        self.report = report
        wrong = [f'{check["input"]} {check["shape"]}: max-abs '
                 f'{check["max_abs"]:.3g}, PSNR {check["psnr"]} dB'
                 for check in report['checks'] if not check['passed']]
        super().__init__(
            f'{report["runtime"]} differs from torch by more than '
            f'{report["tolerance"]:g} on {len(wrong)} of '
            f'{len(report["checks"])} inputs:\n  ' + '\n  '.join(wrong)
            + '\nThe new files were removed, earlier ones are untouched. '
            'Where the difference is acceptable, raise the tolerance')


def sample_inputs(size: int, multiple: int, dynamic: bool,
                  images: Any = None) -> list[tuple[str, np.ndarray]]:
    """Gather random, flat and real inputs to compare on.

    Args:
        size (int): Side of the images.
        multiple (int): Size multiple of the network.
        dynamic (bool): Add a batch of two of another size, not square.
        images (Any): What ``mmgan_compress.translate`` takes; the demo's
            images, if they are there, by default. At most 8 are used.

    Returns:
        list[tuple[str, ndarray]]: Name and (N, 3, H, W) in [-1, 1], float32.
    """
    shapes = [(1, 3, size, size)]
    if dynamic:
        shapes.append((2, 3, size + multiple, size + 2 * multiple))
    draw = np.random.default_rng(0)
    samples = [('random', draw.uniform(-1, 1, shape).astype(np.float32))
               for shape in shapes]
    # one colour around a small thing: the hardest for sums in float32
    flat = np.ones(shapes[0], np.float32)
    flat[..., size // 4:size // 2, size // 4:size // 2] = -1
    samples.append(('flat', flat))
    if images is None:
        images = list_images(str(DEMO), '') or []
    jobs = pictures.collect(images) if images else []
    chosen = np.unique(np.linspace(0, len(jobs) - 1, MAX_IMAGES).astype(int))
    for job in [jobs[i] for i in chosen] if jobs else []:
        image = pictures.as_rgb(job.image).resize((size, size))
        samples.append((job.name, pictures.to_tensor(image).numpy()))
    return samples


def compare(net: nn.Module, other: Callable[[np.ndarray], np.ndarray],
            samples: list[tuple[str, np.ndarray]], tolerance: float,
            runtime: str) -> dict:
    """Compare a runtime's outputs with those of torch.

    Args:
        net (nn.Module): The student as :func:`load_student` returns it.
        other (Callable): The converted model, on arrays.
        samples (list): Of :func:`sample_inputs`.
        tolerance (float): Largest difference of a value in [-1, 1].
        runtime (str): Name for the report.

    Returns:
        dict: ``max_abs`` and ``psnr`` (dB, range 2; None if equal) of the
        worst input, and ``checks`` with those of each.

    Raises:
        ParityError: If a difference is above the tolerance, is not a number,
            or a shape is another.
        ValueError: If a part of the network is in train mode.
    """
    # ONNX Runtime ignores a dropout that was exported in train mode, and the
    # exporter writes every batch norm as in eval mode: the figures would not
    # tell, other runtimes would
    if any(module.training for module in net.modules()):
        raise ValueError('the network is in train mode, or a part of it: '
                         'expected eval mode, call net.eval() first')
    checks = []
    for name, x in samples:
        with torch.inference_mode():
            expected = net(torch.from_numpy(x)).numpy()
        max_abs, psnr = difference(expected, other(x))
        checks.append(dict(input=name, shape='x'.join(map(str, x.shape)),
                           max_abs=max_abs, psnr=psnr,
                           passed=max_abs <= tolerance))
    report = dict(
        runtime=runtime, torch=torch.__version__, tolerance=tolerance,
        max_abs=max(check['max_abs'] for check in checks),
        psnr=min((check['psnr'] for check in checks
                  if check['psnr'] is not None), default=None),
        checks=checks)
    if not all(check['passed'] for check in checks):
        raise ParityError(report)
    return report


def difference(expected: np.ndarray,
               got: np.ndarray) -> tuple[float, Optional[float]]:
    """Return the largest difference and the PSNR in dB (None if equal).

    Args:
        expected (ndarray): Values in [-1, 1].
        got (ndarray): What is compared with it.

    Returns:
        tuple[float, float | None]: Infinity and minus infinity for another
        shape or values that are no numbers.
    """
    if expected.shape != got.shape or not np.isfinite(got).all():
        return math.inf, -math.inf
    error = expected.astype(np.float64) - got
    mse = float(np.mean(error**2))
    psnr = round(10 * math.log10(4 / mse), 2) if mse else None
    return float(np.abs(error).max()), psnr
