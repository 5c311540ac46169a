"""How long models take, measured so that they can be compared."""
import copy
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np
import torch
import torch.nn as nn

from ..compat import require
from .onnx import write_onnx
from .runtimes import OpenModel, on_arrays, open_model


class Timing(NamedTuple):
    """Seconds of one call.

    Args:
        median (float): Half of the calls took less.
        p95 (float): 95 % of them took less.
        repeats (int): How many were measured.
    """
    median: float
    p95: float
    repeats: int


def measure(run: Callable[[], Any], warmup: int = 3,
            repeats: int = 9) -> Timing:
    """Time a function.

    Args:
        run (Callable): Takes no argument.
        warmup (int): Calls before the clock runs.
        repeats (int): Calls that are timed.

    Returns:
        Timing: Of one call, in seconds.
    """
    return side_by_side({'': run}, warmup, repeats)['']


def side_by_side(runs: dict[str, Callable[[], Any]], warmup: int = 3,
                 repeats: int = 9) -> dict[str, Timing]:
    """Time functions in turns, so that a busy moment hits all of them.

    Args:
        runs (dict[str, Callable]): Functions without arguments, by name.
        warmup (int): Rounds before the clock runs.
        repeats (int): Rounds that are timed.

    Returns:
        dict[str, Timing]: By the same names.

    Raises:
        ValueError: If nothing would be timed.
    """
    if repeats < 1:
        raise ValueError(f'repeats is {repeats}: expected at least 1')
    seconds = {name: [] for name in runs}
    for turn in range(warmup + repeats):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            if turn >= warmup:
                seconds[name].append(time.perf_counter() - begin)
    return {name: Timing(float(np.median(taken)),
                         float(np.percentile(taken, 95)), repeats)
            for name, taken in seconds.items()}


def convert_for_timing(net: nn.Module, size: int, runtime: str,
                       threads: Optional[int] = None) -> OpenModel:
    """Convert a network for its speed alone; nothing is kept or compared.

    Args:
        net (nn.Module): Generator of RGB images; it stays as it is.
        size (int): Side of the images.
        runtime (str): ``'eager'``, ``'onnxruntime'`` or ``'openvino'``.
        threads (int | None): How many it may use.

    Returns:
        OpenModel: Runs (1, C, size, size), float32.

    Raises:
        ValueError: If the runtime is another one.
        ImportError: If the runtime or the exporter is not installed.
    """
    net = copy.deepcopy(net).cpu().eval()
    if runtime == 'eager':
        return OpenModel(runtime, torch.__version__, {},
                         on_arrays(net, threads))
    if runtime not in ('onnxruntime', 'openvino'):
        raise ValueError(f'runtime is {runtime!r}: expected eager, '
                         'onnxruntime or openvino')
    require('onnxscript', 'Conversion to ONNX')
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'timed.onnx')
        write_onnx(net, path, size, {}, phases=True)
        return open_model(path, runtime, threads)
