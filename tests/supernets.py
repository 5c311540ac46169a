"""Small super-nets of all kinds, with weights that are not of noise's size."""

import torch
import torch.nn as nn

from golden import build

IMAGES = dict(in_channels=3, out_channels=3)
# three blocks and five levels: 8 and 5 numbers
SMALL = dict(
    separable=dict(type='mmgan_compress.SeparableResnetGenerator', base_channels=8, num_blocks=3),
    resnet=dict(
        type='ResnetGenerator',
        base_channels=8,
        num_blocks=3,
        norm_cfg=dict(type='IN', affine=True),
        **IMAGES,
    ),
    unet=dict(
        type='UnetGenerator', base_channels=8, num_down=5, norm_cfg=dict(type='BN'), **IMAGES
    ),
)
CASES = [
    ('separable', '6_8_4_6_8_4_6_4'),
    ('separable', '4_6_8_2_6_8'),
    ('resnet', '6_8_4_6_8_4_6_4'),
    ('unet', '6_8_4_2_6'),
    ('unet', '6_8_4_2_6_4_2_8_6'),
]


def separable(width, **kwargs):
    return dict(type='mmgan_compress.SeparableResnetGenerator', base_channels=width, **kwargs)


def supernet(arch, parts=8, **kwargs):
    return build('mmgan_compress.SuperNet', arch=arch, space=[[8, 6, 4]] * parts, **kwargs)


def filled(net):
    """Give all tensors values of the size of those of a trained network."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            fan = max(1, parameter[0].numel())
            parameter.copy_(torch.randn_like(parameter) * fan**-0.5)
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_()
                layer.running_var.uniform_(0.5, 2)
    return net


def photo(size=32, **kwargs):
    torch.manual_seed(1)
    return torch.rand(2, 3, size, size, **kwargs) * 2 - 1
