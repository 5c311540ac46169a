"""Measure students and their teachers in several runtimes."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..compat import require
from ..core.files import refuse_taken
from ..core.zoo import find_student
from ..datasets import pictures
from ..deploy.verify import DEMO
from ..engine.networks import generator_configs
from ..models.student import student_info
from . import candidates, report, workers
from .candidates import EAGER, installed
from .machine import check_same, machine_facts

TRAINING = DEMO.with_name('trainA')
# images to calibrate on and to compare on: an export takes more
IMAGES, COMPARED = 16, 4


def benchmark(args: Namespace, folder: Path) -> dict | None:
    """Convert and measure the networks.

    Args:
        args (Namespace): Command line of ``mmgan-compress benchmark``.
        folder (Path): Folder for the converted models; those that an earlier
            run left there are not made again.

    Returns:
        dict | None: The content of benchmark.json; None with ``convert``,
        where nothing was measured.

    Raises:
        FileExistsError: If results are there already.
        ValueError: If a network cannot be read, or if the earlier results are
            of another machine.
    """
    threads = args.threads or [torch.get_num_threads()]
    first = args.sources[0]
    recipe, _ = _recipe_of(first)
    size = args.size or (
        generator_configs(recipe)[1] if recipe else student_info(first)['image_size']
    )
    require('matplotlib.figure', 'The picture of the times')
    refuse_taken(
        [args.out / name for name in report.FILES],
        [args.compare] if args.compare else [],
        args.overwrite,
    )
    machine = machine_facts(threads, size)
    earlier = report.read(args.compare) if args.compare else None
    if earlier:  # before an hour of work, not after
        check_same(machine, earlier['machine'])
    students, notes = find_networks(args.sources, folder, size)
    networks = {name: candidates.network_facts(student, size) for name, student in students.items()}
    baseline = list(students)[min(1, len(students) - 1)]
    training = some_of(args.images or TRAINING, IMAGES)
    if 'int8' in args.precisions:
        of = 'images' if args.images else "of the demo's images, but for students of 8 bits"
        notes.append(f'int8: calibrated on {len(training)} {of}')
    if args.skip:
        notes.append(f'int8: {", ".join(args.skip)} in float')
    found = candidates.choose(list(students), args.runtimes or installed(), args.precisions)
    if not any(each.network == baseline and each.runtime == EAGER for each in found):
        found += candidates.choose([baseline], [EAGER], ['fp32'])
    candidates.convert(
        found,
        students,
        size,
        folder,
        args.skip,
        calibration=training if args.images else None,
        otherwise=training,
        both=True,
        images=some_of(args.images or DEMO, COMPARED),
        strict=False,
    )
    if args.convert:
        return None
    rounds = workers.LEAST if args.quick else args.rounds
    results, gemm = workers.measure(found, threads, size, rounds, args.imports)
    figures = report.build(found, results, gemm, networks, baseline, machine, notes)
    if earlier:
        report.compare(figures, earlier)
    return figures


def some_of(images: Any, count: int) -> list:
    """Return so many of some images, evenly chosen, as ``translate`` takes them."""
    found = [job.image for job in pictures.collect(images)]
    return [found[i] for i in np.unique(np.linspace(0, len(found) - 1, count).astype(int))]


def _recipe_of(source: str) -> tuple[str, str]:
    """Return a recipe and the name behind its colon; nothing for a student."""
    recipe, _, name = (source, '', '') if source.endswith('.py') else source.rpartition(':')
    return (recipe, name) if recipe.endswith('.py') else ('', '')


def find_networks(sources: list[str], folder: Path, size: int) -> tuple[dict[str, str], list[str]]:
    """Return student files by name, the student first, and notes.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a config has no such network, or two have one name.
    """
    students, random = {}, []
    for source in sources:
        recipe, name = _recipe_of(source)
        if recipe:
            found = _recipe_networks(recipe, name, folder, size)
            random += found
        else:
            found = {Path(source).stem: str(find_student(source))}
        twice = sorted(students.keys() & found.keys())
        if twice:
            raise ValueError(f'two networks are called {twice[0]!r}: rename one of the files')
        students.update(found)
    notes = [f'random weights: {", ".join(random)}'] if random else []
    return students, notes


def _recipe_networks(source: str, name: str, folder: Path, size: int) -> dict[str, str]:
    """Write generators of a recipe, all or the one named, as students."""
    configs, _ = generator_configs(source)
    if name and name not in configs:
        raise ValueError(f'{source} has no network {name!r}: expected one of {list(configs)}')
    stem = Path(source).stem
    files = {each: folder / f'{stem} {each}.pth' for each in configs if name in ('', each)}
    return {
        path.stem: candidates.student_of_config(configs[each], path, size)
        for each, path in files.items()
    }
