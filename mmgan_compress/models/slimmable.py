"""Which channels of a generator can go one by one: GAN Slimming's."""

from typing import NamedTuple

import torch.nn as nn

from ..core.base_layers import ConvBase, NormBase
from .topology import resnet_chain


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
