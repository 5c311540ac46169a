"""Export of a student to ONNX, with the proof that it is the same model."""
import contextlib
import hashlib
import io
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import torch
import torch.nn as nn

from ..compat import require
from ..data.images import MIN_SIDE
from ..student import load_student
from .norms import has_instance_norms, stage_norms
from .parity import ParityError, compare, sample_inputs
from .sdk_files import sdk_files

NAME = 'end2end.onnx'  # mmdeploy's
OPSET = 18  # the lowest that torch's exporter writes without a conversion
StrPath = Union[str, Path]


def export_onnx(student: StrPath,
                out_dir: StrPath,
                size: Optional[int] = None,
                dynamic: bool = False,
                tolerance: float = 1e-4,
                images: Any = None,
                domain: Optional[str] = None) -> dict:
    """Export a student and compare it with torch in ONNX Runtime.

    The folder gets mmdeploy's ``end2end.onnx`` and its three JSON files, and
    ``parity.json``. A failed export changes nothing.

    Args:
        student (str | Path): Student file.
        out_dir (str | Path): Folder to write into.
        size (int | None): Side of the images; as in training if None.
        dynamic (bool): Leave batch, height and width free.
        tolerance (float): Largest difference allowed, in [-1, 1].
        images (Any): Real images, as for ``translate``; the demo's if None.
        domain (str | None): Domain to generate; the default one if None.

    Returns:
        dict: What is in ``parity.json``: ``'instance_norm'`` is None,
        ``'fused'`` (ONNX's operator) or ``'staged'`` (written out);
        ``'replaced'`` is None or the sha256 of the student that was there.

    Raises:
        ParityError: If the outputs differ by more than the tolerance.
        ValueError: If the size does not suit the network, or no student.
        FileExistsError: If a foreign ``end2end.onnx`` is in the folder.
        ImportError: If the exporter or ONNX Runtime is not installed.
    """
    for module in ('onnx', 'onnxscript', 'onnxruntime'):
        require(module, 'export', 'Export to ONNX')
    net = load_student(student, domain)
    size = _checked_size(size, net.meta)
    samples = sample_inputs(size, net.meta['size_multiple'], dynamic, images)
    facts = _facts(student, net.meta)
    out = Path(out_dir)
    replaced = _other_student(out / NAME, facts['student_sha256'])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='.export-', dir=out) as work:
        report = _write_proved(net, Path(work) / NAME, size, dynamic, facts,
                               samples, tolerance)
        report.update(student=str(student), replaced=replaced,
                      student_sha256=facts['student_sha256'])
        texts = sdk_files(Path(student), net.meta, size, dynamic, OPSET)
        _publish(work, out, dict(texts, **{'parity.json': report}))
    return report


def _publish(work: str, out: Path, texts: dict[str, dict]) -> None:
    """Write the JSON files and move all files to their place."""
    for name, content in texts.items():
        text = json.dumps(content, indent=2)
        Path(work, name).write_text(text + '\n')
    for name in os.listdir(work):
        os.replace(Path(work, name), out / name)


def _write_proved(net: nn.Module, path: Path, size: int, dynamic: bool,
                  facts: dict, samples: list, tolerance: float) -> dict:
    """Write ONNX that equals the network, with staged norms if need be.

    ONNX's own operator is what other runtimes recognise and is faster. It
    stays where the size is fixed and it is precise enough at this size.
    """
    import onnxruntime
    name = f'onnxruntime {onnxruntime.__version__} CPU'
    variants = {None: net}
    if has_instance_norms(net):
        variants = dict(staged=stage_norms(net))
        if not dynamic:
            variants = dict(fused=net, **variants)
    for kind, variant in variants.items():
        write_onnx(variant, path, size, dynamic, facts)
        try:
            report = compare(net, onnx_runner(path), samples, tolerance, name)
            return dict(report, instance_norm=kind, size=size,
                        dynamic=dynamic, opset=OPSET,
                        domain=net.meta['domain'])
        except ParityError as error:
            failure = error
    raise failure


def write_onnx(net: nn.Module, path: StrPath, size: int, dynamic: bool,
               facts: dict[str, str]) -> None:
    """Write a network as ONNX, in the mode that it is in.

    Args:
        net (nn.Module): Generator with ``meta``; eval mode is what ships.
        path (str | Path): File to write, with the weights inside.
        size (int): Side of the images.
        dynamic (bool): Leave batch, height and width free.
        facts (dict[str, str]): Metadata for the file.
    """
    multiple = net.meta['size_multiple']
    # a dimension that is 1 somewhere would be taken for a constant
    batch, side = (2, max(size, 2 * multiple)) if dynamic else (1, size)
    image = torch.zeros(batch, 3, side, side)
    with _silenced():
        program = torch.onnx.export(
            net, (image, ), dynamo=True, opset_version=OPSET,
            input_names=['input'], output_names=['output'], verbose=False,
            dynamic_shapes=_free_dims(multiple) if dynamic else None)
        program.model.metadata_props.update(facts)
        program.save(str(path))


def _free_dims(multiple: int) -> tuple[dict]:
    least = max(1, MIN_SIDE // multiple)
    sides = [torch.export.Dim(name, min=least) for name in
             ('height', 'width')]
    if multiple > 1:  # the names in the file are then '4*height', ...
        sides = [multiple * side for side in sides]
    return ({0: torch.export.Dim('batch', min=1), 2: sides[0], 3: sides[1]}, )


def onnx_runner(path: StrPath) -> Callable[[np.ndarray], np.ndarray]:
    """Open an ONNX file in ONNX Runtime on the CPU.

    Args:
        path (str | Path): File with input ``input`` and output ``output``.

    Returns:
        Callable: Maps (N, 3, H, W) float32 to the same.
    """
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    session = onnxruntime.InferenceSession(
        str(path), options, providers=['CPUExecutionProvider'])
    return lambda x: session.run(['output'], {'input': x})[0]


def _checked_size(size: Optional[int], meta: dict) -> int:
    multiple = meta['size_multiple']
    size = size or meta['image_size']
    if size < MIN_SIDE or size % multiple:
        below = max(size // multiple * multiple,
                    -(-MIN_SIDE // multiple) * multiple)
        raise ValueError(
            f'size {size} does not suit this network: expected a multiple '
            f'of {multiple}, at least {MIN_SIDE}; the nearest are {below} '
            f'and {below + multiple}')
    return size


def _facts(student: StrPath, meta: dict) -> dict[str, str]:
    """Return what the ONNX file says of itself."""
    source = next(d for d in meta['domains'] if d != meta['domain'])
    return dict(
        student_sha256=hashlib.sha256(Path(student).read_bytes()).hexdigest(),
        made_by=f'mmgan_compress {meta["version"]}, {meta["source"]}',
        domains=json.dumps([source, meta['domain']]),
        value_range='[-1, 1]',
        layout='NCHW, RGB',
        size_multiple=str(meta['size_multiple']),
        image_size=str(meta['image_size']))


def _other_student(path: Path, sha256: str) -> Optional[str]:
    """Return whose export would be replaced; refuse one that is not ours."""
    if not path.exists():
        return None
    import onnx
    from google.protobuf.message import DecodeError
    try:
        model = onnx.load(str(path), load_external_data=False)
        held = {p.key: p.value for p in model.metadata_props}['student_sha256']
    except (DecodeError, KeyError):
        raise FileExistsError(
            f'{path.resolve()} was not written by this tool and is left as '
            'it is: choose another folder or remove it') from None
    return None if held == sha256 else held


@contextlib.contextmanager
def _silenced():
    """Keep the exporter's progress to itself; its errors are exceptions."""
    loggers = [logging.getLogger(name) for name in
               ('torch.onnx', 'onnxscript', 'onnx_ir', 'torch.export')]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), \
                contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
