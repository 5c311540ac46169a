"""Slimmed generators as files: extracted, rebuilt, exported, in 8 bits."""

import copy

import numpy as np
import pytest
import torch
from torch.nn.modules.batchnorm import _NormBase

from mmgan_compress import load_student, save_student
from mmgan_compress.core.layers import find_layer
from mmgan_compress.models.fake_quant import defake_quantize, fake_quantize
from mmgan_compress.models.student import student_info
from mmgan_compress.models.student_config import build_generator
from mmgan_compress.models.topology import free_channels
from mmgan_compress.pruning.slicing import random_image
from mmgan_compress.pruning.slimming import SlimExtraction
from pruning import seeded
from students import GENERATORS, make_model, refused_by_tool, run_tool
from test_slimming import AFFINE, difference, slimmed

KINDS = {
    'resnet': dict(kind='resnet', norm_cfg=AFFINE),
    'separable': dict(kind='separable', norm_cfg=AFFINE),
    'cartoon': dict(kind='cartoon'),
}


def run_here(tool, *args):
    """Run a command-line tool in this process."""
    done = run_tool(tool, *args)
    assert done.returncode == 0, done.stderr


def slimmed_student(path, kind):
    """Save a generator with dead channels; return it."""
    model = make_model(**KINDS[kind])
    net = model.generators['zebra'].eval()
    torch.manual_seed(2)
    with torch.no_grad():
        for free in free_channels(net):
            norm = find_layer(net, free.norm)
            norm.bias.normal_(0, 0.2)
            norm.weight[torch.rand(len(norm.weight)) < 0.5] = 0
    save_student(path, model, source='GANSlimmingCycleGAN', image_size=64)
    return net


@pytest.fixture(scope='module', params=KINDS)
def extracted(request, tmp_path_factory):
    """Return the folder of a dense and an extracted student, and the dense
    network; extracted by the real command."""
    folder = tmp_path_factory.mktemp(request.param)
    net = slimmed_student(folder / 'dense.pth', request.param)
    run_here(
        'compress', folder / 'dense.pth', '--pruner', 'SlimExtraction', '--out', folder / 'slim'
    )
    return folder, net


def test_rebuilt_from_its_file(extracted):
    """Without pruning libraries, too: as in tests/models/test_student.py."""
    folder, net = extracted
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    small = load_student(folder / 'slim/student.pth')
    with torch.no_grad():
        assert (small(x) - net(x)).abs().max() <= 1e-5
    assert student_info(folder / 'slim/student.pth')['resources']['params'] < sum(
        p.numel() for p in net.parameters()
    )


def test_onnx_is_equal(extracted):
    folder, net = extracted
    onnxruntime = pytest.importorskip('onnxruntime')
    run_here('export', folder / 'slim/student.pth', '--size', 64, '--out', folder / 'onnx')
    session = onnxruntime.InferenceSession(
        str(folder / 'onnx/end2end.onnx'), providers=['CPUExecutionProvider']
    )
    x = np.random.default_rng(0).uniform(-1, 1, (1, 3, 64, 64)).astype('f4')
    (got,) = session.run(None, {session.get_inputs()[0].name: x})
    with torch.no_grad():  # of the dense network
        want = net(torch.from_numpy(x)).numpy()
    assert np.abs(got - want).max() <= 1e-4


def test_twice(extracted, monkeypatch):
    """Constants kept for a zero padding stay kept: nothing more goes."""
    folder, _ = extracted
    once = load_student(folder / 'slim/student.pth')
    config = once.meta['generator']
    alive = all(find_layer(once, free.norm).weight.all() for free in free_channels(once))
    if alive:
        assert 'no norm has a scale of 0' in refused_by_tool(
            'compress',
            folder / 'slim/student.pth',
            '--pruner',
            'SlimExtraction',
            '--out',
            folder / 'again',
            monkeypatch=monkeypatch,
        )
    else:
        again = SlimExtraction().compress(once, config)
        assert again.config == config


def test_a_student_that_was_extracted_whole_is_refused():
    net, config = slimmed('resnet', shifts=False)
    result = SlimExtraction().compress(net, config)
    assert not result.summary['kept'] and not result.summary['emptied']
    with pytest.raises(ValueError, match='no norm has a scale of 0'):
        SlimExtraction().compress(result.network, result.config)


@pytest.mark.parametrize('norm', ['BN', 'IN'])
def test_unets_lose_what_their_norms_zero(norm):
    """Along the graph, skips included; what only lost its scale stays."""
    pytest.importorskip('torch_pruning')
    config = dict(GENERATORS['unet'], norm_cfg=dict(type=norm, affine=True))
    net = seeded(build_generator(config))
    norms = [layer for layer in net.modules() if isinstance(layer, _NormBase)]
    with torch.no_grad():
        for layer in norms:
            layer.weight[:2] = 0
    with pytest.raises(ValueError, match='no norm has a channel of scale and'):
        SlimExtraction().compress(net, config)
    with torch.no_grad():
        for layer in norms:
            layer.bias[1] = 0
    result = SlimExtraction().compress(net, config)
    assert result.summary['removed'] == len(norms)
    assert result.summary['gap'] <= 1e-5
    x = torch.rand(1, 3, 64, 64) * 2 - 1
    twin = build_generator(result.config).eval()
    twin.load_state_dict(result.network.state_dict())
    with torch.no_grad():
        assert (net(x) - twin(x)).abs().max() <= 1e-5


def test_zeros_that_are_read_beside_their_norm():
    """The image tells, not the graph."""
    pytest.importorskip('torch_pruning')

    class Beside(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Conv2d(3, 8, 3, padding=1)
            self.norm = torch.nn.BatchNorm2d(8)
            self.last = torch.nn.Conv2d(8, 3, 1)

        def forward(self, x):
            x = self.first(x)
            return self.last(x + self.norm(x))

    net = seeded(Beside())
    with torch.no_grad():
        net.norm.weight[0] = net.norm.bias[0] = 0
    with pytest.raises(ValueError, match='reads them beside their norms'):
        SlimExtraction().compress(net, {})


@pytest.mark.parametrize('largest', [False, True])
def test_8_bits_before_and_after(largest):
    """GS-8: the float weights are extracted, and what is left rounds as the
    dense network did, unless a dead weight was the largest of its layer."""
    net, config = slimmed('resnet', shifts=False)
    with torch.no_grad():
        for free in free_channels(net):
            dead = find_layer(net, free.norm).weight == 0
            factor = 3.0 if largest else 0.01
            find_layer(net, free.writer).weight.transpose(
                0, int(find_layer(net, free.writer).transposed)
            )[dead] *= factor
            reader = find_layer(net, free.reader)
            reader.weight.transpose(0, int(not reader.transposed))[dead] *= factor
    trained = fake_quantize(copy.deepcopy(net))
    with pytest.raises(TypeError, match='defake_quantize'):
        SlimExtraction().compress(trained, config)
    result = SlimExtraction().compress(defake_quantize(copy.deepcopy(trained)), config)
    assert difference(net, result.network) <= 1e-5
    rounded = fake_quantize(copy.deepcopy(result.network))
    assert difference(rounded, result.network) > 1e-3
    torch.manual_seed(1)
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        gap = (trained(x) - rounded(x)).abs()
    # a sum in another order may cross the middle of a step here and there
    assert (gap.median() > 1e-3) == largest
    assert largest or gap.median() <= 1e-5
    image = random_image(net, torch.empty(1, 3, 256, 256))
    assert image.shape == (1, 3, 64, 64)
    with torch.no_grad():
        gap = (trained(image) - rounded(image)).abs()
    assert result.summary['gap_8_bits'] == gap.max()
