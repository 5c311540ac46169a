"""Which pruner? The demo's teacher made smaller by several, each fine-tuned.

python projects/pruners/compare_pruners.py [PRUNER ...] --out DIR
A pruner is a name in the list below or of the registry, with its options:
TorchPruner,importance=taylor. Each one makes a student of the same MACs,
which is scored as it is and after the demo's fine-tuning. What is done is
not done again.
"""

import argparse
import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from mmgan_compress.cli.errors import guard  # noqa: E402
from mmgan_compress.core.files import refuse_taken, write_text  # noqa: E402
from mmgan_compress.core.tables import markdown  # noqa: E402

METRIC = 'FD-VGG16'
RUNTIMES = ('eager', 'onnxruntime')
# Gradients need a loss that is not at its least: that of the teacher's
# discriminator (CRD), for the teacher is the network itself.
GRADIENTS = ['--training', 'crd_cyclegan.py']
PRUNERS = {
    'magnitude': ['TorchPruner', 'importance=magnitude'],
    'magnitude-local': ['TorchPruner', 'importance=magnitude', 'scope=local'],
    'group norm': ['TorchPruner', 'importance=group_norm'],
    'Taylor': ['TorchPruner', 'importance=taylor', *GRADIENTS],
    'Hessian': ['TorchPruner', 'importance=hessian', *GRADIENTS],
    'NNI L1': ['NNIPruner', 'algorithm=l1'],
    'NNI FPGM': ['NNIPruner', 'algorithm=fpgm'],
    'GCC (new weights)': ['NormWidths', 'floor=4'],
}


def parse_args() -> argparse.Namespace:
    """Parse the command line; imports nothing heavy, so -h is quick."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        'pruners',
        nargs='*',
        default=list(PRUNERS),
        metavar='PRUNER',
        help='default: ' + ', '.join(PRUNERS),
    )
    parser.add_argument('--budget', default='macs=0.25', help='(default: %(default)s)')
    parser.add_argument('--steps', type=int, help="of fine-tuning (default: the demo's schedule)")
    parser.add_argument(
        '--threads', type=int, default=1, help='where time is measured (default: %(default)s)'
    )
    parser.add_argument('--seed', type=int, default=233)
    parser.add_argument('--out', default='work_dirs/compare_pruners')
    parser.add_argument('--overwrite', action='store_true', help='replace tables that are there')
    return parser.parse_args()


def main():
    """Prune, score, fine-tune, and write the table."""
    args = parse_args()
    out = Path(args.out)
    refuse_taken(
        [out / f'comparison.{suffix}' for suffix in ('json', 'md', 'png')], overwrite=args.overwrite
    )
    jobs = {name: PRUNERS.get(name) or name.split(',') for name in args.pruners}
    # libraries log to standard output; only the result may stand there
    with contextlib.redirect_stdout(sys.stderr):
        save_teacher(out / 'dense.pth')
    folders, failed = {}, []
    for index, (name, words) in enumerate(jobs.items(), 1):
        print(f'[{index}/{len(jobs)}] {name}', file=sys.stderr, flush=True)
        folder = out / re.sub(r'\W+', '_', name).strip('_')
        try:
            make(folder, out / 'dense.pth', words, args)
            folders[name] = folder
        except subprocess.CalledProcessError:
            failed.append(name)
    if folders:
        write(out, folders, args)
        print((out / 'comparison.md').read_text())
    if failed:
        sys.exit(f'error: {", ".join(failed)} failed, see above')


def save_teacher(path: Path):
    """Write the demo's teacher as a student file, once."""
    if path.is_file():
        return
    from mmengine.config import Config

    from mmgan_compress.core.configs import find_config
    from mmgan_compress.core.layers import init_weights
    from mmgan_compress.demo import DATA, SIZE
    from mmgan_compress.models.student import Student
    from mmgan_compress.models.student_config import build_generator
    from mmgan_compress.pruning.workflow import save_dense

    cfg = Config.fromfile(find_config('teacher_flat2emoji.py'))
    config = cfg.model.distiller.teacher.generator.to_dict()
    config['init_cfg'] = dict(
        type='Pretrained',
        checkpoint=str(DATA / 'teacher_flat2emoji.pth'),
        prefix='teacher.generators.emoji',
    )
    network = build_generator(config)
    init_weights(network)
    save_dense(
        path,
        Student(
            {'emoji': network}, {'emoji': config}, ['flat', 'emoji'], 'emoji', SIZE, 'CycleGAN'
        ),
    )


def make(folder: Path, dense: Path, words: list[str], args: argparse.Namespace):
    """Prune with one pruner, score, fine-tune; each step once."""
    pruner, *options = words
    training = GRADIENTS if GRADIENTS[0] in options else []
    options = [word for word in options if word not in training]
    run(
        'compress',
        folder / 'finetune.py',
        dense,
        '--pruner',
        pruner,
        '--budget',
        args.budget,
        '--demo',
        '--seed',
        args.seed,
        '--threads',
        args.threads,
        *(['--options', *options] if options else []),
        *training,
        '--out',
        folder,
    )
    recipe = folder / 'finetune.py'
    run(
        'test',
        folder / 'before/report.json',
        recipe,
        folder / 'student.pth',
        '--work-dir',
        folder / 'before',
    )
    tuned = folder / 'finetuned'
    schedule = (
        []
        if args.steps is None
        else [
            '--cfg-options',
            *(
                f'model.distiller.schedule.{key}={args.steps}'
                for key in ('epochs', 'constant', 'block')
            ),
        ]
    )
    begun = (tuned / 'last_checkpoint').is_file()
    run(
        'train',
        tuned / 'report.json',
        recipe,
        '--seed',
        args.seed,
        '--work-dir',
        tuned,
        *(['--resume'] if begun else []),
        *schedule,
    )


def run(tool: str, result: Path, *words):
    """Run a command, unless its result is there."""
    if not result.is_file():
        subprocess.run(
            [sys.executable, '-W', 'ignore', str(REPO / f'tools/{tool}.py'), *map(str, words)],
            check=True,
            stdout=sys.stderr,
        )


def figures(path: Path, name: str) -> dict:
    """Return a row of a report: what it costs, and its metrics."""
    rows = json.loads(path.read_text())['rows']
    return next(row for row in rows if row['name'] == name)


def write(out: Path, folders: dict[str, Path], args: argparse.Namespace):
    """Write comparison.md, .json and .png."""
    results = {}
    for name, folder in folders.items():
        after = figures(folder / 'finetuned/report.json', 'student')
        dense = figures(folder / 'finetuned/report.json', 'teacher')
        results.setdefault(
            'teacher', dict(params=dense['params'], macs=dense['macs'], after=dense['metrics'])
        )
        results[name] = dict(
            params=after['params'],
            macs=after['macs'],
            before=figures(folder / 'before/report.json', 'student')['metrics'],
            after=after['metrics'],
        )
    students = {
        'teacher': out / 'dense.pth',
        **{name: folder / 'finetuned/student.pth' for name, folder in folders.items()},
    }
    versions = measure(students, results, args.threads)
    write_text(
        out / 'comparison.json',
        json.dumps(
            dict(
                budget=args.budget,
                steps=args.steps,
                seed=args.seed,
                threads=args.threads,
                versions=versions,
                results=results,
            ),
            indent=1,
        )
        + '\n',
    )
    write_text(out / 'comparison.md', table(results, args, versions))
    picture(out, students, next(iter(folders.values())) / 'finetune.py')


def measure(students: dict[str, Path], results: dict[str, dict], threads: int) -> dict[str, str]:
    """Time all networks in one run, in turns; return the versions."""
    import numpy as np

    from mmgan_compress.core.timing import side_by_side
    from mmgan_compress.demo import SIZE
    from mmgan_compress.deploy.formats import convert_for_timing
    from mmgan_compress.models.student import load_student

    models = {
        (name, runtime): convert_for_timing(load_student(path), SIZE, runtime, threads)
        for name, path in students.items()
        for runtime in RUNTIMES
    }
    image = np.zeros((1, 3, SIZE, SIZE), np.float32)
    times = side_by_side(
        {key: lambda model=model: model.run(image) for key, model in models.items()}, repeats=51
    )
    for (name, runtime), timing in times.items():
        results[name][runtime] = 1e3 * timing.median
    return {runtime: models['teacher', runtime].version for runtime in RUNTIMES}


def table(results: dict, args: argparse.Namespace, versions: dict[str, str]) -> str:
    """Return the results as Markdown."""
    titles = [
        'pruner',
        'params (k)',
        'MACs (M)',
        *(f'{runtime} (ms)' for runtime in RUNTIMES),
        f'{METRIC} before fine-tuning',
        'after',
        'PSNR after (dB)',
    ]
    rows = []
    for name, result in results.items():
        cells = [name, f'{result["params"] / 1e3:.2f}', f'{result["macs"] / 1e6:.2f}']
        for runtime in RUNTIMES:
            share = result[runtime] / results['teacher'][runtime]
            cells.append(f'{result[runtime]:.2f} ({share:.2f})')
        for when in ('before', 'after'):
            metrics = result.get(when)
            cells.append(f'{metrics["emoji/" + METRIC]:.4g}' if metrics else '-')
        rows.append([*cells, f'{result["after"]["emoji/PSNR"]:.2f}'])
    steps = f'{args.steps} steps' if args.steps else "the demo's schedule"
    names = ', '.join(f'{key} {value}' for key, value in versions.items())
    return markdown(titles, rows) + (
        f'\n\nBudget {args.budget}; fine-tuned for {steps}, seed '
        f'{args.seed}. Times: one 64x64 image, {args.threads} threads, all '
        'networks in turns in one run, medians; in brackets, of the '
        f"teacher's. {names}.\n"
    )


def picture(out: Path, students: dict[str, Path], recipe: Path):
    """Draw what all students make of some test images."""
    import numpy as np
    import torch
    from mmengine.config import Config

    from mmgan_compress.evaluation.comparison import save_comparison
    from mmgan_compress.models.distillation_model import DistillationModel
    from mmgan_compress.models.student import load_student
    from mmgan_compress.registry import DATASETS

    cfg = Config.fromfile(recipe)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    at = np.linspace(0, len(dataset) - 1, 6).astype(int)
    items = [dataset[int(index)]['inputs'] for index in at]
    inputs, targets = (
        torch.stack([item[f'img_{domain}'] for item in items]).float()
        for domain in ('flat', 'emoji')
    )
    columns = {'input': inputs}
    with torch.inference_mode():
        for name, path in students.items():
            columns[name] = DistillationModel.to_pixels(load_student(path)(inputs / 127.5 - 1))
    columns['target'] = targets
    save_comparison(out / 'comparison.png', list(zip(*columns.values())), list(columns))


if __name__ == '__main__':
    sys.exit(guard(main))
