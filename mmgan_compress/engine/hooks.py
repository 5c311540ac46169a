"""Schedules as small hooks."""
from collections.abc import Sequence
from typing import Optional, Union

from mmengine.hooks import Hook

from ..evaluation.report import check_names, evaluate
from ..registry import HOOKS
from .state import preserved_rng, unwrap


@HOOKS.register_module()
class ScheduledLRHook(Hook):
    """Set every learning rate to its base times the schedule's factor."""

    def before_train(self, runner):
        for wrapper in runner.optim_wrapper.values():
            for group in wrapper.param_groups:
                group.setdefault('initial_lr', group['lr'])

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        factor = runner.train_loop.schedule.lr_factor(runner.iter)
        for wrapper in runner.optim_wrapper.values():
            for group in wrapper.param_groups:
                group['lr'] = group['initial_lr'] * factor


@HOOKS.register_module()
class TeacherSelectionHook(Hook):
    """Score the teacher at the end of its phase and keep the best.

    Args:
        metrics (dict[str, Sequence[str]]): By distilled domain the metrics
            that select its generator: one of its own by default. With those
            of both directions it is kept when *either* improves, as OMGD
            published it.
        evaluator (dict | list | None): Metrics to compute; the run's
            validation metrics if None.
        domains (list[str] | None): Directions to generate for them.
        lower_is_better (bool): Whether the metrics are distances.
    """

    def __init__(self,
                 metrics: dict[str, Sequence[str]],
                 evaluator: Optional[Union[dict, list]] = None,
                 domains: Optional[list[str]] = None,
                 lower_is_better: bool = True):
        self.metrics, self.evaluator = dict(metrics), evaluator
        self.domains, self.lower_is_better = domains, lower_is_better

    def before_train(self, runner):
        self._evaluator = runner.val_loop.evaluator if self.evaluator is None \
            else runner.build_evaluator(self.evaluator)
        domains = unwrap(runner.model).domains
        if set(self.metrics) != set(domains):
            raise KeyError(f'metrics of {list(self.metrics)} select the '
                           f'teacher, expected those of {domains}')
        for names in self.metrics.values():
            check_names(names, self._evaluator)

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None):
        if not runner.train_loop.schedule.ends_teacher_phase(runner.iter):
            return
        host = unwrap(runner.model)
        with preserved_rng(), host.scoring('latest', self.domains):
            scores = evaluate(host, runner.val_loop.dataloader,
                              self._evaluator)
        for domain, names in self.metrics.items():
            kept = host.distiller.keep_if_best(
                domain, [scores[name] for name in names],
                self.lower_is_better)
            runner.logger.info(
                'Teacher of %s on the val split: %s%s', domain,
                ', '.join(f'{name} {scores[name]:.4g}' for name in names),
                ' (best so far, teaches from now on)' if kept else '')
