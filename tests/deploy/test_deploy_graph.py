"""What networks become on their way to a runtime, and how it is timed."""

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from mmgan_compress.deploy import quantize_onnx as half
from mmgan_compress.deploy.formats import convert_for_timing, open_model
from mmgan_compress.deploy.graph import prepare
from mmgan_compress.deploy.onnx import write_onnx
from mmgan_compress.deploy.quantize_onnx import to_half
from mmgan_compress.deploy.verify import (
    Exact,
    Limits,
    ParityError,
    compare,
    limits,
    sample_inputs,
    similarity,
)
from mmgan_compress.models.slim import slim_config
from mmgan_compress.models.student_config import build_generator
from mmgan_compress.registry import PRUNERS

pytestmark = pytest.mark.numerical

NETWORKS = {
    'resnet': dict(
        type='ResnetGenerator',
        in_channels=3,
        out_channels=3,
        base_channels=8,
        num_blocks=2,
        use_dropout=True,
    ),
    'unet': dict(
        type='UnetGenerator',
        in_channels=3,
        out_channels=3,
        base_channels=8,
        num_down=6,
        use_dropout=True,
    ),
    'separable': dict(type='SeparableResnetGenerator', base_channels=8, num_blocks=2),
    'deep': dict(type='DeepSeparableResnetGenerator', base_channels=8, num_blocks=2),
}
AFFINE = dict(type='IN', affine=True)


# each network and each norm, whole or slim
QUICK = [('resnet', False), ('unet', True), ('deep', False), ('separable-affine', True)]
OTHERS = [
    (name, slim)
    for name in (*NETWORKS, 'resnet-affine', 'separable-affine')
    for slim in (False, True)
    if (name, slim) not in QUICK
]


@pytest.mark.parametrize(
    'name, slim', [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in OTHERS)]
)
def test_every_network_to_onnx(name, slim, tmp_path):
    kind, _, affine = name.partition('-')
    config = dict(NETWORKS[kind], **(dict(norm_cfg=AFFINE) if affine else {}))
    net = build_generator(config).eval()
    if slim:
        pytest.importorskip('torch_pruning')
        pruner = PRUNERS.build(dict(type='mmgan_compress.TorchPruner', ratio=0.3))
        small = pruner.prune(net, torch.zeros(1, 3, 64, 64))[0]
        config = slim_config(small, config)
        assert config['type'] == 'mmgan_compress.SlimNetwork'
        net = build_generator(config).eval()
    for module in net.modules():
        if getattr(module, 'running_var', None) is not None:
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    write_onnx(net, tmp_path / 'net.onnx', 64, {})
    kinds = {n.op_type for n in onnx.load(tmp_path / 'net.onnx').graph.node}
    assert not kinds & {'BatchNormalization', 'Dropout'}
    # flat images through many fused norms: export_student writes those out
    compare(
        Exact(net),
        open_model(tmp_path / 'net.onnx').run,
        sample_inputs(64, 64, False, []),
        Limits(1e-3),
        'onnxruntime',
    )


def test_prepare_folds_and_keeps_the_network():
    net = build_generator(NETWORKS['unet']).eval()
    for module in net.modules():
        if getattr(module, 'running_var', None) is not None:
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    ready = prepare(net, 64)
    kinds = {type(module) for module in ready.modules()}
    assert not kinds & {torch.nn.BatchNorm2d, torch.nn.Dropout, torch.nn.Dropout2d}
    x = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(ready(x), net(x), rtol=1e-4, atol=1e-5)
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key])
    with pytest.raises(ValueError, match='train mode'):
        prepare(net.train(), 64)


class Skipping(torch.nn.Module):
    """A norm of a map that is also added behind it, as in a block of GauGAN."""

    def __init__(self):
        super().__init__()
        self.stem, self.inner = torch.nn.Conv2d(3, 3, 3, padding=1), torch.nn.Conv2d(3, 3, 1)
        self.norms = torch.nn.ModuleList(torch.nn.BatchNorm2d(3) for _ in range(2))
        for norm in self.norms:
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        x = self.stem(x)
        return torch.tanh(x + self.norms[1](self.inner(torch.relu(self.norms[0](x)))))


def test_norm_of_a_map_that_is_read_elsewhere_stays():
    net = Skipping().eval()
    ready = prepare(net, 16)
    assert isinstance(ready.norms[0], torch.nn.BatchNorm2d)
    assert isinstance(ready.norms[1], torch.nn.Identity)
    x = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(ready(x), net(x), rtol=1e-4, atol=1e-5)


class Loud(torch.nn.Module):
    """An instance norm whose squares leave half precision."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 3, 1)
        self.norm = torch.nn.InstanceNorm2d(3)
        torch.nn.init.constant_(self.conv.weight, 300.0)

    def forward(self, x):
        return torch.tanh(self.norm(self.conv(x)))


@pytest.mark.parametrize('norms', ['fused', 'staged', 'tiled'])
def test_norms_stay_in_single_precision(norms, tmp_path, monkeypatch):
    net = Loud().eval()
    samples = sample_inputs(64, 1, False, [])
    write_onnx(net, tmp_path / 'a.onnx', 64, {}, rewrites=[norms])
    single = (tmp_path / 'a.onnx').read_bytes()
    to_half(tmp_path / 'a.onnx')
    compare(Exact(net), open_model(tmp_path / 'a.onnx').run, samples, limits('fp16'), 'onnxruntime')
    weights = {
        str(onnx.numpy_helper.to_array(w).dtype)
        for w in onnx.load(tmp_path / 'a.onnx').graph.initializer
    }
    assert 'float16' in weights
    if norms != 'staged':
        return

    def in_half(x):  # ONNX Runtime on a CPU computes half in single
        return ReferenceEvaluator(str(tmp_path / 'a.onnx')).run(None, {'input': x})[0]

    compare(Exact(net), in_half, samples, limits('fp16'), 'onnx')
    (tmp_path / 'a.onnx').write_bytes(single)
    options = dict(keep_io_types=True, op_block_list=[])
    (tmp_path / 'all.py').write_text(f'backend_config = dict(common_config={options})')
    monkeypatch.setattr(half, 'SINGLE', tmp_path / 'all.py')
    to_half(tmp_path / 'a.onnx')
    with pytest.raises(ParityError), np.errstate(all='ignore'):
        compare(Exact(net), in_half, samples, limits('fp16'), 'onnx')


@pytest.mark.parametrize('runtime', ['eager', 'onnxruntime', 'openvino'])
def test_convert_for_timing(runtime):
    net = build_generator(dict(NETWORKS['resnet'], norm_cfg=AFFINE)).eval()
    model = convert_for_timing(net, 32, runtime, threads=1)
    x = torch.rand(1, 3, 32, 32)
    np.testing.assert_allclose(model.run(x.numpy()), net(x).detach(), atol=1e-4)
    with pytest.raises(ValueError, match='tflite'):
        convert_for_timing(net, 32, 'tflite')


def test_similarity():
    # it needs what the package does to torchvision
    from torchmetrics.functional.image import structural_similarity_index_measure

    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, 32, 32))
    assert similarity(image, image) == 1
    for other in (-image, image + 0.02, np.where(image > 0, image, 0.3)):
        right = structural_similarity_index_measure(
            torch.from_numpy(other), torch.from_numpy(image), data_range=2.0
        )
        assert similarity(image, other) == pytest.approx(right.item(), abs=2e-6)
    assert similarity(image, image[..., :16]) == 0
