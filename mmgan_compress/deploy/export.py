"""Export of a student to a runtime, with the proof that it is the same."""
import contextlib
import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional, Union

import torch
import torch.nn as nn

from ..compat import require
from ..core.files import naming
from ..datasets.fetch import sha256_of
from ..datasets.images import MIN_SIDE
from ..models.student import load_student
from ..models.student_config import channels_of
from .metadata import student_facts
from .instance_norm import has_instance_norms, stage_norms
from .verify import (Limits, ParityError, compare, limits, real_inputs,
                     sample_inputs, to_levels)
from .runtimes import open_model
from .scales import student_scales
from .sdk_files import sdk_files
from .targets import Target
from .exporters import STEM, Backend, Job, check_target

StrPath = Union[str, Path]
RECORD = 'parity.json'
LOSS = 'quantize.json'  # what tools/quantize.py says of an export
TEXTS = ('deploy.json', 'pipeline.json', 'detail.json')
CALIBRATION_IMAGES = 64


def export_student(student: StrPath,
                   out_dir: StrPath,
                   target: Target = Target(),
                   size: Optional[int] = None,
                   tolerance: Optional[float] = None,
                   images: Any = None,
                   calibration: Any = None,
                   domain: Optional[str] = None) -> dict:
    """Export a student and compare it with torch in its runtime.

    The folder gets the model, mmdeploy's three JSON files, and
    ``parity.json``. A failed export changes nothing.

    Args:
        student (str | Path): Student file.
        out_dir (str | Path): Folder to write into; an earlier export of the
            same kind is replaced.
        target (Target): The runtime, and in which form.
        size (int | None): Side of the images; the target's if None, and if
            it has none, that of the training images.
        tolerance (float | None): Largest difference allowed, in [-1, 1];
            that of the precision if None (see ``parity.LIMITS``).
        images (Any): Real images to compare on, as for ``translate``; the
            demo's if None.
        calibration (Any): Training images, for int8. Without any, a student
            that learnt in 8 bits is exported with what it learnt.
        domain (str | None): Domain to generate; the default one if None.

    Returns:
        dict: What is in ``parity.json``: ``'instance_norm'`` is None,
        ``'fused'`` (the runtime's operator) or ``'staged'`` (written out);
        ``'parent'`` is what was measured before the precision was lowered;
        ``'processor'`` for which ones int8 is, else None;
        ``'replaced'`` is None or the sha256 of the student that was there.

    Raises:
        ParityError: If the outputs differ by more than the limits.
        ValueError: If the size does not suit the network, the target cannot
            be written, or no student.
        FileExistsError: If foreign files are in the folder.
        ImportError: If the exporter or the runtime is not installed.
    """
    backend = check_target(target)
    for module in ('onnx', 'onnxscript', 'onnxruntime'):
        require(module, 'Export')
    net = load_student(student, domain)
    size = checked_size(size or target.size, net.meta)
    multiple = net.meta['size_multiple']
    if target.dynamic and size < backend.least * multiple:
        raise ValueError(
            f'{target.backend} with free sides needs {backend.least} times '
            f'the size multiple of this network, {multiple}, got {size}: '
            'name a larger size, or a static config')
    target = _with_own_scales(target, net, size, calibration)
    channels = channels_of(net.meta)[0]
    samples = sample_inputs(size, multiple, target.dynamic, images, channels)
    facts = student_facts(student, net.meta, None if target.dynamic else size,
                          target.precision, target.uint8, target.processor)
    calibrate = _calibration(target, size, calibration, channels)
    out = Path(out_dir)
    replaced = _other_student(out, backend, facts['student_sha256'])
    with _work_folder(out) as work:
        job = Job(net, target, size, multiple, facts, work, calibrate)
        report = _write_proved(job, backend, samples, tolerance)
        files = [f'{STEM}{suffix}' for suffix in
                 backend.suffixes + backend.optional]
        files = [file for file in files if (work / file).is_file()]
        texts = sdk_files(Path(student), net.meta, target, size, files)
        report.update(student=str(student), replaced=replaced,
                      student_sha256=facts['student_sha256'])
        _publish(work, out, files, texts, report)
    return report


@contextlib.contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    """Yield a folder in a folder, which is made, and goes on a failure."""
    made = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        with naming(out), tempfile.TemporaryDirectory(
                prefix='.export-', dir=out) as work:
            yield Path(work)
    except BaseException:
        if made:
            with contextlib.suppress(OSError):
                out.rmdir()  # nothing is in it
        raise


def _with_own_scales(target: Target, net: nn.Module, size: int,
                     images: Any) -> Target:
    """Take the student's scales where nobody says what else to take."""
    settings = target.settings.get('quantization_config', {})
    if target.precision != 'int8' or images or settings.get('images') \
            or settings.get('scales'):
        return target
    scales = student_scales(net, size)
    return target if scales is None else dataclasses.replace(
        target, settings=dict(target.settings, quantization_config=dict(
            settings, scales=scales)))


def _calibration(target: Target, size: int, images: Any,
                 channels: int) -> list:
    """Return inputs of the model to calibrate on, if any are needed."""
    settings = target.settings.get('quantization_config', {})
    if target.precision != 'int8' or settings.get('scales'):
        return []  # nothing to learn from images
    images = images or settings.get('images')
    if not images:
        raise ValueError(
            'int8 needs images to calibrate on, since the student did not '
            'learn in 8 bits: give a folder of training '
            "images of the student's source domain (--calibration FOLDER, or "
            'backend_config.quantization_config.images)')
    inputs = [x for _, x in real_inputs(size, images, CALIBRATION_IMAGES,
                                        channels)]
    return [to_levels(x) for x in inputs] if target.uint8 else inputs


def _write_proved(job: Job, backend: Backend, samples: list,
                  tolerance: Optional[float]) -> dict:
    """Write a model that equals the network, with staged norms if need be.

    The runtime's own instance norm is what other tools recognise. It stays
    where the size is fixed and it is precise enough at this size. Lower
    precisions are made from what was proved in single precision.
    """
    parent = dataclasses.replace(
        job, target=dataclasses.replace(job.target, precision='fp32'))
    lowered = job.target.precision != 'fp32'
    allowed = limits('fp32', job.target.uint8, None if lowered else tolerance)
    for kind, net in _variants(job, backend).items():
        variant = dataclasses.replace(parent, net=net)
        try:
            report = _proved(variant, backend, samples, allowed, job.net)
            break
        except ParityError as error:
            failure = error
    else:
        raise failure
    if lowered:
        before = {key: report[key] for key in ('max_abs', 'psnr', 'ssim')}
        variant = dataclasses.replace(job, net=net)
        allowed = limits(job.target.precision, job.target.uint8, tolerance)
        report = _proved(variant, backend, samples, allowed, job.net)
        report['parent'] = before
    target = job.target
    return dict(report, backend=target.backend, precision=target.precision,
                instance_norm=kind, size=job.size,
                size_multiple=job.multiple, dynamic=target.dynamic,
                uint8=target.uint8, opset=target.opset,
                processor=job.facts.get('processor'),
                channels=list(channels_of(job.net.meta)),
                domain=job.net.meta['domain'])


def _variants(job: Job, backend: Backend) -> dict[Optional[str], nn.Module]:
    """Return the forms of the network to try, the preferred one first."""
    net = job.net
    if not has_instance_norms(net):
        return {None: net}
    if not backend.coarse_sums:
        return dict(fused=net)
    free = job.target.dynamic
    staged = dict(staged=stage_norms(
        net, fenced=free and job.target.precision == 'int8'))
    return staged if free else dict(fused=net, **staged)


def _proved(job: Job, backend: Backend, samples: list, allowed: Limits,
            net: nn.Module) -> dict:
    """Write a model and compare it with the network."""
    backend.write(job)
    model = open_model(job.file(backend.suffixes[0]), backend.runtime,
                       torch.get_num_threads(), trust=True)
    return compare(net, model.run, samples, allowed,
                   f'{model.runtime} {model.version} CPU', job.target.uint8)


def _publish(work: Path, out: Path, files: list[str], texts: dict[str, dict],
             report: dict) -> None:
    """Write the JSON files and move all files to their place."""
    for name, content in texts.items():
        (work / name).write_text(json.dumps(content, indent=2) + '\n')
    names = [*files, *texts]
    report['files'] = {name: sha256_of(work / name) for name in names}
    (work / RECORD).write_text(json.dumps(report, indent=2) + '\n')
    for name in [*names, RECORD]:
        os.replace(work / name, out / name)
    (out / LOSS).unlink(missing_ok=True)  # it spoke of the earlier export


def checked_size(size: Optional[int], meta: dict) -> int:
    """Return the side of images that a network takes.

    Args:
        size (int | None): What is asked for; that of training if None.
        meta (dict): ``net.meta`` of :func:`load_student`.

    Raises:
        ValueError: If the network does not take it, with the nearest sizes.
    """
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


def _other_student(out: Path, backend: Backend,
                   sha256: str) -> Optional[str]:
    """Return whose export would be replaced; refuse files not ours."""
    record, loss = _record(out / RECORD), _record(out / LOSS)
    written = [*(f'{STEM}{suffix}' for suffix in
                 backend.suffixes + backend.optional), *TEXTS, RECORD, LOSS]
    ours = {name for name, digest in record.get('files', {}).items()
            if (out / name).is_file() and sha256_of(out / name) == digest}
    foreign = [name for name in written if (out / name).exists()
               and name not in ours and not (name == RECORD and record)
               and not (name == LOSS and loss)]
    left = sorted(ours - set(written))
    if foreign:
        raise FileExistsError(
            f'{(out / foreign[0]).resolve()} was not written by this tool, or '
            'was changed since, and is left as it is: choose another folder '
            'or remove it')
    if left:
        raise FileExistsError(
            f'{out.resolve()} holds an export for another runtime '
            f'({left[0]}): choose another folder or remove it')
    held = record.get('student_sha256')
    return None if held == sha256 else held


def _record(path: Path) -> dict:
    """Read what an earlier export says of itself; nothing if not ours."""
    try:
        record = json.loads(path.read_text())
        return record if 'student_sha256' in record else {}
    except (OSError, ValueError, TypeError):
        return {}
