"""OMGD's steps: who moves, in which order, towards what."""
import copy

import pytest
import torch
from golden import assert_close_rel, load_json, load_npz
from toy import build_host, moved, optimizers, snapshot, toy_config

from mmgan_compress.models.original import load_original

pytestmark = pytest.mark.numerical

GOLDEN = load_json('omgd')
ARRAYS = load_npz('omgd')


@pytest.fixture
def pix2pix(tmp_path, vgg_file):
    cfg = toy_config('pix2pix', tmp_path / 'data', vgg_file)
    host = build_host(cfg).train()
    return host, optimizers(host, cfg)


@pytest.fixture
def cyclegan(tmp_path, vgg_file):
    cfg = toy_config('cyclegan', tmp_path / 'data', vgg_file)
    host = build_host(cfg).train()
    return host, optimizers(host, cfg)


def inputs(host, size=32):
    torch.manual_seed(1)
    return {f'img_{d}': torch.rand(2, 3, size, size) * 2 - 1
            for d in host._related_domains}


def keep(distiller, scores):
    """Score the latest teacher of zebras."""
    return distiller.stand_ins.keep_if_best(
        'teacher', 'zebra', distiller.network('latest:teacher', 'zebra'),
        scores)


def golden_discriminator(host):
    """Give the host the discriminator of the golden teacher step."""
    cfg = dict(type='mmgan_compress.MultiHeadPatchDiscriminator',
               in_channels=6, base_channels=4, shared=3,
               norm_cfg=dict(type='IN'))
    from mmgan_compress.registry import MODELS
    net = MODELS.build(cfg)
    load_original(net, load_npz('omgd', 'multiD_instance/'))
    host.distiller.discriminator = net
    return net


def test_teacher_losses_of_one_step(pix2pix):
    """multiteacher_D_step and _G_step, before any optimizer step."""
    host, _ = pix2pix
    golden_discriminator(host)
    source, real = ARRAYS['real_A'], ARRAYS['real_B']
    images = dict(wide=ARRAYS['T1'], deep=ARRAYS['T2'])
    want_d, want_g = GOLDEN['multiteacher_D_step'], GOLDEN[
        'multiteacher_G_step']
    with torch.no_grad():
        loss_d = host.distiller.discriminator_losses(source, real, images)
        loss_g = host.distiller.generator_losses(source, real, images)
    for name, key in (('wide', 'w'), ('deep', 'd')):
        for role in ('fake', 'real'):
            assert_close_rel(2 * loss_d[f'loss_disc_{role}_{name}'],
                             want_d[f'loss_D_{role}_{key}'])
        assert_close_rel(loss_g[f'loss_gan_{name}'],
                         want_g[f'loss_G_gan_{key}'])
        assert_close_rel(loss_g[f'loss_pixel_{name}'],
                         want_g[f'loss_G_recon_{key}'])
    assert_close_rel(sum(loss_d.values()), want_d['loss_D'])


def test_generators_learn_against_the_discriminator_before_its_step(pix2pix):
    host, optim = pix2pix
    net = golden_discriminator(host)
    optim['discriminators'].optimizer.param_groups[0]['params'] = list(
        net.parameters())
    images = {k: ARRAYS[t].clone().requires_grad_()
              for k, t in (('wide', 'T1'), ('deep', 'T2'))}
    before = snapshot(net)
    log = host.distiller.teacher_step(ARRAYS['real_A'], ARRAYS['real_B'],
                                      images, optim)
    assert moved(net, before)
    assert_close_rel(log['loss_gan_wide'],
                     GOLDEN['multiteacher_G_step']['loss_G_gan_w'])


def test_pix2pix_step_moves_all(pix2pix):
    host, optim = pix2pix
    d = host.distiller
    parts = [host.generators, d.teachers['wide'], d.teachers['deep'],
             d.discriminator, d.terms]
    before = [snapshot(p) for p in parts]
    log = d.train_step(inputs(host), optim)
    assert all(moved(p, b) for p, b in zip(parts, before))
    assert 'loss_style_shoes_wide' in log and 'loss_style_shoes_deep' in log
    assert 'loss_channel_shoes_wide' in log
    assert 'loss_channel_shoes_deep' not in log  # the wide teacher alone
    assert not any(v.requires_grad for v in log.values())


def test_teacher_interval(pix2pix):
    """Between its updates the teachers rest and build no graph."""
    host, optim = pix2pix
    d = host.distiller
    d.teacher_interval = 3
    seen = []
    for _ in range(3):
        teachers, student = snapshot(d.teachers), snapshot(host.generators)
        d.train_step(inputs(host), optim)
        seen.append(moved(d.teachers, teachers))
        assert moved(host.generators, student)
    assert seen == [False, False, True]


def test_student_learns_from_the_image_before_the_teachers_step(pix2pix):
    host, optim = pix2pix
    d, data = host.distiller, inputs(host)
    d.discriminator.eval()
    old = copy.deepcopy(d.teachers['wide'])
    targets = {}
    losses = d.student_losses

    def spy(domain, source, images, wrapper):
        targets.update(images)
        return losses(domain, source, images, wrapper)

    d.student_losses = spy
    d.train_step(data, optim)
    with torch.no_grad():
        want = old(data['img_edges'])
        new = d.teachers['wide'](data['img_edges'])
    assert torch.equal(targets['wide'][0], want)
    assert not torch.allclose(new, want)


def test_one_teacher_forward_per_step(pix2pix):
    host, optim = pix2pix
    calls = []
    for name, net in host.distiller.teachers.items():
        net.register_forward_hook(lambda *_, name=name: calls.append(name))
    host.distiller.train_step(inputs(host), optim)
    assert sorted(calls) == ['deep', 'wide']


def test_phases_alternate(cyclegan):
    """Two teacher steps, two student steps, and so on."""
    host, optim = cyclegan
    d = host.distiller
    for phase in ('teacher', 'teacher', 'student', 'student', 'teacher'):
        teacher, student = snapshot(d.teacher), snapshot(host.generators)
        d.train_step(inputs(host), optim)
        assert moved(d.teacher, teacher) == (phase == 'teacher')
        assert moved(host.generators, student) == (phase == 'student')


def test_best_teacher_teaches_and_the_latest_goes_on(cyclegan):
    host, optim = cyclegan
    d = host.distiller
    assert keep(d, [0.5])
    best = snapshot(d.stand_ins)
    d.train_step(inputs(host), optim)  # the teacher moves on
    latest = snapshot(d.teacher)
    assert not keep(d, [0.6])  # and is worse
    assert not moved(d.stand_ins, best)
    d.iteration = 2
    used = []
    d.stand_ins['teacher:zebra'].register_forward_hook(
        lambda *_: used.append('best'))
    d.teacher.generators['zebra'].register_forward_hook(
        lambda *_: used.append('latest'))
    d.train_step(inputs(host), optim)
    assert used == ['best']
    assert not moved(d.teacher, latest)
    assert keep(d, [0.4]) and moved(d.stand_ins, best)


def test_published_rule_keeps_at_either_improvement(cyclegan):
    host, _ = cyclegan
    d = host.distiller
    assert keep(d, [5., 5.])
    assert keep(d, [6., 4.])  # the other direction improved
    assert d.stand_ins.scores == {'teacher:zebra': [5., 4.]}
    assert not keep(d, [5., 4.])


def test_identity_images_only_where_they_count(cyclegan):
    host, optim = cyclegan
    teacher = host.distiller.teacher
    calls = []
    for net in teacher.generators.values():
        net.register_forward_hook(lambda *_: calls.append(1))
    host.distiller.train_step(inputs(host), optim)
    assert len(calls) == 6
    teacher.loss_config = dict(cycle_loss_weight=10., id_loss_weight=0.)
    calls.clear()
    host.distiller.iteration = 0
    host.distiller.train_step(inputs(host), optim)
    assert len(calls) == 4


def test_both_directions(tmp_path, vgg_file):
    cfg = toy_config('cyclegan', tmp_path / 'data', vgg_file)
    cfg.model.reachable_domains = ['zebra', 'horse']
    host = build_host(cfg).train()
    optim = optimizers(host, cfg)
    host.distiller.iteration = 2
    before = {d: snapshot(g) for d, g in host.generators.items()}
    log = host.distiller.train_step(inputs(host), optim)
    assert all(moved(host.generators[d], b) for d, b in before.items())
    assert {'loss_ssim_zebra_teacher', 'loss_ssim_horse_teacher'} <= set(log)


def test_any_generator_of_mmagic_teaches(tmp_path, vgg_file):
    """A dense ResNet teaches a separable one, layers named one by one."""
    cfg = toy_config('cyclegan', tmp_path / 'data', vgg_file)
    cfg.model.distiller.teacher.generator = dict(
        type='ResnetGenerator', in_channels=3, out_channels=3,
        base_channels=4, num_blocks=2)
    cfg.model.distiller.channel.target_layers = ['model.2', 'model.4']
    host = build_host(cfg).train()
    host.distiller.iteration = 2
    before = snapshot(host.generators)
    log = host.distiller.train_step(inputs(host), optimizers(host, cfg))
    assert log['loss_channel_zebra_teacher'] > 0
    assert moved(host.generators, before)


def test_best_teacher_is_tapped_like_the_latest(tmp_path, vgg_file):
    """A tap in front of an in-place ReLU is not overwritten by it."""
    cfg = toy_config('cyclegan', tmp_path / 'data', vgg_file)
    cfg.model.distiller.teacher.generator = dict(
        type='ResnetGenerator', in_channels=3, out_channels=3,
        base_channels=4, num_blocks=2)
    cfg.model.distiller.channel.target_layers = ['model.2.in', 'model.4']
    host = build_host(cfg).train()
    data = inputs(host)
    with torch.no_grad():
        _, latest = host.distiller.run_teacher('teacher', 'zebra', data)
        assert keep(host.distiller, [1.])
        _, best = host.distiller.run_teacher('teacher', 'zebra', data)
    assert latest['model.2.in'].min() < 0
    assert torch.equal(latest['model.2.in'], best['model.2.in'])


def test_losses_are_float32_under_autocast(pix2pix):
    """Mixed precision is for the generators' forward alone."""
    host, optim = pix2pix
    wrapper, seen = optim['student'], []
    wrapper.optim_context = lambda model: torch.autocast(
        'cpu', torch.bfloat16)
    inside = []
    host.generators['shoes'].register_forward_hook(
        lambda m, a, out: inside.append(out.dtype))
    for term in host.distiller.terms['shoes']:
        term.register_forward_hook(lambda m, a, out: seen.append(
            (out.dtype, torch.is_autocast_enabled('cpu'))))
    host.distiller.train_step(inputs(host), optim)
    assert inside == [torch.bfloat16]
    assert seen and set(seen) == {(torch.float32, False)}


@pytest.mark.parametrize('change,words', [
    (lambda d: d.channel.update(layers=['model.33', 'model.9']),
     r"no layer 'model.33' in SeparableResnetGenerator; nearest: 'model"),
    (lambda d: d.channel.update(teachers=['tall']),
     r"teacher 'tall'; known are \['teacher'\]"),
    (lambda d: d.teacher.update(reachable_domains=['horse', 'cow'],
                                related_domains=['horse', 'cow'],
                                default_domain='cow'),
     r"no generator for the domain 'zebra'; it has \['horse', 'cow'\]")])
def test_unknown_names_are_refused_at_build_time(tmp_path, vgg_file, change,
                                                 words):
    cfg = toy_config('cyclegan', tmp_path / 'data', vgg_file)
    change(cfg.model.distiller)
    with pytest.raises(KeyError, match=words):
        build_host(cfg)


def test_teachers_start_from_a_checkpoint(cyclegan, tmp_path, vgg_file):
    host, _ = cyclegan
    inside = {f'teacher.{k}': v.half()
              for k, v in host.distiller.teacher.state_dict().items()}
    torch.save(dict(state_dict=inside), tmp_path / 'teachers.pth')
    cfg = toy_config('cyclegan', tmp_path / 'data', vgg_file)
    cfg.model.distiller.teacher_checkpoints = [str(tmp_path / 'teachers.pth')]
    again = build_host(cfg, seed=5)
    for key, value in again.distiller.teacher.state_dict().items():
        assert torch.equal(value, inside[f'teacher.{key}'].float())
    del inside['teacher.generators.horse.model.1.weight']
    torch.save(dict(state_dict=inside), tmp_path / 'teachers.pth')
    with pytest.raises(ValueError, match='missing: .*horse.model.1.weight'):
        build_host(cfg)
