"""GAN Slimming's recipes hold the figures of its scripts (spec section 4)."""

import pytest

from mmgan_compress.demo import apply_demo
from pipelines import read
from recipes import CONFIGS, RECIPES, build_optimizers, load, model_of, recipes_of

ADAM = dict(type='Adam', lr=1e-5, betas=(0.5, 0.999), weight_decay=1e-3)
SGD = dict(type='SGD', lr=0.1, momentum=0.5)
NAMES = recipes_of('gan_slimming')
# a dense model in 8 bits, in front of GS-8, learns as stage 3 does
DENSE8 = 'gan_slimming_cyclegan-resnet64-dense-gs8_1xb16-200e_horse2zebra'
GS8 = 'gan_slimming_cyclegan-resnet64-gs8_1xb8-200e_horse2zebra'
FINE = [name for name in NAMES if '-finetune' in name or name == DENSE8]
SLIMMING = [name for name in NAMES if name not in FINE]
# Who does not begin as a copy of the teacher: there is no network to copy,
# or the published script does not, or another stage is behind it.
ANEW = [
    name
    for name in NAMES
    if '-images' in name
    or '-finetune' in name
    or name == GS8
    or '-published_1xb8-200e_summer2winter' in name
]


@pytest.mark.parametrize('name', NAMES)
def test_both_stages(name):
    cfg = load(name)
    distiller = cfg.model.distiller
    schedule = distiller.schedule
    assert (schedule.epochs, schedule.constant) == (200, 200)
    [loss] = distiller.losses
    model = model_of(name)
    [built] = model.distiller.losses[cfg.model.default_domain]
    assert (loss.weight, built.style_weight) == (20, 1e5)
    (buffer,) = model.distiller.image_buffers.values()
    assert buffer.buffer_size == 50
    assert cfg.default_hooks.rate == dict(type='mmgan_compress.CosineLRHook')
    assert cfg.train_dataloader.drop_last
    assert distiller.start_from_teacher == (name not in ANEW)
    assert len(cfg.model.reachable_domains) == 1


@pytest.mark.parametrize('name', [n for n in NAMES if 'pix2pix' not in n])
def test_scoring(name):
    """FID against training images alone; the best after epoch 100."""
    cfg = load(name)
    for split in ('val', 'test'):
        fid, *_ = cfg[f'{split}_evaluator'].metrics
        assert fid.reference.split == 'train'
    assert cfg.default_hooks.student.since == 101
    assert model_of(name).distiller.epoch_domain == cfg.domain_a


@pytest.mark.parametrize('name', SLIMMING)
def test_slimming(name):
    cfg = load(name)
    assert cfg.train_dataloader.batch_size == 8
    optimizers = {
        key: wrapper.optimizer for key, wrapper in cfg.optim_wrapper.items() if key != 'constructor'
    }
    assert optimizers == dict(student=ADAM, scales=SGD, student_discriminators=ADAM)
    assert cfg.default_hooks.slimming.rho == 0.01
    quantize = cfg.model.distiller.get('quantize')
    assert quantize == (dict(activation_max=4.0, levels=256) if '-gs8' in name else None)


@pytest.mark.parametrize('name', FINE)
def test_fine_tuning(name):
    cfg = load(name)
    assert cfg.train_dataloader.batch_size == 16
    assert 'slimming' not in cfg.default_hooks
    quantize = cfg.model.distiller.get('quantize')
    assert quantize == (dict(activation_max=4.0, levels=256) if '-gs8' in name else None)
    optimizers = {
        key: wrapper.optimizer for key, wrapper in cfg.optim_wrapper.items() if key != 'constructor'
    }
    fine = dict(ADAM, lr=1e-4)
    assert optimizers == dict(student=fine, student_discriminators=fine)
    model = model_of(name)
    held = build_optimizers(cfg, model)['student'].param_groups
    scales = {id(norm.weight) for norm in model.distiller.slim_norms}
    assert scales <= {id(p) for group in held for p in group['params']}


def test_gs8_starts_from_a_dense_model_in_8_bits():
    """gs.py:101-109: generator and discriminator of another dense model."""
    cfg = load(GS8)
    start = cfg.model.generator.init_cfg
    assert start == dict(
        type='Pretrained',
        prefix='generators.zebra',
        checkpoint=cfg.model.distiller.discriminator_checkpoint,
    )
    assert cfg.model.distiller.quantize == load(DENSE8).model.distiller.quantize


@pytest.mark.parametrize('demo', [False, True])
def test_gs8_pipeline(demo, tmp_path):
    """The dense model is trained first, and what it left is taken over."""
    steps = read(
        CONFIGS / 'gan_slimming/gan_slimming_cyclegan-gs8-pipeline.py', tmp_path, demo=demo
    )
    assert list(steps) == ['dense', 'slim', 'extract', 'finetune', 'int8']
    dense, slim = (steps[name].recipe.model for name in ('dense', 'slim'))
    domain = slim.default_domain
    assert dense.distiller.start_from_teacher
    assert not slim.distiller.start_from_teacher
    assert dense.distiller.quantize == slim.distiller.quantize
    out = tmp_path / '1_dense/run'
    assert slim.generator.init_cfg == dict(
        type='Pretrained', checkpoint=str(out / 'student.pth'), prefix=f'generators.{domain}'
    )
    assert slim.distiller.discriminator_checkpoint == str(out / 'last_checkpoint')
    assert domain == ('emoji' if demo else 'zebra')


def test_discriminator_and_widths():
    """13 widths of the paper's generator; CartoonGAN's has 12."""
    for name, count in (
        ('gan_slimming_cyclegan', 13),
        ('gan_slimming_pix2pix', 13),
        ('gan_slimming_cartoongan', 12),
    ):
        assert len(model_of(name).distiller.slim_norms) == count
    cfg = load('gan_slimming_cyclegan')
    judge = cfg.model.distiller.student_discriminator
    assert (judge.base_channels, judge.norm_cfg) == (64, dict(type='IN', affine=True))


def test_published_mirrors_always():
    name = 'gan_slimming_cyclegan-resnet64-published_1xb8-200e_horse2zebra'
    cfg = load(name)
    (flip,) = [step for step in cfg.train_dataloader.dataset.pipeline if step.type == 'Flip']
    assert flip.flip_ratio == 1
    assert cfg.default_hooks.slimming.shrink_shifts is False
    apply_demo(cfg)
    assert 'pipeline' not in cfg.train_dataloader.dataset


@pytest.mark.parametrize('name', NAMES)
def test_demo_slims_a_copy_of_its_teacher(name):
    cfg = load(name)
    apply_demo(cfg)
    generator = cfg.model.generator
    # the unpaired teacher of the demo enlarges by nearest neighbours
    kind = 'ResnetGenerator' if 'pix2pix' in name else 'mmgan_compress.ResizeResnetGenerator'
    assert (generator.type, generator.num_blocks) == (kind, 6)
    assert generator.norm_cfg == dict(type='IN', affine=True)
    assert generator.base_channels == (20 if 'pix2pix' in name else 12)
    assert cfg.optim_wrapper.student.optimizer.lr == 3e-4
    if name in SLIMMING:
        assert cfg.optim_wrapper.scales.optimizer.lr == 1e-3
        assert cfg.default_hooks.slimming.rho == 3


def test_no_recipe_is_left_out():
    assert sorted(NAMES) == sorted(name for name in RECIPES if name.startswith('gan_slimming'))
