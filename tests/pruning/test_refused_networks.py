"""Networks that cannot be cut are refused, whoever made them so."""

import copy

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils import parametrizations
from torch.nn.utils import prune as masks

from mmgan_compress import load_student, save_student
from mmgan_compress.engine.results import annotate_student
from mmgan_compress.integrations.nni import NNIPruner
from mmgan_compress.models.fake_quant import fake_quantize
from mmgan_compress.pruning.dependencies import channel_groups
from mmgan_compress.pruning.torch_pruner import TorchPruner, prune
from mmgan_compress.registry import PRUNERS
from pruning import AFFINE, CONFIGS, image, network, seeded
from students import make_model, refused_by_tool
from test_workflow import run_here

pytest.importorskip('torch_pruning')


def convs():
    return seeded(
        nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 3, 1),
        )
    )


@pytest.mark.parametrize(
    'wrap, remover',
    [
        (parametrizations.weight_norm, 'remove_parametrizations'),
        (nn.utils.weight_norm, 'remove_weight_norm'),
        (nn.utils.spectral_norm, 'remove_spectral_norm'),
        (lambda layer: masks.l1_unstructured(layer, 'weight', 2), 'prune.remove'),
    ],
)
@pytest.mark.filterwarnings('ignore:.*weight_norm.*deprecated')
def test_computed_weights(wrap, remover):
    """They would be cut beside what they are computed from."""
    net = convs()
    wrap(net[2])
    with pytest.raises(TypeError, match=f"'2' of Sequential .*{remover}"):
        prune(net, image(16), dict(macs=0.5))


def test_plain_again():
    net = convs()
    parametrizations.weight_norm(net[2])
    torch.nn.utils.parametrize.remove_parametrizations(net[2], 'weight')
    small = prune(net, image(16), dict(macs=0.5, tolerance=0.2)).network
    assert small[2].in_channels < 8


@pytest.mark.parametrize(
    'name, kind',
    [
        ('resnet', 'TorchPruner'),
        ('resnet', 'NNIPruner'),
        ('resnet', 'NormWidths'),
        ('unet-bn', 'ScaleWidths'),
        ('unet-bn', 'GCCWidths'),
        ('resnet', 'MaskExtraction'),
        ('affine', 'SlimExtraction'),
    ],
)
def test_networks_that_round(name, kind):
    """GS-8's, by every pruner."""
    net = fake_quantize(copy.deepcopy(network(name)[0]))
    options = {} if 'Extraction' in kind else dict(budget=dict(macs=0.5, size=64))
    pruner = PRUNERS.build(dict(options, type=f'mmgan_compress.{kind}'))
    with pytest.raises(TypeError, match='call defake_quantize'):
        pruner.compress(net, CONFIGS[name])


def test_wrappers_of_nni():
    wrapper = pytest.importorskip('nni.compression.base.wrapper')
    net = convs()
    net.add_module('own', wrapper.ModuleWrapper(net[2], 'x', {}))
    with pytest.raises(TypeError, match="ModuleWrapper of nni's quant"):
        channel_groups(net, image(16))


def test_files_trained_in_8_bits(tmp_path, monkeypatch):
    """Only what GAN Slimming left is extracted from the float weights."""

    model = make_model('resnet', norm_cfg=AFFINE)
    model.generators['zebra'].model[1].norm.weight.data[1] = 0.0
    path = tmp_path / 'gs8.pth'
    save_student(path, model, source='Test', image_size=64)
    annotate_student(path, dict(zebra=dict(made_by='fake_quantize', layers={})))
    for pruner in ('TorchPruner', 'NormWidths'):
        assert 'trained in 8 bits (fake_quantize)' in refused_by_tool(
            'compress',
            path,
            '--pruner',
            pruner,
            '--budget',
            'macs=0.5',
            '--out',
            tmp_path / 'out',
            monkeypatch=monkeypatch,
        )
    assert not (tmp_path / 'out').exists()
    run_here(monkeypatch, path, '--pruner', 'SlimExtraction', '--out', tmp_path / 'out')
    net = load_student(tmp_path / 'out/student.pth')
    assert net.model[1].conv.out_channels == 7


class Gives(nn.Module):
    """A network with something odd about it."""

    def __init__(self, what):
        super().__init__()
        self.net, self.what = convs(), what

    def forward(self, x):
        return self.what(self, x)


def mixing(function):
    def forward(self, x):
        first, *rest = self.net
        x = function(first(x))
        for layer in rest:
            x = layer(x)
        return x

    return forward


@pytest.mark.parametrize('function', [lambda x: F.group_norm(x, 1), lambda x: x.softmax(1)])
def test_channels_that_mix_outside_of_layers(function):
    """No graph shows it: the image does."""
    net = Gives(mixing(function))
    with pytest.raises(ValueError, match='outside its layers mixes channels'):
        prune(net, image(32), dict(macs=0.5, tolerance=0.2))
    whole = Gives(mixing(torch.tanh))
    assert prune(whole, image(32), dict(macs=0.5, tolerance=0.2)).kept


@pytest.mark.parametrize(
    'what, error, message',
    [
        (lambda self, x: (self.net(x), x), TypeError, 'returns a tuple, expected'),
        (lambda self, x: dict(image=self.net(x)), TypeError, 'returns a dict'),
        (
            lambda self, x: self.net(x) + x[..., :-1],
            ValueError,
            r'Gives does not run on an image of \(1, 3, 16, 16\)',
        ),
        (lambda self, x: self.net(x[:, :, 9, None]).expand(x.shape), None, ''),
    ],
)
def test_what_networks_may_return(what, error, message):
    net = Gives(what)
    if error is None:
        assert channel_groups(net, image(16))
        return
    with pytest.raises(error, match=message):
        channel_groups(net, image(16))


class SqueezeExcite(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.gate = nn.Linear(8, 8)
        self.last = nn.Conv2d(8, 3, 1)

    def forward(self, x):
        x = self.first(x).relu()
        gate = self.gate(x.mean((2, 3))).sigmoid()
        return self.last(x * gate[:, :, None, None])


def test_nni_scores_of_squeeze_and_excite():
    """A filter and a row of a matrix share their channels."""
    pytest.importorskip('nni')
    net = seeded(SqueezeExcite())
    small = NNIPruner(dict(macs=0.6, size=16, tolerance=0.2)).prune(net, image(16)).network
    assert small.first.out_channels == small.gate.out_features < 8
    assert TorchPruner(ratio=0.5).prune(net, image(16)).kept
