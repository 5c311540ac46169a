"""SAGAN's step of GCC against the numbers of GCC's code, mended as the spec
says: each parameter is updated once, vectors of spectral norms are no
parameters.
"""

import pytest
import torch
from mmengine.config import Config

from golden import assert_close_rel, load_json, load_npz
from mmgan_compress.models.spectral_norm import SpectralNorm
from recipes import RECIPES
from sagan_golden import WIDTHS, images, load_discriminator, load_generator, noise
from toy import build_model, optimizers

pytestmark = pytest.mark.numerical

WANT = load_json('sagan')['iteration_clean']
ARRAYS = load_npz('sagan', 'clean/')


@pytest.fixture
def gcc():
    """GCC's recipe with the networks of the fixtures."""
    cfg = Config.fromfile(RECIPES['gcc_sagan'])
    distiller = cfg.model.distiller
    cfg.model.generator.update(noise_size=16, widths=WIDTHS)
    distiller.teachers.wide.update(noise_size=16, base_channels=8)
    distiller.discriminator.base_channels = 4
    distiller.student_discriminator.discriminator.base_channels = 4
    distiller.schedule.iters_per_epoch = 1
    model = build_model(cfg).train()
    d = model.distiller
    load_generator(model.generators['face'], 's_G')
    load_generator(d.teachers['wide'], 't_G')
    load_discriminator(d.discriminator, 't_D')
    load_discriminator(d.student_discriminators['face'], 's_D')
    with torch.no_grad():
        for index, adaptor in enumerate(d.losses['face'][0].adaptors['wide']):
            adaptor.weight.copy_(load_npz('sagan')[f'A{index}'])
    return model, optimizers(model, cfg, lr=None)


def inputs(z, image):
    return dict(noise=noise(z), img_face=images(image))


def targets_of_the_original(d, monkeypatch):
    """Take the teacher's features of its discriminator from its own step.

    Here they come from a further pass, behind that of the student's image:
    spectral norms have gone on by two steps of their iteration.
    """
    held, play, discriminate = {}, d.generator_losses, d.discriminate

    def keep(*args):
        losses = play(*args)
        norms = [m for m in d.discriminator.modules() if isinstance(m, SpectralNorm)]
        held.update({norm: (norm.weight_u, norm.weight_v) for norm in norms})
        return losses

    def as_then(name, domain, source, image):
        if image.requires_grad:  # the student's
            return discriminate(name, domain, source, image)
        d.discriminator.eval()
        for norm, vectors in held.items():
            norm.weight_u, norm.weight_v = vectors
        found = discriminate(name, domain, source, image)
        d.discriminator.train()
        return found

    monkeypatch.setattr(d, 'generator_losses', keep)
    monkeypatch.setattr(d, 'discriminate', as_then)


def test_iteration(gcc, monkeypatch):
    model, optim = gcc
    d, seen = model.distiller, {}
    net, body = model.generators['face'], d.student_discriminators['face'].body
    loss = d.losses['face'][0]
    parts = loss.parts
    monkeypatch.setattr(loss, 'parts', lambda *args: seen.setdefault('parts', parts(*args)))
    optim['student'].optimizer.register_step_pre_hook(
        lambda *_: seen.update(
            l4=net.model[4][0].weight.grad.clone(),
            adaptor=loss.adaptors['wide'][0].weight.grad.clone(),
        )
    )
    monkeypatch.setattr(d, 'gate_step', lambda *_: {})
    targets_of_the_original(d, monkeypatch)
    log = d.train_step(inputs(510, 511) | dict(gates={}), optim)
    for who, suffix in (('teacher', '_wide'), ('student', '')):
        want = WANT[who]
        for key, name in (('D_real', 'disc_real'), ('D_fake', 'disc_fake')):
            assert_close_rel(log[f'loss_{name}{suffix}'], want[key], 2e-3)
    assert_close_rel(log['loss_gan_wide'], WANT['teacher']['G_GAN'], 2e-3)
    content, texture = seen['parts']
    assert_close_rel(content, WANT['student']['content'], 2e-3)
    assert_close_rel(texture, WANT['student']['gram'], 2e-3)
    total = log['loss_gan'] + log['loss_cooperative_face_wide']
    assert_close_rel(total, WANT['student']['G'], 2e-3)
    assert_close_rel(seen['l4'], ARRAYS['grad_s_G_l4_bar'], 1e-2)
    assert_close_rel(seen['adaptor'], ARRAYS['grad_A0'], 1e-2)
    assert_close_rel(body.model[1].conv.weight, ARRAYS['s_D_l2_bar_after'], 2e-3)
    assert_close_rel(body.model[1].conv.weight_u, ARRAYS['s_D_l2_u_after'], 2e-3)


def test_gates(gcc):
    """The gates' step behind an iteration, on other noise and images."""
    model, optim = gcc
    d, want = model.distiller, WANT['arch']
    gates = d.student_discriminators['face'].gates
    grads = []
    optim['gates'].optimizer.register_step_pre_hook(
        lambda *_: grads.extend(gate.alpha.grad.clone() for gate in gates)
    )
    log = d.train_step(inputs(510, 511) | dict(gates=inputs(512, 513)), optim)
    assert_close_rel(d.gaps['face'], want['teacher_D_arch_diff'], 5e-3)
    assert_close_rel(
        log['loss_gates_capacity_face'], want['D_arch_real'] + want['D_arch_fake'], 5e-3
    )
    total = log['loss_gates_coordination_face'] + log['loss_gates_capacity_face']
    assert_close_rel(total, want['D_arch'], 5e-3)
    for index, (gate, grad) in enumerate(zip(gates, grads, strict=True), 1):
        assert_close_rel(grad, ARRAYS[f'grad_l{index}.1.alpha'], 1e-2)
        assert_close_rel(gate.alpha, ARRAYS[f'after_l{index}.1.alpha'], 1e-3)


def test_each_parameter_is_trained_once(gcc):
    model, optim = gcc
    trained = [
        p for wrapper in optim.values() for group in wrapper.param_groups for p in group['params']
    ]
    assert len(trained) == len(set(trained)) == len(list(model.parameters()))
    vectors = [m.weight_u for m in model.modules() if isinstance(m, SpectralNorm)]
    assert len(vectors) == 16 and not any(u.requires_grad for u in vectors)
