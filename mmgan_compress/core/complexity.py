"""Parameters, multiply-accumulates and latency of a network."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from . import units
from .base_layers import ConvBase, ConvTransposeBase, NormBase
from .inputs import StyledImage, input_of
from .layers import meta_copy, shape_pass
from .timing import side_by_side

# Norms that have affine parameters cost the papers' tool a MAC per output.
_NORMS = (NormBase, nn.GroupNorm, nn.LayerNorm)


@dataclass
class LayerMacs:
    """Row of one layer; ``output_shape`` is that of its last call."""

    name: str
    type: str
    params: int
    macs: int = 0
    macs_paper: int = 0
    output_shape: tuple = ()


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates of one forward pass.

    ``macs`` is the arithmetic that is done: convolutions and matrix
    products, transposed convolutions counted at their input positions
    (torch's FlopCounterMode, halved). ``macs_paper`` is what the papers
    quote (torchprofile 0.0.3 and later): transposed convolutions at their
    output positions, one per output element of an affine norm.
    """

    macs: int
    macs_paper: int
    layers: list


def count_params(module: nn.Module) -> int:
    """Return the number of parameters, biases included, shared ones once."""
    return sum(parameter.numel() for parameter in module.parameters())


def _layer_macs(layer: nn.Module, x: Tensor, y: Tensor) -> tuple[int, int]:
    """Return true and papers' MACs of one call of a layer."""
    if isinstance(layer, ConvBase):
        # (out, in / groups, k, k); transposed (in, out / groups, k, k)
        per_position = layer.weight[0].numel()
        if isinstance(layer, ConvTransposeBase):
            kernel = layer.weight[0, 0].numel()
            paper = y.numel() * layer.in_channels // layer.groups * kernel
            return x.numel() * per_position, paper
        return (y.numel() * per_position,) * 2
    if isinstance(layer, nn.Linear):
        return (y.numel() * layer.in_features,) * 2
    if isinstance(layer, _NORMS) and layer.weight is not None:
        return 0, y.numel()
    return 0, 0


@torch.no_grad()
def count_macs(module: nn.Module, input_shape: Sequence[int], **forward_kwargs) -> Macs:
    """Count the multiply-accumulates of one forward pass in eval mode.

    Shapes alone are computed, on the meta device: ``module`` is left as it
    is. Arithmetic outside of convolution and linear layers (attention) is
    in the totals, as a last row of its own.

    Args:
        module (nn.Module): Network of one image.
        input_shape (Sequence[int]): Shape of its input, (N, C, H, W).
        forward_kwargs: Further arguments of its forward.

    Returns:
        Macs: Totals, and a row for every layer that has parameters.
    """
    clone = meta_copy(module)
    rows = {}
    for name, layer in clone.named_modules():
        own = sum(p.numel() for p in layer.parameters(recurse=False))
        if own:
            rows[layer] = LayerMacs(name, type(layer).__name__, own)

    def add(layer: nn.Module, args: tuple, output: Tensor) -> None:
        row = rows[layer]
        macs, paper = _layer_macs(layer, args[0], output)
        row.macs += macs
        row.macs_paper += paper
        row.output_shape = tuple(output.shape)

    for layer in rows:
        if isinstance(layer, (ConvBase, nn.Linear, *_NORMS)):
            layer.register_forward_hook(add)
    with FlopCounterMode(display=False) as counter:
        shape_pass(clone, *input_shape, **forward_kwargs)
    layers = list(rows.values())
    other = counter.get_total_flops() // 2 - sum(row.macs for row in layers)
    if other:
        layers.append(LayerMacs('', 'functional', 0, other, other))
    return Macs(sum(row.macs for row in layers), sum(row.macs_paper for row in layers), layers)


def style_encoder_cost(module: nn.Module, side: int) -> dict[str, int] | None:
    """Return the cost of what reads a style from a picture.

    A given style does not run it, so that it is not in :func:`count_macs`; the
    papers count it.

    Args:
        module (nn.Module): Generator.
        side (int): Side of the picture in pixels.

    Returns:
        dict | None: ``params`` and ``macs``; None if the generator takes no
        style.
    """
    takes = input_of(module)
    if not isinstance(takes, StyledImage):
        return None
    encoder = module.get_submodule('enc_style')
    macs = count_macs(encoder, (1, takes.channels, side, side)).macs
    return dict(params=count_params(encoder), macs=macs)


def style_note(name: str, module: nn.Module, params: int, macs: int, side: int) -> list[str]:
    """Say what a network costs without its style encoder, and with it.

    Args:
        name (str): Of the network.
        module (nn.Module): The network.
        params (int): All of its parameters.
        macs (int): Of :func:`count_macs`.
        side (int): Side of the image in pixels.

    Returns:
        list[str]: A line; none where the network takes no style.
    """
    cost = style_encoder_cost(module, side)
    if cost is None:
        return []
    rest, all_macs = units.count(params - cost['params']), units.count(macs + cost['macs'])
    return [
        f'{name}: {rest} parameters and {units.count(macs)} MACs for a given style; with the style '
        f'encoder {units.count(params)} parameters and {all_macs} MACs, as the papers count'
    ]


@torch.no_grad()
def measure_latency(module: nn.Module, input_shape: Sequence[int]) -> dict[str, Any]:
    """Time eager forward passes in eval mode, where the module is.

    Args:
        module (nn.Module): Network of one image; it is left as it is.
        input_shape (Sequence[int]): Shape of its input, (N, C, H, W).

    Returns:
        dict: ``median_ms``, ``p95_ms``, ``iqr_ms`` (interquartile range) of
        a pass, ``threads`` and ``device``.
    """
    network, device = copy.deepcopy(module).eval(), next(module.parameters()).device
    image = torch.rand(*input_shape, device=device) * 2 - 1

    def run():
        network(image)
        if device.type == 'cuda':
            torch.cuda.synchronize(device)

    taken = side_by_side({'': run})[''].ms()
    del taken['repeats']
    return dict(taken, threads=torch.get_num_threads(), device=str(device))
