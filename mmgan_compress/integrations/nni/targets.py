"""Channel groups in NNI's words: what it masks, what follows, what went.

NNI (https://github.com/microsoft/nni, 3.0) scores and masks the parameters
of layers. A *source* of a group is a weight that NNI scores: of the layers
that make the channels, or of the norms that they pass. The sources of a
group share a ``dependency_group_id``: NNI averages their scores and masks
them alike. For a convolution ``a`` and the norm ``n`` behind it NNI is told::

    [dict(op_names=['a'], target_names=['weight', 'bias'], target_settings={
         'weight': {'sparse_ratio': 0.5, 'dependency_group_id': '0',
                    'granularity': 'out_channel'}}),
     dict(op_names=['n'], target_names=['weight', 'bias'])]

The other parameters of the group follow (:func:`follow`), so that a masked
channel is zero behind its norm, as one is that was cut out. NNI's own means
for that, ``align``, takes the first dimension of a weight for its outputs,
which in a transposed convolution is the second (its ``L1NormPruner`` fails
there), and cannot align with a norm. Where it scores a weight,
``granularity='in_channel'`` is its name for the second dimension.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor

from ...compat import require
from ...core.layers import find_layer
from ...pruning.dependencies import ChannelGroup, Member

Masks = Mapping[str, Mapping[str, Tensor]]  # NNI's: by layer and parameter
Sources = Sequence[Sequence[Member]]  # of each group
# What NNI's scores are taken of: the filters; the scales of norms; or the
# scales where channels pass a norm, and else the filters.
KINDS = ('filters', 'scales', 'either')


def source_members(module: nn.Module, group: ChannelGroup, kind: str) -> list[Member]:
    """Return the layers of a group whose weights NNI scores.

    Args:
        module (nn.Module): The network.
        group (ChannelGroup): Of the network.
        kind (str): One of ``KINDS``.

    Returns:
        list[Member]: All filters or all scales; empty if there are none
        whose channels are those of the group, one for one.
    """
    norms = [m for m in group.members if m.part == 'norm']
    found = norms
    if kind == 'filters' or kind == 'either' and not norms:
        found = [m for m in group.members if m.part == 'makes']
    order = tuple(range(group.width))
    found = [
        m for m in found if m.channels == m.roots == order and _width(module, m) == group.width
    ]
    # scores of convolutions, transposed ones and linear layers are of three
    # shapes, which NNI cannot average: the fewer follow
    sides = [(_outputs(module, m), find_layer(module, m.layer).weight.dim()) for m in found]
    return [m for m, side in zip(found, sides) if side == max(sides, key=sides.count)]


def config_list(
    module: nn.Module, groups: Sequence[ChannelGroup], sources: Sources, ratios: Sequence[float]
) -> list[dict[str, Any]]:
    """Return NNI's ``config_list``.

    Args:
        module (nn.Module): The network.
        groups (Sequence[ChannelGroup]): Of the network.
        sources (Sequence[Sequence[Member]]): Of each group.
        ratios (Sequence[float]): Share of channels to mask, of each group.

    Returns:
        list[dict]: One entry for each layer with parameters.
    """
    entries = {}
    for index, (group, found) in enumerate(zip(groups, sources)):
        for member in group.members if found else ():
            layer, names = find_layer(module, member.layer), _parameters(module, member)
            if not names:
                continue
            _register(layer)
            entry = entries.setdefault(
                member.layer, dict(op_names=[member.layer], target_names=names)
            )
            if member in found:
                side = _outputs(module, member)
                entry['target_settings'] = dict(
                    weight=dict(
                        sparse_ratio=ratios[index],
                        dependency_group_id=str(index),
                        granularity=('out_channel', 'in_channel')[side],
                    )
                )
    return list(entries.values())


def group_metrics(metrics: Masks, sources: Sources) -> list[Tensor | None]:
    """Return NNI's scores of the channels of each group.

    Args:
        metrics (Mapping): NNI's, by layer and parameter.
        sources (Sequence[Sequence[Member]]): Of each group.

    Returns:
        list[Tensor | None]: (width, ), the mean over the sources, on the
        CPU; None for a group without any.
    """
    return [
        torch.stack([metrics[m.layer]['weight'].detach().flatten().cpu() for m in found]).mean(0)
        if found
        else None
        for found in sources
    ]


def ratio_for(count: int, group: ChannelGroup) -> float:
    """Return the ratio of which NNI makes a number of channels.

    NNI rounds ratio times width down, which of ``count / width`` itself
    might make one channel less.
    """
    return (count + 0.5) / group.width


def alive_channels(module: nn.Module, masks: Masks, sources: Sources) -> list[Tensor | None]:
    """Return which channels of each group NNI's masks leave.

    Args:
        module (nn.Module): The network.
        masks (Mapping): NNI's, of the sources at least.
        sources (Sequence[Sequence[Member]]): Of each group.

    Returns:
        list[Tensor | None]: (width, ), bool, on the CPU; None for a group
        without sources.
    """
    return [
        masks[found[0].layer]['weight']
        .movedim(_outputs(module, found[0]), 0)
        .reshape(_width(module, found[0]), -1)
        .any(1)
        .cpu()
        if found
        else None
        for found in sources
    ]


def follow(
    module: nn.Module, groups: Sequence[ChannelGroup], alive: Sequence[Tensor | None]
) -> Masks:
    """Return masks for every parameter of the groups.

    Args:
        module (nn.Module): The network.
        groups (Sequence[ChannelGroup]): Of the network.
        alive (Sequence[Tensor | None]): Of :func:`alive_channels`.

    Returns:
        dict[str, dict[str, Tensor]]: By layer and parameter; of length 1
        but along the outputs.
    """
    masks = defaultdict(dict)
    for group, left in zip(groups, alive):
        for member in group.members if left is not None else ():
            for name in _parameters(module, member):
                tensor = getattr(find_layer(module, member.layer), name)
                shape = [1] * tensor.dim()
                shape[_outputs(module, member) if name == 'weight' else 0] = -1
                # a norm behind a concatenation follows several groups
                mask = masks[member.layer].setdefault(
                    name, torch.ones(_width(module, member)).view(shape)
                )
                mask.view(-1)[list(member.channels)] = left[list(member.roots)].float()
    return masks


def _outputs(module: nn.Module, member: Member) -> int:
    """Return the dimension of a weight that counts a group's channels."""
    layer = find_layer(module, member.layer)
    return int(member.part == 'makes' and getattr(layer, 'transposed', False))


def _width(module: nn.Module, member: Member) -> int:
    """Return how many outputs a layer has by its weight; 0 without one."""
    weight = find_layer(module, member.layer).weight
    return 0 if weight is None else weight.shape[_outputs(module, member)]


def _parameters(module: nn.Module, member: Member) -> list[str]:
    """Return the names of what a mask of the group applies to."""
    layer = find_layer(module, member.layer)
    return [
        name
        for name in ('weight', 'bias')
        if member.part != 'reads' and getattr(layer, name, None) is not None
    ]


def _register(layer: nn.Module) -> None:
    """Make a kind of layer known to NNI, which lists some kinds only."""
    setting = require('nni.compression.base.setting', 'NNIPruner').PruningSetting
    if type(layer).__name__ not in setting.registry:
        setting.register(type(layer).__name__, setting.default_setting)
