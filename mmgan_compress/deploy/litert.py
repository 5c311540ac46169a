"""LiteRT (TensorFlow Lite): fixed sides, on phones by XNNPACK or a delegate."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn as nn
from torch import Tensor

from ..compat import require
from .onnx import silenced

SUFFIX = '.tflite'
_WHY = 'Conversion to LiteRT'


def write_litert(net: nn.Module, image: Tensor, path: Path, integers: bool = False) -> None:
    """Write a network in single precision, or as its integers say.

    Args:
        net (nn.Module): Network, of ``deploy.onnx.traceable``.
        image (Tensor): Example of its input, likewise.
        path (Path): File to write.
        integers (bool): Whether layers of it compute in 8 bits.

    Raises:
        ImportError: If the converter is not installed.
    """
    with silenced():
        litert_torch = require('litert_torch', _WHY)
        config = _integers() if integers else None
        litert_torch.convert(net, (image,), quant_config=config).export(str(path))


def _integers() -> Any:
    """Return what tells the converter that the rounding is in the graph."""
    tools = require('litert_torch.quantize.pt2e_quantizer', _WHY)
    config = require('litert_torch.quantize.quant_config', _WHY)
    settings = tools.get_symmetric_quantization_config(is_per_channel=True, is_dynamic=False)
    return config.QuantConfig(pt2e_quantizer=tools.PT2EQuantizer().set_global(settings))


def halve_weights(path: Path) -> None:
    """Store the weights of a file in 16 bits; it computes in single precision.

    Args:
        path (Path): Of :func:`write_litert`; it is replaced.

    Raises:
        ImportError: If the quantizer is not installed.
    """
    tools = require('ai_edge_quantizer.quantizer', '16-bit weights in LiteRT')
    types = require('ai_edge_quantizer.qtyping', '16-bit weights in LiteRT')
    quantizer = tools.Quantizer(str(path))
    quantizer.update_quantization_recipe(
        '.*',
        types.TFLOperationName.ALL_SUPPORTED,
        types.OpQuantizationConfig(
            weight_tensor_config=types.TensorQuantizationConfig(
                num_bits=16, dtype=types.TensorDataType.FLOAT
            ),
            compute_precision=types.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        algorithm_key=tools.AlgorithmName.FLOAT_CASTING,
    )
    with silenced():
        quantizer.quantize().export_model(str(path), overwrite=True)


def open_litert(path: Path, threads: int | None) -> Callable[[np.ndarray], np.ndarray]:
    """Open a file; return what maps its input to its output.

    Args:
        path (Path): File to open.
        threads (int | None): How many it may use.

    Raises:
        ImportError: If the runtime is not installed.
    """
    runtime: Any = require('ai_edge_litert.interpreter', 'Running with LiteRT')
    interpreter = runtime.Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(x: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(entry['index'], x)
        interpreter.invoke()
        return interpreter.get_tensor(result['index'])

    return run
