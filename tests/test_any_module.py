"""Networks that are neither mmagic's nor of this package: one call."""
import pytest
import torch
import torch.nn as nn
from pruning import image, seeded

from mmgan_compress.compressors.slicing import difference, masked
from mmgan_compress.compressors.torch_pruning_bridge import prune
from mmgan_compress.core.resources import count_macs
from mmgan_compress.deploy.timing import convert_for_timing

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
    assert {'down', 'depthwise', 'inner', 'bn', 'up', 'last'} == set(
        summary['channels'])
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
