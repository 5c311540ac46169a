"""MUNIT's networks against the numbers of the published code."""

import numpy as np
import pytest
import torch
import torch.nn as nn

from golden import assert_close_rel, build, load_npz
from mmgan_compress.core.complexity import count_macs, count_params
from mmgan_compress.core.inputs import StyledImage, read_input
from mmgan_compress.losses.gan import gan_loss
from mmgan_compress.models.munit import MUNITLayerNorm, _AdaptiveBlock
from munit_golden import DISCRIMINATOR, GENERATOR, GOLDEN, discriminator, generator, image, normal

pytestmark = pytest.mark.numerical

UNITS = load_npz('munit', 'unit/')


def adain(x, numbers):
    """Run the norm of a block whose convolution does nothing."""
    block = _AdaptiveBlock(x.shape[1], x.shape[1], 1, norm=nn.InstanceNorm2d, act=nn.Identity)
    nn.init.dirac_(block.conv.weight)
    nn.init.zeros_(block.conv.bias)
    return block(x, numbers)


@torch.no_grad()
def test_adaptive_norm():
    x, numbers = UNITS['x'], UNITS['st']
    y, rest = adain(x, torch.cat([numbers, numbers[:, :3]], 1))
    assert_close_rel(y, UNITS['adain'], 2e-4)
    assert torch.equal(rest, numbers[:, :3])
    assert_close_rel(adain(x * 1e-2, numbers)[0], UNITS['adain_small'], 2e-4)
    narrow = torch.cat([numbers[:, :4], numbers[:, 6:10]], 1)
    assert_close_rel(adain(x[:, :4], narrow)[0], UNITS['super_adain_c4'], 2e-4)


@torch.no_grad()
def test_layer_norm():
    norm, narrow = MUNITLayerNorm(6), MUNITLayerNorm(4)
    for own, tensor in ((norm.weight, 'ln_gamma'), (norm.bias, 'ln_beta')):
        own.copy_(UNITS[tensor])
    narrow.load_state_dict({key: value[:4] for key, value in norm.state_dict().items()})
    x = UNITS['x']
    for net, given, name in (
        (norm, x, 'ln_b2'),
        (norm, x[:1], 'ln_b1'),
        (norm, x * 1e-4, 'ln_small'),
        (narrow, x[:, :4], 'super_ln_c4'),
    ):
        assert_close_rel(net(given), UNITS[name], 2e-4)


@torch.no_grad()
def test_generator():
    net, want, arrays = generator(), GOLDEN['gen'], load_npz('munit', 'gen/')
    a, b, z = image(410), image(411), normal(412, (2, 8, 1, 1))
    content, style = net.content_of(a), net.style_of(b)
    assert list(content.shape) == want['content_shape']
    assert_close_rel(content[:, :, ::2, ::2], arrays['content_sub'], 2e-4)
    assert_close_rel(content.double().sum(), want['content_sum'], 1e-3)
    assert_close_rel(style, arrays['style'].flatten(1), 2e-4)
    for name, code in (('z', z.flatten(1)), ('style', style), ('recon', net.style_of(a))):
        y = net.decode(content, code)
        assert_close_rel(y[:, :, ::4, ::4], arrays[f'y_{name}_sub'], 1e-3)
        assert_close_rel(y.double().sum(), want[f'y_{name}_sum'], 1e-3)
        assert_close_rel(net(net.takes.pack(a, code)), y, 1e-6)
    one = net.paint(a[:1], z[:1].flatten(1))
    assert_close_rel(one[:, :, ::4, ::4], arrays['y_z_batch1_sub'], 1e-3)
    assert count_params(net) == want['params']
    assert net.mlp.model[2].fc.out_features == want['adain_params']


@torch.no_grad()
def test_discriminator():
    net, want, arrays = discriminator(), GOLDEN['disc'], load_npz('munit', 'disc/')
    outputs = net(image(410))
    assert [list(scale.shape) for scale in outputs] == want['shapes']
    for scale, output in enumerate(outputs):
        assert_close_rel(output, arrays[str(scale)], 1e-3)
    for role in ('real', 'fake'):
        assert_close_rel(gan_loss('lsgan', outputs, role), want[f'lsgan_{role}'], 1e-3)
    assert count_params(net) == want['params']


class OwnStyle(nn.Module):
    """A translation whose style is that of its input."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net.paint(x, self.net.style_of(x))


@pytest.mark.parametrize('name', ['munit_64', 'munit_sub'])
def test_costs_are_those_of_the_spec(name):
    with torch.device('meta'):
        net = build(GENERATOR)
        if name == 'munit_sub':
            net = build(
                'mmgan_compress.SlimNetwork',
                arch=dict(type=GENERATOR, separable=True),
                configuration='16_16_16_24_56_16_40_40_32_24',
            )
    costs = GOLDEN['macs']
    plain, styled = costs[f'{name}_no_style'], costs[f'{name}_with_style']
    assert count_params(net) == plain['params']
    assert count_macs(net, (1, 11, 256, 256)).macs == plain['macs_flop_counter']
    assert count_macs(OwnStyle(net), (1, 3, 256, 256)).macs == styled['macs_flop_counter']


def test_costs_of_the_discriminator():
    want = GOLDEN['macs']['munit_D_ndf64']
    with torch.device('meta'):
        net = build(DISCRIMINATOR)
    assert count_params(net) == want['params']
    assert count_macs(net, want['input'][0]).macs == want['macs_flop_counter']


def test_start():
    torch.manual_seed(0)
    net = build(GENERATOR, base_channels=8)
    net.init_weights()
    conv = net.dec.model[0].model[0].model[0].conv
    assert float(conv.weight.std()) == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.05)
    fc = net.mlp.model[1].fc
    assert float(fc.weight.std()) == pytest.approx((2 / 256) ** 0.5, rel=0.05)
    assert not any(p.any() for name, p in net.named_parameters() if name.endswith('bias'))
    scales = net.dec.model[2].norm.weight
    assert 0 <= scales.min() and scales.max() <= 1 and scales.std() > 0.1


def test_images_with_styles():
    takes = StyledImage(3, 2)
    picture, style = torch.rand(2, 3, 4, 6), torch.tensor([[1.0, -2], [3, 4]])
    packed = takes.pack(picture, style)
    assert packed.shape == (2, 5, 4, 6)
    assert all(map(torch.equal, takes.split(packed), (picture, style)))
    assert read_input(takes.plain()) == takes
    drawn = torch.from_numpy(takes.draw((2, 5, 4, 4), np.random.default_rng(0)))
    assert torch.equal(takes.pack(*takes.split(drawn)), drawn)
    with pytest.raises(ValueError, match='expected 1 to'):
        StyledImage(3, 0)
