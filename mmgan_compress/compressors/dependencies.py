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
        TypeError: If the network is quantized, or prepared for it.
        ImportError: If Torch-Pruning is not installed.
    """
    for name, layer in module.named_modules():
        if type(layer).__module__.startswith('torch.ao.'):
            raise TypeError(
                f'{name!r} of {type(module).__name__} is a '
                f'{type(layer).__name__} of torch\'s quantization: prune the '
                'network in floating point and quantize the result')
    tp = require('torch_pruning', 'pruning', 'Pruning by channels')
    twin = _traceable(module)
    names = {layer: name for name, layer in twin.named_modules()}
    image = torch.empty_like(image, device='meta')
    with torch.enable_grad():
        graph = tp.DependencyGraph().build_dependency(
            twin, [image], verbose=False)
    members = [_members(graph, group, names)
               for group in graph.get_all_groups()]
    groups = [ChannelGroup(1 + max(max(m.roots) for m in found), found)
              for found in members if found]
    place = {name: i for i, name in enumerate(names.values())}
    groups.sort(key=lambda group: min(place[m.layer] for m in group.members))
    dense = meta_copy(module)
    with torch.no_grad():
        shape = dense(image).shape
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


def _members(graph, group, names: dict) -> Optional[tuple[Member, ...]]:
    """Return the layers of a group; None if one cannot be cut."""
    members = []
    for item in group:
        layer = item.dep.target.module
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
    if group.width < 2:
        return False
    widths = kept_widths(without(dense, [group], [[0]]))
    try:
        return resize(meta_copy(dense), widths)(image).shape == shape
    except (RuntimeError, ValueError):
        return False
