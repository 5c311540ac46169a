"""Which convolutions can do with 8 bits: mixed precision for a PSNR floor.

Each is quantized alone, and what that does to the image is its error. The
convolutions then go to 8 bits in the order of error per multiply-accumulate,
as long as the images stay above the floor: of the sets of that order the
largest, found by halving, each measured as a whole.
"""
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import numpy as np
from tqdm import tqdm

from ..compat import require
from .quantize_onnx import Static, check_settings, chosen_nodes
from .scales import LAYERS, layer_names

_MOST_IMAGES = 8  # that errors are measured on


class Row(NamedTuple):
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


def rank(model: Any, calibration: Sequence[np.ndarray],
         settings: Optional[dict[str, Any]] = None) -> list[Row]:
    """Rank the layers of a model and choose those to quantize.

    Args:
        model (ModelProto): In single precision.
        calibration (Sequence[ndarray]): Its inputs, of which ranges are
            found on all and errors measured on 8.
        settings (dict | None): As of :func:`quantize`; without a
            ``psnr_floor`` all layers that are not skipped are chosen.

    Returns:
        list[Row]: The least sensitive first.

    Raises:
        ValueError: If there are no inputs or not one layer may be quantized.
    """
    settings = check_settings(settings)
    if not len(calibration):
        raise ValueError('sensitivity is measured on images: give some of '
                         'the training images (--calibration FOLDER)')
    nodes = chosen_nodes(model, settings['skip'])
    layers, floor = layer_names(model), settings['psnr_floor']
    costs = _macs(model, calibration[0])
    with Static(model, calibration, settings) as static:
        trial = _Trial(static, _spread(calibration))
        alone = {node.name: trial([node.name]) for node in
                 tqdm(nodes, desc='sensitivity', leave=False)}
        order = sorted(alone, key=lambda name: (
            alone[name].mse / max(costs.get(name, 0), 1)))
        count, psnr = _longest(order, trial, floor)
    if not count:
        best = max(alone.values(), key=lambda error: error.psnr)
        raise ValueError(
            f'no layer can be quantized at {floor} dB: the least sensitive '
            f'leaves {best.psnr:.2f} dB. Lower the floor, or train with '
            'quantization')
    chosen = set(order[:count])
    return [Row(layers.get(name, name), name, round(alone[name].psnr, 2),
                costs.get(name, 0), name in chosen, round(psnr, 2))
            for name in order]


class _Error(NamedTuple):
    mse: float  # over all images
    psnr: float  # of the worst


class _Trial:
    """Measures a model with some nodes in 8 bits against all in float."""

    def __init__(self, static: Static, inputs: Sequence[np.ndarray]):
        self.static, self.inputs = static, inputs
        self.expected = self._run(static.model)

    def __call__(self, names: Sequence[str]) -> _Error:
        errors = [float(np.mean((a.astype(np.float64) - b)**2)) for a, b in
                  zip(self._run(self.static.make(names)), self.expected)]
        worst = max(errors)
        # images of 8 bits have a range of 255, those in [-1, 1] of 2
        span = 255 if self.expected[0].dtype == np.uint8 else 2
        return _Error(float(np.mean(errors)), 10 * math.log10(
            span**2 / worst) if worst else math.inf)

    def _run(self, model: Any) -> list[np.ndarray]:
        runtime = require('onnxruntime', 'Quantization')
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # errors only
        session = runtime.InferenceSession(
            model.SerializeToString(), options,
            providers=['CPUExecutionProvider'])
        entry = session.get_inputs()[0].name
        return [session.run(None, {entry: x})[0] for x in self.inputs]


def _longest(order: Sequence[str], trial: _Trial,
             floor: Optional[float]) -> tuple[int, float]:
    """Return how many of the first ones meet the floor, and their PSNR."""
    psnr = trial(order).psnr
    if floor is None or psnr >= floor:
        return len(order), psnr
    low, best, high = 0, math.inf, len(order)
    while high - low > 1:
        middle = (low + high) // 2
        psnr = trial(order[:middle]).psnr
        if psnr >= floor:
            low, best = middle, psnr
        else:
            high = middle
    return low, best


def _spread(inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    at = np.unique(np.linspace(0, len(inputs) - 1, _MOST_IMAGES).astype(int))
    return [inputs[i] for i in at]


def _macs(model: Any, image: np.ndarray) -> dict[str, int]:
    """Return the true multiply-accumulates of the convolutions by node."""
    onnx = require('onnx', 'Quantization')
    runtime = require('onnxruntime', 'Quantization')
    convs = [n for n in model.graph.node if n.op_type in LAYERS]
    sizes = {t.name: math.prod(t.dims) for t in model.graph.initializer}
    # a transposed convolution multiplies at each position of its input
    ends = {n.name: n.input[0] if n.op_type == 'ConvTranspose'
            else n.output[0] for n in convs}
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    known = {value.name for value in shown.graph.input}
    for name in sorted(set(ends.values()) - known - {
            value.name for value in shown.graph.output}):
        shown.graph.output.append(onnx.helper.make_empty_tensor_value_info(
            name))
    session = runtime.InferenceSession(
        shown.SerializeToString(), providers=['CPUExecutionProvider'])
    entry = session.get_inputs()[0].name
    values = dict(zip([o.name for o in session.get_outputs()],
                      session.run(None, {entry: image})), **{entry: image})
    return {n.name: sizes[n.input[1]] * math.prod(
        values[ends[n.name]].shape[2:]) for n in convs}
