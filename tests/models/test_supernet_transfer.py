"""The strongest channels of a generator make the start of a narrower one."""

import random

import pytest
import torch
import torch.nn as nn

from golden import build, load_npz
from mmgan_compress.models.original import load_original
from mmgan_compress.models.supernet import transfer_weights
from supernets import SMALL, filled, photo, separable, supernet

pytestmark = pytest.mark.numerical


def test_golden_weight_transfer():
    big, small, want = (build(**separable(n)) for n in (4, 2, 2))
    load_original(big, load_npz('gan_compression', 'transfer/big/'))
    load_original(want, load_npz('gan_compression', 'transfer/small/'))
    transfer_weights(big, small)
    assert all(torch.equal(a, b) for a, b in zip(small.parameters(), want.parameters()))


@pytest.mark.parametrize('kind', SMALL)
def test_transfer_at_full_width_keeps_the_function(kind):
    wide = filled(build(**SMALL[kind])).double().eval()
    net = supernet(SMALL[kind], 5 if kind == 'unet' else 8).double().eval()
    transfer_weights(wide, net)
    x = photo(dtype=torch.float64)
    with torch.no_grad():
        y = wide(x)
        assert float((net(x) - y).abs().max()) < 1e-12
    assert y.std() > 0.05
    first = next(p for n, p in net.named_parameters() if p.dim() > 1)
    norms = first.detach().abs().sum((1, 2, 3)).tolist()
    assert norms == sorted(norms, reverse=True)
    assert not torch.equal(first, next(p for n, p in wide.named_parameters() if p.dim() > 1))


def test_transfer_keeps_the_strongest_channels():
    """Of a U-Net: where the weak ones are zero nothing is lost."""
    wide = filled(build(**SMALL['unet'])).double().eval()
    kept = supernet(SMALL['unet'], 5).kept('4_4_4_4_4')
    rng = random.Random(0)
    with torch.no_grad():
        for name, sides in kept.items():  # half of each layer's outputs
            layer = wide.get_submodule(name)
            count = len(sides[-1])
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) and count > 3:
                rows = layer.weight.transpose(0, 1) if layer.transposed else layer.weight
                rows[rng.sample(range(2 * count), count)] *= 1e-9
    for layer in wide.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            nn.init.zeros_(layer.bias)
    small = build(**dict(SMALL['unet'], base_channels=4)).double().eval()
    transfer_weights(wide, small)
    x = photo(dtype=torch.float64)
    with torch.no_grad():
        assert float((small(x) - wide(x)).abs().max()) < 1e-5
        assert wide(x).std() > 0.02


def test_transfer_refuses_other_networks():
    wide = build(**separable(4))
    with pytest.raises(ValueError, match='can only be narrower'):
        transfer_weights(wide, build(**separable(8)))
    with pytest.raises(ValueError, match='their layers have other names'):
        transfer_weights(wide, build(**SMALL['resnet']))
