"""Hooks that set learning rates and select teachers."""

from collections.abc import Sequence

from mmengine.hooks import Hook

from ...core.schedule import TrainSchedule
from ...evaluation.report import check_names, evaluate
from ...registry import HOOKS
from ..resume import preserved_rng, unwrap


@HOOKS.register_module()
class ScheduledLRHook(Hook):
    """Set learning rates to their base times the schedule's factor.

    Args:
        constant (Sequence[str]): Optimizers whose rate does not decay.
        steps (dict[str, float] | None): Optimizers whose rate is multiplied
            by a factor each ``schedule.constant - 1`` epochs instead, as
            GCC anneals its gates (``--arch_lr_step`` of its scripts).
    """

    def __init__(self, constant: Sequence[str] = (), steps: dict[str, float] | None = None):
        self.constant, self.steps = tuple(constant), dict(steps or {})

    def before_train(self, runner):
        need_optimizers(runner, *self.constant, *self.steps)
        for wrapper in runner.optim_wrapper.values():
            for group in wrapper.param_groups:
                group.setdefault('initial_lr', group['lr'])

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        for name, wrapper in runner.optim_wrapper.items():
            factor = self.factor(name, runner.train_loop.schedule, runner.iter)
            for group in wrapper.param_groups:
                group['lr'] = group['initial_lr'] * factor

    def factor(self, name: str, schedule: TrainSchedule, iteration: int) -> float:
        """Return the factor of an optimizer's base rate.

        Args:
            name (str): Of the optimizer.
            schedule (TrainSchedule): Of the run.
            iteration (int): From 0.
        """
        if name in self.constant:
            return 1.0
        if name in self.steps:
            every = max(1, schedule.constant - 1)
            return self.steps[name] ** ((schedule.epoch(iteration) - 1) // every)
        return schedule.lr_factor(iteration)


def need_optimizers(runner, *names: str):
    """Refuse names that are of no optimizer."""
    known = list(runner.optim_wrapper.keys())
    if unknown := [name for name in names if name not in known]:
        raise KeyError(f'no optimizer {unknown[0]!r}; known are {known}')


def need_snapshots(hook: Hook, runner):
    """Refuse a distiller that keeps no copies of its teachers."""
    if not len(unwrap(runner.model).distiller.teacher_snapshots):
        raise ValueError(
            f'{type(hook).__name__} needs copies of teachers that train: '
            'set model.distiller.teacher_snapshots=True (and not offline)'
        )


@HOOKS.register_module()
class TeacherSelectionHook(Hook):
    """Score teachers at the end of their phase and distil from the best.

    For distillers with ``teacher_snapshots=True``, the default of the
    unpaired ones. The teachers train on from their latest weights.

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

    def __init__(
        self,
        metrics: dict[str, Sequence[str]],
        evaluator: dict | list | None = None,
        domains: list[str] | None = None,
        lower_is_better: bool = True,
    ):
        self.metrics, self.evaluator = dict(metrics), evaluator
        self.domains, self.lower_is_better = domains, lower_is_better

    def before_train(self, runner):
        need_snapshots(self, runner)
        self.evaluator = (
            runner.val_loop.evaluator
            if self.evaluator is None
            else runner.build_evaluator(self.evaluator)
        )
        domains = unwrap(runner.model).domains
        if set(self.metrics) != set(domains):
            raise KeyError(f'metrics of {list(self.metrics)} select the teacher, not of {domains}')
        check_names(sum(map(list, self.metrics.values()), []), self.evaluator)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.train_loop.schedule.ends_teacher_phase(runner.iter):
            for name in unwrap(runner.model).distiller.reported_teachers:
                self._keep_if_best(runner, name)

    def _keep_if_best(self, runner, teacher: str):
        """Score a teacher and keep it for the domains where it is best."""
        model, latest = unwrap(runner.model), f'latest:{teacher}'
        with preserved_rng(), model.scoring(latest, self.domains):
            scores = evaluate(model, runner.val_loop.dataloader, self.evaluator)
        snapshots, better = model.distiller.teacher_snapshots, self.lower_is_better
        for domain, names in self.metrics.items():
            network, own = model.network(latest, domain), [scores[name] for name in names]
            kept = snapshots.keep_if_best(teacher, domain, network, own, better)
            runner.logger.info(
                'Scores of %s for %s on the val split: %s%s',
                teacher,
                domain,
                ', '.join(f'{name} {scores[name]:.4g}' for name in names),
                ' (best so far, teaches from now on)' if kept else '',
            )
