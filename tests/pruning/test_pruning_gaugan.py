"""GauGAN's generator made narrower; pruners of ResNets refuse it."""

import pytest
import torch

import gaugan_golden as gaugan
from golden import build
from mmgan_compress.core.complexity import count_macs
from mmgan_compress.models.student_config import build_generator
from mmgan_compress.registry import PRUNERS

CONFIG = dict(type=gaugan.GENERATOR, labels=dict(classes=5), base_channels=4, separable=True)


def prune(name, config=CONFIG, **settings):
    torch.manual_seed(0)
    net = build(**config).eval()
    return net, PRUNERS.build(dict(type=name, **settings)).compress(net, config)


@pytest.mark.slow
@pytest.mark.parametrize('name, package', [('TorchPruner', 'torch_pruning'), ('NNIPruner', 'nni')])
@pytest.mark.parametrize('separable', [True, False])
def test_pruners_of_any_network(name, package, separable):
    pytest.importorskip(package)
    config = dict(CONFIG, separable=separable)
    net, small = prune(name, config, budget=dict(macs=0.6, size=64, tolerance=0.05))
    shape = 1, 2, 64, 64
    assert count_macs(small.network, shape).macs <= 0.63 * count_macs(net, shape).macs
    x = torch.rand(shape)
    again = build_generator(small.config).eval()
    again.load_state_dict(small.network.state_dict())
    with torch.no_grad():
        assert torch.equal(again(x), small.network.eval()(x))


@pytest.mark.parametrize('name', ['ScaleWidths', 'NormWidths'])
def test_pruners_of_resnets_refuse(name):
    with pytest.raises(TypeError, match='SPADEGenerator has no row of residual blocks'):
        prune(name, budget=dict(macs=0.8, size=64))
