"""Which channels of a generator each layer keeps when it gets narrower.

Layers pass channels on: what the one gives is what the next ones read, where
a trunk adds and where a U-Net concatenates. A *writer* is a convolution that
makes channels of its own. How many it keeps follows from a configuration
(``core/search_space.py``), which of them from a rule: the leading ones, or
those of the largest L1 norm.

Parts of a configuration, by its length:

- ResNets, 5 + g numbers: stem, two down-samplings (the second one is the
  trunk), the inside of the residual blocks in g groups of consecutive ones,
  two up-samplings. GAN Compression has g = 3 (its older files: 1).
- U-Nets of n levels, n numbers: one for each resolution, down and up; or
  2n - 1: levels down, then up without the image.
"""

from collections.abc import Callable, Sequence

import torch.nn as nn

from ..core.base_layers import ConvBase, NormBase
from ..core.channels import ChannelMap, channel_map, filters_of
from ..core.sliced_forward import Kept, kept_widths
from .topology import is_unet, resnet_chain, unet_convs

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
            or ``SeparableResnetGenerator``, of any widths.

    Raises:
        TypeError: If it is none of these.
    """
    names = [conv for conv, _ in unet_convs(net)[:-1]] if is_unet(net) else list(resnet_chain(net))
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
    base = wide[0]
    if any(width % base for width in wide):
        raise ValueError(
            f'{type(net).__name__} has layers of {wide} filters: '
            'a super-net needs multiples of the first one'
        )
    if max(configuration) > base:
        raise ValueError(
            f'the configuration {list(configuration)} is wider '
            f'than the network, which has {base} base channels'
        )
    parts = (
        _unet_parts(net, len(configuration))
        if is_unet(net)
        else _resnet_parts(net, len(configuration))
    )
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
    firsts = range(len(names)) if is_unet(net) else resnet_chain(net).values()
    for name, first, width in zip(names, firsts, filters):
        if width < 1 or width != filters[first]:
            raise ValueError(
                f'{name!r} cannot have {width} filters: expected at least 1 '
                'and, along the trunk, the same number as '
                f'{names[first]!r}, which has {filters[first]}'
            )
    return kept_widths(kept_channels(net, filters))


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
            f'a configuration of {length} numbers for '
            f'{blocks} residual blocks: expected 6 to '
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
