"""Channels that a training has set to zero are cut out."""
import torch
import torch.nn as nn
from torch import Tensor

from ..core.channels import image_channels
from ..core.layers import find_layer
from ..models.slim import slim_config
from ..registry import PRUNERS
from .base import Compressed
from .dependencies import ChannelGroup, channel_groups, without
from .slicing import check_equal, slice_channels

# sides of the image that shapes are traced with
SIZE = 256


@PRUNERS.register_module()
class MaskExtraction:
    """Cut out the channels that are zero for whoever reads them.

    Those are dead for which all that makes and passes them is zero: filters
    and their biases, scales and shifts of norms. ``GradualPruningHook``
    leaves such channels. The image stays the same where a filter of zeros gives
    zero for whoever reads it: behind ReLU, tanh and norms without a running
    mean, not behind a sigmoid.
    """

    def compress(self, generator: nn.Module, config: dict) -> Compressed:
        """Make a narrower generator with the weights of this one.

        Args:
            generator (nn.Module): Trained network; it is left as it is.
            config (dict): Config that builds it.

        Returns:
            Compressed: ``summary`` has ``removed`` and ``removable``,
            numbers of channels.

        Raises:
            TypeError: If it is quantized.
            ValueError: If no channel is dead, or if something outside of
                layers mixes channels.
            ImportError: If Torch-Pruning is not installed.
        """
        image = torch.empty(1, image_channels(generator), SIZE, SIZE,
                            device='meta')
        groups = channel_groups(generator, image)
        dead = [_dead(generator, group) for group in groups]
        count = sum(map(len, dead))
        if not count:
            raise ValueError('no channel is zero, so none can go: train with '
                             'GradualPruningHook')
        kept = without(generator, groups, dead)
        small = slice_channels(generator, kept)
        check_equal(generator, small, kept, image)
        return Compressed(small.cpu(), slim_config(small, config), dict(
            removed=count, removable=sum(group.width for group in groups)))


@torch.no_grad()
def _dead(network: nn.Module, group: ChannelGroup) -> list[int]:
    """Return the channels of a group that are zero, but one of them if all
    are: a layer without channels makes no image."""
    alive = torch.zeros(group.width, dtype=torch.bool)
    for member in group.members:
        if member.part == 'reads':
            continue
        layer = find_layer(network, member.layer)
        for tensor in (layer.weight, layer.bias):
            if tensor is not None:
                live = _live(tensor, layer, member.part)
                roots = torch.tensor(member.roots)
                alive[roots] |= live[list(member.channels)].cpu()
    dead = (~alive).nonzero().flatten().tolist()
    return dead[1:] if len(dead) == group.width else dead


def _live(tensor: Tensor, layer: nn.Module, part: str) -> Tensor:
    """Tell which outputs of a layer have a value other than 0, (C,)."""
    if tensor.dim() > 1 and part == 'makes' and \
            getattr(layer, 'transposed', False):
        tensor = tensor.transpose(0, 1)
    return tensor.flatten(1).any(1) if tensor.dim() > 1 else tensor != 0
