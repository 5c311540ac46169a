"""A process for each model, timed in turns.

Each model has a process of its own: neither its memory nor its threads mix
with those of others. Rounds go from one to the next, so that a busy moment
of the machine hits all of them.
"""

import contextlib
import functools
import itertools
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from ..core.extensions import import_modules
from ..core.timing import WIDE, Timing
from ..datasets import pictures
from ..deploy.formats import open_model
from ..inference.translator import Translator
from .candidates import EAGER, Candidate

GEMM_SIDE = 1024
# which of them is the faster one depends on who made the processor
LIBRARIES = ('BLAS', 'oneDNN')
# threads of a runtime spin for a while after a run, and would slow the next
SETTLE = 0.02
TURN = 0.1  # seconds: short runs are timed several times in a turn
# a model whose times lie this close together after so many turns needs no more
STEADY, LEAST = WIDE / 2, 5

Runs = dict[Any, Callable[[], Any]]


def measure(
    candidates: Sequence[Candidate],
    threads: Sequence[int],
    size: int,
    rounds: int,
    imports: Sequence[str] = (),
) -> tuple[list[dict], Timing]:
    """Time candidates and this machine's matrix product, in one run.

    Args:
        candidates (Sequence[Candidate]): Only those that are ``timed``.
        threads (Sequence[int]): Numbers of threads: each picture is timed
            with each of them, what else is measured with the last.
        size (int): Side of the images.
        rounds (int): Turns of each that are timed at most, of one call at
            least and of ``TURN`` seconds; less once the times of a model
            are ``STEADY``.
        imports (Sequence[str]): Modules that register the networks.

    Returns:
        tuple: A dict for each candidate: ``pictures`` (a :class:`Timing` by
        number of threads, 8-bit picture to 8-bit picture), ``network`` (of
        the network alone), ``memory`` (bytes, or None: how much the process
        grew at most since before the model was opened; the runtime's
        libraries count); or ``reason``, which is empty if it was not to be
        timed; and the time of a product of two matrices of ``GEMM_SIDE``, in
        single precision, by the faster of two libraries.
    """
    with contextlib.ExitStack() as stack:
        context = _context()

        def start(prepare: Callable, *args: Any) -> _Worker:
            return _Worker(
                stack.enter_context(ProcessPoolExecutor(1, context)), rounds, prepare, *args
            )

        gemm = start(_gemm, threads[-1])
        workers = [
            start(_model, candidate, threads, size, imports) if candidate.timed else None
            for candidate in candidates
        ]
        timed = [gemm, *filter(None, workers)]
        # all are ready, and quiet, before any runs
        for worker in tqdm(timed, desc='opening'):
            worker.memory = worker.answer(worker.opened)
        with tqdm(total=len(timed), desc='timing') as bar:
            for turn in itertools.count(1):
                bar.n = sum(worker.done for worker in timed)
                if bar.n == len(timed):
                    break
                bar.set_postfix_str(f'turn {turn} of at most {rounds}')
                for worker in timed:
                    worker.turn()
        results = [
            dict(reason=candidate.reason) if worker is None else worker.result(threads)
            for candidate, worker in zip(candidates, workers)
        ]
        rates = [Timing.of(gemm.seconds[library]) for library in LIBRARIES]
        return results, min(rates, key=lambda timing: timing.median)


def _context() -> Any:
    """Return how processes start: copies of one that has imported all, or
    anew where the system has no such copies.
    """
    if 'forkserver' not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context('spawn')
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([__name__])
    return context


class _Worker:
    """A process that holds a model; after a failure it is not asked again."""

    def __init__(self, pool: ProcessPoolExecutor, rounds: int, prepare: Callable, *args: Any):
        self.pool, self.rounds, self.turns, self.reason = pool, rounds, 0, ''
        self.opened = pool.submit(_open, prepare, args)
        self.memory: int | None = None
        self.seconds: dict[Any, list[float]] = {}

    @property
    def done(self) -> bool:
        """Whether it was timed often enough, or failed."""
        if self.reason or self.turns >= self.rounds:
            return True
        timings = map(Timing.of, self.seconds.values())
        return self.turns >= LEAST and all(t.iqr < STEADY * t.median for t in timings)

    def answer(self, future: Future) -> Any:
        try:
            return future.result()
        # it is shown in the model's row, and the others are measured
        except Exception as error:
            self.reason = f'{type(error).__name__}: {error}'
            return None

    def turn(self) -> None:
        if self.done:
            return
        taken = self.answer(self.pool.submit(_turn)) or {}
        self.turns += 1
        for name, seconds in taken.items():
            self.seconds.setdefault(name, []).extend(seconds)

    def result(self, threads: Sequence[int]) -> dict:
        if self.reason:
            return dict(reason=self.reason)
        timings = {name: Timing.of(taken) for name, taken in self.seconds.items()}
        pictures = {number: timings[number] for number in threads}
        return dict(reason='', pictures=pictures, network=timings['network'], memory=self.memory)


# --- in the processes -------------------------------------------------------
_runs: Runs = {}


def _open(prepare: Callable, args: tuple) -> int | None:
    """Keep what is timed; return the memory that it takes."""
    runs, memory = prepare(*args)
    _runs.update(runs)
    return memory


def _turn() -> dict[Any, list[float]]:
    return {name: _seconds(run) for name, run in _runs.items()}


def _seconds(run: Callable[[], Any]) -> list[float]:
    def clock() -> float:
        begin = time.perf_counter()
        run()
        return time.perf_counter() - begin

    time.sleep(SETTLE)  # both of a process have threads
    first = clock()
    if first > TURN:
        return [first]
    seconds: list[float] = []  # without the first: caches belonged to whoever ran before
    while sum(seconds) < TURN:
        seconds.append(clock())
    return seconds


def _model(
    candidate: Candidate, threads: Sequence[int], size: int, imports: Sequence[str]
) -> tuple[Runs, int | None]:
    import_modules(imports)
    runtime = candidate.runtime if candidate.runtime == EAGER else None
    before, runs = _forget_peak(), {}
    for number in reversed(threads):  # the memory is that of the last one
        torch.set_num_threads(number)
        translator = Translator(candidate.pictures, runtime=runtime, threads=number, trust=True)
        pixels = _noise(size, translator.channels[0])
        translator.run(pixels), translator.run(pixels)
        if number == threads[-1]:
            grown = None if before is None else max(0, _memory('VmHWM') - before)
        runs[number] = _with_threads(number, functools.partial(translator.run, pixels))
    model = open_model(candidate.model, runtime, threads[-1], trust=True)
    takes_pixels = model.facts.get('layout') == 'NHWC'
    values = pixels if takes_pixels else pictures.to_values(pixels).numpy()
    styles = [translator.styles_of()] if translator.style_size else []
    runs['network'] = _with_threads(threads[-1], functools.partial(model.run, values, *styles))
    return runs, grown


def _noise(size: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (1, size, size, channels), np.uint8)


def _with_threads(threads: int, run: Callable[[], Any]) -> Callable[[], Any]:
    """Give torch, which prepares pictures, as many threads as the runtime."""

    def call() -> Any:
        torch.set_num_threads(threads)
        return run()

    return call


def _gemm(threads: int) -> tuple[Runs, None]:
    torch.set_num_threads(threads)
    left, right = torch.rand(2, GEMM_SIDE, GEMM_SIDE)
    # the same product, as a convolution of single pixels
    image, kernels = left[None, :, :, None], right[:, :, None, None]
    return dict(BLAS=lambda: left @ right, oneDNN=lambda: torch.conv2d(image, kernels)), None


def gemm_rate(timing: Timing) -> float:
    """Return floating-point operations per second of the product."""
    return 2 * GEMM_SIDE**3 / timing.median


def _forget_peak() -> int | None:
    """Return the bytes of this process now; only Linux tells."""
    try:
        Path('/proc/self/clear_refs').write_text('5')
        return _memory('VmRSS')
    except OSError:
        return None


def _memory(key: str) -> int:
    lines = Path('/proc/self/status').read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(f'{key}:')))
