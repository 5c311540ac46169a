"""Which layer of a generator plays which part, whatever its name is.

Pruning lists of the papers number the layers in the order in which they
run. Here they are found by their part in ResNet generators (mmagic's and the
separable ones) and in mmagic's U-Net, also where blocks are fewer, levels
were dropped or layers were made narrower.
"""
from collections.abc import Sequence
from typing import Optional

import torch.nn as nn
from mmagic.models.editors.cyclegan.cyclegan_modules import \
    ResidualBlockWithDropout
from mmagic.models.editors.pix2pix.pix2pix_modules import \
    UnetSkipConnectionBlock
from mmcv.cnn import ConvModule

from ..core.channels import ChannelMap, channel_map
from .blocks import ResidualBlock, SeparableConv

_RESIDUAL = (ResidualBlock, ResidualBlockWithDropout)
_CONVS = (nn.Conv2d, nn.ConvTranspose2d)


def is_unet(net: nn.Module) -> bool:
    """Tell whether a generator is mmagic's U-Net."""
    return isinstance(getattr(net, 'model', None), UnetSkipConnectionBlock)


def _depthwise(net: nn.Module) -> set[str]:
    # not by `groups`: with one channel left it is an ordinary convolution
    return {f'{name}.conv.0' for name, layer in net.named_modules()
            if isinstance(layer, SeparableConv)}


def has_trunk(net: nn.Module) -> bool:
    """Tell whether a network has a row of residual blocks."""
    row = getattr(net, 'model', None)
    return isinstance(row, nn.Sequential) and any(
        isinstance(block, _RESIDUAL) for block in row)


def resnet_chain(net: nn.Module) -> dict[str, int]:
    """Return the convolutions of a ResNet generator that have filters of
    their own, in the order in which they run.

    All but the depthwise ones, which follow their input, and the last one,
    which makes the image. For a separable ResNet with one block::

        {'model.1': 0, 'model.4': 1, 'model.7': 2,
         'model.10.conv_block.1.conv.2': 3,
         'model.10.conv_block.6.conv.2': 2,        # added to model.7's
         'model.11': 5, 'model.14': 6}

    Args:
        net (nn.Module): ``SeparableResnetGenerator``, mmagic's
            ``ResnetGenerator`` or another chain of layers and residual
            blocks called ``model``.

    Returns:
        dict[str, int]: By name the place in this list of the first layer
        that it is added to (the trunk), or its own.

    Raises:
        TypeError: If it has no residual blocks in a row.
    """
    if not has_trunk(net):
        raise TypeError(f'{type(net).__name__} has no row of residual blocks '
                        'called "model": expected a ResNet generator of '
                        'mmagic or of this package')
    chain, trunk, depthwise = {}, 0, _depthwise(net)
    for child, block in net.model.named_children():
        prefix = f'model.{child}'
        names = [f'{prefix}.{name}' if name else prefix
                 for name, layer in block.named_modules()
                 if isinstance(layer, _CONVS)]
        names = [name for name in names if name not in depthwise]
        for name in names:
            chain[name] = len(chain)
        if names and isinstance(block, _RESIDUAL):
            chain[names[-1]] = trunk
        elif names:
            trunk = chain[names[-1]]
    del chain[next(reversed(chain))]
    return chain


def resnet_channels(net: nn.Module, widths: Sequence[int]) -> ChannelMap:
    """Return the channel map of a ResNet generator of other widths.

    Args:
        net (nn.Module): As for :func:`resnet_chain`.
        widths (Sequence[int]): Filters of the layers of that list. For nine
            blocks these are GCC's 23 numbers: three convolutions, inner and
            outer width of each block, two transposed convolutions.

    Returns:
        dict[str, list[int]]: Of all its layers.

    Raises:
        ValueError: If these are too many or too few numbers, if one is
            below 1, or if they differ along the trunk.
    """
    chain = resnet_chain(net)
    if len(widths) != len(chain):
        raise ValueError(f'{len(widths)} widths for {len(chain)} layers of '
                         f'{type(net).__name__}: {list(chain)}')
    for (name, first), width in zip(chain.items(), widths):
        if width < 1 or width != widths[first]:
            raise ValueError(
                f'{name!r} cannot have {width} filters: expected at least 1 '
                'and, along the trunk, the same number as '
                f'{list(chain)[first]!r}, which has {widths[first]}')
    filters, depthwise = dict(zip(chain, widths)), _depthwise(net)
    channels, width = {}, None
    for name, counts in channel_map(net).items():
        if len(counts) == 1:
            channels[name] = [width]
            continue
        inputs = counts[0] if width is None else width
        width = inputs if name in depthwise else filters.get(name, counts[1])
        channels[name] = [inputs, width]
    return channels


def unet_convs(net: nn.Module) -> list[tuple[str, Optional[str]]]:
    """Return the convolutions of mmagic's U-Net with the norms behind them,
    in the order in which they run: n levels down, n up.

    Args:
        net (nn.Module): ``UnetGenerator``.

    Returns:
        list[tuple[str, str | None]]: 2 n pairs of names; the first, the
        n-th (innermost) and the last convolution have no norm.

    Raises:
        TypeError: If it is another network.
    """
    if not is_unet(net):
        raise TypeError(f'{type(net).__name__} is not built of mmagic\'s '
                        'U-Net levels: expected a UnetGenerator')
    names = {layer: name for name, layer in net.named_modules()}
    down, up, level = [], [], net.model
    while level is not None:
        convs = [m for m in level.model if isinstance(m, ConvModule)]
        pairs = [(names[m.conv], names.get(m.norm)) for m in convs]
        down.append(pairs[0])
        up.append(pairs[1])
        level = next((m for m in level.model
                      if isinstance(m, UnetSkipConnectionBlock)), None)
    return [*down, *reversed(up)]


def seen_channels(filters: Sequence[int]) -> list[int]:
    """Return what the layer behind each convolution of a U-Net is given.

    Args:
        filters (Sequence[int]): Filters of all convolutions but the last,
            as they run: n levels down, n - 1 up.

    Returns:
        list[int]: The same, and on the way up the skip added (GCC's
        ``channel_cfgs``).
    """
    n = (len(filters) + 1) // 2
    return [*filters[:n],
            *(filters[n + k] + filters[n - 2 - k] for k in range(n - 1))]


def unet_channels(net: nn.Module, filters: Sequence[int]) -> ChannelMap:
    """Return the channel map of a U-Net of other widths.

    Args:
        net (nn.Module): ``UnetGenerator`` of n levels.
        filters (Sequence[int]): As for :func:`seen_channels`.

    Returns:
        dict[str, list[int]]: Of all its layers.
    """
    convs, before = unet_convs(net), channel_map(net)
    image_in, image_out = before[convs[0][0]][0], before[convs[-1][0]][1]
    channels = {}
    for (conv, norm), inputs, outputs in zip(
            convs, [image_in, *seen_channels(filters)],
            [*filters, image_out], strict=True):
        channels[conv] = [inputs, outputs]
        if norm is not None:
            channels[norm] = [outputs]
    return channels
