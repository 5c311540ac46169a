"""Layers whose channels a product, a shuffle or a split mixes."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from mmgan_compress.core.channels import channel_map
from mmgan_compress.integrations.nni import NNIPruner
from mmgan_compress.pruning.slicing import difference, masked
from mmgan_compress.pruning.torch_pruner import TorchPruner
from pruning import image, seeded

pytest.importorskip('torch_pruning')
WIDTH = 8


class Mixed(nn.Module):
    """Something odd between two plain convolutions, as a residual."""

    def __init__(self, mix, parts):
        super().__init__()
        self.first = nn.Conv2d(3, WIDTH, 3, padding=1)
        self.add = nn.ModuleList(parts)
        self.free = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.last = nn.Conv2d(WIDTH, 3, 1)
        self.mix = mix

    def forward(self, x):
        x = self.first(x).relu()
        x = x + self.mix(x, *self.add)
        return self.last(self.free(x).relu())


def conv(outputs=WIDTH, inputs=WIDTH):
    return nn.Conv2d(inputs, outputs, 1)


def bmm(x, *convs):
    q, k, v = (layer(x).flatten(2) for layer in convs)
    return torch.bmm(v, torch.bmm(q.transpose(1, 2), k).softmax(1)).view(x.shape)


def operator(x, *convs):
    q, k, v = (layer(x).flatten(2) for layer in convs)
    return (v @ (q.mT @ k).softmax(1)).view(x.shape)


def einsum(x, *convs):
    q, k, v = (layer(x) for layer in convs)
    weights = torch.einsum('nchw,ncyx->nhwyx', q, k)
    return torch.einsum('nhwyx,ncyx->nchw', weights / 100, v)


def fused(x, *convs):
    q, k, v = (layer(x).view(len(x), 2, WIDTH // 2, -1).transpose(2, 3) for layer in convs)
    return F.scaled_dot_product_attention(q, k, v).transpose(2, 3).reshape(x.shape)


def heads(x, attention):
    tokens = x.flatten(2).transpose(1, 2)
    return attention(tokens, tokens, tokens)[0].transpose(1, 2).view(x.shape)


def chunked(x, layer):
    q, k, v = layer(x).flatten(2).chunk(3, 1)
    return torch.bmm(v, torch.bmm(q.mT, k).softmax(1)).view(x.shape)


def unbound(x, layer):
    q, k, v = layer(x).flatten(2).unflatten(1, (3, -1)).unbind(1)
    return torch.bmm(v, torch.bmm(q.mT, k).softmax(1)).view(x.shape)


def shuffled(x, layer):
    n, _, h, w = x.shape
    return layer(x).view(n, 2, -1, h, w).transpose(1, 2).reshape(x.shape)


def parts_exchanged(x):
    return torch.cat(x.split([2, WIDTH - 2], 1)[::-1], 1)


def linear_unit(x, wide, narrow):
    return narrow(F.glu(wide(x), 1))


def chunks_multiplied(x, wide, narrow):
    one, other = wide(x).chunk(2, 1)
    return narrow(one * other.sigmoid())


MIXED = {
    function.__name__: (function, parts)
    for function, parts in [
        *((attend, lambda: (conv(4), conv(4), conv())) for attend in (bmm, operator, einsum)),
        (fused, lambda: (conv(), conv(), conv())),
        (heads, lambda: (nn.MultiheadAttention(WIDTH, 2, batch_first=True),)),
        *((attend, lambda: (conv(3 * WIDTH),)) for attend in (chunked, unbound)),
        (shuffled, lambda: (conv(),)),
        (parts_exchanged, tuple),
    ]
}
PARTS = {
    function.__name__: (function, lambda: (conv(), conv(inputs=WIDTH // 2)))
    for function in (linear_unit, chunks_multiplied)
}


def mixed(function, parts):
    torch.manual_seed(0)
    return seeded(Mixed(function, parts()))


def pruned(net, pruner=TorchPruner, **settings):
    """Return the widths of a pruned network, which is the masked one."""
    small, kept, _ = pruner(**settings).prune(net, image(16))
    assert difference(masked(net, kept), small, image(16)) <= 1e-5
    return channel_map(small)


@pytest.mark.parametrize('function, parts', MIXED.values(), ids=MIXED)
def test_they_stay_whole(function, parts):
    """Without walls the graph grew until the memory was full."""
    net = mixed(function, parts)
    wide = channel_map(net)
    assert pruned(net, ratio=0.9) == dict(wide, free=[WIDTH, 1], last=[1, 3])


@pytest.mark.parametrize('function, parts', PARTS.values(), ids=PARTS)
def test_units_of_halves_stay_whole(function, parts):
    """What is plain around them goes."""
    net = mixed(function, parts)
    counts = pruned(net, ratio=0.9)
    assert counts['add.0'] == [1, WIDTH]
    assert counts['add.1'] == [WIDTH // 2, 1]


def test_nni_takes_the_same_graph():
    pytest.importorskip('nni')
    net = mixed(*MIXED['bmm'])
    assert pruned(net, NNIPruner, ratio=0.5) == dict(channel_map(net), free=[WIDTH, 4], last=[4, 3])


def test_a_mean_over_channels_stays_whole():
    """It was refused."""
    net = mixed(lambda x: x / (1 + x.pow(2).mean(1, keepdim=True)), tuple)
    assert pruned(net, ratio=0.9)['first'] == [3, WIDTH]


def split_by_width(x, wide, one, other):
    parts = wide(x).relu().split([one.in_channels, other.in_channels], 1)
    return one(parts[0]) + other(parts[1])


def joined(x, one, other):
    return torch.cat([one(x), other(x)], 1)


@pytest.mark.parametrize(
    'function, parts, branches',
    [
        (
            split_by_width,
            lambda: (conv(), conv(inputs=3), conv(inputs=5)),
            [('add.1', 0), ('add.2', 0)],
        ),
        (joined, lambda: (conv(3), conv(5)), [('add.0', 1), ('add.1', 1)]),
    ],
)
@pytest.mark.parametrize('floor', [1, 2])
def test_a_branch_keeps_a_channel(function, parts, branches, floor):
    """Also where all of the least important channels are its own."""
    net = mixed(function, parts)
    for layer in (net.first, net.add[0]):  # the outputs 0 to 2 of these
        layer.weight.data[:3] *= 1e-4
    counts = pruned(net, ratio=0.6, floor=floor)
    name, side = branches[0]
    assert counts[name][side] == floor
    for name, side in branches:
        assert counts[name][side] >= floor


@pytest.mark.parametrize('first', [slice(0, -4), slice(0, 4)])
def test_each_way_of_a_channel_is_tried(first):
    """Numbers that stand in the code fit for some channels alone."""

    def sliced(x, wide, one, other):
        x = wide(x)
        return one(x[:, first]) + other(x[:, 4:])

    net = mixed(sliced, lambda: (conv(), conv(inputs=4), conv(inputs=4)))
    assert pruned(net, ratio=0.9)['add.1'] == [4, 1]
