"""GCC's rules: the published lists, and what its thresholds keep."""

import pytest
import torch
import torch.nn as nn

from golden import GCC_WIDTHS, build, load_json, load_npz
from mmgan_compress.core.channels import channel_map
from mmgan_compress.core.complexity import count_macs, count_params
from mmgan_compress.models.original import load_original
from mmgan_compress.models.topology import resnet_chain, unet_convs
from mmgan_compress.pruning.gcc import (
    count_above,
    filter_norms,
    narrow_unet,
    norm_scales,
    scale_interval,
    share_norms,
    surviving_levels,
    unet_filters,
)
from test_pruning_gcc import MOBILE, RESNETS, UNET


def gcc(name):
    return load_json('gcc')[name]


def published_scales():
    return list(map(torch.tensor, gcc('unet_scale_prune')['bn_weights'].values()))


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
        assert min(float(s.min()) for s in scores) == pytest.approx(golden['min'])
        assert min(float(s.max()) for s in scores) == pytest.approx(golden['max'])

    @pytest.mark.parametrize('case', range(4))
    def test_unet(self, case):
        case = gcc('unet_scale_prune')['cases'][case]
        filters = unet_filters(published_scales(), case['threshold'], 4, 32)
        assert filters == case['filter_cfgs']
        if not case.get('forward_ok'):
            with pytest.raises(ValueError, match='leave 1 levels of the U-N'):
                narrow_unet(UNET, filters)
            return
        net, _ = narrow_unet(UNET, filters)
        assert count_params(net) == case['params']
        if all(filters):  # no level is left out
            seen = [channel_map(net)[conv][0] for conv, _ in unet_convs(net)[1:]]
            assert seen == case['channel_cfgs']

    def test_unet_interval(self):
        low, high = scale_interval(published_scales())
        assert [high, low] == gcc('unet_scale_prune')['max_min']

    @pytest.mark.parametrize('domain', GCC_WIDTHS)
    def test_horse2zebra(self, domain):
        widths, params, macs = GCC_WIDTHS[domain]
        with torch.device('meta'):
            net = build(
                'mmgan_compress.SlimNetwork',
                widths=list(widths),
                arch=dict(type=MOBILE, base_channels=24),
            )
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
            down[2].abs().sum().item(), rel=1e-5
        )
        assert len(norms['model.5.conv']) == up.shape[1] == 12
        assert norms['model.5.conv'][2].item() == pytest.approx(
            up[:, 2].abs().sum().item(), rel=1e-5
        )

    def test_trunk(self):
        """Layers 1 and 3 are added: 0 counts in one, 1 in both."""
        norms = [
            torch.tensor([9.0, 9.0]),
            torch.tensor([3.0, 2.0]),
            torch.tensor([1.0]),
            torch.tensor([0.0, 2.0]),
        ]
        chain = [0, 1, 2, 1]
        mean = share_norms(norms, chain, 'mean')
        assert mean[1].tolist() == mean[3].tolist() == [1.5, 2.0]
        union = share_norms(norms, chain, 'union')
        assert union[1].tolist() == union[3].tolist() == [3.0, 2.0]
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

        def filters(inner_down=1.0, inner_up=1.0, way_up=1.0):
            scales = [
                torch.tensor([value])
                for value in (
                    1.0,
                    1.0,
                    1.0,
                    1.0,
                    inner_down,  # down 1 to 5
                    way_up,
                    inner_up,
                    1.0,
                    1.0,
                    1.0,
                    1.0,
                )
            ]  # up 6 to 1
            return unet_filters(scales, 0.5, 4, 8)

        assert filters() == [4, 1, 1, 1, 1, 1, 8, 1, 1, 1, 1, 1, 1]
        # its way up is gone
        assert filters(way_up=-2.0)[6:8] == [0, 0]
        # the level around it is gone, so is the way up of both
        assert filters(inner_down=0.0)[5:9] == [0, 0, 0, 0]
        # only the way up of the level around it is gone
        alive = filters(inner_up=0.0)
        assert alive[5:9] == [1, 8, 1, 0]
        assert surviving_levels(alive) == [0, 1, 2, 3, 4, 6]

    def test_scales_are_needed(self):
        net = build(**dict(UNET, norm_cfg=dict(type='IN')))
        with pytest.raises(ValueError, match='norms without scales'):
            norm_scales(net)
        with pytest.raises(TypeError, match='ResnetGenerator is not built of'):
            unet_convs(build(**RESNETS['plain']))
