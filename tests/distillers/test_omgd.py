"""OMGD's steps: who moves, in which order, towards what."""

import copy

import pytest
import torch

from golden import assert_close_rel, load_json, load_npz
from mmgan_compress.models.original import load_original
from toy import build_model, loss_of, moved, optimizers, snapshot, toy_config

pytestmark = pytest.mark.numerical

GOLDEN = load_json('omgd')
ARRAYS = load_npz('omgd')


@pytest.fixture
def pix2pix(tmp_path, vgg_file):
    cfg = toy_config('pix2pix', tmp_path / 'data', vgg_file)
    model = build_model(cfg).train()
    return model, optimizers(model, cfg)


@pytest.fixture
def cyclegan(tmp_path, vgg_file):
    cfg = toy_config('cyclegan', tmp_path / 'data', vgg_file)
    model = build_model(cfg).train()
    return model, optimizers(model, cfg)


def inputs(model, size=32):
    torch.manual_seed(1)
    return {f'img_{d}': torch.rand(2, 3, size, size) * 2 - 1 for d in model._related_domains}


def keep(distiller, scores):
    """Score the latest teacher of zebras."""
    return distiller.teacher_snapshots.keep_if_best(
        'teacher', 'zebra', distiller.network('latest:teacher', 'zebra'), scores
    )


def golden_discriminator(model):
    """Give the model the discriminator of the golden teacher step."""
    cfg = dict(
        type='mmgan_compress.MultiHeadPatchDiscriminator',
        in_channels=6,
        base_channels=4,
        shared=3,
        norm_cfg=dict(type='IN'),
    )
    from mmgan_compress.registry import MODELS

    net = MODELS.build(cfg)
    load_original(net, load_npz('omgd', 'multiD_instance/'))
    model.distiller.discriminator = net
    return net


def test_teacher_losses_of_one_step(pix2pix):
    """multiteacher_D_step and _G_step, before any optimizer step."""
    model, _ = pix2pix
    golden_discriminator(model)
    source, real = ARRAYS['real_A'], ARRAYS['real_B']
    images = dict(wide=ARRAYS['T1'], deep=ARRAYS['T2'])
    want_d, want_g = GOLDEN['multiteacher_D_step'], GOLDEN['multiteacher_G_step']
    with torch.no_grad():
        loss_d = model.distiller.discriminator_losses(source, real, images)
        loss_g = model.distiller.generator_losses(source, real, images)
    for name, key in (('wide', 'w'), ('deep', 'd')):
        for role in ('fake', 'real'):
            assert_close_rel(2 * loss_d[f'loss_disc_{role}_{name}'], want_d[f'loss_D_{role}_{key}'])
        assert_close_rel(loss_g[f'loss_gan_{name}'], want_g[f'loss_G_gan_{key}'])
        assert_close_rel(loss_g[f'loss_pixel_{name}'], want_g[f'loss_G_recon_{key}'])
    assert_close_rel(sum(loss_d.values()), want_d['loss_D'])


def test_generators_learn_against_the_discriminator_before_its_step(pix2pix):
    model, optim = pix2pix
    net = golden_discriminator(model)
    optim['discriminators'].optimizer.param_groups[0]['params'] = list(net.parameters())
    images = {k: ARRAYS[t].clone().requires_grad_() for k, t in (('wide', 'T1'), ('deep', 'T2'))}
    before = snapshot(net)
    log = model.distiller.teacher_step(ARRAYS['real_A'], ARRAYS['real_B'], images, optim)
    assert moved(net, before)
    assert_close_rel(log['loss_gan_wide'], GOLDEN['multiteacher_G_step']['loss_G_gan_w'])


def test_pix2pix_step_moves_all(pix2pix):
    model, optim = pix2pix
    d = model.distiller
    parts = [model.generators, d.teachers['wide'], d.teachers['deep'], d.discriminator, d.losses]
    before = [snapshot(p) for p in parts]
    log = d.train_step(inputs(model), optim)
    assert all(moved(p, b) for p, b in zip(parts, before))
    assert 'loss_style_shoes_wide' in log and 'loss_style_shoes_deep' in log
    assert 'loss_channel_shoes_wide' in log
    assert 'loss_channel_shoes_deep' not in log  # the wide teacher alone
    assert not any(v.requires_grad for v in log.values())


def test_teacher_interval(pix2pix):
    """Between its updates the teachers rest and build no graph."""
    model, optim = pix2pix
    d = model.distiller
    d.teacher_interval = 3
    seen = []
    for _ in range(3):
        teachers, student = snapshot(d.teachers), snapshot(model.generators)
        d.train_step(inputs(model), optim)
        seen.append(moved(d.teachers, teachers))
        assert moved(model.generators, student)
    assert seen == [False, False, True]


def test_student_learns_from_the_image_before_the_teachers_step(pix2pix):
    model, optim = pix2pix
    d, data = model.distiller, inputs(model)
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
    model, optim = pix2pix
    calls = []
    for name, net in model.distiller.teachers.items():
        net.register_forward_hook(lambda *_, name=name: calls.append(name))
    model.distiller.train_step(inputs(model), optim)
    assert sorted(calls) == ['deep', 'wide']


def test_phases_alternate(cyclegan):
    """Two teacher steps, two student steps, and so on."""
    model, optim = cyclegan
    d = model.distiller
    for phase in ('teacher', 'teacher', 'student', 'student', 'teacher'):
        teacher, student = snapshot(d.teacher), snapshot(model.generators)
        d.train_step(inputs(model), optim)
        assert moved(d.teacher, teacher) == (phase == 'teacher')
        assert moved(model.generators, student) == (phase == 'student')


def test_best_teacher_teaches_and_the_latest_goes_on(cyclegan):
    model, optim = cyclegan
    d = model.distiller
    assert keep(d, [0.5])
    best = snapshot(d.teacher_snapshots)
    d.train_step(inputs(model), optim)  # the teacher moves on
    latest = snapshot(d.teacher)
    assert not keep(d, [0.6])  # and is worse
    assert not moved(d.teacher_snapshots, best)
    d.iteration = 2
    used = []
    d.teacher_snapshots['teacher:zebra'].register_forward_hook(lambda *_: used.append('best'))
    d.teacher.generators['zebra'].register_forward_hook(lambda *_: used.append('latest'))
    d.train_step(inputs(model), optim)
    assert used == ['best']
    assert not moved(d.teacher, latest)
    assert keep(d, [0.4]) and moved(d.teacher_snapshots, best)


def test_published_rule_keeps_at_either_improvement(cyclegan):
    model, _ = cyclegan
    d = model.distiller
    assert keep(d, [5.0, 5.0])
    assert keep(d, [6.0, 4.0])  # the other direction improved
    assert d.teacher_snapshots.scores == {'teacher:zebra': [5.0, 4.0]}
    assert not keep(d, [5.0, 4.0])


def test_identity_images_only_where_they_count(cyclegan):
    model, optim = cyclegan
    teacher = model.distiller.teacher
    calls = []
    for net in teacher.generators.values():
        net.register_forward_hook(lambda _, args, __: calls.append(len(args[0])))
    model.distiller.train_step(inputs(model), optim)
    size = len(inputs(model)['img_zebra'])
    # an image and its own domain's identity image in one pass
    assert sorted(calls) == [size, size, 2 * size, 2 * size]
    teacher.loss_config = dict(cycle_loss_weight=10.0, id_loss_weight=0.0)
    calls.clear()
    model.distiller.iteration = 0
    model.distiller.train_step(inputs(model), optim)
    assert calls == 4 * [size]


def test_both_directions(tmp_path, vgg_file):
    cfg = toy_config('cyclegan', tmp_path / 'data', vgg_file)
    cfg.model.reachable_domains = ['zebra', 'horse']
    model = build_model(cfg).train()
    optim = optimizers(model, cfg)
    model.distiller.iteration = 2
    before = {d: snapshot(g) for d, g in model.generators.items()}
    log = model.distiller.train_step(inputs(model), optim)
    assert all(moved(model.generators[d], b) for d, b in before.items())
    assert {'loss_ssim_zebra_teacher', 'loss_ssim_horse_teacher'} <= set(log)


def test_any_generator_of_mmagic_teaches(tmp_path, vgg_file):
    """A dense ResNet teaches a separable one, layers named one by one."""
    cfg = toy_config('cyclegan', tmp_path / 'data', vgg_file)
    cfg.model.distiller.teacher.generator = dict(
        type='ResnetGenerator', in_channels=3, out_channels=3, base_channels=4, num_blocks=2
    )
    loss_of(cfg, 'ChannelLoss').target_layers = ['model.2', 'model.4']
    model = build_model(cfg).train()
    model.distiller.iteration = 2
    before = snapshot(model.generators)
    log = model.distiller.train_step(inputs(model), optimizers(model, cfg))
    assert log['loss_channel_zebra_teacher'] > 0
    assert moved(model.generators, before)


def test_best_teacher_is_tapped_like_the_latest(tmp_path, vgg_file):
    """A tap in front of an in-place ReLU is not overwritten by it."""
    cfg = toy_config('cyclegan', tmp_path / 'data', vgg_file)
    cfg.model.distiller.teacher.generator = dict(
        type='ResnetGenerator', in_channels=3, out_channels=3, base_channels=4, num_blocks=2
    )
    loss_of(cfg, 'ChannelLoss').target_layers = ['model.2.in', 'model.4']
    model = build_model(cfg).train()
    data = inputs(model)
    with torch.no_grad():
        _, latest = model.distiller.run_teacher('teacher', 'zebra', data)
        assert keep(model.distiller, [1.0])
        _, best = model.distiller.run_teacher('teacher', 'zebra', data)
    assert latest['model.2.in'].min() < 0
    assert torch.equal(latest['model.2.in'], best['model.2.in'])


def test_losses_are_float32_under_autocast(pix2pix):
    """Mixed precision is for the generators' forward alone."""
    model, optim = pix2pix
    wrapper, seen = optim['student'], []
    wrapper.optim_context = lambda model: torch.autocast('cpu', torch.bfloat16)
    inside = []
    model.generators['shoes'].register_forward_hook(lambda m, a, out: inside.append(out.dtype))
    for loss in model.distiller.losses['shoes']:
        loss.register_forward_hook(
            lambda m, a, out: seen.append((out.dtype, torch.is_autocast_enabled('cpu')))
        )
    model.distiller.train_step(inputs(model), optim)
    assert inside == [torch.bfloat16]
    assert seen and set(seen) == {(torch.float32, False)}


@pytest.mark.parametrize(
    'change,words',
    [
        (
            lambda d: d.losses[-1].update(layers=['model.33', 'model.9'], target_layers=None),
            r"no layer 'model.33' in SeparableResnetGenerator, the student "
            r"\(losses\[4\].layers\); nearest: 'model",
        ),
        (
            lambda d: d.losses[-1].update(
                layers=['model.9', 'model.9'], target_layers=['model.9', 'x']
            ),
            r"no layer 'x' in SeparableResnetGenerator, the teacher 'teacher' "
            r'\(losses\[4\].target_layers\); nearest: ',
        ),
        (
            lambda d: d.losses[-1].update(teachers=['tall']),
            r"teacher 'tall'; known are \['teacher'\]",
        ),
        (
            lambda d: d.teacher.update(
                reachable_domains=['horse', 'cow'],
                related_domains=['horse', 'cow'],
                default_domain='cow',
            ),
            r"no generator for the domain 'zebra'; it has \['horse', 'cow'\]",
        ),
    ],
)
def test_unknown_names_are_refused_at_build_time(tmp_path, vgg_file, change, words):
    cfg = toy_config('cyclegan', tmp_path / 'data', vgg_file)
    change(cfg.model.distiller)
    with pytest.raises(KeyError, match=words):
        build_model(cfg)


def test_teachers_start_from_a_checkpoint(cyclegan, tmp_path, vgg_file):
    model, _ = cyclegan
    inside = {f'teacher.{k}': v.half() for k, v in model.distiller.teacher.state_dict().items()}
    torch.save(dict(state_dict=inside), tmp_path / 'teachers.pth')
    cfg = toy_config('cyclegan', tmp_path / 'data', vgg_file)
    cfg.model.distiller.teacher_checkpoints = [str(tmp_path / 'teachers.pth')]
    again = build_model(cfg, seed=5)
    for key, value in again.distiller.teacher.state_dict().items():
        assert torch.equal(value, inside[f'teacher.{key}'].float())
    del inside['teacher.generators.horse.model.1.weight']
    torch.save(dict(state_dict=inside), tmp_path / 'teachers.pth')
    with pytest.raises(ValueError, match='missing: .*horse.model.1.weight'):
        build_model(cfg)
