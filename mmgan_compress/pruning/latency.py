"""Budgets of measured time: the search by MACs, the check by the clock.

A pruner knows the MACs of a network, not its time. It is asked for shares of
the MACs; each result is timed in turns with the dense network, and the next
share follows from that time. A result that meets the budget is timed once
more, longer: a lucky measurement is not a fast network.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch.nn as nn
from tqdm import tqdm

from ..core.channels import input_shape
from ..core.timing import Timing, side_by_side
from ..deploy.formats import convert_for_timing
from .base import Compressed
from .budget import LATENCY, check_limits

TRIALS = 8
# seconds of a first look and of the measurement that counts
LOOK, PROOF = 1.5, 4.5
# how far a trial may lie from its share of MACs: only its time counts
MACS_TOLERANCE = 0.1


@dataclass(frozen=True)
class LatencyBudget:
    """A time to be met.

    Args:
        runtime (str): ``'onnxruntime'``, ``'openvino'`` or ``'eager'``.
        value (float | str): Share of the dense network's time, up to 1, or
            milliseconds of one image: ``'8ms'``.
        size (int): Side of the image in pixels.
        tolerance (float): How far the result may lie from it, relative.
        threads (int | None): Of the processor; the runtime's own choice if
            None.

    Raises:
        ValueError: If the value makes no sense.
    """

    runtime: str
    value: float | str
    size: int = 256
    tolerance: float = 0.02
    threads: int | None = None

    def __post_init__(self):
        try:
            number = self.number
        except ValueError:
            number = 0
        if not 0 < number < math.inf or number > 1 and not self.absolute:
            raise ValueError(
                f'cannot read the budget {self}: expected a share above 0 '
                'and up to 1, such as 0.5, or milliseconds, such as 8ms'
            )
        check_limits(self.size, self.tolerance)

    def __str__(self) -> str:
        return f'{LATENCY}{self.runtime}={self.value}'

    @classmethod
    def of(cls, spec: dict) -> 'LatencyBudget':
        """Read the form that configs have.

        Args:
            spec (dict): ``{'latency@onnxruntime': 0.5, 'size': 256}``.
        """
        ((key, value),) = ((k, v) for k, v in spec.items() if k.startswith(LATENCY))
        return cls(key[len(LATENCY) :], value, **{k: v for k, v in spec.items() if k != key})

    @property
    def absolute(self) -> bool:
        """Whether it is in milliseconds."""
        return str(self.value).endswith('ms')

    @property
    def number(self) -> float:
        """The share or the milliseconds."""
        return float(str(self.value).removesuffix('ms'))

    def macs(self, share: float) -> dict:
        """Return a budget of MACs that pruners understand."""
        return dict(macs=share, size=self.size, tolerance=MACS_TOLERANCE)

    def ratio(self, small: Timing, dense: Timing) -> float:
        """Return measured time over what was asked for; 1 is met."""
        wanted = self.number * (1e-3 if self.absolute else dense.median)
        return small.median / wanted


class _Trial(NamedTuple):
    share: float  # of the MACs
    ratio: float  # of the time to the budget
    times: dict[str, Timing]  # of 'small' and 'dense'


def meet_latency(
    prune: Callable[[dict], Compressed], network: nn.Module, budget: LatencyBudget
) -> Compressed:
    """Make a network so much smaller that it takes a given time.

    Args:
        prune (Callable): Maps a budget of MACs to what a pruner makes.
        network (nn.Module): The dense network.
        budget (LatencyBudget): What is asked for.

    Returns:
        Compressed: ``summary`` has that of the pruner and ``latency``:
        ``runtime``, ``version``, ``threads`` (None: the runtime's choice),
        ``size``, ``budget``, ``dense_ms``, ``cost_ms`` (medians, measured in
        turns), both ``p95`` and ``iqr``, ``repeats`` and ``history``:
        ``[share of MACs, ms, dense ms]`` of each trial.

    Raises:
        ValueError: If no trial meets it; names the nearest.
    """
    image = np.zeros(input_shape(network, budget.size), np.float32)

    def convert(net):
        return convert_for_timing(net, budget.size, budget.runtime, budget.threads)

    def trial(share: float, model, seconds: float) -> _Trial:
        times = side_by_side(
            dict(dense=lambda: dense.run(image), small=lambda: model.run(image)), seconds=seconds
        )
        return _Trial(share, budget.ratio(**times), times)

    dense = convert(network)
    taken = side_by_side(dict(dense=lambda: dense.run(image)))['dense']
    ratio = budget.ratio(taken, taken)
    if ratio < 1 - budget.tolerance:
        raise ValueError(
            f'{budget}: the dense network takes {1e3 * taken.median:.3f} ms, which is less already'
        )
    share, least, problem = 1 / ratio, 0.0, None
    trials: list[_Trial] = []
    for _ in tqdm(range(TRIALS), desc=str(budget), unit=' networks'):
        try:
            small = prune(budget.macs(share))
        except ValueError as error:  # the pruner does not go so low
            least, problem = share, error
            share = (share + min((t.share for t in trials), default=1.0)) / 2
            continue
        model = convert(small.network)
        for seconds in (LOOK, PROOF):
            found = trial(share, model, seconds)
            met = abs(found.ratio - 1) <= budget.tolerance
            if not met:
                break
        trials.append(found)
        if met:
            return small._replace(
                summary=dict(small.summary, latency=_summary(budget, dense, trials))
            )
        share = min(max(_next_share(trials), (least + share) / 2 if least else 0), 1.0)
    raise _out_of_reach(budget, trials, problem)


def _next_share(trials: list[_Trial]) -> float:
    """Return where a line through the nearest trials meets the budget.

    Times are noisy, so no trial rules a side out.
    """
    best = sorted(trials, key=lambda t: abs(t.ratio - 1))[:3]
    share, ratio, _ = best[0]
    slope = 0.0
    if len({t.share for t in best}) > 1:
        slope, _ = np.polyfit([t.share for t in best], [t.ratio for t in best], 1)
    if slope * share < 0.1 * ratio:  # noise: as if time were MACs
        slope = ratio / share
    return share + min(max((1 - ratio) / slope, -share / 2), share)


def _summary(budget: LatencyBudget, dense, trials: list[_Trial]) -> dict:
    """Return what was measured, in plain values."""
    times = trials[-1].times
    facts = {
        f'{name}_{kind}': round(1e3 * value, 4)
        for name, key in (('cost', 'small'), ('dense', 'dense'))
        for kind, value in (
            ('ms', times[key].median),
            ('p95_ms', times[key].p95),
            ('iqr_ms', times[key].iqr),
        )
    }
    return dict(
        runtime=dense.runtime,
        version=dense.version,
        threads=budget.threads,
        size=budget.size,
        budget=str(budget.value),
        repeats=times['small'].repeats,
        **facts,
        history=[
            [share, *(round(1e3 * at[key].median, 4) for key in ('small', 'dense'))]
            for share, _, at in trials
        ],
    )


def _out_of_reach(
    budget: LatencyBudget, trials: list[_Trial], problem: ValueError | None
) -> ValueError:
    """Return the error that names the nearest of the trials."""
    if not trials:
        return ValueError(f'{budget}: {problem}')
    share, _, times = min(trials, key=lambda t: abs(t.ratio - 1))
    small, dense = (1e3 * times[key].median for key in ('small', 'dense'))
    return ValueError(
        f'no network within {budget.tolerance:.1%} of {budget} at '
        f'{budget.size} pixels: the nearest reachable of {len(trials)} '
        f'measured has {small:.3f} ms ({small / dense:.4f} of the dense '
        f'network), with {share:.4f} of the MACs. Ask for that, widen the '
        'tolerance, or measure on a machine that does nothing else'
    )
