"""The search for the channels whose removal meets a budget."""

from collections.abc import Iterable, Sequence

import torch.nn as nn

from ..core.channels import resize
from ..core.layers import meta_copy
from ..core.sliced_forward import kept_widths
from .budget import Budget, nearest
from .dependencies import ChannelGroup, without

Channel = tuple[int, int]  # group, and channel as the group counts it


def by_group(groups: Sequence[ChannelGroup], removed: Iterable[Channel]) -> list[list[int]]:
    """Return the channels that go, for each group."""
    of_group = [[] for _ in groups]
    for index, channel in removed:
        of_group[index].append(channel)
    return of_group


class ChannelSearch:
    """Finds the channels whose removal meets a budget.

    Args:
        budget (Budget): What the result may cost.
        module (nn.Module): The network.
        groups (Sequence[ChannelGroup]): Of the network.
    """

    def __init__(self, budget: Budget, module: nn.Module, groups: Sequence[ChannelGroup]):
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
            self.walk(order[: min(below)], order[: min(below)][::-1], 1)
        if above and not self.met():
            self.walk(order[: max(above)], order[max(above) :], -1)
        best = min(self.tried, key=self.gap)
        self.budget.check(self.tried[best], self.dense, f'with {len(best)} channels removed')
        return best

    def cost(self, removed: frozenset[Channel]) -> int:
        """Return what the network costs without some channels."""
        widths = kept_widths(without(self.shapes, self.groups, by_group(self.groups, removed)))
        small = resize(meta_copy(self.shapes), widths)
        self.tried[removed] = self.budget.measure(small)
        return self.tried[removed]

    def gap(self, removed: frozenset[Channel]) -> float:
        """Return how far from the target it is, relative."""
        return abs(self.tried[removed] - self.target) / self.target

    def met(self) -> bool:
        """Tell whether something tried meets the budget."""
        return min(map(self.gap, self.tried)) <= self.budget.tolerance

    def walk(self, start: Sequence[Channel], channels: Sequence[Channel], sign: int) -> None:
        """Give channels back (1) or remove them (-1) until the budget is
        met, passing over groups whose channels would go beyond it.
        """
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
            kind=self.budget.kind,
            size=self.budget.size,
            dense=self.dense,
            target=self.target,
            cost=self.tried[best],
            history=[[len(removed), cost] for removed, cost in self.tried.items()],
        )
