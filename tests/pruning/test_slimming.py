"""Extraction of slimmed generators: the function stays, channels go."""

import copy

import numpy as np
import pytest
import torch
import torch.nn as nn

from golden import assert_close_rel, build, load_json
from mmgan_compress.core.channels import channel_map
from mmgan_compress.core.complexity import count_params
from mmgan_compress.core.layers import find_layer
from mmgan_compress.models.fake_quant import fake_quantize
from mmgan_compress.models.student_config import build_generator
from mmgan_compress.models.topology import free_channels, resnet_chain
from mmgan_compress.pruning.slimming import SlimExtraction
from mmgan_compress.registry import PRUNERS

pytestmark = pytest.mark.numerical

GOLDEN = load_json('gan_slimming')
RESNET = dict(type='ResnetGenerator', in_channels=3, out_channels=3)
SEPARABLE = dict(type='mmgan_compress.SeparableResnetGenerator')
AFFINE = dict(type='IN', affine=True)
NETWORKS = {
    'resnet': dict(RESNET, norm_cfg=AFFINE),
    'resnet-bn': dict(RESNET, norm_cfg=dict(type='BN')),
    'mobile': dict(SEPARABLE, norm_cfg=AFFINE),
    'mobile-bn': dict(SEPARABLE, norm_cfg=dict(type='BN')),
    'cartoon': dict(type='mmgan_compress.CartoonGenerator'),
}
# Convolutions whose reader is padded with zeros: stem, first down-sampling
# and first up-sampling (the second of two convolutions, in CartoonGAN's).
PADDED = dict(
    resnet=['model.0.conv', 'model.1.conv', 'model.5.conv'],
    mobile=['model.1', 'model.4', 'model.12'],
    cartoon=['model.1', 'model.5', 'model.15'],
)


def slimmed(kind, ratio=0.5, shifts=True, base_channels=6):
    """Return a small trained-looking generator with dead channels."""
    config = dict(NETWORKS[kind], base_channels=base_channels, num_blocks=2)
    torch.manual_seed(0)
    net = build_generator(config).eval()
    for name, tensor in net.state_dict().items():
        if tensor.ndim > 1:
            nn.init.normal_(tensor, 0, (2 / tensor[0].numel()) ** 0.5)
        elif name.endswith('var'):
            nn.init.uniform_(tensor, 0.5, 2)
        elif tensor.ndim:
            nn.init.normal_(tensor, float(name.endswith('weight')), 0.2)
    for free in free_channels(net):
        kill(find_layer(net, free.norm), ratio, shifts)
    return net, config


@torch.no_grad()
def kill(norm, ratio, shifts):
    dead = torch.rand(len(norm.weight)) < ratio
    norm.weight[dead] = 0
    if not shifts:
        norm.bias[dead] = 0


def difference(a, b):
    """Return the largest difference of two generators on two images."""
    torch.manual_seed(1)
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        return (a(x) - b(x)).abs().max().item()


@pytest.mark.parametrize(
    'ratio',
    [pytest.param(0.3, marks=pytest.mark.slow), 0.5, pytest.param(0.8, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize('kind', NETWORKS)
def test_function_is_kept(kind, ratio):
    net, config = slimmed(kind, ratio)
    before = copy.deepcopy(net.state_dict())
    result = SlimExtraction().compress(net, config)
    assert count_params(result.network) < count_params(net)
    assert difference(net, result.network) <= 1e-5
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    # constants stay only where zeros are padded
    assert set(result.summary['kept']) <= set(PADDED[kind.split('-')[0]])
    assert result.summary['dropped'] == 0


@pytest.mark.parametrize('kind', NETWORKS)
def test_config_rebuilds_it(kind):
    net, config = slimmed(kind)
    result = SlimExtraction().compress(net, config)
    twin = build_generator(result.config).eval()
    assert channel_map(twin) == channel_map(result.network)
    twin.load_state_dict(result.network.state_dict())
    assert difference(twin, result.network) == 0
    widths = [channel_map(twin)[name][1] for name in result.summary['widths']]
    assert widths == list(result.summary['widths'].values())


@pytest.mark.parametrize('kind', PADDED)
def test_without_shifts_every_dead_channel_goes(kind):
    net, config = slimmed(kind, shifts=False)
    result = SlimExtraction().compress(net, config)
    alive = {
        f.writer: max(1, int(find_layer(net, f.norm).weight.ne(0).sum()))
        for f in free_channels(net)
    }
    assert result.summary['widths'] == alive
    assert result.summary['kept'] == {}
    assert difference(net, result.network) <= 1e-5
    # nothing is dropped, so the published extraction is exact as well
    drop = SlimExtraction(published=True).compress(net, config)
    assert difference(net, drop.network) <= 1e-5
    assert drop.summary['dropped'] == 0


def test_zero_padding_keeps_constants():
    net, config = slimmed('resnet')
    result = SlimExtraction().compress(net, config)
    for free in free_channels(net):
        norm = find_layer(net, free.norm)
        constant = (norm.weight == 0) & (norm.bias > 0)
        want = int(constant.sum()) if free.writer in PADDED['resnet'] else 0
        assert result.summary['kept'].get(free.writer, 0) == want
    assert result.summary['kept']
    drop = SlimExtraction(published=True).compress(net, config)
    assert drop.summary['dropped'] > 0.1
    assert difference(net, drop.network) > 1e-2


@pytest.mark.parametrize('kind', NETWORKS)
def test_layers_without_living_channels(kind):
    """Emptied blocks are the identity, never 2x."""
    net, config = slimmed(kind, ratio=1.0)
    result = SlimExtraction().compress(net, config)
    assert difference(net, result.network) <= 1e-5
    assert set(result.summary['emptied']) >= {
        f.writer for f in free_channels(net) if f.writer not in PADDED[kind.split('-')[0]]
    }
    again = SlimExtraction().compress(result.network, result.config)
    assert again.config == result.config  # nothing more to remove
    assert difference(again.network, result.network) <= 1e-5


def test_block_without_living_channels_adds_nothing():
    assert GOLDEN['residual_block_mid0']['output_equals_2x']
    net, config = slimmed('resnet')
    with torch.no_grad():
        net.model[3].block[0].norm.weight.zero_()
        net.model[3].block[1].norm.bias.zero_()
    slim = SlimExtraction().compress(net, config).network
    x = torch.randn(1, 24, 8, 8)
    with torch.no_grad():
        assert (slim.model[3](x) - x).abs().max() < 1e-5
    assert channel_map(slim)['model.3.block.0.conv'] == [24, 1]


def test_free_channels_are_the_published_ones():
    net = build(
        'ResnetGenerator',
        in_channels=3,
        out_channels=3,
        norm_cfg=AFFINE,
        base_channels=64,
        num_blocks=9,
    )
    widths = [len(find_layer(net, free.norm).weight) for free in free_channels(net)]
    assert widths == GOLDEN['gamma_params']['numel']


def reference_weights():
    """Return weights by the names of the paper's generator (golden's
    recipe): those of its convolutions and its 13 affine norms."""
    shapes = {}

    def layer(name, width, *shape):
        shapes[f'{name}.weight'] = shape or (width,)
        shapes[f'{name}.bias'] = (width,)

    layer('model.1', 64, 64, 3, 7, 7)
    layer('model.4', 128, 128, 64, 3, 3)
    layer('model.7', 256, 256, 128, 3, 3)
    for block in range(10, 19):
        for conv in (1, 5):
            layer(f'model.{block}.conv_block.{conv}', 256, 256, 256, 3, 3)
    layer('model.19', 128, 256, 128, 3, 3)
    layer('model.22', 64, 128, 64, 3, 3)
    layer('model.26', 3, 3, 64, 7, 7)
    for name, count in zip(*(GOLDEN['gamma_params'][k] for k in ('names', 'numel'))):
        layer(name.removesuffix('.weight'), count)
    rs, state = np.random.RandomState(4), {}
    for name, shape in sorted(shapes.items()):
        value = rs.standard_normal(shape)
        if len(shape) > 1:
            value *= np.sqrt(2 / np.prod(shape[1:]))
        elif name.endswith('weight'):
            value = (1 + 0.1 * value) * (rs.rand(*shape) > 0.6)
        else:
            value *= 0.1
        state[name] = torch.tensor(value.astype('float32'))
    return state


def place(name):
    return [int(part) for part in name.split('.') if part.isdigit()]


@pytest.fixture(scope='module')
def published():
    """The paper's dense generator of golden's recipe; trunk norms have
    scale 1 and shift 0, which is what its own, without any, compute."""
    config = dict(NETWORKS['resnet'], base_channels=64, num_blocks=9)
    net, state = build_generator(config).eval(), reference_weights()
    convs = [*resnet_chain(net), 'model.14.conv']
    norms = [free.norm for free in free_channels(net)]
    gammas = [n.removesuffix('.weight') for n in GOLDEN['gamma_params']['names']]
    theirs = sorted({n.rpartition('.')[0] for n in state} - set(gammas), key=place)
    for ours, name in zip([*convs, *norms], [*theirs, *gammas], strict=True):
        find_layer(net, ours).load_state_dict({k: state[f'{name}.{k}'] for k in ('weight', 'bias')})
    return net, config


@pytest.mark.parametrize('kept', [True, False], ids=['shifts', 'zeroed'])
def test_published_extraction(published, kept):
    net, config = copy.deepcopy(published[0]), published[1]
    want = GOLDEN['extract_subnet_beta_of_pruned_' + ('kept' if kept else 'zeroed')]
    if not kept:
        for free in free_channels(net):
            norm = find_layer(net, free.norm)
            norm.bias.data[norm.weight == 0] = 0
    x = torch.tensor(
        np.tanh(np.random.RandomState(6).standard_normal((1, 3, 64, 64))).astype('float32')
    )
    result = SlimExtraction(published=True).compress(net, config)
    assert list(result.summary['widths'].values()) == want['dim_lst']
    with torch.no_grad():
        dense, sub = net(x), result.network(x)
    assert_close_rel(dense.double().sum(), want['dense_y_sum'])
    assert_close_rel(sub.double().sum(), want['sub_y_sum'])
    gap = (dense - sub).abs()
    if kept:
        assert gap.max().item() == pytest.approx(want['max_abs_diff_dense_vs_sub'], rel=1e-3)
        assert gap.mean().item() == pytest.approx(want['mean_abs_diff'], rel=1e-3)
        exact = SlimExtraction().compress(net, config).network
        with torch.no_grad():
            assert (exact(x) - dense).abs().max() <= 1e-5
    else:
        assert gap.max() <= 1e-5
        # trunk norms have a scale and a shift here
        trunk = 2 * 256 * 10
        assert count_params(result.network) == want['sub_params'] + trunk


def test_what_is_refused():
    net, config = slimmed('resnet')
    with pytest.raises(TypeError, match='defake_quantize'):
        SlimExtraction().compress(fake_quantize(copy.deepcopy(net)), config)
    alive, _ = slimmed('resnet', ratio=0.0)
    with pytest.raises(ValueError, match='no norm has a scale of 0'):
        SlimExtraction().compress(alive, config)
    plain = dict(config, norm_cfg=dict(type='IN'))
    with pytest.raises(ValueError, match='has no scales'):
        SlimExtraction().compress(build_generator(plain), plain)
    with pytest.raises(ValueError, match='no norm has a channel of scale'):
        SlimExtraction().compress(nn.Conv2d(3, 3, 1), {})


def test_it_is_registered():
    pruner = PRUNERS.build(dict(type='mmgan_compress.SlimExtraction', published=True))
    assert pruner.published
