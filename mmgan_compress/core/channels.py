"""Channel maps: the widths of a network's layers, read, compared, changed.

A channel map holds ``[in, out]`` for each convolution (transposed ones too)
and linear layer and ``[n]`` for each batch or instance norm, by the layer's
name. The map of ``Sequential(Conv2d(3, 8, 7), InstanceNorm2d(8), ReLU(),
Conv2d(8, 8, 3, groups=8), Conv2d(8, 16, 1))`` is::

    {'0': [3, 8], '1': [8], '3': [8, 8], '4': [8, 16]}

A narrower network is described by an architecture and the entries that
differ from it; with five channels behind the first layer::

    {'0': [3, 5], '1': [5], '3': [5, 5], '4': [5, 16]}

These are plain numbers: they go into a config, a student file or JSON.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn as nn
from torch import Tensor

from .base_layers import ConvBase, ConvTransposeBase, NormBase
from .layers import ShapesOnly, find_layer

ChannelMap = dict[str, list[int]]


def channel_map(module: nn.Module) -> ChannelMap:
    """Read the channels of all layers off their tensors.

    Attributes such as ``num_features`` are not asked: pruning tools, and
    the papers' own code, leave them stale where nothing computes with them.
    An instance norm without tensors gets the channels of the layer that
    stands before it.

    Args:
        module (nn.Module): Any network, on any device.

    Returns:
        dict[str, list[int]]: The map, in the order of ``named_modules``.
    """
    channels, width = {}, None
    for name, layer in module.named_modules():
        if isinstance(layer, (ConvBase, nn.Linear)):
            channels[name] = _in_out(layer)
            width = channels[name][1]
        elif isinstance(layer, NormBase):
            channels[name] = [_features(layer, width)]
    return channels


def image_channels(module: nn.Module) -> int:
    """Return the channels of a network's image, 3 where none can be read."""
    return next(iter(channel_map(module).values()), [3])[0]


def output_channels(module: nn.Module, side: int) -> int:
    """Return the channels of the image that a network gives.

    Args:
        module (nn.Module): On the meta device, where nothing is computed.
        side (int): Side of an image that it takes, in pixels.

    Returns:
        int: Those of its input where it does not run so.
    """
    channels = image_channels(module)
    try:
        with torch.no_grad(), ShapesOnly():
            return module(torch.empty(1, channels, side, side, device='meta')).shape[1]
    except (RuntimeError, ValueError):
        return channels


def filters_of(layer: nn.Module) -> Tensor:
    """Return the weight of a convolution or linear layer, (outputs, inputs,
    ...), without a graph.
    """
    weight = cast(Tensor, layer.weight).detach()
    return weight.transpose(0, 1) if getattr(layer, 'transposed', False) else weight


def changed(channels: Mapping[str, Sequence[int]], base: Mapping[str, Sequence[int]]) -> ChannelMap:
    """Return the entries of a map that differ from those of another.

    Args:
        channels (dict[str, list[int]]): Map of the changed network.
        base (dict[str, list[int]]): Map of its architecture.

    Returns:
        dict[str, list[int]]: What :func:`resize` has to be told.

    Raises:
        ValueError: If the two do not have the same layers.
    """
    odd = sorted(channels.keys() ^ base.keys())
    if odd:
        raise ValueError(
            f'the maps are of two architectures: {len(odd)} layers are in '
            f'one only, the first is {odd[0]!r}. Give the architecture that '
            'the network was made from'
        )
    return {
        name: list(counts) for name, counts in channels.items() if list(counts) != list(base[name])
    }


def resize(module: nn.Module, channels: Mapping[str, Sequence[int]]) -> nn.Module:
    """Give layers other numbers of channels, and new weights.

    A listed layer stays what it is (class, kernel, stride, bias, device);
    its tensors are made anew with torch's default initialisation. The
    groups of a depthwise convolution follow its input. Whether neighbours
    fit together shows in a forward pass.

    Args:
        module (nn.Module): The network; changed in place.
        channels (dict[str, list[int]]): Channel map of some of its layers.

    Returns:
        nn.Module: The network.

    Raises:
        KeyError: If there is no such layer; names the nearest ones.
        TypeError: If a layer is none that has channels.
        ValueError: If numbers are impossible. Nothing is changed then.
    """
    layers = {name: find_layer(module, name) for name in channels}
    for name, layer in layers.items():
        _check(name, layer, channels[name])
    for name, layer in layers.items():
        _resize(layer, *channels[name])
    return module


def _in_out(layer: Any) -> list[int]:
    """Return [in, out] of a convolution or linear layer."""
    first, second = layer.weight.shape[:2]
    if isinstance(layer, ConvTransposeBase):
        return [first, second * layer.groups]
    return [second * getattr(layer, 'groups', 1), first]


def _features(layer: NormBase, before: int | None) -> int:
    for tensor in (layer.weight, layer.running_mean):
        if tensor is not None:
            return len(tensor)
    return before or layer.num_features


def _groups(layer: ConvBase, inputs: int) -> int:
    depthwise = layer.groups > 1 and layer.groups == _in_out(layer)[0]
    return inputs if depthwise else layer.groups


def _check(name: str, layer: nn.Module, counts: Sequence[int]) -> None:
    kind = type(layer).__name__
    if not isinstance(layer, (ConvBase, nn.Linear, NormBase)):
        raise TypeError(
            f'{name!r} is a {kind}: expected a convolution, a '
            'linear layer, a batch norm or an instance norm'
        )
    wanted = 1 if isinstance(layer, NormBase) else 2
    if len(counts) != wanted or not all(type(n) is int and n > 0 for n in counts):
        form = '[n]' if wanted == 1 else '[in, out]'
        raise ValueError(
            f'{name!r}, a {kind}, has the channels '
            f'{list(counts)}: expected {form} of whole numbers '
            'above 0'
        )
    if isinstance(layer, ConvBase):
        groups = _groups(layer, counts[0])
        if any(n % groups for n in counts):
            raise ValueError(
                f'{name!r} has {groups} groups, which do not divide the channels {list(counts)}'
            )


def _resize(layer: Any, inputs: int, outputs: int = 0) -> None:
    if isinstance(layer, NormBase):
        layer.num_features = inputs
        _renew(layer, inputs, 'weight', 'bias', 'running_mean', 'running_var')
    elif isinstance(layer, nn.Linear):
        layer.in_features, layer.out_features = inputs, outputs
        _renew(layer, (outputs, inputs), 'weight')
        _renew(layer, outputs, 'bias')
    else:
        groups = _groups(layer, inputs)
        layer.in_channels, layer.out_channels = inputs, outputs
        layer.groups = groups
        shape = (inputs, outputs // groups) if layer.transposed else (outputs, inputs // groups)
        _renew(layer, (*shape, *layer.kernel_size), 'weight')
        _renew(layer, outputs, 'bias')
    layer.reset_parameters()


def _renew(layer: nn.Module, shape, *names: str) -> None:
    """Replace the tensors that a layer has by empty ones."""
    for name in names:
        old = getattr(layer, name)
        if old is not None:
            new = old.new_empty(shape)
            if isinstance(old, nn.Parameter):
                new = nn.Parameter(new, old.requires_grad)
            setattr(layer, name, new)
