"""Recipes that compare: no teacher, other losses, a teacher that is done."""

import pytest

from mmgan_compress.core.complexity import count_params
from mmgan_compress.demo import apply_demo
from recipes import (
    MOBILE_TAPS,
    build_model,
    build_optimizers,
    check_optimizers,
    load,
    model_of,
    recipes_of,
)

# The recipe whose student a baseline has.
PLAIN = {
    'plain_cyclegan-mobile16_1xb1-200e_horse2zebra': 'omgd_cyclegan',
    'plain_pix2pix-unet16_1xb4-200e_edges2shoes': 'omgd_pix2pix',
    'plain_pix2pix-mobile16_1xb4-200e_edges2shoes': 'omgd_pix2pix-mobile16_1xb4-200e_edges2shoes',
}
OMGD = dict(ssim=10, style=1e4, feature=10, tv=1e-5)
# What stands in place of channel distillation: name, weight, its papers'
# other figures.
LOSSES = {
    'omgd_cyclegan-mobile16-kernel_1xb1-200e_horse2zebra': (
        'kernel_alignment',
        1,
        dict(over='positions', layers=tuple(MOBILE_TAPS)),
    ),
    'omgd_cyclegan-mobile16-similarity_1xb1-200e_horse2zebra': (
        'similarity',
        1e3,
        dict(over='positions', layers=tuple(MOBILE_TAPS)),
    ),
    'omgd_cyclegan-mobile16-wavelet_1xb1-200e_horse2zebra': ('wavelet', 0.4, dict(levels=4)),
    'omgd_cyclegan-mobile16-discriminator_1xb1-200e_horse2zebra': (
        'discriminator_feature',
        1,
        dict(discriminator_layers=('model.3',)),
    ),
}
IMAGES = 'omgd_cyclegan-mobile16-images_1xb1-200e_horse2zebra'
# ... and the weights of their losses
OFFLINE = {
    'offline_cyclegan': dict(ssim=10, pixel=50, feature=10),
    'offline_pix2pix': dict(ssim=10, pixel=50),
    IMAGES: OMGD,
    'omgd_cyclegan-mobile16-offline_1xb1-200e_horse2zebra': dict(OMGD, channel=500),
}


def losses_of(name):
    losses = model_of(name).distiller.losses[load(name).model.default_domain]
    return {loss.name: loss for loss in losses}


@pytest.mark.parametrize(
    'folder,names',
    [
        ('plain', PLAIN),
        # the last one: test_configs_gaugan.py
        ('losses', [*LOSSES, 'gan_compression_gaugan-mobile48-kernel_8xb2-200e_cityscapes']),
        ('offline', OFFLINE),
    ],
)
def test_every_recipe_is_in_a_table(folder, names):
    assert sorted(names) == sorted(recipes_of(folder))


@pytest.mark.parametrize('name', PLAIN)
def test_baseline_differs_by_the_teacher_alone(name):
    cfg, other = load(name), load(PLAIN[name])
    assert cfg.model.generator == other.model.generator
    assert cfg.model.default_domain == other.model.default_domain
    for part in ('train_dataloader', 'val_dataloader', 'test_dataloader', 'test_evaluator'):
        assert cfg[part] == other[part]
    assert cfg.optim_wrapper.student == other.optim_wrapper.student
    schedule, taught = (c.model.distiller.schedule for c in (cfg, other))
    assert (schedule.epochs, schedule.constant) == (taught.epochs, taught.constant)
    distiller, teacher = cfg.model.distiller, other.model.distiller
    # the opponent is the teacher's, with a head for one generator
    judge = teacher.teacher.discriminator if 'teacher' in teacher else teacher.discriminator
    own = distiller.student_discriminator
    assert (own.base_channels, own.norm_cfg, own.in_channels) == (
        judge.base_channels,
        judge.norm_cfg,
        judge.in_channels,
    )
    for option in ('gan_type', 'pixel_loss_weight'):
        assert distiller.get(option) == teacher.get(option)
    assert not model_of(name).distiller.reported_teachers


@pytest.mark.parametrize('name', LOSSES)
def test_one_term_replaces_channel_distillation(name):
    loss, weight, figures = LOSSES[name]
    losses = losses_of(name)
    assert {n: t.weight for n, t in losses.items()} == dict(OMGD, **{loss: weight})
    for key, value in figures.items():
        assert getattr(losses[loss], key) == value
    cfg, main = load(name), load('omgd_cyclegan')
    for distiller in (cfg.model.distiller, main.model.distiller):
        distiller.pop('losses')
    assert cfg.model == main.model
    assert cfg.optim_wrapper == main.optim_wrapper


@pytest.mark.parametrize('name', OFFLINE)
def test_offline_teachers_stay_as_they_are(name):
    paired = name == 'offline_pix2pix'  # it plays against a discriminator of its own
    main = 'plain_pix2pix-mobile16_1xb4-200e_edges2shoes' if paired else 'omgd_cyclegan'
    cfg = load(name)
    assert cfg.model.generator == load(main).model.generator
    model = build_model(cfg).train()
    distiller = model.distiller
    assert not any(net.training for net in distiller.teacher_side())
    learning = {n for n, p in model.named_parameters() if p.requires_grad}
    parts = ('generators.', 'distiller.losses.', 'distiller.student_discriminators.')
    assert learning == {n for n, _ in model.named_parameters() if n.startswith(parts)}
    wrappers = build_optimizers(cfg, model)
    assert list(wrappers.keys()) == ['student', *['student_discriminators'] * paired]
    check_optimizers(cfg, model)
    assert {n: t.weight for n, t in losses_of(name).items()} == OFFLINE[name]
    assert not distiller.teacher_snapshots


def test_a_folder_of_images_is_no_network():
    model = model_of(IMAGES)
    assert not model.distiller.teacher_side()
    assert count_params(model.distiller) == 0
    cfg = load(IMAGES)
    apply_demo(cfg)
    assert set(cfg.train_dataloader.dataset.teacher_images) == {'emoji'}
