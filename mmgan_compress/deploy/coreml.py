"""Core ML: packages for Apple's devices, replayed in torch on any system.

Core ML runs on Apple's systems only. What is in a package, its operations
and weights, can be read anywhere: :func:`open_coreml` computes them in torch.
That proves the conversion. It does not tell how a device sums in half
precision, how it rounds the picture that it gives, how long it takes, and
which operations its Neural Engine runs.
"""

import contextlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..compat import require
from .onnx import silenced

_INSIDE = '/Data/com.apple.CoreML/'
# a package is a folder; the first is the one to open
SUFFIXES = tuple(
    f'.mlpackage{name}'
    for name in ('/Manifest.json', f'{_INSIDE}model.mlmodel', f'{_INSIDE}weights/weight.bin')
)
_WHY = 'Conversion to Core ML'


def _coremltools(feature: str) -> Any:
    with silenced():  # it says that Core ML is not on this system
        return require('coremltools', feature)


class _Picture(nn.Module):
    """Gives values of 0 to 255, as images of Core ML hold them."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return ((self.net(x) + 1) * 127.5).clamp(0, 255)


def write_coreml(
    net: nn.Module,
    image: Tensor,
    path: Path,
    names: tuple[str, str],
    facts: Mapping[str, str],
    half: bool = False,
    pictures: bool = False,
) -> None:
    """Write a package.

    Args:
        net (nn.Module): Network, of ``deploy.onnx.traceable``.
        image (Tensor): Example of its input, likewise; (1, C, H, W).
        path (Path): Folder to write, ``*.mlpackage``.
        names (tuple[str, str]): Of the input and the output.
        facts (Mapping[str, str]): Metadata for the package.
        half (bool): Compute in half precision, which the Neural Engine needs.
        pictures (bool): Take and give images of Core ML; the normalisation
            is inside.

    Raises:
        ImportError: If coremltools is not installed.
        ValueError: If pictures are neither grey nor RGB.
    """
    tools = _coremltools(_WHY)
    entry: Any = tools.TensorType(names[0], image.shape)
    result: Any = tools.TensorType(names[1])
    if pictures:
        layout = {1: tools.colorlayout.GRAYSCALE, 3: tools.colorlayout.RGB}.get(image.shape[1])
        if layout is None:
            raise ValueError(f'Core ML has no pictures of {image.shape[1]} channels: no --uint8')
        net = _Picture(net).eval()
        entry = tools.ImageType(
            names[0],
            image.shape,
            scale=1 / 127.5,
            bias=-1.0 if image.shape[1] == 1 else [-1.0] * 3,
            color_layout=layout,
        )
        result = tools.ImageType(names[1], color_layout=layout)
    with silenced(), contextlib.redirect_stderr(io.StringIO()):  # its bars, five a model
        program = torch.export.export(net, (image,)).run_decompositions({})
        model = tools.convert(
            program,
            convert_to='mlprogram',
            inputs=[entry],
            outputs=[result],
            minimum_deployment_target=tools.target.iOS16,
            compute_precision=tools.precision.FLOAT16 if half else tools.precision.FLOAT32,
        )
        model.user_defined_metadata.update(facts)
        model.save(str(path))


def open_coreml(path: Path) -> tuple[dict[str, str], Callable[[np.ndarray], np.ndarray]]:
    """Open a package; return its metadata, and what replays it in torch.

    Args:
        path (Path): Folder of the package.

    Returns:
        tuple: The metadata, and a function of (1, C, H, W), float32, and for
        a package of pictures of (1, H, W, C), uint8.

    Raises:
        ImportError: If coremltools is not installed.
        ValueError: If the package has operations that are not known here.
    """
    tools = _coremltools('Reading of a package')
    load = require('coremltools.converters.mil.frontend.milproto.load', 'Replay').load
    types = require('coremltools.converters.mil.mil.types', 'Replay')
    model = tools.models.MLModel(str(path), skip_model_load=True)
    spec = model.get_spec()
    main = load(spec, spec.specificationVersion, file_weights_dir=model.weights_dir)
    main = main.functions['main']
    unknown = {op.op_type for op in main.operations} - OPERATIONS.keys() - {'const'}
    if unknown:
        raise ValueError(f'{path} has {sorted(unknown)}, which are not replayed here')
    facts = dict(spec.description.metadata.userDefined)

    @torch.inference_mode()
    def replay(x: Tensor) -> Tensor:
        (name,) = main.inputs
        values = {name: x}
        for op in main.operations:
            if op.op_type == 'const':
                continue
            inputs = {key: _value(var, values) for key, var in op.inputs.items()}
            (made,) = op.outputs
            y = OPERATIONS[op.op_type](**inputs)
            # half precision is what is stored; sums are in single here
            values[made.name] = y.half().float() if made.dtype == types.fp16 else y
        return values[main.outputs[0].name]

    def run(x: np.ndarray) -> np.ndarray:
        if facts.get('layout') != 'NHWC':
            return replay(torch.from_numpy(x)).numpy()
        y = replay(torch.from_numpy(x).permute(0, 3, 1, 2).float())
        return y.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()

    return facts, run


def _value(var: Any, values: dict[str, Tensor]) -> Any:
    """Return an input of an operation: a tensor, several, or a setting."""
    if isinstance(var, (list, tuple)):
        return [_value(one, values) for one in var]
    if var is None or var.name in values:
        return None if var is None else values[var.name]
    value = var.val
    if isinstance(value, np.ndarray) and value.dtype.kind == 'f':
        return torch.from_numpy(value.astype(np.float32))
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _pad(x: Tensor, pad: list[int], mode: str = 'constant', constant_val: float = 0.0) -> Tensor:
    pairs = list(zip(pad[::2], pad[1::2]))
    while len(pairs) > 2 and pairs[0] == (0, 0):  # batch and channels
        pairs.pop(0)
    words = [size for pair in reversed(pairs) for size in pair]  # torch: the last dimension first
    extra = dict(value=float(constant_val)) if mode == 'constant' else {}
    return F.pad(x, words, mode, **extra)


def _conv(x: Tensor, weight: Tensor, bias: Tensor | None = None, **settings: Any) -> Tensor:
    kind, pad = settings.get('pad_type', 'valid'), settings.get('pad') or [0, 0, 0, 0]
    if kind == 'custom':
        x = _pad(x, pad)
    elif kind != 'valid':
        raise ValueError(f'padding {kind!r} is not replayed here')
    return F.conv2d(
        x,
        weight,
        bias,
        settings.get('strides') or 1,
        dilation=settings.get('dilations') or 1,
        groups=settings.get('groups') or 1,
    )


def _conv_transpose(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, **settings: Any
) -> Tensor:
    y = F.conv_transpose2d(
        x,
        weight,
        bias,
        settings.get('strides') or 1,
        groups=settings.get('groups') or 1,
        dilation=settings.get('dilations') or 1,
    )
    top, bottom, left, right = settings.get('pad') or [0, 0, 0, 0]
    return _crop(y, [top, bottom], [left, right])


def _crop(x: Tensor, crop_height: list[int], crop_width: list[int]) -> Tensor:
    for axis, (before, after) in ((-2, crop_height), (-1, crop_width)):
        x = x.narrow(axis, before, x.shape[axis] - before - after)
    return x


# operations that generators become; settings have the names of Core ML
OPERATIONS: dict[str, Callable[..., Tensor]] = {
    'add': lambda x, y: x + y,
    'cast': lambda x, dtype: x.half().float() if dtype == 'fp16' else x,
    'clip': lambda x, alpha, beta: x.clamp(float(alpha), float(beta)),
    'concat': lambda values, axis, interleave=False: torch.cat(values, axis),
    'conv': _conv,
    'conv_transpose': _conv_transpose,
    'crop': _crop,
    'instance_norm': lambda x, gamma=None, beta=None, epsilon=1e-5: F.instance_norm(
        x, None, None, gamma, beta, eps=float(epsilon)
    ),
    'leaky_relu': lambda x, alpha: F.leaky_relu(x, float(alpha)),
    'mul': lambda x, y: x * y,
    'pad': _pad,
    'relu': lambda x: x.relu(),
    'sub': lambda x, y: x - y,
    'tanh': lambda x: x.tanh(),
    'upsample_nearest_neighbor': lambda x, scale_factor_height, scale_factor_width: F.interpolate(
        x, scale_factor=(float(scale_factor_height), float(scale_factor_width))
    ),
}
