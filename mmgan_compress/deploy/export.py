"""Export of a student to a runtime, and the comparison with torch."""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn as nn

from .. import __version__
from ..compat import require, version
from ..core.complexity import style_encoder_cost
from ..core.files import naming
from ..core.inputs import LabelMap, Noise, StyledImage, input_of
from ..core.zoo import find_student
from ..datasets.fetch import sha256_of
from ..datasets.images import MIN_SIDE
from ..models.student import load_student
from ..models.student_config import channels_of, kind_of_input
from .formats import FORMATS, ONNX, STEM, Format, Job, check_target, open_model
from .metadata import student_facts
from .onnx import silenced
from .quantize_onnx import check_settings
from .rewrites import has_instance_norms
from .scales import student_scales
from .targets import Target
from .verify import (
    LEVEL,
    MAX_IMAGES,
    Exact,
    Limits,
    ParityError,
    Shared,
    compare,
    feeds,
    limits,
    noise_inputs,
    real_inputs,
    sample_inputs,
    with_styles,
)

StrPath = str | Path
RECORD = 'parity.json'
LOSS = 'quantize.json'  # what quantize_student adds to an export
# files that earlier versions wrote, too
OLD = ('deploy.json', 'pipeline.json', 'detail.json', f'{STEM}.engine')
CALIBRATION_IMAGES = 64


def export_student(
    student: StrPath,
    out_dir: StrPath,
    target: Target = Target(),
    size: int | None = None,
    tolerance: float | None = None,
    images: Any = None,
    calibration: Any = None,
    domain: str | None = None,
    shared: Shared | None = None,
    strict: bool = True,
    reuse: bool = False,
) -> dict:
    """Export a student and compare it with torch in its runtime.

    The folder gets the model and ``parity.json``. A failed export changes
    nothing.

    Args:
        student (str | Path): Student file, or the name of a shipped one.
        out_dir (str | Path): Folder to write into; an earlier export of the
            same kind is replaced.
        target (Target): The runtime, and in which form.
        size (int | None): Side of the images; that of the training images
            if None, also where the deploy config names another one.
        tolerance (float | None): Largest difference allowed, in [-1, 1];
            that of the precision if None (see ``verify.LIMITS``).
        images (Any): Real images to compare on, as for ``translate``; the
            demo's if None.
        calibration (Any): Training images, for int8. Without any, a student
            that was trained in 8 bits is exported with its own scales.
        domain (str | None): Domain to generate; the default one if None.
        shared (Shared | None): Of this student and domain, for several
            exports with the same images to calibrate on; made anew if None.
        strict (bool): Whether a larger difference than allowed is an error;
            if not, it is only reported, unless an output is no number.
        reuse (bool): Whether an earlier export in this folder is kept if it
            was made of the same by the same versions of the packages.

    Returns:
        dict: The content of ``parity.json``. ``'size'``, ``'image_size'`` and
        ``'config_size'`` are the sides that it was exported for, trained at
        and that the deploy config names (or None);
        ``'instance_norm'`` is None or the form of instance norms (see
        ``rewrites.py``), ``'fused'`` for the runtime's operator;
        ``'ran_on'`` is ``'CPU'``, or ``'replay'`` where the runtime is not
        for this system and torch computed what is in the file;
        ``'parent'`` is what was measured before the precision was lowered;
        ``'processor'`` for which ones int8 is, else None;
        ``'made_of'`` is the sha256 of all that the export depends on;
        ``'replaced'`` is None or the sha256 of the student that
        was there; ``'style_encoder'`` is None or the ``params`` and ``macs``
        of what is not in the file, which takes a style.

    Raises:
        ParityError: If the outputs differ by more than the limits.
        ValueError: If the size does not suit the network, the target cannot
            be written, or no student.
        FileExistsError: If foreign files are in the folder.
        ImportError: If the exporter or the runtime is not installed.
    """
    form = check_target(target)
    with silenced():
        for module in form.needs:
            require(module, 'Export')
    student = find_student(student)
    net = load_student(student, domain)
    size = checked_size(size, net.meta)
    multiple = net.meta['size_multiple']
    if target.dynamic and size < form.least * multiple:
        raise ValueError(
            f'{target.backend} with free sides needs {form.least} times '
            f'the size multiple of this network, {multiple}, got {size}: '
            'name a larger size, or a static config'
        )
    kind = kind_of_input(net.meta)
    if isinstance(kind, Noise):
        target, inputs = _calibrated_on_noise(target, kind)
        samples = noise_inputs(kind, MAX_IMAGES, target.dynamic)
    else:
        if target.backend == 'web' and not isinstance(kind, int):
            raise ValueError(
                'the page for the browser shows images, and this student takes label maps: '
                'export it for another runtime, such as onnxruntime'
            )
        takes = input_of(net)
        if isinstance(takes, StyledImage) and not form.styles:
            able = [name for name, row in FORMATS.items() if row.styles and row.write]
            raise ValueError(
                f'{target.backend} is not written with a style as a second input, which this '
                f'student takes: expected one of {able}'
            )
        target, inputs = _calibrated(target, net, size, calibration, kind)
        samples = sample_inputs(size, multiple, target.dynamic, images, kind)
        samples = with_styles(samples, takes)
    facts = student_facts(student, net.meta, None if target.dynamic else size, target)
    out = Path(out_dir)
    replaced = _other_student(out, form, facts['student_sha256'])
    made_of = _digest(form, [facts, dataclasses.asdict(target), tolerance, strict], samples, inputs)
    record = _read(out / RECORD)
    if reuse and record.get('made_of') == made_of:
        if all((out / name).is_file() for name in record['files']):
            return record
    shared = shared or Shared(net)
    with _work_folder(out) as work:
        job = Job(net, target, size, multiple, facts, work, inputs, once=shared.once)
        report = _write_verified(job, form, samples, tolerance, shared.exact, strict)
        report.update(
            student=str(student),
            made_of=made_of,
            replaced=replaced,
            image_size=net.meta['image_size'],
            config_size=target.size,
            student_sha256=facts['student_sha256'],
            style_encoder=style_encoder_cost(net, size),
        )
        _publish(work, out, _files(form), report)
    return report


def _digest(form: Format, settings: list, samples: list, inputs: list) -> str:
    """Return the sha256 of what an export depends on, packages included."""
    packages = [__version__, *map(version, ('torch', *form.needs))]
    forms = [*form.rewrites, *form.norms]
    text = json.dumps([*packages, *forms, *settings, [name for name, _ in samples]], default=str)
    digest = hashlib.sha256(text.encode())
    for array in itertools.chain((x for _, x in samples), *inputs):
        digest.update(f'{array.dtype}{array.shape}'.encode() + array.tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    """Make a folder and yield one in it; both are removed on a failure."""
    made = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        with naming(out), tempfile.TemporaryDirectory(prefix='.export-', dir=out) as work:
            yield Path(work)
    except BaseException:
        if made:
            with contextlib.suppress(OSError):
                out.rmdir()  # nothing is in it
        raise


def _calibrated(
    target: Target, net: nn.Module, size: int, images: Any, kind: int | LabelMap
) -> tuple[Target, list]:
    """Return a target with the student's scales, or calibration inputs."""
    if target.precision != 'int8':
        return target, []
    settings = check_settings(target.settings.get('quantization_config'))
    images = images or settings.get('images')
    if settings['scales']:
        return target, []
    outputs = FORMATS[target.backend].outputs
    # where outputs are in 8 bits, images are for those, beside the student's
    scales = student_scales(net, size) if outputs or not images else None
    complete = scales and (not outputs or all('output' in entry for entry in scales.values()))
    if not images and not complete:
        why = "'s outputs have no scales" if scales else ' was not trained in 8 bits'
        raise ValueError(
            f'int8 needs images to calibrate on, since the student{why}: give '
            "a folder of training images of the student's source domain "
            '(--calibration FOLDER, or backend_config.quantization_config.images)'
        )
    if scales:
        settings = dict(settings, scales=scales)
        target = dataclasses.replace(
            target, settings=dict(target.settings, quantization_config=settings)
        )
    if not images:
        return target, []
    for module in ONNX:
        require(module, 'Calibration')
    takes, inputs = input_of(net), real_inputs(size, images, CALIBRATION_IMAGES, kind)
    return target, [feeds(x, takes, target.uint8) for _, x in with_styles(inputs, takes)]


def _calibrated_on_noise(target: Target, noise: Noise) -> tuple[Target, list]:
    """Return a target for noise, and calibration inputs for int8."""
    if target.uint8:
        raise ValueError(
            'a network that makes images from noise takes no 8-bit pictures: leave uint8 out'
        )
    if target.precision != 'int8':
        return target, []
    return target, [(x,) for _, x in noise_inputs(noise, CALIBRATION_IMAGES)]


def _write_verified(
    job: Job, form: Format, samples: list, tolerance: float | None, exact: Exact, strict: bool
) -> dict:
    """Write a model that equals the network.

    The runtime's own instance norm is what other tools recognise. It is kept
    if the size is fixed and it is precise enough at this size; else norms
    are written out. Lower precisions are made from the verified file in
    single precision.
    """
    target = job.target
    lowered = target.precision != 'fp32'

    def checked(one: Job, allowed: Limits) -> dict:
        form.write(one)
        model = open_model(
            one.file(form.suffixes[0]), form.runtime or None, torch.get_num_threads(), trust=True
        )
        name = f'{model.runtime} {model.version} {model.ran_on}'
        try:
            report = compare(exact, model.run, samples, allowed, name, target.uint8)
        except ParityError as error:
            report = error.report
        return dict(report, ran_on=model.ran_on)

    def verified(norms: str, precision: str) -> dict:
        one = dataclasses.replace(
            job, norms=norms, target=dataclasses.replace(target, precision=precision)
        )
        own = tolerance if precision == target.precision else None
        allowed = limits(precision, target.uint8, own)
        key = ('checked', target.backend, one.form, target.opset, target.names, allowed)
        if precision != target.precision:  # its file is not kept
            report = job.once(key, lambda: checked(one, allowed))
        else:
            report = checked(one, allowed)
            if precision == 'fp32':
                job.once(key, lambda: report)
        # half precision loses more than that, and 8 bits do
        close = precision != target.precision and report['max_abs'] <= LEVEL / 8
        if not close and not all(check['passed'] for check in report['checks']):
            if strict or norms != choices[-1] or not math.isfinite(report['max_abs']):
                raise ParityError(report)
        return report

    choices = _norms(job, form)
    for norms in choices:
        try:
            report = verified(norms, 'fp32')
            break
        except ParityError:
            if norms == choices[-1]:
                raise
    if lowered:
        before = {key: report[key] for key in ('max_abs', 'psnr', 'ssim')}
        report = dict(verified(norms, target.precision), parent=before)
    return dict(
        report,
        backend=target.backend,
        precision=target.precision,
        instance_norm=norms if has_instance_norms(job.net) else None,
        size=job.size,
        size_multiple=job.multiple,
        dynamic=target.dynamic,
        uint8=target.uint8,
        opset=target.opset,
        processor=job.facts.get('processor'),
        channels=list(channels_of(job.net.meta)),
        domain=job.net.meta['domain'],
    )


def _norms(job: Job, form: Format) -> Sequence[str]:
    """Return the forms of instance norms to try, the preferred one first."""
    if not has_instance_norms(job.net):
        return ['fused']
    if not job.target.dynamic:
        return form.norms
    last = form.norms[-1]
    return ['fenced' if last == 'staged' and job.target.precision == 'int8' else last]


def _publish(work: Path, out: Path, files: list[str], report: dict) -> None:
    """Write the record and move all files to their place."""
    report['files'] = {name: sha256_of(work / name) for name in files}
    (work / RECORD).write_text(json.dumps(report, indent=2) + '\n')
    for name in [*files, RECORD]:
        (out / name).parent.mkdir(parents=True, exist_ok=True)  # of a package
        os.replace(work / name, out / name)
    for name in (LOSS, *OLD):  # of the earlier export
        (out / name).unlink(missing_ok=True)


def checked_size(size: int | None, meta: dict) -> int:
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
        below = max(size // multiple * multiple, -(-MIN_SIDE // multiple) * multiple)
        raise ValueError(
            f'size {size} does not suit this network: expected a multiple '
            f'of {multiple}, at least {MIN_SIDE}; the nearest are {below} '
            f'and {below + multiple}'
        )
    return size


def _files(form: Format) -> list[str]:
    """Return the names of the model's files, the one to open first."""
    return [*(f'{STEM}{suffix}' for suffix in form.suffixes), *form.beside]


def _other_student(out: Path, form: Format, sha256: str) -> str | None:
    """Return whose export would be replaced; refuse files not ours."""
    record, loss = _read(out / RECORD), _read(out / LOSS)
    written = [*_files(form), *OLD, RECORD, LOSS]
    ours = {
        name
        for name, digest in record.get('files', {}).items()
        if (out / name).is_file() and sha256_of(out / name) == digest
    }
    ours |= {name for name, held in ((RECORD, record), (LOSS, loss)) if held}
    foreign = [name for name in written if (out / name).exists() and name not in ours]
    left = sorted(ours - set(written))
    if foreign:
        raise FileExistsError(
            f'{(out / foreign[0]).resolve()} was not written by this tool, or '
            'was changed since, and is left as it is: choose another folder '
            'or remove it'
        )
    if left:
        raise FileExistsError(
            f'{out.resolve()} holds an export for another runtime '
            f'({left[0]}): choose another folder or remove it'
        )
    held = record.get('student_sha256')
    return None if held == sha256 else held


def read_record(folder: str | Path) -> dict:
    """Return ``parity.json`` of an export; an empty dict where there is none."""
    return _read(Path(folder, RECORD))


def _read(path: Path) -> dict:
    """Read the record of an earlier export; nothing if it is not ours."""
    try:
        record = json.loads(path.read_text())
        return record if 'student_sha256' in record else {}
    except (OSError, ValueError, TypeError):
        return {}
