"""GAN Compression's recipes hold the figures of its scripts."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from golden import load_json
from mmgan_compress.core.complexity import count_macs, count_params
from mmgan_compress.models.supernet import SuperNet
from mmgan_compress.registry import MODELS
from pipelines import read
from recipes import (
    CONFIGS,
    MOBILE,
    MOBILE_TAPS,
    TRANSLATIONS,
    build_model,
    check_optimizers,
    load,
    model_of,
    recipes_of,
)

MACS, IMAGE = load_json('macs'), (1, 3, 256, 256)
RESNET_TAPS = ['model.2', 'model.5', 'model.8', 'model.11']
# student's base channels, space or configuration, kind and base channels of
# the teacher, epochs (constant, decaying)
UNPAIRED = {
    'gan_compression_cyclegan': (32, 'channels-32', MOBILE, 64, 200, 200),
    'gan_compression_cyclegan-mobile32-distill_1xb1-200e_horse2zebra': (
        32,
        None,
        MOBILE,
        64,
        100,
        100,
    ),
    'gan_compression_cyclegan-mobile32-finetune_1xb1-200e_horse2zebra': (
        32,
        '16_16_32_16_32_32_16_16',
        MOBILE,
        64,
        100,
        100,
    ),
    'gan_compression_cyclegan-mobile64-fast_1xb1-400e_horse2zebra': (
        64,
        'channels-64-cycleGAN',
        'ResnetGenerator',
        64,
        200,
        200,
    ),
}
SHOES = {
    'gan_compression_pix2pix': (48, 'channels-48', MOBILE, 64, 10, 30),
    'gan_compression_pix2pix-mobile48-distill_1xb4-20e_edges2shoes': (48, None, MOBILE, 64, 5, 15),
    'gan_compression_pix2pix-mobile48-finetune_1xb4-20e_edges2shoes': (
        48,
        '32_32_48_32_48_48_16_16',
        MOBILE,
        64,
        5,
        15,
    ),
    'gan_compression_pix2pix-mobile64-fast_1xb4-40e_edges2shoes': (
        64,
        'channels-64-pix2pix',
        'ResnetGenerator',
        64,
        10,
        30,
    ),
    'gan_compression_pix2pix-mobile64-fast-finetune_1xb4-20e_edges2shoes': (
        64,
        '24_24_40_56_24_56_16_40',
        'ResnetGenerator',
        64,
        5,
        15,
    ),
}
CITYSCAPES = {
    'gan_compression_pix2pix-mobile48_1xb1-500e_cityscapes': (
        48,
        'channels-48',
        MOBILE,
        96,
        200,
        300,
    ),
    'gan_compression_pix2pix-mobile48-distill_1xb1-250e_cityscapes': (
        48,
        None,
        MOBILE,
        96,
        100,
        150,
    ),
    'gan_compression_pix2pix-mobile48-finetune_1xb1-250e_cityscapes': (
        48,
        '32_32_48_32_32_48_24_24',
        MOBILE,
        96,
        100,
        150,
    ),
    'gan_compression_pix2pix-mobile64-fast_1xb1-500e_cityscapes': (
        64,
        'channels-64-pix2pix',
        'ResnetGenerator',
        64,
        200,
        300,
    ),
}
MAPS = {
    'gan_compression_pix2pix-mobile48_1xb1-600e_maps': (48, 'channels-48', MOBILE, 96, 200, 400),
    'gan_compression_pix2pix-mobile48-distill_1xb1-300e_maps': (48, None, MOBILE, 96, 100, 200),
    'gan_compression_pix2pix-mobile48-finetune_1xb1-300e_maps': (
        48,
        '32_32_48_32_48_32_16_16',
        MOBILE,
        96,
        100,
        200,
    ),
    'gan_compression_pix2pix-mobile64-fast_1xb1-600e_maps': (
        64,
        'channels-64-pix2pix',
        'ResnetGenerator',
        64,
        200,
        400,
    ),
    'gan_compression_pix2pix-mobile64-fast-finetune_1xb1-300e_maps': (
        64,
        '16_16_40_40_40_64_24_16',
        'ResnetGenerator',
        64,
        100,
        200,
    ),
}
TABLE = {**UNPAIRED, **SHOES, **CITYSCAPES, **MAPS}
# kind and base channels, epochs (constant, decaying), batch, weight of L1;
# scripts/*/*/train_full.sh and train_mobile.sh
TEACHERS = {
    f'gan_compression_{name}': figures
    for name, figures in {
        'cyclegan-mobile64-teacher_1xb1-200e_horse2zebra': (MOBILE, 64, 100, 100, 1, None),
        'cyclegan-resnet64-teacher_1xb1-200e_horse2zebra': (
            'ResnetGenerator',
            64,
            100,
            100,
            1,
            None,
        ),
        'pix2pix-mobile64-teacher_1xb4-20e_edges2shoes': (MOBILE, 64, 5, 15, 4, 100),
        'pix2pix-resnet64-teacher_1xb4-20e_edges2shoes': ('ResnetGenerator', 64, 5, 15, 4, 100),
        'pix2pix-mobile96-teacher_1xb1-250e_cityscapes': (MOBILE, 96, 100, 150, 1, 100),
        'pix2pix-resnet64-teacher_1xb1-250e_cityscapes': ('ResnetGenerator', 64, 100, 150, 1, 100),
        'pix2pix-mobile96-teacher_1xb1-300e_maps': (MOBILE, 96, 100, 200, 1, 10),
        'pix2pix-resnet64-teacher_1xb1-300e_maps': ('ResnetGenerator', 64, 100, 200, 1, 10),
    }.items()
}
OURS = 'gan_compression_pix2pix-unet64_1xb4-40e_edges2shoes'
HELD_OUT = dict(horse2zebra=120, edges2shoes=2048, cityscapes=200, maps=300)
# entries of the fixture by data set and name in _base_/gan_compression.py
PUBLISHED = {
    ('horse2zebra', 'paper'): 'gc_sub_cyclegan_h2z_paper',
    ('horse2zebra', 'retrained'): 'gc_sub_cyclegan_h2z_retrained',
    ('horse2zebra', 'fast'): 'gc_sub_cyclegan_h2z_fast',
    ('edges2shoes', 'paper'): 'gc_legacy_pix2pix_e2s_paper',
    ('edges2shoes', 'retrained'): 'gc_sub_pix2pix_e2s_retrained',
    ('edges2shoes', 'fast'): 'gc_sub_pix2pix_e2s_fast',
    ('cityscapes', 'paper'): 'gc_legacy_pix2pix_city_paper',
    ('cityscapes', 'retrained'): 'gc_sub_pix2pix_city_retrained',
    ('cityscapes', 'fast'): 'gc_sub_pix2pix_city_fast',
    ('maps', 'retrained'): 'gc_sub_pix2pix_map2sat',
    ('maps', 'fast'): 'gc_sub_pix2pix_map2sat_fast',
}


def base():
    return Config.fromfile(CONFIGS / '_base_/gan_compression.py')


def test_every_recipe_is_in_a_table():
    assert sorted([*TABLE, OURS, *TEACHERS]) == sorted(
        set(recipes_of('gan_compression')) & set(TRANSLATIONS)
    )
    assert set(PUBLISHED) == {
        (data, name) for data, held in base().published.items() for name in held
    }


@pytest.mark.parametrize('name', TABLE)
def test_figures(name):
    width, chosen, kind, wide, constant, decaying = TABLE[name]
    cfg = load(name)
    student, distiller = cfg.model.generator, cfg.model.distiller
    arch = student.get('arch', student)
    assert (arch.type, arch.base_channels) == (MOBILE, width)
    assert chosen == student.get('space', student.get('configuration'))
    teacher = distiller.teacher.generator if name in UNPAIRED else distiller.teachers.wide
    assert (teacher.type, teacher.base_channels) == (kind, wide)
    schedule = distiller.schedule
    assert (schedule.constant, schedule.epochs - schedule.constant) == (constant, decaying)
    assert distiller.get('start_from_teacher', False) == ('-distill' in name)
    (loss,) = model_of(name).distiller.losses[cfg.model.default_domain]
    assert list(loss.layers) == MOBILE_TAPS
    assert list(loss.target_layers) == (MOBILE_TAPS if kind == MOBILE else RESNET_TAPS)
    judge, d = distiller.student_discriminator, model_of(name).distiller
    assert judge.norm_cfg == dict(type='IN')
    if name in UNPAIRED:
        assert (d.gan_type, d.pixel_loss_weight, loss.weight) == ('lsgan', 10, 0.01)
        assert (judge.base_channels, judge.in_channels) == (64, 3)
    else:
        assert (d.gan_type, d.pixel_loss_weight, loss.weight) == (
            ('hinge', 10, 0.01) if name in MAPS else ('hinge', 100, 1)
        )
        assert (judge.base_channels, judge.in_channels) == (128, 6)
    assert d.gan_loss_weight == 1
    assert cfg.train_dataloader.batch_size == (4 if name in SHOES else 1)


@pytest.mark.parametrize('name', TEACHERS)
def test_teachers(name):
    """An ordinary GAN, whose checkpoint the other recipes' teachers fit."""
    kind, width, constant, decaying, batch, l1 = TEACHERS[name]
    cfg, distiller = load(name), model_of(name).distiller
    generator = cfg.model.generator
    assert (generator.type, generator.base_channels, generator.norm_cfg) == (
        kind,
        width,
        dict(type='IN'),
    )
    schedule = cfg.model.distiller.schedule
    assert (schedule.constant, schedule.epochs - schedule.constant) == (constant, decaying)
    assert cfg.train_dataloader.batch_size == batch
    assert 'hold_out' not in cfg.train_dataloader.dataset
    assert not distiller.latest_networks()
    judge = cfg.model.distiller.student_discriminator
    if l1 is None:  # G before D, pools of 50, both directions
        assert sorted(model_of(name).domains) == ['horse', 'zebra']
        assert distiller.loss_config == dict(cycle_loss_weight=10, id_loss_weight=5)
        assert [pool.buffer_size for pool in distiller.image_buffers.values()] == [50, 50]
    else:  # D before G
        assert distiller.discriminator_first
        assert (distiller.gan_type, distiller.pixel_loss_weight, distiller.gan_loss_weight) == (
            'hinge',
            l1,
            1,
        )
    taught = [
        load(other)
        for other, row in TABLE.items()
        if row[2:4] == (kind, width) and load(other).data_root == cfg.data_root
    ]
    assert taught
    for other in taught:
        teacher = other.model.distiller.get('teacher') or dict(
            generator=other.model.distiller.teachers.wide
        )
        assert teacher['generator'] == generator
        assert other.model.distiller.student_discriminator == judge


@pytest.mark.parametrize('name', [*TABLE, OURS])
def test_supernets_have_their_hooks(name):
    cfg, hooks = load(name), load(name).default_hooks
    student = model_of(name).generators[cfg.model.default_domain]
    assert isinstance(student, SuperNet) == bool(hooks.get('subnets'))
    assert bool(hooks.get('subnets')) == bool(hooks.get('scores'))
    if hooks.get('subnets'):
        assert hooks.subnets.rule == 'uniform'


@pytest.mark.parametrize('name', [*TABLE, OURS])
def test_supernets_alone_leave_images_to_the_search(name):
    """As many as the authors (spec section 3, splits)."""
    cfg = load(name)
    data = Path(cfg.train_dataloader.dataset.data_root).name
    count = HELD_OUT[data] if cfg.default_hooks.get('subnets') else 0
    for split in ('train', 'val'):
        images = cfg[f'{split}_dataloader'].dataset
        assert images.get('hold_out', 0) == count
        assert images.get('val_folder', True) == (not count or data != 'cityscapes')
    assert not count or cfg.val_dataloader.dataset.split == 'val'


@pytest.mark.parametrize('data, name', PUBLISHED)
def test_published_subnets(data, name):
    """Exactly the parameters and MACs of the authors' networks."""
    want, cfg = MACS[PUBLISHED[data, name]], base()
    configuration = cfg.published[data][name]
    if name != 'paper':
        assert configuration == want['config']
    with torch.device('meta'):
        net = MODELS.build(
            dict(
                type='mmgan_compress.SlimNetwork',
                configuration=configuration,
                arch=dict(cfg.mobile, base_channels=64),
            )
        )
    macs = count_macs(net, IMAGE)
    assert count_params(net) == want['params']
    assert (macs.macs, macs.macs_paper) == (want['macs_flop_counter'], want['macs_torchprofile'])


@pytest.mark.parametrize('task', ['cyclegan', 'pix2pix'])
@pytest.mark.parametrize('demo', [False, True])
def test_pipelines_can_be_read(task, demo, tmp_path):
    """Each stage takes over what the one before has left."""
    steps = read(
        CONFIGS / f'gan_compression/gan_compression_{task}-pipeline.py', tmp_path, demo=demo
    )
    assert list(steps) == [
        'distill',
        'supernet',
        'subnet',
        *(['finetune'] if task == 'pix2pix' else []),
        'export',
    ]
    held = [
        steps[name].recipe.train_dataloader.dataset.get('hold_out')
        for name in ('distill', 'supernet')
    ]
    assert held[0] == held[1] and held[0] > 0
    assert all('{distill}' in text for text in steps['supernet'].files)
    assert list(steps['subnet'].files) == ['{supernet}/student.pth']
    start = steps['supernet'].recipe.model
    out = Path(tmp_path / '1_distill/run')
    domain = start.default_domain
    assert start.generator.init_cfg == dict(
        type='Pretrained', checkpoint=str(out / 'student.pth'), prefix=f'generators.{domain}'
    )
    assert start.distiller.discriminator_checkpoint == str(out / 'last_checkpoint')
    assert domain == ('emoji' if demo else 'zebra' if task == 'cyclegan' else 'shoes')


def test_readme_shows_a_recipe(tmp_path):
    """A super-net of the plain ResNet, with a space of its own."""
    text = (CONFIGS / 'gan_compression/README.md').read_text()
    (code,) = re.findall(r'```python\n# my_supernet.py\n(.*?)```', text, re.S)
    (tmp_path / 'configs').symlink_to(CONFIGS)
    (tmp_path / 'my_supernet.py').write_text(code)
    cfg = Config.fromfile(tmp_path / 'my_supernet.py')
    model = build_model(cfg)
    check_optimizers(cfg, model)
    net = model.generators['shoes']
    assert type(net.network).__name__ == 'ResnetGenerator'
    assert len(net.space) == 3**2 * 2**5


def test_readme_shows_a_smaller_number(tmp_path):
    text = (CONFIGS / 'gan_compression/README.md').read_text()
    (code,) = re.findall(r'```python\n# my_held_out.py\n(.*?)```', text, re.S)
    (tmp_path / 'configs').symlink_to(CONFIGS)
    (tmp_path / 'my_held_out.py').write_text(code)
    cfg = Config.fromfile(tmp_path / 'my_held_out.py')
    assert [cfg[f'{split}_dataloader'].dataset.hold_out for split in ('train', 'val')] == [20, 20]
    assert cfg.train_dataloader.dataset.size == 256  # merged, not replaced
