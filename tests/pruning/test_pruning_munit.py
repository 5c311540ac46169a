"""MUNIT's generator made narrower where no style decides; pruners of ResNets refuse it."""

import pytest
import torch

from golden import build
from mmgan_compress.core.channels import channel_map
from mmgan_compress.core.complexity import count_macs
from mmgan_compress.models.student_config import build_generator
from mmgan_compress.registry import PRUNERS
from munit_golden import GENERATOR

CONFIG = dict(type=GENERATOR, base_channels=4, mlp_channels=16, separable=True)


def prune(name, config=CONFIG, **settings):
    torch.manual_seed(0)
    net = build(**config).eval()
    return net, PRUNERS.build(dict(type=name, **settings)).compress(net, config)


@pytest.mark.slow
@pytest.mark.parametrize('name, package', [('TorchPruner', 'torch_pruning'), ('NNIPruner', 'nni')])
@pytest.mark.parametrize('separable', [True, False])
def test_pruners_of_any_network(name, package, separable):
    """Content encoder and MLP lose channels, those that a style shifts stay."""
    pytest.importorskip(package)
    config = dict(CONFIG, separable=separable)
    net, small = prune(name, config, budget=dict(macs=0.8, size=64, tolerance=0.05))
    shape = 1, 11, 64, 64
    assert count_macs(small.network, shape).macs <= 0.85 * count_macs(net, shape).macs
    wide, narrow = channel_map(net), channel_map(small.network)
    assert {part.split('.')[0] for part in wide if wide[part] != narrow[part]} <= {
        'enc_content',
        'mlp',
    }
    x = torch.rand(shape)
    again = build_generator(small.config).eval()
    again.load_state_dict(small.network.state_dict())
    with torch.no_grad():
        assert torch.equal(again(x), small.network.eval()(x))


@pytest.mark.parametrize('name', ['ScaleWidths', 'NormWidths'])
def test_pruners_of_resnets_refuse(name):
    with pytest.raises(TypeError, match='MUNITGenerator has no row of residual blocks'):
        prune(name, budget=dict(macs=0.8, size=64))
