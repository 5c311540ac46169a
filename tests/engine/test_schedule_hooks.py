"""Weights and rates as functions of the iteration; the end of teaching."""

import pytest

from mmgan_compress.engine.hooks.schedule import ScheduledLRHook
from mmgan_compress.engine.hooks.teaching import (
    EMATeacherHook,
    LossWeightHook,
    StopDistillationHook,
)
from toy import Trainer, moved, snapshot


def test_weight_is_a_function_of_the_iteration(recipe):
    """Also in a run that begins in the middle."""
    weights = {}
    for start in (0, 4):
        hook = LossWeightHook('style', 1, 5, start=0.5, stop=2.5)
        trainer = Trainer(recipe('omgd', 'pix2pix'), hook, start=start)
        losses = trainer.distiller.losses['shoes']
        others = {t.name: t.weight for t in losses if t.name != 'style'}
        style = next(t for t in losses if t.name == 'style')
        for _ in range(start, 7):
            log = trainer.step()
            assert weights.setdefault(trainer.iter - 1, style.weight) == style.weight
            assert 'loss_style_shoes_wide' in log
        assert others == {t.name: t.weight for t in losses if t is not style}
    assert [weights[i] / 1e4 for i in range(7)] == [0.5, 0.5, 1.0, 1.5, 2.0, 2.5, 2.5]


def test_weight_of_both_directions(recipe):
    trainer = Trainer(recipe('gcc', 'cyclegan'), LossWeightHook('cooperative', 0, 4))
    losses = [group[0] for group in trainer.distiller.losses.values()]
    trainer.iter = trainer.distiller.iteration = 3
    trainer.step()
    assert [t.weight for t in losses] == [0.75, 0.75]


def test_bad_schedules_are_refused(recipe):
    with pytest.raises(
        KeyError,
        match=r"no loss 'sim'; known are "
        r"\['channel', 'feature', 'ssim', 'style', 'tv'\]",
    ):
        Trainer(recipe('omgd', 'pix2pix'), LossWeightHook('sim', 0, 1))
    with pytest.raises(ValueError, match='end must be after begin=3, got 3'):
        LossWeightHook('ssim', 3, 3)
    for momentum in (0.0, 1.1):
        with pytest.raises(ValueError, match=r'momentum must lie in \(0, 1'):
            EMATeacherHook(momentum)


@pytest.mark.parametrize('order', [1, -1])
def test_stopping_outlasts_a_scheduled_weight(recipe, order):
    """In whatever order the recipe names the two."""
    hooks = [LossWeightHook('ssim', 0, 4), StopDistillationHook(2)][::order]
    trainer = Trainer(recipe('omgd', 'pix2pix'), *hooks)
    student = trainer.model.generators
    for index in range(4):
        before = snapshot(student), snapshot(trainer.distiller.teachers)
        log = trainer.step()
        assert moved(student, before[0]) == (index < 2)
        assert moved(trainer.distiller.teachers, before[1])
        assert bool([k for k in log if 'shoes' in k]) == (index < 2)


def test_stopping_leaves_losses_without_teacher(recipe):
    cfg = recipe(
        'plain',
        'pix2pix',
        losses=[dict(type='mmgan_compress.SparsityLoss', weight=0.5, on='weight')],
    )
    trainer = Trainer(cfg, StopDistillationHook(0))
    (loss,) = trainer.distiller.losses['shoes']
    log = trainer.step()
    assert loss.weight == 0.5 and f'loss_{loss.name}_shoes' in log


def test_rates(recipe):
    """Decaying, constant, and by steps of constant - 1 epochs."""
    cfg = recipe('gcc', 'pix2pix', schedule=dict(epochs=6, constant=3, block=6, iters_per_epoch=2))
    hook = ScheduledLRHook(['teachers'], dict(gates=0.1))
    rates = {name: [] for name in ('student', 'teachers', 'gates')}
    state = None
    for start in (0, 5):  # the second takes the optimizers of the first
        trainer = Trainer(cfg, start=start)
        if start:
            trainer.optim_wrapper.load_state_dict(state)
        hook.before_train(trainer)
        for trainer.iter in range(start, 12 if start else 5):
            hook.before_train_iter(trainer, trainer.iter)
            for name, values in rates.items():
                (group,) = trainer.optim_wrapper[name].param_groups[:1]
                values.append(group['lr'] / 1e-3)
        state = trainer.optim_wrapper.state_dict()
    decay = [1, 1, 1, 0.75, 0.5, 0.25]
    steps = [1, 1, 0.1, 0.1, 0.01, 0.01]
    for name, values in (('student', decay), ('teachers', [1] * 6), ('gates', steps)):
        assert rates[name] == pytest.approx([v for v in values for _ in range(2)])
    for bad in (dict(constant=['teacher']), dict(steps=dict(gate=0.1))):
        with pytest.raises(KeyError, match="no optimizer '(teacher|gate)'; known are .*student"):
            ScheduledLRHook(**bad).before_train(trainer)
