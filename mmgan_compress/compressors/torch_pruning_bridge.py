"""Pruning along Torch-Pruning's dependency graph; weights are inherited.

::

    smaller = prune(network, image, dict(macs=0.25)).network

works on any ``nn.Module`` with convolutions. In configs and on the command
line the pruner is called ``TorchPruner``. What it returns, and the student
made of it, run without Torch-Pruning.
"""
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Optional

import torch
import torch.nn as nn
from torch import Tensor

from ..core.channels import changed, channel_map, resize
from ..core.layers import meta_copy
from ..models.slim import slim_config
from ..registry import PRUNERS
from .base import Compressed
from .budget import Budget, nearest
from .dependencies import ChannelGroup, channel_groups, without
from .importance import IMPORTANCES, Losses, gradients_for, group_scores
from .slicing import Kept, kept_widths, slice_channels

SCOPES = ('global', 'local')
SIZE = 256  # side of the example where there is no budget

Channel = tuple[int, int]  # group, and channel as the group counts it


class Pruned(NamedTuple):
    """What :func:`prune` returns.

    Args:
        network (nn.Module): The smaller network.
        kept (dict[str, list[list[int]]]): Channels that it kept of the wide
            one (see ``slicing.py``).
        summary (dict): ``importance``, ``scope``, ``removed`` and
            ``removable`` (numbers of channels), ``channels`` (map of the
            layers that changed, for ``core/channels.resize``); with a budget
            also ``kind``, ``size``, ``dense``, ``target``, ``cost`` and
            ``history``: ``[removed, cost]`` of each network tried.
    """
    network: nn.Module
    kept: Kept
    summary: dict


@PRUNERS.register_module()
class TorchPruner:
    """Remove the channels of least importance until a budget is met.

    The outputs of layers that make the network's output stay, and at least
    one channel of every layer, whatever ratio or budget is asked for.

    Args:
        budget (dict | None): Such as ``dict(macs=0.25, size=256)``, see
            :class:`~mmgan_compress.compressors.budget.Budget`.
        importance (str): ``'magnitude'``, ``'bn_scale'``, ``'group_norm'``,
            ``'taylor'`` or ``'hessian'`` (see ``importance.py``).
            ``'bn_scale'`` leaves channels alone that pass no norm with
            weights.
        scope (str): ``'global'`` ranks all channels together, by their score
            over the mean of their group; ``'local'`` takes the same share
            from every group.
        floor (int): Channels that every group keeps, at least 1.
        ratio (float | None): In place of a budget: share of all removable
            channels to remove, in [0, 1); less where the floor stops it.
        losses (Callable | None): For ``'taylor'`` and ``'hessian'``: given a
            network in eval mode it yields scalar losses, one a batch
            (Hessian: one an image), whose gradients are averaged. None takes
            the gradients that the parameters have.

    Raises:
        ValueError: If a setting is out of range, or if not one of budget
            and ratio is given.
    """

    def __init__(self, budget: Optional[dict] = None,
                 importance: str = 'magnitude', scope: str = 'global',
                 floor: int = 1, ratio: Optional[float] = None,
                 losses: Optional[Losses] = None):
        for name, value, known in (('importance', importance, IMPORTANCES),
                                   ('scope', scope, SCOPES)):
            if value not in known:
                raise ValueError(f'{name} is {value!r}, expected one of '
                                 f'{", ".join(known)}')
        if (budget is None) == (ratio is None):
            raise ValueError(f'budget is {budget} and ratio is {ratio}: give '
                             'one of the two')
        if ratio is not None and not 0 <= ratio < 1:
            raise ValueError(f'ratio is {ratio}, expected the share of '
                             'channels to remove, at least 0 and below 1')
        if floor < 1:
            raise ValueError(f'floor is {floor}, expected 1 or more: a layer '
                             'without channels makes no image')
        self.budget = None if budget is None else Budget.of(budget)
        self.importance, self.scope = importance, scope
        self.floor, self.ratio, self.losses = floor, ratio, losses

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
                or if the importance has no weights or gradients to go by.
            ImportError: If Torch-Pruning is not installed.
        """
        size = self.budget.size if self.budget else SIZE
        inputs = next(iter(channel_map(generator).values()), [3])[0]
        network, _, summary = self.prune(
            generator, torch.empty(1, inputs, size, size, device='meta'))
        return Compressed(network.cpu(), slim_config(network, config),
                          summary)

    def prune(self, module: nn.Module, image: Tensor) -> Pruned:
        """Make any network narrower.

        Args:
            module (nn.Module): Network of one image; it is left as it is.
            image (Tensor): Example of its input, (N, C, H, W), of which the
                shape alone counts.

        Raises:
            TypeError, ValueError, ImportError: As :meth:`compress`.
        """
        groups = channel_groups(module, image)
        if not groups:
            raise TypeError(
                f'{type(module).__name__} has no channels that can be '
                'removed: expected a network of convolutions, some of which '
                'do not make its output')
        order, total = self._order(module, groups)
        summary = dict(importance=self.importance, scope=self.scope)
        if self.budget is None:
            removed = order[:round(self.ratio * total)]
        else:
            search = _Search(self.budget, module, groups)
            removed = search.find(order)
            summary.update(search.summary(removed))
        kept = _kept(module, groups, removed)
        network = slice_channels(module, kept)
        summary.update(removed=len(removed), removable=total, channels=changed(
            channel_map(network), channel_map(module)))
        return Pruned(network, kept, summary)

    def _order(self, module: nn.Module, groups: Sequence[ChannelGroup]
               ) -> tuple[list[Channel], int]:
        """Return the channels without those that the floor keeps, the least
        important first; and their number with those."""
        gradients = gradients_for(self.importance, module, self.losses)
        ranked, total = [], 0
        for index, group in enumerate(groups):
            scores = group_scores(module, group, self.importance, gradients)
            if scores is None:
                continue
            total += group.width
            least_first = scores.argsort(stable=True).tolist()
            for rank in range(group.width - self.floor):
                channel = least_first[rank]
                key = float(scores[channel]) if self.scope == 'global' \
                    else (rank + 1) / group.width
                ranked.append((key, index, rank, channel))
        if not total:
            raise ValueError(
                f'importance {self.importance!r} has nothing to go by: '
                f'{type(module).__name__} has no norms with weights. Take '
                'another, such as "magnitude"')
        return [(index, channel)
                for _, index, _, channel in sorted(ranked)], total


def prune(module: nn.Module, image: Tensor, budget: dict,
          **settings) -> Pruned:
    """Make any network of convolutions narrower, in one call.

    Args:
        module (nn.Module): Network of one image; it is left as it is.
        image (Tensor): Example of its input, (N, C, H, W). MACs are counted
            at its height unless the budget names a size.
        budget (dict): Such as ``dict(macs=0.25)``.
        settings: Further arguments of :class:`TorchPruner`.

    Returns:
        Pruned: Network, channels that were kept, summary.

    Raises:
        TypeError, ValueError, ImportError: As
            :meth:`TorchPruner.compress`.
    """
    budget = dict(dict(size=image.shape[2]), **budget)
    return TorchPruner(budget, **settings).prune(module, image)


def _kept(module: nn.Module, groups: Sequence[ChannelGroup],
          removed: Iterable[Channel]) -> Kept:
    """Return what is kept if some channels go."""
    of_group = [[] for _ in groups]
    for index, channel in removed:
        of_group[index].append(channel)
    return without(module, groups, of_group)


class _Search:
    """Finds the channels whose removal meets a budget.

    Args:
        budget (Budget): What the result may cost.
        module (nn.Module): The network.
        groups (Sequence[ChannelGroup]): Of the network.
    """

    def __init__(self, budget: Budget, module: nn.Module,
                 groups: Sequence[ChannelGroup]):
        self.budget, self.groups = budget, groups
        self.shapes, self.dense = meta_copy(module), budget.measure(module)
        self.target = budget.target(self.dense)
        self.tried: dict[frozenset[Channel], int] = {}

    def find(self, order: Sequence[Channel]) -> frozenset[Channel]:
        """Return what to remove, by an order of what may be removed.

        The number of channels is halved between none and all. Where one
        more makes too much of a difference (a trunk of few channels), it
        goes and others come back, or it stays and others go.

        Raises:
            ValueError: If nothing tried meets the budget; names the nearest.
        """
        costs = {}

        def cost(count: int) -> int:
            costs[count] = self.cost(frozenset(order[:count]))
            return costs[count]

        nearest([range(len(order) + 1)], cost, self.target)
        above = [n for n in costs if costs[n] > self.target]
        below = [n for n in costs if costs[n] < self.target]
        if below and not self.met():
            self.walk(order[:min(below)], order[:min(below)][::-1], 1)
        if above and not self.met():
            self.walk(order[:max(above)], order[max(above):], -1)
        best = min(self.tried, key=self.gap)
        self.budget.check(self.tried[best], self.dense,
                          f'with {len(best)} channels removed')
        return best

    def cost(self, removed: frozenset[Channel]) -> int:
        """Return what the network costs without some channels."""
        widths = kept_widths(_kept(self.shapes, self.groups, removed))
        small = resize(meta_copy(self.shapes), widths)
        self.tried[removed] = self.budget.measure(small)
        return self.tried[removed]

    def gap(self, removed: frozenset[Channel]) -> float:
        """Return how far from the target it is, relative."""
        return abs(self.tried[removed] - self.target) / self.target

    def met(self) -> bool:
        """Tell whether something tried meets the budget."""
        return min(map(self.gap, self.tried)) <= self.budget.tolerance

    def walk(self, start: Sequence[Channel], channels: Sequence[Channel],
             sign: int) -> None:
        """Give channels back (1) or remove them (-1) until the budget is
        met, passing over groups whose channels would go beyond it."""
        removed, coarse = frozenset(start), set()
        slack = self.budget.tolerance * self.target
        for channel in channels:
            if channel[0] in coarse:
                continue
            other = removed ^ {channel}
            missing = sign * (self.target - self.cost(other))
            if missing < -slack:
                coarse.add(channel[0])
            elif missing <= slack:
                return
            else:
                removed = other

    def summary(self, best: frozenset[Channel]) -> dict:
        """Return how it was found, in plain values."""
        return dict(
            kind=self.budget.kind, size=self.budget.size, dense=self.dense,
            target=self.target, cost=self.tried[best],
            history=[[len(removed), cost]
                     for removed, cost in self.tried.items()])
