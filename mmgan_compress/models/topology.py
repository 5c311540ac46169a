"""Which layer of a generator plays which part, whatever its name is.

Pruning lists of the papers number the layers in the order in which they
run. Here they are found by their part in ResNet generators (mmagic's and the
separable ones) and in mmagic's U-Net, also where blocks are fewer, levels
were dropped or layers were made narrower.
"""

import torch.nn as nn
from mmagic.models.editors.cyclegan.cyclegan_modules import ResidualBlockWithDropout
from mmagic.models.editors.pix2pix.pix2pix_modules import UnetSkipConnectionBlock
from mmcv.cnn import ConvModule

from .blocks import ResidualBlock, SeparableConv

_RESIDUAL = (ResidualBlock, ResidualBlockWithDropout)
_CONVS = (nn.Conv2d, nn.ConvTranspose2d)


def is_unet(net: nn.Module) -> bool:
    """Tell whether a generator is mmagic's U-Net."""
    return isinstance(getattr(net, 'model', None), UnetSkipConnectionBlock)


def _depthwise(net: nn.Module) -> set[str]:
    # not by `groups`: with one channel left it is an ordinary convolution
    return {
        f'{name}.conv.0' for name, layer in net.named_modules() if isinstance(layer, SeparableConv)
    }


def has_trunk(net: nn.Module) -> bool:
    """Tell whether a network has a row of residual blocks."""
    row = getattr(net, 'model', None)
    return isinstance(row, nn.Sequential) and any(isinstance(block, _RESIDUAL) for block in row)


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
        raise TypeError(
            f'{type(net).__name__} has no row of residual blocks '
            'called "model": expected a ResNet generator of '
            'mmagic or of this package'
        )
    chain, trunk, depthwise = {}, 0, _depthwise(net)
    for child, block in net.model.named_children():
        prefix = f'model.{child}'
        names = [
            f'{prefix}.{name}' if name else prefix
            for name, layer in block.named_modules()
            if isinstance(layer, _CONVS)
        ]
        names = [name for name in names if name not in depthwise]
        for name in names:
            chain[name] = len(chain)
        if names and isinstance(block, _RESIDUAL):
            chain[names[-1]] = trunk
        elif names:
            trunk = chain[names[-1]]
    del chain[next(reversed(chain))]
    return chain


def feature_layers(net: nn.Module) -> list[str]:
    """Return the four layers to compare where a loss has ``layers='auto'``.

    These are where OMGD compares networks. Of a ResNet generator: the last
    layer before the residual blocks, and the block behind a third, two thirds
    and all of them. Of a U-Net: the activations behind levels 2 and 4 on the
    way down, and before levels 4 and 2 on the way up.

    Args:
        net (nn.Module): A generator.

    Returns:
        list[str]: Their names, in the order in which they run.

    Raises:
        ValueError: If it is neither.
    """
    if is_unet(net):
        convs = [name for name, _ in unet_convs(net)]
        return [convs[index].removesuffix('.conv') + '.activate' for index in (2, 4, -4, -2)]
    if not has_trunk(net):
        raise ValueError(
            f"layers='auto' does not work for "
            f'{type(net).__name__}, only for ResNet generators '
            'and U-Nets: name the layers of the loss'
        )
    names = [name for name, _ in net.model.named_children()]
    blocks = [name for name, block in net.model.named_children() if isinstance(block, _RESIDUAL)]
    count = len(blocks)
    return [
        f'model.{name}'
        for name in (
            names[names.index(blocks[0]) - 1],
            blocks[count // 3 - 1],
            blocks[2 * count // 3 - 1],
            blocks[-1],
        )
    ]


def unet_convs(net: nn.Module) -> list[tuple[str, str | None]]:
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
        raise TypeError(
            f"{type(net).__name__} is not built of mmagic's U-Net levels: expected a UnetGenerator"
        )
    names = {layer: name for name, layer in net.named_modules()}
    down, up, level = [], [], net.model
    while level is not None:
        convs = [m for m in level.model if isinstance(m, ConvModule)]
        pairs = [(names[m.conv], names.get(m.norm)) for m in convs]
        down.append(pairs[0])
        up.append(pairs[1])
        level = next((m for m in level.model if isinstance(m, UnetSkipConnectionBlock)), None)
    return [*down, *reversed(up)]
