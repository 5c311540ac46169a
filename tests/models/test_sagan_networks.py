"""SAGAN's layers and networks against the numbers of GCC's code."""

import copy

import pytest
import torch
import torch.nn as nn
from torch.nn.utils.parametrizations import spectral_norm

from golden import assert_close_rel, build, load_json, load_npz
from mmgan_compress.core.channels import channel_map, resize
from mmgan_compress.core.complexity import count_macs, count_params
from mmgan_compress.core.layers import meta_copy
from mmgan_compress.models.sagan import SelfAttention
from mmgan_compress.models.spectral_norm import (
    SpectralConv2d,
    SpectralConvTranspose2d,
    SpectralNorm,
    TorchSpectralConvTranspose2d,
)
from sagan_golden import DISCRIMINATOR, GENERATOR, discriminator, gated, generator, images, noise

pytestmark = pytest.mark.numerical

GOLDEN = load_json('sagan')
UNITS = load_npz('sagan', 'unit/')


def filled(layer, prefix):
    state = {k: v for k, v in UNITS.items() if k.startswith(prefix)}
    names = {
        k: k.removeprefix(prefix).replace('_conv', '').replace('weight_bar', 'weight')
        for k in state
    }
    layer.load_state_dict({names[key]: value for key, value in state.items()})
    return layer


@torch.no_grad()
def test_attention_equals_the_original():
    layer = filled(SelfAttention(16), 'attn/')
    for training in (True, False):  # by torch's fused operator, and by plain ones
        assert_close_rel(layer.train(training)(UNITS['x']), UNITS['attn_y'], 2e-4)
    with pytest.raises(ValueError, match='at least 8'):
        SelfAttention(7)


@torch.no_grad()
def test_spectral_norms_equal_the_original():
    """Which goes on with its iteration in eval mode."""
    conv = filled(SpectralConv2d(16, 6, 4, stride=2, padding=1), 'sn_conv/module.')
    for name in ('y', 'y2', 'y3_eval'):
        assert_close_rel(conv(UNITS['x']), UNITS[f'sn_conv_{name}'], 2e-4)
        if name == 'y':
            assert_close_rel(conv.weight_u, UNITS['sn_conv_u_after'], 2e-4)
            assert_close_rel(conv.weight_v, UNITS['sn_conv_v_after'], 2e-4)
    up = filled(SpectralConvTranspose2d(16, 6, 4, stride=2, padding=1), 'sn_deconv/module.')
    assert len(up.weight_u) == GOLDEN['units']['sn_deconv_u_len']
    assert_close_rel(up(UNITS['x']), UNITS['sn_deconv_y'], 2e-4)
    assert_close_rel(up.weight_u, UNITS['sn_deconv_u_after'], 2e-4)
    with torch.enable_grad():  # two passes, one backward pass
        (conv(UNITS['x']).mean() + conv(UNITS['x']).mean()).backward()
    assert conv.weight.grad.any()


@torch.no_grad()
def test_spectral_norm_of_torch():
    """The largest singular value of the same matrix."""
    ours = TorchSpectralConvTranspose2d(5, 3, 4)
    theirs = nn.ConvTranspose2d(5, 3, 4)
    theirs.load_state_dict(ours.state_dict(), strict=False)
    theirs = spectral_norm(theirs, n_power_iterations=200)
    x = torch.randn(1, 5, 3, 3)
    for _ in range(200):
        ours(x)
    theirs(x)  # iterates
    assert_close_rel(ours.eval()(x), theirs.eval()(x), 1e-4)
    assert len(ours.weight_u) == 3


@torch.no_grad()
def test_eval_mode_is_one_function():
    net = generator('t_G').eval()
    first = net(noise(510))
    assert torch.equal(first, net(noise(510)))
    assert torch.equal(first[:2], net(noise(510)[:2])) or torch.allclose(
        first[:2], net(noise(510)[:2])
    )
    plain = build(GENERATOR, base_channels=8, noise_size=16, spectral_norm=None).eval()
    state = net.state_dict()
    for name, layer in net.named_modules():
        if isinstance(layer, SpectralNorm):
            state[f'{name}.weight'] = layer.plain().weight
    plain.load_state_dict({k: v for k, v in state.items() if k in plain.state_dict()})
    assert_close_rel(plain(noise(510)), first, 1e-5)


@torch.no_grad()
def test_generators_equal_the_original():
    arrays = load_npz('sagan', 'net/')
    for name, title in (('t_G', 'G'), ('s_G', 'pruned_G')):
        net = generator(name)
        if name == 't_G':
            got = net.train()(noise(510))
            assert_close_rel(got[:, :, ::4, ::4], arrays['G_y_train_sub'], 1e-3)
            assert_close_rel(got.double().sum(), GOLDEN['nets']['G_train_sum'], 1e-3)
        net.eval()
        for layer in net.modules():  # the original iterates in eval mode as well
            layer.training = isinstance(layer, SpectralNorm)
        got = net(noise(510))[:, :, ::4, ::4]
        assert_close_rel(got, arrays[f'{title}_y_eval_sub'], 1e-3)
    assert count_params(generator('t_G')) == GOLDEN['nets']['G_params']


@torch.no_grad()
def test_discriminators_equal_the_original():
    arrays, net = load_npz('sagan', 'net/'), discriminator('t_D')
    assert_close_rel(net(images(511)).flatten(), arrays['D_y'], 1e-3)
    assert_close_rel(net(images(511)).flatten(), arrays['D_y_second_call'], 1e-3)
    own = gated('s_D')
    assert_close_rel(own(images(511)).flatten(), arrays['DM_y'], 1e-3)
    assert count_params(net) == GOLDEN['nets']['D_params']
    with pytest.raises(TypeError, match='fills closed channels'):
        own.smaller()


@pytest.mark.parametrize('width', [64, 48, 32, 24])
def test_costs_are_those_of_the_spec(width):
    with torch.device('meta'):
        net = build(GENERATOR, base_channels=width)
    want = GOLDEN['macs'][f'sagan_G_ngf{width}']
    assert count_params(net) == want['params']
    assert count_macs(net, want['input']).macs == want['macs_flop_counter']


def test_costs_of_discriminators():
    with torch.device('meta'):
        plain = build(DISCRIMINATOR)
        own = build(
            'mmgan_compress.GatedPatchDiscriminator', discriminator=dict(type=DISCRIMINATOR)
        )
    for net, name in ((plain, 'sagan_D_ndf64'), (own, 'sagan_maskD_ndf64')):
        want = GOLDEN['macs'][name]
        assert count_params(net) == want['params']
        assert count_macs(net, want['input']).macs == want['macs_flop_counter']


def test_start():
    """Weights are drawn as the original draws them, but for norm biases."""
    torch.manual_seed(0)
    net = build(GENERATOR, base_channels=16)
    net.init_weights()
    conv, norm, _ = net.model[1]
    want = GOLDEN['init']
    assert float(conv.weight.std()) == pytest.approx(want['l2_bar_std'], rel=0.05)
    assert float(conv.bias.std()) == pytest.approx(want['l2_bias_std'], rel=0.3)
    assert float(norm.weight.mean()) == pytest.approx(want['bn_weight_mean'], rel=0.02)
    assert not norm.bias.any()
    assert float(net.model[6].weight.std()) == pytest.approx(want['last_std'], rel=0.1)
    assert float(net.model[3].gamma) == want['attn_gamma']


def test_layers_can_be_counted_copied_and_resized():
    net = generator('t_G').train()
    net(noise(510)).mean().backward()
    copies = [copy.deepcopy(net), meta_copy(net)]
    assert channel_map(copies[1]) == channel_map(net)
    assert channel_map(net)['model.1.0'] == [64, 32]
    small = resize(net, {'model.0.0': [16, 9], 'model.0.1': [9], 'model.1.0': [9, 32]})
    assert len(small.model[1][0].weight_u) == 9
    assert small(noise(510)).shape == (4, 3, 64, 64)
    with pytest.raises(ValueError, match='expected four'):
        build(GENERATOR, widths=[8, 8])
