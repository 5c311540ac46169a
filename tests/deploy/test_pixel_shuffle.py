"""Convolutions in phases: the same picture, whatever the form of the file."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from mmgan_compress.deploy import formats
from mmgan_compress.deploy.formats import open_model
from mmgan_compress.deploy.graph import prepare
from mmgan_compress.deploy.onnx import traceable, write_onnx
from mmgan_compress.deploy.quantize_onnx import chosen_nodes, quantize
from mmgan_compress.deploy.rewrites import REWRITES, PhasedConv
from mmgan_compress.deploy.scales import layer_names
from mmgan_compress.deploy.targets import Target
from mmgan_compress.deploy.verify import from_levels, to_levels
from mmgan_compress.quantization.quantizers import rank
from students import make_model

pytestmark = pytest.mark.numerical

SIZE = 32
RGB = 'model.18'  # of the separable student with one block


def head(*args, pad=3, **kwargs):
    """Return what ends a generator, behind a layer that is left alone."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReflectionPad2d(pad),
        nn.Conv2d(6, *args, **kwargs),
        nn.Tanh(),
    ).eval()


def kinds(net):
    return [type(module) for module in net.modules()]


@pytest.mark.parametrize(
    'net',
    [
        head(3, 7),
        head(3, 7, bias=False),
        head(4, 7, padding=3, pad=0),
        head(1, 5, padding=1, pad=1),
        head(3, 3, pad=1),
        head(2, (5, 7), padding=(2, 3), pad=0),
    ],
)
def test_the_same_function(net):
    net = net.double()
    names = [name for name, _ in net.named_parameters()]
    ready = prepare(net.float(), 16, ['phases']).double()
    net.double()
    assert kinds(ready).count(PhasedConv) == 1
    assert PhasedConv not in kinds(net)
    assert [name for name, _ in ready.named_parameters()] == names
    for height, width in ((16, 16), (18, 32)):
        x = torch.randn(2, 3, height, width, dtype=torch.float64)
        torch.testing.assert_close(ready(x), net(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    'net',
    [
        head(3, 7, groups=3),
        head(3, 7, stride=2),
        head(3, 7, pad=6, dilation=2),
        head(3, 1, pad=0),
        head(5, 7),
        head(3, 7, padding='same', pad=0),
        head(3, 7, padding=3, pad=0, padding_mode='reflect'),
        head(3, 7, pad=2),
        nn.ConvTranspose2d(3, 3, 7, padding=3),
    ],
)
def test_left_alone(net):
    assert not REWRITES['phases'](net, 16, 16)


@pytest.mark.parametrize(
    'size, multiple, made', [(16, None, 1), (15, None, 0), (18, 1, 0), (18, 3, 0), (18, 2, 1)]
)
def test_odd_sides_are_left_alone(size, multiple, made):
    ready, _, _ = traceable(head(3, 7), size, multiple, rewrites=['phases'])
    assert kinds(ready).count(PhasedConv) == made


def test_what_is_called_twice():
    """A convolution that also gives another size has to stay."""

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 7, padding=3)

        def forward(self, x):
            return self.conv(x) + self.conv(x[..., :-1, :-1]).mean()

    assert not REWRITES['phases'](Twice(), 16, 16)


# --- students ---------------------------------------------------------------
@pytest.fixture(scope='module')
def net():
    # a width of 4 would let the first layer be phased, too
    return make_model('separable', base_channels=8, num_blocks=1).generators['zebra'].eval()


@pytest.fixture(scope='module')
def files(net, tmp_path_factory):
    """Its ONNX file, plain and in phases."""
    folder = tmp_path_factory.mktemp('phases')
    for name, rewrites in (('plain', []), ('phased', ['phases'])):
        write_onnx(net, folder / f'{name}.onnx', SIZE, {}, rewrites=rewrites)
    return folder / 'plain.onnx', folder / 'phased.onnx'


@pytest.fixture(scope='module')
def images():
    small = torch.rand(4, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    large = nn.functional.interpolate(small, (SIZE, SIZE), mode='bilinear')
    return [x[None].numpy() * 2 - 1 for x in large]


def call(net, x):
    with torch.no_grad():
        return net(torch.from_numpy(x)).numpy()


def run(path, x):
    session = onnxruntime.InferenceSession(str(path))
    return session.run(None, {'input': x})[0]


def test_the_same_file_but_for_the_shuffle(files, images):
    np.testing.assert_allclose(*(run(file, images[0]) for file in files), rtol=0, atol=1e-5)
    plain, laid_out = (onnx.load(file) for file in files)
    assert layer_names(plain) == layer_names(laid_out)
    found = [node.op_type for node in laid_out.graph.node]
    assert found.count('DepthToSpace') == 1
    assert 'DepthToSpace' not in [n.op_type for n in plain.graph.node]


@pytest.mark.parametrize(
    'multiple, uint8', [(None, True), pytest.param(4, False, marks=pytest.mark.slow), (4, True)]
)
def test_forms_of_files(multiple, uint8, net, tmp_path):
    write_onnx(net, tmp_path / 'a.onnx', SIZE, {}, multiple, uint8, rewrites=['phases'])
    kinds = [n.op_type for n in onnx.load(tmp_path / 'a.onnx').graph.node]
    assert kinds.count('DepthToSpace') == 1
    shape = (2, 3, 36, 44) if multiple else (1, 3, SIZE, SIZE)
    x = torch.rand(shape).numpy() * 2 - 1
    if uint8:
        levels = to_levels(x)
        expected = to_levels(call(net, from_levels(levels)))
        found = run(tmp_path / 'a.onnx', levels)
        # values between two levels may fall to either side
        assert abs(found.astype(int) - expected).max() <= 1
        assert (found != expected).mean() < 1e-3
    else:
        np.testing.assert_allclose(run(tmp_path / 'a.onnx', x), call(net, x), atol=1e-4)


@pytest.mark.parametrize(
    'backend, rewrites',
    [
        ('torchscript', ()),
        ('torchscript', ('phases',)),
        pytest.param('torch-export', (), marks=pytest.mark.slow),
        ('torch-export', ('phases',)),
    ],
)
def test_backends_choose(backend, rewrites, net, tmp_path, monkeypatch):
    row = formats.FORMATS[backend]._replace(rewrites=rewrites)
    monkeypatch.setitem(formats.FORMATS, backend, row)
    job = formats.Job(net, Target(backend, dynamic=True), SIZE, 4, {}, tmp_path)
    seen = []
    monkeypatch.setattr(
        formats,
        'traceable',
        lambda *args, real=formats.traceable: seen.append(real(*args)) or seen[-1],
    )
    formats.FORMATS[backend].write(job)
    assert (PhasedConv in kinds(seen[0][0])) is bool(rewrites)
    model = open_model(tmp_path / f'end2end{formats.FORMATS[backend].suffixes[0]}', trust=True)
    x = torch.rand(3, 3, 40, 36).numpy() * 2 - 1
    np.testing.assert_allclose(model.run(x), call(net, x), atol=1e-4)


def test_who_gains():
    """Measured; ncnn is slower, and a GPU has no lanes to fill."""
    assert {name for name, row in formats.FORMATS.items() if 'phases' in row.rewrites} == {
        'onnxruntime',
        'openvino',
        'torchscript',
        'torch-export',
        'inductor',
        'web',
        'litert',
        'executorch',
        'mnn',
    }


# --- 8 bits -----------------------------------------------------------------
def test_the_rgb_layer_stays_float(files, images, tmp_path):
    made = []
    for file in files:
        nodes = chosen_nodes(onnx.load(file), ['first', 'rgb', 'norms'])
        out = tmp_path / file.name
        made.append((quantize(file, out, images), run(out, images[0])))
        assert nodes == made[-1][0]
        weights = {t.name: t.data_type for t in onnx.load(out).graph.initializer}
        assert weights[f'{RGB}.weight'] == onnx.TensorProto.FLOAT
    assert made[0][0] == made[1][0]
    np.testing.assert_allclose(made[0][1], made[1][1], atol=1e-4)


def test_the_rgb_layer_in_8_bits(files, images, tmp_path):
    made = []
    for file in files:
        out = tmp_path / file.name
        quantize(file, out, images, dict(skip=['first', 'norms']))
        made.append(run(out, images[0]))
    np.testing.assert_allclose(*made, atol=1e-4)
    rows = rank(onnx.load(files[1]), images, {}, dict(skip=['first', 'norms']))
    assert RGB in [row.layer for row in rows]


@pytest.mark.parametrize(
    'outputs', [pytest.param({}, marks=pytest.mark.slow), dict(output=[0.02, 120])]
)
def test_scales_that_were_learnt(outputs, net, files, images, tmp_path):
    """Each of the four channels of a filter has the scale of the filter."""
    tops = net.get_submodule(RGB).weight.detach().flatten(1).abs().amax(1)
    entry = dict(weight=(tops / 50).tolist(), input=[0.01, 10], **outputs)
    made = []
    for rewrites in ((), ('phases',)):
        path = tmp_path / f'{len(rewrites)}.onnx'
        write_onnx(net, path, SIZE, {}, rewrites=rewrites, scales={RGB: entry})
        made.append(run(path, images[0]))
    np.testing.assert_allclose(*made, atol=1e-5)
    assert abs(made[0] - run(files[0], images[0])).max() > 1e-3
    with pytest.raises(ValueError, match='2 scales.*12 filters'):
        write_onnx(net, path, SIZE, {}, rewrites=rewrites, scales={RGB: dict(weight=[1.0, 1.0])})
    with pytest.raises(ValueError, match='8 scales.*32 filters'):
        write_onnx(
            net, path, SIZE, {}, rewrites=rewrites, scales={'model.7': dict(weight=[1.0] * 8)}
        )
