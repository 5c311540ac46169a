"""Which layer of a generator plays which part, and which channels it keeps.

Pruning lists of the papers number the layers in the order in which they
run. Here they are found by their part in ResNet generators (mmagic's and the
separable ones) and in mmagic's U-Net, also where blocks are fewer, levels
were dropped or layers were made narrower.

Layers pass channels on: what the one gives is what the next ones read, where
a trunk adds and where a U-Net concatenates. A *writer* is a convolution that
makes channels of its own. How many it keeps follows from a configuration
(``core/search_space.py``), which of them from a rule: the leading ones, or
those of the largest L1 norm. A generator of another kind says all of this
itself, by its methods ``writers`` and ``keep`` and ``base_width`` (``models/
spade.py``). Parts of a configuration, by its length:

- ResNets, 5 + g numbers: stem, two down-samplings (the second one is the
  trunk), the inside of the residual blocks in g groups of consecutive ones,
  two up-samplings. GAN Compression has g = 3 (its older files: 1).
- U-Nets of n levels, n numbers: one for each resolution, down and up; or
  2n - 1: levels down, then up without the image.
- GauGAN, 8 numbers: the first convolution and the blocks.
- MUNIT, 10 numbers: style encoder, three layers of the content encoder (the
  third one is the trunk), its blocks and the decoder's in two groups each, two
  up-samplings.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch.nn as nn
from mmagic.models.editors.cyclegan.cyclegan_modules import ResidualBlockWithDropout
from mmagic.models.editors.pix2pix.pix2pix_modules import UnetSkipConnectionBlock
from mmcv.cnn import ConvModule

from ..core.base_layers import ConvBase, NormBase
from ..core.channels import ChannelMap, Kept, channel_map, filters_of, kept_widths
from .blocks import ResidualBlock, SeparableConv


class FreeChannels(NamedTuple):
    """Channels that one norm scales and one convolution reads.

    Of the first layer of a ``SeparableResnetGenerator``::

        FreeChannels(writer='model.1', norm='model.2',
                     between=(ReLU(),), reader='model.4')

    Args:
        writer (str): Convolution that makes them.
        norm (str): Norm behind it, with a scale for each.
        between (tuple[nn.Module]): Layers behind the norm.
        reader (str): The convolution after these; may be depthwise.
    """

    writer: str
    norm: str
    between: tuple[nn.Module, ...]
    reader: str


def makes_pixels(net: nn.Module) -> bool:
    """Tell whether channels become pixels, so that the trunk keeps its width."""
    return any(isinstance(layer, nn.PixelShuffle) for layer in net.modules())


def free_channels(net: nn.Module) -> list[FreeChannels]:
    """Find all channels of a ResNet generator that nothing is added to.

    Of nine blocks these are the 13 widths of the paper's generator: stem,
    first down-sampling, inside of each block, both up-samplings. The trunk,
    to which every block adds, stays as it is, and so do channels that reach
    the next convolution without a norm (CartoonGAN's re-sampling ones).

    Args:
        net (nn.Module): mmagic's ``ResnetGenerator`` or one of this
            package, of any widths, with norms that have scales.

    Returns:
        list[FreeChannels]: In the order in which they run.

    Raises:
        TypeError: If it has no row of residual blocks.
        ValueError: If one of these norms has no scales, or if there is
            none.
    """
    chain = resnet_chain(net)
    firsts = list(chain.values())
    leaves = [
        (name, layer) for name, layer in net.named_modules() if next(layer.children(), None) is None
    ]
    found = []
    for at, (name, _) in enumerate(leaves):
        if name not in chain or firsts.count(chain[name]) > 1:
            continue
        end = next(
            i for i, (_, layer) in enumerate(leaves) if i > at and isinstance(layer, ConvBase)
        )
        norm = next((i for i in range(at + 1, end) if isinstance(leaves[i][1], NormBase)), None)
        if norm is None:  # another convolution reads it as it is
            continue
        if leaves[norm][1].weight is None:
            raise ValueError(
                f'the norm {leaves[norm][0]!r} of {type(net).__name__} has '
                "no scales: expected norm_cfg=dict(type='IN', affine=True) "
                "or dict(type='BN')"
            )
        found.append(
            FreeChannels(
                name,
                leaves[norm][0],
                tuple(layer for _, layer in leaves[norm + 1 : end]),
                leaves[end][0],
            )
        )
    if not found:
        raise ValueError(
            f'{type(net).__name__} has no norm whose channels '
            'nothing is added to: there is nothing to slim'
        )
    return found


# Given a writer, the inputs that it keeps and how many outputs it keeps
Choose = Callable[[nn.Module, list[int], int], list[int]]


def leading(layer: nn.Module, inputs: list[int], count: int) -> list[int]:
    """Keep the first outputs: sub-networks of a super-net."""
    return list(range(count))


def strongest(layer: nn.Module, inputs: list[int], count: int) -> list[int]:
    """Keep the outputs whose weights on the kept inputs have the largest L1
    norm, in falling order (GAN Compression's weight transfer).
    """
    norms = filters_of(layer)[:, inputs].abs().sum((1, 2, 3))
    return norms.topk(count).indices.tolist()


def writers_of(net: nn.Module) -> dict[str, int]:
    """Return by name how many filters each writer has, as they run.

    Args:
        net (nn.Module): mmagic's ``ResnetGenerator`` or ``UnetGenerator``,
            ``SeparableResnetGenerator``, ``SPADEGenerator`` or
            ``MUNITGenerator``, of any widths.

    Raises:
        TypeError: If it is none of these.
    """
    if _tells(net):
        names = list(net.writers())
    elif is_unet(net):
        names = [conv for conv, _ in unet_convs(net)[:-1]]
    else:
        names = list(resnet_chain(net))
    channels = channel_map(net)
    return {name: channels[name][1] for name in names}


def filters_for(net: nn.Module, configuration: Sequence[int]) -> list[int]:
    """Return how many filters each writer keeps in a configuration.

    Args:
        net (nn.Module): As for :func:`writers_of`, of one width.
        configuration (Sequence[int]): As described at the top.

    Raises:
        TypeError: If the network has other parts.
        ValueError: If the numbers are too many, too few or too large.
    """
    wide = list(writers_of(net).values())
    base = net.base_width if _tells(net) else wide[0]
    if any(width % base for width in wide):
        raise ValueError(
            f'{type(net).__name__} has layers of {wide} filters: '
            f'a super-net needs multiples of {base}'
        )
    if max(configuration) > base:
        raise ValueError(
            f'the configuration {list(configuration)} is wider '
            f'than the network, which has {base} base channels'
        )
    parts_of = _own_parts if _tells(net) else _unet_parts if is_unet(net) else _resnet_parts
    parts = parts_of(net, len(configuration))
    return [width // base * configuration[part] for width, part in zip(wide, parts, strict=True)]


def kept_channels(net: nn.Module, filters: Sequence[int], choose: Choose = leading) -> Kept:
    """Return what each layer keeps if writers keep so many filters.

    Args:
        net (nn.Module): As for :func:`writers_of`.
        filters (Sequence[int]): Of each writer.
        choose (Callable): Which: :func:`leading` or :func:`strongest`.

    Returns:
        dict[str, list[list[int]]]: Of all convolutions and norms.
    """
    if _tells(net):
        return net.keep(dict(zip(net.writers(), filters, strict=True)), choose)
    walk = _kept_unet if is_unet(net) else _kept_resnet
    return walk(net, list(filters), choose)


def widths_for(net: nn.Module, filters: Sequence[int]) -> ChannelMap:
    """Return the channel map of a network whose writers have other widths.

    Args:
        net (nn.Module): As for :func:`writers_of`.
        filters (Sequence[int]): Of each writer. Of a ResNet of nine blocks
            these are GCC's 23 numbers: three convolutions, inner and outer
            width of each block, two transposed convolutions.

    Returns:
        dict[str, list[int]]: Of all convolutions and norms.

    Raises:
        ValueError: If these are too many or too few numbers, if one is
            below 1, or if they differ along the trunk of a ResNet.
    """
    names = list(writers_of(net))
    if len(filters) != len(names):
        raise ValueError(
            f'{len(filters)} widths for {len(names)} layers of {type(net).__name__}: {names}'
        )
    alone = is_unet(net) or _tells(net)
    firsts = range(len(names)) if alone else resnet_chain(net).values()
    for name, first, width in zip(names, firsts, filters):
        if width < 1 or width != filters[first]:
            raise ValueError(
                f'{name!r} cannot have {width} filters: expected at least 1 '
                'and, along the trunk, the same number as '
                f'{names[first]!r}, which has {filters[first]}'
            )
    return kept_widths(kept_channels(net, filters))


def _tells(net: nn.Module) -> bool:
    """Tell whether a network says itself which channels its layers keep."""
    return hasattr(net, 'writers')


def _own_parts(net: nn.Module, length: int) -> list[int]:
    parts = list(net.writers().values())
    if length != max(parts) + 1:
        raise ValueError(
            f'a configuration of {length} numbers for {type(net).__name__}: expected '
            f'{max(parts) + 1}'
        )
    return parts


def _resnet_parts(net: nn.Module, length: int) -> list[int]:
    """Return the part of a configuration that each writer belongs to."""
    firsts = list(resnet_chain(net).values())
    blocks = (len(firsts) - 5) // 2
    ends = [3 + 2 * blocks, 4 + 2 * blocks]
    inside = [place for i in range(blocks) for place in (3 + 2 * i, 2)]
    if firsts != [0, 1, 2, *inside, *ends]:
        raise TypeError(
            f'{type(net).__name__} is not made of a stem, two '
            'down-samplings, blocks of two convolutions and two '
            'up-samplings: it cannot be a super-net'
        )
    groups = length - 5
    if not 1 <= groups <= blocks:
        raise ValueError(
            f'a configuration of {length} numbers for {blocks} residual blocks: expected 6 to '
            f'{5 + blocks}'
        )
    inside = [part for i in range(blocks) for part in (3 + i * groups // blocks, 2)]
    return [0, 1, 2, *inside, 3 + groups, 4 + groups]


def _unet_parts(net: nn.Module, length: int) -> list[int]:
    levels = len(unet_convs(net)) // 2
    if length == levels:
        return [*range(levels), *reversed(range(levels - 1))]
    if length != 2 * levels - 1:
        raise ValueError(
            f'a configuration of {length} numbers for a U-Net '
            f'of {levels} levels: expected {levels} or '
            f'{2 * levels - 1}'
        )
    return list(range(length))


def _kept_resnet(net: nn.Module, filters: list[int], choose: Choose) -> Kept:
    chain, channels = resnet_chain(net), channel_map(net)
    names, wanted = list(chain), dict(zip(chain, filters, strict=True))
    convs = [n for n, counts in channels.items() if len(counts) == 2]
    if makes_pixels(net):
        raise TypeError(
            f'{type(net).__name__} turns channels into pixels: expected a '
            'pruner of the insides of its blocks, such as ScaleWidths'
        )
    current, made, kept = list(range(channels[convs[0]][0])), {}, {}
    for name, layer in net.named_modules():
        if isinstance(layer, NormBase):
            kept[name] = [current]
        if not isinstance(layer, ConvBase):
            continue
        outputs = current  # of a depthwise convolution
        if name == convs[-1]:
            outputs = list(range(channels[name][1]))
        elif name in chain:
            trunk = made.get(names[chain[name]])
            outputs = made[name] = trunk or choose(layer, current, wanted[name])
        kept[name] = [current, outputs]
        current = outputs
    return kept


def _kept_unet(net: nn.Module, filters: list[int], choose: Choose) -> Kept:
    channels, convs = channel_map(net), unet_convs(net)
    levels, kept, made = len(convs) // 2, {}, []
    inputs = list(range(channels[convs[0][0]][0]))
    image = list(range(channels[convs[-1][0]][1]))
    for index, (conv, norm) in enumerate(convs):
        last = index == len(convs) - 1
        outputs = image if last else choose(net.get_submodule(conv), inputs, filters[index])
        kept[conv] = [inputs, outputs]
        if norm is not None:
            kept[norm] = [outputs]
        made.append(outputs)
        inputs = outputs
        if levels <= index and not last:  # what the skip brings comes first
            skip = 2 * levels - 2 - index
            wide = channels[convs[skip][0]][1]
            inputs = [*made[skip], *(wide + channel for channel in outputs)]
    return kept


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
        ends = [  # of blocks inside this one, too
            [name for name in names if name.startswith(f'{inner}.')][-1]
            for inner, part in block.named_modules(prefix=prefix)
            if names and isinstance(part, _RESIDUAL)
        ]
        chain.update(dict.fromkeys(ends, trunk))
        if names and not ends:
            trunk = chain[names[-1]]
    del chain[next(reversed(chain))]
    return chain


def feature_layers(net: nn.Module) -> list[str]:
    """Return the four layers to compare where a loss has ``layers='auto'``.

    These are where OMGD compares networks. Of a ResNet generator: the last
    layer before the residual blocks, and the block behind a third, two thirds
    and all of them. Of a U-Net: the activations behind levels 2 and 4 on the
    way down, and before levels 4 and 2 on the way up. Other generators may
    have an attribute ``feature_layers``.

    Args:
        net (nn.Module): A generator.

    Returns:
        list[str]: Their names, in the order in which they run.

    Raises:
        ValueError: If it is neither.
    """
    net = getattr(net, 'network', net)  # of a super-net
    if hasattr(net, 'feature_layers'):
        return list(net.feature_layers)
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
    blocks = [  # SRResNet's lie in one
        name
        for name, block in net.model.named_modules()
        if isinstance(block, _RESIDUAL)
        and sum(isinstance(m, _RESIDUAL) for m in block.modules()) == 1
    ]
    count = len(blocks)
    return [
        f'model.{name}'
        for name in (
            names[names.index(blocks[0].partition('.')[0]) - 1],
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
