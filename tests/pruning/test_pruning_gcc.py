"""GCC's widths: the search for a budget."""

import json

import pytest
import torch
import torch.nn as nn

from golden import build
from mmgan_compress.core.channels import channel_map
from mmgan_compress.core.complexity import count_macs, count_params
from mmgan_compress.models.student_config import build_generator
from mmgan_compress.models.topology import resnet_chain, unet_convs
from mmgan_compress.pruning.budget import Budget, nearest
from mmgan_compress.pruning.gcc import (
    narrow,
    narrow_unet,
    norm_scales,
    scale_interval,
    surviving_levels,
    unet_filters,
)
from mmgan_compress.registry import MODELS, PRUNERS

pytestmark = pytest.mark.numerical

MOBILE = 'mmgan_compress.SeparableResnetGenerator'
RGB = dict(in_channels=3, out_channels=3)
UNET = dict(RGB, type='UnetGenerator', base_channels=4)
WIDE = dict(UNET, base_channels=12, num_down=5)
RESNETS = {
    'mobile': dict(type=MOBILE, base_channels=12, num_blocks=3),
    'plain': dict(RGB, type='ResnetGenerator', base_channels=6, num_blocks=2),
    'dropout': dict(
        RGB,
        type='ResnetGenerator',
        base_channels=6,
        num_blocks=2,
        use_dropout=True,
        norm_cfg=dict(type='BN'),
    ),
    'deep': dict(type='mmgan_compress.DeepSeparableResnetGenerator', base_channels=2, num_blocks=4),
}


def trained(config, seed=0):
    """Return a network whose layers and channels differ in importance."""
    torch.manual_seed(seed)
    net = build(**config)
    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            shape = (1, -1, 1, 1) if layer.transposed else (-1, 1, 1, 1)
            layer.weight.data *= torch.rand(layer.out_channels).view(shape)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.weight.data = torch.rand(layer.num_features)
    return net


def pruner(name, **kwargs):
    return PRUNERS.build(dict(type=f'mmgan_compress.{name}', **kwargs))


class TestNarrow:
    @pytest.mark.parametrize('kind', RESNETS)
    def test_resnets_run(self, kind):
        config = RESNETS[kind]
        chain = list(resnet_chain(build(**config)).values())
        widths = [1 + first % 5 for first in chain]  # odd, even and one
        net, arch = narrow(config, widths)
        assert arch == config
        x = torch.zeros(1, 3, 32, 32, device='meta')
        assert net.train()(x).shape == x.shape
        again = dict(zip(resnet_chain(net), widths))
        for name, counts in channel_map(net).items():
            assert again.get(name, counts[-1]) == counts[-1]

    @pytest.mark.parametrize(
        'filters, levels',
        [
            ([4, 2, 3, 5, 9, 8, 6, 32, 5, 15, 5, 7, 2, 2, 1], 8),
            ([4, 2, 3, 5, 9, 8, 0, 0, 0, 0, 5, 7, 2, 2, 1], 6),
            # a way up is gone while deeper levels survive
            ([4, 2, 3, 5, 9, 8, 6, 32, 5, 0, 5, 7, 2, 2, 1], 7),
            ([4, 2, 3, 5, 9, 8, 6, 32, 5, 15, 0, 7, 2, 2, 1], 7),
            ([4, 2, 0, 5, 9, 8, 6, 32, 5, 15, 5, 7, 2, 0, 1], 7),
        ],
    )
    def test_unets_run(self, filters, levels):
        net, arch = narrow_unet(dict(UNET, use_dropout=True), filters)
        assert arch['num_down'] == levels
        assert len(unet_convs(net)) == 2 * levels
        x = torch.zeros(2, 3, 2**levels, 2**levels, device='meta')
        assert net.train()(x).shape == x.shape
        kept = [n for n in filters if n]
        outs = [channel_map(net)[conv][1] for conv, _ in unet_convs(net)]
        if levels != 7:
            assert outs == [*kept, 3]
        norms = [norm for _, norm in unet_convs(net)]
        assert [at for at, norm in enumerate(norms) if norm is None] == [
            0,
            levels - 1,
            2 * levels - 1,
        ]


class TestBudget:
    def test_kinds(self):
        net = build(**RESNETS['mobile'])
        macs = count_macs(net, (1, 3, 64, 64))
        assert Budget.of(dict(macs=0.5, size=64)).measure(net) == macs.macs
        assert Budget.of(dict(macs_paper=0.5, size=64)).measure(net) == macs.macs_paper
        assert Budget.of(dict(params=0.5)).measure(net) == count_params(net)

    def test_share_and_absolute(self):
        assert Budget('macs', 0.25).target(1000) == 250
        assert Budget('macs', 1).target(1000) == 1000
        assert Budget('macs', 2.4e9).target(1000) == 2.4e9

    @pytest.mark.parametrize(
        'spec, message',
        [
            (dict(flops=1), "no budget 'flops': expected one of macs, macs_pap"),
            (dict(size=64), r'a budget names one of .* got \[\]'),
            (dict(macs=1, params=1), r"got \['macs', 'params'\]"),
            (dict(macs=0), 'the budget macs is 0.0, expected above 0'),
        ],
    )
    def test_refused(self, spec, message):
        with pytest.raises(ValueError, match=message):
            Budget.of(spec)

    def test_size_that_does_not_fit(self):
        with pytest.raises(ValueError, match='does not run at 100 pixels'):
            Budget('macs', 0.5, size=100).measure(build(**UNET))

    def test_nearest_is_exact_where_the_cost_jumps(self):
        costs = [100, 90, 40, 70, 60, 30, 50, 20]
        segments = [[0, 1, 2], [3, 4, 5], [6, 7]]
        for target in range(10, 110, 3):
            found = nearest(segments, costs.__getitem__, target)
            assert abs(costs[found] - target) == min(abs(cost - target) for cost in costs)

    def test_few_are_tried(self):
        tried = []
        nearest([range(10000)], lambda t: tried.append(t) or 10000 - t, 1234)
        assert len(tried) == len(set(tried)) < 20


class TestPruners:
    @pytest.mark.parametrize(
        'config, name, budget',
        [
            (RESNETS['mobile'], 'NormWidths', dict(macs=0.5, size=64)),
            (RESNETS['plain'], 'NormWidths', dict(macs_paper=0.3, size=64)),
            (RESNETS['deep'], 'NormWidths', dict(params=0.4)),
            (WIDE, 'ScaleWidths', dict(macs_paper=0.5, size=32)),
            (WIDE, 'ScaleWidths', dict(params=40000)),
        ],
    )
    def test_budget_is_met(self, config, name, budget):
        net = trained(config)
        state = {k: v.clone() for k, v in net.state_dict().items()}
        small, result, summary = pruner(name, budget=budget).compress(net, config)
        limit = Budget.of(budget)
        assert summary['target'] == limit.target(limit.measure(net))
        assert summary['cost'] == limit.measure(small)
        assert summary['cost'] == pytest.approx(summary['target'], rel=0.02)
        assert [summary['threshold'], summary['cost']] in summary['history']
        for key, value in net.state_dict().items():
            assert torch.equal(value, state[key])
        assert json.loads(json.dumps([result, summary])) == [result, summary]
        assert result['type'] == 'mmgan_compress.SlimNetwork'
        assert channel_map(MODELS.build(result)) == channel_map(small)
        x = torch.rand(2, 3, 32, 32)
        assert small.train()(x).shape == x.shape

    def test_weights_are_fresh(self):
        """N(0, 0.02) as the architecture's own, not the trained ones."""
        config = RESNETS['plain']
        small = (
            pruner('NormWidths', budget=dict(macs=0.5)).compress(trained(config), config).network
        )
        weights = torch.cat(
            [m.weight.flatten() for m in small.modules() if isinstance(m, nn.Conv2d)]
        )
        assert weights.std().item() == pytest.approx(0.02, rel=0.05)

    def test_nearest_of_all_thresholds(self):
        """Against all networks there are, levels that die included."""
        config = dict(UNET, base_channels=1, num_down=7)
        net = trained(config, seed=3)
        scales = norm_scales(net)
        for at, factor in enumerate([2] * 4 + [1, 0.6, 0.2] + [2] * 4):
            # level 5 loses its way up first; the outer levels are strong
            scales[at].fill_(2) if factor == 2 else scales[at].mul_(factor)
        low, high = scale_interval(scales)
        values = torch.cat(scales).unique()
        costs, levels = {}, set()
        for value in [-1.0, *values[values < high].tolist()]:
            filters = unet_filters(scales, value, 1, 8)
            levels.add(len(surviving_levels(filters)))
            costs[value] = Budget('macs', 1, size=128).measure(narrow_unet(config, filters)[0])
        assert levels == {5, 6, 7}
        assert sorted(costs.values(), reverse=True) != list(costs.values())
        dense = costs[-1.0]
        least = min(costs.values()) / dense
        for share in (least + 0.2 * (1 - least), least + 0.7 * (1 - least)):
            cost = (
                pruner('ScaleWidths', budget=dict(macs=share, tolerance=9, size=128))
                .compress(net, config)
                .summary['cost']
            )
            best = min(abs(c - share * dense) for c in costs.values())
            assert abs(cost - share * dense) == best

    @pytest.mark.parametrize(
        'config, name', [(RESNETS['mobile'], 'NormWidths'), (WIDE, 'ScaleWidths')]
    )
    def test_unreachable_budget(self, config, name):
        net = trained(config)
        with pytest.raises(
            ValueError, match='no network within 2.0% of macs=.* at 256 pixels: the nearest rea'
        ) as error:
            pruner(name, budget=dict(macs=1e-4)).compress(net, config)
        nearest_cost = float(str(error.value).split('macs=')[2].split()[0])
        found = pruner(name, budget=dict(macs=nearest_cost)).compress(net, config)
        assert found.summary['cost'] == pytest.approx(nearest_cost, rel=1e-4)

    def test_floor_and_rule(self):
        config = RESNETS['mobile']
        net = trained(config)
        budget = dict(params=1.01e3, tolerance=9)
        for floor, least in ((1, 1), (5, 5)):
            widths = (
                pruner('NormWidths', budget=budget, floor=floor)
                .compress(net, config)
                .summary['widths']
            )
            assert min(widths) == least
        union = (
            pruner('NormWidths', budget=dict(params=0.5, tolerance=9), rule='union')
            .compress(net, config)
            .summary['widths']
        )
        mean = (
            pruner('NormWidths', budget=dict(params=0.5, tolerance=9))
            .compress(net, config)
            .summary['widths']
        )
        assert union != mean
        with pytest.raises(ValueError, match="'min', expected one of mean, u"):
            pruner('NormWidths', budget=budget, rule='min')
        with pytest.raises(ValueError, match='floor is 0'):
            pruner('NormWidths', budget=budget, floor=0)

    def test_the_network_decides(self):
        budget = dict(params=0.5)
        for config, name in ((RESNETS['mobile'], 'NormWidths'), (WIDE, 'ScaleWidths')):
            net, method = trained(config), pruner('GCCWidths', budget=budget)
            assert (
                method.compress(net, config).config
                == pruner(name, budget=budget).compress(net, config).config
            )
        with pytest.raises(ValueError, match='no scales'):
            pruner('ScaleWidths', budget=budget).compress(
                trained(RESNETS['mobile']), RESNETS['mobile']
            )

    @pytest.mark.parametrize('config', [RESNETS['mobile'], WIDE])
    def test_twice(self, config):
        """The second result is described by the first architecture."""
        method = pruner('GCCWidths', budget=dict(params=0.6))
        first = method.compress(trained(config), config)
        small = first.network
        for layer in small.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.data.uniform_()
        second = method.compress(small, first.config)
        assert second.summary['dense'] == first.summary['cost']
        assert second.config['arch']['type'] == config['type']
        net = build_generator(second.config)
        assert channel_map(net) == channel_map(second.network)
