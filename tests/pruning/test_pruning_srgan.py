"""SRResNet made narrower: GCC's rule, and what other pruners do with it."""

import numpy as np
import pytest
import torch

from golden import build, load_json
from mmgan_compress.core.channels import channel_map
from mmgan_compress.core.complexity import count_macs
from mmgan_compress.models.student_config import build_generator
from mmgan_compress.models.topology import free_channels, resnet_chain
from mmgan_compress.registry import PRUNERS

CONFIG = dict(type='mmgan_compress.SRResNet', base_channels=10, num_blocks=16)


def prune(name, net, config=CONFIG, **settings):
    return PRUNERS.build(dict(type=name, **settings)).compress(net, config)


@pytest.fixture
def net():
    """Norms with the weights of the fixture."""
    net = build(**CONFIG)
    net.init_weights()
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for n, norm in enumerate(norms):
            drawn = np.random.RandomState(630 + n).uniform(-0.2, 1.2, 10)
            norm.weight.copy_(torch.from_numpy(drawn))
    return net.eval()


@pytest.mark.parametrize('threshold', ['0.2', '0.5', '0.8'])
def test_thresholds_keep_what_the_original_keeps(net, threshold):
    pruner = PRUNERS.build(dict(type='ScaleWidths', budget=dict(macs=0.9)))
    want = load_json('srgan')['scale_prune']['filter_cfgs'][threshold]
    assert pruner.plan(net, CONFIG).widths(float(threshold)) == want


def test_budget(net):
    dense = count_macs(net, (1, 3, 24, 24)).macs
    small = prune('ScaleWidths', net, budget=dict(macs=0.8, size=24))
    assert count_macs(small.network, (1, 3, 24, 24)).macs == pytest.approx(0.8 * dense, rel=0.02)
    widths = [channel_map(small.network)[place.writer][1] for place in free_channels(small.network)]
    assert widths == small.summary['widths'] and min(widths) >= 1
    again = build_generator(small.config)
    assert again(torch.zeros(1, 3, 8, 8)).shape == (1, 3, 32, 32)
    assert again.state_dict().keys() == small.network.state_dict().keys()
    # below what the insides of the blocks cost nothing can be met
    with pytest.raises(ValueError, match='no network within'):
        prune('ScaleWidths', net, budget=dict(macs=0.2, size=24))


def test_norms_keep_what_the_original_keeps(net):
    """Published, the layer that makes the image is counted as a 17th."""
    convs = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    with torch.no_grad():
        for n, conv in enumerate(convs):
            drawn = np.random.RandomState(660 + n).standard_normal(conv.weight.shape)
            conv.weight.copy_(torch.from_numpy(drawn))
    pruner = PRUNERS.build(dict(type='NormWidths', budget=dict(macs=0.8, size=24)))
    want = load_json('srgan')['norm_prune']['filter_cfgs_72'][:16]
    assert pruner.plan(net, CONFIG).widths(72) == want
    dense = count_macs(net, (1, 3, 24, 24)).macs
    small = pruner.compress(net, CONFIG)
    assert count_macs(small.network, (1, 3, 24, 24)).macs == pytest.approx(0.8 * dense, rel=0.02)
    trunk = channel_map(small.network)['model.3']
    assert trunk == channel_map(net)['model.3'] and len(set(small.summary['widths'])) > 1


def test_widths_of_all_layers_would_cut_a_trunk_that_becomes_pixels(net):
    widths = [8] * len(resnet_chain(net))
    with pytest.raises(TypeError, match='SRResNet turns channels into pixels'):
        build('mmgan_compress.SlimNetwork', arch=CONFIG, widths=widths)


@pytest.mark.parametrize('name, package', [('TorchPruner', 'torch_pruning'), ('NNIPruner', 'nni')])
def test_pruners_of_any_network(net, name, package):
    """Channels that become pixels stay; all others can go."""
    pytest.importorskip(package)
    small = prune(name, net, budget=dict(macs=0.7, size=24, tolerance=0.05))
    x = torch.rand(1, 3, 24, 24)
    assert small.network(x).shape == (1, 3, 96, 96)
    again = build_generator(small.config).eval()
    again.load_state_dict(small.network.state_dict())
    with torch.no_grad():
        assert torch.equal(again(x), small.network.eval()(x))
    widths = channel_map(small.network)
    for name in ('model.3', 'model.6'):  # four channels make one pixel
        assert widths[name][1] == 40
