"""All formats of exported models: how each is written, opened and run.

============  ============  ==================  ================  ==========
format        runtime       files               precisions        8-bit input
============  ============  ==================  ================  ==========
onnxruntime   onnxruntime   .onnx               fp32, fp16, int8  yes
openvino      openvino      .xml .bin           fp32, int8        yes
ncnn          ncnn          .param .bin .json   fp32              no
tensorrt      onnxruntime   .onnx               fp32, fp16, int8  yes
torchscript   torchscript   .pt                 fp32              yes
torch-export  torch.export  .pt2                fp32              yes
inductor      inductor      .aoti.pt2           fp32, int8        yes
litert        litert        .tflite .json       fp32, fp16, int8  yes
executorch    executorch    .pte .json          fp32, int8        no
mnn           mnn           .mnn .json          fp32, fp16        no
coreml        coreml        .mlpackage          fp32, fp16        yes
web           onnxruntime   .onnx and a page    fp32              always
eager         eager         .pth (a student)    fp32              no
============  ============  ==================  ================  ==========

A new format is two functions and a row of ``FORMATS`` here, and a base config
in ``configs/deploy/_base_/backends``.
"""

import copy
import importlib.metadata
import io
import json
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn as nn

from ..compat import require
from ..core.inputs import StyledImage, input_of
from ..core.messages import check_range
from ..core.processors import VNNI, check_processor, for_processor
from ..core.timing import torch_threads
from ..models.quantization import NORMS
from ..models.student import load_student
from . import coreml, executorch, litert, mnn, web
from .inductor import SUFFIX, compile_network, native_files, read_facts
from .metadata import FACTS, student_facts
from .onnx import silenced, traceable, write_onnx
from .quantize_onnx import calibrated_scales, check_settings, quantize, to_half
from .targets import Target
from .verify import feeds

STEM = 'end2end'  # mmdeploy's name for models of one piece
Run = Callable[..., np.ndarray]


class OpenModel(NamedTuple):
    """A model that is ready to run on the CPU.

    Args:
        runtime (str): Name, of ``RUNTIMES``.
        version (str): Version of the runtime.
        facts (dict[str, str]): Metadata of the file (see
            ``deploy/metadata.py``); empty if it was not made by this package.
        run (Callable): Maps (N, C, H, W), float32 in [-1, 1] to the
            same. A file whose ``facts['layout']`` is ``'NHWC'`` takes and
            gives (N, H, W, C), uint8. The style of a generator that takes
            one, (N, style), float32, is the second argument.
        ran_on (str): ``'CPU'``, or ``'replay'`` where torch computes what is
            in the file.
    """

    runtime: str
    version: str
    facts: dict[str, str]
    run: Run
    ran_on: str = 'CPU'


def _unshared(key: tuple, make: Callable[[], Any]) -> Any:
    """Make a part of an export that has nothing in common with others."""
    return make()


@dataclass(frozen=True)
class Job:
    """A network that is written into a folder.

    Args:
        net (nn.Module): Generator in eval mode.
        target (Target): The format, and its form.
        size (int): Side of the images.
        multiple (int): Size multiple of the network.
        facts (dict[str, str]): Metadata for the file.
        folder (Path): Folder to write into.
        calibration (Sequence[tuple]): Inputs of the model, for int8.
        norms (str): Which of the format's ``norms`` to use.
        once (Callable): ``Shared.once`` of exports with the same calibration.
    """

    net: nn.Module
    target: Target
    size: int
    multiple: int
    facts: dict[str, str]
    folder: Path
    calibration: Sequence[tuple[np.ndarray, ...]] = ()
    norms: str = 'fused'
    once: Callable[[tuple, Callable[[], Any]], Any] = _unshared

    @property
    def settings(self) -> dict:
        """How to quantize, as of ``quantize_onnx.check_settings``."""
        return check_settings(
            dict(
                self.target.settings.get('quantization_config', {}), processor=self.target.processor
            )
        )

    def scales(self, find: bool = False) -> dict[str, dict] | None:
        """Return the scales of layers in int8; None without any.

        Args:
            find (bool): Find them on the calibration images if none are
                given, and those of outputs that the runtime needs.
        """
        if self.target.precision != 'int8':
            return None
        settings, outputs = self.settings, FORMATS[self.target.backend].outputs
        scales = settings['scales']
        if find and (scales is None or outputs and self.calibration):
            if outputs:
                settings = dict(settings, outputs=True)
            if scales:  # which layers they are for is said by them
                settings = dict(settings, scales=None, skip=[NORMS])
            form = self.size, self.target.uint8
            found = self.once(
                ('scales', *form, repr(settings)),
                lambda: calibrated_scales(self.net, *form, self.calibration, settings),
            )
            if scales:  # of inputs that are not balanced: outputs alone are missing
                scales = {
                    name: {'output': found[name]['output']} | entry
                    for name, entry in scales.items()
                }
            else:
                scales = found
        return scales and for_processor(scales, self.target.processor)

    @property
    def form(self) -> tuple:
        """``size`` to ``rewrites`` as of ``traceable``, without ``multiple``
        where sides are fixed.
        """
        return (
            self.size,
            self.multiple if self.target.dynamic else None,
            self.target.uint8,
            (*FORMATS[self.target.backend].rewrites, self.norms),
        )

    def file(self, suffix: str) -> Path:
        """Return the path of the model's file with a suffix."""
        return self.folder / f'{STEM}{suffix}'

    def write_facts(self) -> None:
        """Write the metadata beside a file that cannot hold them."""
        self.file('.json').write_text(json.dumps(self.facts, indent=2) + '\n')


def _facts_beside(path: Path) -> dict[str, str]:
    beside = path.with_suffix('.json')
    return json.loads(beside.read_text()) if beside.is_file() else {}


# --- ONNX Runtime -----------------------------------------------------------
def _write_onnxruntime(job: Job) -> None:
    onnx = require('onnx', 'Export to ONNX')
    model = onnx.load_from_string(_onnx(job))
    onnx.helper.set_model_props(model, job.facts)
    onnx.save(model, str(job.file('.onnx')))


def _onnx(job: Job) -> bytes:
    """Return the ONNX file without metadata: formats and precisions share it."""
    target, path = job.target, job.file('.onnx')
    size, free, uint8, rewrites = job.form

    def make() -> bytes:
        scales = job.scales()
        lowered = target.precision == 'fp16' or target.precision == 'int8' and scales is None
        if lowered:
            path.write_bytes(_onnx(replace(job, target=replace(target, precision='fp32'))))
        if target.precision == 'fp16':
            to_half(path)
        elif lowered:
            quantize(path, path, job.calibration, job.settings)
        else:
            write_onnx(
                job.net, path, size, {}, free, uint8, target.opset, target.names, rewrites, scales
            )
        return path.read_bytes()

    integers = repr(job.settings) if target.precision == 'int8' else ''
    key = ('onnx', job.form, target.precision, target.opset, target.names, integers)
    return job.once(key, make)


def open_onnx(model: Path | bytes, threads: int | None) -> OpenModel:
    """Open an ONNX file, or the content of one, in ONNX Runtime."""
    onnxruntime = require('onnxruntime', 'Running an ONNX file')
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    if threads:
        options.intra_op_num_threads = threads
    model = model if isinstance(model, bytes) else str(model)
    session = onnxruntime.InferenceSession(model, options, providers=['CPUExecutionProvider'])
    names = [entry.name for entry in session.get_inputs()]
    return OpenModel(
        'onnxruntime',
        onnxruntime.__version__,
        dict(session.get_modelmeta().custom_metadata_map),
        lambda *inputs: session.run(None, dict(zip(names, inputs)))[0],
    )


# --- OpenVINO ---------------------------------------------------------------
def _write_openvino(job: Job) -> None:
    openvino = require('openvino', 'Conversion to OpenVINO')
    _write_onnxruntime(job)
    model = openvino.convert_model(str(job.file('.onnx')))
    model.set_rt_info(job.facts, [FACTS])
    # its default halves the weights
    openvino.save_model(model, str(job.file('.xml')), compress_to_fp16=False)


def _open_openvino(path: Path, threads: int | None) -> OpenModel:
    openvino = require('openvino', 'Running with OpenVINO')
    core = openvino.Core()
    model = core.read_model(str(path))
    # processors that have bfloat16 would use it for float32 models
    options = {'INFERENCE_PRECISION_HINT': 'f32'}
    if threads:
        options['INFERENCE_NUM_THREADS'] = threads
    compiled = core.compile_model(model, 'CPU', options)
    # from an ONNX file, its metadata stand under 'framework'
    sections = [model.rt_info[key] for key in (FACTS, 'framework') if model.has_rt_info([key])]
    facts = {key: str(entry.value) for section in sections[:1] for key, entry in section.items()}
    version = openvino.get_version().split('-')[0]
    return OpenModel('openvino', version, facts, lambda *inputs: compiled(list(inputs))[0])


# --- ncnn -------------------------------------------------------------------
def _write_ncnn(job: Job) -> None:
    """Write ncnn's two files, which run at any size, and the metadata."""
    pnnx = require('pnnx', 'Conversion to ncnn')
    script = job.folder / 'traced.pt'
    net, (image,), _ = traceable(job.net, job.size, rewrites=job.form[3])
    with silenced():
        torch.jit.trace(net, image).save(str(script))
    shape = ','.join(map(str, image.shape))
    outputs = {
        key: job.folder / f'traced.{key}'
        for key in ('pnnxparam', 'pnnxbin', 'pnnxpy', 'pnnxonnx', 'ncnnpy')
    }
    outputs.update(ncnnparam=job.file('.param'), ncnnbin=job.file('.bin'))
    done = subprocess.run(
        [
            pnnx.EXEC_PATH,
            str(script),
            f'inputshape=[{shape}]',
            'fp16=0',
            *(f'{key}={path}' for key, path in outputs.items()),
        ],
        capture_output=True,
        text=True,
    )
    if done.returncode or not job.file('.bin').is_file():
        raise RuntimeError(f'pnnx failed ({done.returncode}): {done.stderr[-2000:]}')
    _name_blobs(job.file('.param'), dict(zip(('in0', 'out0'), job.target.names)))
    job.write_facts()


def _name_blobs(param: Path, names: dict[str, str]) -> None:
    """Give input and output of ncnn's graph the names of the deploy config.

    A line is: kind, layer, two counts, blobs, and settings, which have '='.
    """
    lines = [line.split(' ') for line in param.read_text().splitlines()]
    param.write_text(
        ''.join(
            ' '.join([*line[:2], *(names.get(word, word) for word in line[2:])]) + '\n'
            for line in lines
        )
    )


def _open_ncnn(path: Path, threads: int | None) -> OpenModel:
    ncnn = require('ncnn', 'Running with ncnn')
    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    # on ARM they are on by default, where the processor has half precision
    for option in ('fp16_packed', 'fp16_storage', 'fp16_arithmetic', 'bf16_storage'):
        setattr(net.opt, f'use_{option}', False)
    if threads:
        net.opt.num_threads = threads
    if net.load_param(str(path)) or net.load_model(str(path.with_suffix('.bin'))):
        raise ValueError(f'ncnn cannot read {path} and the .bin beside it')

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
    return OpenModel('ncnn', ncnn.__version__, _facts_beside(path), _one_by_one(run))


# --- phones -----------------------------------------------------------------
def _write_litert(job: Job) -> None:
    path = job.file(litert.SUFFIX)

    def make(integers: bool) -> bytes:
        # its converter takes integers of its own making only
        options = dict(signed=True, folded=True)
        net, (image,), _ = traceable(job.net, *job.form, job.scales(find=True), **options)
        litert.write_litert(net, image, path, integers)
        return path.read_bytes()

    if job.target.precision == 'int8':
        make(integers=True)
    else:
        path.write_bytes(job.once(('litert', job.form), lambda: make(integers=False)))
    if job.target.precision == 'fp16':
        litert.halve_weights(path)
    job.write_facts()


def _open_litert(path: Path, threads: int | None) -> OpenModel:
    run = litert.open_litert(path, threads)
    return OpenModel('litert', _version('ai-edge-litert'), _facts_beside(path), run)


def _write_executorch(job: Job) -> None:
    net, (image,), _ = traceable(job.net, *job.form, job.scales(find=True), signed=True)
    executorch.write_executorch(net, image, job.file(executorch.SUFFIX))
    job.write_facts()


def _open_executorch(path: Path, threads: int | None) -> OpenModel:
    run = executorch.open_executorch(path)
    return OpenModel('executorch', _version('executorch'), _facts_beside(path), run)


def _write_mnn(job: Job) -> None:
    half = job.target.precision == 'fp16'  # of the same ONNX
    job.file('.onnx').write_bytes(_onnx(replace(job, target=replace(job.target, precision='fp32'))))
    mnn.write_mnn(job.file('.onnx'), job.file(mnn.SUFFIX), half)
    job.write_facts()


def _open_mnn(path: Path, threads: int | None) -> OpenModel:
    return OpenModel('mnn', _version('mnn'), _facts_beside(path), mnn.open_mnn(path, threads))


def _write_coreml(job: Job) -> None:
    size, _, _, rewrites = job.form
    net, (image,), _ = traceable(job.net, size, rewrites=rewrites)
    package, target = job.file('.mlpackage'), job.target
    coreml.write_coreml(
        net, image, package, target.names, job.facts, target.precision == 'fp16', target.uint8
    )


def _open_coreml(path: Path, threads: int | None) -> OpenModel:
    facts, run = coreml.open_coreml(path.parent)
    return OpenModel('coreml', _version('coremltools'), facts, run, ran_on='replay')


# --- the browser ------------------------------------------------------------
def _write_web(job: Job) -> None:
    if not job.target.uint8:
        raise ValueError('the page gives the model 8-bit pictures: leave uint8=True in its config')
    _write_onnxruntime(job)
    job.write_facts()  # for the page, which cannot read those in the model
    web.write_page(job.folder)


def _version(package: str) -> str:
    return importlib.metadata.version(package)


# --- torch ------------------------------------------------------------------
def _write_torchscript(job: Job) -> None:
    net, example, _ = traceable(job.net, *job.form)
    with silenced(), torch.inference_mode():
        script = torch.jit.freeze(torch.jit.trace(net, example).eval())
        buffer = io.BytesIO()  # torch reports a full disk as RuntimeError
        torch.jit.save(script, buffer, _extra_files={'facts.json': json.dumps(job.facts)})
    job.file('.pt').write_bytes(buffer.getbuffer())


def _open_torchscript(path: Path, threads: int | None) -> OpenModel:
    texts = {'facts.json': ''}
    net = torch.jit.load(str(path), map_location='cpu', _extra_files=texts)
    return _torch_model('torchscript', _facts_in(texts), net, threads)


def _write_torch_export(job: Job) -> None:
    net, example, free = traceable(job.net, *job.form)
    with silenced():
        program = torch.export.export(net, example, dynamic_shapes=free)
        buffer = io.BytesIO()  # as above
        torch.export.save(program, buffer, extra_files={'facts.json': json.dumps(job.facts)})
    job.file('.pt2').write_bytes(buffer.getbuffer())


def _open_torch_export(path: Path, threads: int | None) -> OpenModel:
    if native_files(path):  # torch.export.load would load the library
        raise ValueError(f"{path} holds native code of inductor: open it with runtime='inductor'")
    texts = {'facts.json': ''}
    program = torch.export.load(str(path), extra_files=texts)
    return _torch_model('torch.export', _facts_in(texts), program.module(), threads)


def _facts_in(texts: dict[str, str]) -> dict:
    return json.loads(texts['facts.json'] or '{}')


def _torch_model(runtime: str, facts: dict, net: Callable, threads: int | None) -> OpenModel:
    return OpenModel(runtime, torch.__version__, facts, on_arrays(net, threads))


def _write_inductor(job: Job) -> None:
    compile_network(
        *traceable(job.net, *job.form, job.scales(find=True), transposed=False),
        job.file(SUFFIX),
        job.facts,
    )


def _open_inductor(path: Path, threads: int | None) -> OpenModel:
    facts = read_facts(path)
    # the address in torch's AOTInductor guide; there is no public one
    from torch._inductor import aoti_load_package

    net = aoti_load_package(path)
    # it takes the memory for that of the example, whatever the strides
    return _torch_model(
        'inductor', facts, lambda *inputs: net(*(x.contiguous() for x in inputs)), threads
    )


def _open_eager(path: Path, threads: int | None) -> OpenModel:
    net = load_student(path)
    return _torch_model('eager', student_facts(path, net.meta), entry_of(net), threads)


def entry_of(net: nn.Module) -> Callable[..., torch.Tensor]:
    """Return a generator as a function of what its file would take: an image
    and a style are two inputs.
    """
    takes = input_of(net)
    return (lambda *parts: net(takes.pack(*parts))) if isinstance(takes, StyledImage) else net


def on_arrays(net: Callable, threads: int | None) -> Run:
    """Make a network of torch a function of arrays.

    Args:
        net (Callable): Maps tensors to a tensor.
        threads (int | None): How many torch may use meanwhile.
    """

    @torch.inference_mode()
    def run(*inputs: np.ndarray) -> np.ndarray:
        with torch_threads(threads):
            return net(*map(torch.from_numpy, inputs)).numpy()

    return run


# --- the table --------------------------------------------------------------
class Format(NamedTuple):
    """How a student gets to a runtime.

    Args:
        open (Callable): Opens a file for a number of threads (None: the
            runtime's own choice); returns an :class:`OpenModel`.
        suffixes (tuple[str, ...]): Of the files that are kept; the first is
            the one to open.
        write (Callable | None): Writes a :class:`Job`.
        runtime (str): Runtime that opens the file; the name of the format
            if empty.
        precisions (tuple[str, ...]): It can be written in.
        rewrites (tuple[str, ...]): Other forms of layers that the runtime
            needs, or runs faster, of ``rewrites.REWRITES``.
        norms (tuple[str, ...]): Forms of instance norms, likewise, to be
            tried in turn; the last one is precise enough for large and for
            flat images (see ``rewrites.py``).
        beside (tuple[str, ...]): Other files that are kept.
        uint8 (bool): Whether it can take 8-bit pictures.
        least (int): Smallest free side, in size multiples of the network.
        free (bool): Whether batch, height and width can be left free.
        outputs (bool): Whether outputs of convolutions in 8 bits are, too.
        needs (tuple[str, ...]): Packages that writing and running need; to
            calibrate 8 bits, those of ``ONNX``, too.
        styles (bool): Whether it can have a style as a second input.
        program (bool): Whether opening a file can run anything: the file of
            torch.export names any function of torch, that of TorchScript
            reads and writes files, that of inductor is native code.
    """

    open: Callable[[Path, int | None], OpenModel]
    suffixes: tuple[str, ...]
    write: Callable[[Job], None] | None = None
    runtime: str = ''
    precisions: tuple[str, ...] = ('fp32',)
    rewrites: tuple[str, ...] = ()
    norms: tuple[str, ...] = ('mixed', 'staged')
    beside: tuple[str, ...] = ()
    uint8: bool = True
    least: int = 1
    free: bool = True
    outputs: bool = False
    needs: tuple[str, ...] = ()
    styles: bool = False
    program: bool = False


ONNX = ('onnx', 'onnxscript', 'onnxruntime')  # to write, quantize and run it
_ALL = ('fp32', 'fp16', 'int8')
_XNNPACK = ('phases', 'slices', 'crops')  # what LiteRT and ExecuTorch run on
FORMATS = {
    'onnxruntime': Format(
        open_onnx,
        ('.onnx',),
        _write_onnxruntime,
        precisions=_ALL,
        rewrites=('phases',),
        needs=ONNX,
        styles=True,
    ),
    'openvino': Format(
        _open_openvino,
        ('.xml', '.bin'),
        _write_openvino,
        precisions=('fp32', 'int8'),
        rewrites=('phases',),
        needs=(*ONNX, 'openvino'),
        styles=True,
    ),
    'ncnn': Format(
        _open_ncnn, ('.param', '.bin', '.json'), _write_ncnn, uint8=False, needs=('pnnx', 'ncnn')
    ),
    'tensorrt': Format(open_onnx, ('.onnx',), _write_onnxruntime, 'onnxruntime', _ALL, needs=ONNX),
    # before torch-export, whose suffix is the end of this one
    'inductor': Format(
        _open_inductor,
        (SUFFIX,),
        _write_inductor,
        precisions=('fp32', 'int8'),
        norms=('fused',),
        least=2,
        rewrites=('phases',),
        styles=True,
        program=True,
    ),
    'torchscript': Format(
        _open_torchscript,
        ('.pt',),
        _write_torchscript,
        norms=('fused',),
        rewrites=('phases',),
        styles=True,
        program=True,
    ),
    'torch-export': Format(
        _open_torch_export,
        ('.pt2',),
        _write_torch_export,
        'torch.export',
        # the exporter takes a side that is 1 inside for
        # another network
        norms=('fused',),
        least=2,
        rewrites=('phases',),
        styles=True,
        program=True,
    ),
    'litert': Format(
        _open_litert,
        (litert.SUFFIX, '.json'),
        _write_litert,
        precisions=_ALL,
        # folds change the channels of the input, which phases read: they go last
        rewrites=(*_XNNPACK, 'folds'),
        # in 8 bits its converter would pool integers
        norms=('lined',),
        free=False,
        outputs=True,
        needs=('litert_torch', 'ai_edge_litert', 'ai_edge_quantizer'),
    ),
    'executorch': Format(
        _open_executorch,
        (executorch.SUFFIX, '.json'),
        _write_executorch,
        precisions=('fp32', 'int8'),
        rewrites=_XNNPACK,
        norms=('tiled',),
        uint8=False,
        free=False,
        outputs=True,
        needs=('executorch',),
    ),
    'mnn': Format(
        _open_mnn,
        (mnn.SUFFIX, '.json'),
        _write_mnn,
        precisions=('fp32', 'fp16'),
        rewrites=('phases',),
        uint8=False,
        free=False,
        needs=('MNN', *ONNX),
    ),
    'coreml': Format(
        _open_coreml,
        coreml.SUFFIXES,
        _write_coreml,
        precisions=('fp32', 'fp16'),
        norms=('fused',),
        free=False,
        needs=('coremltools',),
    ),
    'web': Format(
        open_onnx,
        ('.onnx', '.json'),
        _write_web,
        'onnxruntime',
        rewrites=('phases',),
        beside=web.FILES,
        needs=ONNX,
    ),
    'eager': Format(_open_eager, ('.pth',), uint8=False, styles=True),
}
# a runtime is called as the format is, but for that of torch-export
RUNTIMES = {row.runtime or name: row for name, row in FORMATS.items() if row.runtime not in FORMATS}
_SUFFIXES = {row.suffixes[0]: runtime for runtime, row in RUNTIMES.items()}
_SUFFIXES['.torchscript'] = 'torchscript'


def check_target(target: Target) -> Format:
    """Return the format of a target, or say why there is none.

    Args:
        target (Target): The format, and its form.

    Raises:
        ValueError: If the format is unknown, cannot be written so, or cannot
            be verified on this processor.
    """
    row = FORMATS.get(target.backend)
    if row is None or row.write is None:
        names = [name for name, row in FORMATS.items() if row.write]
        raise ValueError(f'no backend {target.backend!r}: expected one of {names}')
    if target.precision not in row.precisions:
        raise ValueError(
            f'{target.backend} is not written in {target.precision}: '
            f'expected one of {row.precisions}'
        )
    if target.precision == 'int8':
        check_processor(target.processor, f'int8 for {target.backend}')
    if target.dynamic and not row.free:
        raise ValueError(f'{target.backend} has fixed sides: take a static config')
    if target.uint8 and not row.uint8:
        raise ValueError(
            f'{target.backend} has no 8-bit input: leave uint8 out. Values are '
            '(pixel - 127.5) / 127.5; in ncnn Mat.from_pixels and '
            'substract_mean_normalize do that'
        )
    return row


# --- opening ----------------------------------------------------------------
def open_model(
    path: str | Path, runtime: str | None = None, threads: int | None = None, trust: bool = False
) -> OpenModel:
    """Open an exported model, or a student file, to run it on the CPU.

    Args:
        path (str | Path): ``.onnx``, ``.xml`` (OpenVINO), ``.param`` (ncnn),
            ``.tflite`` (LiteRT), ``.pte`` (ExecuTorch), ``.mnn``,
            ``.mlpackage`` (Core ML, replayed in torch), ``.pt2``
            (torch.export), ``.aoti.pt2`` (inductor), ``.pt``
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
    runtime = runtime or next(
        (name for suffix, name in _SUFFIXES.items() if str(path).endswith(suffix)), None
    )
    if runtime not in RUNTIMES:
        what = f'{path} is no model that runs' if runtime is None else f'no runtime {runtime!r}'
        raise ValueError(
            f'{what}: expected a file of {", ".join(_SUFFIXES)}, and as '
            f'runtime one of {", ".join(RUNTIMES)}'
        )
    check_range('threads', 1 if threads is None else threads, 1)
    if RUNTIMES[runtime].program and not trust:
        raise ValueError(
            f'{path} is a program of {runtime}, which can run anything when '
            'it is opened: if you made it, or trust whoever did, say '
            'trust=True or --trust. An ONNX file or a student is data'
        )
    if RUNTIMES[runtime].program and not zipfile.is_zipfile(path):
        raise ValueError(
            f'{path} cannot be read by {runtime}: it is none of its files, or a part of one'
        )
    try:
        model = RUNTIMES[runtime].open(path, threads)
    except (ImportError, ValueError):
        raise
    # every runtime has errors of its own for a broken file
    except Exception as error:
        reason = [
            line
            for line in str(error).splitlines()
            if line.strip() and not line.startswith('Exception from')
        ]  # of OpenVINO
        raise ValueError(
            f'{path} cannot be read by {runtime}, is it complete? {"".join(reason[:1])}'
        ) from error
    if model.facts.get('precision') == 'int8':
        # files from before it was written down have all of 8 bits
        check_processor(model.facts.get('processor', VNNI), path)
    shape = json.loads(model.facts.get('input_shape', '[null]'))
    if shape[0] == 1:
        model = model._replace(run=_one_by_one(model.run))
    return model


def _model_file(path: Path) -> Path:
    """Return the file to open; in a folder, that of an export."""
    files = [path]
    if path.suffix == '.mlpackage':  # a folder that is one model
        files = [Path(f'{path.with_suffix("")}{coreml.SUFFIXES[0]}')]
    elif path.is_dir():
        files = [path / f'{STEM}{suffix}' for suffix in _SUFFIXES]
    elif path.suffix == '.bin':  # half of OpenVINO's and of ncnn's models
        files = [path.with_suffix('.param'), path.with_suffix('.xml')]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        raise FileNotFoundError(
            f'no model at {path.resolve()}, and no {STEM}.* in it: '
            'mmgan-compress export makes one of a student'
        )
    return found


def _one_by_one(run: Run) -> Run:
    """Run a model that takes a single image on several."""

    def one_by_one(*inputs: np.ndarray) -> np.ndarray:
        singles = zip(*(np.split(x, len(x)) for x in inputs))
        return np.concatenate([run(*single) for single in singles])

    return one_by_one


def convert_for_timing(
    net: nn.Module, size: int, runtime: str, threads: int | None = None
) -> OpenModel:
    """Convert a network for its speed alone; nothing is kept or compared.

    Args:
        net (nn.Module): Generator; it stays as it is.
        size (int): Side of the images.
        runtime (str): ``'eager'``, ``'onnxruntime'`` or ``'openvino'``.
        threads (int | None): How many it may use.

    Returns:
        OpenModel: Runs what ``net`` takes, (1, C, size, size), float32.

    Raises:
        ValueError: If the runtime is another one.
        ImportError: If the runtime or the exporter is not installed.
    """
    net = copy.deepcopy(net).cpu().eval()
    if runtime == 'eager':
        return _torch_model(runtime, {}, net, threads)
    if runtime not in ('onnxruntime', 'openvino'):
        raise ValueError(f'runtime is {runtime!r}: expected eager, onnxruntime or openvino')
    require('onnxscript', 'Conversion to ONNX')
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'timed.onnx')
        write_onnx(net, path, size, {}, rewrites=FORMATS['onnxruntime'].rewrites)
        model = open_model(path, runtime, threads)
    return model._replace(run=lambda x: model.run(*feeds(x, input_of(net))))
