"""Which channels can only go together: Torch-Pruning's dependency graph.

A channel is made by the filter of one layer, or of several that are added
(the trunk of a ResNet), passes norms and depthwise convolutions, and is read
by others, some of them behind a concatenation (the skip of a U-Net).
Torch-Pruning (https://github.com/VainF/Torch-Pruning, DepGraph, arXiv
2301.12900) finds these coupled channels by following autograd's graph. Here
it is asked for nothing else: what goes is decided in ``torch_pruner.py``
and cut out by ``slicing.py``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
import torch.nn as nn
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..compat import require
from ..core.base_layers import BatchNormBase, ConvBase, InstanceNormBase, NormBase
from ..core.channels import Kept, channel_map, kept_widths, resize
from ..core.feature_extraction import disable_inplace
from ..core.layers import meta_copy
from .base import check_layers

# the lists of a map of kept channels that a layer's part refers to
SIDES = dict(reads=(0,), makes=(1,), norm=(0,), depthwise=(0, 1))

# Functions that change the number of channels, which can be followed.
_JOINING = {'cat', 'concat', 'concatenate'}
_SPLITTING = {'chunk', 'split', 'split_with_sizes'}
# Functions that may mix channels and keep their number.
_MIXING = {
    # products
    'matmul',
    '__matmul__',
    '__rmatmul__',
    'mm',
    'bmm',
    'addmm',
    'addbmm',
    'baddbmm',
    'einsum',
    'tensordot',
    'bilinear',
    'cdist',
    'scaled_dot_product_attention',
    'multi_head_attention_forward',
    'lstm',
    'gru',
    'rnn_tanh',
    'rnn_relu',
    'repeat_interleave',
    # other orders of dimensions or channels; __get__ is of T, mT and H
    'transpose',
    'permute',
    'swapaxes',
    'swapdims',
    'movedim',
    'moveaxis',
    'adjoint',
    't',
    '__get__',
    'channel_shuffle',
    'roll',
}
_RESHAPING = {'view', 'reshape', 'flatten', 'unflatten', 'view_as', 'reshape_as'}


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


class _Alone(BatchNormBase):
    """Stands for whatever treats each channel alone while the graph is
    traced: a batch norm to Torch-Pruning, of any number of dimensions.

    Args:
        channels (int): That it has.
    """

    def __init__(self, channels: int):
        super().__init__(channels, affine=False, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the same, as a result of this layer."""
        return x.clone()


class _Walls(TorchFunctionMode):
    """Keeps Torch-Pruning from following channels where they are mixed.

    It treats any function that it does not know as one of each channel
    alone. A query-key product then multiplies the channels that it believes
    to be coupled until the memory is full. So what such a function reads
    ends in a layer that cannot be cut, and what it gives comes from another.

    Args:
        layers (nn.ModuleList): The walls; a first pass builds them.
    """

    def __init__(self, layers: nn.ModuleList):
        super().__init__()
        self.layers, self.ends, self._used = layers, [], 0

    def wall(self, x: Tensor) -> Tensor:
        """Pass a tensor through a layer that cannot be cut."""
        if self._used == len(self.layers):
            self.layers.append(_Alone(x.shape[1] if x.dim() > 1 else 1))
        self._used += 1
        return self.layers[self._used - 1](x)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        given, made = list(_followed((args, kwargs))), list(_followed(result))
        read = [x for x in given if not isinstance(x, nn.Parameter)]
        # a function of parameters is a layer, which Torch-Pruning knows, or
        # makes a group of them, which has to stay
        name, layer = func.__name__, len(read) < len(given)
        if not read or not made:
            return result
        parts = any(hasattr(x, 'is_part') for x in read)
        if name in _SPLITTING and made[0].shape[1] != read[0].shape[1]:
            # Torch-Pruning counts the parts of a split in the order in which
            # it meets them, but knows where a slice begins
            ends = accumulate(x.shape[1] for x in made)
            result = made = [
                read[0].narrow(1, end - x.shape[1], x.shape[1]) for x, end in zip(made, ends)
            ]
        # parts that meet again have an order of their own, of which there
        # are as many as permutations
        if not _mixes(name, read, made, layer) and not (parts and len(read) > 1):
            if name in _SPLITTING or parts and not name.startswith(('conv', 'linear')):
                for x in made:
                    x.is_part = True
            return result
        self.ends += map(self.wall, read)
        return self._behind(result)

    def _behind(self, result):
        """Return a result whose tensors come from walls."""
        if isinstance(result, (tuple, list)):
            return type(result)(map(self._behind, result))
        if not list(_followed(result)):
            return result
        return self.wall(result.detach().requires_grad_())


def _followed(value) -> Iterator[Tensor]:
    """Yield the tensors of a value that autograd follows."""
    if isinstance(value, Tensor) and value.requires_grad:
        yield value
    elif isinstance(value, dict):
        yield from _followed(list(value.values()))
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _followed(part)


def _mixes(name: str, read: list[Tensor], made: list[Tensor], layer: bool) -> bool:
    """Tell whether a function may not treat each channel alone."""
    if name in _MIXING | _JOINING | _SPLITTING or layer:
        return name in _MIXING
    kept = slice(2) if name in _RESHAPING else slice(1, 2)
    return len({x.shape[kept] for x in [*read, *made]}) > 1


class _Walled(nn.Module):
    """A network with walls around what mixes its channels.

    The image comes from a wall too: Torch-Pruning does not count its
    channels where the network concatenates it with features.

    Args:
        network (nn.Module): On the meta device.
        image (Tensor): Its input, on the meta device.
    """

    def __init__(self, network: nn.Module, image: Tensor):
        super().__init__()
        self.network, self.walls = network, nn.ModuleList()
        self(image)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return what the network does, and what ends at walls."""
        walls = _Walls(self.walls)
        x = walls.wall(x.detach().requires_grad_())
        with walls:
            output = self.network(x)
        return [output, *walls.ends]


def channel_groups(module: nn.Module, image: Tensor) -> list[ChannelGroup]:
    """Find the channels that can be removed, and what they hang on.

    Left out are groups that touch the output of the network, an unpaired
    grouped convolution, or what mixes channels or is not known to channel
    maps (group and layer norms, PReLU by channels, pixel shuffle, attention, products of
    features, other orders of dimensions, reshapes that change the channels):
    their layers stay whole. Whether a group can go is tried: the network
    must run with one of its channels less, whichever layers that one passes,
    and give the same shape.

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
    try:
        with torch.enable_grad():
            whole = _Walled(twin, image)
            names.update(dict.fromkeys(whole.walls))
            graph = tp.DependencyGraph().build_dependency(whole, [image], verbose=False)
            members = [_members(graph, group, names) for group in graph.get_all_groups()]
    except Exception as error:  # whatever its tracer meets
        raise TypeError(
            f'Torch-Pruning cannot follow the channels of {type(module).__name__}: {error}'
        ) from error
    groups = [
        ChannelGroup(1 + max(max(m.roots) for m in found), found) for found in members if found
    ]
    place = {name: i for i, name in enumerate(names.values())}
    groups.sort(key=lambda group: min(place[m.layer] for m in group.members))
    with torch.no_grad():
        return [group for group in groups if _can_go(dense, group, image, shape)]


def without(
    module: nn.Module, groups: Sequence[ChannelGroup], removed: Sequence[Sequence[int]]
) -> Kept:
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
                    channel for channel, root in zip(member.channels, member.roots) if root in roots
                )
    kept, wide = {}, channel_map(module)
    for name, holes in gone.items():
        # of norms, which have one list, the first is taken
        kept[name] = [
            [channel for channel in range(count) if channel not in side]
            for count, side in zip(wide[name], holes)
        ]
    return kept


def _traceable(module: nn.Module) -> nn.Module:
    """Return a copy on the meta device that the tracer understands.

    It loses an affine instance norm in front of an in-place activation, and
    follows the others through the views that torch computes them by.
    """
    twin = disable_inplace(meta_copy(module)).requires_grad_()
    widths = channel_map(module)
    for name, layer in list(twin.named_modules()):
        if isinstance(layer, InstanceNormBase):
            parent, _, child = name.rpartition('.')
            setattr(twin.get_submodule(parent), child, _Alone(*widths[name]))
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
            f'{error}. Name a size that it runs at'
        ) from error
    if not isinstance(output, Tensor):
        raise TypeError(
            f'{kind} returns a {type(output).__name__}, expected '
            'an image, (N, C, H, W): wrap it in a module that '
            'returns the image alone'
        )
    return output.shape


def _members(graph, group, names: dict) -> tuple[Member, ...] | None:
    """Return the layers of a group; None if one cannot be cut."""
    members = []
    for item in group:
        layer = item.dep.target.module
        if names.get(layer, '') is None:
            return None  # a wall: mixed channels, or those of the image
        if layer not in names:
            if isinstance(layer, nn.Parameter):
                return None
            continue  # a sum, a concatenation, an activation
        if isinstance(layer, nn.PReLU) and layer.num_parameters == 1:
            continue  # one slope for all channels
        part = _part(layer, graph.is_out_channel_pruning_fn(item.dep.handler))
        if part is None or None in item.root_idxs:
            return None
        members.append(Member(names[layer], part, tuple(item.idxs), tuple(item.root_idxs)))
    return tuple(members)


def _part(layer: nn.Module, makes: bool) -> str | None:
    if isinstance(layer, NormBase):
        return 'norm'
    if isinstance(layer, nn.Linear) or isinstance(layer, ConvBase) and layer.groups == 1:
        return 'makes' if makes else 'reads'
    if isinstance(layer, ConvBase) and layer.groups == layer.in_channels == layer.out_channels:
        return 'depthwise'
    return None


def _can_go(dense: nn.Module, group: ChannelGroup, image: Tensor, shape: torch.Size) -> bool:
    """Tell whether a network can do with a channel less.

    One is tried of those that the same layers have: behind a split not all
    channels go the same way.

    Args:
        dense (nn.Module): On the meta device.
        group (ChannelGroup): Of the network.
        image (Tensor): Its input, on the meta device.
        shape (torch.Size): Of its output.
    """
    # a network that is a single layer has no name for it
    if group.width < 2 or not all(m.layer for m in group.members):
        return False
    holders = [set(member.roots) for member in group.members]
    ways = {tuple(root in held for held in holders): root for root in range(group.width)}
    try:
        return all(
            resize(meta_copy(dense), kept_widths(without(dense, [group], [[root]])))(image).shape
            == shape
            for root in ways.values()
        )
    except Exception:  # whatever its forward meets
        return False
