"""Channel maps, networks resized by them, and their configs."""

import copy
import warnings

import pytest
import torch
import torch.nn as nn
from mmengine.model import BaseModule

from golden import build
from mmgan_compress.core.channels import changed, channel_map, resize
from mmgan_compress.core.feature_extraction import infer_channels
from mmgan_compress.models.slim import architecture, slim_config
from mmgan_compress.registry import MODELS
from students import GENERATORS

pytestmark = pytest.mark.numerical

SEPARABLE = GENERATORS['separable']
NARROW = {'model.1': [3, 3], 'model.2': [3], 'model.4': [3, 8]}


def small_net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 7),
        nn.InstanceNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Conv2d(8, 16, 1),
        nn.BatchNorm2d(16),
        nn.ConvTranspose2d(16, 6, 4, groups=2),
        nn.Flatten(),
        nn.Linear(6 * 5 * 5, 2),
    )


MAP = {'0': [3, 8], '1': [8], '3': [8, 8], '4': [8, 16], '5': [16], '6': [16, 6], '8': [150, 2]}


def test_map():
    assert channel_map(small_net()) == MAP


@pytest.mark.parametrize(
    'norm, want',
    [
        (nn.InstanceNorm2d(99), 8),
        (nn.InstanceNorm2d(4, affine=True), 4),
        (nn.InstanceNorm2d(5, track_running_stats=True), 5),
        (nn.BatchNorm2d(6, affine=False), 6),
        (nn.BatchNorm2d(7, affine=False, track_running_stats=False), 8),
    ],
)
def test_norms_without_tensors_are_not_believed(norm, want):
    net = nn.Sequential(nn.Conv2d(3, 8, 1), norm)
    assert channel_map(net)['1'] == [want]


def test_changed_entries():
    narrow = dict(MAP, **{'0': (3, 5), '1': [5]})
    assert changed(narrow, MAP) == {'0': [3, 5], '1': [5]}
    assert changed(MAP, MAP) == {}


@pytest.mark.parametrize('device', ['cpu', 'meta'])
def test_resized_network_runs(device):
    net, x = small_net().to(device), torch.zeros(2, 3, 10, 10, device=device)
    kinds, conv = [type(m) for m in net], net[0]
    conv.weight.requires_grad_(False)
    narrow = {
        '0': [3, 5],
        '1': [5],
        '3': [5, 5],
        '4': [5, 10],
        '5': [10],
        '6': [10, 4],
        '8': [100, 1],
    }
    assert resize(net, narrow) is net
    assert channel_map(net) == narrow
    with warnings.catch_warnings():
        warnings.simplefilter('error')  # of a stale InstanceNorm
        assert net(x).shape == (2, 1)
    assert [type(m) for m in net] == kinds and net[0] is conv
    assert net[3].groups == 5 and net[6].groups == 2
    assert (net[6].in_channels, net[6].out_channels) == (10, 4)
    assert net[1].num_features == 5 and net[8].in_features == 100
    assert not conv.weight.requires_grad and conv.bias.requires_grad
    assert conv.weight.device.type == device
    resize(net, {k: MAP[k] for k in MAP})
    assert channel_map(net) == MAP and net[3].groups == 8


def test_new_weights_are_those_of_a_new_layer():
    net = small_net()
    for tensor in [*net.parameters(), *net.buffers()]:
        tensor.data.fill_(9)
    torch.manual_seed(0)
    resize(net, {'6': [12, 6], '5': [12]})
    torch.manual_seed(0)
    fresh = nn.ConvTranspose2d(12, 6, 4, groups=2)
    for key, value in fresh.state_dict().items():
        assert torch.equal(net[6].state_dict()[key], value)
    for key, value in nn.BatchNorm2d(12).state_dict().items():
        assert torch.equal(net[5].state_dict()[key], value)


@pytest.mark.parametrize(
    'channels, error, message',
    [
        ({'9': [1, 2]}, KeyError, "no layer '9'"),
        ({'2': [1]}, TypeError, "'2' is a ReLU: expected a convolution"),
        ({'0': [3]}, ValueError, r'\[3\]: expected \[in, out\]'),
        ({'1': [3, 4]}, ValueError, r'expected \[n\]'),
        ({'0': [3, 0]}, ValueError, 'above 0'),
        ({'0': [3, 2.0]}, ValueError, 'whole numbers'),
        ({'6': [12, 5]}, ValueError, "'6' has 2 groups, which do not divide"),
        ({'3': [4, 6]}, ValueError, "'3' has 4 groups"),
    ],
)
def test_impossible_changes_are_refused(channels, error, message):
    net = small_net()
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(error, match=message):
        resize(net, {'4': [5, 10], **channels})
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key])


def slim(kind='separable', **kwargs):
    return build('mmgan_compress.SlimNetwork', arch=dict(GENERATORS[kind]), **kwargs)


def test_slim_network_is_its_architecture():
    plain, net = build(**SEPARABLE), slim(channels=NARROW)
    assert type(net) is type(plain)
    assert [n for n, _ in net.named_modules()] == [n for n, _ in plain.named_modules()]
    assert infer_channels(net, ['model.3', 'model.6'], (1, 3, 32, 32)) == {
        'model.3': 3,
        'model.6': 8,
    }
    assert channel_map(slim()) == channel_map(plain)


def test_widths_of_a_resnet():
    net = slim(widths=[3, 5, 7, 2, 7, 1, 7, 4, 6])
    assert net(torch.zeros(1, 3, 16, 16)).shape == (1, 3, 16, 16)
    channels = channel_map(net)
    assert channels['model.10.conv_block.6.conv.0'] == [2, 2]
    assert channels['model.11.conv_block.6.conv.2'] == [1, 7]
    assert channels['model.19'] == [6, 3]
    with pytest.raises(ValueError, match='8 widths for 9 layers'):
        slim(widths=[4] * 8)
    with pytest.raises(
        ValueError, match="conv_block.6.conv.2' cannot have 8 filters.* as 'model.7', which has 7"
    ):
        slim(widths=[3, 5, 7, 2, 8, 1, 7, 4, 6])
    with pytest.raises(ValueError, match='3 widths for .* of UnetGenerator'):
        slim('unet', widths=[4] * 3)


@pytest.mark.parametrize('kind', GENERATORS)
def test_slim_networks_are_initialised_as_their_architecture(kind):
    """Also in a second call, when Runner makes it."""
    base = channel_map(build(**GENERATORS[kind]))
    widest = max(base, key=lambda name: len(base[name]) * max(base[name]))
    net = slim(kind, channels={widest: [64, 64]})
    for _ in range(2):
        net.init_weights()
        weight = net.get_submodule(widest).weight
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize(
    'kind, narrow',
    [
        ('separable', NARROW),
        ('resnet', {'model.0.conv': [3, 3], 'model.0.in': [3], 'model.1.conv': [3, 8]}),
        (
            'unet',
            {
                'model.model.0.conv': [3, 3],
                'model.model.1.model.0.conv': [3, 8],
                'model.model.2.conv': [7, 3],
            },
        ),
    ],
)
def test_pretrained_weights_stay(kind, narrow, tmp_path):
    """However often Runner, and a model around it, initialise."""
    want = slim(kind, channels=narrow).state_dict()
    torch.save({f'generators.a.{k}': v for k, v in want.items()}, tmp_path / 'student.pth')
    model = BaseModule()
    model.net = slim(
        kind,
        channels=narrow,
        init_cfg=dict(
            type='Pretrained', checkpoint=str(tmp_path / 'student.pth'), prefix='generators.a'
        ),
    )
    for _ in range(2):
        model.net.init_weights()
    for key, value in model.net.state_dict().items():
        assert torch.equal(value, want[key]), key


def test_config_of_a_resized_network():
    pretrained = dict(type='Pretrained', checkpoint='wide.pth')
    config = dict(SEPARABLE, init_cfg=pretrained)
    net = build(**SEPARABLE)
    assert slim_config(net, config) == SEPARABLE
    once = slim_config(resize(net, NARROW), config)
    assert once == dict(type='mmgan_compress.SlimNetwork', arch=SEPARABLE, channels=NARROW)
    assert channel_map(MODELS.build(once)) == channel_map(net)
    twice = slim_config(resize(net, {'model.4': [3, 5], 'model.5': [5], 'model.7': [5, 16]}), once)
    assert twice['arch'] == SEPARABLE
    assert twice['channels'] == {**NARROW, 'model.4': [3, 5], 'model.5': [5], 'model.7': [5, 16]}
    normal = dict(SEPARABLE, init_cfg=dict(type='normal', gain=0.1))
    assert architecture(normal) == normal
