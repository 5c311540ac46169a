"""What the pages show in Python works as it stands there.

The rule for every page (README.md, docs/, configs/*/README.md): a block of
Python compiles; one whose first line is ``# my_<name>.py`` is a file of the
user. All these files lie in one folder here. Recipes among them are built.
"""

import importlib
import re
import sys
from types import SimpleNamespace

import pytest
import torch
from mmengine import DefaultScope
from mmengine.config import Config
from PIL import Image

from mmgan_compress.core.schedule import TrainSchedule
from mmgan_compress.demo import apply_demo
from mmgan_compress.registry import DATASETS, HOOKS, MODELS, PRUNERS
from onnx_files import write_onnx
from recipes import CONFIGS, ROOT, build_model, build_optimizers, check_optimizers

STORED = dict(type='mmgan_compress.StoredTeacher')
HOOK = re.compile(r'`(dict\(type=\'mmgan_compress\.(\w+Hook)\'.*?\))` \|')
PAGES = [
    ROOT / 'README.md',
    *sorted((ROOT / 'docs').rglob('*.md')),
    *sorted(CONFIGS.rglob('README.md')),
]
BLOCKS = [
    (path.relative_to(ROOT).as_posix(), code)
    for path in PAGES
    for code in re.findall(r'```python\n(.*?)```', path.read_text(), re.S)
]
FILES = {match[1]: code for _, code in BLOCKS if (match := re.match(r'# (my_\w+\.py)\n', code))}
RECIPES_SHOWN = [name for name, code in FILES.items() if '_base_ =' in code]
REGISTRIES = (MODELS, PRUNERS)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Return a folder with all files of all pages, and leave no trace of
    the classes that they register."""
    path = tmp_path_factory.mktemp('user')
    for name, text in FILES.items():
        (path / name).write_text(text)
    (path / 'configs').symlink_to(CONFIGS)
    write_onnx(path / 'teacher.onnx', shape=('N', 3, 64, 64), outputs=1)
    known = [set(registry.module_dict) for registry in REGISTRIES]
    sys.path.insert(0, str(path))
    yield path
    sys.path.remove(str(path))
    for name in FILES:
        sys.modules.pop(name.removesuffix('.py'), None)
    for registry, names in zip(REGISTRIES, known):
        for name in set(registry.module_dict) - names:
            del registry.module_dict[name]


@pytest.fixture
def shown(folder, monkeypatch):
    """Return the folder, which is the working directory."""
    monkeypatch.chdir(folder)
    return folder


def read(path):
    """Read a recipe; the perceptual network needs no weights then."""
    cfg = Config.fromfile(path)
    cfg.model.distiller.perceptual = dict(type='mmgan_compress.VGG16Features', weights='random')
    return cfg


def student_step(model, wrappers, size=64):
    """Let the student of a recipe take a step; return the log."""
    images = {f'img_{d}': torch.rand(1, 3, size, size) * 2 - 1 for d in model._related_domains}
    model.distiller.iteration = model.distiller.schedule.block
    return model.distiller.train_step(images, wrappers)


# --- the rule ---------------------------------------------------------------
@pytest.mark.parametrize(
    'page, code', BLOCKS, ids=[f'{page}-{index}' for index, (page, _) in enumerate(BLOCKS)]
)
def test_blocks_are_python(page, code):
    compile(code, page, 'exec')


def test_files_have_names_of_their_own():
    assert len(FILES) == sum(code.startswith('# my_') for _, code in BLOCKS)


@pytest.mark.parametrize('name', RECIPES_SHOWN)
def test_recipes_build(shown, name):
    """Networks, layers, losses and optimizers fit each other."""
    cfg = read(shown / name)
    check_optimizers(cfg, build_model(cfg))


@pytest.mark.parametrize('name', sorted(set(FILES) - set(RECIPES_SHOWN)))
def test_modules_import(shown, name):
    importlib.import_module(name.removesuffix('.py'))


# --- own images, own networks, own classes ----------------------------------
def test_own_images(shown):
    """The recipe for one's own folder names its domains everywhere."""
    for side in ('trainA', 'trainB', 'testA', 'testB'):
        (shown / 'data/mine' / side).mkdir(parents=True)
        for number in range(3):
            Image.new('RGB', (150, 160), (50 * number, 9, 9)).save(
                shown / f'data/mine/{side}/{number}.png'
            )
    cfg = Config.fromfile(shown / 'my_recipe.py')
    with DefaultScope.overwrite_default_scope('mmagic'):
        images = DATASETS.build(cfg.train_dataloader.dataset)[0]['inputs']
        assert {name: tuple(image.shape[-2:]) for name, image in images.items()} == {
            'img_photo': (128, 128),
            'img_painting': (128, 128),
        }
        assert len(DATASETS.build(cfg.test_dataloader.dataset)) == 3
    used = [
        cfg[key]
        for key in cfg
        if key in ('model', 'default_hooks', 'custom_hooks')
        or key.endswith(('_dataloader', '_evaluator'))
    ]
    assert not re.search('horse|zebra', str(used))


def test_own_pruner_halves_a_generator(shown):
    importlib.import_module('my_pruner')
    config = dict(
        type='ResnetGenerator',
        in_channels=3,
        out_channels=3,
        base_channels=8,
        num_blocks=1,
        norm_cfg=dict(type='IN'),
    )
    with DefaultScope.overwrite_default_scope('mmagic'):
        network = MODELS.build(config)
        smaller, rebuilt, _ = PRUNERS.build(dict(type='HalfWidth')).compress(network, config)
    assert rebuilt['base_channels'] == 4
    assert smaller(torch.zeros(1, 3, 16, 16)).shape == (1, 3, 16, 16)


def test_own_loss_trains(shown):
    """It takes a step of the demo of its recipe."""
    cfg = Config.fromfile(shown / 'my_loss_recipe.py')
    apply_demo(cfg)
    model = build_model(cfg, 'cpu')
    log = student_step(model, build_optimizers(cfg, model))
    assert sorted(log) == ['loss_edge_emoji_teacher', 'loss_ssim_emoji_teacher']
    assert all(value > 0 for value in log.values())


def test_own_model_builds(shown):
    model = build_model(read(shown / 'my_model.py'))
    assert type(model.generators['zebra']).__name__ == 'ResnetGenerator'
    assert len(model.distiller.layers_of('zebra')) == 4


# --- configs/losses ----------------------------------------------------------
def test_losses_of_several_methods_are_one_list(shown):
    model = build_model(read(shown / 'my_losses_recipe.py'))
    assert [loss.name for loss in model.distiller.losses['zebra']] == [
        'ssim',
        'style',
        'feature',
        'tv',
        'wavelet',
        'relation',
    ]


# --- hooks ------------------------------------------------------------------
def runner_of(cfg):
    """Return what hooks see of a runner before training."""
    model = build_model(cfg)
    metric = SimpleNamespace(names=['zebra/FID'])
    return SimpleNamespace(
        model=model,
        iter=0,
        hooks=[],
        optim_wrapper=build_optimizers(cfg, model),
        train_loop=SimpleNamespace(schedule=TrainSchedule(**cfg.model.distiller.schedule)),
        val_loop=SimpleNamespace(evaluator=SimpleNamespace(metrics=[metric])),
    )


def hooks_in_table(folder):
    """Return the examples of the table of hooks, by name."""
    found = HOOK.findall((ROOT / 'docs/hooks.md').read_text())
    path = folder / 'my_table.py'
    path.write_text(''.join(f'{name} = {text}\n' for text, name in found))
    return Config.fromfile(path)._cfg_dict


def test_hooks_of_the_table_start(shown, tmp_path):
    """Their arguments, modules, losses, metrics and optimizers exist."""
    cfg = read(CONFIGS / 'omgd_cyclegan.py')
    runner, hooks = runner_of(cfg), hooks_in_table(tmp_path)
    assert sorted(hooks) == [
        'EMATeacherHook',
        'FreezeHook',
        'GradualPruningHook',
        'LossWeightHook',
        'ScheduledLRHook',
        'StopDistillationHook',
        'TeacherSelectionHook',
    ]
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
    cfg = read(shown / 'my_hooks.py')
    assert [hook.type.split('.')[-1] for hook in cfg.custom_hooks] == [
        'TeacherSelectionHook',
        'LossWeightHook',
    ]
    runner = runner_of(cfg)
    loss = next(t for t in runner.model.distiller.losses['zebra'] if t.name == 'ssim')
    hook = HOOKS.build(cfg.custom_hooks[1])
    hook.before_train(runner)
    runner.iter = 2500
    hook.before_train_iter(runner, 0)
    assert loss.weight == 5  # half way to SSIM's 10


# --- offline ----------------------------------------------------------------
def test_a_checkpoint_teaches_with_all_losses(shown):
    cfg = read(shown / 'my_checkpoint_teacher.py')
    model = build_model(cfg)
    check_optimizers(cfg, model)
    assert model.distiller.offline
    assert {loss.name for loss in model.distiller.losses['zebra']} == {
        'relation',
        'style',
        'feature',
        'adversarial',
    }


def test_an_onnx_file_teaches(shown):
    cfg = read(shown / 'my_onnx_teacher.py')
    model = build_model(cfg, 'cpu')
    check_optimizers(cfg, model)
    assert not cfg.train_dataloader.dataset.teacher_images
    log = student_step(model, build_optimizers(cfg, model))
    assert log['loss_ssim_zebra_teacher'] > 0


def test_a_callable_teaches(shown):
    cfg = read(shown / 'my_callable_teacher.py')
    cfg.model.generator.num_down = 5  # of 64 pixels
    model = build_model(cfg, 'cpu')
    check_optimizers(cfg, model)
    assert list(model.distiller.teachers) == ['mine']
    log = student_step(model, build_optimizers(cfg, model))
    assert sorted(log) == [f'loss_{name}_shoes_mine' for name in ('feature', 'relation', 'style')]


@pytest.mark.parametrize(
    'recipe,loss,reason',
    [
        ('omgd_cyclegan', 'ChannelLoss', 'compares layers'),
        ('omgd_cyclegan', 'KernelAlignmentLoss', 'compares layers'),
        ('omgd_cyclegan', 'SimilarityLoss', 'compares layers'),
        ('omgd_cyclegan', 'CooperativeLoss', 'compares layers'),
        ('omgd_cyclegan', 'DiscriminatorFeatureLoss', 'asks the discriminator'),
        ('crd_cyclegan', 'AdversarialLoss', 'asks the discriminator'),
    ],
)
def test_refused_losses_are_listed(recipe, loss, reason):
    """What docs/offline.md says of teachers that only give images."""
    assert f'`{loss}`' in (ROOT / 'docs/offline.md').read_text().split('## Refused combinations')[1]
    cfg = read(CONFIGS / f'{recipe}.py')
    distiller = cfg.model.distiller
    distiller.offline, distiller.teacher = True, STORED
    options = dict(
        CooperativeLoss=dict(content_weight=1.0, gram_weight=1.0),
        DiscriminatorFeatureLoss=dict(discriminator_layers=['model.3']),
    )
    if recipe.startswith('omgd'):
        own = options.get(loss, {})
        if reason == 'compares layers':
            own = dict(own, layers=['model.9'])
        distiller.losses = [dict(type=f'mmgan_compress.{loss}', weight=1.0, **own)]
    with pytest.raises(ValueError, match=f'{loss} {reason}'):
        build_model(cfg)


def test_gcc_refuses_a_teacher_without_discriminator():
    cfg = read(CONFIGS / 'gcc_cyclegan.py')
    distiller = cfg.model.distiller
    distiller.offline, distiller.teacher = True, STORED
    distiller.losses = [dict(type='mmgan_compress.SSIMLoss')]
    with pytest.raises(ValueError, match='AdversarialPix2Pix, -CycleGAN, -SRGAN or -SAGAN'):
        build_model(cfg)
    distiller.type = 'mmgan_compress.AdversarialCycleGAN'
    assert build_model(cfg).distiller.distilling('zebra')
