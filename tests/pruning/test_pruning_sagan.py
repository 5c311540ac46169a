"""SAGAN's generator made narrower: GCC's rule, and what other pruners do."""

import numpy as np
import pytest
import torch

from golden import build, load_json
from mmgan_compress import Student, cli
from mmgan_compress.core.channels import channel_map
from mmgan_compress.core.complexity import count_macs
from mmgan_compress.models.student_config import build_generator
from mmgan_compress.pruning.gcc import count_above
from mmgan_compress.registry import PRUNERS
from sagan_golden import GENERATOR

CONFIG = dict(type=GENERATOR, base_channels=16)
GOLDEN = load_json('sagan')['scale_prune']


def pruner(name='ScaleWidths', **budget):
    return PRUNERS.build(dict(type=name, budget=budget))


@pytest.fixture
def net():
    """Norms with the weights of the fixture."""
    net = build(**CONFIG)
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            width = len(norm.weight)
            drawn = np.random.RandomState(530 + width).uniform(-0.2, 1.2, width)
            norm.weight.copy_(torch.from_numpy(drawn))
    return net.eval()


@pytest.mark.parametrize('threshold', ['0.2', '0.5', '0.8'])
def test_thresholds_keep_what_the_original_keeps(net, threshold):
    """But in steps of 8 channels where attention follows."""
    plan, want = pruner(macs=0.9).plan(net, CONFIG), GOLDEN['filter_cfgs'][threshold]
    assert count_above(plan.scores, float(threshold)) == want
    assert plan.interval == pytest.approx(GOLDEN['interval'])
    first, second, *attended = plan.widths(float(threshold))
    assert [first, second] == want[:2]
    assert all(
        got % 8 == 0 and got <= max(8, count) < got + 8 for got, count in zip(attended, want[2:])
    )


def test_budget(net):
    dense = count_macs(net, (1, 128)).macs
    small = pruner(macs=0.6, tolerance=0.07).compress(net, CONFIG)
    assert count_macs(small.network, (1, 128)).macs == pytest.approx(0.6 * dense, rel=0.07)
    assert small.config['widths'] == small.summary['widths']
    again = build_generator(small.config)
    assert again(torch.zeros(2, 128)).shape == (2, 3, 64, 64)
    assert again.state_dict().keys() == small.network.state_dict().keys()
    narrower = pruner(macs=0.9, tolerance=0.1).compress(small.network, small.config)
    assert sum(narrower.config['widths']) < sum(small.config['widths'])


def test_rules_for_other_networks(net):
    with pytest.raises(TypeError, match='SelfAttentionGenerator has no row of residual blocks'):
        pruner('NormWidths', macs=0.8).compress(net, CONFIG)


@pytest.mark.parametrize('name, package', [('TorchPruner', 'torch_pruning'), ('NNIPruner', 'nni')])
def test_pruners_of_any_network(net, name, package):
    """Channels that attention mixes stay; spectral norms are in the weights."""
    pytest.importorskip(package)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    small = pruner(name, macs=0.9, tolerance=0.05).compress(net, CONFIG)
    assert all(torch.equal(net.state_dict()[key], value) for key, value in before.items())
    again = build_generator(small.config).eval()
    again.load_state_dict(small.network.state_dict())
    noise = torch.randn(2, 128)
    with torch.no_grad():
        assert torch.equal(again(noise), small.network.eval()(noise))
    widths = channel_map(small.network)
    assert widths['model.0.0'][1] < 128 and widths['model.1.0'][1] < 64
    assert widths['model.2.0'][1] == 32 and widths['model.4.0'][1] == 16
    with pytest.raises(TypeError, match='without_spectral_norm'):
        PRUNERS.build(dict(type=name, ratio=0.1)).prune(net, noise[:1])


def test_command(net, tmp_path, capsys):
    """It writes the student; another command trains it."""
    source = tmp_path / 'student.pth'
    Student(dict(face=net), dict(face=CONFIG), ['noise', 'face'], 'face', 64, 'test').save(source)
    words = ['prune', str(source), '--pruner', 'ScaleWidths', '--budget', 'macs=0.56']
    assert cli.main([*words, '--tolerance', '0.1', '--out', str(tmp_path / 'out')]) == 0
    assert 'gcc_sagan-pipeline.py prunes a generator and trains it' in capsys.readouterr().err
    small = Student.load(tmp_path / 'out/student.pth')
    assert sum(small.configs['face']['widths']) < 240
    assert not (tmp_path / 'out/finetune.py').exists()
