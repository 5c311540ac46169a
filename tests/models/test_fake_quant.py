"""The quantizer of GAN Slimming, against its own numbers."""

import copy

import pytest
import torch
import torch.nn as nn

from golden import assert_close_rel, build, load_json, load_npz
from mmgan_compress.core.channels import channel_map
from mmgan_compress.models.fake_quant import (
    PUBLISHED_LEVELS,
    defake_quantize,
    fake_quantize,
    is_quantized,
    quantize_activation,
    quantize_weight,
)

pytestmark = pytest.mark.numerical

GOLDEN, ARRAYS = load_json('gan_slimming'), load_npz('gan_slimming')


def test_grids():
    want = GOLDEN['quantize']
    x = torch.tensor(want['x'], requires_grad=True)
    got = quantize_activation(x, 4.0, PUBLISHED_LEVELS)
    assert got.tolist() == want['unsigned8_max4_after_clamp0_4']
    got.sum().backward()
    assert x.grad.tolist() == want['grad_unsigned']
    # a scale of 4/127: append the largest value, the grid follows from it
    weight = torch.tensor([v for v in want['x'] if abs(v) <= 4])
    expected = [q for v, q in zip(want['x'], want['signed8_max4']) if abs(v) <= 4]
    assert_close_rel(quantize_weight(weight), expected, 1e-6)


def test_true_int8_has_256_values():
    x = torch.linspace(-1, 5, 5001)
    assert len(quantize_activation(x, 4.0, 255).unique()) == 256
    assert len(quantize_activation(x, 4.0, PUBLISHED_LEVELS).unique()) == 257
    weight = torch.linspace(-1, 1, 5001)
    assert len(quantize_weight(weight).unique()) == 255
    assert len(quantize_weight(weight, bits=4).unique()) == 15


def test_weights_of_zero_stay_zero():
    weight = torch.zeros(3, requires_grad=True)
    out = quantize_weight(weight)
    out.sum().backward()
    assert out.tolist() == [0] * 3 and weight.grad.tolist() == [1] * 3


def golden_layer(prefix):
    weight = ARRAYS[f'{prefix}_w']
    layer = (
        nn.Conv2d(3, 5, 3, padding=1) if prefix == 'conv' else nn.ConvTranspose2d(5, 4, 3, 2, 1, 1)
    )
    layer.load_state_dict(dict(weight=weight, bias=ARRAYS[f'{prefix}_b']))
    return layer


@pytest.mark.parametrize('prefix', ['conv', 'convt'])
def test_layers_are_the_published_ones(prefix):
    layer = fake_quantize(golden_layer(prefix), levels=PUBLISHED_LEVELS, skip_first=False)
    x = ARRAYS[f'{prefix}_x'].clone().requires_grad_()
    y = layer(x)
    assert_close_rel(y.detach(), ARRAYS[f'{prefix}_y'])
    y.backward(ARRAYS[f'{prefix}_go'])
    assert_close_rel(x.grad, ARRAYS[f'{prefix}_gx'], 2e-3)
    assert_close_rel(layer.weight.grad, ARRAYS[f'{prefix}_gw'], 2e-3)


def test_first_input_is_left_alone():
    layer = fake_quantize(golden_layer('conv'))
    y = layer(ARRAYS['conv_x'])
    assert_close_rel(y.detach(), ARRAYS['conv_y_noinputquant'])


@pytest.mark.parametrize('name', ['ResnetGenerator', 'mmgan_compress.SeparableResnetGenerator'])
def test_a_generator_becomes_quantized_and_back(name):
    net = build(
        name,
        in_channels=3,
        out_channels=3,
        base_channels=4,
        num_blocks=1,
        norm_cfg=dict(type='IN', affine=True),
    )
    net.init_weights()
    before, x = copy.deepcopy(net.state_dict()), torch.rand(1, 3, 32, 32)
    kinds = [type(layer) for layer in net.modules()]
    channels, plain = channel_map(net), net(x)
    fake_quantize(net)
    rounded = net(x)
    assert is_quantized(net) and channel_map(net) == channels
    assert rounded.isfinite().all() and not torch.equal(rounded, plain)
    assert list(net.state_dict()) == list(before)
    rounded.mean().backward()
    assert all(p.grad is not None for p in net.parameters())
    clone = copy.deepcopy(net)
    assert torch.equal(clone(x), rounded)
    with pytest.raises(ValueError, match='quantized already'):
        fake_quantize(net)
    defake_quantize(net)
    assert not is_quantized(net) and torch.equal(net(x), plain)
    assert [type(layer) for layer in net.modules()] == kinds
    assert is_quantized(clone)  # the copy is its own


def test_what_cannot_be():
    with pytest.raises(ValueError, match='no 2-D convolution'):
        fake_quantize(nn.Linear(2, 2))
    with pytest.raises(ValueError, match='activation_max is 0'):
        fake_quantize(nn.Conv2d(1, 1, 1), activation_max=0)
