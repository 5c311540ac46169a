"""A training run that lasts a given time of the processor."""

import json
import os
import time

from mmgan_compress.core.files import write_text
from mmgan_compress.engine.hooks import ScheduledLRHook
from mmgan_compress.registry import HOOKS

MINUTES = 'LEADERBOARD_MINUTES'  # environment variable
FILE = 'budget.json'


@HOOKS.register_module()
class BudgetHook(ScheduledLRHook):
    """End training when the process has used its CPU time.

    The learning rate is constant for half of the budget and then falls to 0
    in a straight line, whatever else runs on the machine. A resumed run goes
    on counting. ``budget.json`` in the work dir says what was used.

    Time that worker processes use is not counted: set ``num_workers=0``.

    Args:
        minutes (float | None): CPU minutes of the whole method; None for the
            environment variable ``LEADERBOARD_MINUTES``, or else 20.
        share (float): Part of it that this run gets, in a method that trains
            in several stages.
        constant (float): Part of the run before the rate falls.

    Raises:
        ValueError: If the minutes are not positive.
    """

    def __init__(
        self, minutes: float | None = None, share: float = 1.0, constant: float = 0.5, **kwargs
    ):
        super().__init__(**kwargs)
        self.seconds = share * 60 * float(minutes or os.environ.get(MINUTES) or 20)
        if self.seconds <= 0:
            raise ValueError(f'a budget of {self.seconds} s: expected more than 0')
        self.share_constant, self._before, self._start = constant, 0.0, 0.0

    def used(self) -> float:
        """Return the CPU seconds that training has used, of all its parts."""
        return self._before + time.process_time() - self._start

    def before_train(self, runner):
        super().before_train(runner)
        self._start = time.process_time()

    def factor(self, name, schedule, iteration):
        if name in self.constant:
            return 1.0
        past = self.used() / self.seconds - self.share_constant
        return 1 - min(1.0, max(0.0, past / (1 - self.share_constant)))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        runner.message_hub.update_info('seconds_left', max(0.0, self.seconds - self.used()))
        if self.used() >= self.seconds:
            runner.train_loop.stop_training = True
            self._write(runner)

    def _write(self, runner):
        """Say what was used; keep the networks that the budget ended with."""
        figures = dict(
            cpu_minutes=round(self.used() / 60, 3),
            budget_minutes=round(self.seconds / 60, 3),
            iterations=runner.iter + 1,
        )
        write_text(os.path.join(runner.work_dir, FILE), json.dumps(figures) + '\n')
        runner.save_checkpoint(
            runner.work_dir,
            'final.pth',
            save_optimizer=False,
            save_param_scheduler=False,
            by_epoch=False,
        )

    def before_save_checkpoint(self, runner, checkpoint: dict):
        checkpoint['cpu_seconds'] = self.used()

    def after_load_checkpoint(self, runner, checkpoint: dict):
        if runner.cfg.resume:
            self._before = float(checkpoint.get('cpu_seconds', 0))
