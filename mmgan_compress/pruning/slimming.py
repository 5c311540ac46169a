"""GAN Slimming's extraction: channels whose scale is zero are removed.

Such a channel still emits its norm's shift, a constant. What reads it adds
the same number everywhere, which goes into a bias, but not where it is
padded with zeros: there the constant ends at the border.

Of other networks, and after gradual pruning, channels go that are zero for
whoever reads them, along the dependency graph.
"""

import copy
from collections.abc import Sequence

import torch
import torch.nn as nn
from torch import Tensor

from ..core.base_layers import ConvBase, NormBase
from ..core.channels import channel_map, filters_of, image_channels, keep_channels, slice_channels
from ..core.layers import find_layer
from ..models.fake_quant import fake_quantize
from ..models.slim import slim_config
from ..models.topology import FreeChannels, free_channels, has_trunk
from ..registry import PRUNERS
from .base import Compressed, check_layers
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


_POINTWISE = (nn.ReLU, nn.LeakyReLU)
# of these the edges keep a constant, and dropout does nothing in eval mode
_TRANSPARENT = (nn.ReflectionPad2d, nn.ReplicationPad2d, nn.Dropout, nn.Identity)


@PRUNERS.register_module()
class SlimExtraction:
    """Cut the channels of scale 0 out of a trained generator.

    The weights of the others are inherited, and in eval mode the result
    computes what the generator computes. A constant that a dead channel
    emits is folded into what reads it; where that is padded with zeros, a
    channel goes only if the constant is 0 and stays otherwise
    (``SoftThresholdHook`` brings it to 0). A layer without any living
    channel keeps one that emits zeros, for the architectures have all their
    layers; a residual block is the identity then.

    In a network without a row of residual blocks, such as a U-Net, channels
    go whose scale and shift are 0: they are followed along the dependency
    graph, and nothing is folded.

    Args:
        published (bool): Drop the constants of a ResNet generator, as GAN
            Slimming's code does; its result differs from the generator.
    """

    takes_budget = 'none'
    takes_quantized = True  # GS-8: the float weights of such a file

    def __init__(self, published: bool = False):
        self.published = published

    def compress(self, generator: nn.Module, config: dict) -> Compressed:
        """Make a narrower generator with the weights of this one.

        Args:
            generator (nn.Module): Trained network; it is left as it is.
            config (dict): Config that builds it.

        Returns:
            Compressed: ``summary`` has ``widths`` by convolution; ``kept``,
            the dead channels that stay for their constants; ``emptied``,
            layers whose one channel emits zeros; ``dropped``, the largest
            constant that was dropped; and ``gap_8_bits``, how far both lie
            apart in 8 bits: the largest weight of a layer, which may have
            gone, is its scale. Without residual blocks ``removed`` and
            ``removable``, numbers of channels, ``gap`` and ``gap_8_bits``.

        Raises:
            TypeError: If it is quantized.
            ValueError: If its norms have no scales, or if none of these is
                0.
            ImportError: If it has no residual blocks and Torch-Pruning is
                not installed.
        """
        check_layers(generator)  # a constant folds into plain ones only
        if not has_trunk(generator):
            return _along_graph(generator, config)
        net = copy.deepcopy(generator).cpu()
        free = free_channels(net)
        if all(find_layer(net, f.norm).weight.all() for f in free):
            raise ValueError(
                'no norm has a scale of 0, so no channel can go: train with '
                'SoftThresholdHook, longer or with a larger rho'
            )
        summary = dict(widths={}, kept={}, emptied=[], dropped=0.0)
        with torch.no_grad():
            for channels in free:
                self._extract(net, channels, summary)
        summary['gap_8_bits'] = _gap_8_bits(generator, net)
        return Compressed(net, slim_config(net, config), summary)

    def _extract(self, net: nn.Module, free: FreeChannels, summary: dict):
        """Remove the dead ones of one layer's channels."""
        norm = find_layer(net, free.norm)
        dead = norm.weight == 0
        emitted = _constants(norm, free) * dead
        if self.published:
            summary['dropped'] = max(summary['dropped'], emitted.abs().max().item())
        elif _folds(net, free):
            _fold(net, free.reader, emitted)
        else:
            dead &= emitted == 0
        living = (~dead).nonzero().flatten()
        if not len(living):
            living = torch.zeros(1, dtype=torch.long)
            norm.bias[0] = 0.0  # what it emitted is folded, dropped or 0
            summary['emptied'].append(free.writer)
        elif (norm.weight[living] == 0).any():
            summary['kept'][free.writer] = int((norm.weight[living] == 0).sum())
        summary['widths'][free.writer] = len(living)
        channels, living = channel_map(net), living.tolist()
        kept = {free.writer: [range(channels[free.writer][0]), living], free.norm: [living]}
        for name in _readers(net, free.reader):
            layer = find_layer(net, name)
            passes = isinstance(layer, NormBase) or _depthwise(layer)
            kept[name] = (
                [living] * len(channels[name]) if passes else [living, range(channels[name][1])]
            )
        keep_channels(net, kept)


def _along_graph(generator: nn.Module, config: dict) -> Compressed:
    """Cut what norms make zero, wherever it goes."""
    small, summary = cut_zeros(generator, ('norm',))
    if not summary['removed']:
        raise ValueError(
            'no norm has a channel of scale and shift 0, so '
            'none can go: train with SoftThresholdHook, or set '
            'the shifts of dead channels to 0'
        )
    if summary['gap'] > 1e-3:
        raise ValueError(
            f'the image changes by {summary["gap"]:.2g} without the channels '
            'of scale and shift 0: something reads them beside their norms, '
            'or turns zeros into other numbers'
        )
    summary['gap_8_bits'] = _gap_8_bits(generator, small)
    return Compressed(small, slim_config(small, config), summary)


def _gap_8_bits(dense: nn.Module, small: nn.Module) -> float:
    """Return the largest difference on a random image when both round."""
    one, other = (fake_quantize(copy.deepcopy(net).cpu()) for net in (dense, small))
    image = torch.empty(1, image_channels(dense), SIZE, SIZE, device='meta')
    return difference(one, other, random_image(one, image))


def _constants(norm: NormBase, free: FreeChannels) -> Tensor:
    """Return what channels of scale 0 emit, (C,)."""
    x = norm.bias.clone()
    for layer in free.between:
        if isinstance(layer, _POINTWISE):
            x = layer(x)
    return x


def _folds(net: nn.Module, free: FreeChannels) -> bool:
    """Tell whether a constant arrives as the same number everywhere."""
    reader = find_layer(net, free.reader)
    padded = any(reader.padding) and reader.padding_mode == 'zeros'
    return not (reader.transposed or padded) and all(
        isinstance(layer, (*_POINTWISE, *_TRANSPARENT)) for layer in free.between
    )


def _depthwise(layer: nn.Module) -> bool:
    return isinstance(layer, ConvBase) and layer.groups > 1


def _after(net: nn.Module, name: str) -> list[str]:
    """Return the layers with channels from a named one on."""
    names = list(channel_map(net))
    return names[names.index(name) :]


def _readers(net: nn.Module, name: str) -> list[str]:
    """Return the layers that see channels: a convolution; or a depthwise
    one, the norm of its output and the convolution behind.
    """
    return _after(net, name)[: 3 if _depthwise(find_layer(net, name)) else 1]


def _fold(net: nn.Module, name: str, emitted: Tensor):
    """Add to a reader's output what constant channels add to it.

    Args:
        net (nn.Module): Changed in place.
        name (str): The reader.
        emitted (Tensor): (C,), 0 for channels that are not constant.
    """
    reader = find_layer(net, name)
    behind = [find_layer(net, n) for n in _after(net, name)[1:2]]
    taken_away = (
        bool(behind) and isinstance(behind[0], nn.InstanceNorm2d) and behind[0].running_mean is None
    )
    if taken_away:  # the norm subtracts each channel's mean
        return
    added = torch.einsum('oikl,i->o', reader.weight, emitted)
    if reader.bias is not None:
        reader.bias += added
    else:  # in front of a batch norm
        behind[0].running_mean -= added
