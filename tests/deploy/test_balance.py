"""Balanced inputs of convolutions: the same sums, and finer ones in 8 bits."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from mmgan_compress.deploy import quantize_onnx
from mmgan_compress.deploy.balance import balance, balance_factors
from mmgan_compress.deploy.formats import Job
from mmgan_compress.deploy.graph import prepare
from mmgan_compress.deploy.onnx import write_onnx
from mmgan_compress.deploy.quantize_onnx import calibrated_scales, quantize
from mmgan_compress.deploy.scales import to_integers
from mmgan_compress.deploy.targets import Target
from mmgan_compress.deploy.verify import difference

pytestmark = pytest.mark.numerical

SIDE, ALL = 16, dict(skip=['norms'])


class Kinds(nn.Module):
    """Every kind of convolution, reading channels of ranges from 0 to 50."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.grouped = nn.Conv2d(8, 12, 3, padding=1, groups=2)
        self.dense = nn.Conv2d(12, 8, 1)
        self.transposed = nn.ConvTranspose2d(8, 6, 4, 2, 1)
        self.last = nn.Conv2d(6, 3, 3, padding=1)
        with torch.no_grad():
            for layer, reader in ((self.first, self.depthwise), (self.dense, self.transposed)):
                layer.weight[0] *= 50
                layer.weight[1:3] = layer.bias[1:3] = 0  # channels that are never used
                reader.weight[0] /= 50

    def forward(self, x):
        x = self.first(x).relu()
        x = self.grouped(self.depthwise(x))
        return self.last(self.transposed(self.dense(x))).tanh()


@pytest.fixture(scope='module')
def net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Kinds().eval()


@pytest.fixture(scope='module')
def images():
    draw = np.random.default_rng(0)
    return [draw.uniform(-1, 1, (1, 3, SIDE, SIDE)).astype(np.float32) for _ in range(4)]


@pytest.fixture(scope='module')
def fp32(net, tmp_path_factory):
    path = tmp_path_factory.mktemp('balance') / 'fp32.onnx'
    write_onnx(net, path, SIDE, {})
    return path


def run(model, x):
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {'input': x})[0]


def test_the_same_sums(fp32, images):
    model = onnx.load(fp32)
    nodes = [node.name for node in model.graph.node if node.op_type.startswith('Conv')]
    factors = balance_factors(model, nodes, [(x,) for x in images], top=127)
    assert len(nodes) == 6 and {nodes[1], nodes[4]} <= set(factors)
    depthwise = factors[nodes[1]]
    # the widest, and what no image tells about, stay as they are
    assert (depthwise[:3] == 1).all() and (depthwise[3:] > 5).all()
    before = run(model, images[0])
    balance(model, factors)
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node].count('Mul') == len(factors)
    assert run(model, images[0]) == pytest.approx(before, abs=1e-6)


def test_less_is_lost(net, fp32, images, tmp_path, monkeypatch):
    """The convolution alone whose channels differ most."""
    rest = ['norms', 'first', 'grouped', 'dense', 'transposed', 'rgb']
    with torch.no_grad():
        expected = net(torch.from_numpy(images[0])).numpy()

    def lost(name):
        quantize(fp32, tmp_path / name, images, dict(skip=rest))
        return difference(expected, run(onnx.load(tmp_path / name), images[0]))[1]

    balanced = lost('balanced.onnx')
    monkeypatch.setattr(quantize_onnx, 'balance_factors', lambda *_: {})
    assert balanced > lost('plain.onnx') + 10


def test_torch_computes_what_the_file_does(net, fp32, images, tmp_path):
    quantize(fp32, tmp_path / 'int8.onnx', images, ALL)
    integers = prepare(net, SIDE)
    to_integers(integers, calibrated_scales(net, SIDE, False, images, ALL))
    with torch.no_grad():
        in_torch = integers(torch.from_numpy(images[0])).numpy()
    in_file = run(onnx.load(tmp_path / 'int8.onnx'), images[0])
    assert difference(in_torch, in_file)[1] > 55


def test_scales_of_a_student_are_for_its_own_inputs(net, images, tmp_path):
    """What calibration finds for the outputs brings no factors for inputs."""
    own = dict(depthwise=dict(weight=[0.01] * 8, input=[0.5, 0]))
    settings = dict(quantization_config=dict(scales=own))
    calibration = [(x,) for x in images]
    for target in (Target('litert', 'int8', settings=settings), Target('litert', 'int8')):
        job = Job(net, target, SIDE, 1, {}, tmp_path, calibration)
        entry = job.scales(find=True)['depthwise']
        assert 'output' in entry
        assert ('balance' in entry) == (not target.settings)
