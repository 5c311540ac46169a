"""Several commands as one: stages that run in order and are resumed.

A pipeline is a config file with a list of stages::

    stages = [
        dict(name='pretrain', run='train', config='pretrain.py'),
        dict(name='prune', run='prune', source='{pretrain}/student.pth',
             pruner='NormWidths', budget=['macs_paper=2.4e9'], size=256,
             demo=dict(budget=['macs_paper=4e6'], size=64)),
        dict(name='train', run='train', config='main.py',
             generator='{prune}/student.pth'),
        dict(name='export', run='export', source='{train}/student.pth')]

``run`` names a command of ``mmgan-compress``; the other keys are its options,
which its own parser checks. A training also takes ``cfg_options`` (dict, by
dotted key), ``generator`` (student file whose networks it trains, with new
weights) and ``inherit=True`` (with the weights of that file).

Stage ``prune`` works in ``WORK/2_prune/``: its results are in ``run/``, for
which ``{prune}`` stands, and its output is in ``log.txt``. ``demo`` replaces
keys under ``--demo``. If a stage is skipped and has no result, later stages
use its input student. ``WORK/pipeline.json`` holds the progress: a stage that
is done does not run again, and if its inputs have changed since, the pipeline
is refused.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from ..core.commands import command_line
from ..core.configs import find_config, map_texts, read_config
from ..core.files import write_text
from ..core.messages import message_of
from ..core.tables import plain
from ..datasets.fetch import sha256_of
from ..models.from_student import FROM_STUDENT
from ..registry import find_pruner
from .check_config import LOADERS, check_inputs
from .input_files import starting_files
from .processes import is_locked, locked, run_logged
from .results import LAST
from .runner_builder import has_run, load_config

_REFERENCE = re.compile(r'\{(\w+)\}')
# Errors of one stage; the others are still checked.
_MISTAKES = (ValueError, FileNotFoundError, KeyError, ImportError)
# Options that the pipeline itself sets.
_OWN = {'data_root', 'out', 'overwrite', 'resume', 'work_dir'}
Parse = Callable[[list[str]], Namespace]


@dataclass(frozen=True)
class Command:
    """What a pipeline has to know of a command.

    Args:
        words (tuple[str]): Keys of its positional arguments, in order.
        result (str): File in its output folder when it is done.
        student (str): Key that names the student file or files to read.
        passes (bool): Whether later stages use that student if the stage is
            skipped; if not, they cannot do without it.
        out (str): Option that names its output folder.
        resume (tuple[str] | None): Arguments to continue in that folder;
            None: it cannot, and starts again.
        loaders (tuple[str]): Data loaders of ``config`` that it reads.
    """

    words: tuple[str, ...] = ('source',)
    result: str = LAST
    student: str = 'source'
    passes: bool = False
    out: str = 'out'
    resume: tuple[str, ...] | None = None
    loaders: tuple[str, ...] = ()


COMMANDS = {
    'train': Command(('config',), LAST, 'generator', True, 'work_dir', ('--resume',), LOADERS),
    'prune': Command(passes=True),
    'search': Command(('config', 'source'), resume=(), loaders=LOADERS[:2]),
    'quantize': Command(result='quantize.json'),
    'export': Command(result='parity.json'),
    'report': Command(('config', 'students'), 'report.md', 'students', loaders=LOADERS[2:]),
}


class Step:
    """A stage at its place in the pipeline.

    Args:
        name (str): Its name.
        spec (dict): Its keys as in the config, for the command line.
        outs (dict[str, Path]): Folders for which ``{stage}`` stands.
        base (Path): Folder of the pipeline's config.
        parse (Callable): Parses the words of a command, its name first.

    Raises:
        ValueError: If its command refuses its keys.
        FileNotFoundError: If a config is missing.
    """

    def __init__(self, name: str, spec: dict, outs: dict[str, Path], base: Path, parse: Parse):
        if spec['run'] not in COMMANDS:
            raise ValueError(f'it has run={spec["run"]!r}, choose one of {sorted(COMMANDS)}')
        self.name, self.spec, self.out = name, spec, outs[name]
        self.command, self.folder = COMMANDS[spec['run']], self.out.parent
        self.log, self.result = self.folder / 'log.txt', self.out / self.command.result
        self.passes = ''  # says what later stages read if it is skipped
        # A reference reaches to the end of its text: 'weights={a}/b.pth'.
        students = _texts(spec.get(self.command.student))
        self.files = {
            name: Path(_resolve(name, outs))
            for text in _texts(spec)
            if _REFERENCE.search(text) or text in students
            for name in [re.sub(r'^.*?(?=\{\w+\})', '', text)]
        }
        self.keys = {key: _resolve(value, outs) for key, value in spec.items() if key != 'run'}
        self.contents: dict[str, str] = {}
        self.starts: list[str] = []  # files that its recipe begins with
        self.recipe = self.generator = None  # the second replaces that of the first
        for key, name in self.keys.items():  # beside the pipeline, or by the file name
            if key == 'config' or key != self.command.student and str(name).endswith('.py'):
                self._read_config(key, str(base / name) if (base / name).is_file() else name)
        if spec['run'] == 'train':
            self._change_recipe()
        elif self.recipe:
            self.recipe.model.distiller = None  # no teacher is needed
        printed = io.StringIO()
        try:
            with contextlib.redirect_stderr(printed):
                self.args = parse([spec['run'], *self.arguments(self.out)])
        except SystemExit as error:
            text = (printed.getvalue() or str(error.code)).rpartition('error: ')[2].strip()
            raise ValueError(f'{text} (see mmgan-compress {spec["run"]} -h)') from error

    def _read_config(self, key: str, name: str):
        """Read what an option names; all of it is an input."""
        named, self.keys[key] = self.spec[key], find_config(name)
        if key == 'config':
            cfg = self.recipe = load_config(Namespace(**{**self.keys, 'cfg_options': None}))
        else:
            cfg = read_config(self.keys[key])
        text = repr(cfg.to_dict()).encode()
        self.contents[f'contents of {named}'] = hashlib.sha256(text).hexdigest()

    def _change_recipe(self):
        """Put the keys that no option of the command is for into a recipe
        of its own.
        """
        own = ('generator', 'inherit', 'cfg_options')
        generator, inherit, options = (self.keys.pop(key, None) for key in own)
        self.keys.update(demo=None, data_root=None)
        if inherit and not generator:
            raise ValueError(
                'inherit=True takes the weights of a student '
                "file: name it, generator='{stage}/student.pth'"
            )
        if not self.recipe:
            return  # the command's parser asks for it
        self.recipe.merge_from_dict(options or {})
        self.starts = starting_files(self.recipe)
        if generator:  # an earlier stage may have to write it first
            self.generator = dict(type=FROM_STUDENT, file=generator, weights=bool(inherit))
        self.keys['config'] = str(self.folder / 'recipe.py')

    def arguments(self, out: Path, resume: bool = False) -> list[str]:
        """Return the words of the command that writes into ``out`` or
        continues there.
        """
        keys = {**self.keys, self.command.out: out}
        words = [word for key in self.command.words for word in _words(keys.pop(key, None))]
        for key, value in keys.items():
            if value is not False and _words(value):
                words.append('--' + key.replace('_', '-'))
                words += [] if value is True else _words(value)
        return [*words, *(self.command.resume if resume else ())]

    def inputs(self) -> dict[str, Any]:
        """Return by name all that its results depend on, as plain JSON."""
        starts = {file: Path(file) for file in self.starts if Path(file).is_file()}
        files = {f'file {text}': _digest(path) for text, path in {**starts, **self.files}.items()}
        inputs = {'place': self.folder.name, **self.spec, **self.contents, **files}
        return json.loads(json.dumps(inputs, default=repr))

    def faults(self, writing: dict[str, 'Step']) -> Iterator[str]:
        """Yield what would stop the stage, before anything runs; ``writing``
        holds the stages that will, by name.
        """
        for text, path in self.files.items():
            owner = _REFERENCE.match(text)
            if not (owner and owner[1] in writing or path.exists()):
                of = f': stage {owner[1]!r} is left out or wrote none' if owner else ''
                yield f'no file {str(path)!r}{of}'
        # What else earlier stages write is checked by the command.
        others = {key: value for key, value in self.spec.items() if key != self.command.student}
        if any(map(_REFERENCE.search, _texts(others))):
            return
        try:
            if self.recipe:
                check_inputs(self.recipe, self.command.loaders)
            if 'pruner' in self.keys:
                find_pruner(self.args.pruner, bool(self.args.budget))
        except _MISTAKES as error:
            yield message_of(error)

    def execute(self, lock: IO):
        """Run the command, anew where it cannot resume.

        Raises:
            ValueError: If it fails.
        """
        resume = self.can_resume()
        if self.command.resume is None:  # what is there is a part of a result
            shutil.rmtree(self.out, ignore_errors=True)
        if self.recipe and self.spec['run'] == 'train':
            if self.generator:
                self.recipe.model.generator = self.generator
            write_text(
                self.keys['config'],
                f'# Made of {self.spec["config"]} by mmgan-compress pipeline, which writes it '
                f'again:\n# copy it to change it.\n{self.recipe.pretty_text}',
            )
        command = command_line(self.spec['run'], *self.arguments(self.out, resume))
        code = run_logged(command, self.log, lock)
        if code or not self.result.is_file():
            what = f'ended with status {code}' if code else f'left no {self.result}'
            raise ValueError(f'its command {what}; what it printed is in {self.log}')

    def can_resume(self) -> bool:
        """Tell whether something is there that its command goes on from."""
        return self.command.resume is not None and has_run(str(self.out))


def _texts(value: Any) -> list[str]:
    """Return every text inside lists and dicts."""
    texts: list[str] = []
    map_texts(texts.append, value)
    return texts


def _resolve(value: Any, outs: dict[str, Path]) -> Any:
    """Put folders in place of ``{stage}``, in lists and dicts too."""
    return map_texts(lambda text: _REFERENCE.sub(lambda match: str(outs[match[1]]), text), value)


def _words(value: Any) -> list[str]:
    """Return the values of an option as words of a command line."""
    if isinstance(value, dict):
        return [f'{key}={item}' for key, item in value.items()]
    values = value if isinstance(value, (list, tuple)) else [value]
    return [str(item) for item in values if item is not None]


def _digest(path: Path) -> str | None:
    """Hash a file, or all files of a folder; None if it does not exist."""
    if path.is_dir():
        files = sorted(file for file in path.rglob('*') if file.is_file())
        return ' '.join(f'{file.relative_to(path)}={sha256_of(file)}' for file in files)
    return sha256_of(path) if path.is_file() else None


def read_pipeline(args: Namespace, work: Path, parse: Parse) -> list[Step]:
    """Read the stages of a pipeline.

    Args:
        args (Namespace): Command line of ``mmgan-compress pipeline``.
        work (Path): Folder of the pipeline.
        parse (Callable): As of :func:`run_pipeline`.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: With all that is wrong in its stages.
    """
    path = Path(find_config(args.config))
    specs = read_config(str(path)).to_dict().get('stages')
    if not specs or not isinstance(specs, (list, tuple)):
        raise ValueError(
            f"{path} is no pipeline: expected stages = [dict(name='prune', run='prune', ...), ...]"
        )
    names = [spec.get('name') if isinstance(spec, dict) else None for spec in specs]
    for index, name in enumerate(names):
        if not isinstance(name, str) or not re.fullmatch(r'\w+', name):
            expected = 'expected name= of letters, digits and _'
            raise ValueError(f'{path}: a stage is called {name!r}, {expected}')
        if name in names[:index]:
            raise ValueError(f'{path}: two stages are called {name!r}')
    outs = {name: work / f'{index}_{name}' / 'run' for index, name in enumerate(names, 1)}
    steps, faults, skipped = [], [], {}
    for index, (name, spec) in enumerate(zip(names, specs)):
        try:
            spec = _spec_of(spec, args, names[:index], skipped)
            step = Step(name, spec, outs, path.parent, parse)
        except _MISTAKES as error:
            faults.append(f'stage {name!r}: {message_of(error)}')
            continue
        steps.append(step)
        if name in (args.skip or []) and not step.result.exists():
            skipped[name] = step.command.passes and spec.get(step.command.student)
            if skipped[name]:
                step.passes = f'left out, {skipped[name]} stands for its student'
    if faults:
        raise ValueError('\n  '.join([f'{path} cannot run:', *faults]))
    return steps


def _spec_of(
    spec: dict, args: Namespace, earlier: list[str], skipped: dict[str, str | None]
) -> dict:
    """Return the keys of a stage under the command line. ``skipped`` holds
    the earlier stages without a result and the student that replaces it.
    """
    spec = dict(spec, **(spec.get('demo', {}) if args.demo else {}))
    spec = {key: value for key, value in spec.items() if key not in ('name', 'demo')}
    spec['run'] = 'prune' if spec.get('run') == 'compress' else spec.get('run')  # as of before
    own = sorted(_OWN & spec.keys())
    if own:
        raise ValueError(f'the pipeline itself sets {own}: leave them out')
    for text in _texts(spec):
        for other in set(_REFERENCE.findall(text)) - set(earlier):
            raise ValueError(f'{text!r}: {other!r} is no earlier stage, these are {earlier}')
    if isinstance(spec.get('students'), dict):  # rows of a table
        spec['students'] = {
            row: file
            for row, file in spec['students'].items()
            if not skipped.keys() & set(_REFERENCE.findall(file))
        }

    def replaced(text: str) -> str:
        match = re.fullmatch(r'(.*)\{(\w+)\}/student(?:_best)?\.pth', text)
        passed = match and skipped.get(match[2])
        return match[1] + passed if passed else text

    return dict(map_texts(replaced, spec), demo=args.demo, data_root=args.data_root)


class Progress:
    """What ``pipeline.json`` says of each stage: its ``status`` (running,
    done, failed), ``started`` (last attempt), ``seconds`` (all attempts) and
    ``inputs``.
    """

    def __init__(self, work: Path):
        self.path = work / 'pipeline.json'
        try:
            self.entries = json.loads(self.path.read_text())['stages'] if self.path.exists() else {}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f'{self.path} cannot be read ({error}): restore it, or name another --work-dir'
            ) from error

    def of(self, step: Step) -> dict[str, Any]:
        """Return that of a stage; without its folder it runs again."""
        entry = self.entries.get(step.name)
        if entry and (step.folder.parent / entry['inputs']['place']).is_dir():
            return entry
        return dict(status='pending', seconds=0)

    def update(self, step: Step, **values):
        """Change that of a stage; the file is replaced as a whole."""
        self.entries[step.name] = dict(self.of(step), **values)
        write_text(self.path, json.dumps(dict(stages=self.entries), indent=2) + '\n')

    def check(self, step: Step):
        """Refuse to go on from results that were made of something else."""
        entry, name, anew = self.of(step), step.name, f'move {step.folder} away to do it anew'
        done, old = entry['status'] == 'done', entry.get('inputs')
        if old is None and step.folder.is_dir() and os.listdir(step.folder):
            raise ValueError(
                f'{step.folder} holds files that this pipeline has not made: leave stage '
                f'{name!r} out (--skip, --from), or move them away'
            )
        if not done and not step.can_resume():
            return
        new = step.inputs()
        changes = [
            _change(key, old.get(key), new.get(key))
            for key in {**old, **new}
            if old.get(key) != new.get(key)
        ]
        if changes:
            state = 'done' if done else 'half done'
            head = f'stage {name!r} is {state} with other inputs than now, so neither it nor'
            raise ValueError(
                '\n  '.join([f'{head} later stages can run:', *changes])
                + f'\nRestore the inputs, name another --work-dir, or {anew}'
            )
        if done and not step.result.is_file():
            raise ValueError(
                f'stage {name!r} is done, but its {step.result} is gone: '
                f'leave the stage out (--skip, --from), or {anew}'
            )

    def table(self, steps: list[Step], chosen: list[Step], live: bool = False) -> str:
        """Return a table of the stages; ``live``: a process works on them
        now.
        """
        rows = [('stage', 'status', 'time', 'result')]
        for step in steps:
            entry = self.of(step)
            status, seconds = entry['status'], entry['seconds']
            if status == 'running' and live:
                seconds += time.time() - entry['started']
            elif status == 'running':
                status = 'interrupted'
            elif status == 'pending' and step not in chosen:
                status = step.passes or 'left out'
            taken = str(timedelta(seconds=round(seconds))) if seconds else ''
            shown = step.result if status == 'done' else step.log
            rows.append((step.name, status, taken, str(shown) if shown.is_file() else ''))
        return plain(rows, words=len(rows[0]))


def _change(key: str, old: Any, new: Any) -> str:
    """Say in which way an input changed."""
    if key.startswith(('file ', 'contents of ')):  # the value is a hash
        return f'{key}: ' + ('new' if old is None else 'gone' if new is None else 'changed')
    return f'{key}: {old!r} -> {new!r}'


def run_pipeline(args: Namespace, parse: Parse):
    """Run or show a pipeline.

    Args:
        args (Namespace): Command line of ``mmgan-compress pipeline``:
            ``config``, ``demo``, ``data_root``, ``work_dir``, ``from_stage``,
            ``skip``, ``status``.
        parse (Callable): Parses the words of a command, its name first, and
            raises ``SystemExit`` with what it prints if they are wrong.
    """
    stem = Path(args.config).stem + ('-demo' if args.demo else '')
    work = Path(args.work_dir or os.path.join('work_dirs', stem))
    steps = read_pipeline(args, work, parse)
    names = [step.name for step in steps]
    first, skip = args.from_stage or names[0], args.skip or []
    for name in [*skip, first]:
        if name not in names:
            raise ValueError(f'no stage {name!r}, stages are {names}')
    chosen = [step for step in steps[names.index(first) :] if step.name not in skip]
    progress = Progress(work)
    if args.status:
        print(progress.table(steps, chosen, is_locked(work)))
        return
    for step in chosen:
        progress.check(step)
    todo = {step.name: step for step in chosen if progress.of(step)['status'] != 'done'}
    faults = [
        f'stage {name!r}: {fault}' for name, step in todo.items() for fault in step.faults(todo)
    ]
    if faults:
        raise ValueError('\n  '.join(['nothing was run:', *faults]))
    with locked(work) as lock:
        progress = Progress(work)  # before the lock, another could run
        for step in steps:
            if step in chosen:
                _run(step, progress, lock)
            elif step.passes:
                print(f'== {step.name}: {step.passes}')
        print(progress.table(steps, chosen))


def _run(step: Step, progress: Progress, lock: IO):
    """Run a stage unless it is done."""
    progress.check(step)
    entry = progress.of(step)
    if entry['status'] == 'done':
        print(f'== {step.name}: done already')
        return
    print(f'== {step.name}: works in {step.folder}')
    began, status = time.time(), 'failed'
    step.folder.mkdir(exist_ok=True)
    progress.update(step, status='running', started=began, inputs=step.inputs())
    try:
        step.execute(lock)
        status = 'done'
        print(f'== {step.name}: done, its results are in {step.out}')
    except KeyboardInterrupt:
        status = 'running'  # shown as interrupted: nobody holds the lock
        raise
    except _MISTAKES as error:
        raise ValueError(
            f'stage {step.name!r}: {message_of(error)}\nWhen that is mended, '
            'run the same command again to continue'
        ) from error
    finally:
        progress.update(step, status=status, seconds=entry['seconds'] + time.time() - began)
