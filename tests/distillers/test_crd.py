"""CRD's student losses against its own code's numbers; who judges."""

import pytest
import torch
from mmengine.config import Config

from golden import assert_close_rel, build, load_json, load_npz
from mmgan_compress.models.original import load_original
from toy import REPO, batch, build_model, moved, optimizers, snapshot, toy_config

pytestmark = pytest.mark.numerical

GOLDEN = load_json('crd')
ARRAYS = load_npz('crd')


def losses(model, domain, image, target):
    """Return what the student would be told of an image, and its gradient."""
    image = image.clone().requires_grad_()
    name = next(iter(model.distiller.latest_networks()))
    losses = model.distiller.distillation_losses(
        domain, torch.zeros_like(image), image, {}, {name: (target, {})}
    )
    sum(losses.values()).backward()
    return {k.split('_')[1]: float(v) for k, v in losses.items()}, image.grad


def published(model, vgg, recipe=None):
    """Build a model with a recipe's own losses, as users get them."""
    cfg = Config.fromfile(REPO / f'configs/{recipe or f"crd_{model}"}.py')
    cfg.model.generator.base_channels = 4
    cfg.model.distiller.perceptual = dict(type='mmgan_compress.VGG16Features', weights=vgg)
    nets = cfg.model.distiller
    (nets.teacher.generator if model == 'cyclegan' else nets.teachers.wide).base_channels = 4
    (nets.teacher.discriminator if model == 'cyclegan' else nets.discriminator).base_channels = 4
    return build_model(cfg)


def test_cyclegan_student_total(vgg_file):
    model = published('cyclegan', vgg_file)
    load_original(model.distiller.teacher.discriminators['zebra'], load_npz('crd', 'D/'))
    got, gradient = losses(model, 'zebra', ARRAYS['S1'], ARRAYS['T1'])
    want = GOLDEN['cyclegan_student_total']
    relation = 25 * sum(want[f'loss_G_{part}'] for part in ('row', 'column', 'patch'))
    assert_close_rel(got['relation'], relation, 1e-3)
    assert_close_rel(got['style'], want['loss_G_style'], 1e-3)
    assert_close_rel(got['feature'], want['loss_G_feature'], 1e-3)
    assert_close_rel(got['adversarial'], want['loss_G_D'], 1e-3)
    assert_close_rel(sum(got.values()), want['loss_G_student'], 1e-3)
    assert_close_rel(gradient.norm(), want['grad_norm_wrt_S'], 2e-3)
    assert_close_rel(gradient, ARRAYS['cyclegan_student_grad_S1'], 2e-3)


def test_pix2pix_student_total(vgg_file):
    """With the patch loss as published."""
    model = published('pix2pix', vgg_file, 'crd/crd_pix2pix-unet16-published_1xb4-200e_edges2shoes')
    got, gradient = losses(model, 'shoes', ARRAYS['S2'], ARRAYS['T2'])
    want = GOLDEN['pix2pix_student_total']
    assert_close_rel(got['style'], 2 * want['loss_G_style'], 1e-3)
    assert_close_rel(got['feature'], 2 * want['loss_G_feature'], 1e-3)
    assert_close_rel(sum(got.values()), want['loss_G_student'], 1e-3)
    assert_close_rel(gradient.norm(), want['grad_norm_wrt_S'], 2e-3)
    # by default the patches of each image are compared, and no D judges
    own, _ = losses(published('pix2pix', vgg_file), 'shoes', ARRAYS['S2'], ARRAYS['T2'])
    b2 = GOLDEN['pix2pix_b2']
    intended = next(v for k, v in b2.items() if 'intended' in k)
    assert_close_rel(own['relation'], 2.5 * (b2['row_sum'] + b2['col_sum'] + intended), 1e-3)
    assert sorted(own) == ['feature', 'relation', 'style']


@pytest.fixture(params=['cyclegan', 'pix2pix'])
def toy(request, tmp_path, vgg_file):
    cfg = toy_config(request.param, tmp_path / 'data', vgg_file, method='crd')
    model = build_model(cfg).train()
    return model, optimizers(model, cfg)


def test_discriminator_judges_and_does_not_learn_from_the_student(toy):
    """It learns with the teacher; what passes through it reaches S."""
    model, optim = toy
    d, domain = model.distiller, model.domains[0]
    name = next(iter(d.latest_networks()))
    net = d.discriminator_of(name, domain)
    for loss in d.losses[domain]:
        loss.weight = float(loss.name == 'adversarial')
    d.offline = True  # nobody but the student moves
    before = snapshot(net), snapshot(model.generators)
    log = d.train_step(batch(model), optim)
    assert list(log) == [f'loss_adversarial_{domain}_{name}']
    assert not moved(net, before[0]) and moved(model.generators, before[1])
    assert all(p.requires_grad for p in net.parameters())
    d.offline = False
    d.iteration = 0
    d.train_step(batch(model), optim)
    assert moved(net, before[0])


def test_latest_discriminator_judges_the_best_teachers_student(tmp_path, vgg_file):
    cfg = toy_config('cyclegan', tmp_path / 'data', vgg_file, method='crd')
    model = build_model(cfg).train()
    d = model.distiller
    d.teacher_snapshots.keep_if_best(
        'teacher', 'zebra', d.network('latest:teacher', 'zebra'), [1.0]
    )
    assert d.network('teacher', 'zebra') is d.teacher_snapshots['teacher:zebra']
    assert d.discriminator_of('teacher', 'zebra') is d.teacher.discriminators['zebra']


def test_relations_of_the_recipe_refuse_other_sizes(toy):
    """CRD's patch of 32 pixels does not divide this image."""
    model, _ = toy
    loss = build('mmgan_compress.RelationLoss')
    from mmgan_compress.losses.base import DistillBatch

    shown = torch.rand(1, 3, 48, 48)
    with pytest.raises(ValueError, match='48'):
        loss(DistillBatch(shown, shown, {'t': shown}), 't')
