"""The demo: shipped data and teachers, any recipe."""

import re
import runpy
import shutil

import pytest
import torch
from mmengine.config import Config

from mmgan_compress.demo import DATA, apply_demo
from mmgan_compress.registry import MODELS
from recipes import RECIPES, ROOT, build_model, check_optimizers, load
from students import run_tool
from toy import moved, snapshot

TOOL = runpy.run_path(str(ROOT / 'projects/step_speed/compare_steps.py'))
# Recipes that differ in the student's width alone have the same demo.
DEMOS = [
    name for name in RECIPES if not re.search(r'(mobile8|mobile12|mobile24|unet8|unet12)_', name)
]
STEPPED = set()
# Ten seconds each by the real command.
COMMANDS = ['omgd_cyclegan'] + [
    pytest.param(name, marks=pytest.mark.slow)
    for name in (
        'omgd_pix2pix',
        'crd_cyclegan',
        'crd_pix2pix',
        'gan_slimming_cyclegan',
        'gan_slimming_pix2pix',
        'gan_slimming_cartoongan',
        'gan_slimming_cyclegan-resnet64-gs8_1xb8-200e_horse2zebra',
        'gcc_cyclegan',
        'gcc_pix2pix',
        'gan_compression_gaugan',
        'gan_compression_gaugan-mobile48-distill_8xb2-200e_cityscapes',
        'gan_compression_gaugan-mobile64-teacher_8xb2-200e_cityscapes',
        'gan_compression_munit',
        'gan_compression_munit-munit64-teacher_1xb1-21e_edges2shoes',
        'omgd_gaugan-mobile24_8xb2-200e_cityscapes',
        'gcc_srgan',
        'gcc_srgan-resnet64-generator_1xb16-130e_coco',
        'gcc_sagan',
        'gcc_sagan-attention48-pretrain_1xb64-10e_celeba',
        'gcc_cyclegan-mobile24-pretrain_1xb1-20e_horse2zebra',
        'gcc_pix2pix-unet32-pretrain_1xb1-25e_cityscapes',
        'omgd_srgan-resnet24_1xb16-30e_coco',
        'omgd_cyclegan-mobile16-images_1xb1-200e_horse2zebra',
        'omgd_cyclegan-mobile16-offline_1xb1-200e_horse2zebra',
        'plain_cyclegan-mobile16_1xb1-200e_horse2zebra',
        'plain_pix2pix-unet16_1xb4-200e_edges2shoes',
    )
]


def test_shipped_teachers_load_and_are_small():
    files = sorted(DATA.glob('*.pth'))
    assert len(files) == 8
    for file in files:
        assert file.stat().st_size <= 2_000_000
        assert torch.load(file, weights_only=True)['state_dict']


def test_what_the_demo_leaves_out_is_said(capsys):
    cfg = load('omgd_cyclegan')
    apply_demo(cfg)
    assert not capsys.readouterr().err
    cfg = load('omgd_cyclegan')
    cfg.train_dataloader.dataset.extra_images = dict(horse='more')
    apply_demo(cfg)
    assert 'leaves out *.dataset.extra_images' in capsys.readouterr().err
    assert 'extra_images' not in cfg.train_dataloader.dataset


def test_keys_of_a_demo():
    """Members, keys that a recipe may have, and those that go."""
    cfg = Config(
        dict(
            a=[dict(lr=1), dict(b=2)],
            c=dict(x=1, y=dict(z=1)),
            demo={
                'a.*.lr?': 2,
                'a.1.b': 3,
                'c.x': None,
                'c.new': dict(file='{data}/f'),
                'c.y': dict(_delete_=True, q=1),
                'd.e?': 1,
            },
        )
    )
    apply_demo(cfg)
    assert cfg.to_dict() == dict(
        a=[dict(lr=2), dict(b=3)], c=dict(new=dict(file=f'{DATA}/f'), y=dict(q=1))
    )


def test_demos_that_cannot_be():
    with pytest.raises(ValueError, match='has no demo. Inherit from'):
        apply_demo(Config(dict(model=dict())))
    with pytest.raises(ValueError, match="'model.distiler.x' is no place"):
        apply_demo(Config(dict(model=dict(), demo={'model.distiler.x': 1})))


@pytest.mark.parametrize(
    'recipe',
    [
        'omgd_cyclegan',
        'omgd_pix2pix',
        'crd_cyclegan',
        'crd_pix2pix',
        'gcc_cyclegan',
        'gcc_pix2pix',
        'gan_slimming_cyclegan',
        'gan_slimming_pix2pix',
        'omgd_cyclegan-mobile16-offline_1xb1-200e_horse2zebra',
    ],
)
def test_teachers_start_from_the_shipped_files(recipe):
    cfg = load(recipe)
    apply_demo(cfg)
    model = MODELS.build(cfg.model)
    model.init_weights()
    shipped = {}
    for file in cfg.model.distiller.teacher_checkpoints:
        shipped.update(torch.load(file, weights_only=True)['state_dict'])
    own = model.distiller.state_dict()
    # a single teacher leaves the deep one's weights and head alone
    shared = shipped.keys() & own.keys()
    assert all(torch.equal(own[k], shipped[k].float()) for k in shared)
    taught = {k for k in own if k.startswith(('teacher.', 'teachers.', 'discriminator.'))}
    assert taught and taught <= shared


def without_numbers(node):
    """Return a config with 0 in place of every number."""
    if isinstance(node, dict):
        return {key: without_numbers(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [without_numbers(value) for value in node]
    return 0 if type(node) in (int, float) else node


@pytest.mark.parametrize('name', DEMOS)
def test_demo_takes_steps(name):
    """Networks, losses, optimizers and inputs of each demo fit together.

    One that differs from another in numbers alone is built, and no more.
    """
    cfg = load(name)
    apply_demo(cfg)
    cfg.train_dataloader.batch_size = 1
    kind = str(without_numbers([cfg.model.to_dict(), cfg.optim_wrapper.to_dict()]))
    known = kind in STEPPED
    STEPPED.add(kind)
    if known:
        check_optimizers(cfg, build_model(cfg))
        return
    model, wrappers = TOOL['build'](cfg, 'cpu')
    check_optimizers(cfg, model)
    size = cfg.train_dataloader.dataset.size
    inputs = TOOL['random_inputs'](cfg, model, size, 'cpu')
    students, log = model.generators[cfg.model.default_domain], {}
    before = snapshot(students)
    for first in TOOL['first_iterations'](model.distiller).values():
        # the teacher's turn where it has one
        model.distiller.iteration = first - 1 + getattr(model.distiller, 'teacher_interval', 1)
        log.update(model.distiller.train_step(inputs, wrappers))
    assert all(torch.isfinite(value).all() for value in log.values())
    plays = {'discriminators', 'student_discriminators'} & set(wrappers.keys())
    assert any('disc' in key for key in log) == bool(plays)
    assert moved(students, before)


@pytest.mark.parametrize('name', COMMANDS)
def test_demo_runs_by_one_command(name, tmp_path, vgg_file, monkeypatch):
    """Some iterations of the real command, scoring and hooks included."""
    home, work_dir = tmp_path / 'home', tmp_path / 'run'
    (home / 'weights').mkdir(parents=True)
    shutil.copy(vgg_file, home / 'weights/vgg16.pth')
    change = dict(epochs=2, constant=1, block=2)
    if 'student_epochs' in Config.fromfile(RECIPES[name]).model.distiller.schedule:
        change['student_epochs'] = 2
    monkeypatch.setenv('MMGAN_COMPRESS_HOME', str(home))
    done = run_tool(
        'train',
        RECIPES[name],
        '--demo',
        '--work-dir',
        work_dir,
        '--cfg-options',
        *(f'model.distiller.schedule.{k}={v}' for k, v in change.items()),
        *(f'{split}_dataloader.dataset.max_images=4' for split in ('val', 'test')),
    )
    assert done.returncode == 0, done.stderr
    for file in ('student.pth', 'student_best.pth', 'report.json', 'comparison.png'):
        assert (work_dir / file).is_file()
    text = (work_dir / 'report.md').read_text()
    if 'srgan' in name:
        assert 'high/PSNR-Y' in text and 'uniform 7x7' in text
        return
    assert 'emoji/FD-VGG16' in text
    if 'sagan' in name:  # there is no truth to compare with
        return
    assert 'LPIPS' in text
    assert 'FID' not in text  # by another network it is not called so
