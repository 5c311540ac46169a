"""GauGAN's steps, alone and distilled, against the numbers of the published code."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

import gaugan_golden as gaugan
from gaugan_golden import GOLDEN, LABELS, label_map
from golden import assert_close_rel, load_npz
from mmgan_compress.core.schedule import TrainSchedule
from mmgan_compress.core.search_space import read_configuration
from mmgan_compress.models import VGG19Features
from mmgan_compress.registry import MODELS
from recipes import RECIPES
from toy import optimizers, seeded_vgg, set_everywhere

pytestmark = pytest.mark.numerical

TAPS = [0, 5, 10, 19, 28]


@pytest.fixture(scope='module')
def vgg19(tmp_path_factory):
    path = tmp_path_factory.mktemp('vgg19') / 'vgg19.pth'
    torch.save(seeded_vgg(VGG19Features.widths), path)
    return str(path)


def recipe(name, vgg19):
    """Return a recipe with the label maps and the widths of the fixtures."""
    cfg = Config.fromfile(RECIPES[name])
    set_everywhere(cfg.model, 'labels', LABELS)
    distiller = cfg.model.distiller
    distiller.student_discriminator.base_channels = 2
    distiller.perceptual.weights = vgg19
    distiller.schedule.iters_per_epoch = 1
    distiller.pop('teacher_checkpoints', None)
    return cfg


def teacher(cfg):
    """Let a full generator with two base channels teach."""
    wide = dict(type=gaugan.GENERATOR, labels=LABELS, upsampling='more', base_channels=2)
    wide['init_cfg'] = dict(type='Pretrained', checkpoint='unused.pth')  # the fixture's
    cfg.model.distiller.teachers = dict(wide=wide)


def loaded(cfg, student, adaptors=None, file='gaugan'):
    """Build a recipe's model with the networks of the fixtures."""
    with DefaultScope.overwrite_default_scope('mmagic'):
        model = MODELS.build(cfg.model)
    d = model.distiller
    net = model.generators['photo']
    gaugan.load(getattr(net, 'network', net), student, file)
    gaugan.load(d.student_discriminators['photo'], 'D')
    if adaptors:
        gaugan.load(d.teachers['wide'], 'T')
        for index, adaptor in enumerate(d.losses['photo'][0].adaptors['wide']):
            adaptor.load_state_dict(load_npz(file, f'{adaptors}{index}/'))
    return model.train()


@torch.no_grad()
def test_perceptual_network(vgg19):
    net, want = VGG19Features(vgg19, tapped=TAPS, normalized=False), GOLDEN['vgg']
    pair = [net(gaugan.photo(seed, (1, 3, 64, 64))) for seed in want['input_seeds']]
    parts = [float((a - b).abs().mean()) for a, b in zip(*pair)]
    assert_close_rel(parts, want['slices'], 1e-3)
    weights = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1)
    assert_close_rel(sum(w * part for w, part in zip(weights, parts)), want['loss'], 1e-3)


def check_step(model, cfg, key, configuration=None):
    """Take two steps; compare losses, gradients and statistics."""
    want, arrays = GOLDEN[key], load_npz('gaugan_super' if 'super' in key else 'gaugan')
    tag = dict(train_step='train', distill_step='distill', supernet_step='superstep')[key]
    optim, d = optimizers(model, cfg, lr=None), model.distiller
    net, seen, moments = model.generators['photo'], {}, []
    norm = net.get_submodule('head_0.norm_0.param_free_norm')
    conv = dict(net.get_submodule('up_2.conv_1').named_parameters())
    for name, rate in (('student', 'lr_G'), ('student_discriminators', 'lr_D')):
        (group,) = optim[name].param_groups
        assert (group['lr'], list(group['betas'])) == (want[rate], want['betas'])

    def spy(*_):
        if not seen:
            seen['conv_img'] = net.conv_img.weight.grad.clone()
            seen['up_2_conv_1'] = conv.get('weight_orig', conv.get('weight')).grad.clone()
            if len(d.losses['photo']):
                seen['A2'] = d.losses['photo'][0].adaptors['wide'][2].weight.grad.clone()
            moments.append(norm.running_mean.clone())

    optim['student'].optimizer.register_step_pre_hook(spy)
    if configuration:
        d.configurations = [read_configuration(configuration)]
    inputs = dict(img_labels=label_map(), img_photo=gaugan.photo())
    log = d.train_step(inputs, optim)
    distilled = [log[name] for name in log if 'feature_map' in name]
    losses = dict(G_gan=log['loss_gan'], G_feat=log['loss_feature'], G_vgg=log['loss_perceptual'])
    if distilled:
        losses['G_distill'] = distilled[0]
    for name, value in losses.items():
        assert_close_rel(value, want[f'G/{name}'], 1e-3)
    assert_close_rel(sum(losses.values()), want['G/loss_G'], 1e-3)
    for name, value in seen.items():
        assert_close_rel(value, arrays[f'{tag}_grad_{name}'], 5e-3)
    kept = slice(32 if configuration else None)  # absent channels stay, here
    assert_close_rel(moments[0][kept], arrays[f'{tag}_head_0_rm'][kept], 1e-3)
    assert_close_rel(log['loss_disc_fake'], want['D/D_fake'], 2e-3)
    assert_close_rel(log['loss_disc_real'], want['D/D_real'], 2e-3)
    total = log['loss_disc_fake'] + log['loss_disc_real']
    assert_close_rel(total, want['D/loss_D'], 2e-3)
    moved = norm.running_var[kept]
    assert_close_rel(moved, arrays[f'{tag}_head_0_rv_after_D'][kept], 2e-3)
    log = d.train_step(inputs, optim)
    own = [log[name] for name in log if 'disc' not in name]
    assert_close_rel(sum(own), want['G_after/loss_G'], 5e-3)
    assert_close_rel(log['loss_feature'], want['G_after/G_feat'], 5e-3)


def test_original_step(vgg19):
    cfg = recipe('gan_compression_gaugan-mobile64-teacher_8xb2-200e_cityscapes', vgg19)
    cfg.model.generator.base_channels = 1
    check_step(loaded(cfg, 'train/G'), cfg, 'train_step')


def test_distillation_step(vgg19):
    cfg = recipe('gan_compression_gaugan-mobile48-distill_8xb2-200e_cityscapes', vgg19)
    cfg.model.generator.base_channels = 1
    teacher(cfg)
    check_step(loaded(cfg, 'distill/S', 'distill/A'), cfg, 'distill_step')


def test_supernet_step(vgg19):
    cfg = recipe('gan_compression_gaugan', vgg19)
    cfg.model.generator.arch.base_channels = 3
    cfg.model.generator.space = [[3, 2, 1]] * 8
    teacher(cfg)
    model = loaded(cfg, 'super/G', 'super/A', 'gaugan_super')
    check_step(model, cfg, 'supernet_step', GOLDEN['supernet_step']['config'])


def test_resume_is_bit_equal(vgg19):
    """Spectral norms go on where they were, in both networks."""
    cfg = recipe('gan_compression_gaugan-mobile64-teacher_8xb2-200e_cityscapes', vgg19)
    cfg.model.generator.base_channels = 1
    inputs = dict(img_labels=label_map()[:1], img_photo=gaugan.photo()[:1])

    def begin():
        model = loaded(cfg, 'train/G')
        return model, optimizers(model, cfg, lr=None)

    whole, optim = begin()
    whole.distiller.train_step(inputs, optim)
    saved = copy.deepcopy(whole.state_dict()), copy.deepcopy(optim.state_dict())
    whole.distiller.train_step(inputs, optim)
    resumed, optim = begin()
    resumed.load_state_dict(saved[0])
    optim.load_state_dict(saved[1])
    resumed.distiller.train_step(inputs, optim)
    want = whole.state_dict()
    assert any(key.endswith('weight_u') for key in want)
    assert all(torch.equal(value, want[key]) for key, value in resumed.state_dict().items())


def test_rate():
    schedule = TrainSchedule(epochs=200, constant=100, block=10)
    for epoch, rate in GOLDEN['lr_G_linear_100_100'].items():
        assert 1e-4 * schedule.lr_factor(int(epoch) - 1) == pytest.approx(rate)
