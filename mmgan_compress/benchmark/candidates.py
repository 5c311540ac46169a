"""The networks to measure, each in several runtimes and precisions."""

import dataclasses
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ..core.channels import input_shape
from ..core.complexity import count_macs, count_params
from ..core.files import refuse_taken
from ..deploy.export import checked_size, export_student
from ..deploy.formats import FORMATS
from ..deploy.targets import shipped_targets
from ..deploy.verify import ParityError, Shared
from ..models.student import Student, load_student, student_info
from ..models.student_config import build_generator, generator_config

EAGER = 'eager'
RANDOM = 'random weights'
PRECISIONS = ('fp32', 'fp16', 'int8')
NOT_TIMED = {
    'tensorrt': 'it runs on a GPU',
    'coreml': "it runs on Apple's systems",
    'web': 'it runs in browsers',
}


@dataclass
class Candidate:
    """A network in a runtime.

    Args:
        network (str): Name of the network.
        runtime (str): Of ``deploy.formats.FORMATS``.
        precision (str): ``'fp32'``, ``'fp16'`` or ``'int8'``.
        model (str): File or folder of the network.
        pictures (str): One that takes 8-bit pictures; the same where there
            is none, and torch turns them into values and back.
        kb (float | None): File size of the model.
        max_abs (float | None): Largest difference from torch in double
            precision of all inputs; None where nothing was compared.
        psnr (float | None): The same in dB, on the worst input; None where
            nothing differs, too.
        psnr_images (float | None): The same on the worst image, without
            noise and the flat picture.
        exact (bool): Whether that is within what an export allows.
        reason (str): Why there is no model, or it could not be measured.
    """

    network: str
    runtime: str
    precision: str
    model: str = ''
    pictures: str = ''
    kb: float | None = None
    max_abs: float | None = None
    psnr: float | None = None
    psnr_images: float | None = None
    exact: bool = True
    reason: str = ''

    @property
    def form(self) -> str:
        """Say runtime and precision as deploy configs are named."""
        return self.runtime if self.precision == 'fp32' else f'{self.runtime}-{self.precision}'

    @property
    def name(self) -> str:
        """Say network, runtime and precision in one."""
        return f'{self.network} {self.form}'.strip()

    @property
    def timed(self) -> bool:
        """Whether it is there and runs on this machine's CPU."""
        return not self.reason and self.runtime not in NOT_TIMED

    def keep(self, folder: Path, report: dict) -> None:
        """Keep what an export says."""
        self.model = self.pictures = str(folder)
        beside = (*FORMATS[self.runtime].beside, 'end2end.json')
        sizes = [(folder / name).stat().st_size for name in report['files'] if name not in beside]
        self.kb = sum(sizes) / 1000
        self.max_abs, self.psnr = report['max_abs'], report['psnr']
        real = [c['psnr'] for c in report['checks'] if c['input'] not in ('random', 'flat')]
        self.psnr_images = min((psnr for psnr in real if psnr is not None), default=None)
        self.exact = all(check['passed'] for check in report['checks'])


def student_of_config(generator: dict, path: Path, size: int) -> str:
    """Write a generator of a recipe as a student, with random weights.

    Times do not depend on the weights, which are the same each time.

    Args:
        generator (dict): Config of the generator.
        path (Path): File to write.
        size (int): Side of the images.

    Raises:
        FileExistsError: If the file is another student.
    """
    config = generator_config(generator)
    refuse_taken([path], overwrite=path.is_file() and student_info(path)['source'] == RANDOM)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        networks, configs = dict(target=build_generator(config)), dict(target=config)
    domains = ['source', 'target']
    return Student(networks, configs, domains, 'target', size, RANDOM).save(path)


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


def installed() -> list[str]:
    """Return the runtimes that can be timed here, with all that their
    converters need.
    """
    return [
        name
        for name, row in FORMATS.items()
        if name not in NOT_TIMED and all(importlib.util.find_spec(module) for module in row.needs)
    ]


def choose(
    networks: Sequence[str],
    runtimes: Sequence[str] | None = None,
    precisions: Sequence[str] | None = None,
    dynamic: bool = False,
) -> list[Candidate]:
    """Return networks by runtimes and precisions, as far as there are.

    Args:
        networks (Sequence[str]): Their names.
        runtimes (Sequence[str] | None): Of ``deploy.formats.FORMATS``; those
            of all deploy configs if None.
        precisions (Sequence[str] | None): Of each; all if None.
        dynamic (bool): As of ``shipped_targets``.

    Raises:
        ValueError: If a runtime is unknown, or none has such a precision.
    """
    known = sorted(shipped_targets(dynamic), key=lambda form: (form[0], PRECISIONS.index(form[1])))
    names = runtimes or list(dict(known))
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise ValueError(f'no runtime {unknown[0]!r}: expected some of {list(FORMATS)}')
    forms = [
        form
        for name in names
        for form in [(EAGER, 'fp32'), *known]
        if form[0] == name and form[1] in (precisions or PRECISIONS)
    ]
    if not forms:
        raise ValueError(f'none of {runtimes} is written in {precisions}')
    return [Candidate(network, *form) for network in networks for form in forms]


def convert(
    candidates: Sequence[Candidate],
    students: dict[str, str],
    size: int | None,
    out: Path,
    skip: Sequence[str] | None = None,
    calibration: Any = None,
    otherwise: Any = None,
    uint8: bool = False,
    both: bool = False,
    dynamic: bool = False,
    **options: Any,
) -> None:
    """Export networks, each for its runtimes in their precisions.

    A candidate gets its files and what was compared, or the reason why there
    is none. What is in the folder already, of the same, is not made again.

    Args:
        candidates (Sequence[Candidate]): What to export; eager ones are
            the student files themselves.
        students (dict[str, str]): Student files by the names of networks.
        size (int | None): Side of the images; as of ``export_student``.
        out (Path): Folder; each export gets one in it.
        skip (Sequence[str] | None): Layers that stay float in int8, as of
            ``quantize_onnx.check_settings``; those of the deploy config if
            None.
        calibration (Any): Training images for int8, as for ``translate``.
        otherwise (Any): Those without any, where the student has no scales
            of its own.
        uint8 (bool): Export for 8-bit pictures, where a runtime takes them.
        both (bool): Export for values and, where a runtime takes them, once
            more for 8-bit pictures.
        dynamic (bool): As of ``shipped_targets``.
        **options (Any): Others of ``export_student``.

    Raises:
        FileExistsError: As of ``export_student``.
    """
    targets, shared = shipped_targets(dynamic), {}
    bar = tqdm(candidates, desc='converting')
    for each in bar:
        bar.set_postfix_str(each.name)
        student = students[each.network]
        if each.runtime == EAGER:
            each.model = each.pictures = student
            each.kb = Path(student).stat().st_size / 1000
            continue
        if each.network not in shared:
            shared[each.network] = Shared(load_student(student, options.get('domain')))
        row, target = FORMATS[each.runtime], targets[each.runtime, each.precision]
        pixels = dataclasses.replace(target, uint8=row.uint8)
        own = student_info(student).get('quantization') and not row.outputs
        options |= dict(
            shared=shared[each.network],
            calibration=calibration or (None if own else otherwise),
            reuse=True,
        )
        if skip is not None and each.precision == 'int8':
            settings = dict(target.settings, quantization_config=dict(skip=list(skip)))
            target, pixels = (dataclasses.replace(t, settings=settings) for t in (target, pixels))
        folder = out / each.network / each.form
        try:
            export = export_student(student, folder, pixels if uint8 else target, size, **options)
            each.keep(folder, export)
            if both and row.uint8 and each.timed and not target.uint8:
                each.pictures = str(folder / 'pictures')
                export_student(student, each.pictures, pixels, size, **options)
        except FileExistsError:
            raise
        except (ImportError, ValueError) as error:  # they say what is missing or wrong
            each.exact = not isinstance(error, ParityError)
            each.reason = str(error).partition('\n' if each.exact else ':\n')[0]
        # whatever else a converter raises
        except Exception as error:
            each.reason = f'{type(error).__name__}: {error}'.partition('\n')[0]
