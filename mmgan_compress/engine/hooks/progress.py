"""What one sees of a run: what will happen, and how far it is."""

import shutil
import sys
import time
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook, LoggerHook
from tqdm import tqdm

from ...core import units
from ...core.channels import input_shape
from ...core.complexity import count_macs, count_params
from ...datasets.translation import TranslationImages
from ...registry import HOOKS
from ..results import StudentHook
from ..resume import unwrap

# what the console calls the phases of the schedule
_PHASES = dict(joint='training', teacher='teacher', student='student')
_BAR = '{desc} {percentage:3.0f}%|{bar:10}| {n_fmt}/{total_fmt}{postfix}'


@HOOKS.register_module()
class ProgressHook(Hook):
    """Show what a run will do, and then how far it is.

    Before the first iteration it prints three lines: the data, the networks
    with their sizes, and the schedule. From then on a terminal has a
    progress bar; other outputs get a line at the first iteration and at
    every interval. Both show the phase, the sum of the generators' losses
    (the mean since the last line), the metric that chooses the best
    student, and the time left.

    The log file and ``vis_data`` have every loss: see mmengine's
    ``LoggerHook``.

    Args:
        interval (int | None): Iterations between two lines; that of the
            run's ``LoggerHook`` if None.
    """

    # behind the clock, before the hooks that print the results
    priority = 'BELOW_NORMAL'

    def __init__(self, interval: int | None = None):
        self.interval = interval
        self._bar: tqdm | None = None

    def before_train(self, runner):
        if not is_main_process():
            return
        logging = [hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)]
        self.interval = self.interval or [*logging, 100][0]
        choosing = [hook.metric for hook in runner.hooks if isinstance(hook, StudentHook)]
        self._metric = [*choosing, None][0]
        self._first, self._clock = runner.iter, time.monotonic()
        # by phase the seconds of its iterations, and their number
        self._taken = {phase: [0.0, 0] for phase in ('teacher', 'student')}
        for line in plan_of(runner):
            _print(line)
        if sys.stderr.isatty():
            # not by tqdm, which shows nothing on a terminal without a size
            width, height = shutil.get_terminal_size()
            place = dict(bar_format=_BAR, ncols=width, nrows=height)
            self._bar = tqdm(total=runner.max_iters, initial=runner.iter, **place)
            self._draw(runner, 'starting')

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if not is_main_process():
            return
        done, now = runner.iter + 1, time.monotonic()
        student = runner.train_loop.schedule.phase(runner.iter) == 'student'
        taken = self._taken['student' if student else 'teacher']
        taken[0] += now - self._clock
        taken[1] += 1
        self._clock = now
        if self._bar is not None:
            self._bar.set_postfix_str(self._state(runner, outputs), False)
            self._bar.set_description_str(self._phase(runner), False)
            self._bar.ncols = shutil.get_terminal_size().columns
            self._bar.update()
        elif done == self._first + 1 or not done % self.interval:
            where = f'iteration {done}/{runner.max_iters}'
            _print(f'{where}  {self._phase(runner)}  {self._state(runner, outputs)}')

    def before_val_epoch(self, runner):
        self._draw(runner, 'validation')

    def after_train(self, runner):
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _draw(self, runner, what: str):
        if self._bar is not None:
            self._bar.set_description_str(what)

    @staticmethod
    def _phase(runner) -> str:
        schedule = runner.train_loop.schedule
        return _PHASES[schedule.phase(runner.iter)]

    def _state(self, runner, outputs: dict | None) -> str:
        """Return losses, metric and time left."""
        hub, parts = runner.message_hub, []
        losses = [name for name in outputs or {} if name.startswith('loss') and 'disc' not in name]
        if losses:
            total = sum(hub.get_scalar(f'train/{name}').mean(self.interval) for name in losses)
            parts.append(f'loss {total:.4g}')
        # before the metric, which a narrow terminal cuts off
        parts.append(f'{units.duration(self._left(runner))} left')
        if f'val/{self._metric}' in hub.log_scalars:
            value = hub.get_scalar(f'val/{self._metric}').current()
            best = (hub.runtime_info.get('best_student') or {}).get(self._metric.partition('/')[0])
            shown = '' if best is None else f' (best {best:.4g})'
            parts.append(f'{self._metric} {value:.4g}{shown}')
        return '  '.join(parts)

    def _left(self, runner) -> float:
        """Return the seconds left, by the mean pace of each phase.

        Validation counts as a part of the iteration that follows it. A phase
        that has not begun is taken to be as fast as the others. A hook that
        ends the run by another clock says so: ``seconds_left`` in the message
        hub.
        """
        told = runner.message_hub.runtime_info.get('seconds_left')
        if told is not None:
            return float(told)
        overall = [sum(parts) for parts in zip(*self._taken.values())]
        seconds = 0.0
        for phase, count in runner.train_loop.schedule.remaining(runner.iter).items():
            taken, done = self._taken[phase] if self._taken[phase][1] else overall
            seconds += count * taken / done
        return seconds


def _print(line: str):
    tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()


def plan_of(runner) -> list[str]:
    """Say what a run is about to do.

    Args:
        runner (Runner): That is about to train.

    Returns:
        list[str]: Three lines: data, networks, schedule.
    """
    told = dict(data=_data(runner), networks=_networks(runner), schedule=_schedule(runner))
    return [f'{name:10} {text}' for name, text in told.items()]


def _data(runner) -> str:
    """Return folder and number of images of each split."""
    train = runner.train_dataloader.dataset
    counts = [f'train {_images(train)}']
    if runner.val_loop is not None:
        counts.append(f'val {_images(runner.val_loop.dataloader.dataset)}')
    test = (runner.cfg.get('test_dataloader') or {}).get('dataset')
    counts.append('test at the end' if test else 'no test split')
    return f'{getattr(train, "data_root", type(train).__name__)}: ' + ', '.join(counts)


def _images(dataset) -> str:
    if not isinstance(dataset, TranslationImages):
        return f'{len(dataset)} images'
    if dataset.aligned:
        return f'{len(dataset)} pairs'
    return ' + '.join(
        f'{len(files)} {domain}' for domain, files in zip(dataset.domains, dataset.files_by_side())
    )


def _networks(runner) -> str:
    """Return teachers and student with parameters, MACs and ratio."""
    model = unwrap(runner.model)
    domain = model._default_domain
    size = getattr(runner.train_dataloader.dataset, 'size', 256)

    def measured(name: str) -> tuple[str, int]:
        network = model.network(name, domain)
        macs = count_macs(network, input_shape(network, size)).macs
        params = units.count(count_params(network), 3)
        return f'{name} {params} parameters, {units.count(macs, 3)} MACs', macs

    teachers = [measured(name) for name in model.distiller.reported_teachers]
    text, macs = measured('student')
    if teachers and macs:
        text += f' ({teachers[0][1] / macs:.1f}x fewer)'
    return '; '.join([*(line for line, _ in teachers), text]) + f' at {size}x{size}'


def _schedule(runner) -> str:
    """Return the phases, and when the networks are validated."""
    loop = runner.train_loop
    schedule = loop.schedule
    parts = f'{schedule.total_iters} iterations'
    if schedule.student_epochs:
        parts += (
            f': {schedule.blocks} x ({schedule.block} epochs of the '
            f'teacher, {schedule.student_epochs} of the student)'
        )
    every = min(loop.val_interval, schedule.total_iters)
    parts += ', no validation' if runner.val_loop is None else f', validation every {every}'
    return f'{parts}; files in {Path(runner.work_dir)}'
