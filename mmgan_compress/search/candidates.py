"""Which sub-networks a search may look at, and what they cost."""
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional, Union

import numpy as np

from ..pruning.budget import KINDS, LATENCY, Budget
from ..pruning.latency import LatencyBudget
from ..core.search_space import Configuration, ConfigurationSpace, name_of
from ..models.costs import SubnetCosts
from ..models.supernet import SuperNet
from .predictor import LatencyPredictor

# larger spaces are drawn from, and written out only where draws bring nothing
# new any more; those above the second number never
LISTED, _COUNTED = 100_000, 10_000_000
# draws whose costs are computed at once; how many such without a hit are
# tried, and how many with none that is new
_BATCH, _PATIENCE, _STALLED = 256, 100, 4


class Costs:
    """Costs of sub-networks by kind, without running any.

    Args:
        supernet (SuperNet): On any device.
        size (int): Side of the image in pixels.
    """

    def __init__(self, supernet: SuperNet, size: int):
        self._counted, self.size = SubnetCosts(supernet, size), size
        self.predictor: Optional[LatencyPredictor] = None

    def of(self, configurations: Sequence[Configuration]
           ) -> dict[str, np.ndarray]:
        """Return the costs of many configurations, each (N, ).

        ``'macs'``, ``'macs_paper'``, ``'params'`` and, with a predictor,
        ``'latency@<runtime>'`` in milliseconds.
        """
        costs = self._counted.of(configurations)
        if self.predictor is not None:
            costs[LATENCY + self.predictor.runtime] = self.predictor(
                configurations, costs['macs'])
        return costs


def check_kind(kind: str):
    """Refuse an objective or a budget that is no cost.

    Raises:
        ValueError: If it is none.
    """
    if kind not in KINDS and not kind.startswith(LATENCY):
        raise ValueError(f'no cost {kind!r}: expected one of '
                         f'{", ".join(KINDS)}, latency@RUNTIME')


@dataclass(frozen=True)
class Limit:
    """What a sub-network may cost at most.

    Args:
        kind (str): Of :class:`Costs`.
        most (float): MACs, parameters or milliseconds.
        share (float | None): The same as a share of the largest
            sub-network's, where it was asked for as one.
    """
    kind: str
    most: float
    share: Optional[float] = None

    @classmethod
    def of(cls, text: str, largest: dict[str, np.ndarray],
           size: int) -> 'Limit':
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
        check_kind(kind)
        dense = float(largest[kind][0])
        if not kind.startswith(LATENCY):
            return cls(kind, Budget.of({kind: value, 'size': size})
                       .target(dense))
        budget = LatencyBudget.of({kind: value, 'size': size})
        if budget.absolute:
            return cls(kind, budget.number)
        return cls(kind, budget.number * dense, budget.number)

    def meets(self, costs: dict[str, np.ndarray]) -> np.ndarray:
        """Tell which of many configurations stay below, (N, ) bools."""
        return costs[self.kind] <= self.most


class Candidates:
    """The configurations of a space that meet a budget.

    Args:
        space (ConfigurationSpace): All of them.
        costs (Costs): What they cost.
        limit (Limit | None): None admits all.
        seed (int): Of every draw.
        marked (dict[str, Configuration]): By name, configurations that are
            evaluated first, whatever they cost.

    Raises:
        ValueError: If none meets the budget; names the nearest.
    """

    def __init__(self, space: ConfigurationSpace, costs: Costs,
                 limit: Optional[Limit] = None, seed: int = 0,
                 marked: Optional[dict[str, Configuration]] = None):
        self.space, self.costs, self.limit = space, costs, limit
        self.seed, self.marked = seed, dict(marked or {})
        self.listed = list(space) if len(space) <= LISTED else None
        self._met: Optional[list[Configuration]] = None
        if limit is not None:
            self._check_reachable()
            if self.listed is not None:
                self.listed = list(itertools.compress(
                    self.listed, self._allowed(self.listed)))

    def _allowed(self, configurations: Sequence[Configuration]) -> np.ndarray:
        if self.limit is None:
            return np.ones(len(configurations), bool)
        return self.limit.meets(self.costs.of(configurations))

    def _check_reachable(self):
        """Refuse a budget below all; MACs and parameters rise with widths,
        predicted times need not."""
        rng = random.Random(self.seed)
        rows = self.listed or [self.space.smallest, *(
            self.space.sample(rng) for _ in range(1000))]
        costs = self.costs.of(rows)[self.limit.kind]
        at = int(costs.argmin())
        if costs[at] <= self.limit.most:
            return
        dense = self.costs.of([self.space.largest])[self.limit.kind][0]
        raise ValueError(
            f'no sub-network with {self.limit.kind} <= {self.limit.most:.6g} '
            f'at {self.costs.size} pixels: the nearest is '
            f'{name_of(rows[at])} with {costs[at]:.6g} '
            f'({costs[at] / dense:.4f} of the largest). Ask for that, or '
            'train a super-net with narrower candidates')

    def __len__(self) -> int:
        """Configurations, where they are known; else those of the space."""
        known = self._met if self.listed is None else self.listed
        return len(self.space if known is None else
                   {*known, *self.marked.values()})

    def _batches(self, key: Union[int, str], *weights
                 ) -> Iterator[list[Configuration]]:
        """Yield what meets the budget of one draw after another."""
        rng = random.Random(f'{self.seed}:{key}')
        while True:
            batch = [self.space.sample(rng, *weights) for _ in range(_BATCH)]
            yield list(itertools.compress(batch, self._allowed(batch)))

    def draws(self, key: Union[int, str], *weights
              ) -> Iterator[Configuration]:
        """Yield configurations at random, with repeats, without end.

        Args:
            key (int | str): The same key gives the same ones.
            weights: Of ``ConfigurationSpace.sample``; uniform without any.
        """
        rng = random.Random(f'{self.seed}:{key}')
        while self.listed is not None and not weights:
            yield rng.choice(self.listed)
        missed = 0
        for found in self._batches(key, *weights):
            yield from found
            missed = 0 if found else missed + 1
            if missed == _PATIENCE:
                break
        raise ValueError(
            f'not one of {_PATIENCE * _BATCH} sub-networks drawn has '
            f'{self.limit.kind} <= {self.limit.most:.6g}, though the space '
            'has some: raise the budget, or leave wide candidates out of the '
            'space')

    def shuffled(self) -> Iterator[Configuration]:
        """Yield configurations in random order, each once."""
        rng = random.Random(self.seed)
        if self.listed is not None:
            yield from rng.sample(self.listed, len(self.listed))
            return
        seen, missed = {}, 0
        for found in self._batches('shuffled'):
            new = [c for c in dict.fromkeys(found) if c not in seen]
            seen.update(dict.fromkeys(new))
            yield from new
            missed = 0 if new else missed + 1
            if missed == _STALLED:
                break
        if self._met is None:
            self._met = self._all() if len(self.space) <= _COUNTED else \
                list(seen)
        rest = [c for c in self._met if c not in seen]
        yield from rng.sample(rest, len(rest))

    def _all(self) -> list[Configuration]:
        """Look at the whole space for what meets the budget."""
        met, rows = [], iter(self.space)
        while chunk := list(itertools.islice(rows, 4096)):
            met += itertools.compress(chunk, self._allowed(chunk))
        return met

    def allowed(self, configuration: Configuration) -> bool:
        """Tell whether a configuration meets the budget."""
        return bool(self._allowed([configuration])[0])


def rank(candidates: Candidates, kind: str, count: int
         ) -> tuple[list[Configuration], dict[str, np.ndarray]]:
    """Order configurations by what they cost; no image is made.

    Args:
        candidates (Candidates): Where they are drawn from.
        kind (str): Of :class:`Costs`.
        count (int): How many; all where fewer meet the budget.

    Returns:
        tuple[list[Configuration], dict[str, ndarray]]: Cheapest first, and
        their costs.
    """
    rows = list(itertools.islice(candidates.shuffled(), count))
    costs = candidates.costs.of(rows)
    order = np.argsort(costs[kind], kind='stable')
    return [rows[i] for i in order], {k: v[order] for k, v in costs.items()}
