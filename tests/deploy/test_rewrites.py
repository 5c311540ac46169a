"""Each rewrite gives what its layer gives, in double precision."""

import pytest
import torch
from torch import nn

from mmgan_compress.deploy.formats import FORMATS
from mmgan_compress.deploy.graph import prepare
from mmgan_compress.deploy.onnx import traceable
from mmgan_compress.deploy.rewrites import (
    REWRITES,
    CroppedTransposedConv,
    FoldedConv,
    PhasedConv,
    SlicedReflection,
    StagedInstanceNorm,
)

pytestmark = pytest.mark.numerical


def norm(**settings):
    made = nn.InstanceNorm2d(3, **settings)
    if made.affine:
        nn.init.normal_(made.weight)
        nn.init.normal_(made.bias)
    return made


AFFINE = dict(affine=True, eps=0.1)
# a rewrite, the layer (of three channels) and what takes its place
CASES = [
    ('phases', nn.Conv2d(3, 3, 7, padding=3), PhasedConv),
    *(('slices', nn.ReflectionPad2d(pad), SlicedReflection) for pad in (1, 3, (6, 0, 2, 5))),
    *(
        ('crops', nn.ConvTranspose2d(3, 4, size, **settings), CroppedTransposedConv)
        for size, settings in (
            (3, dict(stride=2, padding=1, output_padding=1)),
            (4, dict(stride=2, padding=1, bias=False)),
            ((3, 5), dict(stride=(2, 1), padding=(1, 2), output_padding=(1, 0))),
            (3, dict(padding=1, dilation=2)),
        )
    ),
    ('crops', nn.ConvTranspose2d(3, 3, 3, stride=2, padding=1, groups=3), CroppedTransposedConv),
    *(
        (name, norm(**settings), StagedInstanceNorm)
        for name in ('staged', 'fenced', 'lined', 'tiled')
        for settings in ({}, AFFINE)
    ),
    # what is left alone
    ('fused', norm(), nn.InstanceNorm2d),
    ('mixed', norm(), nn.InstanceNorm2d),
    ('tiled', norm(track_running_stats=True), nn.InstanceNorm2d),
    ('crops', nn.ConvTranspose2d(3, 3, 2, stride=2), nn.ConvTranspose2d),
    ('crops', nn.ConvTranspose2d(3, 3, 3, stride=2, output_padding=1), nn.ConvTranspose2d),
]


@pytest.mark.parametrize('name, layer, kind', CASES)
@pytest.mark.parametrize('side', [16, 28])
def test_the_same_function(name, layer, kind, side):
    net = nn.Sequential(nn.Conv2d(3, 3, 1), layer).eval()
    before = torch.random.get_rng_state()
    ready = prepare(net, side, [name])
    if name != 'phases':  # a new convolution draws its weights
        assert torch.equal(torch.random.get_rng_state(), before)
    assert type(ready[1]) is kind and type(net[1]) is type(layer)
    # scales of 8 bits, and what is skipped, go by these names
    assert [name for name, _ in ready.named_parameters()] == [
        name for name, _ in net.named_parameters()
    ]
    x = torch.randn(2, 3, side, side, dtype=torch.float64)
    found, right = ready.double()(x), net.double()(x)
    net.float()
    torch.testing.assert_close(found, right, rtol=0, atol=1e-6)


@pytest.mark.parametrize('size, bias', [(7, True), ((5, 3), False)])
def test_two_columns_as_channels(size, bias):
    conv = nn.Conv2d(3, 5, size, bias=bias)
    height, width = conv.kernel_size
    pad = nn.ReflectionPad2d((width // 2, width // 2, height // 2, height // 2))
    net = nn.Sequential(pad, conv, nn.ReLU()).eval()
    ready, (image,), _ = traceable(net, 16, rewrites=['folds'])
    assert type(ready[1]) is FoldedConv and ready[1].weight.shape[:2] == (10, 6)
    assert image.shape == (1, 3, 16, 16)  # what the network takes stays
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    found, right = ready.double()(x), net.double()(x)
    torch.testing.assert_close(found, right, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    'side, channels, settings',
    [
        (15, 3, {}),
        (16, 5, {}),
        (16, 3, dict(groups=3)),
        (16, 3, dict(padding=1)),
        (16, 3, dict(stride=2)),
    ],
)
def test_columns_stay(side, channels, settings):
    conv = nn.Conv2d(channels, 6, 3, **settings)
    net = nn.Sequential(nn.ReflectionPad2d(1), conv).eval()
    assert not REWRITES['folds'](net, side, side)


@pytest.mark.parametrize('form', ['staged', 'lined', 'tiled'])
def test_flat_images_keep_their_precision(form):
    """Two short sums lose less than one of a whole channel, value by value."""
    x = torch.ones(1, 1, 256, 256)
    x[..., 64:128, 64:128] = -0.7
    exact = nn.InstanceNorm2d(1)(x.double())
    error = (StagedInstanceNorm(nn.InstanceNorm2d(1), form)(x) - exact).abs().max()
    assert error < 1e-5


def test_norms_of_large_planes_are_staged():
    net = nn.Sequential(norm(**AFFINE), nn.Conv2d(3, 3, 2, stride=2), norm(**AFFINE)).eval()
    ready = prepare(net, 128, ['mixed'])
    assert [type(layer) for layer in ready] == [StagedInstanceNorm, nn.Conv2d, nn.InstanceNorm2d]
    x = torch.randn(1, 3, 128, 128, dtype=torch.float64)
    found, right = ready.double()(x), net.double()(x)
    torch.testing.assert_close(found, right, rtol=0, atol=1e-6)


def test_rows_name_rewrites():
    for row in FORMATS.values():
        assert set(row.rewrites) | set(row.norms) <= set(REWRITES)
