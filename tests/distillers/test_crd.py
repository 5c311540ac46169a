"""CRD's student losses against its own code's numbers; who judges."""
import pytest
import torch
from golden import assert_close_rel, build, load_json, load_npz
from mmengine.config import Config
from toy import (REPO, batch, build_host, moved, optimizers, snapshot,
                 toy_config)

from mmgan_compress.models.original import load_original

pytestmark = pytest.mark.numerical

GOLDEN = load_json('crd')
ARRAYS = load_npz('crd')


def losses(host, domain, image, target):
    """Return what the student would be told of an image, and its gradient.
    """
    image = image.clone().requires_grad_()
    name = next(iter(host.distiller.latest_networks()))
    terms = host.distiller.term_losses(
        domain, torch.zeros_like(image), image, {}, {name: (target, {})})
    sum(terms.values()).backward()
    return {k.split('_')[1]: float(v) for k, v in terms.items()}, image.grad


def published(host, vgg, tmp_path, **distiller):
    """Build a host with the recipe's own terms, as users get them."""
    cfg = Config.fromfile(REPO / f'configs/crd_{host}.py')
    cfg.model.generator.base_channels = 4
    cfg.model.distiller.perceptual = dict(
        type='mmgan_compress.VGG16Features', weights=vgg)
    cfg.model.distiller.update(distiller)
    nets = cfg.model.distiller
    (nets.teacher.generator if host == 'cyclegan' else nets.teachers.wide
     ).base_channels = 4
    (nets.teacher.discriminator if host == 'cyclegan' else nets.discriminator
     ).base_channels = 4
    return build_host(cfg)


def test_cyclegan_student_total(vgg_file, tmp_path):
    host = published('cyclegan', vgg_file, tmp_path)
    load_original(host.distiller.teacher.discriminators['zebra'],
                  load_npz('crd', 'D/'))
    got, gradient = losses(host, 'zebra', ARRAYS['S1'], ARRAYS['T1'])
    want = GOLDEN['cyclegan_student_total']
    relation = 25 * sum(want[f'loss_G_{part}']
                        for part in ('row', 'column', 'patch'))
    assert_close_rel(got['relation'], relation, 1e-3)
    assert_close_rel(got['style'], want['loss_G_style'], 1e-3)
    assert_close_rel(got['feature'], want['loss_G_feature'], 1e-3)
    assert_close_rel(got['adversarial'], want['loss_G_D'], 1e-3)
    assert_close_rel(sum(got.values()), want['loss_G_student'], 1e-3)
    assert_close_rel(gradient.norm(), want['grad_norm_wrt_S'], 2e-3)
    assert_close_rel(gradient, ARRAYS['cyclegan_student_grad_S1'], 2e-3)


def test_pix2pix_student_total(vgg_file, tmp_path):
    """With the patch loss as published."""
    host = published('pix2pix', vgg_file, tmp_path,
                     relation=dict(patches='published'))
    got, gradient = losses(host, 'shoes', ARRAYS['S2'], ARRAYS['T2'])
    want = GOLDEN['pix2pix_student_total']
    assert_close_rel(got['style'], 2 * want['loss_G_style'], 1e-3)
    assert_close_rel(got['feature'], 2 * want['loss_G_feature'], 1e-3)
    assert_close_rel(sum(got.values()), want['loss_G_student'], 1e-3)
    assert_close_rel(gradient.norm(), want['grad_norm_wrt_S'], 2e-3)
    # by default the patches of each image are compared, and no D judges
    own, _ = losses(published('pix2pix', vgg_file, tmp_path), 'shoes',
                    ARRAYS['S2'], ARRAYS['T2'])
    b2 = GOLDEN['pix2pix_b2']
    intended = next(v for k, v in b2.items() if 'intended' in k)
    assert_close_rel(own['relation'], 2.5 * (
        b2['row_sum'] + b2['col_sum'] + intended), 1e-3)
    assert sorted(own) == ['feature', 'relation', 'style']


@pytest.fixture(params=['cyclegan', 'pix2pix'])
def toy(request, tmp_path, vgg_file):
    cfg = toy_config(request.param, tmp_path / 'data', vgg_file,
                     method='crd')
    host = build_host(cfg).train()
    return host, optimizers(host, cfg)


def test_discriminator_judges_and_does_not_learn_from_the_student(toy):
    """It learns with the teacher; what passes through it reaches S."""
    host, optim = toy
    d, domain = host.distiller, host.domains[0]
    name = next(iter(d.latest_networks()))
    net = d.discriminator_of(name, domain)
    for term in d.terms[domain]:
        term.weight = float(term.name == 'adversarial')
    d.offline = True  # nobody but the student moves
    before = snapshot(net), snapshot(host.generators)
    log = d.train_step(batch(host), optim)
    assert list(log) == [f'loss_adversarial_{domain}_{name}']
    assert not moved(net, before[0]) and moved(host.generators, before[1])
    assert all(p.requires_grad for p in net.parameters())
    d.offline = False
    d.iteration = 0
    d.train_step(batch(host), optim)
    assert moved(net, before[0])


def test_latest_discriminator_judges_the_best_teachers_student(
        tmp_path, vgg_file):
    cfg = toy_config('cyclegan', tmp_path / 'data', vgg_file, method='crd')
    host = build_host(cfg).train()
    d = host.distiller
    d.stand_ins.keep_if_best('teacher', 'zebra',
                             d.network('latest:teacher', 'zebra'), [1.])
    assert d.network('teacher', 'zebra') is d.stand_ins['teacher:zebra']
    assert d.discriminator_of('teacher', 'zebra') is \
        d.teacher.discriminators['zebra']


def test_relations_of_the_recipe_refuse_other_sizes(toy):
    """CRD's patch of 32 pixels does not divide this image."""
    host, _ = toy
    term = build('mmgan_compress.RelationTerm')
    from mmgan_compress.losses.base import DistillBatch
    shown = torch.rand(1, 3, 48, 48)
    with pytest.raises(ValueError, match='48'):
        term(DistillBatch(shown, shown, {'t': shown}), 't')
