"""ExecuTorch with XNNPACK: fixed sides, on phones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn as nn
from torch import Tensor

from ..compat import require
from .onnx import silenced

SUFFIX = '.pte'
_WHY = 'Conversion to ExecuTorch'


def write_executorch(net: nn.Module, image: Tensor, path: Path) -> None:
    """Write a network in single precision, or as its integers say.

    Args:
        net (nn.Module): Network, of ``deploy.onnx.traceable``.
        image (Tensor): Example of its input, likewise.
        path (Path): File to write.

    Raises:
        ImportError: If ExecuTorch is not installed.
    """
    with silenced():
        path.write_bytes(lowered(net, image).to_executorch().buffer)


def lowered(net: nn.Module, image: Tensor) -> Any:
    """Hand a network to XNNPACK, as much of it as it takes.

    Args:
        net (nn.Module): As for :func:`write_executorch`.
        image (Tensor): Likewise.

    Returns:
        EdgeProgramManager: What XNNPACK has is one call in its graph,
        ``executorch_call_delegate``; kernels of a value at a time run the
        rest.
    """
    with silenced():
        exir = require('executorch.exir', _WHY)
        xnnpack = require('executorch.backends.xnnpack.partition.xnnpack_partitioner', _WHY)
    program = torch.export.export(net, (image,))
    return exir.to_edge_transform_and_lower(program, partitioner=[xnnpack.XnnpackPartitioner()])


def open_executorch(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Open a file; return what maps its input to its output.

    Its threads cannot be chosen.

    Args:
        path (Path): File to open.

    Raises:
        ImportError: If ExecuTorch is not installed.
    """
    runtime = require('executorch.runtime', 'Running with ExecuTorch').Runtime.get()
    # the program keeps the memory that the method computes in
    program = runtime.load_program(str(path))
    method = program.load_method('forward')

    def run(x: np.ndarray, program: Any = program) -> np.ndarray:
        (y,) = method.execute((torch.from_numpy(np.ascontiguousarray(x)),))
        return y.numpy().copy()  # the next run writes there

    return run
