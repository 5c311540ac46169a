"""NNIPruner: the smaller network is the one that NNI's masks make."""

import copy
import logging
import re
import sys

import pytest
import torch
import torch.nn as nn

from golden import build
from mmgan_compress.core.channels import channel_map
from mmgan_compress.core.complexity import count_macs
from mmgan_compress.integrations.nni import ALGORITHMS, ONE_SHOT, NNIPruner, NNIRun
from mmgan_compress.pruning import torch_pruner
from mmgan_compress.pruning.slicing import difference
from mmgan_compress.registry import PRUNERS
from pruning import (
    CONFIGS,
    MOBILE,
    RESNET,
    SCALED,
    SIZE,
    UNET,
    budget,
    check_small,
    image,
    network,
    seeded,
)

nni = pytest.importorskip('nni')
pytest.importorskip('torch_pruning')

TRAINED = [name for name in ALGORITHMS if name not in ONE_SHOT]


def pruner(**settings):
    return PRUNERS.build(dict(type='mmgan_compress.NNIPruner', **settings))


@pytest.fixture
def graph(monkeypatch):
    """Return networks; neither algorithm nor ratio change their groups."""

    def get(name):
        net, groups = network(name)
        monkeypatch.setattr(torch_pruner, 'channel_groups', lambda *_: groups)
        return net

    return get


@pytest.fixture
def loop(monkeypatch):
    """Train by an evaluator of NNI's own, without a Runner.

    Returns the list that the networks it trains are put into.
    """
    from nni.compression import TorchEvaluator

    trained = []

    def step(net, optimizers, training_step, _, max_steps, __):
        for _ in range(max_steps):
            optimizers.zero_grad()
            training_step(image(), net).backward()
            optimizers.step()

    def make(_, module, config):
        net = copy.deepcopy(module).train().requires_grad_()
        for layer in net.modules():  # the wrapper trains what it multiplies
            if hasattr(layer, 'inplace'):
                layer.inplace = False
        adam = nni.trace(torch.optim.Adam)(net.parameters(), lr=1e-3)
        evaluator = TorchEvaluator(step, adam, lambda x, net: (net(x) - x).abs().mean())
        evaluator.network = net
        trained.append(net)
        return evaluator

    monkeypatch.setattr(NNIPruner, '_evaluator', make)
    return trained


class TestEquality:
    @pytest.mark.parametrize(
        'algorithm, ratio',
        [
            *((name, 0.5) for name in ONE_SHOT),
            *(pytest.param('l1', ratio, marks=pytest.mark.slow) for ratio in (0.3, 0.8)),
        ],
    )
    @pytest.mark.parametrize('name', CONFIGS)
    def test_one_shot(self, graph, name, algorithm, ratio):
        net = graph(name)
        small, kept, summary = pruner(algorithm=algorithm, ratio=ratio).prune(net, image())
        check_small(net, small, kept)
        assert difference(net, small, image()) > 1e-2
        assert summary['removed'] == round(ratio * summary['removable'])
        assert summary['algorithm'] == algorithm

    @pytest.mark.parametrize(
        'ratio',
        [pytest.param(0.3, marks=pytest.mark.slow), 0.5, pytest.param(0.8, marks=pytest.mark.slow)],
    )
    @pytest.mark.parametrize('algorithm', TRAINED)
    @pytest.mark.parametrize(
        'name',
        [
            name if name in ('resnet', 'unet-bn') else pytest.param(name, marks=pytest.mark.slow)
            for name in CONFIGS
        ],
    )
    def test_trained(self, graph, loop, name, algorithm, ratio):
        """What NNI's masks made of the trained network is cut out of it."""
        net = graph(name)
        method = pruner(algorithm=algorithm, ratio=ratio, training='any', steps=20)
        if algorithm in ('slim', 'movement') and name not in SCALED:
            with pytest.raises(ValueError, match='nothing to go by'):
                method.prune(net, image())
            assert not loop
            return
        small, kept, summary = method.prune(net, image())
        (wide,) = loop
        assert difference(wide.eval(), small, image()) <= 1e-5
        check_small(wide, small, kept)
        assert difference(net, wide, image()) > 1e-2
        assert summary['removed'] == round(ratio * summary['removable'])
        assert not [n for n, m in wide.named_modules() if '_nni' in n or 'forward' in vars(m)]

    @pytest.mark.parametrize('scope', ['local', 'global'])
    def test_scope(self, graph, scope):
        """Globally NNI compares norms of filters as they are."""
        net = graph('resnet')
        small, kept, _ = pruner(ratio=0.5, scope=scope).prune(net, image())
        check_small(net, small, kept)
        wide, thin = channel_map(net), channel_map(small)
        shares = {
            thin[name][1] / wide[name][1]
            for name in wide
            if len(wide[name]) == 2 and wide[name][1] > 3
        }
        assert shares == {0.5} if scope == 'local' else len(shares) > 2

    @pytest.mark.parametrize(
        'config',
        [dict(RESNET, base_channels=5), dict(MOBILE, base_channels=7), dict(UNET, base_channels=3)],
    )
    def test_odd_channels(self, config):
        net = seeded(build(**config))
        small, kept, _ = pruner(ratio=0.5, algorithm='fpgm').prune(net, image())
        assert any(n % 2 for n in sum(channel_map(small).values(), []))
        check_small(net, small, kept)

    def test_ratio_that_would_empty_layers(self, graph):
        net = graph('unet-bn')
        for floor in (1, 3):
            small, kept, _ = pruner(ratio=0.99, floor=floor).prune(net, image())
            check_small(net, small, kept)
            assert min(map(min, channel_map(small).values())) == floor


class TestNetwork:
    @pytest.mark.parametrize('algorithm', ['slim', 'linear'])
    def test_network_is_nnis(self, graph, loop, monkeypatch, algorithm):
        """Factors and masks are in the weights, the wrappers are gone."""
        outputs = []

        def bake(run, pruner):
            run.network.eval()
            outputs.append(run.network(image()).detach())
            if algorithm == 'slim':
                factor = pruner.scaling_factors['model.model.1.model.0.bn']
                assert (factor['weight'] - 1).abs().max() > 0.01
            real(run, pruner)
            outputs.append(run.network(image()).detach())

        real = NNIRun._bake
        monkeypatch.setattr(NNIRun, '_bake', bake)
        pruner(algorithm=algorithm, ratio=0.5, training='any', steps=20, scope='global').prune(
            graph('unet-bn'), image()
        )
        assert (outputs[0] - outputs[1]).abs().max() <= 1e-6


class TestBudget:
    @pytest.mark.parametrize('name', ['resnet', 'unet-bn', 'mobile-affine'])
    def test_met(self, graph, name):
        small, _, summary = pruner(budget=budget(0.25)).prune(graph(name), image())
        assert summary['cost'] == pytest.approx(0.25 * summary['dense'], rel=0.02)
        assert count_macs(small, (1, 3, SIZE, SIZE)).macs == summary['cost']

    @pytest.mark.parametrize(
        'algorithm',
        [
            name if name == 'slim' else pytest.param(name, marks=pytest.mark.slow)
            for name in TRAINED
        ],
    )
    def test_met_by_training(self, graph, loop, algorithm):
        small, _, summary = pruner(
            algorithm=algorithm, budget=budget(0.4, 'params'), steps=20, training='any'
        ).prune(graph('unet-bn'), image())
        assert summary['cost'] == pytest.approx(0.4 * summary['dense'], rel=0.02)
        assert sum(p.numel() for p in small.parameters()) == summary['cost']

    @pytest.mark.parametrize('settings', [dict(), dict(algorithm='taylor', training='any')])
    def test_out_of_reach(self, graph, loop, settings):
        with pytest.raises(ValueError, match='the nearest reachable') as got:
            pruner(budget=budget(0.01), **settings).prune(graph('resnet'), image())
        assert not loop  # before anything trains
        nearest = float(re.search(r'reachable is macs=(\S+)', str(got.value))[1])
        _, _, summary = pruner(budget=budget(nearest)).prune(graph('resnet'), image())
        assert summary['cost'] == pytest.approx(nearest, rel=1e-4)


class TestSettings:
    @pytest.mark.parametrize(
        'settings, message',
        [
            (dict(), 'give one of the two'),
            (dict(ratio=0.5, algorithm='l0'), 'expected one of l1, l2, fpgm'),
            (dict(ratio=0.5, base='slim'), 'expected one of l1, l2, fpgm'),
            (dict(ratio=0.5, algorithm='agp'), "'agp' trains the generator: "),
            (dict(ratio=0.5, training='x'), 'leave training out'),
            (dict(ratio=0.5, algorithm='taylor', training='x', steps=3), 'expected 20 or more'),
            (
                dict(ratio=0.5, algorithm='movement', training='x', scope='global'),
                "give scope='local'",
            ),
        ],
    )
    def test_refused(self, settings, message):
        with pytest.raises(ValueError, match=message):
            NNIPruner(**settings)

    def test_schedule_longer_than_the_training(self, graph, loop):
        with pytest.raises(ValueError, match='takes 50 steps and steps is 2'):
            pruner(
                ratio=0.5, algorithm='agp', training='any', steps=20, arguments=dict(total_times=50)
            ).prune(graph('resnet'), image())

    def test_config_is_asked_for(self, graph):
        with pytest.raises(ValueError, match='call compress'):
            pruner(ratio=0.5, algorithm='taylor', training='any').prune(graph('resnet'), image())

    def test_quantized_is_refused(self):
        net = nn.Sequential(
            torch.ao.quantization.QuantStub(), nn.Conv2d(3, 8, 3), nn.Conv2d(8, 3, 3)
        )
        with pytest.raises(TypeError, match="'0' of Sequential is a QuantSt"):
            pruner(ratio=0.5).prune(net, image(16))

    def test_nni_is_asked_for(self, graph, monkeypatch):
        net = graph('resnet')
        for name in [n for n in sys.modules if n.split('.')[0] == 'nni']:
            monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ImportError, match=r'mmgan_compress\[nni\]'):
            pruner(ratio=0.5).prune(net, image())

    def test_input_is_left_alone(self, graph, capfd):
        net = copy.deepcopy(graph('unet-bn')).train()
        net.requires_grad_(False)
        before, state = copy.deepcopy(net), torch.get_rng_state()
        level = logging.getLogger('nni').level
        small, _, _ = pruner(ratio=0.5).prune(net, image())
        assert torch.equal(torch.get_rng_state(), state)
        assert str(net) == str(before) and net.training and small.training
        for key, value in before.state_dict().items():
            assert torch.equal(net.state_dict()[key], value)
        assert not any(p.requires_grad for p in small.parameters())
        assert logging.getLogger('nni').level == level
        assert capfd.readouterr().out == ''
