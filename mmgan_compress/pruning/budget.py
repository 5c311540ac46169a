"""What a smaller network may cost, and the search for the one that does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch.nn as nn

from ..core.channels import input_shape
from ..core.complexity import count_macs, count_params
from ..core.messages import check_range

KINDS = ('macs', 'macs_paper', 'params')
LATENCY = 'latency@'


def check_limits(size: int, tolerance: float) -> None:
    """Raise ValueError for a side or a tolerance that makes no sense."""
    check_range('the size', size, 1)
    check_range('the tolerance', tolerance, 0)


@dataclass(frozen=True)
class Budget:
    """A cost to be met.

    Args:
        kind (str): ``'macs'`` (the true count), ``'macs_paper'`` (the
            papers' count, see ``core/complexity.py``) or ``'params'``.
        value (float): Up to 1 a share of the dense network's cost, above
            that the cost itself.
        size (int): Side of the image in pixels that MACs are counted at.
        tolerance (float): How far the result may lie from it, relative.

    Raises:
        ValueError: If kind, value, size or tolerance make no sense.
    """

    kind: str
    value: float
    size: int = 256
    tolerance: float = 0.02

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f'no budget {self.kind!r}: expected one of {", ".join(KINDS)}')
        check_range(f'the budget {self.kind}', self.value, 0, above=True)
        check_limits(self.size, self.tolerance)

    @classmethod
    def of(cls, spec: dict) -> 'Budget':
        """Read the form that configs have.

        Args:
            spec (dict): One kind with its value, and optionally the other
                arguments: ``dict(macs_paper=2.4e9, size=256)``.

        Raises:
            ValueError: If it names no kind, two, or anything unknown.
        """
        spec = dict(spec)
        rest = {key: spec.pop(key) for key in ('size', 'tolerance') if key in spec}
        if len(spec) != 1:
            raise ValueError(f'a budget names one of {", ".join(KINDS)}, got {sorted(spec)}')
        ((kind, value),) = spec.items()
        if kind.startswith(LATENCY):
            raise ValueError(
                f'{kind} is measured, which no pruner can search by itself: '
                'use mmgan-compress prune, or meet_latency() of '
                'pruning/latency.py'
            )
        return cls(kind, float(value), **rest)

    def measure(self, network: nn.Module) -> int:
        """Return what a network costs; on the meta device too.

        Raises:
            ValueError: If it does not run at ``size``.
        """
        if self.kind == 'params':
            return count_params(network)
        try:
            macs = count_macs(network, input_shape(network, self.size))
        except RuntimeError as error:
            raise ValueError(
                f'{type(network).__name__} does not run at {self.size} '
                'pixels: name a size that it runs at in the budget'
            ) from error
        return getattr(macs, self.kind)

    def target(self, dense: int) -> float:
        """Return the cost that is asked for, given the dense network's."""
        return self.value * dense if self.value <= 1 else self.value

    def check(self, cost: int, dense: int, what: str) -> None:
        """Refuse the nearest network there is if it is not near enough.

        Args:
            cost (int): Its cost.
            dense (int): Cost of the dense network.
            what (str): How it comes about, for the message.

        Raises:
            ValueError: Naming its cost.
        """
        target = self.target(dense)
        if abs(cost - target) > self.tolerance * target:
            raise ValueError(
                f'no network within {self.tolerance:.1%} of '
                f'{self.kind}={target:.6g}{self.at}: the nearest reachable '
                f'is {self.kind}={cost:.6g} ({cost / dense:.4f} of the dense '
                f'network), {what}. Ask for that, widen the tolerance or '
                'start from another network'
            )

    @property
    def at(self) -> str:
        """The size, where it matters."""
        return '' if self.kind == 'params' else f' at {self.size} pixels'


def nearest(
    segments: Sequence[Sequence[float]], cost: Callable[[float], int], target: float
) -> float:
    """Find the threshold whose network costs most nearly the target.

    Few are tried: along a segment the cost never rises, so each is halved.

    Args:
        segments (Sequence[Sequence[float]]): Rising thresholds.
        cost (Callable): Maps a threshold to a cost; called once for each.
        target (float): The cost wanted.

    Returns:
        float: The nearest of all thresholds; of equally near ones the first
        that was tried.
    """
    tried = {}

    def above(threshold: float) -> bool:
        if threshold not in tried:
            tried[threshold] = cost(threshold)
        return tried[threshold] > target

    for segment in segments:
        low, high = 0, len(segment) - 1
        if not above(segment[low]) or above(segment[high]):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            if above(segment[middle]):
                low = middle
            else:
                high = middle
    return min(tried, key=lambda threshold: abs(tried[threshold] - target))
