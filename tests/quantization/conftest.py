"""A student to quantize, and images for it."""

import pytest
import torch

from mmgan_compress import load_student
from mmgan_compress.deploy.onnx import write_onnx
from students import make_student

SIZE = 64


@pytest.fixture(scope='module')
def images():
    """Smooth images, as networks see them."""
    small = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    large = torch.nn.functional.interpolate(small, (SIZE, SIZE), mode='bilinear')
    return [x[None].numpy() * 2 - 1 for x in large]


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    """A student file; its network and its ONNX file."""
    folder = tmp_path_factory.mktemp('student')
    make_student(folder / 'student.pth', 'separable')
    net = load_student(folder / 'student.pth')
    write_onnx(net, folder / 'fp32.onnx', SIZE, {'domains': '[]'})
    return folder / 'student.pth', net, folder / 'fp32.onnx'
