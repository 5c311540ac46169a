"""Convolutions that compute as if in 8 bits while they learn.

GAN Slimming (arXiv 2008.11062, section 3.3; operators: spec section 3).
Weights are signed, activations are not, and rounding lets the gradient
through as if it were not there.
"""

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..core.messages import check_range

# Where the grid of the published code ends: 257 values, one more than 8 bits
# have (scale 4/256). True int8 has 255 steps.
PUBLISHED_LEVELS = 256


class _Round(torch.autograd.Function):
    """Round half to even; the gradient passes unchanged."""

    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, grad):
        return grad


def quantize_weight(weight: Tensor, bits: int = 8) -> Tensor:
    """Round to a symmetric grid that ends at the largest weight.

    Args:
        weight (Tensor): Any shape; one scale for all of it, max|w| / (2 **
            (bits - 1) - 1), through which no gradient passes.
        bits (int): Width of the integers.

    Returns:
        Tensor: The same shape; gradient 1 everywhere.
    """
    top = weight.detach().abs().amax() / (2 ** (bits - 1) - 1)
    scale = top.clamp(min=torch.finfo(weight.dtype).tiny)  # all may be 0
    return _Round.apply(weight / scale) * scale


def quantize_activation(x: Tensor, top: float, levels: int) -> Tensor:
    """Clamp to [0, top] and round to a grid of ``levels`` steps.

    Args:
        x (Tensor): Any shape.
        top (float): Largest value.
        levels (int): Steps between 0 and ``top``.

    Returns:
        Tensor: The same shape; gradient 1 in [0, top], its ends included,
        and 0 outside.
    """
    scale = top / levels
    return _Round.apply(x.clamp(0, top) / scale) * scale


@dataclass(frozen=True)
class Grid:
    """How one convolution rounds.

    Args:
        weight_bits (int): Width of the weights' integers.
        activation_max (float): Largest input.
        levels (int | None): Steps of the input; None leaves it as it is.
        original (type): Class that the layer had before.
    """

    weight_bits: int
    activation_max: float
    levels: int | None
    original: type


class _Quantized:
    """What both kinds share. A layer becomes one by a change of its class:
    its tensors, their names, its hooks and its place stay what they are.
    """

    grid: Grid

    def rounded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return input and weight on their grids."""
        grid = self.grid
        if grid.levels is not None:
            # half precision does not tell 256 steps apart once it is cast
            x = quantize_activation(x.float(), grid.activation_max, grid.levels)
        return x, quantize_weight(self.weight, grid.weight_bits)


class QuantConv2d(_Quantized, nn.Conv2d):
    """Convolution that rounds its input and its weight; not its bias."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, H, W) to (N, out, H', W')."""
        return self._conv_forward(*self.rounded(x), self.bias)


class QuantConvTranspose2d(_Quantized, nn.ConvTranspose2d):
    """Transposed convolution that rounds its input and its weight."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, H, W) to (N, out, H', W')."""
        return F.conv_transpose2d(
            *self.rounded(x),
            self.bias,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.dilation,
        )


_KINDS = {nn.Conv2d: QuantConv2d, nn.ConvTranspose2d: QuantConvTranspose2d}


def fake_quantize(
    module: nn.Module,
    weight_bits: int = 8,
    activation_bits: int = 8,
    activation_max: float = 4.0,
    levels: int | None = None,
    skip_first: bool = True,
) -> nn.Module:
    """Let all convolutions of a network round, in place.

    The state dict keeps its keys and its float values, and the layers stay
    convolutions, so that channel maps and student files do not change.

    Args:
        module (nn.Module): Any network; ``named_modules`` meets the layer
            that reads the image before any other convolution.
        weight_bits (int): Width of the weights' integers.
        activation_bits (int): Width of the unsigned integers of inputs.
        activation_max (float): Largest input; published 4. What is below 0
            becomes 0, on a signed residual trunk too, as published.
        levels (int | None): Steps of inputs, 2 ** ``activation_bits`` - 1 by
            default; the published code has 256 (:data:`PUBLISHED_LEVELS`).
        skip_first (bool): Leave the image as it is: published.

    Returns:
        nn.Module: The network.

    Raises:
        ValueError: If it has no convolution, rounds already, or if a number
            is impossible.
    """
    if is_quantized(module):
        raise ValueError(
            f'{type(module).__name__} is quantized already: call defake_quantize() first'
        )
    check_range('weight_bits', weight_bits, 2)
    check_range('activation_bits', activation_bits, 1)
    check_range('activation_max', activation_max, 0, above=True)
    layers = [layer for layer in module.modules() if isinstance(layer, tuple(_KINDS))]
    if not layers:
        raise ValueError(f'{type(module).__name__} has no 2-D convolution to quantize')
    levels = levels or 2**activation_bits - 1
    for index, layer in enumerate(layers):
        plain = skip_first and index == 0
        layer.grid = Grid(weight_bits, activation_max, None if plain else levels, type(layer))
        layer.__class__ = next(ours for kind, ours in _KINDS.items() if isinstance(layer, kind))
    return module


def defake_quantize(module: nn.Module) -> nn.Module:
    """Give all layers their class back, in place; return the network."""
    for layer in module.modules():
        if isinstance(layer, _Quantized):
            layer.__class__ = layer.grid.original
            del layer.grid
    return module


def is_quantized(module: nn.Module) -> bool:
    """Tell whether any layer of a network rounds."""
    return any(isinstance(layer, _Quantized) for layer in module.modules())
