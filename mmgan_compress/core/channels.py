"""Channels of a network's layers: counted, changed, and kept in part.

A channel map holds ``[in, out]`` for each convolution (transposed ones too)
and linear layer and ``[n]`` for each batch or instance norm, by the layer's
name. The map of ``Sequential(Conv2d(3, 8, 7), InstanceNorm2d(8), ReLU(),
Conv2d(8, 8, 3, groups=8), Conv2d(8, 16, 1))`` is::

    {'0': [3, 8], '1': [8], '3': [8, 8], '4': [8, 16]}

A narrower network is described by an architecture and the entries that
differ from it; with five channels behind the first layer::

    {'0': [3, 5], '1': [5], '3': [5, 5], '4': [5, 16]}

These are plain numbers: they go into a config, a student file or JSON. A map
of kept channels has lists of channels in place of the numbers (see
``pruning/slicing.py``). Where a network runs with some of its channels, the
weights stay where they are: what trains in the narrow pass trains in the
whole network.
"""

import contextlib
import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn as nn
from torch import Tensor
from torch.func import functional_call

from .base_layers import BatchNormBase, ConvBase, ConvTransposeBase, NormBase
from .inputs import LabelMap, StyledImage, input_of
from .layers import find_layer, shape_pass

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
    """Return the channels of a network's input as a picture, 3 where none
    can be read.
    """
    takes = input_of(module)
    if isinstance(takes, (LabelMap, StyledImage)):
        return takes.channels
    return next(iter(channel_map(module).values()), [3])[0]


def input_shape(module: nn.Module, side: int, batch: int = 1) -> tuple[int, ...]:
    """Return the shape of what a network takes.

    Args:
        module (nn.Module): On any device.
        side (int): Side of its images in pixels.
        batch (int): How many at once.

    Returns:
        tuple[int, ...]: (N, C, side, side) of a picture, (N, size) of noise.
    """
    takes = input_of(module)
    own = takes.shape(side) if takes else (image_channels(module), side, side)
    return (batch, *own)


def output_channels(module: nn.Module, side: int) -> int:
    """Return the channels of the image that a network gives.

    Args:
        module (nn.Module): On the meta device, where nothing is computed.
        side (int): Side of an image that it takes, in pixels.

    Returns:
        int: Those of its input where it does not run so.
    """
    try:
        return shape_pass(module, *input_shape(module, side)).shape[1]
    except (RuntimeError, ValueError):
        return image_channels(module)


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
        base (dict[str, list[int]]): Map of its architecture: the same layers.

    Returns:
        dict[str, list[int]]: What :func:`resize` has to be told.
    """
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


Kept = dict[str, list[list[int]]]


def kept_widths(kept: Mapping[str, Sequence[Sequence[int]]]) -> ChannelMap:
    """Return the channel map of the layers that change."""
    return {name: [len(side) for side in sides] for name, sides in kept.items()}


@torch.no_grad()
def keep_channels(module: nn.Module, kept: Mapping[str, Sequence[Sequence[int]]]) -> nn.Module:
    """Leave layers some of their channels, with their weights.

    ``num_features`` of instance norms are set right on the way. No random
    number is drawn.

    Args:
        module (nn.Module): Any network; changed in place.
        kept (dict[str, list[list[int]]]): All layers that change.

    Returns:
        nn.Module: The network.

    Raises:
        KeyError: If there is no such layer.
        TypeError: If a layer is none that has channels.
        ValueError: If a layer is left without channels.
    """
    tensors = {  # of new layers, norms reset some in place
        name: {key: tensor.clone() for key, tensor in cut(find_layer(module, name), sides).items()}
        for name, sides in kept.items()
    }
    devices = {p.device.index for p in module.parameters() if p.is_cuda}
    with torch.random.fork_rng(devices=devices):  # layers are drawn anew
        resize(module, kept_widths(kept))
    for name, own in tensors.items():
        for key, tensor in own.items():
            getattr(module.get_submodule(name), key).copy_(tensor)
    return module


def slice_channels(module: nn.Module, kept: Kept) -> nn.Module:
    """Return :func:`keep_channels` of a copy; the network stays as it is."""
    return keep_channels(copy.deepcopy(module), kept)


def cut(layer: nn.Module, sides: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """Return the tensors of a layer with the kept channels only.

    Leading channels are views, so that running statistics that a forward
    pass updates are updated in the layer; others are copies. Gradients reach
    the layer's own parameters.

    Args:
        layer (nn.Module): Convolution, depthwise or of one group, transposed
            or not, linear layer, or norm.
        sides (Sequence[Sequence[int]]): Its kept channels.

    Returns:
        dict[str, Tensor]: By name in the layer.
    """
    first, last = (_index(side) for side in (sides[0], sides[-1]))
    tensors = {}
    for name, tensor in [
        *layer.named_parameters(recurse=False),
        *layer.named_buffers(recurse=False),
    ]:
        if tensor.dim() > 1:
            rows, columns = (first, last) if getattr(layer, 'transposed', False) else (last, first)
            tensor = tensor[rows]
            # a depthwise weight, (C, 1, k, k), has one dimension for both
            tensor = tensor if _is_depthwise(layer) else tensor[:, columns]
        elif tensor.dim() == 1:
            tensor = tensor[last]
        tensors[name] = tensor
    return tensors


def run_narrow(module: nn.Module, kept: Mapping[str, Sequence], *inputs):
    """Return what a network gives with the kept channels only.

    It is whole again behind the call. Forward hooks of its layers see the
    narrow features.

    Args:
        module (nn.Module): Any network.
        kept (dict[str, list[list[int]]]): Layers that are narrower.
        inputs: Of its forward.
    """
    layers = {name: module.get_submodule(name) for name in kept}
    tensors = {
        f'{name}.{key}': tensor
        for name, layer in layers.items()
        for key, tensor in cut(layer, kept[name]).items()
    }
    with _told(layers, kept):
        return functional_call(module, tensors, inputs)


@torch.no_grad()
def recalibrate(module: nn.Module, batches: Iterable) -> int:
    """Set the running statistics of batch norms to those of some data.

    The narrow networks of a super-net share statistics, which fit none of
    them. All batches count, each image as much as the other; GAN
    Compression's own code keeps those of the last batch.

    Args:
        module (nn.Module): Network of one input, left in the mode it was in.
            One without such norms is not run.
        batches (Iterable[Tensor]): Its inputs, (N, C, H, W).

    Returns:
        int: Images seen.

    Raises:
        ValueError: If there are norms to be set, but no batches.
    """
    norms = [
        layer
        for layer in module.modules()
        if isinstance(layer, BatchNormBase) and layer.running_mean is not None
    ]
    if not norms:
        return 0
    modes = {layer: layer.training for layer in module.modules()}
    momenta, seen = [norm.momentum for norm in norms], 0
    module.eval()
    for norm in norms:
        norm.reset_running_stats()  # 0 times infinity would be left of it
        norm.training = True
    try:
        for images in batches:
            seen += len(images)
            for norm in norms:
                norm.momentum = len(images) / seen
            module(images)
    finally:
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum
        for layer, mode in modes.items():
            layer.training = mode
    if not seen:
        raise ValueError(
            f'{type(module).__name__} has batch norms to be calibrated, but there is no image'
        )
    return seen


def _index(side: Sequence[int]) -> slice | list[int]:
    leading = list(side) == list(range(len(side)))
    return slice(len(side)) if leading else list(side)


def _is_depthwise(layer: nn.Module) -> bool:
    return getattr(layer, 'groups', 1) > 1


@contextlib.contextmanager
def _told(layers: Mapping[str, nn.Module], kept: Mapping[str, Sequence]) -> Iterator[None]:
    """Tell layers how many channels they have, inside the block."""
    before = []
    for name, layer in layers.items():
        key = (
            'num_features'
            if isinstance(layer, NormBase)
            else 'groups'
            if _is_depthwise(layer)
            else None
        )
        if key:
            before.append((layer, key, getattr(layer, key)))
            setattr(layer, key, len(kept[name][0]))
    try:
        yield
    finally:
        for layer, key, value in before:
            setattr(layer, key, value)
