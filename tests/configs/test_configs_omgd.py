"""OMGD's recipes hold the figures of its scripts."""

import pytest

from recipes import MOBILE, MOBILE_TAPS, TRANSLATIONS, UNET, UNET_TAPS, load, recipes_of

# The published scripts: teacher, student, ndf, lambda_CD, save_epoch_freq.
# All: batch 1, 100 + 100 epochs, n_dis 4.
CYCLEGAN = {
    'omgd_cyclegan': (64, 16, 64, 500, 10),
    'omgd_cyclegan-mobile12_1xb1-200e_horse2zebra': (48, 12, 64, 500, 12),
    'omgd_cyclegan-mobile8_1xb1-200e_horse2zebra': (48, 8, 64, 500, 8),
    'omgd_cyclegan-mobile16_1xb1-200e_summer2winter': (64, 16, 64, 100, 6),
    'omgd_cyclegan-mobile12_1xb1-200e_summer2winter': (48, 12, 64, 100, 6),
    'omgd_cyclegan-mobile8_1xb1-200e_summer2winter': (48, 8, 64, 100, 6),
    # not published: other data, other directions, another rule
    'omgd_cyclegan-mobile16_1xb1-200e_elpv': (64, 16, 64, 500, 10),
    'omgd_cyclegan-mobile16-both_1xb1-200e_horse2zebra': (64, 16, 64, 500, 10),
    'omgd_cyclegan-mobile16-either_1xb1-200e_horse2zebra': (64, 16, 64, 500, 10),
}
# wide and deep teacher, student, ndf, n_share, batch, lambda_CD, epochs
# (all and constant), n_dis, save_epoch_freq
SHOES, CITY = (200, 100, 1, 5), (750, 300, 3, 25)
PIX2PIX = {
    'omgd_pix2pix': (64, 16, 16, 128, 5, 4, 10, *SHOES),
    'omgd_pix2pix-unet12_1xb4-200e_edges2shoes': (48, 12, 12, 96, 5, 4, 10, *SHOES),
    'omgd_pix2pix-unet8_1xb4-200e_edges2shoes': (48, 12, 8, 96, 5, 4, 10, *SHOES),
    'omgd_pix2pix-unet16_1xb4-750e_cityscapes': (64, 16, 16, 128, 5, 4, 50, *CITY),
    'omgd_pix2pix-unet12_1xb4-750e_cityscapes': (48, 12, 12, 96, 5, 4, 50, *CITY),
    'omgd_pix2pix-unet8_1xb4-750e_cityscapes': (48, 12, 8, 96, 3, 4, 50, *CITY),
    'omgd_pix2pix-mobile16_1xb4-200e_edges2shoes': (64, 16, 16, 128, 3, 4, 100, *SHOES),
    'omgd_pix2pix-mobile12_1xb4-200e_edges2shoes': (48, 12, 12, 96, 3, 4, 1000, *SHOES),
    'omgd_pix2pix-mobile8_1xb4-200e_edges2shoes': (48, 12, 8, 96, 3, 4, 1000, *SHOES),
    'omgd_pix2pix-mobile24_1xb4-200e_edges2shoes': (96, 24, 24, 128, 3, 4, 100, *SHOES),
    'omgd_pix2pix-mobile16_1xb1-750e_cityscapes': (64, 16, 16, 128, 4, 1, 0, *CITY),
    'omgd_pix2pix-mobile12_1xb1-750e_cityscapes': (48, 12, 12, 96, 3, 1, 0, *CITY),
    'omgd_pix2pix-mobile8_1xb1-750e_cityscapes': (48, 12, 8, 96, 3, 1, 0, *CITY),
    'omgd_pix2pix-mobile24_1xb1-750e_cityscapes': (96, 24, 24, 128, 3, 1, 0, *CITY),
}
DEEP = {
    MOBILE: 'mmgan_compress.DeepSeparableResnetGenerator',
    UNET: 'mmgan_compress.DeepUnetGenerator',
}


def test_every_recipe_is_in_a_table():
    assert sorted([*CYCLEGAN, *PIX2PIX]) == sorted(set(recipes_of('omgd')) & set(TRANSLATIONS))


@pytest.mark.parametrize('name', CYCLEGAN)
def test_cyclegan_figures(name):
    wide, student, ndf, weight, block = CYCLEGAN[name]
    cfg = load(name)
    model, distiller = cfg.model, cfg.model.distiller
    teacher = distiller.teacher
    norm = dict(type='IN')
    assert model.generator == dict(type=MOBILE, norm_cfg=norm, base_channels=student)
    assert teacher.generator == dict(type=MOBILE, norm_cfg=norm, base_channels=wide)
    assert teacher.discriminator.base_channels == ndf
    assert teacher.discriminator.norm_cfg == norm
    assert teacher.buffer_size == 50
    assert teacher.loss_config == dict(cycle_loss_weight=10, id_loss_weight=5)
    assert set(teacher.reachable_domains) == set(model.related_domains)
    assert distiller.losses[4:] == [
        dict(type='mmgan_compress.ChannelLoss', weight=weight, layers=MOBILE_TAPS)
    ]
    assert distiller.schedule == dict(
        epochs=200, constant=100, block=block, student_epochs=4 * block
    )
    assert cfg.train_dataloader.batch_size == 1
    assert len(model.reachable_domains) == (2 if '-both' in name else 1)
    assert model.default_domain == cfg.train_dataloader.dataset.domains[1]


@pytest.mark.parametrize('name', PIX2PIX)
def test_pix2pix_figures(name):
    (wide, deep, student, ndf, shared, batch, weight, epochs, constant, n_dis, block) = PIX2PIX[
        name
    ]
    cfg = load(name)
    model, distiller = cfg.model, cfg.model.distiller
    kind = MOBILE if '-mobile' in name else UNET
    norm = dict(type='IN' if kind == MOBILE else 'BN')
    networks = [
        (model.generator, kind, student),
        (distiller.teachers.wide, kind, wide),
        (distiller.teachers.deep, DEEP[kind], deep),
    ]
    for network, its_type, width in networks:
        assert (network.type, network.base_channels, network.norm_cfg) == (its_type, width, norm)
        assert not network.get('use_dropout')
    assert distiller.discriminator == dict(
        type='mmgan_compress.MultiHeadPatchDiscriminator',
        in_channels=6,
        base_channels=ndf,
        norm_cfg=norm,
        num_heads=2,
        shared=shared,
    )
    taps = MOBILE_TAPS if kind == MOBILE else UNET_TAPS
    assert distiller.losses[4:] == (
        [dict(type='mmgan_compress.ChannelLoss', weight=weight, layers=taps, teachers=['wide'])]
        if weight
        else []
    )
    assert distiller.gan_type == 'hinge'
    assert distiller.pixel_loss_weight == 100
    assert distiller.teacher_interval == n_dis
    assert distiller.schedule == dict(epochs=epochs, constant=constant, block=block)
    assert cfg.train_dataloader.batch_size == batch
    # cityscapes in direction BtoA: from the right half to the left
    domains = list(cfg.train_dataloader.dataset.domains)
    target = domains[0] if 'cityscapes' in name else domains[1]
    assert (model.default_domain, model.reachable_domains) == (target, [target])
    assert f'_1xb{batch}-' in name or name == 'omgd_pix2pix'
