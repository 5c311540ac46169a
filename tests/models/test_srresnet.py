"""SRResNet and its discriminator against the numbers of GCC's code."""

import pytest
import torch

from golden import assert_close_rel, build, load_json, load_npz
from mmgan_compress.core.complexity import count_macs, count_params
from mmgan_compress.models.blocks import imagenet_normalized
from mmgan_compress.models.student_config import build_generator
from mmgan_compress.models.topology import feature_layers, free_channels
from mmgan_compress.pruning.gcc import narrow_insides
from srgan_golden import GENERATOR, gated, generator, high, low, plain_discriminator

pytestmark = pytest.mark.numerical

GOLDEN = load_json('srgan')


@pytest.mark.parametrize('name', ['t_G', 's_G'])
@torch.no_grad()
def test_generator_equals_the_original(name):
    net, arrays = generator(name), load_npz('srgan', f'net/{name}_y_')
    for mode in ('train', 'eval'):  # the first one moves statistics
        got = net.train(mode == 'train')(low(600))[:, :, ::3, ::3]
        assert_close_rel(got, arrays[f'{mode}_sub'], 1e-3)
    assert count_params(net) == GOLDEN['nets'][f'params_{name}']


@torch.no_grad()
def test_discriminators_equal_the_original():
    arrays, shown = load_npz('srgan', 'net/'), imagenet_normalized(high(601))
    net = plain_discriminator('t_D')
    assert_close_rel(net.eval()(shown).flatten(1), arrays['t_D_y_eval'], 1e-3)
    assert_close_rel(net.train()(shown).flatten(1), arrays['t_D_y'], 1e-3)
    assert_close_rel(gated('s_D').train()(shown).flatten(1), arrays['s_D_y'], 1e-3)
    assert count_params(net) == GOLDEN['nets']['params_t_D']


@torch.no_grad()
def test_smaller_discriminator_is_the_same_function():
    net, shown = gated('s_D').eval(), imagenet_normalized(high(601))
    smaller = net.smaller()
    assert count_params(smaller) < count_params(net.body)
    assert_close_rel(smaller(shown), net(shown), 1e-5)


@pytest.mark.parametrize('width', [64, 48, 32, 24])
def test_costs_are_those_of_the_spec(width):
    with torch.device('meta'):
        net = build(GENERATOR, base_channels=width)
    want = GOLDEN['macs'][f'srgan_G_ngf{width}']
    assert count_params(net) == want['params']
    macs = count_macs(net, tuple(want['input']))
    assert (macs.macs, macs.macs_paper) == (want['macs_flop_counter'], want['macs_torchprofile'])


def test_costs_of_narrow_blocks_and_of_discriminators():
    config = dict(type=GENERATOR, base_channels=24)
    free = free_channels(build_generator(config, 'meta'))
    assert len(free) == 16  # one in each block; all else is added to
    net, _ = narrow_insides(config, free, [12] * 16)
    want = GOLDEN['macs']['srgan_G_ngf24_inner12']
    assert count_params(net) == want['params']
    assert count_macs(net, tuple(want['input'])).macs == want['macs_flop_counter']
    body = dict(type='mmgan_compress.SRGANDiscriminator', base_channels=128)
    with torch.device('meta'):
        plain = build('mmgan_compress.SRGANDiscriminator', base_channels=64)
        own = build('mmgan_compress.GatedPatchDiscriminator', discriminator=body)
    for net, name in ((plain, 'srgan_D_ndf64'), (own, 'srgan_maskD_ndf128')):
        want = GOLDEN['macs'][name]
        assert count_params(net) == want['params']
        assert count_macs(net, tuple(want['input'])).macs == want['macs_flop_counter']


def test_start():
    """Weights are drawn as the original draws them, but for norm biases."""
    torch.manual_seed(0)
    net = build(GENERATOR, base_channels=16, num_blocks=2)
    net.init_weights()
    block = net.model[2].conv_block[0].conv_block
    assert float(block[0].weight.std()) == pytest.approx(GOLDEN['init']['conv_std'], rel=0.1)
    assert not block[0].bias.any() and not block[1].bias.any()
    assert float(net.model[1].weight.detach()) == GOLDEN['init']['prelu']


def test_layers_to_compare():
    net = build(GENERATOR, base_channels=4, num_blocks=6)
    assert feature_layers(net) == [
        'model.1',
        *(f'model.2.conv_block.{block}' for block in (1, 3, 5)),
    ]
