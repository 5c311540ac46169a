"""Which sub-networks a search may look at, and what they cost."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.search_space import Configuration, ConfigurationSpace, name_of
from ..models.supernet import SubnetCosts
from ..pruning.budget import KINDS, LATENCY, Budget
from ..pruning.latency import LatencyBudget

# larger spaces are drawn from
LISTED = 1_000_000
# configurations whose costs are computed at once; how many such draws without
# a new one end a series
_BATCH, _PATIENCE = 4096, 10


def check_kind(kind: str):
    """Refuse an objective or a budget that is no cost.

    Raises:
        ValueError: If it is none.
    """
    if kind not in KINDS and not kind.startswith(LATENCY):
        raise ValueError(f'no cost {kind!r}: expected one of {", ".join(KINDS)}, latency@RUNTIME')


@dataclass(frozen=True)
class Limit:
    """What a sub-network may cost at most.

    Args:
        kind (str): Of ``SubnetCosts``.
        most (float): MACs, parameters or milliseconds.
        share (float | None): The same as a share of the largest
            sub-network's, where it was asked for as one.
    """

    kind: str
    most: float
    share: float | None = None

    @classmethod
    def of(cls, text: str, largest: dict[str, np.ndarray], size: int) -> 'Limit':
        """Read a budget of a command line.

        Args:
            text (str): ``'macs=0.5'`` (up to 1 a share of the largest
                sub-network's), ``'macs=1.5e9'``, ``'latency@openvino=8ms'``.
            largest (dict[str, ndarray]): Its costs, (1, ) each.
            size (int): Side of the image in pixels.

        Raises:
            ValueError: If it cannot be read.
        """
        kind, _, value = text.partition('=')
        dense = float(largest[kind][0])
        if not kind.startswith(LATENCY):
            return cls(kind, Budget.of({kind: value, 'size': size}).target(dense))
        budget = LatencyBudget.of({kind: value, 'size': size})
        if budget.absolute:
            return cls(kind, budget.number)
        return cls(kind, budget.number * dense, budget.number)


class Candidates:
    """The configurations of a space that meet a budget.

    Args:
        space (ConfigurationSpace): All of them.
        costs (SubnetCosts): What they cost.
        limit (Limit | None): None admits all.
        seed (int): Of every draw.
        marked (dict[str, Configuration]): By name, configurations that are
            evaluated first, whatever they cost.

    Raises:
        ValueError: If none meets the budget; names the nearest.
    """

    def __init__(
        self,
        space: ConfigurationSpace,
        costs: SubnetCosts,
        limit: Limit | None = None,
        seed: int = 0,
        marked: dict[str, Configuration] | None = None,
    ):
        self.space, self.costs, self.limit = space, costs, limit
        self.seed, self.marked = seed, dict(marked or {})
        self._rows: np.ndarray | None = None  # None: drawn when needed
        if len(space) <= LISTED:
            self._rows = np.stack(np.meshgrid(*space.candidates, indexing='ij'), -1).reshape(
                -1, len(space.candidates)
            )
        if limit is not None:
            rows = self._drawn(np.random.default_rng(seed)) if self._rows is None else self._rows
            self._check_reachable(np.vstack([rows, space.smallest]))
            if self._rows is not None:
                self._rows = rows[self.allowed(rows)]

    def allowed(self, rows: Sequence[Configuration]) -> np.ndarray:
        """Tell which of many configurations meet the budget, (N, ) bools."""
        if self.limit is None:
            return np.ones(len(rows), bool)
        return self._cost(rows) <= self.limit.most

    def _cost(self, rows: Sequence[Configuration]) -> np.ndarray:
        """Return what the budget limits, in chunks that fit in memory."""
        return np.concatenate(
            [
                self.costs.of(rows[start : start + _BATCH])[self.limit.kind]
                for start in range(0, len(rows), _BATCH)
            ]
        )

    def _check_reachable(self, rows: np.ndarray):
        """Refuse a budget below all; MACs and parameters rise with widths,
        predicted times need not.
        """
        costs = self._cost(rows)
        at = int(costs.argmin())
        if costs[at] <= self.limit.most:
            return
        dense = self.costs.of([self.space.largest])[self.limit.kind][0]
        raise ValueError(
            f'no sub-network with {self.limit.kind} <= {self.limit.most:.6g} '
            f'at {self.costs.size} pixels: the nearest is '
            f'{name_of(rows[at])} with {costs[at]:.6g} '
            f'({costs[at] / dense:.4f} of the largest). Ask for that, or '
            'train a super-net with narrower candidates'
        )

    def __len__(self) -> int:
        """Configurations, where they are known; else those of the space."""
        if self._rows is None:
            return len(self.space)
        marked = set(self.marked.values())
        others = (row not in self.space or not self.allowed([row])[0] for row in marked)
        return len(self._rows) + sum(others)

    def _drawn(self, rng: np.random.Generator) -> np.ndarray:
        """Return configurations of the space at random."""
        return np.stack([rng.choice(part, _BATCH) for part in self.space.candidates], 1)

    def shuffled(self, seed: int) -> Iterator[Configuration]:
        """Yield configurations in random order, each once.

        A large space is drawn from, until draws bring nothing new.
        """
        rng = np.random.default_rng(seed)
        if self._rows is not None:
            for at in rng.permutation(len(self._rows)):
                yield tuple(self._rows[at].tolist())
            return
        seen, missed = {}, 0
        while missed < _PATIENCE:
            rows = self._drawn(rng)
            rows = map(tuple, rows[self.allowed(rows)].tolist())
            new = dict.fromkeys(row for row in rows if row not in seen)
            seen.update(new)
            yield from new
            missed = 0 if new else missed + 1


def rank(
    candidates: Candidates, kind: str, count: int
) -> tuple[list[Configuration], dict[str, np.ndarray]]:
    """Order configurations by what they cost; no image is made.

    Args:
        candidates (Candidates): Where they are drawn from.
        kind (str): Of ``SubnetCosts``.
        count (int): How many; all where fewer meet the budget.

    Returns:
        tuple[list[Configuration], dict[str, ndarray]]: Cheapest first, and
        their costs.
    """
    rows = list(itertools.islice(candidates.shuffled(candidates.seed), count))
    costs = candidates.costs.of(rows)
    order = np.argsort(costs[kind], kind='stable')
    return [rows[i] for i in order], {k: v[order] for k, v in costs.items()}
