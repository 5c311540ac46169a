r"""Measure how fast a student is in each runtime, beside its teachers.

mmgan-compress benchmark student.pth teacher.pth --out work_dirs/benchmark
mmgan-compress benchmark omgd_cyclegan.py:student \
    gan_slimming_cyclegan.py:teacher --out work_dirs/benchmark

The first network is the student, the others are its teachers. A recipe
stands for all its networks, or for the one named behind a colon; with random
weights, since time does not depend on them. Ratios are against the first
teacher in eager torch, or the student where there is no teacher.
"""
import argparse
import contextlib
import tempfile
from pathlib import Path

from . import options


def add_arguments(parser: argparse.ArgumentParser):
    """Add the options of the command."""
    parser.add_argument('sources', nargs='+', metavar='SOURCE',
                        help='student.pth, recipe.py or recipe.py:NAME')
    parser.add_argument(
        '--runtimes', nargs='+', metavar='NAME',
        default=['eager', 'onnxruntime', 'openvino', 'ncnn'],
        help='eager, or a backend of mmgan-compress export (default: %(default)s)')
    parser.add_argument('--precisions', nargs='+', default=['fp32'],
                        choices=['fp32', 'fp16', 'int8'])
    options.add_threads(parser)
    options.add_size(parser)
    parser.add_argument('--rounds', type=options.positive, default=20, help='timed turns '
                        'of each model (default: %(default)s)')
    parser.add_argument('--images', metavar='FOLDER', help='training images '
                        "to calibrate int8 on (default: the demo's)")
    parser.add_argument('--skip', nargs='+', metavar='LAYER', help='layers '
                        'that stay float in int8, as of mmgan-compress quantize '
                        '(default: first rgb norms)')
    parser.add_argument('--compare', metavar='JSON', type=Path,
                        help='benchmark.json of an earlier run')
    parser.add_argument('--out', required=True, type=Path, metavar='FOLDER',
                        help='folder for benchmark.json, .md and .png')
    parser.add_argument('--keep', action='store_true',
                        help='keep the converted models in the out folder')
    options.add_import(parser)
    options.add_overwrite(parser)


def find_networks(sources: list[str], folder: Path,
                  size: int) -> tuple[dict[str, str], list[str]]:
    """Return student files by name, the student first, and notes.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a config has no such network, or two have one name.
    """
    students, random = {}, []
    for source in sources:
        recipe, _, name = source.rpartition(':')
        if Path(recipe).suffix != '.py':
            recipe, name = source, ''
        if Path(recipe).suffix == '.py':
            found = recipe_networks(recipe, name, folder, size)
            random += found
        else:
            found = {Path(source).stem: source}
        twice = sorted(students.keys() & found.keys())
        if twice:
            raise ValueError(f'two networks are called {twice[0]!r}: rename '
                             'one of the files')
        students.update(found)
    notes = [f'random weights: {", ".join(random)}'] if random else []
    return students, notes


def recipe_networks(source: str, name: str, folder: Path,
                    size: int) -> dict[str, str]:
    """Write generators of a recipe, all or the one named, as students."""
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    from ..benchmark.candidates import student_of_config
    from ..core.configs import find_config
    from ..engine.channels import fit_channels
    from .flops import generator_configs
    cfg = Config.fromfile(find_config(source))
    fit_channels(cfg)
    if 'generator' not in (cfg.get('model') or {}):
        raise ValueError(f'cfg.model of {source} has no generator: expected '
                         'the config of a model')
    init_default_scope(cfg.get('default_scope', 'mmagic'))
    configs = generator_configs(cfg.model.to_dict())
    if name and name not in configs:
        raise ValueError(f'{source} has no network {name!r}: expected one of '
                         f'{list(configs)}')
    stem = Path(source).stem
    return {
        f'{stem} {each}': student_of_config(
            generator, folder / f'{stem} {each}.pth', size)
        for each, generator in configs.items() if name in ('', each)
    }


def training_size(source: str) -> int:
    """Return the side of the images that a student was trained on."""
    from ..models.student import student_info
    return 256 if '.py' in Path(source).suffix else \
        student_info(source)['image_size']


def benchmark(args: argparse.Namespace, folder: Path) -> dict:
    """Convert, measure and return the report."""
    from ..benchmark import candidates, report, workers
    from ..benchmark.machine import check_same, machine_facts
    from ..compat import require
    from ..core.files import refuse_taken
    require('matplotlib.figure', 'The picture of the times')
    refuse_taken([*(args.out / name for name in report.FILES),
                  *([folder] if args.keep else [])],
                 [args.compare] if args.compare else [], args.overwrite)
    machine = machine_facts(args.threads, args.size)
    earlier = report.read(args.compare) if args.compare else None
    if earlier:  # before an hour of work, not after
        check_same(machine, earlier['machine'])
    students, notes = find_networks(args.sources, folder, args.size)
    networks = {name: candidates.network_facts(student, args.size)
                for name, student in students.items()}
    baseline = list(students)[min(1, len(students) - 1)]
    if 'int8' in args.precisions and not args.images:
        notes.append("int8: calibrated on the demo's images, but for students "
                     'that learnt in 8 bits')
    if args.skip:
        notes.append(f'int8: {", ".join(args.skip)} in float')
    found = candidates.convert(students, baseline, args.runtimes,
                               args.precisions, args.size, folder, args.images,
                               args.skip)
    results, gemm = workers.measure(found, args.threads, args.size,
                                    args.rounds, args.imports)
    figures = report.build(found, results, gemm, networks, baseline, machine,
                           notes)
    if earlier:
        report.compare(figures, earlier)
    return figures


def run(args: argparse.Namespace):
    """Measure, print the table and write the files."""
    import torch

    from ..benchmark.report import save, to_markdown
    args.threads = args.threads or torch.get_num_threads()
    args.size = args.size or training_size(args.sources[0])
    with contextlib.ExitStack() as stack:
        folder = args.out / 'models' if args.keep else stack.enter_context(
            tempfile.TemporaryDirectory())
        figures = benchmark(args, Path(folder))
        paths = save(figures, args.out)
    print(to_markdown(figures))
    print(*paths, sep='\n')
