"""Run a network with some of its channels only.

What is kept of each layer has the form of ``pruning/slicing.py``:
``[inputs, outputs]`` of a convolution, ``[channels]`` of a norm, each a list
of channels. The weights stay where they are: what trains in the narrow pass
trains in the whole network.
"""

import contextlib
import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
import torch.nn as nn
from torch import Tensor
from torch.func import functional_call

from .base_layers import BatchNormBase, NormBase
from .channels import ChannelMap, resize
from .layers import find_layer

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
