"""Losses against the numbers of OMGD's own code."""

import copy

import pytest
import torch
import torch.nn as nn
from mmengine.config import Config

from golden import assert_close_rel, load_json, load_npz
from mmgan_compress.losses.base import ChannelLoss, DistillBatch, SSIMLoss, TotalVariationLoss, gram
from mmgan_compress.losses.gan import gan_loss
from mmgan_compress.models.perceptual import VGG16Features
from mmgan_compress.registry import MODELS
from toy import REPO

pytestmark = pytest.mark.numerical

GOLDEN = load_json('omgd')
ARRAYS = load_npz('omgd')
OMGD = Config.fromfile(REPO / 'configs/_base_/losses/omgd_losses.py').omgd_losses


@pytest.fixture(scope='module')
def vgg(vgg_file):
    return VGG16Features(vgg_file)


def batch_of(image, vgg=None, **targets):
    return DistillBatch(source=image, image=image, targets=targets, perceptual=vgg)


def test_gram():
    assert_close_rel(gram(ARRAYS['gram_x']), ARRAYS['gram_G'])


def test_vgg_features(vgg):
    taps = vgg(ARRAYS['S'])
    want = GOLDEN['vgg16_random']
    assert [list(t.shape) for t in taps] == want['feat_shape(S)']
    assert_close_rel([t.mean().item() for t in taps], want['feat_mean(S)'])


def test_vgg_is_frozen_and_not_in_checkpoints(vgg):
    assert not list(vgg.parameters()) and not vgg.state_dict()


def test_vgg_of_one_target_is_computed_once(vgg):
    calls = []
    batch = batch_of(ARRAYS['S'], lambda x: calls.append(x) or vgg(x), t=ARRAYS['T1'])
    for cfg in OMGD:
        MODELS.build(cfg)(batch, 't')
    assert len(calls) == 2  # the student's image and the teacher's


@pytest.mark.parametrize('target,key', [('T1', 'ssim(S,T1)'), ('S', 'ssim(S,S)')])
def test_ssim(target, key):
    got = 1 - SSIMLoss()(batch_of(ARRAYS['S'], t=ARRAYS[target]), 't')
    assert_close_rel(got, GOLDEN['ssim'][key])


def test_ssim_of_the_negative():
    got = 1 - SSIMLoss()(batch_of(ARRAYS['S'], t=-ARRAYS['S']), 't')
    assert_close_rel(got, GOLDEN['ssim']['ssim(S,-S)'])


def test_total_variation_is_a_sum():
    got = TotalVariationLoss()(batch_of(ARRAYS['S'], t=None), 't')
    assert_close_rel(got, GOLDEN['tv']['tv_sum(S)'])


def total(image, vgg, **targets):
    batch = batch_of(image, vgg, **targets)
    parts = {}
    for cfg in OMGD:
        loss = MODELS.build(cfg).to(image.dtype)
        for teacher in targets:
            parts[loss.name, teacher] = loss.weight * loss(batch, teacher)
    return sum(parts.values()), parts


def test_student_loss_of_one_teacher(vgg):
    loss, parts = total(ARRAYS['S'], vgg, t=ARRAYS['T1'])
    want = GOLDEN['student_one_teacher(T1)']
    assert_close_rel(loss, want['loss_G_student'])
    for name, key in (('ssim', 'SSIM'), ('style', 'style'), ('feature', 'feature'), ('tv', 'tv')):
        assert_close_rel(parts[name, 't'], want[key])


# In float32 a ReLU or a maximum that is nearly a tie falls to either side, as
# the processor's kernels round: 6e-7 (AVX-512), 7e-3 (AVX2).
@pytest.mark.parametrize('kind, tolerance', [(torch.float64, 1e-5), (torch.float32, 2e-2)])
def test_student_loss_and_gradient_of_two_teachers(kind, tolerance, vgg):
    image, wide, deep = (ARRAYS[key].to(kind) for key in ('S', 'T1', 'T2'))
    network = copy.deepcopy(vgg).to(kind)
    loss, _ = total(image.requires_grad_(), lambda x: network(x.to(kind)), wide=wide, deep=deep)
    loss.backward()
    assert_close_rel(loss.detach(), GOLDEN['student_two_teachers']['loss_G_student'])
    assert_close_rel(image.grad, ARRAYS['student_grad_two_teachers'], tolerance)


def channel_loss(reduction):
    names = [f'l{i}' for i in range(4)]
    loss = ChannelLoss(500.0, names, reduction=reduction)
    loss.adaptors['t'] = nn.ModuleList()
    for i in range(4):
        adaptor = ChannelLoss(1.0, ['']).adaptor(4, 8)
        adaptor[0].weight.data = ARRAYS[f'cd_conv_w_{i}'].clone()
        adaptor[1].weight.data = ARRAYS[f'cd_bn_w_{i}'].clone()
        adaptor[1].bias.data = ARRAYS[f'cd_bn_b_{i}'].clone()
        loss.adaptors['t'].append(adaptor)
    batch = batch_of(ARRAYS['S'], t=ARRAYS['T1'])
    batch.features = {n: ARRAYS[f'cd_S_{i}'] for i, n in enumerate(names)}
    batch.target_features = {'t': {n: ARRAYS[f'cd_T_{i}'] for i, n in enumerate(names)}}
    return loss, batch


def test_channel_distillation():
    want = GOLDEN['channel_distillation']
    loss, batch = channel_loss('sum')
    got = loss(batch, 't')
    assert_close_rel(got.detach(), want['total'], 1e-3)
    assert_close_rel(loss.adaptors['t'][0][1].running_mean, want['running_mean_after_0'], 1e-3)
    loss, batch = channel_loss('mean')
    assert_close_rel(loss(batch, 't').detach(), want['paper_mean_over_taps'], 1e-3)


def test_adaptors_start_as_omgds():
    torch.manual_seed(0)
    adaptor = ChannelLoss(1.0, ['']).adaptor(64, 256)
    assert adaptor[0].weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert adaptor[1].weight.mean().item() == pytest.approx(1, abs=0.01)
    assert adaptor[1].weight.std().item() == pytest.approx(0.02, rel=0.2)


@pytest.mark.parametrize('kind', ['lsgan', 'vanilla', 'hinge', 'wgan'])
def test_gan_loss(kind):
    want = GOLDEN['gan_loss']['wgangp' if kind == 'wgan' else kind]
    for role, key in (('real', 'real_D'), ('fake', 'fake_D'), ('g', 'real_G')):
        assert_close_rel(gan_loss(kind, ARRAYS['pred'], role), want[key])


def test_bad_words_are_refused():
    with pytest.raises(ValueError, match="got 'lsgna'"):
        gan_loss('lsgna', ARRAYS['pred'], 'g')
    with pytest.raises(ValueError, match="'real', 'fake' or 'g'"):
        gan_loss('lsgan', ARRAYS['pred'], 'disc')
    with pytest.raises(ValueError, match="'sum' or 'mean'"):
        ChannelLoss(1.0, ['a'], reduction='none')
    with pytest.raises(ValueError, match='1 layers and 2 target_layers'):
        ChannelLoss(1.0, ['a'], target_layers=['a', 'b'])
