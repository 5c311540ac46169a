"""CRD's recipes hold the figures of its scripts."""

import pytest

from recipes import MOBILE, TRANSLATIONS, UNET, load, model_of, recipes_of

# teacher, student, save_epoch_freq; all: ndf 64, batch 1, 100 + 100 epochs,
# n_dis 4
CYCLEGAN = {
    'crd_cyclegan': (64, 16, 10),
    'crd_cyclegan-mobile16_1xb1-200e_summer2winter': (64, 16, 6),
    # not published: the narrower students
    'crd_cyclegan-mobile12_1xb1-200e_horse2zebra': (48, 12, 10),
    'crd_cyclegan-mobile8_1xb1-200e_horse2zebra': (48, 8, 10),
}
# kind; all: 64 to 16, ndf 128, batch 4, 100 + 100 epochs, n_dis 1
PIX2PIX = {
    'crd_pix2pix': UNET,
    'crd_pix2pix-mobile16_1xb4-200e_edges2shoes': MOBILE,
    'crd_pix2pix-unet16-published_1xb4-200e_edges2shoes': UNET,
    'crd_pix2pix-unet16-judged_1xb4-200e_edges2shoes': UNET,
}


OF_IMAGES = sorted(set(recipes_of('crd')) & set(TRANSLATIONS))


def test_every_recipe_is_in_a_table():
    assert sorted([*CYCLEGAN, *PIX2PIX]) == OF_IMAGES


@pytest.mark.parametrize('name', CYCLEGAN)
def test_cyclegan_figures(name):
    wide, student, block = CYCLEGAN[name]
    cfg = load(name)
    teacher, norm = cfg.model.distiller.teacher, dict(type='IN')
    assert cfg.model.generator == dict(type=MOBILE, norm_cfg=norm, base_channels=student)
    assert teacher.generator == dict(type=MOBILE, norm_cfg=norm, base_channels=wide)
    assert (teacher.discriminator.base_channels, teacher.discriminator.norm_cfg) == (64, norm)
    assert teacher.buffer_size == 50
    assert teacher.loss_config == dict(cycle_loss_weight=10, id_loss_weight=5)
    assert cfg.model.distiller.schedule == dict(
        epochs=200, constant=100, block=block, student_epochs=4 * block
    )
    assert cfg.train_dataloader.batch_size == 1
    assert cfg.model.reachable_domains == [cfg.model.default_domain]


@pytest.mark.parametrize('name', PIX2PIX)
def test_pix2pix_figures(name):
    cfg = load(name)
    model, distiller, kind = cfg.model, cfg.model.distiller, PIX2PIX[name]
    norm = dict(type='IN' if kind == MOBILE else 'BN')
    assert list(distiller.teachers) == ['wide']
    for network, width in ((model.generator, 16), (distiller.teachers.wide, 64)):
        assert (network.type, network.base_channels, network.norm_cfg) == (kind, width, norm)
        assert not network.get('use_dropout')
    plain = distiller.discriminator
    assert (plain.type, plain.base_channels, plain.norm_cfg) == ('PatchDiscriminator', 128, norm)
    assert distiller.gan_type == 'hinge'
    assert distiller.pixel_loss_weight == 100
    assert distiller.teacher_interval == 1
    assert distiller.schedule == dict(epochs=200, constant=100, block=5)
    assert cfg.train_dataloader.batch_size == 4


@pytest.mark.parametrize('name', OF_IMAGES)
def test_losses(name):
    cfg = load(name)
    losses = {loss.name: loss for loss in model_of(name).distiller.losses[cfg.model.default_domain]}
    paired = name in PIX2PIX
    weights = (
        dict(relation=2.5, style=2e4, feature=20)
        if paired
        else dict(relation=25, style=1e4, feature=10, adversarial=1)
    )
    if '-judged' in name:
        weights['adversarial'] = 1
    assert {n: loss.weight for n, loss in losses.items()} == weights
    relation = losses['relation']
    assert relation.parts == ('rows', 'columns', 'patches')
    assert (relation.patch_size, relation.weights) == (32, (1, 2))
    assert relation.sums_images == paired
    assert relation.published == ('-published' in name)
    if 'adversarial' in losses:
        assert losses['adversarial'].gan_type == ('hinge' if paired else 'lsgan')
