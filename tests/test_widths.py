"""GCC's widths: the published lists, and the search for a budget."""
import json

import pytest
import torch
import torch.nn as nn
from golden import build, load_json, load_npz

from mmgan_compress.compressors.budget import Budget, nearest
from mmgan_compress.compressors.gcc_rules import (HORSE_TO_ZEBRA,
                                                  ZEBRA_TO_HORSE,
                                                  count_above, filter_norms,
                                                  norm_scales,
                                                  scale_interval,
                                                  separable_channels,
                                                  share_norms,
                                                  surviving_levels,
                                                  unet_filters)
from mmgan_compress.compressors.widths import narrow_resnet, narrow_unet
from mmgan_compress.core.channels import channel_map
from mmgan_compress.core.resources import count_macs, count_params
from mmgan_compress.models.original import load_original
from mmgan_compress.models.roles import (resnet_chain, seen_channels,
                                         unet_convs)
from mmgan_compress.registry import MODELS, PRUNERS
from mmgan_compress.student_config import build_generator

MOBILE = 'mmgan_compress.SeparableResnetGenerator'
RGB = dict(in_channels=3, out_channels=3)
UNET = dict(RGB, type='UnetGenerator', base_channels=4)
WIDE = dict(UNET, base_channels=12, num_down=5)
RESNETS = {
    'mobile': dict(type=MOBILE, base_channels=12, num_blocks=3),
    'plain': dict(RGB, type='ResnetGenerator', base_channels=6, num_blocks=2),
    'dropout': dict(RGB, type='ResnetGenerator', base_channels=6,
                    num_blocks=2, use_dropout=True,
                    norm_cfg=dict(type='BN')),
    'deep': dict(type='mmgan_compress.DeepSeparableResnetGenerator',
                 base_channels=2, num_blocks=4)
}


def gcc(name):
    return load_json('gcc')[name]


def published_scales():
    return list(map(torch.tensor, gcc('unet_scale_prune')[
        'bn_weights'].values()))


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


class TestPublished:
    """What GCC's own code answered."""

    def test_cyclegan(self):
        net = build(MOBILE, base_channels=4)
        load_original(net, load_npz('gcc', 'prune_cyc/G/'))
        norms, chain = filter_norms(net), list(resnet_chain(net).values())
        scores = share_norms(norms, chain, 'mean')
        golden = gcc('cyclegan_norm_prune')
        for case in golden['cases']:
            assert count_above(scores, case['threshold']) == case['cfg']
        # the bounds of its search; ours goes on behind the upper one
        assert min(float(s.min()) for s in scores) == pytest.approx(
            golden['min'])
        assert min(float(s.max()) for s in scores) == pytest.approx(
            golden['max'])

    @pytest.mark.parametrize('case', range(4))
    def test_unet(self, case):
        case = gcc('unet_scale_prune')['cases'][case]
        filters = unet_filters(published_scales(), case['threshold'], 4, 32)
        assert filters == case['filter_cfgs']
        assert seen_channels(filters) == case['channel_cfgs']
        if not case.get('forward_ok'):
            with pytest.raises(ValueError, match='leave 1 levels of the U-N'):
                narrow_unet(UNET, filters)
            return
        net, _ = narrow_unet(UNET, filters)
        assert count_params(net) == case['params']

    def test_unet_interval(self):
        low, high = scale_interval(published_scales())
        assert [high, low] == gcc('unet_scale_prune')['max_min']

    @pytest.mark.parametrize('widths, params, macs', [
        (HORSE_TO_ZEBRA, 180566, 2383638528),
        (ZEBRA_TO_HORSE, 243298, 2691059712)])
    def test_horse2zebra(self, widths, params, macs):
        """0.1806 M and 2.384 G, 0.2433 M and 2.691 G: both ways to say it."""
        arch = dict(type=MOBILE, base_channels=24)
        for how in (dict(channels=separable_channels(widths)),
                    dict(widths=list(widths))):
            with torch.device('meta'):
                net = build('mmgan_compress.SlimNetwork', arch=arch, **how)
            assert count_params(net) == params
            assert count_macs(net, (1, 3, 256, 256)).macs_paper == macs


class TestRules:

    def test_norms_are_of_filters(self):
        net = build(**RESNETS['plain'])
        names = list(resnet_chain(net))
        assert names[0] == 'model.0.conv' and names[-1] == 'model.6.conv'
        norms = dict(zip(names, filter_norms(net)))
        down, up = net.model[1].conv.weight, net.model[5].conv.weight
        assert norms['model.1.conv'][2].item() == pytest.approx(
            down[2].abs().sum().item(), rel=1e-5)
        assert len(norms['model.5.conv']) == up.shape[1] == 12
        assert norms['model.5.conv'][2].item() == pytest.approx(
            up[:, 2].abs().sum().item(), rel=1e-5)

    def test_trunk(self):
        """Layers 1 and 3 are added: 0 counts in one, 1 in both."""
        norms = [torch.tensor([9., 9.]), torch.tensor([3., 2.]),
                 torch.tensor([1.]), torch.tensor([0., 2.])]
        chain = [0, 1, 2, 1]
        mean = share_norms(norms, chain, 'mean')
        assert mean[1].tolist() == mean[3].tolist() == [1.5, 2.]
        union = share_norms(norms, chain, 'union')
        assert union[1].tolist() == union[3].tolist() == [3., 2.]
        assert count_above(union, 1.9) == [2, 2, 0, 2]
        assert count_above(mean, 1.9) == [2, 1, 0, 1]
        assert count_above(mean, 5, floor=2) == [2, 2, 1, 2]

    def test_chains_of_residual_blocks(self):
        """Every trunk of the deep generator has its own width."""
        net = build(**RESNETS['deep'])
        chain = list(resnet_chain(net).values())
        trunks = {first for at, first in enumerate(chain) if first != at}
        assert len(trunks) == 5
        with pytest.raises(TypeError, match='Sequential has no row of resid'):
            resnet_chain(nn.Sequential(nn.Conv2d(3, 3, 1)))

    def test_innermost_level(self):
        """Ten levels' worth of numbers, by hand: 5 + 2 levels."""
        def filters(inner_down=1., inner_up=1., way_up=1.):
            scales = [torch.tensor([value]) for value in (
                1., 1., 1., 1., inner_down,  # down 1 to 5
                way_up, inner_up, 1., 1., 1., 1.)]  # up 6 to 1
            return unet_filters(scales, 0.5, 4, 8)
        assert filters() == [4, 1, 1, 1, 1, 1, 8, 1, 1, 1, 1, 1, 1]
        # its way up is gone
        assert filters(way_up=-2.)[6:8] == [0, 0]
        # the level around it is gone, so is the way up of both
        assert filters(inner_down=0.)[5:9] == [0, 0, 0, 0]
        # only the way up of the level around it is gone
        alive = filters(inner_up=0.)
        assert alive[5:9] == [1, 8, 1, 0]
        assert surviving_levels(alive) == [0, 1, 2, 3, 4, 6]

    def test_scales_are_needed(self):
        net = build(**dict(UNET, norm_cfg=dict(type='IN')))
        with pytest.raises(ValueError, match='norms without scales'):
            norm_scales(net)
        with pytest.raises(TypeError, match='ResnetGenerator is not built of'):
            unet_convs(build(**RESNETS['plain']))


class TestNarrow:

    @pytest.mark.parametrize('kind', RESNETS)
    def test_resnets_run(self, kind):
        config = RESNETS[kind]
        chain = list(resnet_chain(build(**config)).values())
        widths = [1 + first % 5 for first in chain]  # odd, even and one
        net, arch = narrow_resnet(config, widths)
        assert arch == config
        x = torch.zeros(1, 3, 32, 32, device='meta')
        assert net.train()(x).shape == x.shape
        again = dict(zip(resnet_chain(net), widths))
        for name, counts in channel_map(net).items():
            assert again.get(name, counts[-1]) == counts[-1]

    @pytest.mark.parametrize('filters, levels', [
        ([4, 2, 3, 5, 9, 8, 6, 32, 5, 15, 5, 7, 2, 2, 1], 8),
        ([4, 2, 3, 5, 9, 8, 0, 0, 0, 0, 5, 7, 2, 2, 1], 6),
        # a way up is gone while deeper levels survive
        ([4, 2, 3, 5, 9, 8, 6, 32, 5, 0, 5, 7, 2, 2, 1], 7),
        ([4, 2, 3, 5, 9, 8, 6, 32, 5, 15, 0, 7, 2, 2, 1], 7),
        ([4, 2, 0, 5, 9, 8, 6, 32, 5, 15, 5, 7, 2, 0, 1], 7)])
    def test_unets_run(self, filters, levels):
        net, arch = narrow_unet(dict(UNET, use_dropout=True), filters)
        assert arch['num_down'] == levels and len(unet_convs(net)) == 2 * levels
        x = torch.zeros(2, 3, 2**levels, 2**levels, device='meta')
        assert net.train()(x).shape == x.shape
        kept = [n for n in filters if n]
        outs = [channel_map(net)[conv][1] for conv, _ in unet_convs(net)]
        if levels != 7:
            assert outs == [*kept, 3]
        norms = [norm for _, norm in unet_convs(net)]
        assert [at for at, norm in enumerate(norms) if norm is None] == [
            0, levels - 1, 2 * levels - 1]


class TestBudget:

    def test_kinds(self):
        net = build(**RESNETS['mobile'])
        macs = count_macs(net, (1, 3, 64, 64))
        assert Budget.of(dict(macs=0.5, size=64)).measure(net) == macs.macs
        assert Budget.of(dict(macs_paper=0.5, size=64)).measure(net) == \
            macs.macs_paper
        assert Budget.of(dict(params=0.5)).measure(net) == count_params(net)

    def test_share_and_absolute(self):
        assert Budget('macs', 0.25).target(1000) == 250
        assert Budget('macs', 1).target(1000) == 1000
        assert Budget('macs', 2.4e9).target(1000) == 2.4e9

    @pytest.mark.parametrize('spec, message', [
        (dict(flops=1), "no budget 'flops': expected one of macs, macs_pap"),
        (dict(size=64), r'a budget names one of .* got \[\]'),
        (dict(macs=1, params=1), r"got \['macs', 'params'\]"),
        (dict(macs=0), 'macs=0.0 is not above 0')])
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
            assert abs(costs[found] - target) == min(
                abs(cost - target) for cost in costs)

    def test_few_are_tried(self):
        tried = []
        nearest([range(10000)], lambda t: tried.append(t) or 10000 - t, 1234)
        assert len(tried) == len(set(tried)) < 20


class TestPruners:

    @pytest.mark.parametrize('config, name, budget', [
        (RESNETS['mobile'], 'NormWidths', dict(macs=0.5, size=64)),
        (RESNETS['plain'], 'NormWidths', dict(macs_paper=0.3, size=64)),
        (RESNETS['deep'], 'NormWidths', dict(params=0.4)),
        (WIDE, 'ScaleWidths', dict(macs_paper=0.5, size=32)),
        (WIDE, 'ScaleWidths', dict(params=40000))])
    def test_budget_is_met(self, config, name, budget):
        net = trained(config)
        state = {k: v.clone() for k, v in net.state_dict().items()}
        small, result, summary = pruner(name, budget=budget).compress(
            net, config)
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
        small = pruner('NormWidths', budget=dict(macs=0.5)).compress(
            trained(config), config).network
        weights = torch.cat([m.weight.flatten() for m in small.modules()
                             if isinstance(m, nn.Conv2d)])
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
        for value in [-1., *values[values < high].tolist()]:
            filters = unet_filters(scales, value, 1, 8)
            levels.add(len(surviving_levels(filters)))
            costs[value] = Budget('macs', 1, size=128).measure(
                narrow_unet(config, filters)[0])
        assert levels == {5, 6, 7}
        assert sorted(costs.values(), reverse=True) != list(costs.values())
        dense = costs[-1.]
        least = min(costs.values()) / dense
        for share in (least + 0.2 * (1 - least), least + 0.7 * (1 - least)):
            cost = pruner('ScaleWidths', budget=dict(
                macs=share, tolerance=9, size=128)).compress(
                    net, config).summary['cost']
            best = min(abs(c - share * dense) for c in costs.values())
            assert abs(cost - share * dense) == best

    @pytest.mark.parametrize('config, name', [
        (RESNETS['mobile'], 'NormWidths'), (WIDE, 'ScaleWidths')])
    def test_unreachable_budget(self, config, name):
        net = trained(config)
        with pytest.raises(ValueError, match='no network within 2.0% of '
                           'macs=.* at 256 pixels: the nearest rea') as error:
            pruner(name, budget=dict(macs=1e-4)).compress(net, config)
        nearest_cost = float(str(error.value).split('macs=')[2].split()[0])
        found = pruner(name, budget=dict(macs=nearest_cost)).compress(
            net, config)
        assert found.summary['cost'] == pytest.approx(nearest_cost, rel=1e-4)

    def test_floor_and_rule(self):
        config = RESNETS['mobile']
        net = trained(config)
        budget = dict(params=1.01e3, tolerance=9)
        for floor, least in ((1, 1), (5, 5)):
            widths = pruner('NormWidths', budget=budget, floor=floor
                            ).compress(net, config).summary['widths']
            assert min(widths) == least
        union = pruner('NormWidths', budget=dict(params=0.5, tolerance=9),
                       rule='union').compress(net, config).summary['widths']
        mean = pruner('NormWidths', budget=dict(params=0.5, tolerance=9)
                      ).compress(net, config).summary['widths']
        assert union != mean
        with pytest.raises(ValueError, match="'min', expected one of mean, u"):
            pruner('NormWidths', budget=budget, rule='min')
        with pytest.raises(ValueError, match='floor is 0'):
            pruner('NormWidths', budget=budget, floor=0)

    def test_the_network_decides(self):
        budget = dict(params=0.5)
        for config, name in ((RESNETS['mobile'], 'NormWidths'),
                             (WIDE, 'ScaleWidths')):
            net, method = trained(config), pruner('GCCWidths', budget=budget)
            assert method.compress(net, config).config == pruner(
                name, budget=budget).compress(net, config).config
        with pytest.raises(TypeError, match='expected a UnetGenerator'):
            pruner('ScaleWidths', budget=budget).compress(
                trained(RESNETS['mobile']), RESNETS['mobile'])

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
