"""One function per runtime that writes a network in its format.

A new runtime is a function and an entry of ``BACKENDS`` here, one in
``runtimes.py`` that opens its files, and a base config in
``configs/deploy/_base_/backends``.
"""
import io
import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np
import torch
import torch.nn as nn

from ..compat import require
from ..core.channels import image_channels
from ..core.processors import check_processor, for_processor
from .metadata import FACTS
from .fp16 import to_half
from .inductor import (SUFFIX, calibrated_scales, compile_network,
                       to_integers)
from .onnx import silenced, traceable, write_onnx
from .quantize_onnx import quantize
from .targets import Target

STEM = 'end2end'  # mmdeploy's name for models of one piece


@dataclass(frozen=True)
class Job:
    """A network on its way into a folder.

    Args:
        net (nn.Module): Generator in eval mode.
        target (Target): What it shall become.
        size (int): Side of the images.
        multiple (int): Size multiple of the network.
        facts (dict[str, str]): Metadata for the file.
        folder (Path): Folder to write into.
        calibration (Sequence[ndarray]): Inputs of the model, for int8.
    """
    net: nn.Module
    target: Target
    size: int
    multiple: int
    facts: dict[str, str]
    folder: Path
    calibration: Sequence[np.ndarray] = ()

    @property
    def settings(self) -> dict:
        """How to quantize, as of ``quantize_onnx.quantize``."""
        return dict(self.target.settings.get('quantization_config', {}),
                    processor=self.target.processor)

    @property
    def free(self) -> Optional[int]:
        """Size multiple if height and width are free, else None."""
        return self.multiple if self.target.dynamic else None

    @property
    def phases(self) -> bool:
        """Whether phases pay in the runtime, and no side is ever odd."""
        return BACKENDS[self.target.backend].phases and \
            self.multiple % 2 == 0

    def file(self, suffix: str) -> Path:
        """Return the path of the model's file with a suffix."""
        return self.folder / f'{STEM}{suffix}'


def write_onnxruntime(job: Job) -> None:
    """Write ONNX; a lower precision is made from the file that is there."""
    path, target = job.file('.onnx'), job.target
    if target.precision == 'fp32':
        write_onnx(job.net, path, job.size, job.facts, job.free,
                   target.uint8, target.opset, target.names, job.phases)
    if target.precision == 'fp16':
        to_half(path)
    elif target.precision == 'int8':
        quantize(path, path, job.calibration, job.settings)


def write_openvino(job: Job) -> None:
    """Write OpenVINO's IR, weights in single precision unless int8."""
    openvino = require('openvino', 'Conversion to OpenVINO')
    write_onnxruntime(job)
    model = openvino.convert_model(str(job.file('.onnx')))
    model.set_rt_info(job.facts, [FACTS])
    # its default halves the weights
    openvino.save_model(model, str(job.file('.xml')), compress_to_fp16=False)


def write_ncnn(job: Job) -> None:
    """Write ncnn's two files, and the metadata beside them.

    What is written runs at any size; of an image at a time.
    """
    pnnx = require('pnnx', 'Conversion to ncnn')
    script = job.folder / 'traced.pt'
    net, image, _ = traceable(job.net, job.size)
    with silenced():
        torch.jit.trace(net, image).save(str(script))
    shape = ','.join(map(str, image.shape))
    outputs = {key: job.folder / f'traced.{key}' for key in
               ('pnnxparam', 'pnnxbin', 'pnnxpy', 'pnnxonnx', 'ncnnpy')}
    outputs.update(ncnnparam=job.file('.param'), ncnnbin=job.file('.bin'))
    done = subprocess.run(
        [pnnx.EXEC_PATH, str(script), f'inputshape=[{shape}]', 'fp16=0',
         *(f'{key}={path}' for key, path in outputs.items())],
        capture_output=True, text=True)
    if done.returncode or not job.file('.bin').is_file():
        raise RuntimeError(f'pnnx failed ({done.returncode}): '
                           f'{done.stderr[-2000:]}')
    _name_blobs(job.file('.param'), dict(zip(('in0', 'out0'),
                                             job.target.names)))
    job.file('.json').write_text(json.dumps(job.facts, indent=2) + '\n')


def _name_blobs(param: Path, names: dict[str, str]) -> None:
    """Give the ends of ncnn's graph the names that a deploy config says.

    A line is: kind, layer, two counts, blobs, and settings, which have '='.
    """
    lines = [line.split(' ') for line in param.read_text().splitlines()]
    param.write_text(''.join(
        ' '.join([*line[:2], *(names.get(word, word) for word in line[2:])])
        + '\n' for line in lines))


def write_tensorrt(job: Job) -> None:
    """Write the ONNX to build an engine from, and the engine if possible."""
    from .tensorrt import build_engine
    write_onnxruntime(job)
    build_engine(job.file('.onnx'), job.file('.engine'), job.target, job.size,
                 job.multiple, image_channels(job.net))


def write_torchscript(job: Job) -> None:
    """Write a frozen TorchScript; it runs at any size."""
    net, image, _ = traceable(job.net, job.size, job.free, job.target.uint8,
                              job.phases)
    with silenced(), torch.inference_mode():
        script = torch.jit.freeze(torch.jit.trace(net, image).eval())
        buffer = io.BytesIO()  # torch reports a full disk as RuntimeError
        torch.jit.save(script, buffer,
                       _extra_files={'facts.json': json.dumps(job.facts)})
    job.file('.pt').write_bytes(buffer.getbuffer())


def write_torch_export(job: Job) -> None:
    """Write torch.export's ``.pt2``."""
    net, image, free = traceable(job.net, job.size, job.free,
                                 job.target.uint8, job.phases)
    with silenced():
        program = torch.export.export(net, (image, ), dynamic_shapes=free)
        buffer = io.BytesIO()  # as above
        torch.export.save(program, buffer,
                          extra_files={'facts.json': json.dumps(job.facts)})
    job.file('.pt2').write_bytes(buffer.getbuffer())


def write_inductor(job: Job) -> None:
    """Write native code; 8 bits by scales, or by images to find them on."""
    target = job.target
    net, image, free = traceable(job.net, job.size, job.free, target.uint8,
                                 job.phases)
    if target.precision == 'int8':
        scales = job.settings.get('scales') or calibrated_scales(
            job.net, job.size, target.uint8, job.calibration, job.settings)
        to_integers(net.net if target.uint8 else net,
                    for_processor(scales, target.processor))
    compile_network(net, image, free, job.file(SUFFIX), job.facts)


class Backend(NamedTuple):
    """How a student gets to a runtime.

    Args:
        write (Callable): Writes a :class:`Job`; in a lower precision after
            the same one in single precision.
        runtime (str): What opens the result, of ``runtimes.RUNTIMES``.
        suffixes (tuple[str, ...]): Of the files that are kept; the first is
            the one to open.
        precisions (tuple[str, ...]): It can be written in.
        coarse_sums (bool): Whether the runtime's instance norm loses
            precision on large or flat images (see ``norms.py``).
        uint8 (bool): Whether it can take 8-bit pictures.
        optional (tuple[str, ...]): Suffixes of files that may be there.
        least (int): Smallest free side, in size multiples of the network.
        phases (bool): Whether convolutions to few channels are faster laid
            out as in ``phases.py``.
    """
    write: Callable[[Job], None]
    runtime: str
    suffixes: tuple[str, ...]
    precisions: tuple[str, ...] = ('fp32', )
    coarse_sums: bool = True
    uint8: bool = True
    optional: tuple[str, ...] = ()
    least: int = 1
    phases: bool = False


_ALL = ('fp32', 'fp16', 'int8')
BACKENDS = {
    'onnxruntime': Backend(write_onnxruntime, 'onnxruntime', ('.onnx', ),
                           _ALL, phases=True),
    'openvino': Backend(write_openvino, 'openvino', ('.xml', '.bin'),
                        ('fp32', 'int8'), phases=True),
    'ncnn': Backend(write_ncnn, 'ncnn', ('.param', '.bin', '.json'),
                    uint8=False),
    'tensorrt': Backend(write_tensorrt, 'onnxruntime', ('.onnx', ), _ALL,
                        optional=('.engine', )),
    'torchscript': Backend(write_torchscript, 'torchscript', ('.pt', ),
                           coarse_sums=False, phases=True),
    'torch-export': Backend(write_torch_export, 'torch.export', ('.pt2', ),
                            # the exporter takes a side that is 1 inside for
                            # another network
                            coarse_sums=False, least=2, phases=True),
    'inductor': Backend(write_inductor, 'inductor', (SUFFIX, ),
                        ('fp32', 'int8'), coarse_sums=False, least=2,
                        phases=True)
}


def check_target(target: Target) -> Backend:
    """Return the backend of a target, or say why there is none.

    Args:
        target (Target): What is asked for.

    Raises:
        ValueError: If the backend is unknown, cannot be written so, or what
            it writes cannot be proved on this processor.
    """
    if target.backend not in BACKENDS:
        raise ValueError(f'no backend {target.backend!r}: expected one of '
                         f'{list(BACKENDS)}')
    backend = BACKENDS[target.backend]
    if target.precision not in backend.precisions:
        raise ValueError(
            f'{target.backend} is not written in {target.precision}: '
            f'expected one of {backend.precisions}')
    if target.precision == 'int8':
        check_processor(target.processor, f'int8 for {target.backend}')
    if target.uint8 and not backend.uint8:
        raise ValueError(
            f'{target.backend} has no 8-bit input: leave uint8 away. Its '
            'Mat.from_pixels reads pictures, and substract_mean_normalize '
            'with 127.5 and 1/127.5 normalises them')
    return backend
