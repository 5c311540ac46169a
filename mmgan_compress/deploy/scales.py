"""Convolutions that compute in 8 bits, by the scales of each layer.

``models/quantization.py`` describes the format of scales. What was trained or
calibrated is what an exported file computes, up to the order of float sums:
the operators are those of torch's own quantization, which the exporter of
ONNX and inductor know.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.ao.quantization.fx  # noqa: F401  registers quantized_decomposed
import torch.nn as nn
from torch import Tensor

from ..core.layers import find_layer, replace_layers
from ..core.processors import TOPS, VNNI
from .balance import weight_factors
from .graph import prepare
from .rewrites import CroppedTransposedConv, RepeatedConv

LAYERS = ('Conv', 'ConvTranspose')  # operators of ONNX
_TINY = np.finfo(np.float32).tiny


def student_scales(net: nn.Module, size: int) -> dict[str, dict] | None:
    """Return the scales of a student, for its exported weights.

    Args:
        net (nn.Module): Of :func:`load_student`.
        size (int): Side of images that it takes.

    Returns:
        dict[str, dict] | None: Scales by layer; None if it has none.
    """
    own = net.meta.get('quantization', {}).get(net.meta['domain'])
    return None if own is None else to_exported(own['layers'], net, prepare(net, size))


def to_exported(scales: Mapping[str, dict], net: nn.Module, exported: nn.Module) -> dict[str, dict]:
    """Convert scales of weights to those with batch norms folded in.

    Args:
        scales (Mapping[str, dict]): By layer.
        net (nn.Module): Network whose weights they are for.
        exported (nn.Module): What ``deploy.graph.prepare`` made of it.

    Returns:
        dict[str, dict]: By layer, with a scale for each filter.

    Raises:
        KeyError: If there is no such layer; names the nearest ones.
    """
    return {
        name: dict(
            entry,
            weight=(
                np.array(entry['weight'])
                * _factors(find_layer(net, name), find_layer(exported, name))
            ).tolist(),
        )
        for name, entry in scales.items()
    }


def _factors(layer: nn.Module, folded: nn.Module) -> np.ndarray:
    """Return by how much the fold scaled each filter."""
    before, after = (
        one.weight.detach().double().transpose(0, int(layer.transposed)).flatten(1).numpy()
        for one in (layer, folded)
    )
    if np.array_equal(before, after):
        return np.ones(len(before))
    norm = (before**2).sum(1)
    factors = np.abs((before * after).sum(1)) / np.maximum(norm, _TINY)
    return np.where(factors > 0, factors, 1.0)  # of a filter that is all zero


def layer_names(model: Any) -> dict[str, str]:
    """Return the layer that each convolution of an ONNX model comes from.

    Args:
        model (ModelProto): Written by ``deploy.onnx.write_onnx``.

    Returns:
        dict[str, str]: Name of the layer in torch, by name of the node.
    """
    integers = {
        node.output[0]: node.input[0]
        for node in model.graph.node
        if node.op_type == 'DequantizeLinear'
    }
    return {
        node.name: integers.get(node.input[1], node.input[1])
        .removeprefix('net.')
        .removesuffix('.weight')
        for node in model.graph.node
        if node.op_type in LAYERS
    }


class Rounding(nn.Module):
    """Rounds values to integers of a grid, and gives the values of these.

    Args:
        grid (Sequence): Scale and zero point of integers in 0..255.
        signed (bool): Store integers in -128..127, less 128 each.
    """

    def __init__(self, grid: Sequence, signed: bool = False):
        super().__init__()
        shift = 128 if signed else 0
        kind = torch.int8 if signed else torch.uint8
        self.grid = (float(grid[0]), int(grid[1]) - shift, -shift, 255 - shift, kind)

    def forward(self, x: Tensor) -> Tensor:
        """Round a tensor of any shape."""
        tools = torch.ops.quantized_decomposed
        return tools.dequantize_per_tensor(tools.quantize_per_tensor(x, *self.grid), *self.grid)


class Balanced(nn.Module):
    """Multiplies channels by factors, then rounds (see ``balance.py``).

    Args:
        factors (Sequence[float]): One for each channel.
        rounding (nn.Module): What follows.
    """

    def __init__(self, factors: Sequence[float], rounding: nn.Module):
        super().__init__()
        self.register_buffer('factors', torch.tensor(factors)[:, None, None])
        self.rounding = rounding

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return self.rounding(x * self.factors)


class IntegerConv(nn.Module):
    """A convolution whose input, weight and output are rounded to integers.

    Runtimes compute a dequantized input, a dequantized weight and a
    convolution in integers.

    Args:
        conv (nn.Module): Convolution in single precision; it is taken over.
        entry (dict): Its scales, as in ``models/quantization.py``.
        stored (bool): Store integer weights. If False, the rounded values
            are stored as floats.
        signed (bool): As of :class:`Rounding`.
        folded (bool): Store floats, and round them in the graph.

    Raises:
        ValueError: If the number of scales is not that of the filters.
    """

    def __init__(
        self,
        conv: nn.Module,
        entry: dict,
        stored: bool = True,
        signed: bool = False,
        folded: bool = False,
    ):
        super().__init__()
        self.conv, self.axis, self.stored, self.folded = conv, int(conv.transposed), stored, folded
        self.input, self.output = (
            Rounding(entry[key], signed) if key in entry else nn.Identity()
            for key in ('input', 'output')
        )
        if isinstance(conv, (CroppedTransposedConv, RepeatedConv)):
            # runtimes look for it beside the sums
            conv.rounding, self.output = self.output, nn.Identity()
        if 'balance' in entry:
            self.input = Balanced(entry['balance'], self.input)
            factors = np.array(entry['balance'], np.float32)
            if isinstance(conv, RepeatedConv):
                factors = factors[conv.channels.numpy()]
            factors = weight_factors(factors, conv.weight.shape, conv.groups, conv.transposed)
            conv.weight = nn.Parameter(conv.weight.detach() / torch.from_numpy(factors))
        step = self._steps(entry)
        wide = step.view([-1 if axis == self.axis else 1 for axis in range(conv.weight.ndim)])
        top = entry.get('weight_top', TOPS[VNNI])
        whole = (conv.weight.detach() / wide).round().clamp(-top, top)
        if stored:
            self.register_buffer('weight', whole * wide if folded else whole.to(torch.int8))
            self.register_buffer('step', step)
            self.register_buffer('zeros', torch.zeros(len(step), dtype=torch.int64))
        else:
            conv.weight.data = whole * wide

    def _steps(self, entry: dict) -> Tensor:
        """Return a scale for each filter."""
        step = torch.tensor(entry['weight'], dtype=torch.float32)
        filters = self.conv.weight.shape[self.axis]
        if isinstance(self.conv, RepeatedConv) and len(step) == int(self.conv.filters.max()) + 1:
            step = step[self.conv.filters]
        if len(step) not in (1, filters):
            raise ValueError(f'{len(step)} scales for a weight of {filters} filters')
        return step.expand(filters).contiguous()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) as the convolution does, in 8 bits."""
        x = self.input(x)
        if self.stored:
            tools = torch.ops.quantized_decomposed
            grid = (self.step, self.zeros, self.axis, -127, 127, torch.int8)
            weight = tools.quantize_per_channel(self.weight, *grid) if self.folded else self.weight
            weight = tools.dequantize_per_channel(weight, *grid)
            y = torch.func.functional_call(self.conv, {'weight': weight}, (x,))
        else:
            y = self.conv(x)
        return self.output(y)


def to_integers(
    net: nn.Module,
    scales: Mapping[str, dict],
    transposed: bool = True,
    signed: bool = False,
    folded: bool = False,
) -> None:
    """Let convolutions of a network compute in 8 bits, in place.

    Args:
        net (nn.Module): Of ``deploy.graph.prepare``.
        scales (Mapping[str, dict]): By layer; weights with batch norms
            folded in.
        transposed (bool): Whether the runtime has transposed convolutions of
            integers. Without, these compute in floats with rounded values.
        signed (bool): As of :class:`Rounding`.
        folded (bool): As of :class:`IntegerConv`.

    Raises:
        KeyError: If there is no such layer; names the nearest ones.
        ValueError: If the number of scales is not that of the filters.
    """
    layers = {find_layer(net, name): entry for name, entry in scales.items()}
    replace_layers(
        net,
        {
            layer: IntegerConv(layer, entry, transposed or not layer.transposed, signed, folded)
            for layer, entry in layers.items()
        },
    )
