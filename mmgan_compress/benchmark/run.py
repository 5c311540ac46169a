"""Measure students and their teachers in several runtimes."""

from argparse import Namespace
from pathlib import Path

import torch

from ..compat import require
from ..core.files import refuse_taken
from ..engine.networks import generator_configs
from ..models.student import student_info
from . import candidates, report, workers
from .machine import check_same, machine_facts


def benchmark(args: Namespace, folder: Path) -> dict:
    """Convert and measure the networks.

    Args:
        args (Namespace): Command line of ``mmgan-compress benchmark``.
        folder (Path): Folder for the converted models.

    Returns:
        dict: The content of benchmark.json.

    Raises:
        FileExistsError: If results are there already.
        ValueError: If a network cannot be read, or if the earlier results are
            of another machine.
    """
    threads = args.threads or torch.get_num_threads()
    first = args.sources[0]
    recipe, _ = _recipe_of(first)
    size = args.size or (
        generator_configs(recipe)[1] if recipe else student_info(first)['image_size']
    )
    require('matplotlib.figure', 'The picture of the times')
    refuse_taken(
        [*(args.out / name for name in report.FILES), *([folder] if args.keep else [])],
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
    if 'int8' in args.precisions and not args.images:
        notes.append(
            "int8: calibrated on the demo's images, but for students that were trained in 8 bits"
        )
    if args.skip:
        notes.append(f'int8: {", ".join(args.skip)} in float')
    found = candidates.convert(
        students, baseline, args.runtimes, args.precisions, size, folder, args.images, args.skip
    )
    results, gemm = workers.measure(found, threads, size, args.rounds, args.imports)
    figures = report.build(found, results, gemm, networks, baseline, machine, notes)
    if earlier:
        report.compare(figures, earlier)
    return figures


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
            found = {Path(source).stem: source}
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
