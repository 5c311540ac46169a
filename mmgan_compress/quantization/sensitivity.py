"""Which convolutions tolerate 8 bits: mixed precision for a PSNR floor.

Each convolution is quantized alone, and the error of the image is measured.
The convolutions then go to 8 bits in the order of error per
multiply-accumulate, as long as the images stay above the floor: of the sets
of that order the largest, found by halving, each measured as a whole.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from ..compat import require
from ..deploy.quantize_onnx import check_settings, chosen_nodes, static
from ..deploy.scales import layer_names

_MOST_IMAGES = 8  # that errors are measured on


class LayerError(NamedTuple):
    """What 8 bits do to one layer.

    Args:
        layer (str): Its name in torch.
        node (str): Its name in the ONNX file.
        psnr (float): In dB, of the worst image, if it alone is quantized.
        macs (int): Multiply-accumulates of an image.
        int8 (bool): Whether it is of the chosen set.
        set_psnr (float): In dB, of the worst image, with the chosen set.
    """

    layer: str
    node: str
    psnr: float
    macs: int
    int8: bool
    set_psnr: float


def rank(
    model: Any,
    calibration: Sequence[np.ndarray],
    macs: Mapping[str, int],
    settings: dict[str, Any] | None = None,
    floor: float | None = None,
) -> list[LayerError]:
    """Rank the layers of a model and choose those to quantize.

    Args:
        model (ModelProto): In single precision.
        calibration (Sequence[ndarray]): Its inputs; ranges are found on all
            of them, errors measured on 8.
        macs (Mapping[str, int]): Multiply-accumulates of an image by layer.
        settings (dict | None): As of ``quantize_onnx.check_settings``.
        floor (float | None): Least PSNR of the worst image in dB. Without,
            all layers that are not skipped are chosen.

    Returns:
        list[LayerError]: The least sensitive first.

    Raises:
        ValueError: If not one layer may be quantized.
    """
    settings = check_settings(settings)
    nodes = [node.name for node in chosen_nodes(model, settings['skip'])]
    layers = layer_names(model)
    costs = {node: macs.get(layers.get(node, ''), 0) for node in nodes}
    chosen = np.unique(np.linspace(0, len(calibration) - 1, _MOST_IMAGES).astype(int))
    inputs = [calibration[i] for i in chosen]
    expected = _run(model, inputs)
    # images of 8 bits have a range of 255, those in [-1, 1] of 2
    span = 255 if expected[0].dtype == np.uint8 else 2
    with static(model, calibration, settings) as make:

        def trial(names: Sequence[str]) -> tuple[float, float]:
            """Return the mean squared error, and the worst PSNR."""
            errors = [
                float(np.mean((a.astype(np.float64) - b) ** 2))
                for a, b in zip(_run(make(names), inputs), expected)
            ]
            return float(np.mean(errors)), 10 * math.log10(span**2 / max(errors)) if max(
                errors
            ) else math.inf

        alone = {name: trial([name]) for name in tqdm(nodes, desc='sensitivity', leave=False)}
        order = sorted(nodes, key=lambda name: alone[name][0] / max(costs[name], 1))
        count, psnr = _longest(order, lambda names: trial(names)[1], floor)
    if not count:
        best = max(psnr for _, psnr in alone.values())
        raise ValueError(
            f'no layer can be quantized at {floor} dB: the least sensitive '
            f'leaves {best:.2f} dB. Lower the floor, or train with '
            'quantization'
        )
    return [
        LayerError(
            layers.get(name, name),
            name,
            round(alone[name][1], 2),
            costs[name],
            at < count,
            round(psnr, 2),
        )
        for at, name in enumerate(order)
    ]


def _run(model: Any, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    runtime = require('onnxruntime', 'Quantization')
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors only
    session = runtime.InferenceSession(
        model.SerializeToString(), options, providers=['CPUExecutionProvider']
    )
    entry = session.get_inputs()[0].name
    return [session.run(None, {entry: x})[0] for x in inputs]


def _longest(
    order: Sequence[str], psnr_of: Callable[[Sequence[str]], float], floor: float | None
) -> tuple[int, float]:
    """Return how many of the first ones meet the floor, and their PSNR."""
    psnr = psnr_of(order)
    if floor is None or psnr >= floor:
        return len(order), psnr
    low, best, high = 0, math.inf, len(order)
    while high - low > 1:
        middle = (low + high) // 2
        psnr = psnr_of(order[:middle])
        if psnr >= floor:
            low, best = middle, psnr
        else:
            high = middle
    return low, best
