r"""Does compression work? Students against their teachers, at equal cost.

    python projects/leaderboard/leaderboard.py run --root FOLDER
    python projects/leaderboard/leaderboard.py status --root FOLDER
    python projects/leaderboard/leaderboard.py table

``run`` trains and scores what is missing, one thread a run, and writes
``runs/TASK/METHOD-SEED.json`` beside this file. After an interruption the
same command goes on. ``table`` makes ``docs/results.md`` of these files.
"""

import argparse
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[1]
sys.path.insert(0, str(REPO))

import results  # noqa: E402

from mmgan_compress.cli.errors import guard  # noqa: E402
from mmgan_compress.core.commands import command_line  # noqa: E402
from mmgan_compress.core.files import write_text  # noqa: E402
from projects.deployment.make_page import fill  # noqa: E402

RUNS, CONFIGS = HERE / 'runs', HERE / 'configs'
TEACHER = results.TEACHER
PICTURES = 6  # test images of a strip
THREADS = '1'  # of the benchmark
VERSIONS = ('torch', 'mmengine', 'mmagic', 'torchmetrics', 'onnxruntime', 'openvino')


class Task(NamedTuple):
    """What is compared.

    Args:
        data (str): Folder of its images, under the root.
        needs (dict): By file or folder under the root, the commands that make
            it, in order.
        seeds (dict[str, int]): Methods, and how many seeds each has.
        minutes (float): CPU minutes of training of each.
    """

    data: str
    needs: dict[str, list[list[str]]]
    seeds: dict[str, int]
    minutes: float = 20


def trained(task: str, **parts: list[str]) -> dict[str, list[list[str]]]:
    """Return the commands that train teachers and store parts of them.

    Args:
        task (str): Task whose ``train_teacher.py`` trains them.
        parts (list[str]): Beginnings of the names that a file keeps, by the
            name of the file. None over 2 MB, so that it can be committed.
    """
    config, work = f'{CONFIGS}/{task}/train_teacher.py', f'work_dirs/{task}/train_teacher'
    return {
        f'teachers/{name}.pth': [
            ['train', config, '--work-dir', work],
            ['teachers', f'{work}/final.pth', f'teachers/{name}.pth', '--half', '--only', *only],
        ]
        for name, only in parts.items()
    }


def _prepared(name: str, size: int, *words: str) -> dict[str, list[list[str]]]:
    """Return the command that prepares a data set."""
    out = f'data/{name}{size}'
    return {out: [['data', name, '--size', str(size), '--out', out, *words]]}


_HAYAO = 'teachers/cartoongan-hayao.pth'
TASKS = {
    'edges2emoji': Task(
        'data/edges2emoji64',
        {
            **_prepared('edges2emoji', 64, '--import', 'projects.demo_data.emoji'),
            **trained(
                'edges2emoji',
                edges2emoji_wide=['teachers.wide'],
                edges2emoji_rest=['teachers.deep', 'discrim'],
            ),
        },
        dict(
            **dict(teacher=1, alone=3, imitation=3, omgd=3, crd=3),
            **dict(gcc=1, gan_compression=1, gan_slimming=1, prune=1, pipeline=1),
            **dict(tuned_channel=1, tuned_features=1, tuned_gan=1),
            **dict(tuned_memory=1, tuned_memory_gan=3),
        ),
    ),
    'elpv': Task(
        'data/elpv64',
        {**_prepared('elpv', 64), **trained('elpv', elpv=['teacher', 'discrim'])},
        dict(teacher=1, alone=3, imitation=3, omgd=3, crd=3, prune=1),
    ),
    'cartoon': Task(
        'data/photos128',
        {
            _HAYAO: [['weights', 'cartoongan-hayao', '--out', _HAYAO]],
            **_prepared('photos', 128, '--import', 'projects.leaderboard.photos'),
            **{
                f'data/photos128/{side}B': [
                    ['images', _HAYAO, f'data/photos128/{side}A', '--size', '128']
                    + ['--out', f'data/photos128/{side}B']
                ]
                for side in ('test', 'train')
            },
        },
        dict(
            **dict(teacher=1, imitation=3, tuned_vgg=3, omgd=3, crd=3),
            **dict(prune=1, prune_vgg=1),
            **dict(tuned_rate=1, tuned_gan=1, tuned_wavelet=1),
            **dict(prune_fresh=1, imitation_8x=1, imitation_40x=1),
        ),
    ),
}


class Run(NamedTuple):
    """A method with a seed, on a task. Paths are under the root."""

    task: str
    method: str
    seed: int

    @property
    def name(self) -> str:
        """Return how ``--only`` calls it."""
        return f'{self.task}/{self.method}/{self.seed}'

    @property
    def json(self) -> Path:
        """Return the file of its figures."""
        return RUNS / self.task / f'{self.method}-{self.seed}.json'

    @property
    def config(self) -> Path:
        """Return its recipe, or its list of stages."""
        return CONFIGS / self.task / f'{self.method}.py'

    @property
    def work(self) -> Path:
        """Return its folder."""
        return Path('work_dirs', self.task, f'{self.method}-{self.seed}')


def choose_runs(only: list[str]) -> list[Run]:
    """Return the runs whose names begin so, all seeds 0 first.

    Raises:
        ValueError: If a name is of no run.
    """
    known = [
        Run(name, method, seed)
        for seed in range(3)
        for name, task in TASKS.items()
        for method, seeds in task.seeds.items()
        if seed < seeds
    ]
    for text in only:
        if not any(f'{run.name}/'.startswith(f'{text}/') for run in known):
            raise ValueError(f'no run is called {text!r}: expected TASK[/METHOD[/SEED]]')
    return [
        run
        for run in known
        if not only or any(f'{run.name}/'.startswith(f'{text}/') for text in only)
    ]


# --- running, in the root ----------------------------------------------------
def call(words: list, log: Path, minutes: float = 0) -> None:
    """Run a command of the package with one thread and low priority; its
    output goes to the end of a file.

    Raises:
        ValueError: If it fails.
    """
    paths = [str(REPO), *filter(None, [os.environ.get('PYTHONPATH')])]
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, 'a') as stream:
        done = subprocess.run(
            [
                *(['nice', '-n', '19'] if shutil.which('nice') else []),
                *command_line(*map(str, words)),
            ],
            env=dict(
                os.environ,
                PYTHONPATH=os.pathsep.join(paths),
                OMP_NUM_THREADS='1',
                LEADERBOARD_MINUTES=str(minutes or ''),
            ),
            stdout=stream,
            stderr=stream,
        )
    if done.returncode:
        last = log.read_text().strip().splitlines()[-1:]
        raise ValueError(f'{words[0]} failed, see {log.resolve()}: {"".join(last)}')


def train(words: list, log: Path, minutes: float = 0) -> None:
    """Train, or go on with what was interrupted."""
    work = Path(words[words.index('--work-dir') + 1])
    if not ((work / 'budget.json').is_file() and (work / 'student.pth').is_file()):
        begun = (work / 'last_checkpoint').is_file()
        call([*words, *(['--resume'] if begun else [])], log, minutes)


def prepare(name: str) -> None:
    """Make what a task needs and is not there; teachers may be stored."""
    for product, commands in TASKS[name].needs.items():
        target, stored = Path(product), HERE / product
        if not target.exists() and stored.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(stored, target)
        for words in commands if not target.exists() else []:
            print(f'{name}: {" ".join(words)}', flush=True)
            (train if words[0] == 'train' else call)(words, Path('work_dirs', name, 'prepare.txt'))


def do(run: Run, minutes: float) -> None:
    """Train a method, score it and write its figures."""
    from mmgan_compress.models.student import Student

    log, student = run.work.with_suffix('.txt'), run.work / 'student.pth'
    print(f'{run.name}: output in {log.resolve()}', flush=True)
    if run.method == TEACHER:
        Student.from_config(run.config).save(student)
    elif read_stages(run.config):
        call(['pipeline', run.config, '--work-dir', run.work], log, minutes)
        student = sorted(run.work.glob('*/run/student.pth'))[-1]
    else:
        words = ['train', run.config, '--work-dir', run.work, '--seed', run.seed]
        train(words, log, minutes)
    table, out = CONFIGS / run.task / f'{TEACHER}.py', ['--overwrite', '--out']
    call(['report', table, f'{run.method}={student}', *out, run.work / 'report'], log)
    words = ['benchmark', student, '--threads', THREADS, *out, run.work / 'benchmark']
    call([*words, '--runtimes', *results.RUNTIMES], log)
    run.json.parent.mkdir(parents=True, exist_ok=True)
    if run.seed == 0:
        write_strips(run, str(student))
    write_text(run.json, json.dumps(gather(run, minutes), indent=1) + '\n')
    print(f'{run.name}: done', flush=True)


def read_stages(config: Path) -> list[dict]:
    """Return the stages of a method, or nothing if it is one recipe."""
    from mmengine.config import Config

    return Config.fromfile(config).get('stages', [])


def recipe_digest(config: Path) -> str:
    """Return the sha256 of a recipe with all its bases; of several stages,
    of their recipes and of what is done between.
    """
    from mmgan_compress.core.configs import read_config

    stages = read_stages(config)
    files = [config.parent / stage['config'] for stage in stages if 'config' in stage] or [config]
    text = '\n'.join([*(read_config(str(file)).pretty_text for file in files), json.dumps(stages)])
    # a folder of this machine is no part of a recipe
    return hashlib.sha256(text.replace(str(REPO), '').encode()).hexdigest()


def gather(run: Run, minutes: float) -> dict:
    """Return the figures of a run, plain values only."""
    report = json.loads((run.work / 'report/report.json').read_text())
    macs = (run.work / 'report/report.md').read_text().partition('- MACs: ')[2]
    timed = json.loads((run.work / 'benchmark/benchmark.json').read_text())
    budgets = [json.loads(file.read_text()) for file in run.work.rglob('budget.json')]
    commit = subprocess.run(
        ['git', 'rev-parse', 'HEAD'], cwd=REPO, capture_output=True, text=True
    ).stdout.strip()
    latency = {
        row['runtime']: {
            key: round(row['pictures'][THREADS][key], 3) for key in ('median_ms', 'iqr_ms')
        }
        for row in timed['rows']
        if row['runtime'] in results.RUNTIMES and not row['reason']
    }
    machine = {key: timed['machine'][key] for key in ('cpu', 'cores', 'load')}
    return dict(
        task=run.task,
        method=run.method,
        seed=run.seed,
        recipe=dict(name=run.config.name, sha256=recipe_digest(run.config)),
        size=report['size'],
        data=json.loads(Path(TASKS[run.task].data, '.prepared.json').read_text()),
        **{key: report['rows'][-1][key] for key in ('params', 'macs', 'macs_paper', 'metrics')},
        macs_protocol=macs.partition('\n')[0],
        protocols=report['protocols'],
        minutes=None if run.method == TEACHER else minutes,
        cpu_minutes=round(sum(budget['cpu_minutes'] for budget in budgets), 2),
        iterations=sum(budget['iterations'] for budget in budgets),
        latency=dict(machine=dict(machine, threads=int(THREADS)), **latency),
        versions={name: importlib.metadata.version(name) for name in VERSIONS},
        commit=commit,
    )


def write_strips(run: Run, student: str) -> None:
    """Draw a few test images as the student translates them, in a row; for
    the teacher also what it translates, and the truth of pairs.
    """
    import numpy as np
    from PIL import Image

    from mmgan_compress.engine.evaluate import read_recipe, recipe_images
    from mmgan_compress.inference.translator import Translator
    from mmgan_compress.models.student import student_info

    info = student_info(student)
    cfg = read_recipe(f'{CONFIGS}/{run.task}/{TEACHER}.py', 'test_dataloader', info)
    source, target = info['domains']
    images = recipe_images(cfg, 'test_dataloader', source, PICTURES)
    translator = Translator(student, threads=1)
    rows = {'': [translator.run(image[None])[0] for image in images]}
    if run.method == TEACHER:
        rows['-input'] = images
        if cfg.test_dataloader.dataset.type.endswith('PairedImages'):
            truth = recipe_images(cfg, 'test_dataloader', target, PICTURES)
            if not np.array_equal(truth, rows['']):  # the teacher's own pictures
                rows['-target'] = truth
    for suffix, pictures in rows.items():
        Image.fromarray(np.concatenate(pictures, 1)).save(
            run.json.with_name(f'{run.method}{suffix}.png'), optimize=True
        )


def run_missing(args: argparse.Namespace) -> None:
    """Train and score what is missing.

    Raises:
        ValueError: At the end, if a run failed.
    """
    todo, failed = [run for run in choose_runs(args.only) if not run.json.is_file()], []
    args.root.mkdir(parents=True, exist_ok=True)
    os.chdir(args.root)  # where data, teachers and work dirs are
    for name in dict.fromkeys(run.task for run in todo):
        prepare(name)

    def attempt(run: Run) -> None:
        try:
            do(run, args.minutes or TASKS[run.task].minutes)
        except (OSError, ValueError) as error:
            failed.append(f'{run.name}: {error}')
            print(failed[-1], file=sys.stderr, flush=True)

    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(attempt, todo))
    if failed:
        raise ValueError(f'{len(failed)} runs failed; the same command tries them again')


def show_status(args: argparse.Namespace) -> None:
    """Print what is done, what has begun and what is missing."""
    for run in choose_runs(args.only):
        done, begun = run.json.is_file(), (args.root / run.work).is_dir()
        print(f'{run.name:32}{"done" if done else "begun" if begun else "missing"}')


# --- tables -----------------------------------------------------------------
def read_runs(folder: Path) -> Iterator[tuple[str, dict[str, list[dict]]]]:
    """Yield the figures of each task, by method.

    Raises:
        ValueError: If figures of a task cannot be compared.
    """
    for task in TASKS:
        methods: dict[str, list[dict]] = {}
        for method in TASKS[task].seeds:
            for file in sorted((folder / task).glob(f'{method}-[0-9].json')):
                methods.setdefault(method, []).append(json.loads(file.read_text()))
        check_comparable(task, [run for found in methods.values() for run in found])
        if methods:
            yield task, methods


def check_comparable(task: str, found: list[dict]) -> None:
    """Refuse figures that were taken in different ways.

    Raises:
        ValueError: Names two runs and what differs.
    """
    seen: dict[str, tuple] = {}
    for run in found:
        facts = {
            'size': run['size'],
            'split and data': run['data'],
            'MACs': run['macs_protocol'],
            'CPU minutes': run['minutes'],
            **{f'protocol of {key}': text for key, text in run['protocols'].items()},
        }
        own = f'{run["method"]}-{run["seed"]}'
        for key, value in facts.items():
            if value is None:  # a teacher has no budget
                continue
            name, first = seen.setdefault(key, (own, value))
            if value != first:
                raise ValueError(
                    f'{task}: {own} and {name} cannot stand in one table, '
                    f'they differ in {key}: {value!r} and {first!r}'
                )


def make_table(args: argparse.Namespace) -> None:
    """Write docs/results.md, its pictures and the table of the README."""
    tasks = dict(read_runs(args.runs))
    results.write(tasks, args.runs, args.out)
    fill(args.out.parent / 'README.md', 'results', results.front(tasks))
    print(args.out / 'results.md')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    run, status, table = (commands.add_parser(name) for name in ('run', 'status', 'table'))
    for sub, work in ((run, run_missing), (status, show_status), (table, make_table)):
        sub.set_defaults(work=work)
    for sub in (run, status):
        sub.add_argument('--root', type=Path, default=Path('work_dirs/leaderboard'))
        sub.add_argument('--only', nargs='+', default=[], metavar='TASK[/METHOD[/SEED]]')
    run.add_argument('--jobs', type=int, default=1)
    run.add_argument('--minutes', type=float, help='CPU minutes of training (default: 20)')
    table.add_argument('--runs', type=Path, default=RUNS)
    table.add_argument('--out', type=Path, default=REPO / 'docs')
    return parser.parse_args()


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(guard(lambda: arguments.work(arguments)))
