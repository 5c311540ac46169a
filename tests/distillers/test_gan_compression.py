"""GAN Compression: its losses and its step, as published."""

import numpy as np
import pytest
import torch

import toy
from golden import assert_close_rel, build, load_json, load_npz
from mmgan_compress.core.search_space import read_configuration
from mmgan_compress.losses.base import DistillBatch
from mmgan_compress.losses.gan import gan_loss
from mmgan_compress.models.original import load_original

pytestmark = pytest.mark.numerical

GOLDEN, ARRAYS = load_json('gan_compression'), load_npz('gan_compression')
TAPS = ['model.9', 'model.12', 'model.15', 'model.18']
TASKS = ('cyclegan', 'pix2pix')


# --- losses -----------------------------------------------------------------
def test_golden_feature_maps():
    """Adaptors for eight channels, features of five."""
    want = GOLDEN['adaptor_distill_supernet']
    loss = build('mmgan_compress.FeatureMapLoss', weight=1.0, layers=want['mapping_layers'])
    assert want['mapping_layers'] == TAPS
    adaptors = [torch.nn.Conv2d(want['A_in'], want['A_out'], 1) for _ in TAPS]
    with torch.no_grad():
        for i, conv in enumerate(adaptors):
            conv.weight.copy_(ARRAYS[f'distill/w{i}'])
            conv.bias.copy_(ARRAYS[f'distill/b{i}'])
    loss.adaptors['t'] = torch.nn.ModuleList(adaptors)

    def value(*indices):
        loss.compare_layers([TAPS[i] for i in indices], None)
        loss.adaptors['t'] = torch.nn.ModuleList(adaptors[i] for i in indices)
        return loss(
            DistillBatch(
                None,
                None,
                {},
                features={TAPS[i]: ARRAYS[f'distill/S{i}'] for i in indices},
                target_features=dict(t={TAPS[i]: ARRAYS[f'distill/T{i}'] for i in indices}),
            ),
            't',
        )

    assert_close_rel(value(0, 1, 2, 3).detach(), want['total'])
    for i, part in enumerate(want['per_layer']):
        assert_close_rel(value(i).detach(), part)


def test_adaptors_are_made_for_the_full_width():
    student = build(
        'mmgan_compress.SuperNet',
        arch=dict(type='mmgan_compress.SeparableResnetGenerator', base_channels=4),
        space=[[4, 2]] * 8,
    )
    teacher = build('mmgan_compress.SeparableResnetGenerator', base_channels=8)
    loss = build('mmgan_compress.FeatureMapLoss', weight=1.0, layers=TAPS)
    loss.connect(student, dict(t=teacher), (1, 3, 32, 32))
    for conv in loss.adaptors['t']:
        assert conv.weight.shape == (32, 16, 1, 1)
        assert not conv.bias.any() and 0.015 < conv.weight.std() < 0.025


def test_golden_losses_over_scales():
    """Of discriminators of several scales, which this package has not."""
    scales, want = [ARRAYS['ms/p0'], ARRAYS['ms/p1']], GOLDEN
    for role, key in (('real', 'D_real'), ('fake', 'D_fake'), ('g', 'G')):
        assert_close_rel(
            sum(gan_loss('hinge', p, role) for p in scales) / 2, want['hinge_multiscale'][key]
        )
    assert_close_rel(
        sum(gan_loss('lsgan', p, 'real') for p in scales), want['lsgan_list_sum_not_mean']
    )


# --- the published step -----------------------------------------------------
def picture(seed):
    noise = np.random.RandomState(seed).standard_normal((1, 3, 64, 64))
    return torch.from_numpy(np.tanh(noise).astype('float32'))


def golden_model(task, tmp_path):
    """Return the recipe's model with the networks of the fixtures."""
    cfg = toy.Config.fromfile(toy.recipe_of('gan_compression', task))
    cfg.model.generator = dict(
        type='mmgan_compress.SuperNet',
        space=[[8, 6, 4]] * 8,
        arch=dict(type='mmgan_compress.SeparableResnetGenerator', base_channels=8),
    )
    distiller = cfg.model.distiller
    distiller.student_discriminator.base_channels = 4
    distiller.schedule = dict(epochs=1, constant=1, block=1, iters_per_epoch=1)
    if task == 'cyclegan':
        distiller.teacher.generator.base_channels = 8
        distiller.teacher.discriminator.base_channels = 4
    else:
        distiller.teachers.wide.base_channels = 8
    path = tmp_path / 'none.pth'
    distiller.teacher_checkpoints = [str(path)]
    model = toy.MODELS.build(cfg.model)
    d, (domain,) = model.distiller, model.domains
    teacher = next(iter(d.latest_networks().values()))[domain]
    load_original(model.generators[domain], load_npz('gan_compression', 'super/'))
    load_original(teacher, load_npz('gan_compression', 'iter/T/'))
    load_original(
        d.student_discriminators[domain],
        load_npz('gan_compression', 'iter/D/' if task == 'cyclegan' else 'iter/D6/'),
    )
    (loss,) = d.losses[domain]
    with torch.no_grad():
        for i, conv in enumerate(loss.adaptors[loss.teachers[0]]):
            conv.weight.copy_(ARRAYS[f'iter/A{i}/w'].view(32, 32, 1, 1))
            conv.bias.copy_(ARRAYS[f'iter/A{i}/b'])
    return model.train(), cfg


@pytest.mark.parametrize(
    'task, key', [('cyclegan', 'supernet_iter_unaligned'), ('pix2pix', 'supernet_iter_aligned')]
)
def test_golden_iteration(task, key, tmp_path):
    want = GOLDEN[key]
    model, cfg = golden_model(task, tmp_path)
    optim, (domain,) = toy.optimizers(model, cfg, lr=None), model.domains
    model.distiller.configurations = [read_configuration(want['config'])]
    seen, step = {}, optim['student'].step
    layer = model.generators[domain].get_submodule('model.10.conv_block.1.conv.2')

    def spy():
        seen['share'] = float((layer.weight.grad != 0).float().mean())
        step()

    optim['student'].step = spy
    log = model.distiller.train_step(
        {f'img_{model.source_of(domain)}': picture(60), f'img_{domain}': picture(61)}, optim
    )
    (teacher,) = model.distiller.latest_networks()
    for name, value in (
        ('loss_D_fake', 2 * log['loss_disc_fake']),
        ('loss_D_real', 2 * log['loss_disc_real']),
        ('loss_D', log['loss_disc_fake'] + log['loss_disc_real']),
        ('loss_G_recon', log['loss_pixel']),
        ('loss_G_gan', log['loss_gan']),
        ('loss_G_distill', log[f'loss_feature_map_{domain}_{teacher}']),
        (
            'loss_G',
            log['loss_pixel'] + log['loss_gan'] + log[f'loss_feature_map_{domain}_{teacher}'],
        ),
    ):
        assert_close_rel(value, want[name], 1e-3)
    assert seen['share'] == want['grad_nonzero_frac_model.10.conv_block.1.conv.2']
    assert model.generators[domain].configuration is None


@pytest.mark.parametrize('task', TASKS)
def test_losses_are_against_old_weights(task, tmp_path):
    """The student's gradient does not depend on the other's rate."""
    grads = []
    for rate in (0.0, 1.0):
        model, cfg = golden_model(task, tmp_path)
        optim, (domain,) = toy.optimizers(model, cfg), model.domains
        for name in ('student', 'student_discriminators'):
            optim[name].param_groups[0]['lr'] = rate
        wrapper, found = optim['student'], []
        wrapper.step = lambda: found.extend(p.grad.clone() for p in model.generators.parameters())
        model.distiller.train_step(
            {f'img_{model.source_of(domain)}': picture(60), f'img_{domain}': picture(61)}, optim
        )
        grads.append(found)
    assert grads[0] and all(torch.equal(a, b) for a, b in zip(*grads))


def test_sandwich_averages_over_its_subnets(tmp_path):
    """Losses are means; every configuration had its pass."""
    logs, configurations = [], [(8,) * 8, (4,) * 8, (6, 8) * 4]
    for chosen in [[c] for c in configurations] + [configurations]:
        model, cfg = golden_model('pix2pix', tmp_path)
        model.distiller.configurations = chosen
        log = model.distiller.train_step(
            dict(img_edges=picture(60), img_shoes=picture(61)), toy.optimizers(model, cfg)
        )
        logs.append(log)
    for key, value in logs.pop().items():
        assert_close_rel(value, sum(log[key] for log in logs) / 3)
