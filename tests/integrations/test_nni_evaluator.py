"""RunnerEvaluator: NNI trains the student of an unchanged model."""

import os
import tempfile
from types import SimpleNamespace

import pytest
import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

from mmgan_compress.core.channels import channel_map
from mmgan_compress.engine import nni_evaluator
from mmgan_compress.models.student_config import build_generator
from mmgan_compress.pruning.slicing import difference
from mmgan_compress.registry import PRUNERS, TASK_UTILS
from pruning import image, seeded
from test_offline import offline  # noqa: F401, a fixture
from toy import SIZE, moved, snapshot

pytest.importorskip('nni')
pytest.importorskip('torch_pruning')

UNET = dict(type='UnetGenerator', in_channels=3, out_channels=3, base_channels=4, num_down=5)
KINDS = (MMLogger, MessageHub, Visualizer, DefaultScope)


@pytest.fixture
def plain(recipe):
    """A recipe without a teacher, of which a step is quick."""
    cfg = recipe('plain', 'pix2pix')
    cfg.model.distiller.schedule.update(epochs=60, constant=60, block=1000)
    return cfg


def make(cfg, config=UNET, **options):
    return TASK_UTILS.get('mmgan_compress.RunnerEvaluator')(
        cfg, seeded(build_generator(config)), config, **options
    )


def assert_bare(evaluator):
    """Nothing is patched, hooked or wrapped."""
    model = evaluator.translator
    assert 'init_weights' not in vars(model) and evaluator.model is None
    tasks = evaluator.tasks
    assert not (tasks.loss_patches or tasks.before or tasks.after or tasks.trained)
    for name, layer in evaluator.network.named_modules():
        assert '_nni' not in name and 'forward' not in vars(layer)
        assert not layer._forward_hooks and not layer._forward_pre_hooks
        for parameter in layer.parameters():
            assert not parameter._backward_hooks


class TestVerbs:
    def test_it_is_nnis(self, plain):
        from nni.compression.utils.evaluator import Evaluator

        evaluator = make(plain)
        assert isinstance(evaluator, Evaluator)
        assert evaluator.get_dummy_input().shape == (1, 3, SIZE, SIZE)

    def test_tasks_around_the_students_steps(self, plain):
        """In NNI's order, as often as asked for, and with its loss."""
        evaluator, calls = make(plain), []
        evaluator.bind_model(evaluator.network)
        net = evaluator.network
        unused = nn.Parameter(torch.ones(1))
        net.register_parameter('nni_own', unused)
        before = snapshot(net)
        for name in 'ab':
            evaluator.patch_optimizer_step(
                before_step_tasks=[lambda n=name: calls.append(f'<{n}')],
                after_step_tasks=[lambda n=name: calls.append(f'{n}>')],
            )

        def patch(loss, batch):
            assert set(batch['inputs']) >= {'img_edges', 'img_photo'} or len(batch['inputs']) == 2
            calls.append('loss')
            return loss + 100 * net.nni_own.sum()

        evaluator.patch_loss(patch)
        evaluator.train(max_steps=3)
        assert calls == ['loss', '<b', '<a', 'a>', 'b>'] * 3
        # a backward pass reaches what its optimizer steps, nothing else
        assert float(unused.detach()) == 1 and unused.grad is None
        assert moved(net, before)
        evaluator.patch_optim_param_group({'': [unused]})
        evaluator.revert_loss()
        evaluator.revert_optimizer_step()
        evaluator.patch_loss(lambda loss, _: loss + net.nni_own.sum())
        evaluator.train(max_steps=1)
        assert len(calls) == 15 and float(unused.detach()) < 1
        evaluator.unbind_model()
        assert_bare(evaluator)

    def test_loss_patch_reaches_the_generator(self, plain):
        """With the loss patched away nothing is learnt."""
        evaluator = make(plain)
        evaluator.bind_model(evaluator.network)
        before = snapshot(evaluator.network)
        evaluator.patch_loss(lambda loss, _: 0 * loss)
        evaluator.train(max_steps=2)
        assert not moved(evaluator.network, before)

    def test_epochs(self, plain):
        evaluator, steps = make(plain), []
        evaluator.bind_model(evaluator.network)
        evaluator.patch_optimizer_step([], [lambda: steps.append(1)])
        evaluator.train(max_epochs=2)  # of five images, two a batch
        assert len(steps) in (4, 6)

    def test_finetune_is_the_recipes_training(self, plain):
        plain.model.distiller.schedule.update(epochs=3, constant=3)
        evaluator, steps = make(plain), []
        evaluator.bind_model(evaluator.network)
        evaluator.patch_optimizer_step([], [lambda: steps.append(1)])
        evaluator.finetune()
        assert len(steps) == 3

    def test_recipe_too_short(self, plain):
        evaluator = make(plain)
        evaluator.bind_model(evaluator.network)
        before = snapshot(evaluator.network)
        with pytest.raises(ValueError, match='trains for 60 iterations and 61 steps'):
            evaluator.train(max_steps=61)
        assert not moved(evaluator.network, before)

    def test_student_steps_less_often_than_the_loop(self, recipe):
        """OMGD's CycleGAN: its student rests while the teacher trains."""
        cfg = recipe('omgd', 'cyclegan')
        evaluator = make(cfg, cfg.model.generator.to_dict())
        evaluator.bind_model(evaluator.network)
        with pytest.raises(
            ValueError,
            match=r'ended after \d steps of the '
            'student and 5 were',
        ):
            evaluator.train(max_steps=5)

    @pytest.mark.parametrize('lower, sign', [(False, 1), (True, -1)])
    def test_evaluate(self, plain, lower, sign):
        """The higher the better, as NNI takes it."""
        plain.default_hooks.student.lower_is_better = lower
        evaluator = make(plain)
        before = snapshot(evaluator.network)
        score = evaluator.evaluate()
        assert sign * score > -1 and score != 0
        assert score == evaluator.evaluate()
        assert not moved(evaluator.network, before)
        del plain.default_hooks.student.metric
        assert make(plain).evaluate() is None

    def test_nothing_to_evaluate(self, plain):
        plain.val_dataloader = None
        with pytest.raises(ValueError, match='no val_dataloader'):
            make(plain).evaluate()

    def test_another_network(self, plain):
        evaluator = make(plain)
        with pytest.raises(ValueError, match='give it evaluator.network'):
            evaluator.bind_model(build_generator(UNET))
        evaluator.bind_model(evaluator.network)
        with pytest.raises(RuntimeError, match='bound already'):
            evaluator.bind_model(evaluator.network)

    def test_another_domain(self, plain):
        with pytest.raises(ValueError, match="does not generate 'cat'"):
            make(plain, domain='cat')

    def test_recipe_by_path(self, plain, tmp_path):
        path = tmp_path / 'recipe.py'
        plain.dump(path)
        assert make(str(path)).cfg.model.distiller == plain.model.distiller
        with pytest.raises(FileNotFoundError, match='nowhere'):
            make(str(tmp_path / 'nowhere.py'))


class TestPruning:
    @pytest.fixture
    def seen(self, monkeypatch):
        """Keep the evaluators that a pruner makes."""
        made = []
        real = nni_evaluator.RunnerVerbs.__init__

        def init(self, *args):
            real(self, *args)
            made.append(
                SimpleNamespace(
                    evaluator=self,
                    student=snapshot(self.network),
                    rest=snapshot(self.translator.distiller),
                )
            )

        monkeypatch.setattr(nni_evaluator.RunnerVerbs, '__init__', init)
        return made

    @pytest.mark.parametrize(
        'algorithm',
        [
            'slim',
            *(
                pytest.param(name, marks=pytest.mark.slow)
                for name in ('taylor', 'agp', 'linear', 'movement')
            ),
        ],
    )
    def test_host(self, plain, algorithm, seen, tmp_path, monkeypatch):
        """The student moves, its masked channels are dead, and whatever was
        patched is as it was."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / 'tmp').mkdir()
        monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'tmp'))
        files = sorted(os.listdir(tmp_path))
        MMLogger.get_current_instance()  # which makes it, where there is none
        current = [list(kind._instance_dict) for kind in KINDS]
        net = seeded(build_generator(UNET))
        before = snapshot(net)
        result = PRUNERS.build(
            dict(
                type='mmgan_compress.NNIPruner',
                algorithm=algorithm,
                steps=20,
                budget=dict(macs=0.4, size=64),
                training=plain,
            )
        ).compress(net, UNET)
        assert not moved(net, before)
        (run,) = seen
        assert moved(run.evaluator.network, run.student)
        assert moved(run.evaluator.translator.distiller, run.rest)  # plays too
        assert_bare(run.evaluator)
        assert [list(kind._instance_dict) for kind in KINDS] == current
        assert sorted(os.listdir(tmp_path)) == files
        assert not os.listdir(tmp_path / 'tmp')
        assert difference(run.evaluator.network, result.network, image(64)) <= 1e-5
        assert result.summary['cost'] == pytest.approx(0.4 * result.summary['dense'], rel=0.02)
        assert result.summary['training'] == 'a Config'
        self.assert_dead(run.evaluator.network, result.network)
        rebuilt = build_generator(result.config)
        rebuilt.load_state_dict(result.network.state_dict(), strict=True)

    @staticmethod
    def assert_dead(dense, small):
        """As many outputs of a layer are 0 behind its norm as were cut."""
        dead, wide, thin = {}, channel_map(dense), channel_map(small)
        for name, layer in dense.named_modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.register_forward_hook(
                    lambda _, __, out, n=name: dead.update(
                        {n: int((out.abs().amax((0, 2, 3)) < 1e-6).sum())}
                    )
                )
        with torch.no_grad():
            dense.eval()(image(64))
        assert dead == {name: wide[name][0] - thin[name][0] for name in dead}
        assert any(dead.values())

    def test_frozen_teacher(self, offline, seen):  # noqa: F811
        cfg, _ = offline('omgd', 'pix2pix')
        cfg.model.distiller.schedule.update(epochs=20, constant=20, block=1000)
        result = PRUNERS.build(
            dict(
                type='mmgan_compress.NNIPruner',
                algorithm='taylor',
                ratio=0.5,
                steps=20,
                training=cfg,
            )
        ).compress(seeded(build_generator(UNET)), UNET)
        (run,) = seen
        teachers = run.evaluator.translator.distiller.teacher_side()
        assert teachers and not any(p.requires_grad for net in teachers for p in net.parameters())
        kept = {k: v for k, v in run.rest.items() if 'losses' not in k}
        now = snapshot(run.evaluator.translator.distiller)
        assert all(torch.equal(now[k], v) for k, v in kept.items())
        assert moved(run.evaluator.network, run.student)
        assert difference(run.evaluator.network, result.network, image(64)) <= 1e-5

    def test_recipe_without_a_student(self, plain):
        plain.optim_wrapper.student.modules = ['distiller']
        with pytest.raises(ValueError, match='trains the student'):
            PRUNERS.build(
                dict(
                    type='mmgan_compress.NNIPruner',
                    algorithm='taylor',
                    ratio=0.5,
                    steps=20,
                    training=Config(plain.to_dict()),
                )
            ).compress(seeded(build_generator(UNET)), UNET)
