"""What pruners share that rank channels: settings, budget, the cut.

A pruner scores the channels of each group that can only go together (see
``dependencies.py``). The least important ones go until the budget is met,
and what is left is cut out of the network (see ``slicing.py``).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn as nn
from torch import Tensor

from ..core.channels import changed, channel_map, image_channels
from ..core.messages import check_choice
from ..core.sliced_forward import Kept, slice_channels
from ..models.slim import slim_config
from .base import Compressed
from .budget import Budget
from .channel_search import Channel, ChannelSearch, by_group
from .dependencies import ChannelGroup, channel_groups, without
from .slicing import check_equal

SCOPES = ('global', 'local')
SIZE = 256  # side of the example where there is no budget


class Pruned(NamedTuple):
    """What ``prune`` returns.

    Args:
        network (nn.Module): The smaller network.
        kept (dict[str, list[list[int]]]): Channels that it kept of the wide
            one (see ``slicing.py``).
        summary (dict): What tells the pruner from others, ``scope``,
            ``removed`` and ``removable`` (numbers of channels), ``channels``
            (map of the layers that changed, for ``core/channels.resize``);
            with a budget also ``kind``, ``size``, ``dense``, ``target``,
            ``cost`` and ``history``: ``[removed, cost]`` of each network
            tried.
    """

    network: nn.Module
    kept: Kept
    summary: dict


class ChannelPruner:
    """Base of pruners that rank channels; one overrides :meth:`_run`.

    The outputs of layers that make the network's output stay, and at least
    one channel of every layer, whatever ratio or budget is asked for.

    Args:
        budget (dict | None): Such as ``dict(macs=0.25, size=256)``, see
            :class:`~mmgan_compress.pruning.budget.Budget`.
        scope (str): ``'global'`` ranks all channels together by their score;
            ``'local'`` takes the same share from every group.
        floor (int): Channels that every group keeps, at least 1.
        ratio (float | None): In place of a budget: share of all removable
            channels to remove, in [0, 1); less where the floor stops it.

    Raises:
        ValueError: If a setting is out of range, or if not one of budget
            and ratio is given.
    """

    takes_budget = 'optional'

    def __init__(self, budget: dict | None, scope: str, floor: int, ratio: float | None):
        check_choice('scope', scope, SCOPES)
        if (budget is None) == (ratio is None):
            raise ValueError(f'budget is {budget} and ratio is {ratio}: give one of the two')
        if ratio is not None and not 0 <= ratio < 1:
            raise ValueError(
                f'ratio is {ratio}, expected the share of '
                'channels to remove, at least 0 and below 1'
            )
        if floor < 1:
            raise ValueError(
                f'floor is {floor}, expected 1 or more: a layer without channels makes no image'
            )
        self.budget = None if budget is None else Budget.of(budget)
        self.scope, self.floor, self.ratio = scope, floor, ratio

    def compress(self, generator: nn.Module, config: dict) -> Compressed:
        """Make a narrower generator with inherited weights.

        Args:
            generator (nn.Module): Trained network; it is left as it is.
            config (dict): Config that builds it.

        Returns:
            Compressed: ``summary`` is that of :class:`Pruned`.

        Raises:
            TypeError: If it is quantized or has no channels to remove.
            ValueError: If no network meets the budget (names the nearest),
                if the channels have nothing to be ranked by, or if something
                outside of layers mixes them.
            ImportError: If a library is not installed.
        """
        size = self.budget.size if self.budget else SIZE
        image = torch.empty(1, image_channels(generator), size, size, device='meta')
        network, _, summary = self._run(generator, image, config)
        return Compressed(network.cpu(), slim_config(network, config), summary)

    def prune(self, module: nn.Module, image: Tensor) -> Pruned:
        """Make any network narrower.

        Args:
            module (nn.Module): Network of one image; it is left as it is.
            image (Tensor): Example of its input, (N, C, H, W), of which the
                shape alone counts.

        Raises:
            TypeError, ValueError, ImportError: As :meth:`compress`.
        """
        return self._run(module, image, None)

    def _run(self, module: nn.Module, image: Tensor, config: dict | None) -> Pruned:
        """Prune a network, whose config is not always known."""
        raise NotImplementedError

    def _groups(self, module: nn.Module, image: Tensor) -> list[ChannelGroup]:
        """Return the groups of a network; raise TypeError without any."""
        groups = channel_groups(module, image)
        if not groups:
            raise TypeError(
                f'{type(module).__name__} has no channels that can be '
                'removed: expected a network of convolutions, some of which '
                'do not make its output'
            )
        return groups

    def _choose(
        self,
        module: nn.Module,
        groups: Sequence[ChannelGroup],
        scores: Sequence[Tensor | None],
        lacking: str,
        scope: str,
    ) -> tuple[list[list[int]], dict]:
        """Choose what goes.

        Args:
            module (nn.Module): The network.
            groups (Sequence[ChannelGroup]): Of the network.
            scores (Sequence[Tensor | None]): (width, ) for each group, on
                the CPU; None leaves its channels alone.
            lacking (str): What to say if all are None.
            scope (str): How they are ranked, of ``SCOPES``.

        Returns:
            list[list[int]]: Channels to remove, for each group.
            dict: The summary's part of the search.

        Raises:
            ValueError: If there is nothing to go by, or if no network meets
                the budget.
        """
        order = self._order(groups, scores, scope)
        total = sum(group.width for group, score in zip(groups, scores) if score is not None)
        if not total:
            raise ValueError(lacking)
        summary = dict(scope=scope)
        if self.budget is None:
            removed = order[: round(self.ratio * total)]
        else:
            search = ChannelSearch(self.budget, module, groups)
            removed = search.find(order)
            summary.update(search.summary(removed))
        summary.update(removed=len(removed), removable=total)
        return by_group(groups, removed), summary

    def _order(
        self, groups: Sequence[ChannelGroup], scores: Sequence[Tensor | None], scope: str
    ) -> list[Channel]:
        """Return the channels without those that the floor keeps, the least
        important first.
        """
        ranked = []
        for index, (group, score) in enumerate(zip(groups, scores)):
            if score is None:
                continue
            held = [set(member.roots) for member in group.members]
            left, rank = list(map(len, held)), 0
            for channel in score.argsort(stable=True).tolist():
                own = [at for at, roots in enumerate(held) if channel in roots]
                if min(left[at] for at in own) <= self.floor:
                    continue  # a branch of a split may be narrower
                for at in own:
                    left[at] -= 1
                key = float(score[channel]) if scope == 'global' else (rank + 1) / group.width
                ranked.append((key, index, rank, channel))
                rank += 1
        return [(index, channel) for _, index, _, channel in sorted(ranked)]

    @staticmethod
    def _cut(
        module: nn.Module,
        image: Tensor,
        groups: Sequence[ChannelGroup],
        removed: Sequence[Sequence[int]],
        summary: dict,
    ) -> Pruned:
        """Cut the chosen channels out of a copy of the network."""
        kept = without(module, groups, removed)
        network = slice_channels(module, kept)
        check_equal(module, network, kept, image)
        return Pruned(
            network,
            kept,
            dict(summary, channels=changed(channel_map(network), channel_map(module))),
        )
