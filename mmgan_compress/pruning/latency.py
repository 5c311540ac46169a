"""Budgets of measured time: the search by MACs, the check by the clock.

A pruner knows what a network costs in MACs, not how long it takes. So it is
asked for shares of the MACs, each result is timed in turns with the dense
network, and the next share follows from what was measured. Few are tried,
because each is converted for the runtime. What meets the budget is timed
once more, longer, before it counts: a lucky measurement is not a fast
network.
"""
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np
import torch.nn as nn
from tqdm import tqdm

from ..core.channels import image_channels
from ..deploy.timing import Timing, convert_for_timing, side_by_side
from .base import Compressed
from .budget import LATENCY, check_limits

TRIALS = 8
# seconds that the dense network runs for in a first look and in the
# measurement that counts, and how often at least and at most
LOOK, PROOF = 1., 3.
LEAST, MOST = 7, 300
# how far from its share of MACs a trial may lie: what counts is its time
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
    value: Union[float, str]
    size: int = 256
    tolerance: float = 0.02
    threads: Optional[int] = None

    def __post_init__(self):
        try:
            number = self.number
        except ValueError:
            number = 0
        if not 0 < number < math.inf or number > 1 and not self.absolute:
            raise ValueError(
                f'cannot read the budget {LATENCY}{self.runtime}='
                f'{self.value}: expected a share above 0 and up to 1, such '
                'as 0.5, or milliseconds, such as 8ms')
        check_limits(self.size, self.tolerance)

    @classmethod
    def of(cls, spec: dict) -> 'LatencyBudget':
        """Read the form that configs have.

        Args:
            spec (dict): ``{'latency@onnxruntime': 0.5, 'size': 256}``.
        """
        (key, value), = ((k, v) for k, v in spec.items()
                         if k.startswith(LATENCY))
        return cls(key[len(LATENCY):], value,
                   **{k: v for k, v in spec.items() if k != key})

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

    def ratio(self, times: dict[str, Timing]) -> float:
        """Return measured time over what was asked for; 1 is met."""
        small, dense = (1e3 * times[name].median
                        for name in ('small', 'dense'))
        return small / (self.number if self.absolute
                        else self.number * dense)


def meet_latency(prune: Callable[[dict], Compressed], network: nn.Module,
                 budget: LatencyBudget) -> Compressed:
    """Make a network so much smaller that it takes a given time.

    Args:
        prune (Callable): Maps a budget of MACs to what a pruner makes.
        network (nn.Module): The dense network.
        budget (LatencyBudget): What is asked for.

    Returns:
        Compressed: ``summary`` has that of the pruner and ``latency``:
        ``runtime``, ``version``, ``threads`` (None: the runtime's choice),
        ``size``, ``budget``, ``dense_ms``, ``cost_ms`` (medians, measured in
        turns), both ``p95``, ``repeats`` and ``history``:
        ``[share of MACs, ms, dense ms]`` of each trial.

    Raises:
        ValueError: If no trial meets it; names the nearest.
    """
    search = _Search(prune, network, budget)
    with tqdm(desc=f'{LATENCY}{budget.runtime}', unit=' networks') as bar:
        for _ in range(TRIALS):
            found = search.step()
            bar.update()
            if search.trials:
                bar.set_postfix_str(
                    f'{search.trials[-1][0]:.3f} of the budget')
            if found is not None:
                break
    if found is None:
        search.refuse()
    return found


class _Search:
    """The share of MACs whose network takes the time, by secants.

    Times are noisy, so no trial rules a side out: the next share is where a
    line through the trials that came nearest meets the budget.
    """

    def __init__(self, prune: Callable[[dict], Compressed],
                 network: nn.Module, budget: LatencyBudget):
        self.prune, self.budget = prune, budget
        self.dense = self.convert(network)
        # its input is the same for all
        self.image = np.zeros((1, image_channels(network), budget.size,
                               budget.size), np.float32)
        taken = side_by_side(dict(dense=lambda: self.dense.run(self.image)),
                             repeats=LEAST)['dense']
        ratio = budget.ratio(dict(dense=taken, small=taken))
        if ratio < 1 - budget.tolerance:
            raise ValueError(
                f'{LATENCY}{budget.runtime}={budget.value}: the dense '
                f'network takes {1e3 * taken.median:.3f} ms, which is less '
                'already')
        self.seconds = taken.median
        self.share, self.least, self.problem = 1 / ratio, 0., None
        self.trials: list[tuple] = []  # time over budget, share, times

    def convert(self, network: nn.Module):
        """Open a network in the runtime."""
        return convert_for_timing(network, self.budget.size,
                                  self.budget.runtime, self.budget.threads)

    def time(self, model, seconds: float) -> dict[str, Timing]:
        """Time a model and the dense one in turns, for some seconds."""
        repeats = int(min(max(seconds / self.seconds, LEAST), MOST))
        return side_by_side(dict(dense=lambda: self.dense.run(self.image),
                                 small=lambda: model.run(self.image)),
                            repeats=repeats)

    def step(self) -> Optional[Compressed]:
        """Try a share; return what meets the budget."""
        share = self.share
        try:
            small = self.prune(self.budget.macs(share))
        except ValueError as error:  # the pruner does not go so low
            self.least, self.problem = share, error
            self.share = (share + min((t[1] for t in self.trials),
                                      default=1.)) / 2
            return None
        model = self.convert(small.network)
        times = self.time(model, LOOK)
        met = self.near(times)
        if met:
            times = self.time(model, PROOF)
        self.trials.append((self.budget.ratio(times), share, times))
        if met and self.near(times):
            return small._replace(summary=dict(
                small.summary, latency=self.summary(times)))
        self.share = min(max(self.next_share(),
                             (self.least + share) / 2 if self.least else 0),
                         1.)
        return None

    def next_share(self) -> float:
        """Return where the trials that came nearest point to."""
        best = sorted(self.trials, key=lambda t: abs(t[0] - 1))[:3]
        ratio, share, _ = best[0]
        slope = 0.
        if len({t[1] for t in best}) > 1:
            slope, _ = np.polyfit([t[1] for t in best],
                                  [t[0] for t in best], 1)
        if slope * share < 0.1 * ratio:  # noise: as if time were MACs
            slope = ratio / share
        step = (1 - ratio) / slope
        return share + min(max(step, -share / 2), share)

    def near(self, times: dict[str, Timing]) -> bool:
        """Tell whether a measurement meets the budget."""
        return abs(self.budget.ratio(times) - 1) <= self.budget.tolerance

    def summary(self, times: dict[str, Timing]) -> dict[str, Any]:
        """Return what was measured, in plain values."""
        facts = {f'{name}_{kind}': round(1e3 * value, 4)
                 for name, key in (('cost', 'small'), ('dense', 'dense'))
                 for kind, value in (('ms', times[key].median),
                                     ('p95_ms', times[key].p95))}
        return dict(
            runtime=self.dense.runtime, version=self.dense.version,
            threads=self.budget.threads, size=self.budget.size,
            budget=str(self.budget.value), repeats=times['small'].repeats,
            **facts,
            history=[[share, *(round(1e3 * at[key].median, 4)
                               for key in ('small', 'dense'))]
                     for _, share, at in self.trials])

    def refuse(self):
        """Name the nearest of the trials."""
        asked = f'{LATENCY}{self.budget.runtime}={self.budget.value}'
        if not self.trials:
            raise ValueError(f'{asked}: {self.problem}') from self.problem
        _, share, times = min(self.trials, key=lambda t: abs(t[0] - 1))
        small, dense = (1e3 * times[key].median
                        for key in ('small', 'dense'))
        raise ValueError(
            f'no network within {self.budget.tolerance:.1%} of {asked} at '
            f'{self.budget.size} pixels: the nearest reachable of '
            f'{len(self.trials)} measured has {small:.3f} ms '
            f'({small / dense:.4f} of the dense network), with '
            f'{share:.4f} of the MACs. Ask for that, widen the tolerance, or '
            'measure on a machine that does nothing else')
