"""MNN: from ONNX, on phones and small boards."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..compat import require

SUFFIX = '.mnn'
# Its converter has pip install a package of Alibaba Cloud, and sends there what
# was converted, with an id of the machine; without its log module it does not
_CONVERT = """
import sys
sys.modules['MNN.tools.utils.log'] = None
from MNN.tools.mnnconvert import main
main()
"""
_WINOGRAD_MEMORY_LEVEL = 3  # of MNN's HintMode, which Python has no name for


def write_mnn(onnx_path: Path, path: Path, half: bool) -> None:
    """Convert an ONNX file.

    Args:
        onnx_path (Path): Model in single precision.
        path (Path): File to write.
        half (bool): Store weights in 16 bits; it computes in single precision.

    Raises:
        ImportError: If MNN is not installed.
        RuntimeError: If the converter fails.
    """
    require('MNN', 'Conversion to MNN')
    files = ['--modelFile', str(onnx_path.resolve()), '--MNNModel', str(path.resolve())]
    # a process of its own: it prints, and it ends the process where it fails
    done = subprocess.run(
        [
            sys.executable,
            '-c',
            _CONVERT,
            *['-f', 'ONNX', *files],
            *('--bizCode', 'mmgan_compress'),
            *(['--fp16'] if half else []),
        ],
        cwd=path.parent,
        capture_output=True,
        text=True,
    )
    if done.returncode or not path.is_file():
        raise RuntimeError(f'mnnconvert failed ({done.returncode}): {done.stdout[-2000:]}')


def open_mnn(path: Path, threads: int | None) -> Callable[[np.ndarray], np.ndarray]:
    """Open a file; return what maps its input to its output.

    Args:
        path (Path): File to open.
        threads (int | None): How many it may use; MNN's own choice, 4, if
            None.

    Raises:
        ImportError: If MNN is not installed.
    """
    mnn = require('MNN', 'Running with MNN')
    # else sums are in half precision where the processor has that
    settings = dict(backend=0, precision='high', numThread=threads or 4)
    manager = mnn.nn.create_runtime_manager((settings,))
    # Winograd's form of a 7x7 convolution is off by 7e-4, and slower
    manager.set_hint(_WINOGRAD_MEMORY_LEVEL, 0)
    net = mnn.nn.load_module_from_file(str(path), [], [], runtime_manager=manager)

    def run(x: np.ndarray) -> np.ndarray:
        image = mnn.expr.const(np.ascontiguousarray(x), list(x.shape), mnn.expr.NCHW)
        return mnn.expr.convert(net.forward(image), mnn.expr.NCHW).read().copy()

    return run
