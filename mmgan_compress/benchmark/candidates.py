"""The networks to measure, each in several runtimes and precisions."""

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..core.channels import input_shape
from ..core.complexity import count_macs, count_params
from ..datasets import pictures
from ..deploy.export import checked_size, export_student
from ..deploy.formats import FORMATS
from ..deploy.targets import Target
from ..deploy.verify import DEMO
from ..models.student import Student, load_student, student_info
from ..models.student_config import build_generator, generator_config

EAGER = 'eager'
# written once more for 8-bit pictures, where the runtime can take them
PICTURES = 'pictures'
TRAINING = DEMO.with_name('trainA')
COMPARED = 2  # images; export compares on more
NOT_TIMED = {
    'tensorrt': 'it runs on a GPU, the CPU is measured',
    'coreml': "it runs on Apple's systems; its replay in torch tells no time",
}


@dataclass
class Candidate:
    """A network in a runtime.

    Args:
        network (str): Name of the network.
        runtime (str): Of ``deploy.formats.FORMATS``.
        precision (str): ``'fp32'``, ``'fp16'`` or ``'int8'``.
        model (str): File of the network alone.
        pictures (str): File that takes 8-bit pictures; the same where the
            runtime does not, and torch turns them into values and back.
        psnr (float | None): Against torch in double precision, in dB, on the
            worst input; None where nothing differs or was compared.
        reason (str): Why there is nothing to measure.
    """

    network: str
    runtime: str
    precision: str
    model: str = ''
    pictures: str = ''
    psnr: float | None = None
    reason: str = ''

    @property
    def name(self) -> str:
        """Say network, runtime and precision in one."""
        return f'{self.network} {self.runtime} {self.precision}'


def student_of_config(generator: dict, path: Path, size: int) -> str:
    """Write a generator of a recipe as a student, with random weights.

    Times do not depend on the weights.

    Args:
        generator (dict): Config of the generator.
        path (Path): File to write.
        size (int): Side of the images.
    """
    config = generator_config(generator)
    networks, configs = dict(target=build_generator(config)), dict(target=config)
    domains = ['source', 'target']
    return Student(networks, configs, domains, 'target', size, 'random weights').save(path)


def network_facts(student: str, size: int) -> dict[str, int]:
    """Return ``params`` and ``macs`` of a student, of one image.

    Raises:
        ValueError: If it does not take images of that size.
    """
    net = load_student(student)
    try:
        checked_size(size, net.meta)
    except ValueError as error:
        raise ValueError(f'{student}: {error}') from None
    return dict(params=count_params(net), macs=count_macs(net, input_shape(net, size)).macs)


def convert(
    students: dict[str, str],
    baseline: str,
    runtimes: Sequence[str],
    precisions: Sequence[str],
    size: int,
    out: Path,
    images: Any = None,
    skip: Sequence[str] | None = None,
) -> list[Candidate]:
    """Convert each network for each runtime, in each precision.

    Args:
        students (dict[str, str]): Student files by name.
        baseline (str): The one that is there in eager in any case.
        runtimes (Sequence[str]): of ``deploy.formats.FORMATS``.
        precisions (Sequence[str]): Of each.
        size (int): Side of the images.
        out (Path): Folder for the models.
        images (Any): Training images for int8, as for ``translate``; the
            demo's if None, or the student's own scales if it has any. The
            converted models are compared on the first two.
        skip (Sequence[str] | None): Layers that stay float in int8, as of
            ``quantize_onnx.check_settings``; its default if None.

    Returns:
        list[Candidate]: All combinations; what cannot be had says why.

    Raises:
        ValueError: If a runtime is unknown.
    """
    unknown = [r for r in runtimes if r not in FORMATS]
    if unknown:
        raise ValueError(f'no runtime {unknown[0]!r}: expected some of {list(FORMATS)}')
    choices = itertools.product(students, runtimes, precisions)
    wanted = [Candidate(*choice) for choice in choices]
    reference = Candidate(baseline, EAGER, 'fp32')
    if reference not in wanted:
        wanted.append(reference)
    shown = images or TRAINING
    compared = [job.image for job in pictures.collect(shown)[:COMPARED]]
    bar = tqdm(wanted, desc='converting')
    for candidate in bar:
        bar.set_postfix_str(candidate.name)
        student = students[candidate.network]
        if candidate.runtime == EAGER:
            candidate.model = candidate.pictures = student
            if candidate.precision != 'fp32':
                candidate.reason = 'a student file is measured in fp32'
        elif candidate.runtime in NOT_TIMED:
            candidate.reason = NOT_TIMED[candidate.runtime]
        else:
            own = not images and student_info(student).get('quantization')
            skips = skip is not None and candidate.precision == 'int8'
            settings = dict(quantization_config=dict(skip=list(skip))) if skips else {}
            target = Target(candidate.runtime, candidate.precision, settings=settings)
            inputs = dict(calibration=None if own else shown, images=compared)
            _convert(candidate, student, target, size, out, inputs)
    return wanted


def _convert(
    candidate: Candidate, student: str, target: Target, size: int, out: Path, images: dict[str, Any]
) -> None:
    """Export for values and, where possible, for 8-bit pictures."""
    folder = out / candidate.name.replace(' ', '-')
    try:
        report = export_student(student, folder, target, size, **images)
        candidate.psnr = report['psnr']
        candidate.model = candidate.pictures = str(folder)
        if FORMATS[candidate.runtime].uint8:
            candidate.pictures = str(folder / PICTURES)
            target = dataclasses.replace(target, uint8=True)
            export_student(student, candidate.pictures, target, size, **images)
    # whatever a converter raises is the reason of its row
    except Exception as error:
        candidate.reason = f'{type(error).__name__}: {error}'
