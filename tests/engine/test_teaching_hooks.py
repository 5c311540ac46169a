"""Hooks that say who teaches and who learns, alone and in whole runs."""

import ast
from unittest import mock

import pytest
import torch
from mmengine.hooks import Hook

from mmgan_compress.distillers.teacher_snapshots import TeacherSnapshots
from mmgan_compress.engine.hooks.schedule import TeacherSelectionHook
from mmgan_compress.engine.hooks.teaching import EMATeacherHook, FreezeHook
from mmgan_compress.registry import HOOKS
from test_training import assert_equal, state_of
from toy import REPO, Trainer, last_checkpoint, moved, snapshot, train


def checkpoints(folder, count=4):
    """Return the state dicts after the steps of a run, from the first."""
    return [
        torch.load(folder / f'iter_{n}.pth', weights_only=True)['state_dict']
        for n in range(1, count + 1)
    ]


def changes(states, prefix):
    """Tell for each step but the first whether a part has moved in it."""
    return [
        any(not torch.equal(a[k], b[k]) for k in a if k.startswith(prefix))
        for a, b in zip(states, states[1:])
    ]


@pytest.mark.parametrize('file', ['schedule', 'teaching'])
def test_each_hook_is_registered_and_documented(file):
    path = REPO / f'mmgan_compress/engine/hooks/{file}.py'
    found = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
    assert found
    for node in found:
        assert issubclass(HOOKS.get(f'mmgan_compress.{node.name}'), Hook)
        assert 'Args:' in ast.get_docstring(node)


# --- through whole runs -------------------------------------------------
HOOKS_AT_ONCE = [
    dict(
        type='FreezeHook',
        begin=1,
        end=3,
        modules=['distiller.teachers.deep', 'distiller.discriminator'],
    ),
    dict(type='LossWeightHook', loss='ssim', begin=1, end=3),
    dict(type='EMATeacherHook', momentum=0.25),
    dict(type='StopDistillationHook', iteration=3),
]


@pytest.mark.parametrize('starts', [(2,), pytest.param((1, 3), marks=pytest.mark.slow)])
def test_all_at_once_and_resumed(starts, recipe, tmp_path):
    """In a run of four steps, of which hooks change the middle two."""
    cfg = recipe('omgd', 'pix2pix', HOOKS_AT_ONCE, teacher_snapshots=True)
    last = last_checkpoint(train(cfg, tmp_path / 'run'))
    states = checkpoints(tmp_path / 'run')
    # the discriminator is toggled by the training step as well
    for part in ('distiller.teachers.deep', 'distiller.discriminator'):
        assert changes(states, part) == [False, False, True]
    assert changes(states, 'distiller.teachers.wide') == [True, True, True]
    assert changes(states, 'generators') == [True, True, False]
    for key in states[0]:
        name = key.removeprefix('distiller.teacher_snapshots.wide:shoes.')
        if name != key:
            average = states[0][f'distiller.teachers.wide.{name}']
            for state in states[1:]:
                latest = state[f'distiller.teachers.wide.{name}']
                average = average + 0.25 * (latest - average)
            assert torch.allclose(states[-1][key], average, atol=1e-7)
    # of the four steps it was on in two, by weights 0, 0, 1/2 and 1 less
    # the last one, in which all are off
    log = last['message_hub']['log_scalars']
    counts = {
        name: len(log[f'train/loss_{name}_shoes_wide']['__history_buffer__'][0])
        for name in ('ssim', 'style')
    }
    assert counts == dict(ssim=1, style=3)
    assert len(log['train/loss_gan_wide']['__history_buffer__'][0]) == 4
    for start in starts:
        again = train(cfg, tmp_path / str(start), tmp_path / f'run/iter_{start}.pth')
        assert_equal(state_of(last), state_of(last_checkpoint(again)))


def test_best_of_each_paired_teacher_teaches(recipe, tmp_path):
    """Wide and deep are scored by themselves, at the end of each block."""
    cfg = recipe(
        'omgd',
        'pix2pix',
        [
            dict(
                type='TeacherSelectionHook',
                metrics=dict(shoes=['shoes/SSIM']),
                lower_is_better=False,
            )
        ],
        teacher_snapshots=True,
    )
    keep, seen = TeacherSnapshots.keep_if_best, []

    def spy(self, name, domain, network, scores, lower):
        seen.append((name, scores[0], keep(self, name, domain, network, scores, lower)))
        return seen[-1][-1]

    with mock.patch.object(TeacherSnapshots, 'keep_if_best', spy):
        last = last_checkpoint(train(cfg, tmp_path))
    states = checkpoints(tmp_path)
    assert [name for name, *_ in seen] == ['wide', 'deep'] * 2
    scores = last['mmgan_compress']['distiller']['teacher_snapshots']
    for name in ('wide', 'deep'):
        figures = [score for n, score, _ in seen if n == name]
        assert scores[f'{name}:shoes'] == [max(figures)]
        assert figures[0] != figures[1]
        best = states[1 if figures[0] > figures[1] else 3]
        for key, value in best.items():
            own = key.replace(f'teachers.{name}', f'teacher_snapshots.{name}:shoes')
            if own != key:
                assert torch.equal(last['state_dict'][own], value)


def test_student_of_gcc_goes_on_without_distillation(recipe, tmp_path):
    hook = dict(type='StopDistillationHook', iteration=2)
    last = last_checkpoint(train(recipe('gcc', 'pix2pix', [hook]), tmp_path))
    states = checkpoints(tmp_path)
    for part in ('generators', 'distiller.student_discriminators'):
        assert changes(states, part) == [True, True, True]
    for part in (
        'distiller.teachers',
        'distiller.discriminator',
        'distiller.student_discriminators.photo.gates',
        'distiller.losses',
    ):
        assert changes(states, part) == [True, False, False]
    log = last['message_hub']['log_scalars']
    for name, count in (
        ('cooperative_photo_wide', 2),
        ('gan_wide', 2),
        ('gates_capacity_photo', 2),
        ('gan', 4),
    ):
        history = log[f'train/loss_{name}']['__history_buffer__'][0]
        assert len(history) == count


# --- step by step --------------------------------------------------------
def test_frozen_parts_rest_in_eval_mode(recipe):
    """Their batch norms rest as well; what was frozen before stays so."""
    hook = FreezeHook(['distiller.student_discriminators'], 1, 2)
    trainer = Trainer(recipe('gcc', 'cyclegan'), hook)
    nets = trainer.distiller.student_discriminators
    held = nets['horse'].body.model[0].conv.bias.requires_grad_(False)
    modes, seen = [], []
    nets['zebra'].register_forward_hook(lambda m, *_: modes.append((m.training, m.body.training)))

    def state():  # gates as they work: each step begins by clipping them
        return {
            k: v.clone().clamp(max=1) if 'alpha' in k else v.clone()
            for k, v in nets.state_dict().items()
        }

    for _ in range(3):
        before = state()
        modes.clear()
        trainer.step()
        after = state()
        seen.append(
            {
                kind: any(not torch.equal(after[k], before[k]) for k in after if kind in k)
                for kind in ('conv', 'alpha', 'running_mean')
            }
        )
        assert set(modes) == {(len(seen) != 2,) * 2}
    moves, rests = (dict(conv=x, alpha=x, running_mean=x) for x in (True, False))
    assert seen == [moves, rests, moves]
    assert not held.requires_grad
    assert all(p.requires_grad for p in nets.parameters() if p is not held)


def test_freezing_the_student_lets_gradients_pass(recipe):
    """The teacher trains on; nothing is left of the frozen steps."""
    trainer = Trainer(recipe('omgd', 'pix2pix'), FreezeHook(['generators']))
    student, teachers = trainer.model.generators, trainer.distiller.teachers
    before = snapshot(student), snapshot(teachers)
    for _ in range(2):
        trainer.step()
    assert not moved(student, before[0]) and moved(teachers, before[1])


def test_unknown_part_is_refused(recipe):
    trainer = Trainer(recipe('omgd', 'pix2pix'), FreezeHook(['generator']))
    with pytest.raises(KeyError, match="no layer 'generator'.*generators"):
        trainer.step()


def test_average_teaches_and_the_latest_goes_on(recipe):
    cfg = recipe('omgd', 'cyclegan')
    trainer = Trainer(cfg, EMATeacherHook(0.5))
    d = trainer.distiller
    d.schedule = trainer.train_loop.schedule = type(d.schedule)(epochs=4, constant=4, block=4)
    copy = d.teacher_snapshots['teacher:zebra']
    latest = d.teacher.generators['zebra']
    trainer.step()
    assert not moved(latest, snapshot(copy))
    average = snapshot(copy)
    before = snapshot(latest)
    used = []
    copy.register_forward_hook(lambda *_: used.append('average'))
    trainer.step()
    assert moved(latest, before)
    assert set(used) == {'average'}
    now = snapshot(latest)
    for key, value in snapshot(copy).items():
        want = 0.5 * (average[key] + now[key])
        assert torch.allclose(value, want, atol=1e-7)


@pytest.mark.parametrize(
    'hook', [EMATeacherHook(), TeacherSelectionHook(dict(zebra=['zebra/SSIM']))]
)
@pytest.mark.parametrize(
    'method,model', [('omgd', 'pix2pix'), ('gcc', 'cyclegan'), ('plain', 'cyclegan')]
)
def test_copies_are_needed(recipe, hook, method, model):
    with pytest.raises(
        ValueError, match=f'{type(hook).__name__} needs copies of teachers .*teacher_snapshots=True'
    ):
        Trainer(recipe(method, model), hook)


def test_two_hooks_do_not_share_the_copies(recipe):
    with pytest.raises(ValueError, match='leave one out'):
        Trainer(
            recipe('omgd', 'cyclegan'),
            EMATeacherHook(),
            TeacherSelectionHook(dict(zebra=['zebra/SSIM'])),
        )


def test_no_forward_that_nothing_uses(recipe):
    """Where a copy teaches, the latest runs in its own steps alone."""
    trainer = Trainer(recipe('omgd', 'pix2pix', teacher_snapshots=True, teacher_interval=2))
    d, ran = trainer.distiller, []
    d.teacher_snapshots.keep_if_best('deep', 'shoes', d.teachers['deep'], [1.0])
    for name, net in (*d.teachers.items(), *d.teacher_snapshots.items()):
        net.register_forward_hook(lambda *_, name=name: ran.append(name))
    trainer.step()
    assert sorted(ran) == ['deep:shoes', 'wide']
    ran.clear()
    trainer.step()
    assert sorted(ran) == ['deep', 'deep:shoes', 'wide']
