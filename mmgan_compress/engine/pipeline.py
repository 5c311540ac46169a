"""Several commands as one: stages that run in order and are resumed.

A pipeline is a config file with a list of stages::

    stages = [
        dict(name='pretrain', run='train', config='pretrain.py'),
        dict(name='prune', run='compress', source='{pretrain}/student.pth',
             pruner='NormWidths', budget=['macs_paper=2.4e9'], size=256,
             demo=dict(budget=['macs_paper=4e6'], size=64)),
        dict(name='train', run='train', config='main.py',
             generator='{prune}/student.pth'),
        dict(name='export', run='export', source='{train}/student.pth')]

Stage ``prune`` works in ``WORK/2_prune/``: its results are in ``run/``, for
which ``{prune}`` stands, what it printed in ``log.txt``. ``demo`` replaces
keys under ``--demo``. For the student of a stage that is left out by
``--skip``, and was not made before, stands the one that the stage would have
started from. ``WORK/pipeline.json`` holds the progress: what is done is not
done again, and not overwritten: where what went into it has changed since,
the pipeline is refused.
"""
import json
import os
import shlex
import shutil
import sys
import time
from argparse import Namespace
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

from ..core.commands import AGAIN, one_line_errors
from ..core.files import write_text
from .jobs import is_locked, locked, run_logged
from .plan import MISTAKES, Step, read_pipeline, told


class Progress:
    """What has been done, in ``pipeline.json``.

    Entries by name of the stage: ``status`` (running, done, failed),
    ``started`` (of the last attempt), ``finished``, ``seconds`` (of all
    attempts but those that were killed outright), ``inputs``.

    Args:
        work (Path): Folder of the pipeline.

    Raises:
        ValueError: If the file cannot be read.
    """

    def __init__(self, work: Path):
        self.path, self.stages = work / 'pipeline.json', {}
        if self.path.is_file():
            try:
                self.stages = json.loads(self.path.read_text())['stages']
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f'{self.path} cannot be read ({error}): restore it, or '
                    'name another --work-dir') from error

    def of(self, step: Step) -> dict[str, Any]:
        """Return a stage's entry.

        A stage whose folder was moved away is to be done anew.
        """
        entry = self.stages.get(step.name)
        if entry is None or not (
                self.path.parent / entry['inputs']['place']).is_dir():
            return dict(status='pending', seconds=0)
        return entry

    def update(self, step: Step, **values):
        """Change a stage's entry; the file is replaced as a whole."""
        self.stages[step.name] = dict(self.of(step), **values)
        write_text(self.path,
                   json.dumps(dict(stages=self.stages), indent=2) + '\n')


@one_line_errors(stopped=AGAIN)
def run_pipeline(args: Namespace):
    """Run or show a pipeline.

    Args:
        args (Namespace): Command line of ``tools/pipeline.py``: ``config``,
            ``demo``, ``data_root``, ``work_dir``, ``from_stage``, ``skip``,
            ``status``, and the folder ``tools``.
    """
    work = Path(args.work_dir or os.path.join(
        'work_dirs', Path(args.config).stem + ('-demo' if args.demo else '')))
    steps = read_pipeline(args, work)
    chosen = _choose(steps, args)
    if args.status:
        print_status(steps, Progress(work), chosen, is_locked(work))
        return
    _check(steps, chosen, Progress(work))  # writes nothing
    with locked(work) as lock:
        progress = Progress(work)
        for step in steps:
            if step in chosen:
                _run(step, progress, lock)
            elif step.passes:
                print(f'== {step.name}: {_passing(step)}')
        print_status(steps, progress, chosen)


def _choose(steps: list[Step], args: Namespace) -> list[Step]:
    """Return the stages that ``--from`` and ``--skip`` leave."""
    names = [step.name for step in steps]
    for name in [*(args.skip or []), args.from_stage or names[0]]:
        if name not in names:
            raise ValueError(f'no stage {name!r}, stages are {names}')
    first = names.index(args.from_stage or names[0])
    return [step for step in steps[first:]
            if step.name not in (args.skip or [])]


def _check(steps: list[Step], chosen: list[Step], progress: Progress):
    """Refuse what cannot work or would mix old results with new."""
    for step in chosen:
        _check_unchanged(step, progress)
    todo = [step for step in chosen
            if progress.of(step)['status'] != 'done']
    owners, problems = {step.name: step.stage for step in todo}, []
    for step in todo:
        for file in step.files:
            why = None
            if file.owner in owners:
                why = owners[file.owner].lacks(file.path.name)
            elif not file.path.exists():
                why = f': stage {file.owner!r} is left out or wrote none' \
                    if file.owner else ''
            if why is not None:
                problems.append(f'stage {step.name!r}: no file '
                                f'{str(file.path)!r}{why}')
        try:
            step.check()
        except MISTAKES as error:
            problems.append(told(step.name, error))
    if problems:
        raise ValueError('\n  '.join(['nothing was run:', *problems]))


def _check_unchanged(step: Step, progress: Progress):
    """Refuse to go on from results that were made of something else."""
    entry = progress.of(step)
    done = entry['status'] == 'done'
    if 'inputs' not in entry and step.folder.is_dir() and \
            os.listdir(step.folder):
        raise ValueError(
            f'{step.folder} holds files that this pipeline has not made: '
            f'leave stage {step.name!r} out (--skip, --from), or move them '
            'away')
    if not done and not step.has_results():
        return
    old, new = entry['inputs'], step.inputs()
    changes = [_change(key, old.get(key), new.get(key))
               for key in {**old, **new} if old.get(key) != new.get(key)]
    if changes:
        state = 'done' if done else 'half done'
        raise ValueError(
            f'stage {step.name!r} is {state} with other inputs than now, so '
            'neither it nor later stages can run:\n  '
            + '\n  '.join(changes)
            + '\nIts results are kept. Restore the inputs, name another '
            f'--work-dir, or move {step.folder} away to do it anew')
    if done and not step.result.is_file():
        raise ValueError(f'stage {step.name!r} is done, but its '
                         f'{step.result} is gone: leave the stage out (--skip,'
                         f' --from), or move {step.folder} away to do it anew')


def _change(key: str, old: Any, new: Any) -> str:
    """Say in which way an input changed."""
    if key.startswith(('file ', 'contents of ')):  # the value is a hash
        return f'{key}: ' + ('new' if old is None else
                             'gone' if new is None else 'changed')
    return f'{key}: {old!r} -> {new!r}'


def _passing(step: Step) -> str:
    """Say what stands for the student of a skipped stage."""
    return f'left out, {step.passes} stands for its student'


def _run(step: Step, progress: Progress, lock: IO):
    """Run a stage unless it is done."""
    _check_unchanged(step, progress)  # before the lock, another could run
    entry = progress.of(step)
    if entry['status'] == 'done':
        print(f'== {step.name}: done already')
        return
    print(f'== {step.name}: works in {step.folder}')
    began, status = time.monotonic(), 'failed'
    step.folder.mkdir(exist_ok=True)
    progress.update(step, status='running', started=_now().isoformat(),
                    finished=None, inputs=step.inputs())
    try:
        _execute(step, lock)
        status = 'done'
        print(f'== {step.name}: done, its results are in {step.out}')
    except KeyboardInterrupt:
        status = 'running'  # shown as interrupted: nobody holds the lock
        raise
    except MISTAKES as error:
        raise ValueError(
            f'{told(step.name, error)}\nWhen that is mended, continue with'
            '\n  python ' + shlex.join(sys.argv)) from error
    finally:
        progress.update(
            step, status=status,
            finished=None if status == 'running' else _now().isoformat(),
            seconds=entry['seconds'] + time.monotonic() - began)


def _execute(step: Step, lock: IO):
    """Run a stage's command.

    One that cannot resume writes into ``part/``, which becomes ``run/`` when
    it is complete.
    """
    stage, out = step.stage, step.out
    if not stage.resumes:
        if out.exists():  # complete; the pipeline was killed just then
            return
        out = step.folder / 'part'
        shutil.rmtree(out, ignore_errors=True)
    stage.prepare()
    resume = stage.resumes and step.has_results()
    code = run_logged([sys.executable, *stage.command(out, resume)],
                      step.log, lock)
    if code:
        raise ValueError(f'its command ended with status {code}; what it '
                         f'printed is in {step.log}')
    if not (out / stage.result).is_file():
        raise ValueError(f'its command left no {out / stage.result}; what it '
                         f'printed is in {step.log}')
    if out != step.out:
        os.replace(out, step.out)


def print_status(steps: list[Step], progress: Progress, chosen: list[Step],
                 live: bool = False):
    """Print a table of the stages.

    Args:
        steps (list[Step]): All stages.
        progress (Progress): What has been done.
        chosen (list[Step]): Those that are not left out.
        live (bool): Whether a process works on them now.
    """
    rows = [('stage', 'status', 'time', 'result')]
    for step in steps:
        entry = progress.of(step)
        status, seconds = entry['status'], entry['seconds']
        if status == 'running' and live:
            started = datetime.fromisoformat(entry['started'])
            seconds += (_now() - started).total_seconds()
        elif status == 'running':
            status = 'interrupted'
        elif status == 'pending' and step not in chosen:
            status = 'left out'
        shown = step.result if status == 'done' else step.log
        if status == 'left out' and step.passes:
            status = _passing(step)
        rows.append((
            step.name, status,
            str(timedelta(seconds=round(seconds))) if seconds else '',
            str(shown) if shown.is_file() else ''))
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print('  '.join(map(str.ljust, row, widths)).rstrip())


def _now() -> datetime:
    return datetime.now().astimezone().replace(microsecond=0)
