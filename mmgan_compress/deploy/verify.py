"""Comparison of an exported model with torch."""

import copy
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from ..core.inputs import LabelMap, Noise, StyledImage, input_of
from ..core.messages import check_range
from ..datasets import pictures
from ..datasets.images import read_as, resized

DEMO = Path(__file__).resolve().parents[1] / 'datasets/demo/flat2emoji/testA'
MAX_IMAGES = 8


class Limits(NamedTuple):
    """Differences that are allowed; None allows any.

    Args:
        max_abs (float | None): Largest difference of a value in [-1, 1].
        psnr (float | None): Least PSNR in dB.
    """

    max_abs: float | None = None
    psnr: float | None = None


# Half precision: max-abs 2e-3 to 2e-2, PSNR 61 to 86 dB measured on trained
# and on random networks. The loss of 8 bits is reported (40 to 45 dB where
# they were calibrated well, 11 to 18 on noise with random weights); below
# the limit it is another picture.
LIMITS = {'fp32': Limits(1e-4), 'fp16': Limits(5e-2, 50.0), 'int8': Limits(psnr=10.0)}
VISIBLE = 30.0  # dB: below, a loss is worth a warning
LEVEL = 1 / 127.5  # a grey level
# values between two levels may fall to either side
PICTURE = Limits(1.01 * LEVEL, 60.0)


def limits(precision: str, uint8: bool = False, tolerance: float | None = None) -> Limits:
    """Return the limits for a precision.

    Args:
        precision (str): ``'fp32'``, ``'fp16'`` or ``'int8'``.
        uint8 (bool): Whether the model gives 8-bit pictures.
        tolerance (float | None): ``max_abs``, in place of these limits.

    Raises:
        ValueError: If the tolerance is not above 0.
    """
    if tolerance is not None:
        check_range('tolerance', tolerance, 0, above=True)
    chosen = LIMITS[precision]
    if uint8 and precision == 'fp32':
        chosen = PICTURE
    return chosen if tolerance is None else Limits(tolerance)


class ParityError(ValueError):
    """A converted model gives other pictures than torch.

    Args:
        report (dict): What :func:`compare` measured.
    """

    def __init__(self, report: dict):
        self.report = report
        wrong = [
            f'{check["input"]} {check["shape"]}: max-abs '
            f'{check["max_abs"]:.3g}, PSNR {check["psnr"]} dB'
            for check in report['checks']
            if not check['passed']
        ]
        super().__init__(
            f'{report["runtime"]} differs from torch by more than '
            f'{report["tolerance"]} (PSNR at least {report["least_psnr"]} dB)'
            f' on {len(wrong)} of {len(report["checks"])} inputs:\n  '
            + '\n  '.join(wrong)
            + '\nThe new files were removed, earlier ones are untouched. '
            'Where the difference is acceptable, raise the tolerance'
        )


def sample_inputs(
    size: int, multiple: int, dynamic: bool, images: Any = None, kind: int | LabelMap = 3
) -> list[tuple[str, np.ndarray]]:
    """Gather random, flat and real inputs to compare on.

    Args:
        size (int): Side of the images.
        multiple (int): Size multiple of the network.
        dynamic (bool): Add a batch of two of another size, not square.
        images (Any): What ``mmgan_compress.translate`` takes; the demo's
            unpaired test images by default. At most 8 are used.
        kind (int | LabelMap): What it takes, an image of so many channels or
            a label map.

    Returns:
        list[tuple[str, ndarray]]: Name and (N, C, H, W) in [-1, 1], float32.
    """
    labels = not isinstance(kind, int)
    channels = kind.channels if labels else kind
    shapes = [(1, channels, size, size)]
    if dynamic:
        shapes.append((2, channels, size + multiple, size + 2 * multiple))
    rng = np.random.default_rng(0)
    samples = [
        (
            'random',
            kind.draw(shape, rng) if labels else rng.uniform(-1, 1, shape).astype(np.float32),
        )
        for shape in shapes
    ]
    # one colour around a small thing: the hardest for sums in float32
    flat = np.ones(shapes[0], np.float32)
    if labels:
        flat = kind.draw((1, channels, 1, 1), rng).repeat(size, 2).repeat(size, 3)
    flat[..., size // 4 : size // 2, size // 4 : size // 2] = -1
    samples.append(('flat', flat))
    if images is None and not labels:
        images = DEMO if DEMO.is_dir() else None
    return samples + real_inputs(size, images, MAX_IMAGES, kind)


def noise_inputs(noise: Noise, count: int, dynamic: bool = False) -> list[tuple[str, np.ndarray]]:
    """Draw inputs of a network that makes images from noise.

    Args:
        noise (Noise): What it takes.
        count (int): How many single ones.
        dynamic (bool): Add a batch of two.

    Returns:
        list[tuple[str, ndarray]]: Name and (N, size), float32.
    """
    drawn = [noise.draw(0, position)[None].numpy() for position in range(count)]
    both = [('noise', np.concatenate(drawn[:2]))] if dynamic else []
    return [(f'noise {position}', x) for position, x in enumerate(drawn)] + both


def real_inputs(
    size: int, images: Any, most: int, kind: int | LabelMap = 3
) -> list[tuple[str, np.ndarray]]:
    """Read images as inputs of a network.

    Args:
        size (int): Side that they are resized to.
        images (Any): What ``mmgan_compress.translate`` takes.
        most (int): How many at most, evenly chosen.
        kind (int | LabelMap): As of ``images.read_as``.

    Returns:
        list[tuple[str, ndarray]]: Name and (1, C, size, size) in [-1, 1].
    """
    jobs = pictures.collect(images) if images else []
    chosen = np.unique(np.linspace(0, len(jobs) - 1, most).astype(int))
    inputs = []
    for job in [jobs[i] for i in chosen] if jobs else []:
        image = resized(read_as(job.image, kind), (size, size), kind)
        inputs.append((job.name, pictures.to_tensor(image).numpy()))
    return inputs


def with_styles(samples: list[tuple[str, np.ndarray]], takes: Any) -> list[tuple[str, np.ndarray]]:
    """Give each image a style of its own, where a network takes one.

    Args:
        samples (list): Name and (N, C, H, W), float32.
        takes (Any): Of ``input_of``.

    Returns:
        list[tuple[str, ndarray]]: Name and what the network takes.
    """
    if not isinstance(takes, StyledImage):
        return samples
    noise, places, styled = Noise(takes.style), itertools.count(), []
    for name, x in samples:
        styles = torch.stack([noise.draw(0, next(places)) for _ in x])
        styled.append((name, takes.pack(torch.from_numpy(x), styles).numpy()))
    return styled


def feeds(x: np.ndarray, takes: Any = None, uint8: bool = False) -> tuple[np.ndarray, ...]:
    """Return the inputs of a file for what a network takes.

    Args:
        x (ndarray): (N, ...), float32.
        takes (Any): Of ``input_of``: a styled image becomes two inputs.
        uint8 (bool): Whether the file takes 8-bit pictures.
    """
    image, *style = takes.split(x) if isinstance(takes, StyledImage) else (x,)
    parts = (to_levels(image) if uint8 else image, *style)
    return tuple(map(np.ascontiguousarray, parts))


class Exact:
    """A student in torch in double precision, which keeps what it gave.

    Double, because torch's own rounding in single precision reaches the
    tolerance on flat images.

    Args:
        net (nn.Module): The student as :func:`load_student` returns it.
    """

    def __init__(self, net: nn.Module):
        self._net, self.takes = copy.deepcopy(net).double(), input_of(net)
        self._known: dict[tuple, np.ndarray] = {}

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Map (N, C, H, W), float32 in [-1, 1] to the same in float64."""
        key = x.shape, x.tobytes()
        if key not in self._known:
            with torch.inference_mode():
                self._known[key] = self._net(torch.from_numpy(x).double()).numpy()
        return self._known[key]


class Shared:
    """What exports of one student have in common, each part made once.

    Args:
        net (nn.Module): The student as :func:`load_student` returns it.
    """

    def __init__(self, net: nn.Module):
        self.exact = Exact(net)
        self._made: dict[tuple, Any] = {}

    def once(self, key: tuple, make: Callable[[], Any]) -> Any:
        """Return what was made under a key; make it if nothing was."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def compare(
    exact: Exact,
    other: Callable[[np.ndarray], np.ndarray],
    samples: list[tuple[str, np.ndarray]],
    allowed: Limits,
    runtime: str,
    uint8: bool = False,
) -> dict:
    """Compare a runtime's outputs with those of torch in double precision.

    Args:
        exact (Exact): The student.
        other (Callable): The converted model, on arrays.
        samples (list): Of :func:`sample_inputs`.
        allowed (Limits): What still counts as equal.
        runtime (str): Name for the report.
        uint8 (bool): Whether it takes and gives 8-bit pictures.

    Returns:
        dict: ``max_abs``, ``psnr`` (dB, range 2; None if equal) and
        ``ssim`` of the worst input, and ``checks`` with those of each.

    Raises:
        ParityError: If a difference is above the limits, is not a number,
            or a shape is another.
    """
    checks = []
    for name, x in samples:
        image, *style = feeds(x, exact.takes, uint8)
        got = other(image, *style)
        if uint8:  # behind the image there may be a style
            values = from_levels(image)
            x = np.concatenate([values, x[:, values.shape[1] :]], 1)
            expected, got = from_levels(to_levels(exact(x))), from_levels(got)
        else:
            expected = exact(x)
        max_abs, psnr = difference(expected, got)
        same = psnr is None
        checks.append(
            dict(
                input=name,
                shape='x'.join(map(str, x.shape)),
                max_abs=max_abs,
                psnr=psnr,
                ssim=1.0 if same else similarity(expected, got),
                passed=math.isfinite(max_abs)
                and (allowed.max_abs is None or max_abs <= allowed.max_abs)
                and (same or allowed.psnr is None or psnr >= allowed.psnr),
            )
        )
    report = dict(
        runtime=runtime,
        torch=torch.__version__,
        tolerance=allowed.max_abs,
        least_psnr=allowed.psnr,
        max_abs=max(check['max_abs'] for check in checks),
        psnr=min((check['psnr'] for check in checks if check['psnr'] is not None), default=None),
        ssim=min(check['ssim'] for check in checks),
        checks=checks,
    )
    if not all(check['passed'] for check in checks):
        raise ParityError(report)
    return report


def to_levels(x: np.ndarray) -> np.ndarray:
    """Turn (N, C, H, W) in [-1, 1] into (N, H, W, C), uint8."""
    levels = np.rint(np.clip((x + 1) * 127.5, 0, 255)).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(0, 2, 3, 1))


def from_levels(levels: np.ndarray) -> np.ndarray:
    """Turn (N, H, W, C), uint8 into (N, C, H, W) in [-1, 1]."""
    return (levels.transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 127.5


def similarity(expected: np.ndarray, got: np.ndarray) -> float:
    """Return the SSIM of images in [-1, 1]; 0 where they cannot be compared.

    torchmetrics' with its defaults (11x11 Gaussian, sigma 1.5, mirrored
    edges), by rows and columns: 22 products for each pixel, not 121.

    Args:
        expected (ndarray): (N, 3, H, W).
        got (ndarray): What is compared with it.
    """
    if expected.shape != got.shape or not np.isfinite(got).all():
        return 0.0
    x, y = (torch.from_numpy(np.asarray(image, np.float64)) for image in (got, expected))
    line = torch.exp(-((torch.arange(11, dtype=torch.float64) - 5) ** 2) / (2 * 1.5**2))
    line /= line.sum()
    means = torch.stack([x, y, x * x + y * y, x * y]).flatten(0, 2)[:, None]
    means = F.pad(means, (5, 5, 5, 5), mode='reflect')
    for shape in ((1, 1, 11, 1), (1, 1, 1, 11)):
        means = F.conv2d(means, line.view(shape))
    mean_x, mean_y, squares, product = means.view(4, -1)
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    both, own = mean_x * mean_y, mean_x**2 + mean_y**2
    ssim = (2 * both + c1) * (2 * (product - both) + c2) / ((own + c1) * (squares - own + c2))
    return round(ssim.mean().item(), 6)


def difference(expected: np.ndarray, got: np.ndarray) -> tuple[float, float | None]:
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
