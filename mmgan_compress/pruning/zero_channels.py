"""Channels that a training has set to zero, cut along the graph."""

from collections.abc import Sequence

import torch
import torch.nn as nn

from ..core.channels import filters_of, image_channels
from ..core.layers import find_layer
from ..core.sliced_forward import slice_channels
from ..models.slim import slim_config
from ..registry import PRUNERS
from .base import Compressed
from .dependencies import ChannelGroup, channel_groups, without
from .slicing import check_equal, difference, random_image

# sides of the image that shapes are traced with
SIZE = 256


def cut_zeros(generator: nn.Module, parts: Sequence[str]) -> tuple[nn.Module, dict]:
    """Copy a network without the channels that some of its layers zero.

    Args:
        generator (nn.Module): Trained network; it is left as it is.
        parts (Sequence[str]): Those of a group (``dependencies.Member``)
            that must all be zero for a channel to go.

    Returns:
        nn.Module: The smaller network, on the CPU.
        dict: ``removed`` and ``removable``, numbers of channels, and
        ``gap``, the largest difference of both on one random image.

    Raises:
        TypeError: If the network is quantized.
        ValueError: If something outside of layers mixes channels.
        ImportError: If Torch-Pruning is not installed.
    """
    image = torch.empty(1, image_channels(generator), SIZE, SIZE, device='meta')
    groups = channel_groups(generator, image)
    dead = [_dead(generator, group, parts) for group in groups]
    kept = without(generator, groups, dead)
    small = slice_channels(generator, kept)
    check_equal(generator, small, kept, image)
    gap = difference(generator, small, random_image(generator, image))
    return small.cpu(), dict(
        removed=sum(map(len, dead)), removable=sum(group.width for group in groups), gap=gap
    )


@torch.no_grad()
def _dead(network: nn.Module, group: ChannelGroup, parts: Sequence[str]) -> list[int]:
    """Return the channels of a group that are zero, but one of them if all
    are: a layer without channels makes no image.
    """
    members = [member for member in group.members if member.part in parts]
    alive = torch.zeros(group.width, dtype=torch.bool)
    for member in members:
        layer = find_layer(network, member.layer)
        roots = torch.tensor(member.roots)
        if layer.weight is None and 'makes' not in parts:
            alive[roots] = True  # a norm that zeroes nothing by itself
        for tensor in (layer.weight, layer.bias):
            if tensor is not None:
                if tensor.dim() > 1 and member.part == 'makes':
                    tensor = filters_of(layer)
                live = tensor.flatten(1).any(1) if tensor.dim() > 1 else tensor != 0
                alive[roots] |= live[list(member.channels)].cpu()
    dead = (~alive).nonzero().flatten().tolist() if members else []
    return dead[1:] if len(dead) == group.width else dead


@PRUNERS.register_module()
class MaskExtraction:
    """Cut out the channels that are zero for whoever reads them.

    Those are dead for which all that makes and passes them is zero: filters
    and their biases, scales and shifts of norms. ``GradualPruningHook``
    leaves such channels. The image stays the same where a filter of zeros
    gives zero for whoever reads it: behind ReLU and tanh, not behind a
    sigmoid, nor behind a norm without scales that has a running mean.
    """

    takes_budget = 'none'

    def compress(self, generator: nn.Module, config: dict) -> Compressed:
        """Make a narrower generator with the weights of this one.

        Args:
            generator (nn.Module): Trained network; it is left as it is.
            config (dict): Config that builds it.

        Returns:
            Compressed: ``summary`` has ``removed`` and ``removable``,
            numbers of channels, and ``gap``, the largest difference of both
            on one random image.

        Raises:
            TypeError: If it is quantized.
            ValueError: If no channel is dead, or if something outside of
                layers mixes channels.
            ImportError: If Torch-Pruning is not installed.
        """
        small, summary = cut_zeros(generator, ('makes', 'norm', 'depthwise'))
        if not summary['removed']:
            raise ValueError('no channel is zero, so none can go: train with GradualPruningHook')
        return Compressed(small, slim_config(small, config), summary)
