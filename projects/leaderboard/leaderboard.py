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
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[1]
sys.path.insert(0, str(REPO))

import results  # noqa: E402

from mmgan_compress.cli.errors import guard  # noqa: E402
from mmgan_compress.core.commands import command_line  # noqa: E402

RUNS, CONFIGS = HERE / 'runs', HERE / 'configs'
TEACHER = 'teacher'
RUNTIMES = ('onnxruntime', 'openvino')
PICTURES = 6  # test images of a strip
VERSIONS = ('torch', 'mmengine', 'mmagic', 'torchmetrics', 'onnxruntime', 'openvino')


@dataclass(frozen=True)
class Task:
    """What is compared.

    Args:
        data (str): Folder of its images, under the root.
        needs (dict): By file or folder under the root, the commands that make
            it, in order.
        seeds (dict[str, int]): Methods and how many seeds each is run with.
        minutes (float): CPU minutes of training of each.
    """

    data: str
    needs: dict[str, list[list[str]]]
    seeds: dict[str, int]
    minutes: float = 20


def _trained(task: str) -> list[list[str]]:
    """Return the commands that train a teacher."""
    work = f'work_dirs/{task}/train_teacher'
    config = str(CONFIGS / task / 'train_teacher.py')
    return [
        ['train', config, '--work-dir', work],
        ['teachers', f'{work}/final.pth', f'teachers/{task}.pth', '--half'],
    ]


_HAYAO = 'teachers/cartoongan-hayao.pth'
TASKS = {
    'edges2emoji': Task(
        'data/edges2emoji64',
        {
            'data/edges2emoji64': [
                ['data', 'edges2emoji', '--size', '64', '--out', 'data/edges2emoji64']
                + ['--import', 'projects.demo_data.emoji']
            ],
            'teachers/edges2emoji.pth': _trained('edges2emoji'),
        },
        dict(teacher=1, alone=3, imitation=3, omgd=3, crd=3),
    ),
    'elpv': Task(
        'data/elpv64',
        {
            'data/elpv64': [['data', 'elpv', '--size', '64', '--out', 'data/elpv64']],
            'teachers/elpv.pth': _trained('elpv'),
        },
        dict(teacher=1, alone=3, imitation=3, omgd=3, crd=3),
    ),
    'cartoon': Task(
        'data/photos128',
        {
            _HAYAO: [['weights', 'cartoongan-hayao', '--out', _HAYAO]],
            'data/photos128': [
                ['data', 'photos', '--size', '128', '--out', 'data/photos128']
                + ['--import', 'projects.leaderboard.photos']
            ],
            **{
                f'data/photos128/{split}B': [
                    ['images', _HAYAO, f'data/photos128/{split}A', '--size', '128']
                    + ['--out', f'data/photos128/{split}B']
                ]
                for split in ('test', 'train')
            },
        },
        dict(teacher=1, imitation=3, omgd=3, crd=3),
    ),
}


@dataclass(frozen=True)
class Run:
    """A method with a seed, on a task."""

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
    def work(self) -> str:
        """Return its folder under the root."""
        return f'work_dirs/{self.task}/{self.method}-{self.seed}'


def runs(only: list[str]) -> list[Run]:
    """Return the runs, first seeds first; ``only`` names beginnings.

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
    found = [run for run in known if not only or any(_begins(run, text) for text in only)]
    for text in only:
        if not any(_begins(run, text) for run in known):
            raise ValueError(f'no run is called {text!r}: expected TASK[/METHOD[/SEED]]')
    return found


def _begins(run: Run, text: str) -> bool:
    return f'{run.name}/'.startswith(text.rstrip('/') + '/')


# --- running ----------------------------------------------------------------
class Worker:
    """Runs commands of the package in a folder, with one thread, politely.

    Args:
        root (Path): Folder with data, teachers and work dirs.
        minutes (float): CPU minutes of training.
    """

    def __init__(self, root: Path, minutes: float):
        self.root, self.minutes = root, minutes
        self.env = dict(
            os.environ,
            PYTHONPATH=os.pathsep.join(filter(None, [str(REPO), os.environ.get('PYTHONPATH')])),
            OMP_NUM_THREADS='1',
            LEADERBOARD_MINUTES=str(minutes),
        )

    def call(self, words: list[str], log: Path) -> None:
        """Run a command; its output goes to the end of a file.

        Raises:
            ValueError: If it fails.
        """
        polite = ['nice', '-n', '19'] if shutil.which('nice') else []
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, 'a') as stream:
            done = subprocess.run(
                [*polite, *command_line(*words)],
                cwd=self.root,
                env=self.env,
                stdout=stream,
                stderr=stream,
            )
        if done.returncode:
            last = log.read_text().strip().splitlines()[-1:]
            raise ValueError(f'{words[0]} failed, see {log}: {"".join(last)}')

    def train(self, words: list[str], work: str, log: Path) -> None:
        """Train, or go on with what was interrupted."""
        if (
            not (self.root / work / 'budget.json').is_file()
            or not (self.root / work / 'student.pth').is_file()
        ):
            started = (self.root / work / 'last_checkpoint').is_file()
            self.call([*words, *(['--resume'] if started else [])], log)

    def prepare(self, name: str) -> None:
        """Make what a task needs and is not there."""
        for product, commands in TASKS[name].needs.items():
            target, stored = self.root / product, HERE / product
            log = self.root / 'work_dirs' / name / 'prepare.txt'
            if not target.exists() and stored.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(stored, target)
            for words in commands if not target.exists() else []:
                print(f'{name}: {" ".join(words)}', flush=True)
                if words[0] == 'train':
                    self.train(words, words[words.index('--work-dir') + 1], log)
                else:
                    self.call(words, log)

    def do(self, run: Run) -> None:
        """Train a method, score it and write its figures."""
        work, log = self.root / run.work, self.root / f'{run.work}.txt'
        print(f'{run.name}: started, output in {log}', flush=True)
        student = work / 'student.pth'
        stages = stages_of(run.config)
        if run.method == TEACHER:
            from mmgan_compress.models.student import Student

            os.chdir(self.root)  # where its weights are
            Student.from_config(run.config).save(student)
        elif stages:
            self.call(['pipeline', str(run.config), '--work-dir', run.work], log)
            student = sorted(work.glob('*/run/student.pth'))[-1]
        else:
            words = ['train', str(run.config), '--work-dir', run.work, '--seed', str(run.seed)]
            self.train(words, run.work, log)
        shown = str(student.relative_to(self.root))
        recipe = str(CONFIGS / run.task / f'{TEACHER}.py')
        self.call(
            ['report', recipe, f'{run.method}={shown}', '--out', f'{run.work}/report']
            + ['--overwrite'],
            log,
        )
        self.call(
            ['benchmark', shown, '--out', f'{run.work}/benchmark', '--threads', '1']
            + ['--overwrite', '--runtimes', *RUNTIMES],
            log,
        )
        write_run(run, self, student)
        print(f'{run.name}: done', flush=True)


def stages_of(config: Path) -> list[dict]:
    """Return the stages of a method, or nothing if it is one recipe."""
    from mmengine.config import Config

    return Config.fromfile(config).get('stages', [])


def recipe_digest(config: Path) -> str:
    """Return the sha256 of a recipe with all its bases; of several stages,
    of their recipes and of what is done between.
    """
    from mmgan_compress.core.configs import find_config, read_config

    stages = stages_of(config)
    files = [
        find_config(str(config.parent / stage['config'])) for stage in stages if 'config' in stage
    ]
    texts = [read_config(file).pretty_text for file in files or [str(config)]]
    # a folder of this machine is no part of a recipe
    text = '\n'.join([*texts, json.dumps(stages)]).replace(str(REPO), '')
    return hashlib.sha256(text.encode()).hexdigest()


def write_run(run: Run, worker: Worker, student: Path) -> None:
    """Gather the figures of a run in its JSON file, with a strip of pictures."""
    import importlib.metadata

    from mmgan_compress.core.files import write_text

    work = worker.root / run.work
    report = json.loads((work / 'report/report.json').read_text())
    row = report['rows'][-1]
    budgets = [json.loads(file.read_text()) for file in sorted(work.rglob('budget.json'))]
    timed = json.loads((work / 'benchmark/benchmark.json').read_text())
    data = worker.root / TASKS[run.task].data
    commit = subprocess.run(
        ['git', 'rev-parse', 'HEAD'], cwd=REPO, capture_output=True, text=True
    ).stdout.strip()
    figures = dict(
        task=run.task,
        method=run.method,
        seed=run.seed,
        recipe=dict(file=str(run.config.relative_to(REPO)), sha256=recipe_digest(run.config)),
        size=report['size'],
        data=json.loads((data / '.prepared.json').read_text()),
        params=row['params'],
        macs=row['macs'],
        macs_paper=row['macs_paper'],
        macs_protocol=_macs_line((work / 'report/report.md').read_text()),
        metrics=row['metrics'],
        protocols=report['protocols'],
        minutes=None if run.method == TEACHER else worker.minutes,
        cpu_minutes=round(sum(budget['cpu_minutes'] for budget in budgets), 2),
        iterations=sum(budget['iterations'] for budget in budgets),
        latency=dict(
            machine={k: timed['machine'][k] for k in ('cpu', 'cores', 'threads', 'load')},
            **{
                each['runtime']: {k: round(each['picture'][k], 3) for k in ('median_ms', 'iqr_ms')}
                for each in timed['rows']
                if each['runtime'] in RUNTIMES and not each['reason']
            },
        ),
        versions={name: importlib.metadata.version(name) for name in VERSIONS},
        commit=commit,
    )
    run.json.parent.mkdir(parents=True, exist_ok=True)
    if run.seed == 0:
        write_strip(run, worker.root, student)
    write_text(run.json, json.dumps(figures, indent=1) + '\n')


def _macs_line(report: str) -> str:
    """Return the line of a report that says how MACs were counted."""
    return report.partition('- MACs: ')[2].partition('\n')[0]


def write_strip(run: Run, root: Path, student: Path) -> None:
    """Draw a few test images as the student translates them, in a row."""
    import numpy as np
    from PIL import Image

    from mmgan_compress.engine.evaluate import read_recipe, recipe_images, source_of
    from mmgan_compress.inference.translator import Translator
    from mmgan_compress.models.student import student_info

    os.chdir(root)
    translator, info = Translator(str(student), threads=1), student_info(str(student))
    cfg = read_recipe(str(CONFIGS / run.task / f'{TEACHER}.py'), 'test_dataloader', info)
    source = source_of(info, info['default_domain'])
    images = recipe_images(cfg, 'test_dataloader', source, PICTURES)
    rows = {'': [translator.run(image[None])[0] for image in images]}
    if run.method == TEACHER:  # and what it translates, and the truth of pairs
        rows['-input'] = images
        if 'Paired' in cfg.test_dataloader.dataset.type:
            rows['-target'] = recipe_images(
                cfg, 'test_dataloader', info['default_domain'], PICTURES
            )
    for suffix, pictures in rows.items():
        Image.fromarray(np.concatenate(pictures, 1)).save(
            run.json.with_name(f'{run.method}{suffix}.png'), optimize=True
        )


def run_missing(args: argparse.Namespace) -> None:
    """Make and run what is missing.

    Raises:
        ValueError: At the end, if a run failed.
    """
    todo = [run for run in runs(args.only) if not run.json.is_file()]
    args.root.mkdir(parents=True, exist_ok=True)
    root, failed = args.root.resolve(), []
    for name in dict.fromkeys(run.task for run in todo):
        Worker(root, args.minutes or TASKS[name].minutes).prepare(name)

    def one(run: Run) -> None:
        # a process of its own: what it reads it reads in the root
        command = [
            sys.executable,
            str(HERE / 'leaderboard.py'),
            'one',
            run.name,
            '--root',
            str(root),
        ]
        minutes = str(args.minutes or TASKS[run.task].minutes)
        if subprocess.run([*command, '--minutes', minutes]).returncode:
            failed.append(run.name)

    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(one, todo))
    if failed:
        raise ValueError(f'failed: {", ".join(failed)}; the same command tries them again')


def show_status(args: argparse.Namespace) -> None:
    """Print what is done, what has begun and what is missing."""
    for run in runs(args.only):
        work = args.root / run.work
        done = run.json.is_file()
        begun = any(work.glob('**/last_checkpoint'))
        state = 'done' if done else 'begun' if begun else 'missing'
        minutes = f'{json.loads(run.json.read_text())["cpu_minutes"]:.1f} CPU min' if done else ''
        print(f'{run.name:32}{state:10}{minutes}'.rstrip())


# --- tables -----------------------------------------------------------------
def read_runs(folder: Path) -> Iterator[tuple[str, dict[str, list[dict]]]]:
    """Yield the figures of each task, by method.

    Raises:
        ValueError: If figures of a task cannot be compared.
    """
    for task in TASKS:
        methods: dict[str, list[dict]] = {}
        for method in TASKS[task].seeds:
            files = sorted((folder / task).glob(f'{method}-[0-9]*.json'))
            found = [json.loads(file.read_text()) for file in files]
            if found:
                methods[method] = found
        check_comparable(task, [figures for found in methods.values() for figures in found])
        if methods:
            yield task, methods


def check_comparable(task: str, found: list[dict]) -> None:
    """Refuse figures that were taken in different ways.

    Raises:
        ValueError: Names two runs and what differs.
    """
    seen: dict[tuple, tuple[str, object]] = {}
    for run in found:
        name = f'{run["method"]}-{run["seed"]}'
        facts = {
            ('size',): run['size'],
            ('split and data',): run['data'],
            ('MACs',): run['macs_protocol'],
            **{('protocol', key): text for key, text in run['protocols'].items()},
        }
        if run['method'] != TEACHER:
            facts['CPU minutes',] = run['minutes']
        for key, value in facts.items():
            other, first = seen.setdefault(key, (name, value))
            if value != first:
                raise ValueError(
                    f'{task}: {name} and {other} cannot stand in one table, '
                    f'they differ in {" of ".join(key)}: {value!r} and {first!r}'
                )


def make_table(args: argparse.Namespace) -> None:
    """Write docs/results.md and its pictures."""

    results.write(dict(read_runs(args.runs)), args.runs, args.out)
    print(args.out / 'results.md')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True)
    for name, work in dict(run=run_missing, status=show_status, one=run_one).items():
        sub = commands.add_parser(name, help=(work.__doc__ or '').partition('\n')[0])
        sub.set_defaults(work=work)
        sub.add_argument('--root', type=Path, default=Path('work_dirs/leaderboard'))
        if name == 'one':
            sub.add_argument('only', nargs=1)
        else:
            sub.add_argument('--only', nargs='+', default=[], metavar='TASK[/METHOD[/SEED]]')
        if name != 'status':
            sub.add_argument('--minutes', type=float, help='CPU minutes of training (default: 20)')
        if name == 'run':
            sub.add_argument('--jobs', type=int, default=1)
    sub = commands.add_parser('table', help='write docs/results.md')
    sub.set_defaults(work=make_table)
    sub.add_argument('--runs', type=Path, default=RUNS)
    sub.add_argument('--out', type=Path, default=REPO / 'docs')
    return parser.parse_args()


def run_one(args: argparse.Namespace) -> None:
    """Do one run."""
    Worker(args.root.resolve(), args.minutes).do(runs(args.only)[0])


if __name__ == '__main__':
    arguments = parse_args()
    sys.exit(guard(lambda: arguments.work(arguments)))
