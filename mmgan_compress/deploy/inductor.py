"""Native code of a network, compiled by torch's inductor ahead of time.

The file is a zip with a shared library inside, for processors that have at
least the vector instructions of the one that made it. Whoever opens it runs
what is in it: it is for files that one made oneself, or has reason to trust.
"""
import json
import platform
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn as nn
from torch import Tensor
from tqdm import tqdm

from ..compat import require
from ..core.layers import find_layer
from ..core.processors import TOPS, VNNI, X86
from .onnx import silenced, write_onnx
from .pixel_shuffle import PHASES, PhasedConv
from .quantize_onnx import NORMS, check_settings, quantize
from .scales import layer_names

SUFFIX = '.aoti.pt2'  # torch insists on the end
NATIVE = '/data/aotinductor/'  # folder of the zip
_METADATA = 'wrapper_metadata.json'
_FACTS = 'facts'


class IntegerConv(nn.Module):
    """A convolution that reads integers, as inductor recognises it.

    Inductor makes one integer convolution of oneDNN out of a dequantized
    input, a dequantized weight and a convolution. It has none that is
    transposed: such a one computes in floats, with the rounded values.

    Args:
        conv (nn.Module): Convolution in single precision; it is taken over.
        entry (dict): Its scales, as in ``models/quantization.py``.

    Raises:
        ValueError: If the number of scales is not that of the filters.
    """

    def __init__(self, conv: nn.Module, entry: dict):
        super().__init__()
        # the operators are registered by the import
        import torch.ao.quantization.fx._decomposed  # noqa: F401
        self.conv, self.axis = conv, int(conv.transposed)
        self.grids = {key: (float(entry[key][0]), int(entry[key][1]), 0, 255,
                            torch.uint8)
                      for key in ('input', 'output') if key in entry}
        step = self._steps(entry)
        shape = [1] * conv.weight.ndim
        shape[self.axis] = -1
        wide = step.view(shape)
        top = entry.get('weight_top', TOPS[VNNI])
        whole = (conv.weight.detach() / wide).round().clamp(-top, top)
        self.whole = not conv.transposed
        if self.whole:
            self.register_buffer('weight', whole.to(torch.int8))
            self.register_buffer('step', step)
            self.register_buffer('zeros', torch.zeros(len(step),
                                                      dtype=torch.int64))
        else:
            conv.weight.data = whole * wide

    def _steps(self, entry: dict) -> Tensor:
        """Return a scale for each filter."""
        step = torch.tensor(entry['weight'], dtype=torch.float32)
        filters = self.conv.weight.shape[self.axis]
        if isinstance(self.conv, PhasedConv) and \
                len(step) * PHASES == filters:
            step = step.repeat_interleave(PHASES)  # a filter became four
        if len(step) not in (1, filters):
            raise ValueError(f'{len(step)} scales for a weight of {filters} '
                             'filters')
        return step.expand(filters).contiguous()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) as the convolution does, in 8 bits."""
        x = self._rounded('input', x)
        if self.whole:
            weight = torch.ops.quantized_decomposed.dequantize_per_channel(
                self.weight, self.step, self.zeros, self.axis, -127, 127,
                torch.int8)
            y = torch.func.functional_call(self.conv, {'weight': weight},
                                           (x, ))
        else:
            y = self.conv(x)
        return self._rounded('output', y)

    def _rounded(self, key: str, x: Tensor) -> Tensor:
        if key not in self.grids:
            return x
        tools, grid = torch.ops.quantized_decomposed, self.grids[key]
        return tools.dequantize_per_tensor(
            tools.quantize_per_tensor(x, *grid), *grid)


def to_integers(net: nn.Module, scales: Mapping[str, dict]) -> None:
    """Let convolutions of a network compute in 8 bits, in place.

    Args:
        net (nn.Module): Of ``deploy.graph.prepare``.
        scales (Mapping[str, dict]): By layer; weights with batch norms
            folded in.

    Raises:
        KeyError: If there is no such layer; names the nearest ones.
        ValueError: If the number of scales is not that of the filters.
    """
    others = {find_layer(net, name): name for name in scales}
    for parent in list(net.modules()):
        for name, child in parent.named_children():
            if child in others:
                setattr(parent, name, IntegerConv(
                    child, scales[others[child]]))


def calibrated_scales(net: nn.Module, size: int, uint8: bool,
                      calibration: Sequence[np.ndarray],
                      settings: Mapping[str, Any]) -> dict[str, dict]:
    """Find scales on images, by ONNX Runtime's tools.

    Args:
        net (nn.Module): Generator in eval mode; it stays as it is.
        size (int): Side of the images.
        uint8 (bool): Whether the images are (N, H, W, 3), uint8.
        calibration (Sequence[ndarray]): Inputs to find the ranges on.
        settings (Mapping[str, Any]): As of ``quantize_onnx.quantize``.

    Returns:
        dict[str, dict]: Scales by layer, as in ``models/quantization.py``.

    Raises:
        ValueError: If a setting is wrong, or norms are to be quantized.
    """
    settings = check_settings(settings)
    if NORMS not in settings['skip']:
        raise ValueError(f'skip={list(settings["skip"])}: inductor has no '
                         f"norms in 8 bits, add '{NORMS}'")
    onnx = require('onnx', 'Quantization')
    with tempfile.TemporaryDirectory() as folder:
        fp32, int8 = Path(folder, 'fp32.onnx'), Path(folder, 'int8.onnx')
        write_onnx(net, fp32, size, {}, uint8=uint8)
        quantize(fp32, int8, calibration, settings)
        return _scales_of(onnx.load(str(int8)),
                          layer_names(onnx.load(str(fp32))),
                          TOPS[settings['processor']])


def _scales_of(model: Any, names: Mapping[str, str],
               top: int) -> dict[str, dict]:
    """Read the scales of layers out of an ONNX model of ONNX Runtime."""
    from onnx.numpy_helper import to_array
    values = {t.name: t for t in model.graph.initializer}
    made = {node.output[0]: node for node in model.graph.node}
    read = {node.input[0]: node for node in model.graph.node
            if node.op_type == 'QuantizeLinear'}

    def grid(node: Any) -> list:
        scale, zero = (to_array(values[key]) for key in node.input[1:3])
        return [float(scale), int(zero)]

    found = {}
    for node in model.graph.node:
        if node.name not in names or node.input[1] not in made:
            continue
        data, weight = (made.get(key) for key in node.input[:2])
        entry = dict(weight=to_array(
            values[weight.input[1]]).flatten().tolist(), weight_top=top,
            input=grid(data))
        if node.output[0] in read:
            entry['output'] = grid(read[node.output[0]])
        found[names[node.name]] = entry
    return found


def check_compiler() -> None:
    """Raise ImportError if there is no C++ compiler."""
    from torch._inductor.cpp_builder import get_cpp_compiler
    try:
        get_cpp_compiler()
    # its own class of error says no more than that
    except Exception as error:
        raise ImportError(
            'inductor needs a C++ compiler and found none: install g++ or '
            'clang++, or name one in the environment variable CXX '
            f'({type(error).__name__})') from error


def compile_network(net: nn.Module, image: Tensor, free: Any, path: Path,
                    facts: dict[str, str]) -> None:
    """Compile a network; that takes 15 to 90 seconds.

    Args:
        net, image, free: Of ``deploy.onnx.traceable``.
        path (Path): File to write, ``*.aoti.pt2``.
        facts (dict[str, str]): Metadata for the file.

    Raises:
        ImportError: If there is no C++ compiler.
    """
    check_compiler()
    from torch._inductor import aoti_compile_and_package
    options = {
        'freezing': True,  # weights are laid out for oneDNN, and integers
        # else the number of threads of today is in the code
        'cpp.dynamic_threads': True,
        # else whatever this processor has is used, and nothing says so:
        # vector instructions are named one by one, and in the metadata
        'cpp.march': '',
        'aot_inductor.metadata': {_FACTS: json.dumps(facts)}
    }
    with silenced(), torch.no_grad(), \
            tqdm(total=1, desc='inductor compiles') as bar:
        program = torch.export.export(net, (image, ), dynamic_shapes=free)
        aoti_compile_and_package(program, package_path=str(path),
                                 inductor_configs=options)
        bar.update()


def _native_files(path: Path) -> Iterator[str]:
    """Yield the names of files of native code; no error if no zip."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            yield from (name for name in file.namelist()
                        if NATIVE in f'/{name}')


def holds_native_code(path: Path) -> bool:
    """Tell whether ``torch.export.load`` would load a shared library."""
    return any(True for _ in _native_files(path))


def read_facts(path: Path) -> dict[str, str]:
    """Read the metadata of a file, and check that it can run here.

    Nothing of the file is run.

    Args:
        path (Path): What :func:`compile_network` wrote.

    Raises:
        ValueError: If it is another file, or for another processor.
    """
    name = next((name for name in _native_files(path)
                 if name.endswith(_METADATA)), None)
    if name is None:
        raise ValueError(f'{path} holds no native code of inductor: expected '
                         "what tools/export.py writes for 'inductor'")
    with zipfile.ZipFile(path) as file:
        metadata = json.loads(file.read(name))
    needs = [metadata.get(f'AOTI_{key}', '').lower()
             for key in ('PLATFORM', 'MACHINE', 'CPU_ISA')]
    has = [sys.platform, platform.machine().lower(), _vectors()]
    if needs[:2] != has[:2] or platform.machine() in X86 \
            and set(needs[2].split()) - set(has[2].split()):
        raise ValueError(
            f'{path} is native code for {" ".join(needs)}, this is '
            f'{" ".join(has)}: export it on a machine like this one')
    return json.loads(metadata.get(_FACTS, '{}'))


def _vectors() -> str:
    """Return the vector instructions of the processor, as torch does."""
    from torch._inductor.cpu_vec_isa import x86_isa_checker
    return ' '.join(x86_isa_checker())
