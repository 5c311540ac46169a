"""Parts that the generators and discriminators are put together from.

Children are kept in ``nn.Sequential`` at the positions that they have in the
original repositories (OMGD, GAN Compression): layer names in configs and
checkpoints are then those of the papers' code. No activation is in-place,
because forward hooks read the layers in front of them.
"""

import torch.nn as nn
from mmcv.cnn import build_norm_layer
from torch import Tensor


def normal_init(init_cfg: dict | list | None) -> dict | list:
    """Spell mmagic's ``dict(type='normal', gain=0.02)`` for mmengine.

    mmagic interprets it in each generator's ``init_weights``, which draws
    anew at every call; mmengine's own initializers do so once, and know
    ``'Pretrained'`` and all other types.

    Args:
        init_cfg (dict | list | None): As for mmagic's or mmengine's modules;
            None is ``dict(type='normal', gain=0.02)``.

    Returns:
        dict | list: Convolutions N(0, gain), batch norm N(1, gain), biases
        0; any other type as it was.
    """
    init_cfg = dict(type='normal') if init_cfg is None else init_cfg
    if not isinstance(init_cfg, dict) or init_cfg['type'] != 'normal':
        return init_cfg
    gain = init_cfg.get('gain', 0.02)
    return [
        dict(type='Normal', layer=['Conv2d', 'ConvTranspose2d'], std=gain),
        dict(type='Normal', layer='_BatchNorm', mean=1.0, std=gain),
    ]


# of ImageNet's images in [0, 1]
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def imagenet_normalized(image: Tensor) -> Tensor:
    """Return RGB images in [-1, 1] with ImageNet's mean and deviation."""
    mean, deviation = (image.new_tensor(part)[:, None, None] for part in (_MEAN, _DEVIATION))
    return ((image + 1) / 2 - mean) / deviation


def conv_norm(conv: nn.Module, norm_cfg: dict, act: bool = True) -> list:
    """Return [conv, norm] or [conv, norm, ReLU] as a list of layers."""
    layers = [conv, build_norm_layer(norm_cfg, conv.out_channels)[1]]
    return [*layers, nn.ReLU()] if act else layers


def needs_bias(norm_cfg: dict) -> bool:
    """Tell whether a convolution in front of the norm has a bias.

    As in mmagic and the original repositories: instance norm only.
    """
    return norm_cfg['type'] == 'IN'


class SeparableConv(nn.Module):
    """Depthwise k x k, instance norm, pointwise 1x1.

    The norm is a non-affine instance norm and both convolutions are biased,
    whatever norm the network around it has (GAN Compression).

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        padding (int): Of the depthwise convolution.
        kernel_size (int): Of the depthwise convolution, k.
    """

    def __init__(self, in_channels: int, out_channels: int, padding: int = 0, kernel_size: int = 3):
        super().__init__()
        self.out_channels = out_channels
        self.conv = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, kernel_size, padding=padding, groups=in_channels),
            nn.InstanceNorm2d(in_channels),
            nn.Conv2d(in_channels, out_channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, H, W) to (N, out, H', W'), H' = H - k + 1 + 2 padding."""
        return self.conv(x)


class ResidualBlock(nn.Module):
    """Add to the input what the given layers make of it.

    Args:
        layers (list[nn.Module]): They keep the shape of their input.
    """

    def __init__(self, layers: list):
        super().__init__()
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape; no activation at the end."""
        return x + self.conv_block(x)


def separable_block(channels: int, norm_cfg: dict, dropout: float) -> ResidualBlock:
    """Return the residual block of the "mobile" ResNet generators."""
    return ResidualBlock(
        [
            nn.ReflectionPad2d(1),
            *conv_norm(SeparableConv(channels, channels), norm_cfg),
            nn.Dropout(dropout),
            nn.ReflectionPad2d(1),
            *conv_norm(SeparableConv(channels, channels), norm_cfg, act=False),
        ]
    )


def expansion_block(channels: int, norm_cfg: dict, dropout: float) -> ResidualBlock:
    """Return the block of OMGD's deeper teachers: full convolutions at four
    times the channels.

    The padding comes before the first 1x1 convolution, so that the norm
    behind it sees the padded map.
    """
    wide, bias = 4 * channels, needs_bias(norm_cfg)
    return ResidualBlock(
        [
            nn.ReflectionPad2d(1),
            *conv_norm(nn.Conv2d(channels, wide, 1, bias=bias), norm_cfg),
            *conv_norm(nn.Conv2d(wide, wide, 3, bias=bias), norm_cfg),
            *conv_norm(nn.Conv2d(wide, channels, 1, bias=bias), norm_cfg),
            nn.Dropout(dropout),
            nn.ReflectionPad2d(1),
            *conv_norm(nn.Conv2d(channels, channels, 3, bias=bias), norm_cfg, act=False),
        ]
    )
