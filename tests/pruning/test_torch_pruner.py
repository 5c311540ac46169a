"""TorchPruner: the smaller network is the wide one with channels masked."""

import copy
import json
import re

import pytest
import torch
import torch.nn as nn

from golden import build
from mmgan_compress.core.channels import channel_map, slice_channels
from mmgan_compress.core.complexity import count_macs
from mmgan_compress.models.slim import slim_config
from mmgan_compress.models.student_config import build_generator
from mmgan_compress.pruning import torch_pruner
from mmgan_compress.pruning.dependencies import channel_groups
from mmgan_compress.pruning.slicing import difference, masked
from mmgan_compress.pruning.torch_pruner import (
    IMPORTANCES,
    TorchPruner,
    gradients_for,
    group_scores,
)
from mmgan_compress.registry import PRUNERS
from pruning import (
    CONFIGS,
    MOBILE,
    RESNET,
    SCALED,
    SIZE,
    UNET,
    budget,
    check_elsewhere,
    check_small,
    image,
    network,
    seeded,
)

pytestmark = pytest.mark.numerical

tp = pytest.importorskip('torch_pruning')


def pruner(**settings):
    return PRUNERS.build(dict(type='mmgan_compress.TorchPruner', **settings))


class TestEquality:
    """Masked behind norm and activation == cut out."""

    @pytest.mark.parametrize(
        'ratio',
        [pytest.param(0.3, marks=pytest.mark.slow), 0.5, pytest.param(0.8, marks=pytest.mark.slow)],
    )
    @pytest.mark.parametrize('importance', IMPORTANCES)
    @pytest.mark.parametrize('name', CONFIGS)
    def test_matrix(self, name, importance, ratio, monkeypatch):
        net, groups = network(name)
        # neither importance nor ratio change the graph
        monkeypatch.setattr(torch_pruner, 'channel_groups', lambda *_: groups)
        method = pruner(ratio=ratio, importance=importance)
        if importance == 'bn_scale' and name not in SCALED:
            with pytest.raises(ValueError, match='no norms with weights'):
                method.prune(net, image())
            return
        small, kept, summary = method.prune(net, image())
        check_small(net, small, kept)
        assert difference(net, small, image()) > 1e-2
        assert summary['removed'] == round(ratio * summary['removable'])

    @pytest.mark.parametrize('name', ['resnet', 'mobile', 'unet-bn'])
    def test_local(self, name):
        net, groups = network(name)
        small, kept, _ = pruner(ratio=0.5, scope='local').prune(net, image())
        assert difference(masked(net, kept), small, image()) <= 1e-5
        wide = channel_map(net)
        for layer, (_, outputs) in (
            (layer, counts) for layer, counts in channel_map(small).items() if len(counts) == 2
        ):
            assert outputs == (3 if wide[layer][1] == 3 else wide[layer][1] // 2)

    def test_proof_can_fail(self):
        """A reader that lost other channels than its maker is noticed."""
        net, _ = network('resnet')
        _, kept, _ = pruner(ratio=0.5).prune(net, image())
        wrong = copy.deepcopy(kept)
        reader = wrong['model.2.conv'][0]
        free = sorted(set(range(8)) - set(reader))
        reader[:] = sorted([*reader[1:], free[0]])
        assert difference(masked(net, kept), slice_channels(net, wrong), image()) > 1e-3

    def test_mask_is_not_in_front_of_the_norm(self):
        """A removed channel with a shift would otherwise be seen."""
        net, _ = network('unet-bn')
        small, kept, _ = pruner(ratio=0.5).prune(net, image())
        early = copy.deepcopy(net)
        for name, layer in early.named_modules():
            if isinstance(layer, nn.BatchNorm2d):
                mask = torch.zeros(layer.num_features)
                mask[kept[name][0]] = 1
                mask = mask.view(-1, 1, 1)
                layer.register_forward_pre_hook(lambda _, x, mask=mask: x[0] * mask)
        assert difference(early, small, image()) > 1e-3

    @pytest.mark.parametrize(
        'config',
        [dict(RESNET, base_channels=5), dict(MOBILE, base_channels=7), dict(UNET, base_channels=3)],
    )
    def test_odd_channels(self, config):
        net = seeded(build(**config))
        small, kept, _ = pruner(ratio=0.5).prune(net, image())
        assert any(n % 2 for n in sum(channel_map(small).values(), []))
        assert difference(masked(net, kept), small, image()) <= 1e-5

    def test_ratio_that_would_empty_layers(self):
        net, _ = network('mobile')
        small, kept, _ = pruner(ratio=0.99).prune(net, image())
        counts = channel_map(small)
        assert {layer: n for layer, n in counts.items() if max(n) > 1} == {
            'model.1': [3, 1],
            'model.19': [1, 3],
        }
        assert difference(masked(net, kept), small, image()) <= 1e-5
        small, _, _ = pruner(ratio=0.99, floor=3).prune(net, image())
        assert min(map(min, channel_map(small).values())) == 3


class TestScores:
    """The scores are Torch-Pruning's where it counts all weights."""

    @pytest.mark.parametrize(
        'importance, theirs, norm',
        [
            ('magnitude', tp.importance.MagnitudeImportance(p=1, group_reduction='first'), True),
            ('group_norm', tp.importance.GroupMagnitudeImportance(p=2), True),
            ('bn_scale', tp.importance.BNScaleImportance(), True),
            ('hessian', tp.importance.GroupHessianImportance(), True),
            ('taylor', tp.importance.GroupTaylorImportance(), False),
        ],
    )
    def test_torch_pruning(self, importance, theirs, norm):
        def norm_of(width):
            return nn.BatchNorm2d(width) if norm else nn.Identity()

        net = seeded(
            nn.Sequential(
                nn.Conv2d(3, 8, 3),
                norm_of(8),
                nn.ReLU(),
                nn.ConvTranspose2d(8, 6, 3),
                norm_of(6),
                nn.ReLU(),
                nn.Conv2d(6, 3, 3),
            )
        )
        groups = channel_groups(net, image(16))
        gradients = gradients_for(importance, net)
        graph = tp.DependencyGraph().build_dependency(net, [image(16)])
        ours = [group_scores(net, group, importance, gradients) for group in groups]
        if importance == 'hessian':  # squared gradients stand in for these
            for parameter in net.parameters():
                parameter.grad.square_()
        expected = [
            theirs(graph.get_pruning_group(net[at], tp.prune_conv_out_channels, list(range(width))))
            for at, width in ((0, 8), (3, 6))
        ]
        for got, want in zip(ours, expected, strict=True):
            torch.testing.assert_close(got, want)

    def test_all_weights_of_a_channel_count(self):
        """Affine instance norms and depthwise convolutions too."""
        net = seeded(
            nn.Sequential(
                nn.Conv2d(3, 6, 3),
                nn.InstanceNorm2d(6, affine=True),
                nn.ReLU(inplace=True),
                nn.Conv2d(6, 6, 3, groups=6),
                nn.Conv2d(6, 3, 1),
            )
        )
        (group,) = channel_groups(net, image(16))
        assert {(m.layer, m.part) for m in group.members} == {
            ('0', 'makes'),
            ('1', 'norm'),
            ('3', 'depthwise'),
            ('4', 'reads'),
        }
        worth = [
            net[0].weight.square().sum((1, 2, 3)),
            net[1].weight.square(),
            net[3].weight.square().sum((1, 2, 3)),
            net[4].weight.square().sum((0, 2, 3)),
        ]
        want = sum(worth) / sum(worth).mean()
        torch.testing.assert_close(group_scores(net, group, 'group_norm', {}), want.detach())

    def test_gradients_are_asked_for(self):
        net = copy.deepcopy(network('resnet')[0])
        net.zero_grad()
        with pytest.raises(ValueError, match='needs gradients and the network has none'):
            pruner(ratio=0.5, importance='taylor').prune(net, image())


class TestBudget:
    @pytest.mark.parametrize('name', CONFIGS)
    def test_met(self, name, monkeypatch):
        net, groups = network(name)
        monkeypatch.setattr(torch_pruner, 'channel_groups', lambda *_: groups)
        small, _, summary = pruner(budget=budget(0.25)).prune(net, image())
        assert summary['cost'] == pytest.approx(0.25 * summary['dense'], rel=0.02)
        assert count_macs(small, (1, 3, SIZE, SIZE)).macs == summary['cost']

    @pytest.mark.parametrize('kind', ['macs_paper', 'params'])
    def test_kinds(self, kind):
        net, _ = network('unet-bn')
        _, _, summary = pruner(budget=budget(0.3, kind)).prune(net, image())
        assert summary['kind'] == kind
        assert summary['cost'] == pytest.approx(0.3 * summary['dense'], rel=0.02)

    def test_out_of_reach(self):
        net, _ = network('resnet')
        with pytest.raises(ValueError, match='the nearest reachable') as got:
            pruner(budget=budget(0.01)).prune(net, image())
        nearest = float(re.search(r'reachable is macs=(\S+)', str(got.value))[1])
        _, _, summary = pruner(budget=budget(nearest)).prune(net, image())
        assert summary['cost'] == pytest.approx(nearest, rel=1e-4)

    @pytest.mark.parametrize(
        'settings, message',
        [
            (dict(), 'give one of the two'),
            (dict(ratio=0.5, budget=dict(macs=0.5)), 'give one of the two'),
            (dict(ratio=1.0), 'at least 0 and below 1'),
            (dict(ratio=0.5, floor=0), 'expected 1 or more'),
            (dict(ratio=0.5, scope='all'), 'expected one of global, local'),
            (dict(ratio=0.5, importance='l0'), 'expected one of magnitude'),
        ],
    )
    def test_settings(self, settings, message):
        with pytest.raises(ValueError, match=message):
            TorchPruner(**settings)


class TestArtefact:
    @pytest.mark.parametrize('name', CONFIGS)
    def test_config_rebuilds_it(self, name):
        net, _ = network(name)
        small, config, summary = pruner(ratio=0.5).compress(net, CONFIGS[name])
        assert config['channels'] == summary['channels']
        rebuilt = build_generator(json.loads(json.dumps(config)))
        rebuilt.load_state_dict(small.state_dict(), strict=True)
        assert difference(rebuilt, small, image()) == 0

    def test_twice(self):
        net, _ = network('mobile')
        once = pruner(ratio=0.3).compress(net, MOBILE)
        small, kept, _ = pruner(ratio=0.5, importance='group_norm').prune(once.network, image())
        assert difference(once.network, small, image()) > 1e-2
        assert difference(masked(once.network, kept), small, image()) <= 1e-5
        config = slim_config(small, once.config)
        assert config['arch'] == once.config['arch']
        rebuilt = build_generator(config)
        rebuilt.load_state_dict(small.state_dict(), strict=True)
        assert difference(rebuilt, small, image()) == 0

    def test_elsewhere_and_in_onnx(self, tmp_path):
        """A process without Torch-Pruning, and ONNX Runtime, agree."""
        check_elsewhere(tmp_path, 'TorchPruner', ['torch_pruning'])
