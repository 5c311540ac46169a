"""NNIPruner: which channels its masks leave, and what is saved of them."""

import json

import pytest
import torch
import torch.nn as nn

from mmgan_compress.core.channels import channel_map
from mmgan_compress.models.slim import slim_config
from mmgan_compress.models.student_config import build_generator
from mmgan_compress.pruning.dependencies import channel_groups
from mmgan_compress.pruning.slicing import difference
from pruning import CONFIGS, MOBILE, check_elsewhere, check_small, image, network, seeded
from test_nni_pruner import pruner


class TestMasks:
    def test_filters_are_nnis_choice(self):
        """Convolutions and transposed ones: L1 norms of their filters."""
        net = seeded(
            nn.Sequential(
                nn.Conv2d(3, 8, 3),
                nn.BatchNorm2d(8),
                nn.ReLU(),
                nn.ConvTranspose2d(8, 6, 3),
                nn.InstanceNorm2d(6, affine=True),
                nn.ReLU(),
                nn.Conv2d(6, 3, 3),
            )
        )
        _, kept, _ = pruner(ratio=0.5).prune(net, image(16))
        for name, weight in (('0', net[0].weight), ('3', net[3].weight.transpose(0, 1))):
            norms = weight.abs().flatten(1).sum(1)
            most = norms.topk(len(norms) // 2).indices
            assert kept[name][1] == sorted(most.tolist())

    def test_coupled_filters_are_averaged(self):
        """The trunk of a residual network, with a norm on one side."""

        class Trunk(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 8, 1)
                self.up = nn.ConvTranspose2d(3, 8, 1)
                self.norm, self.last = nn.BatchNorm2d(8), nn.Conv2d(8, 3, 1)

            def forward(self, x):
                return self.last(self.norm(self.a(x)) + self.b(x) + self.up(x))

        net = seeded(Trunk())
        small, kept, _ = pruner(ratio=0.5).prune(net, image(16))
        norms = (net.a.weight.abs() + net.b.weight.abs()).flatten(1).sum(1)
        assert kept['last'][0] == sorted(norms.topk(4).indices.tolist())
        assert kept['last'][0] == kept['up'][1] == kept['norm'][0]
        check_small(net, small, kept)

    def test_norm_behind_a_concatenation(self):
        class Cat(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 6, 1)
                self.norm, self.last = nn.BatchNorm2d(14), nn.Conv2d(14, 3, 1)

            def forward(self, x):
                return self.last(self.norm(torch.cat([self.a(x), self.b(x)], 1)))

        net = seeded(Cat())
        small, kept, _ = pruner(ratio=0.5).prune(net, image(16))
        assert channel_map(small)['norm'] == [7]
        check_small(net, small, kept)

    def test_movement_needs_scales(self):
        """A norm undoes the scale of a filter, which so has no slope."""
        net = seeded(
            nn.Sequential(
                nn.Conv2d(3, 8, 3, bias=False),
                nn.InstanceNorm2d(8, eps=1e-9),
                nn.ReLU(),
                nn.Conv2d(8, 3, 3),
            )
        )
        net.zero_grad()
        net(image(16)).square().mean().backward()
        slope = (net[0].weight * net[0].weight.grad).flatten(1)
        assert slope.sum(1).abs().max() < 1e-3 * slope.abs().sum(1).min()


class TestArtefact:
    @pytest.mark.parametrize('name', CONFIGS)
    def test_config_rebuilds_it(self, name):
        small, config, summary = pruner(ratio=0.5).compress(network(name)[0], CONFIGS[name])
        assert config['channels'] == summary['channels']
        rebuilt = build_generator(json.loads(json.dumps(config)))
        rebuilt.load_state_dict(small.state_dict(), strict=True)
        assert difference(rebuilt, small, image()) == 0

    def test_twice(self):
        once = pruner(ratio=0.3).compress(network('mobile')[0], MOBILE)
        small, kept, _ = pruner(ratio=0.5, algorithm='fpgm').prune(once.network, image())
        check_small(once.network, small, kept)
        assert len(channel_groups(small, image())) == 7
        config = slim_config(small, once.config)
        rebuilt = build_generator(config)
        rebuilt.load_state_dict(small.state_dict(), strict=True)
        assert difference(rebuilt, small, image()) == 0

    @pytest.mark.slow  # half a minute for each
    @pytest.mark.parametrize('name', CONFIGS)
    def test_elsewhere_and_in_onnx(self, tmp_path, name):
        """A process without NNI, and ONNX Runtime, agree."""
        check_elsewhere(tmp_path, 'NNIPruner', ['nni', 'torch_pruning'], name, algorithm='fpgm')
