"""Budgets of measured time: search, proof, refusal."""

import numpy as np
import pytest
import torch

from mmgan_compress.core.timing import Timing
from mmgan_compress.pruning import latency
from mmgan_compress.pruning.base import Compressed
from mmgan_compress.pruning.budget import Budget
from mmgan_compress.pruning.latency import LatencyBudget, meet_latency
from mmgan_compress.pruning.workflow import read_budgets
from students import make_student, refused_by_tool


class Fake:
    """A runtime whose times follow from a network's share of MACs, noisy.

    A network is its share. Of the time 20 % are there without any MACs.
    """

    def __init__(self, monkeypatch, noise=0.01, least=0.0, outlier=None):
        self.noise, self.least, self.outlier = noise, least, outlier
        self.asked, self.rng = [], np.random.default_rng(0)
        self.timed = 0
        monkeypatch.setattr(latency, 'input_shape', lambda share, side: (1, 3, side, side))
        monkeypatch.setattr(latency, 'convert_for_timing', self.convert)
        monkeypatch.setattr(latency, 'side_by_side', self.time)

    def convert(self, share, size, runtime, threads):
        class Model:
            version = '1.0'

        Model.runtime, Model.share = runtime, share
        self.models = [*getattr(self, 'models', []), Model]
        return Model

    def time(self, runs, warmup=3, repeats=9, seconds=None):
        shares = dict(dense=1.0, small=self.models[-1].share)
        self.timed += 1
        noise = self.noise * self.rng.standard_normal()
        if self.timed == self.outlier:
            noise = 0.5
        return {
            name: Timing(
                0.010 * (0.2 + 0.8 * shares[name]) * (1 + (noise if name == 'small' else 0)),
                0.02,
                repeats,
            )
            for name in runs
        }

    def prune(self, budget):
        assert set(budget) == {'macs', 'size', 'tolerance'}
        self.asked.append(budget['macs'])
        if budget['macs'] < self.least:
            raise ValueError('the nearest reachable is macs=9')
        return Compressed(budget['macs'], {}, dict(kind='macs'))


def budget(value, **rest):
    return LatencyBudget('onnxruntime', value, 64, **rest)


@pytest.mark.parametrize('value, share', [(0.5, 0.375), ('0.25', 0.0625), ('7ms', 0.625)])
@pytest.mark.parametrize('outlier', [None, 2])
def test_search(value, share, outlier, monkeypatch):
    """A measurement that is far off does not mislead it for good."""
    fake = Fake(monkeypatch, noise=0.002, outlier=outlier)
    found = meet_latency(fake.prune, 1.0, budget(value))
    assert found.network == pytest.approx(share, abs=0.02)
    facts = found.summary['latency']
    assert found.summary['kind'] == 'macs'
    assert facts['runtime'] == 'onnxruntime' and facts['version'] == '1.0'
    assert facts['dense_ms'] == 10.0 and facts['budget'] == str(value)
    assert facts['cost_ms'] == pytest.approx(2 + 8 * share, rel=0.02)
    assert len(facts['history']) <= latency.TRIALS
    assert facts['history'][-1][0] == found.network


def test_a_lucky_measurement_does_not_count(monkeypatch):
    """What meets the budget is timed again, longer."""
    fake = Fake(monkeypatch, noise=0.0)
    luck = iter([0.0, 0.5, 0.0])
    real = fake.time

    def time(runs, warmup=3, repeats=9, seconds=None):
        fake.noise = 0.0
        times = real(runs, warmup, repeats)
        if 'small' in runs and next(luck, 0.0):
            times['small'] = times['dense']._replace(median=0.5 * times['dense'].median)
        return times

    monkeypatch.setattr(latency, 'side_by_side', time)
    found = meet_latency(fake.prune, 1.0, budget(0.5))
    assert fake.asked[0] == 0.5 and found.network == pytest.approx(0.375, abs=0.02)


def test_out_of_reach(monkeypatch):
    fake = Fake(monkeypatch, noise=0.0, least=0.3)
    with pytest.raises(
        ValueError,
        match='nearest reachable of 1 measured '
        r'has 4.400 ms \(0.4400 of the dense network\), with '
        '0.3000 of the MACs',
    ):
        meet_latency(fake.prune, 1.0, budget(0.3))
    with pytest.raises(ValueError, match='takes 10.000 ms, which is less'):
        meet_latency(fake.prune, 1.0, budget('12ms'))
    fake.least = 2.0
    with pytest.raises(ValueError, match='latency@onnxruntime=0.3: the nea'):
        meet_latency(fake.prune, 1.0, budget(0.3))


@pytest.mark.parametrize('value', ['0', '-1ms', 'fast', '1.5', '8s'])
def test_values(value):
    with pytest.raises(ValueError, match='milliseconds, such as 8ms'):
        budget(value)


def test_how_it_is_written():
    read = read_budgets(['zebra.latency@openvino=8ms'], ['zebra'], size=64, threads=2)
    assert read == dict(zebra={'latency@openvino': '8ms', 'size': 64, 'threads': 2})
    of = LatencyBudget.of(read['zebra'])
    assert (of.runtime, of.number, of.absolute, of.threads) == ('openvino', 8.0, True, 2)
    assert read_budgets(['macs=1'], ['zebra'], threads=2) == dict(zebra=dict(macs=1.0))
    with pytest.raises(ValueError, match='which no pruner can search'):
        Budget.of({'latency@openvino': '8ms'})


@pytest.mark.parametrize(
    'runtime', ['onnxruntime', pytest.param('openvino', marks=pytest.mark.slow)]
)
def test_real_runtimes(runtime, monkeypatch):
    """The time of a small network is a part of the wide one's."""
    pytest.importorskip(runtime)
    monkeypatch.setattr(latency, 'LOOK', 0.1)
    monkeypatch.setattr(latency, 'PROOF', 0.2)

    wide = 96  # of runtimes that compute 16 channels at once

    def prune(asked):
        width = max(1, round(wide * asked['macs']))
        return Compressed(network(width), {}, {})

    def network(width):
        return torch.nn.Sequential(
            torch.nn.Conv2d(3, width, 9, padding=4),
            torch.nn.ReLU(),
            torch.nn.Conv2d(width, 3, 9, padding=4),
        ).eval()

    found = meet_latency(
        prune, network(wide), LatencyBudget(runtime, 0.5, 64, tolerance=0.9, threads=1)
    )  # busy machines
    facts = found.summary['latency']
    assert facts['runtime'] == runtime and facts['threads'] == 1
    assert facts['cost_ms'] < facts['dense_ms']
    assert found.network[0].out_channels < wide


def test_unknown_runtime(tmp_path, monkeypatch):
    make_student(tmp_path / 'wide.pth', 'separable')
    message = refused_by_tool(
        'compress',
        tmp_path / 'wide.pth',
        '--pruner',
        'NormWidths',
        '--budget',
        'latency@tensorrt=0.5',
        '--out',
        tmp_path / 'out',
        monkeypatch=monkeypatch,
    )
    assert "runtime is 'tensorrt': expected eager, onnxruntime" in message
    assert not (tmp_path / 'out').exists()
