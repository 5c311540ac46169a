"""Networks and proofs that the tests of pruners share."""

import os
import subprocess
import sys

import torch
import torch.nn as nn

from golden import build
from mmgan_compress.core.channels import channel_map
from mmgan_compress.models.student import Student
from mmgan_compress.pruning.dependencies import channel_groups
from mmgan_compress.pruning.slicing import difference, masked
from mmgan_compress.pruning.workflow import compress_source, write_results

RGB = dict(in_channels=3, out_channels=3)
AFFINE = dict(type='IN', affine=True)
RESNET = dict(RGB, type='ResnetGenerator', base_channels=4, num_blocks=2)
MOBILE = dict(type='mmgan_compress.SeparableResnetGenerator', base_channels=4, num_blocks=2)
UNET = dict(RGB, type='UnetGenerator', base_channels=4, num_down=6)
CONFIGS = {
    'resnet': RESNET,
    'mobile': MOBILE,
    'unet-bn': UNET,
    'unet-in': dict(UNET, norm_cfg=dict(type='IN')),
    'affine': dict(RESNET, norm_cfg=AFFINE),
    'mobile-affine': dict(MOBILE, norm_cfg=AFFINE),
}
SCALED = ('unet-bn', 'affine', 'mobile-affine')  # norms with weights
SIZE = 64
CACHE = {}


def seeded(net, seed=0):
    """Give a network weights that differ in importance, and gradients."""
    torch.manual_seed(seed)
    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(layer.weight)
            last = layer
        elif getattr(layer, 'weight', None) is not None:
            layer.weight.data.uniform_(0.2, 1.5)
            layer.bias.data.normal_()
            if getattr(layer, 'running_var', None) is not None:
                layer.running_mean.normal_(0, 0.5)
                layer.running_var.uniform_(0.5, 2)
    last.weight.data *= 0.1  # tanh shall not hide differences
    for parameter in net.parameters():
        parameter.grad = torch.randn_like(parameter)
    return net.eval()


def image(size=SIZE):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(1, 3, size, size, generator=generator) * 2 - 1


def network(name):
    """Return a network, made once, and its groups."""
    if name not in CACHE:
        net = seeded(build(**CONFIGS[name]))
        CACHE[name] = net, channel_groups(net, image())
    return CACHE[name]


def budget(value, kind='macs'):
    return {kind: value, 'size': SIZE}


def check_small(net, small, kept):
    """Assert that a network is the wide one with channels cut out."""
    assert difference(masked(net, kept), small, image()) <= 1e-5
    widths = channel_map(small)
    assert list(widths.values())[-1][1] == 3
    assert min(min(counts) for counts in widths.values()) >= 1
    for name, layer in small.named_modules():
        if hasattr(layer, 'num_features'):
            assert [layer.num_features] == widths[name]


def check_elsewhere(folder, pruner, hidden, name='unet-bn', **options):
    """Assert that a student runs, and exports, where libraries are not.

    Args:
        folder (Path): To write into.
        pruner (str): Name in the registry.
        hidden (Sequence[str]): Modules whose import fails there.
        name (str): Network, a key of ``CONFIGS``.
        options: Of the pruner.
    """
    net, _ = network(name)
    source = Student(
        dict(zebra=net), dict(zebra=CONFIGS[name]), ['horse', 'zebra'], 'zebra', SIZE, 'Test'
    )
    results = compress_source(source, pruner, dict(zebra=budget(0.5)), options)
    write_results(folder, source, results, pruner, SIZE)
    code = f"""
import sys, torch
for name in {list(hidden)}:
    sys.modules[name] = None  # an import of it would fail
from mmgan_compress import load_student
from mmgan_compress.deploy.export import export_student
image = torch.load('image.pth', weights_only=True)
with torch.no_grad():
    torch.save(load_student('student.pth')(image), 'output.pth')
export_student('student.pth', 'onnx', tolerance=1e-5)
"""
    torch.save(image(), folder / 'image.pth')
    path = os.pathsep.join(sys.path)
    subprocess.run(
        [sys.executable, '-c', code],
        cwd=folder,
        check=True,
        env=dict(os.environ, PYTHONPATH=path),
        timeout=300,
    )
    output = torch.load(folder / 'output.pth', weights_only=True)
    with torch.no_grad():
        expected = results['zebra'].network.eval()(image())
    assert (output - expected).abs().max() <= 1e-6
    assert (folder / 'onnx' / 'end2end.onnx').is_file()
