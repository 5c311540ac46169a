"""One way to open and run a model of any runtime.

A new runtime is one function here: it takes a file and a number of threads
and returns an :class:`OpenModel`.
"""
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Optional, Union

import numpy as np
import torch

from ..compat import require
from ..core.processors import VNNI, check_processor
from ..models.student import load_student
from .metadata import FACTS, student_facts
from .inductor import SUFFIX, holds_native_code, read_facts

StrPath = Union[str, Path]
Run = Callable[[np.ndarray], np.ndarray]


class OpenModel(NamedTuple):
    """A model that is ready to run on the CPU.

    Args:
        runtime (str): Name, of ``RUNTIMES``.
        version (str): Version of the runtime.
        facts (dict[str, str]): What the file says of itself (see
            ``deploy/metadata.py``); empty if it was not made by this package.
        run (Callable): Maps (N, C, H, W), float32 in [-1, 1] to the
            same. A file whose ``facts['layout']`` is ``'NHWC'`` takes and
            gives (N, H, W, C), uint8.
    """
    runtime: str
    version: str
    facts: dict[str, str]
    run: Run


def open_model(path: StrPath,
               runtime: Optional[str] = None,
               threads: Optional[int] = None,
               trust: bool = False) -> OpenModel:
    """Open an exported model, or a student file, to run it on the CPU.

    Args:
        path (str | Path): ``.onnx``, ``.xml`` (OpenVINO), ``.param`` (ncnn),
            ``.pt2`` (torch.export), ``.aoti.pt2`` (inductor), ``.pt``
            (TorchScript), ``.pth`` (student) or the folder of an export.
            torch's ``.pt2``, ``.aoti.pt2`` and ``.pt`` are programs: whoever
            made one can run anything where it is opened.
        runtime (str | None): Of ``RUNTIMES``; by the suffix if None.
            ``'openvino'`` reads ``.onnx`` too.
        threads (int | None): How many it may use; its own choice if None.
        trust (bool): Whether to open programs, since you made the file or
            trust whoever did.

    Returns:
        OpenModel: Its ``run`` takes several images at once, whatever the
        file was made for.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If no runtime is known for the suffix, the runtime
            cannot read the file, it was made for another processor, it is a
            program that is not trusted, or
            there are less than one thread.
        ImportError: If the runtime is not installed.
    """
    path = _model_file(Path(path))
    runtime = runtime or next((name for suffix, name in _SUFFIXES.items()
                               if path.name.endswith(suffix)), None)
    if runtime not in RUNTIMES:
        raise ValueError(
            f'no runtime {runtime!r} for {path}: expected a file of '
            f'{", ".join(_SUFFIXES)}, and runtime one of {list(RUNTIMES)}')
    check_threads(threads)
    if runtime in PROGRAMS and not trust:
        raise ValueError(
            f'{path} is a program of {runtime}, which can run anything when '
            'it is opened: if you made it, or trust whoever did, say '
            'trust=True or --trust. An ONNX file or a student is data')
    try:
        model = RUNTIMES[runtime](path, threads)
    except (ImportError, ValueError):
        raise
    # every runtime has errors of its own for a broken file
    except Exception as error:
        raise ValueError(f'{path} cannot be read by {runtime}, is it '
                         f'complete? {error}') from error
    if model.facts.get('precision') == 'int8':
        # files from before it was written down have all of 8 bits
        check_processor(model.facts.get('processor', VNNI), path)
    shape = json.loads(model.facts.get('input_shape', '[null]'))
    if shape[0] == 1:
        model = model._replace(run=_one_by_one(model.run))
    return model


def check_threads(threads: Optional[int]):
    """Raise ValueError for less than one thread."""
    if threads is not None and threads < 1:
        raise ValueError(f'threads is {threads}: expected 1 or more')


def _model_file(path: Path) -> Path:
    """Return the file to open; in a folder, that of an export."""
    if path.is_dir():
        found = [path / f'end2end{suffix}' for suffix in _SUFFIXES
                 if (path / f'end2end{suffix}').is_file()]
        if not found:
            raise FileNotFoundError(
                f'no end2end.* in {path.resolve()}: tools/export.py writes '
                'one')
        return found[0]
    if path.suffix == '.bin':  # half of OpenVINO's and of ncnn's models
        path = next((p for p in (path.with_suffix('.param'),
                                 path.with_suffix('.xml')) if p.is_file()),
                    path)
    if not path.is_file():
        raise FileNotFoundError(f'no model at {path.resolve()}: '
                                'tools/export.py makes one of a student')
    return path


def _one_by_one(run: Run) -> Run:
    """Run a model that takes a single image on several."""
    return lambda x: run(x) if len(x) == 1 else np.concatenate(
        [run(x[i:i + 1]) for i in range(len(x))])


def _onnxruntime(path: Path, threads: Optional[int]) -> OpenModel:
    onnxruntime = require('onnxruntime', 'Running an ONNX file')
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    if threads:
        options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        str(path), options, providers=['CPUExecutionProvider'])
    entry = session.get_inputs()[0].name
    return OpenModel('onnxruntime', onnxruntime.__version__,
                     dict(session.get_modelmeta().custom_metadata_map),
                     lambda x: session.run(None, {entry: x})[0])


def _openvino(path: Path, threads: Optional[int]) -> OpenModel:
    openvino = require('openvino', 'Running with OpenVINO')
    core = openvino.Core()
    model = core.read_model(str(path))
    # processors that have bfloat16 would use it for float32 models
    options = {'INFERENCE_PRECISION_HINT': 'f32'}
    if threads:
        options['INFERENCE_NUM_THREADS'] = threads
    compiled = core.compile_model(model, 'CPU', options)
    # from an ONNX file, its metadata stand under 'framework'
    sections = [model.rt_info[key] for key in (FACTS, 'framework')
                if model.has_rt_info([key])]
    facts = {key: str(entry.value) for section in sections[:1]
             for key, entry in section.items()}
    version = openvino.get_version().split('-')[0]
    return OpenModel('openvino', version, facts, lambda x: compiled(x)[0])


def _ncnn(path: Path, threads: Optional[int]) -> OpenModel:
    ncnn = require('ncnn', 'Running with ncnn')
    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    # on ARM they are on by default, where the processor has half precision
    for option in ('fp16_packed', 'fp16_storage', 'fp16_arithmetic',
                   'bf16_storage'):
        setattr(net.opt, f'use_{option}', False)
    if threads:
        net.opt.num_threads = threads
    if net.load_param(str(path)) or \
            net.load_model(str(path.with_suffix('.bin'))):
        raise ValueError(f'ncnn cannot read {path} and the .bin beside it')
    beside = path.with_suffix('.json')
    facts = json.loads(beside.read_text()) if beside.is_file() else {}

    def run(x: np.ndarray) -> np.ndarray:
        extractor = net.create_extractor()
        # the reference keeps the pixels alive: ncnn does not copy them
        image = np.ascontiguousarray(x[0])
        extractor.input(net.input_names()[0], ncnn.Mat(image))
        failed, y = extractor.extract(net.output_names()[0])
        if failed:
            raise RuntimeError(f'ncnn could not run {path} on {x.shape}')
        return np.array(y)[None]

    # images have no batch dimension in ncnn
    return OpenModel('ncnn', ncnn.__version__, facts, _one_by_one(run))


def _torch_export(path: Path, threads: Optional[int]) -> OpenModel:
    if holds_native_code(path):
        raise ValueError(f'{path} holds native code of inductor: open it '
                         "with runtime='inductor'")
    texts = {'facts.json': ''}
    program = torch.export.load(str(path), extra_files=texts)
    facts = json.loads(texts['facts.json'] or '{}')
    return OpenModel('torch.export', torch.__version__, facts,
                     on_arrays(program.module(), threads))


def _inductor(path: Path, threads: Optional[int]) -> OpenModel:
    facts = read_facts(path)
    from torch._inductor import aoti_load_package
    net = aoti_load_package(path)
    # it takes the memory for that of the example, whatever the strides
    return OpenModel('inductor', torch.__version__, facts,
                     on_arrays(lambda x: net(x.contiguous()), threads))


def _torchscript(path: Path, threads: Optional[int]) -> OpenModel:
    texts = {'facts.json': ''}
    net = torch.jit.load(str(path), map_location='cpu', _extra_files=texts)
    facts = json.loads(texts['facts.json'] or '{}')
    return OpenModel('torchscript', torch.__version__, facts,
                     on_arrays(net, threads))


def _eager(path: Path, threads: Optional[int]) -> OpenModel:
    net = load_student(path)
    return OpenModel('eager', torch.__version__,
                     student_facts(path, net.meta), on_arrays(net, threads))


def on_arrays(net: Callable, threads: Optional[int]) -> Run:
    """Make a network of torch a function of arrays.

    Args:
        net (Callable): Maps a tensor to a tensor.
        threads (int | None): How many torch may use meanwhile.
    """

    @torch.inference_mode()
    def run(x: np.ndarray) -> np.ndarray:
        before = torch.get_num_threads()
        torch.set_num_threads(threads or before)
        try:
            return net(torch.from_numpy(x)).numpy()
        finally:
            torch.set_num_threads(before)

    return run


RUNTIMES = {
    'onnxruntime': _onnxruntime,
    'openvino': _openvino,
    'ncnn': _ncnn,
    'torch.export': _torch_export,
    'inductor': _inductor,
    'torchscript': _torchscript,
    'eager': _eager
}
# opening runs what is in the file: torch.export's names any function of
# torch, TorchScript's reads and writes files, inductor's is native code
PROGRAMS = ('torch.export', 'inductor', 'torchscript')
_SUFFIXES = {'.onnx': 'onnxruntime', '.xml': 'openvino', '.param': 'ncnn',
             SUFFIX: 'inductor',  # also ends with the next one
             '.pt2': 'torch.export', '.pt': 'torchscript',
             '.torchscript': 'torchscript', '.pth': 'eager'}
