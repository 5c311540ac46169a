"""What the READMEs show in Python works as it stands there."""
import re
import sys
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from onnx_files import write_onnx
from recipes import (CONFIGS, ROOT, build_model, build_optimizers,
                     check_optimizers)

from mmgan_compress.core.schedule import TrainSchedule
from mmgan_compress.demo import apply_demo
from mmgan_compress.registry import HOOKS

STORED = dict(type='mmgan_compress.StoredTeacher')
MODULES = ['my_losses', 'my_teacher']
HOOK = re.compile(r'`(dict\(type=\'mmgan_compress\.(\w+Hook)\'.*?\))` \|')


def blocks(readme):
    return re.findall(r'```python\n# (my_\w+\.py)\n(.*?)```',
                      (ROOT / readme).read_text(), re.S)


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """Return the folder with the files that a README shows, where a user
    would put them."""

    def write(readme):
        for name, text in blocks(readme):
            (tmp_path / name).write_text(text)
        return tmp_path

    (tmp_path / 'configs').symlink_to(CONFIGS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield write
    for name in MODULES:
        sys.modules.pop(name, None)


def read(path):
    """Read a recipe; the perceptual network needs no weights then."""
    cfg = Config.fromfile(path)
    cfg.model.distiller.perceptual = dict(
        type='mmgan_compress.VGG16Features', weights='random')
    return cfg


def student_step(model, wrappers, size=64):
    """Let the student of a recipe take a step; return the log."""
    images = {f'img_{d}': torch.rand(1, 3, size, size) * 2 - 1
              for d in model._related_domains}
    model.distiller.iteration = model.distiller.schedule.block
    return model.distiller.train_step(images, wrappers)


# --- README.md --------------------------------------------------------------
def test_own_term_trains(shown):
    """The loss of README.md, in its recipe, takes a step of the demo."""
    cfg = Config.fromfile(shown('README.md') / 'my_recipe.py')
    apply_demo(cfg)
    model = build_model(cfg, 'cpu')
    log = student_step(model, build_optimizers(cfg, model))
    assert sorted(log) == [
        'loss_edge_emoji_teacher', 'loss_ssim_emoji_teacher']
    assert all(value > 0 for value in log.values())


def test_own_model_builds(shown):
    model = build_model(read(shown('README.md') / 'my_model.py'))
    assert type(model.generators['zebra']).__name__ == 'ResnetGenerator'
    assert len(model.distiller.layers_of('zebra')) == 4


# --- configs/losses ----------------------------------------------------------
def test_losses_of_several_methods_are_one_list(shown):
    model = build_model(
        read(shown('configs/losses/README.md') / 'my_losses_recipe.py'))
    assert [loss.name for loss in model.distiller.losses['zebra']] == [
        'ssim', 'style', 'feature', 'tv', 'wavelet', 'relation']


# --- hooks ------------------------------------------------------------------
def runner_of(cfg):
    """Return what hooks see of a runner before training."""
    model = build_model(cfg)
    metric = SimpleNamespace(names=['zebra/FID'])
    return SimpleNamespace(
        model=model, iter=0, hooks=[],
        optim_wrapper=build_optimizers(cfg, model),
        train_loop=SimpleNamespace(
            schedule=TrainSchedule(**cfg.model.distiller.schedule)),
        val_loop=SimpleNamespace(
            evaluator=SimpleNamespace(metrics=[metric])))


def hooks_in_table(folder):
    """Return the examples of the table of hooks, by name."""
    found = HOOK.findall((CONFIGS / 'README.md').read_text())
    path = folder / 'my_table.py'
    path.write_text(''.join(f'{name} = {text}\n' for text, name in found))
    return Config.fromfile(path)._cfg_dict


def test_hooks_of_the_table_start(shown, tmp_path):
    """Their arguments, modules, losses, metrics and optimizers exist."""
    cfg = read(CONFIGS / 'omgd_cyclegan.py')
    runner, hooks = runner_of(cfg), hooks_in_table(tmp_path)
    assert sorted(hooks) == [
        'EMATeacherHook', 'FreezeHook', 'GradualPruningHook',
        'LossWeightHook', 'ScheduledLRHook', 'StopDistillationHook',
        'TeacherSelectionHook']
    for name, config in hooks.items():
        hook = HOOKS.build(config)
        if name == 'GradualPruningHook':
            continue  # needs weights: test_pruning_hooks.py
        hook.before_train(runner)
        for runner.iter in (0, 150, 150_000):
            hook.before_train_iter(runner, 0)
    distiller = runner.model.distiller  # in iteration 150 000
    assert not any(p.requires_grad for p in distiller.teacher.parameters())
    assert not distiller.distilling('zebra')


def test_a_recipe_takes_further_hooks(shown):
    cfg = read(shown('configs/README.md') / 'my_hooks.py')
    assert [hook.type.split('.')[-1] for hook in cfg.custom_hooks] == [
        'TeacherSelectionHook', 'LossWeightHook']
    runner = runner_of(cfg)
    loss = next(t for t in runner.model.distiller.losses['zebra']
                if t.name == 'ssim')
    hook = HOOKS.build(cfg.custom_hooks[1])
    hook.before_train(runner)
    runner.iter = 2500
    hook.before_train_iter(runner, 0)
    assert loss.weight == 5  # half way to SSIM's 10


# --- offline ----------------------------------------------------------------
def test_a_checkpoint_teaches_with_all_losses(shown):
    cfg = read(shown('configs/README.md') / 'my_checkpoint_teacher.py')
    model = build_model(cfg)
    check_optimizers(cfg, model)
    assert model.distiller.offline
    assert {loss.name for loss in model.distiller.losses['zebra']} == {
        'relation', 'style', 'feature', 'adversarial'}


def test_an_onnx_file_teaches(shown):
    folder = shown('configs/README.md')
    write_onnx(folder / 'teacher.onnx', shape=('N', 3, 64, 64), outputs=1)
    cfg = read(folder / 'my_onnx_teacher.py')
    model = build_model(cfg, 'cpu')
    check_optimizers(cfg, model)
    assert not cfg.train_dataloader.dataset.teacher_images
    log = student_step(model, build_optimizers(cfg, model))
    assert log['loss_ssim_zebra_teacher'] > 0


def test_a_callable_teaches(shown):
    cfg = read(shown('configs/README.md') / 'my_callable_teacher.py')
    cfg.model.generator.num_down = 5  # of 64 pixels
    model = build_model(cfg, 'cpu')
    check_optimizers(cfg, model)
    assert list(model.distiller.teachers) == ['mine']
    log = student_step(model, build_optimizers(cfg, model))
    assert sorted(log) == [f'loss_{name}_shoes_mine' for name in (
        'feature', 'relation', 'style')]


@pytest.mark.parametrize('recipe,loss,reason', [
    ('omgd_cyclegan', 'ChannelLoss', 'compares layers'),
    ('omgd_cyclegan', 'KernelAlignmentLoss', 'compares layers'),
    ('omgd_cyclegan', 'SimilarityLoss', 'compares layers'),
    ('omgd_cyclegan', 'CooperativeLoss', 'compares layers'),
    ('omgd_cyclegan', 'DiscriminatorFeatureLoss', 'asks the discriminator'),
    ('crd_cyclegan', 'AdversarialLoss', 'asks the discriminator')])
def test_refused_losses_are_listed(recipe, loss, reason):
    """What configs/README.md says of teachers that only give images."""
    assert f'`{loss}`' in (CONFIGS / 'README.md').read_text().split(
        'Refused at build time')[1]
    cfg = read(CONFIGS / f'{recipe}.py')
    distiller = cfg.model.distiller
    distiller.offline, distiller.teacher = True, STORED
    options = dict(
        CooperativeLoss=dict(content_weight=1., gram_weight=1.),
        DiscriminatorFeatureLoss=dict(discriminator_layers=['model.3']))
    if recipe.startswith('omgd'):
        own = options.get(loss, {})
        if reason == 'compares layers':
            own = dict(own, layers=['model.9'])
        distiller.losses = [
            dict(type=f'mmgan_compress.{loss}', weight=1., **own)]
    with pytest.raises(ValueError, match=f'{loss} {reason}'):
        build_model(cfg)


def test_gcc_refuses_a_teacher_without_discriminator():
    cfg = read(CONFIGS / 'gcc_cyclegan.py')
    distiller = cfg.model.distiller
    distiller.offline, distiller.teacher = True, STORED
    distiller.losses = [dict(type='mmgan_compress.SSIMLoss')]
    with pytest.raises(ValueError, match='AdversarialPix2Pix/-CycleGAN'):
        build_model(cfg)
    distiller.type = 'mmgan_compress.AdversarialCycleGAN'
    assert build_model(cfg).distiller.distilling('zebra')
