"""How long sub-networks take, from a few of them that were measured.

A layer's time is about a constant plus a rate times its inputs times its
outputs, and both are linear in the configuration: so products of two parts,
plus a term for each candidate of each part, since processors like some
widths better. The coefficients are least squares of the relative error. What
MACs alone explain is fitted first; ridge keeps the rest near it, with the
penalty that predicts left-out sub-networks best.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from ..core.channels import input_shape
from ..core.messages import check_range
from ..core.search_space import Configuration
from ..core.timing import Timing, side_by_side
from ..deploy.formats import convert_for_timing
from ..models.supernet import SuperNet
from ..pruning.budget import LATENCY
from ..pruning.subnetwork import subnet

PENALTIES = np.logspace(-3, 4, 15)
# sub-networks to be measured at least
FEWEST = 8
# of the measured sub-networks one in so many tells the error
HELD_OUT = 4
# seconds that all sub-networks together are timed for
SECONDS = 20.0


@dataclass
class LatencyPredictor:
    """Milliseconds of sub-networks on one machine and runtime.

    Args:
        runtime (str): ``'onnxruntime'``, ``'openvino'`` or ``'eager'``.
        candidates (list[list[int]]): Of each part.
        base (list[float]): Constant, and rate per MAC.
        weights (list[float]): Of the features, for what MACs leave.
        error (dict[str, float]): ``median`` and ``p95`` of the relative
            error of sub-networks that were not fitted, and their
            ``count``.
        measured (dict): How the times were taken, plain values.
    """

    runtime: str
    candidates: list[list[int]]
    base: list[float]
    weights: list[float]
    error: dict[str, float]
    measured: dict[str, Any]

    def __call__(self, configurations: Sequence[Configuration], macs: np.ndarray) -> np.ndarray:
        """Return milliseconds, (N, )."""
        features = _features(configurations, self.candidates)
        return self.base[0] + self.base[1] * macs + features @ np.array(self.weights)

    @property
    def kind(self) -> str:
        """The cost that it predicts."""
        return LATENCY + self.runtime

    @classmethod
    def fit(
        cls,
        runtime: str,
        candidates: Sequence[Sequence[int]],
        configurations: Sequence[Configuration],
        macs: np.ndarray,
        times: np.ndarray,
        measured: dict[str, Any] | None = None,
    ) -> 'LatencyPredictor':
        """Fit to most of the measured sub-networks; test on the others.

        Args:
            runtime (str): That they were measured in.
            candidates (Sequence[Sequence[int]]): Of each part.
            configurations (Sequence[Configuration]): (N, parts), in no
                particular order; each ``HELD_OUT``-th is held out.
            macs (ndarray): (N, ).
            times (ndarray): Milliseconds, (N, ).
            measured (dict | None): How they were taken.
        """
        held = np.arange(len(times)) % HELD_OUT == HELD_OUT - 1
        used, features = ~held, _features(configurations, candidates)
        base = np.stack([np.ones(len(macs)), macs], axis=1)
        # rows over their times: what is small is the relative error
        rate, *_ = np.linalg.lstsq((base / times[:, None])[used], np.ones(used.sum()), rcond=None)
        rest = (times - base @ rate) / times
        weights = _ridge((features / times[:, None])[used], rest[used])
        found = base @ rate + features @ weights
        errors = np.abs(found / times - 1)[held]
        return cls(
            runtime,
            [list(part) for part in candidates],
            rate.tolist(),
            weights.tolist(),
            dict(
                median=float(np.median(errors)),
                p95=float(np.percentile(errors, 95)),
                count=int(held.sum()),
            ),
            dict(measured or {}),
        )


def _features(
    configurations: Sequence[Configuration], candidates: Sequence[Sequence[int]]
) -> np.ndarray:
    """Return what time is taken to be linear in, (N, features)."""
    rows = np.asarray(configurations, float)
    share = rows / [part[0] for part in candidates]
    one, other = np.triu_indices(len(candidates))
    columns = [rows[:, i] == n for i, part in enumerate(candidates) for n in part[1:]]
    return np.column_stack([share[:, one] * share[:, other], *columns])


def _ridge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return ridge weights; leaving one out tells the penalty, and whether
    the features help at all.
    """
    scale = np.sqrt((x**2).mean(axis=0)) + 1e-12
    x = x / scale
    best, weights = (y**2).mean(), np.zeros(x.shape[1])
    values, vectors = np.linalg.eigh(x @ x.T)
    values = values.clip(min=0)
    for penalty in PENALTIES * values.mean():
        inverse = (vectors / (values + penalty)) @ vectors.T
        dual = inverse @ y
        error = ((dual / np.diag(inverse)) ** 2).mean()  # of the left-out rows
        if error < best:
            best, weights = error, x.T @ dual
    return weights / scale


def draw_to_measure(
    candidates: Sequence[Sequence[int]], count: int, seed: int
) -> list[Configuration]:
    """Return sub-networks that show what each candidate costs.

    The ends, and draws in which each candidate of a part comes equally often.

    Raises:
        ValueError: If there are fewer than ``FEWEST``.
    """
    rng, columns = random.Random(f'{seed}:measured'), []
    for part in candidates:
        column = [part[i % len(part)] for i in range(count)]
        rng.shuffle(column)
        columns.append(column)
    ends = [tuple(part[end] for part in candidates) for end in (0, -1)]
    rows = list(dict.fromkeys([*ends, *zip(*columns)]))[:count]
    check_range('the number of measured sub-networks', len(rows), FEWEST)
    return rows


def measure_subnets(
    supernet: SuperNet,
    configurations: Sequence[Configuration],
    size: int,
    runtime: str,
    threads: int | None = None,
) -> tuple[list[Timing], dict[str, Any]]:
    """Measure sub-networks in turns, so that a busy moment hits all.

    Args:
        supernet (SuperNet): It is left as it is.
        configurations (Sequence[Configuration]): Which.
        size (int): Side of the image in pixels.
        runtime (str): ``'onnxruntime'``, ``'openvino'`` or ``'eager'``.
        threads (int | None): Of the processor; the runtime's choice if None.

    Returns:
        tuple[list[Timing], dict]: In this order, and how they were taken.
    """
    models = [
        convert_for_timing(subnet(supernet, c)[0], size, runtime, threads)
        for c in tqdm(configurations, desc=f'open in {runtime}', unit=' networks')
    ]
    image = np.zeros(input_shape(supernet, size), np.float32)
    runs = {str(i): lambda model=model: model.run(image) for i, model in enumerate(models)}
    timings = list(side_by_side(runs, seconds=SECONDS).values())
    return timings, dict(
        runtime=runtime,
        version=models[0].version,
        threads=threads,
        size=size,
        networks=len(models),
        repeats=timings[0].repeats,
    )


def fit_predictor(
    supernet: SuperNet,
    macs_of,
    count: int,
    size: int,
    runtime: str,
    threads: int | None = None,
    seed: int = 0,
) -> LatencyPredictor:
    """Measure sub-networks of a super-net and learn to predict the others.

    Args:
        supernet (SuperNet): It is left as it is.
        macs_of (Callable): Maps configurations to their MACs, (N, ).
        count (int): How many are measured.
        size (int): Side of the image in pixels.
        runtime (str): As of :func:`measure_subnets`.
        threads (int | None): Of the processor.
        seed (int): Of the choice.
    """
    candidates = supernet.space.candidates
    rows = draw_to_measure(candidates, count, seed)
    timings, facts = measure_subnets(supernet, rows, size, runtime, threads)
    times = np.array([1e3 * timing.median for timing in timings])
    return LatencyPredictor.fit(runtime, candidates, rows, macs_of(rows), times, facts)
