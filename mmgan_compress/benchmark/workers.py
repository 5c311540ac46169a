"""A process for each model, timed in turns.

Each model has a process of its own: neither its memory nor its threads mix
with those of others. Rounds go from one to the next, so that a busy moment
of the machine hits all of them.
"""

import contextlib
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
from ..core.timing import Timing
from ..deploy.formats import open_model
from ..inference.translator import Translator
from .candidates import EAGER, Candidate

GEMM_SIDE = 1024
# which of them is the faster one depends on who made the processor
LIBRARIES = ('BLAS', 'oneDNN')
# threads of a runtime spin for a while after a run, and would slow the next
SETTLE = 0.02
WARMUP = 3
TURN = 0.1  # seconds: short runs are timed several times in a turn

Runs = dict[str, Callable[[], Any]]


def measure(
    candidates: list[Candidate], threads: int, size: int, rounds: int, imports: Sequence[str] = ()
) -> tuple[list[dict], Timing]:
    """Time candidates and this machine's matrix product, in one run.

    Args:
        candidates (list[Candidate]): Those with a ``reason`` are left out.
        threads (int): That each may use.
        size (int): Side of the images.
        rounds (int): Turns of each that are timed, of one call at least and
            of ``TURN`` seconds.
        imports (Sequence[str]): Modules that register the networks.

    Returns:
        tuple: A dict for each candidate: ``picture`` and ``network``
        (:class:`Timing`, 8-bit picture to 8-bit picture and network alone),
        ``memory`` (bytes, or None: how much the process grew at most since
        before the model was opened; the runtime's libraries count) or
        ``reason``; and the time of a product of two matrices of
        ``GEMM_SIDE``, in single precision, by the faster of two libraries.
    """
    with contextlib.ExitStack() as stack:

        def start(prepare: Callable, *args: Any) -> _Worker:
            pool = ProcessPoolExecutor(1, multiprocessing.get_context('spawn'))
            return _Worker(stack.enter_context(pool), prepare, *args)

        gemm = start(_gemm, threads)
        workers = [
            None if candidate.reason else start(_model, candidate, threads, size, imports)
            for candidate in candidates
        ]
        timed = [gemm, *filter(None, workers)]
        for worker in timed:  # all are ready, and quiet, before any runs
            worker.memory = worker.answer(worker.opened)
        for turn in tqdm(range(WARMUP + rounds), desc='rounds'):
            for worker in timed:
                worker.turn(keep=turn >= WARMUP)
        results = [
            dict(reason=candidate.reason) if worker is None else worker.result()
            for candidate, worker in zip(candidates, workers)
        ]
        rates = [gemm.result()[library] for library in LIBRARIES]
        return results, min(rates, key=lambda timing: timing.median)


class _Worker:
    """A process that holds a model; after a failure it is not asked again."""

    def __init__(self, pool: ProcessPoolExecutor, prepare: Callable, *args: Any):
        self.pool, self.reason = pool, ''
        self.opened = pool.submit(_open, prepare, args)
        self.memory: int | None = None
        self.seconds: dict[str, list[float]] = {}

    def answer(self, future: Future) -> Any:
        try:
            return future.result()
        # it is shown in the model's row, and the others are measured
        except Exception as error:
            self.reason = f'{type(error).__name__}: {error}'
            return None

    def turn(self, keep: bool) -> None:
        if self.reason:
            return
        taken = self.answer(self.pool.submit(_turn)) or {}
        for name, seconds in taken.items():
            if keep:
                self.seconds.setdefault(name, []).extend(seconds)

    def result(self) -> dict:
        if self.reason:
            return dict(reason=self.reason)
        return dict(
            memory=self.memory, **{name: Timing.of(taken) for name, taken in self.seconds.items()}
        )


# --- in the processes -------------------------------------------------------
_runs: Runs = {}


def _open(prepare: Callable, args: tuple) -> int | None:
    """Keep what is timed; return the memory that it takes."""
    runs, memory = prepare(*args)
    _runs.update(runs)
    return memory


def _turn() -> dict[str, list[float]]:
    return {name: _seconds(run) for name, run in _runs.items()}


def _seconds(run: Callable[[], Any]) -> list[float]:
    time.sleep(SETTLE)  # both of a process have threads
    run()  # caches and threads belong to whoever ran before
    seconds = []
    while sum(seconds) < TURN:
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return seconds


def _model(
    candidate: Candidate, threads: int, size: int, imports: Sequence[str]
) -> tuple[Runs, int | None]:
    import_modules(imports)
    torch.set_num_threads(threads)
    before = _forget_peak()
    runtime = candidate.runtime if candidate.runtime == EAGER else None
    translator = Translator(candidate.pictures, runtime=runtime, threads=threads, trust=True)
    translate, channels = translator.run, translator.channels[0]
    pixels = np.random.default_rng(0).integers(0, 256, (1, size, size, channels), np.uint8)
    translate(pixels), translate(pixels)
    grown = None if before is None else max(0, _memory('VmHWM') - before)
    network = open_model(candidate.model, runtime, threads, trust=True).run
    values = np.random.default_rng(0).uniform(-1, 1, (1, channels, size, size)).astype(np.float32)
    return dict(picture=lambda: translate(pixels), network=lambda: network(values)), grown


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
