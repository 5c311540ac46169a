"""Networks that are neither mmagic's nor of this package: one call."""

import copy
import sys

import pytest
import torch
import torch.nn as nn

from mmgan_compress.core.channels import resize
from mmgan_compress.core.complexity import count_macs
from mmgan_compress.deploy.formats import convert_for_timing
from mmgan_compress.pruning.slicing import difference, masked
from mmgan_compress.pruning.torch_pruner import prune
from pruning import image, network, seeded
from test_torch_pruner import pruner

pytestmark = pytest.mark.numerical

pytest.importorskip('torch_pruning')


class Foreign(nn.Module):
    """Groups, a concatenation, a sum, transposed and depthwise layers."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.InstanceNorm2d(8, affine=True)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.down = nn.Conv2d(8, 12, 4, stride=2, padding=1)
        self.depthwise = nn.Conv2d(12, 12, 3, padding=1, groups=12)
        self.inner = nn.Conv2d(12, 12, 1)
        self.bn = nn.BatchNorm2d(12)
        self.up = nn.ConvTranspose2d(12, 10, 4, stride=2, padding=1)
        self.last = nn.Conv2d(18, 3, 3, padding=1)

    def forward(self, x):
        x = self.grouped(self.norm(self.first(x)).relu())
        y = self.down(x)
        y = y + self.bn(self.inner(self.depthwise(y).relu())).relu()
        return self.last(torch.cat([x, self.up(y).relu()], 1)).tanh()


def test_one_call():
    net, x = seeded(Foreign()), image(32)
    small, kept, summary = prune(net, x, dict(macs=0.5))
    # what the pairs of groups share stays whole
    assert {'down', 'depthwise', 'inner', 'bn', 'up', 'last'} == set(summary['channels'])
    assert difference(masked(net, kept), small, x) <= 1e-5
    assert difference(net, small, x) > 1e-2
    macs = [count_macs(n, x.shape).macs for n in (net, small)]
    assert macs[1] == pytest.approx(0.5 * macs[0], rel=0.02)
    pytest.importorskip('onnxruntime')
    with torch.no_grad():
        expected = small(x)
    got = convert_for_timing(small, 32, 'onnxruntime').run(x.numpy())
    assert (torch.from_numpy(got) - expected).abs().max() <= 1e-5


class WithImage(nn.Module):
    """The image is read again beside the features."""

    def __init__(self, first):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.last = nn.Conv2d(9, 3, 1)
        self.first = first

    def forward(self, x):
        parts = [x, self.conv(x).relu()]
        return self.last(torch.cat(parts if self.first else parts[::-1], 1))


@pytest.mark.parametrize('first', [True, False])
def test_image_among_the_features(first):
    """Its channels are counted, and stay."""
    net = seeded(WithImage(first))
    _, kept, _ = prune(net, image(16), dict(macs=0.5, tolerance=0.2))
    of_image = range(3) if first else range(6, 9)
    assert set(of_image) < set(kept['last'][0])
    assert len(kept['conv'][1]) == len(kept['last'][0]) - 3


class Odd(nn.Module):
    """A network of no known kind: what cannot be cut stays whole."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.groups = nn.GroupNorm(2, 8)
        self.paired = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.free = nn.Conv2d(8, 10, 3, padding=1)
        self.norm = nn.InstanceNorm2d(10, affine=True)
        self.act = nn.ReLU(inplace=True)
        self.wide = nn.Conv2d(10, 12, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        self.last = nn.Conv2d(6, 3, 1)
        self.side = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        y = self.paired(self.groups(self.first(x)))
        y = self.shuffle(self.wide(self.act(self.norm(self.free(y)))))
        x = nn.functional.interpolate(self.side(x) + x, scale_factor=2)
        return self.last(torch.cat([x, y], 1))


class TestAnyModule:
    def test_one_call(self):
        net = seeded(Odd())
        small, kept, summary = prune(net, image(16), dict(macs=0.7))
        assert set(summary['channels']) == {'free', 'norm', 'wide'}
        assert summary['size'] == 16
        assert difference(masked(net, kept), small, image(16)) <= 1e-5
        rebuilt = resize(Odd(), summary['channels']).eval()
        rebuilt.load_state_dict(small.state_dict())
        assert difference(rebuilt, small, image(16)) == 0

    @pytest.mark.parametrize('net', [nn.Sequential(nn.Conv2d(3, 3, 1)), nn.Sequential(nn.ReLU())])
    def test_nothing_to_remove(self, net):
        with pytest.raises(TypeError, match='no channels that can be'):
            prune(net, image(16), dict(params=0.5))

    def test_quantized_is_refused(self):
        net = nn.Sequential(
            torch.ao.quantization.QuantStub(), nn.Conv2d(3, 8, 3), nn.Conv2d(8, 3, 3)
        )
        with pytest.raises(TypeError, match="'0' of Sequential is a QuantSt"):
            prune(net, image(16), dict(params=0.5))

    def test_input_is_left_alone(self):
        net = copy.deepcopy(network('mobile')[0]).train()
        net.requires_grad_(False)
        before, state = copy.deepcopy(net), torch.get_rng_state()
        small, _, _ = pruner(ratio=0.5).prune(net, image())
        assert torch.equal(torch.get_rng_state(), state)
        assert str(net) == str(before) and net.training and small.training
        for key, value in before.state_dict().items():
            assert torch.equal(net.state_dict()[key], value)
        assert not any(p.requires_grad for p in small.parameters())

    def test_torch_pruning_is_asked_for(self, monkeypatch):
        monkeypatch.setitem(sys.modules, 'torch_pruning', None)
        with pytest.raises(ImportError, match=r'mmgan_compress\[pruning\]'):
            pruner(ratio=0.5).prune(network('resnet')[0], image())
