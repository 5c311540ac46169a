"""SRGAN's steps, alone and of GCC, against the numbers of GCC's code."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config

from golden import assert_close_rel, load_json, load_npz
from mmgan_compress.losses.base import DistillBatch
from mmgan_compress.models import VGG19Features
from recipes import RECIPES
from srgan_golden import high, load_discriminator, load_generator, low
from toy import build_model, optimizers, seeded_vgg

pytestmark = pytest.mark.numerical

GOLDEN = load_json('srgan')
ITERATION = GOLDEN['iteration']


@pytest.fixture(scope='module')
def vgg19(tmp_path_factory):
    path = tmp_path_factory.mktemp('vgg19') / 'vgg19.pth'
    torch.save(seeded_vgg(VGG19Features.widths), path)
    return str(path)


@pytest.fixture
def gcc(vgg19):
    """GCC's recipe with the networks of the fixtures."""
    cfg = Config.fromfile(RECIPES['gcc_srgan'])
    distiller = cfg.model.distiller
    cfg.model.generator.base_channels = 4
    distiller.teachers.wide.base_channels = 6
    distiller.discriminator.base_channels = 3
    distiller.student_discriminator.discriminator.base_channels = 4
    distiller.perceptual.weights = vgg19
    distiller.schedule.iters_per_epoch = 1
    model = build_model(cfg).train()
    d = model.distiller
    load_generator(model.generators['high'], 's_G')
    load_generator(d.teachers['wide'], 't_G')
    load_discriminator(d.discriminator, 't_D')
    load_discriminator(d.student_discriminators['high'], 's_D')
    with torch.no_grad():
        for index, adaptor in enumerate(d.losses['high'][0].adaptors['wide']):
            adaptor.weight.copy_(load_npz('srgan')[f'A{index}'])
    return model, optimizers(model, cfg, lr=None)


def images(small, large):
    return dict(img_low=low(small), img_high=high(large))


def test_perceptual_network(vgg19):
    (feature,) = VGG19Features(vgg19)(high(601))
    want = GOLDEN['vgg']
    assert list(feature.shape) == want['feature_shape']
    assert_close_rel(feature.double().sum(), want['feature_sum'], 1e-3)


def test_losses_of_an_iteration(gcc, monkeypatch):
    """All but the features of the teacher's discriminator, whose weights the
    published code takes from two moments: see the next test.
    """
    model, optim = gcc
    d = model.distiller
    slopes = [m.weight for m in model.generators.modules() if isinstance(m, torch.nn.PReLU)]
    before = [slope.detach().clone() for slope in slopes]
    monkeypatch.setattr(d, 'gate_step', lambda *_: {})
    log = d.train_step(images(600, 601) | dict(gates={}), optim)
    for who, suffix in (('teacher', '_wide'), ('student', '')):
        for key, name in (
            ('G_GAN', 'gan'),
            ('perceptual', 'perceptual'),
            ('D_real', 'disc_real'),
            ('D_fake', 'disc_fake'),
        ):
            assert_close_rel(log[f'loss_{name}{suffix}'], ITERATION[who][key], 2e-3)
    body = d.student_discriminators['high'].body
    arrays = load_npz('srgan', 'iter/')
    assert_close_rel(body.model[1].norm.running_var, arrays['s_D_bn_rv_after'], 2e-3)
    assert len(slopes) == ITERATION['student_prelu_count']
    assert all((own != old).any() for own, old in zip(slopes, before))  # published: none moves


def test_distillation_against_the_published_moments(gcc):
    """Content and texture, where old weights give the targets."""
    model, optim = gcc
    d, loss = model.distiller, model.distiller.losses['high'][0]
    inputs = images(600, 601)
    images_, features = d.run_teacher('wide', 'high', inputs)
    old = copy.deepcopy(d.discriminator)
    targets, _ = d.run_teachers('high', inputs, optim)
    image, own = d.run_student('high', inputs['img_low'], optim['student'])
    now, d.discriminator = d.discriminator, old
    wanted = d.discriminate('wide', 'high', inputs['img_low'], images_.detach())
    d.discriminator = now
    batch = DistillBatch(
        source=inputs['img_low'],
        image=image,
        targets=dict(wide=images_.detach()),
        features=own,
        target_features=dict(wide={k: v.detach() for k, v in features.items()}),
        discriminate=lambda name, shown: d.discriminate(name, 'high', None, shown),
        discriminated_targets=dict(wide=wanted),
    )
    content, texture = loss.parts(batch, 'wide')
    student = ITERATION['student']
    assert_close_rel(0.1 * content, student['content'], 2e-3)
    assert_close_rel(0.1 * texture, student['gram'], 2e-3)
    truth = d.truth_losses(image, inputs['img_high'])['perceptual']
    game = 1e-3 * d.adversarial_loss('high', inputs['img_low'], image, optim['student'])
    (0.1 * (content + texture) + truth + game).backward()
    arrays = load_npz('srgan', 'iter/grad_')
    assert_close_rel(model.generators['high'].model[0].weight.grad, arrays['s_G_conv_block1'], 1e-2)
    assert_close_rel(loss.adaptors['wide'][3].weight.grad, arrays['A3'], 1e-2)
    assert all(p.grad is None for p in d.discriminator.parameters())


def test_gates(gcc, monkeypatch):
    """The gates' step behind an iteration, in which the student learns by
    the published loss and its slopes stay.
    """
    model, optim = gcc
    d = model.distiller
    published, losses = copy.deepcopy(d.discriminator), d.distillation_losses

    def by_old_weights(domain, source, image, features, targets, **given):
        now, d.discriminator = d.discriminator, published
        wanted = d.discriminate('wide', domain, source, targets['wide'][0].detach())
        d.discriminator = now
        return losses(
            domain, source, image, features, targets, discriminated_targets=dict(wide=wanted)
        )

    monkeypatch.setattr(d, 'distillation_losses', by_old_weights)
    for layer in model.generators.modules():
        if isinstance(layer, torch.nn.PReLU):
            layer.requires_grad_(False)
    log = d.train_step(images(600, 601) | dict(gates=images(602, 603)), optim)
    want = ITERATION['arch']
    assert_close_rel(d.gaps['high'], want['teacher_D_arch_diff'], 5e-3)
    assert_close_rel(
        log['loss_gates_capacity_high'], want['D_arch_real'] + want['D_arch_fake'], 5e-3
    )
    total = log['loss_gates_coordination_high'] + log['loss_gates_capacity_high']
    assert_close_rel(total, want['D_arch'], 5e-3)
    gates, arrays = d.student_discriminators['high'].gates, load_npz('srgan', 'arch/after_')
    for gate, after in zip(gates, arrays.values(), strict=True):
        assert_close_rel(gate.alpha, after, 1e-3)


def test_generator_alone():
    """Stage A: the squared distance to the truth, and sparse scales."""
    cfg = Config.fromfile(RECIPES['gcc_srgan-resnet24-pretrain_1xb16-13e_coco'])
    cfg.model.generator.base_channels = 4
    cfg.model.distiller.schedule.iters_per_epoch = 1
    model = build_model(cfg).train()
    net = load_generator(model.generators['high'], 's_G')
    d, optim = model.distiller, optimizers(model, cfg)
    norm = net.model[2].conv_block[3].conv_block[1]
    seen = []
    optim['student'].optimizer.register_step_pre_hook(
        lambda *_: seen.append(norm.weight.grad.clone())
    )
    log = d.train_step(images(600, 601), optim)
    want = GOLDEN['content_only_step']['loss']
    assert_close_rel(log['loss_pixel_high_truth'], want, 1e-3)
    assert_close_rel(seen[0], load_npz('srgan', 'content_only/')['grad_bn'], 5e-3)


def test_teacher_of_another_size_in_a_conditional_game(vgg_file):
    """OMGD's own step, with a discriminator that is shown pairs."""
    cfg = Config.fromfile(RECIPES['omgd_srgan-resnet24_1xb16-30e_coco'])
    small = dict(base_channels=4, num_blocks=6)
    cfg.model.generator.update(small)
    d = cfg.model.distiller
    d.teachers.wide.update(small)
    d.update(offline=False, teacher_checkpoints=[])
    d.discriminator = dict(type='PatchDiscriminator', in_channels=6, base_channels=4)
    d.losses[-1].layers = 'auto'
    d.perceptual = dict(type='mmgan_compress.VGG16Features', weights=vgg_file)
    d.schedule.iters_per_epoch = 1
    adam = cfg.optim_wrapper.student.optimizer
    cfg.optim_wrapper.teachers = dict(modules=['distiller.teachers'], optimizer=adam)
    cfg.optim_wrapper.discriminators = dict(modules=['distiller.discriminator'], optimizer=adam)
    model = build_model(cfg).train()
    before = [p.clone() for p in model.generators.parameters()]
    log = model.distiller.train_step(images(600, 601), optimizers(model, cfg))
    assert {'loss_ssim_high_wide', 'loss_channel_high_wide', 'loss_gan_wide'} <= log.keys()
    assert all(torch.isfinite(value) for value in log.values())
    assert any((p != q).any() for p, q in zip(model.generators.parameters(), before))
    shown = model.distiller.discriminator_input(low(600), high(601))
    assert shown.shape == (2, 6, 48, 48)
    assert F.l1_loss(F.avg_pool2d(shown[:, :3], 4), low(600)) < 0.5
