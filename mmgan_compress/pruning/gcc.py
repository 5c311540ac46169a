"""GCC's pruning: a trained network tells how wide a fresh one is made.

One threshold for the whole network is searched so that a budget is met. What
a threshold keeps is as published (GCC, arXiv 2110.14439; models/CycleGAN.py
and models/Pix2Pix.py of its repository). The weights are not inherited (GCC
trains the narrow generator from scratch): what is taken over is the number of
channels of each layer.
"""

import copy
import functools
import itertools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
from torch import Tensor
from tqdm import tqdm

from ..core.base_layers import NormBase
from ..core.channels import changed, channel_map, filters_of, resize
from ..core.layers import find_layer, init_weights
from ..core.messages import check_choice, check_range
from ..models.sagan import SelfAttentionGenerator
from ..models.slim import architecture, slim_config
from ..models.spectral_norm import without_spectral_norm
from ..models.student_config import build_generator
from ..models.topology import (
    FreeChannels,
    free_channels,
    is_unet,
    makes_pixels,
    resnet_chain,
    unet_convs,
    widths_for,
)
from ..registry import PRUNERS
from .base import Compressed, check_layers
from .budget import Budget, nearest

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


Narrow = tuple[nn.Module, dict]


@dataclass(frozen=True)
class Plan:
    """What a threshold makes of one generator.

    Args:
        scores (list[Tensor]): What is compared with the threshold.
        interval (tuple[float, float]): Thresholds to search; the upper one
            is left out.
        widths (Callable): Maps a threshold to the filters of each layer.
        narrow (Callable): Maps filters to a network on the meta device and
            the config of the architecture that it was made from.
        shape (Callable): Tells which filters make the same architecture.
    """

    scores: list[Tensor]
    interval: tuple[float, float]
    widths: Callable[[float], list[int]]
    narrow: Callable[[Sequence[int]], Narrow]
    shape: Callable[[Sequence[int]], Hashable] = len

    def segments(self) -> list[list[float]]:
        """Return all thresholds that differ in what they keep, the first of
        which keeps all; split where levels go, for there the cost may rise:
        what lies deeper then works on larger maps.
        """
        low, high = self.interval
        values = np.unique(torch.cat(self.scores).cpu().numpy())
        values = values[(values >= low) & (values < high)]
        everything = np.nextafter(np.float32(low), np.float32(-np.inf))
        thresholds = [float(value) for value in (everything, *values)]
        return [
            list(group)
            for _, group in itertools.groupby(thresholds, lambda t: self.shape(self.widths(t)))
        ]


def narrow(config: dict, widths: Sequence[int]) -> Narrow:
    """Build a narrow generator on the meta device.

    Args:
        config (dict): Config of the wide one.
        widths (Sequence[int]): See
            :func:`~mmgan_compress.models.topology.widths_for`.

    Returns:
        tuple[nn.Module, dict]: Network and config of its architecture.
    """
    arch = architecture(config)
    net = build_generator(arch, 'meta')
    return resize(net, widths_for(net, widths)), arch


def narrow_insides(config: dict, free: Sequence[FreeChannels], widths: Sequence[int]) -> Narrow:
    """Build a generator whose residual blocks are narrow inside, on the meta
    device.

    Args:
        config (dict): Config of the wide one.
        free (Sequence[FreeChannels]): Its channels that nothing is added to.
        widths (Sequence[int]): How many there are of each.

    Returns:
        tuple[nn.Module, dict]: Network and config of its architecture.
    """
    arch = architecture(config)
    net = build_generator(arch, 'meta')
    channels = channel_map(net)
    for place, width in zip(free, widths):
        channels[place.writer][1] = channels[place.norm][0] = channels[place.reader][0] = width
    return resize(net, changed(channels, channel_map(net))), arch


def plan_widths(generator: SelfAttentionGenerator, config: dict) -> Plan:
    """Return what thresholds make of a generator whose config has widths.

    Of layers with attention a multiple of its ``width_steps`` is kept, rounded
    down: published, the attention of fewer than 8 channels has no queries.

    Args:
        generator (SelfAttentionGenerator): Trained network.
        config (dict): Config that builds it.
    """
    arch = architecture(config)
    scores = [m.weight.detach() for m in generator.modules() if isinstance(m, NormBase)]

    def widths(threshold: float) -> list[int]:
        counts = zip(count_above(scores, threshold), generator.width_steps)
        return [max(step, count // step * step) for count, step in counts]

    def narrow(widths: Sequence[int]) -> Narrow:
        own = dict(arch, widths=list(widths))
        return build_generator(own, 'meta'), own

    return Plan(scores, peaks_interval(scores), widths, narrow)


def peaks_interval(scores: Sequence[Tensor]) -> tuple[float, float]:
    """Return between which thresholds no layer loses all its channels."""
    return min(float(s.min()) for s in scores), min(float(s.max()) for s in scores)


def narrow_unet(config: dict, filters: Sequence[int]) -> Narrow:
    """Build a narrow U-Net on the meta device.

    Levels without filters on either side are left out; those outside and
    inside of them are joined.

    Args:
        config (dict): Config of the wide one.
        filters (Sequence[int]): As from :func:`unet_filters`.

    Returns:
        tuple[nn.Module, dict]: Network and config of its architecture.

    Raises:
        ValueError: If fewer levels are left than mmagic's U-Net has.
    """
    levels, last = surviving_levels(filters), len(filters)
    if len(levels) < MIN_LEVELS:
        raise ValueError(
            f'the filters {list(filters)} leave {len(levels)} levels of the '
            f'U-Net, mmagic builds none of fewer than {MIN_LEVELS}: take a '
            'lower threshold (scale_interval names the highest) or budget'
        )
    kept = [
        *(filters[level] for level in levels),
        *(filters[last - level] for level in reversed(levels) if level),
    ]
    arch = dict(architecture(config), num_down=len(levels))
    return narrow(arch, kept)


class WidthPruner:
    """Base of GCC's pruners; one overrides :meth:`plan`.

    Args:
        budget (dict): Such as ``dict(macs_paper=2.4e9, size=256)``, see
            :class:`~mmgan_compress.pruning.budget.Budget`.
    """

    draws_weights = True
    takes_budget = 'needed'

    def __init__(self, budget: dict):
        self.budget = Budget.of(budget)

    def plan(self, generator: nn.Module, config: dict) -> Plan:
        """Return what thresholds make of a generator."""
        raise NotImplementedError

    def compress(self, generator: nn.Module, config: dict) -> Compressed:
        """Make a narrower generator with new weights.

        Args:
            generator (nn.Module): Trained network; it is left as it is.
            config (dict): Config that builds it.

        Returns:
            Compressed: Its network is drawn from torch's random state;
            ``summary`` holds ``kind``, ``size``, ``dense``, ``target``,
            ``cost``, ``threshold``, ``widths`` and ``history``: one
            ``[threshold, cost]`` for each network tried.

        Raises:
            TypeError: If it is another kind of generator, or quantized.
            ValueError: If no network meets the budget; names the nearest.
        """
        # drawn anew, weights may be computed from others of this network
        check_layers(without_spectral_norm(copy.deepcopy(generator)))
        plan = self.plan(generator, config)
        dense = self.budget.measure(generator)
        target, tried = self.budget.target(dense), {}

        def cost(threshold: float) -> int:
            network, _ = plan.narrow(plan.widths(threshold))
            tried[threshold] = self.budget.measure(network)
            bar.set_postfix_str(f'{tried[threshold] / target:.3f} of the budget')
            bar.update()
            return tried[threshold]

        with tqdm(desc=type(self).__name__, unit=' networks') as bar:
            threshold = nearest(plan.segments(), cost, target)
        widths = plan.widths(threshold)
        self.budget.check(tried[threshold], dense, f'with the widths {widths}')
        config = slim_config(*plan.narrow(widths))
        network = build_generator(config)
        init_weights(network)
        return Compressed(
            network,
            config,
            dict(
                kind=self.budget.kind,
                size=self.budget.size,
                dense=dense,
                target=target,
                cost=tried[threshold],
                threshold=threshold,
                widths=widths,
                history=[list(trial) for trial in tried.items()],
            ),
        )


@PRUNERS.register_module()
class NormWidths(WidthPruner):
    """Narrow a ResNet generator: filters with a large L1 norm count.

    Depthwise convolutions follow their input, the layer that makes the
    image stays, and the second down-sampling shares one mask with the
    outputs of all residual blocks. ``SRResNet``, whose trunk becomes pixels,
    loses channels inside its residual blocks.

    Args:
        budget (dict): As for :class:`WidthPruner`.
        rule (str): The shared mask comes from the ``'mean'`` norm of its
            layers (GCC's CycleGAN) or is the ``'union'`` of their masks
            (its Pix2Pix).
        floor (int): Filters that every layer keeps, at least 1. GCC's own
            search ends where the first layer would lose its last; here it
            goes on, and a small budget can leave layers at the floor.
    """

    def __init__(self, budget: dict, rule: str = 'mean', floor: int = 1):
        super().__init__(budget)
        check_range('floor', floor, 1)
        check_choice('rule', rule, TRUNK_RULES)
        self.rule, self.floor = rule, floor

    def plan(self, generator: nn.Module, config: dict) -> Plan:
        """Plan by the L1 norms of the filters."""
        chain = resnet_chain(generator)
        scores, build = filter_norms(generator), narrow
        if makes_pixels(generator):
            free = free_channels(generator)
            by_name = dict(zip(chain, scores))
            scores = [by_name[place.writer] for place in free]
            build = functools.partial(narrow_insides, free=free)
        else:
            scores = share_norms(scores, list(chain.values()), self.rule)
        bounds = torch.stack([torch.stack(score.aminmax()) for score in scores])
        return Plan(
            scores,
            (float(bounds.min()), float(bounds.max())),
            lambda threshold: count_above(scores, threshold, self.floor),
            lambda widths: build(config, widths=widths),
        )


@PRUNERS.register_module()
class ScaleWidths(WidthPruner):
    """Narrow a network: channels with a large norm weight count.

    The weight itself counts, not its absolute value. The outermost level of
    a U-Net keeps its filters, and so does the innermost convolution, which
    has no norm. A level that loses all channels on either side is left out:
    the result is a U-Net of fewer levels, at least five. Other networks lose
    channels that nothing is added to, ``SRResNet`` those inside its residual
    blocks; one of each layer is kept. ``SelfAttentionGenerator`` loses channels
    of its four layers, of two of them in steps of 8.

    The generator has norms with weights.

    Args:
        budget (dict): As for :class:`WidthPruner`.
    """

    def plan(self, generator: nn.Module, config: dict) -> Plan:
        """Plan by the norm weights."""
        if isinstance(generator, SelfAttentionGenerator):
            return plan_widths(generator, config)
        if not is_unet(generator):
            free = free_channels(generator)
            scores = [find_layer(generator, place.norm).weight.detach() for place in free]
            return Plan(
                scores,
                peaks_interval(scores),
                lambda threshold: count_above(scores, threshold, 1),
                lambda widths: narrow_insides(config, free, widths),
            )
        scores = norm_scales(generator)
        channels, convs = channel_map(generator), unet_convs(generator)
        ends = [channels[convs[at][0]][1] for at in (0, len(convs) // 2 - 1)]
        return Plan(
            scores,
            scale_interval(scores),
            lambda threshold: unet_filters(scores, threshold, *ends),
            lambda filters: narrow_unet(config, filters),
            lambda filters: tuple(surviving_levels(filters)),
        )


@PRUNERS.register_module()
class GCCWidths(NormWidths):
    """:class:`ScaleWidths` for a U-Net, :class:`NormWidths` for others.

    Args:
        budget (dict): As for :class:`WidthPruner`.
        rule (str): As for :class:`NormWidths`. A U-Net has no use for it,
            nor for the next.
        floor (int): As for :class:`NormWidths`.
    """

    def plan(self, generator: nn.Module, config: dict) -> Plan:
        """See :class:`ScaleWidths` and :class:`NormWidths`."""
        return (
            ScaleWidths.plan(self, generator, config)
            if is_unet(generator)
            else super().plan(generator, config)
        )
