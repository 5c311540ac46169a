"""Hooks that freeze parts, average teachers and schedule losses.

All are functions of the iteration, or keep their state in the checkpoint, so
that a resumed run continues exactly.
"""

from collections.abc import Sequence

from mmengine.hooks import Hook

from ...core.layers import find_layer
from ...registry import HOOKS
from ..resume import unwrap
from .schedule import TeacherSelectionHook, need_snapshots


@HOOKS.register_module()
class FreezeHook(Hook):
    """Freeze parts of the model between two iterations, then thaw them.

    Frozen parts get no gradient and stay in eval mode.

    Args:
        modules (Sequence[str]): Names inside the model as in
            ``named_modules``, e.g. ``'distiller.teacher'``.
        begin (int): First iteration (from 0) in which they are frozen.
        end (int | None): First one in which they learn again; None: never.
    """

    def __init__(self, modules: Sequence[str], begin: int = 0, end: int | None = None):
        self.modules, self.begin, self.end = list(modules), begin, end
        self._held = None

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        on = self.begin <= runner.iter and (self.end is None or runner.iter < self.end)
        model = unwrap(runner.model)
        parts = [find_layer(model, name) for name in self.modules]
        if on and self._held is None:  # only these are thawed later
            self._held = [p for part in parts for p in part.parameters() if p.requires_grad]
        for parameter in self._held or []:
            parameter.requires_grad_(not on)
            if on:  # accumulated gradients must not step later
                parameter.grad = None
        for part in parts if on else []:
            part.eval()
        if not on:
            self._held = None


@HOOKS.register_module()
class EMATeacherHook(Hook):
    """Distil from a running average of each teacher.

    For distillers with ``teacher_snapshots=True``.

    Args:
        momentum (float): Share of the latest weights at each iteration.
    """

    def __init__(self, momentum: float = 0.001):
        if not 0 < momentum <= 1:
            raise ValueError(f'momentum must lie in (0, 1], got {momentum}')
        self.momentum = momentum

    def before_train(self, runner):
        need_snapshots(self, runner)
        if any(isinstance(h, TeacherSelectionHook) for h in runner.hooks):
            raise ValueError(
                'EMATeacherHook and TeacherSelectionHook put '
                'weights into the same copies: leave one out'
            )

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        model = unwrap(runner.model)
        for name in model.distiller.reported_teachers:
            for domain in model.domains:
                model.distiller.teacher_snapshots.average(
                    name, domain, model.network(f'latest:{name}', domain), self.momentum
                )


@HOOKS.register_module()
class LossWeightHook(Hook):
    """Change the weight of a loss linearly between two iterations.

    A loss of weight 0 is not computed. While all weights are 0, the
    student's teachers and GCC's gates do not train, as with
    ``StopDistillationHook``.

    Args:
        loss (str): Its name as in the log: ``'ssim'``, ``'style'``, ...
        begin (int): Iteration (from 0) at which it starts to move.
        end (int): Iteration from which it has its last value.
        start (float): Factor of the configured weight before ``begin``.
        stop (float): Factor of it from ``end`` on.
    """

    def __init__(self, loss: str, begin: int, end: int, start: float = 0.0, stop: float = 1.0):
        if end <= begin:
            raise ValueError(f'end must be after begin={begin}, got {end}')
        self.loss, self.begin, self.end = loss, begin, end
        self.start, self.stop = start, stop

    def before_train(self, runner):
        groups = unwrap(runner.model).distiller.losses.values()
        losses = [loss for group in groups for loss in group]
        self._base = {t: t.weight for t in losses if t.name == self.loss}
        if not self._base:
            raise KeyError(f'no loss {self.loss!r}; known are {sorted({t.name for t in losses})}')

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        at = (runner.iter - self.begin) / (self.end - self.begin)
        at = min(max(at, 0.0), 1.0)
        for loss, weight in self._base.items():
            loss.weight = weight * ((1 - at) * self.start + at * self.stop)


@HOOKS.register_module()
class StopDistillationHook(Hook):
    """Switch off all losses that need a teacher, from one iteration on.

    A student with a GAN loss of its own (GCC) continues with that alone, and
    its teachers no longer run. A student that only imitates (OMGD, CRD)
    stays as it is while its teachers train on.

    Args:
        iteration (int): First iteration (from 0) without distillation.
    """

    priority = 'BELOW_NORMAL'  # after the hooks that set weights

    def __init__(self, iteration: int):
        self.iteration = iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter < self.iteration:
            return
        for group in unwrap(runner.model).distiller.losses.values():
            for loss in group:
                loss.weight = 0.0 if loss.needs_teacher else loss.weight
