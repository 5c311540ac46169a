r"""Measure how fast a student is in each runtime, beside its teachers.

python tools/benchmark.py student.pth teacher.pth --out work_dirs/benchmark
python tools/benchmark.py omgd_cyclegan.py:student \
    gan_slimming_cyclegan.py:teacher --out work_dirs/benchmark

The first network is the student, the others are its teachers. A recipe
stands for all its networks, or for the one named behind a colon; with random
weights, since time does not depend on them. Ratios are against the first
teacher in eager torch, or the student where there is no teacher.
"""
import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

from mmgan_compress.core.commands import one_line_errors  # noqa: E402


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    from mmgan_compress.core.extensions import add_import
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sources', nargs='+', metavar='SOURCE',
                        help='student.pth, recipe.py or recipe.py:NAME')
    parser.add_argument(
        '--runtimes', nargs='+', metavar='NAME',
        default=['eager', 'onnxruntime', 'openvino', 'ncnn'],
        help='eager, or a backend of tools/export.py (default: %(default)s)')
    parser.add_argument('--precisions', nargs='+', default=['fp32'],
                        choices=['fp32', 'fp16', 'int8'])
    parser.add_argument('--threads', type=int, default=2,
                        help='of each model (default: %(default)s)')
    parser.add_argument('--size', type=int, default=256, help='side of the '
                        'image in pixels (default: %(default)s)')
    parser.add_argument('--rounds', type=int, default=20, help='timed turns '
                        'of each model (default: %(default)s)')
    parser.add_argument('--images', metavar='FOLDER', help='training images '
                        "to calibrate int8 on (default: the demo's)")
    parser.add_argument('--skip', nargs='+', metavar='LAYER', help='layers '
                        'that stay float in int8, as of tools/quantize.py '
                        '(default: first rgb norms)')
    parser.add_argument('--compare', metavar='JSON', type=Path,
                        help='benchmark.json of an earlier run')
    parser.add_argument('--out', required=True, type=Path, metavar='FOLDER',
                        help='folder for benchmark.json, .md and .png')
    parser.add_argument('--keep', action='store_true',
                        help='keep the converted models in the out folder')
    add_import(parser)
    parser.add_argument('--overwrite', action='store_true',
                        help='replace results that are there')
    args = parser.parse_args()
    for name in ('threads', 'size', 'rounds'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} {getattr(args, name)}: expected 1 or '
                         'more')
    return args


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
    from get_flops import generator_configs
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    from mmgan_compress.benchmark.candidates import student_of_config
    from mmgan_compress.core.configs import find_config
    from mmgan_compress.engine.channels import fit_channels
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


def benchmark(args: argparse.Namespace, folder: Path) -> dict:
    """Convert, measure and return the report."""
    from mmgan_compress.benchmark import candidates, report, workers
    from mmgan_compress.benchmark.machine import check_same, machine_facts
    from mmgan_compress.compat import require
    from mmgan_compress.core.files import refuse_taken
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


@one_line_errors()
def main() -> None:
    """Measure, print the table and write the files."""
    args = parse_args()
    # Imported late: -h and a wrong command line answer at once.
    from mmgan_compress.benchmark.report import save, to_markdown
    with contextlib.ExitStack() as stack:
        folder = args.out / 'models' if args.keep else stack.enter_context(
            tempfile.TemporaryDirectory())
        figures = benchmark(args, Path(folder))
        paths = save(figures, args.out)
    print(to_markdown(figures))
    print(*paths, sep='\n')


if __name__ == '__main__':
    main()
