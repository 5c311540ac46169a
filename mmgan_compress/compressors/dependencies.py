"""Which channels can only go together: Torch-Pruning's dependency graph.

A channel is made by the filter of one layer, or of several that are added
(the trunk of a ResNet), passes norms and depthwise convolutions, and is read
by others, some of them behind a concatenation (the skip of a U-Net).
Torch-Pruning (https://github.com/VainF/Torch-Pruning, DepGraph, arXiv
2301.12900) finds these coupled channels by following autograd's graph. Here
it is asked for nothing else: what goes is decided in ``channel_pruner.py``
and cut out by ``slicing.py``.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import torch
import torch.nn as nn
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm

from ..compat import require
from ..core.channels import channel_map, resize
from ..core.layers import meta_copy
from ..core.taps import disable_inplace
from .base import check_layers
from .slicing import Kept, kept_widths

# the lists of a map of kept channels that a layer's part refers to
SIDES = dict(reads=(0, ), makes=(1, ), norm=(0, ), depthwise=(0, 1))


@dataclass(frozen=True)
class Member:
    """What one layer has to do with the channels of a group.

    Args:
        layer (str): Its name.
        part (str): ``'makes'`` them (outputs), ``'reads'`` them (inputs),
            or passes them: a ``'norm'``, a ``'depthwise'`` convolution.
        channels (tuple[int]): As the layer counts them.
        roots (tuple[int]): The same as the group counts them.
    """
    layer: str
    part: str
    channels: tuple[int, ...]
    roots: tuple[int, ...]


@dataclass(frozen=True)
class ChannelGroup:
    """Channels 0 to ``width - 1`` and the layers that have them."""
    width: int
    members: tuple[Member, ...]


class _AnyNorm(_BatchNorm):
    """Batch norm of any number of dimensions, in the place of another norm
    while the graph is traced."""

    def _check_input_dim(self, _) -> None:
        pass


class _Fed(nn.Module):
    """A network whose image comes from a layer, while the graph is traced:
    Torch-Pruning does not count an image's own channels where the network
    concatenates it with features.

    Args:
        channels (int): Of the image.
        network (nn.Module): On the meta device.
    """

    def __init__(self, channels: int, network: nn.Module):
        super().__init__()
        self.feed = nn.Conv2d(channels, channels, 1, device='meta')
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return what the network does."""
        return self.network(self.feed(x))


def channel_groups(module: nn.Module, image: Tensor) -> list[ChannelGroup]:
    """Find the channels that can be removed, and what they hang on.

    Left out are groups that touch the output of the network, an unpaired
    grouped convolution, or a layer that mixes channels or is not known to
    channel maps (group and layer norms, PReLU, pixel shuffle, attention):
    their layers stay whole. Whether a group can go is tried: the network
    must run with one of its channels less and give the same shape.

    Only shapes are computed, on the meta device.

    Args:
        module (nn.Module): Network of one image; it is left as it is.
        image (Tensor): Example of its input, (N, C, H, W).

    Returns:
        list[ChannelGroup]: In the order of the layers.

    Raises:
        TypeError: If the network is quantized or prepared for it, computes
            its weights from others, gives more than an image, or cannot be
            traced.
        ValueError: If it does not run on such an image.
        ImportError: If Torch-Pruning is not installed.
    """
    check_layers(module)
    tp = require('torch_pruning', 'Pruning by channels')
    image = torch.empty_like(image, device='meta')
    dense = meta_copy(module)
    shape = _output_shape(dense, image)
    twin = _traceable(module)
    names = {layer: name for name, layer in twin.named_modules()}
    whole = _Fed(image.shape[1], twin)
    names[whole.feed] = None
    try:
        with torch.enable_grad():
            graph = tp.DependencyGraph().build_dependency(
                whole, [image], verbose=False)
    except Exception as error:  # whatever its tracer meets
        raise TypeError(f'Torch-Pruning cannot follow the channels of '
                        f'{type(module).__name__}: {error}') from error
    members = [_members(graph, group, names)
               for group in graph.get_all_groups()]
    groups = [ChannelGroup(1 + max(max(m.roots) for m in found), found)
              for found in members if found]
    place = {name: i for i, name in enumerate(names.values())}
    groups.sort(key=lambda group: min(place[m.layer] for m in group.members))
    with torch.no_grad():
        return [group for group in groups
                if _can_go(dense, group, image, shape)]


def without(module: nn.Module, groups: Sequence[ChannelGroup],
            removed: Sequence[Sequence[int]]) -> Kept:
    """Return what is kept if channels of groups go.

    Args:
        module (nn.Module): The network, on the meta device too.
        groups (Sequence[ChannelGroup]): Of the network.
        removed (Sequence[Sequence[int]]): Channels of each group.

    Returns:
        dict[str, list[list[int]]]: For the layers that change (see
        ``slicing.py``).
    """
    gone = {}
    for group, roots in zip(groups, map(set, removed), strict=True):
        for member in group.members if roots else ():
            holes = gone.setdefault(member.layer, (set(), set()))
            for side in SIDES[member.part]:
                holes[side].update(
                    channel for channel, root in zip(member.channels,
                                                     member.roots)
                    if root in roots)
    kept, wide = {}, channel_map(module)
    for name, holes in gone.items():
        # of norms, which have one list, the first is taken
        kept[name] = [[channel for channel in range(count)
                       if channel not in side]
                      for count, side in zip(wide[name], holes)]
    return kept


def _traceable(module: nn.Module) -> nn.Module:
    """Return a copy on the meta device that the tracer understands.

    It loses an affine instance norm in front of an in-place activation, and
    follows the others through the views that torch computes them by.
    """
    twin = disable_inplace(meta_copy(module)).requires_grad_()
    widths = channel_map(module)
    for name, layer in list(twin.named_modules()):
        if isinstance(layer, _InstanceNorm):
            parent, _, child = name.rpartition('.')
            setattr(twin.get_submodule(parent), child,
                    _AnyNorm(*widths[name], affine=False, device='meta',
                             track_running_stats=False))
    return twin


@torch.no_grad()
def _output_shape(dense: nn.Module, image: Tensor) -> torch.Size:
    """Return the shape of what a network makes of an image, on meta."""
    kind = type(dense).__name__
    try:
        output = dense(image)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise ValueError(
            f'{kind} does not run on an image of {tuple(image.shape)}: '
            f'{error}. Name a size that it runs at') from error
    if not isinstance(output, Tensor):
        raise TypeError(f'{kind} returns a {type(output).__name__}, expected '
                        'an image, (N, C, H, W): wrap it in a module that '
                        'returns the image alone')
    return output.shape


def _members(graph, group, names: dict) -> Optional[tuple[Member, ...]]:
    """Return the layers of a group; None if one cannot be cut."""
    members = []
    for item in group:
        layer = item.dep.target.module
        if names.get(layer, '') is None:
            return None  # channels of the image
        if layer not in names:
            if isinstance(layer, nn.Parameter):
                return None
            continue  # a sum, a concatenation, an activation
        part = _part(layer, graph.is_out_channel_pruning_fn(item.dep.handler))
        if part is None or None in item.root_idxs:
            return None
        members.append(Member(names[layer], part, tuple(item.idxs),
                              tuple(item.root_idxs)))
    return tuple(members)


def _part(layer: nn.Module, makes: bool) -> Optional[str]:
    if isinstance(layer, _NormBase):
        return 'norm'
    if isinstance(layer, nn.Linear) or \
            isinstance(layer, _ConvNd) and layer.groups == 1:
        return 'makes' if makes else 'reads'
    if isinstance(layer, _ConvNd) and \
            layer.groups == layer.in_channels == layer.out_channels:
        return 'depthwise'
    return None


def _can_go(dense: nn.Module, group: ChannelGroup, image: Tensor,
            shape: torch.Size) -> bool:
    """Tell whether a network can do with a channel less.

    Args:
        dense (nn.Module): On the meta device.
        group (ChannelGroup): Of the network.
        image (Tensor): Its input, on the meta device.
        shape (torch.Size): Of its output.
    """
    # a network that is a single layer has no name for it
    if group.width < 2 or not all(m.layer for m in group.members):
        return False
    widths = kept_widths(without(dense, [group], [[0]]))
    try:
        return resize(meta_copy(dense), widths)(image).shape == shape
    except (RuntimeError, ValueError):
        return False
