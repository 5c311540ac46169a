"""What GCC reads off a trained generator: the widths that a threshold gives.

As published (arXiv 2110.14439; models/CycleGAN.py and models/Pix2Pix.py of
its repository); the search for the threshold is in ``widths.py``.
"""

from collections.abc import Sequence

import torch
import torch.nn as nn
from torch import Tensor

from ..core.channels import filters_of
from ..core.layers import find_layer
from ..models.topology import resnet_chain, unet_convs

MIN_LEVELS = 5  # mmagic's UnetGenerator has four levels that widen, and one

TRUNK_RULES = {
    'mean': lambda norms: norms.mean(0),
    'union': lambda norms: norms.amax(0),  # above in any layer
}


def filter_norms(net: nn.Module) -> list[Tensor]:
    """Return the L1 norm of each filter of a ResNet generator.

    Args:
        net (nn.Module): ``SeparableResnetGenerator`` or mmagic's
            ``ResnetGenerator``.

    Returns:
        list[Tensor]: (filters,) of each layer of
        :func:`~mmgan_compress.models.topology.resnet_chain`.
    """
    return [filters_of(find_layer(net, name)).abs().sum((1, 2, 3)) for name in resnet_chain(net)]


def share_norms(norms: Sequence[Tensor], chain: Sequence[int], rule: str) -> list[Tensor]:
    """Let the layers of a trunk keep the same filters.

    Args:
        norms (Sequence[Tensor]): As from :func:`filter_norms`.
        chain (Sequence[int]): For each layer the first that it is added to.
        rule (str): ``'mean'`` of the layers' norms (GCC's CycleGAN) or
            ``'union'`` of the filters that each would keep (its Pix2Pix).

    Returns:
        list[Tensor]: Norms, equal along each trunk.
    """
    groups: dict[int, list] = {}
    for first, norm in zip(chain, norms):
        groups.setdefault(first, []).append(norm)
    shared = {first: TRUNK_RULES[rule](torch.stack(group)) for first, group in groups.items()}
    return [shared[first] for first in chain]


def count_above(scores: Sequence[Tensor], threshold: float, floor: int = 0) -> list[int]:
    """Return how many scores of each layer lie above a threshold, but
    ``floor`` where it has so many.
    """
    return [max(min(floor, len(score)), int((score > threshold).sum())) for score in scores]


def norm_scales(net: nn.Module) -> list[Tensor]:
    """Return the norm weights of a U-Net of n levels.

    Args:
        net (nn.Module): mmagic's ``UnetGenerator``.

    Returns:
        list[Tensor]: (channels,) of 2 n - 3 norms, as they run.

    Raises:
        ValueError: If its norms have no weights.
    """
    norms = [norm for _, norm in unet_convs(net) if norm is not None]
    scales = [find_layer(net, norm).weight for norm in norms]
    if len(norms) == 0 or any(scale is None for scale in scales):
        raise ValueError(
            f'{type(net).__name__} has norms without scales: expected '
            "norm_cfg=dict(type='BN') or dict(type='IN', affine=True)"
        )
    return [scale.detach() for scale in scales]


def scale_interval(scales: Sequence[Tensor]) -> tuple[float, float]:
    """Return between which thresholds a U-Net is searched.

    Below the upper one no norm of the five outer levels loses all its
    channels, and not all of the others' do (GCC's search; the number of
    levels that mmagic's U-Net has at least is the same).

    Args:
        scales (Sequence[Tensor]): As from :func:`norm_scales`.

    Returns:
        tuple[float, float]: Inclusive and exclusive bound.
    """
    peaks = [float(scale.max()) for scale in scales]
    levels = (len(scales) + 3) // 2
    inner = slice(MIN_LEVELS - 1, 2 * levels - MIN_LEVELS - 2)
    high = min(peaks[: inner.start] + peaks[inner.stop :])
    if peaks[inner]:
        high = min(high, max(peaks[inner]))
    return min(float(scale.min()) for scale in scales), high


def unet_filters(
    scales: Sequence[Tensor], threshold: float, outermost: int, innermost: int
) -> list[int]:
    """Return the filters of each convolution of a U-Net (GCC's
    ``filter_cfgs``); 0 on either side of a level drops it.

    Args:
        scales (Sequence[Tensor]): As from :func:`norm_scales`.
        threshold (float): Channels with a larger weight (not: absolute
            value) are kept.
        outermost (int): Filters of the first convolution, which has no
            norm: they stay.
        innermost (int): Filters of the innermost one, which has none
            either: they stay if the level around it and its own way up do.

    Returns:
        list[int]: 2 n - 1 numbers: n levels down, n - 1 up.
    """
    counts = count_above(scales, threshold)
    n = (len(scales) + 3) // 2
    down, up = [outermost, *counts[: n - 2]], counts[n - 2 :]
    down.append(innermost if down[-1] and up[0] else 0)
    return [*down, *(u if d else 0 for u, d in zip(up, reversed(down)))]


def surviving_levels(filters: Sequence[int]) -> list[int]:
    """Return the levels of a U-Net that have filters on both sides."""
    last = len(filters)
    return [
        level
        for level in range((last + 1) // 2)
        if not level or filters[level] and filters[last - level]
    ]
