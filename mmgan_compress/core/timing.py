"""How long functions take, measured so that they can be compared."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

# An interquartile range above this share of the median is a warning: the
# threshold of torch.utils.benchmark's Measurement. Its Timer is not used,
# because it times one function after the other instead of in turns.
WIDE = 0.1
# rounds of a measurement that is limited by seconds
LEAST, MOST = 7, 300


class Timing(NamedTuple):
    """Seconds of one call.

    Args:
        median (float): Half of the calls took less.
        p95 (float): 95 % of the calls took less.
        repeats (int): How many calls were measured.
        iqr (float): Interquartile range: the middle half of the calls lies
            within so many seconds.
    """

    median: float
    p95: float
    repeats: int
    iqr: float = 0.0

    @classmethod
    def of(cls, seconds: Sequence[float]) -> 'Timing':
        """Summarise measured calls, each in seconds."""
        low, median, high, p95 = np.percentile(seconds, (25, 50, 75, 95))
        return cls(float(median), float(p95), len(seconds), float(high - low))

    @property
    def wide(self) -> bool:
        """Whether the spread is too wide to trust the median."""
        return self.iqr > WIDE * self.median

    def ms(self) -> dict[str, Any]:
        """Return ``median_ms``, ``p95_ms``, ``iqr_ms`` and ``repeats``."""
        return dict(
            median_ms=1e3 * self.median,
            p95_ms=1e3 * self.p95,
            iqr_ms=1e3 * self.iqr,
            repeats=self.repeats,
        )


@contextlib.contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Let torch use so many threads inside the block; as many as before if
    None.
    """
    import torch  # not needed by the others

    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_turns(
    runs: dict[str, Callable[[], Any]],
    warmup: int = 3,
    repeats: int = 9,
    seconds: float | None = None,
) -> dict[str, list[float]]:
    """Time functions in turns, so that a busy moment affects all of them.

    Args:
        runs (dict[str, Callable]): Functions without arguments, by name.
        warmup (int): Rounds before the clock runs.
        repeats (int): Rounds that are timed, at least 1; one call of each.
        seconds (float | None): End after so many seconds, in place of
            ``repeats``, but after ``LEAST`` to ``MOST`` rounds.

    Returns:
        dict[str, list[float]]: Seconds of each round, by the same names.
    """
    taken: dict[str, list[float]] = {name: [] for name in runs}
    least, most = (repeats, repeats) if seconds is None else (LEAST, MOST)
    for _ in range(warmup):
        for run in runs.values():
            run()
    end = time.perf_counter() + (seconds or 0)
    for done in range(most):
        if done >= least and time.perf_counter() >= end:
            break
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - begin)
    return taken


def side_by_side(runs: dict[str, Callable[[], Any]], *args, **kwargs) -> dict[str, Timing]:
    """Return the :class:`Timing` of functions that take turns, by name.

    Arguments are those of :func:`in_turns`.
    """
    return {name: Timing.of(taken) for name, taken in in_turns(runs, *args, **kwargs).items()}
