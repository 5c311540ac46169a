"""Generators that mmagic does not have: separable, deep and resizing ResNets, a deep U-Net."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmagic.models.editors.cyclegan import ResnetGenerator
from mmengine.model import BaseModule
from torch import Tensor

from ..core.messages import check_range
from ..registry import MODELS
from .blocks import conv_norm, expansion_block, needs_bias, normal_init, separable_block

_SLOPE = 0.2


def _down4(in_channels: int, out_channels: int, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 4, 2, padding=1, bias=bias)


def _up4(in_channels: int, out_channels: int, bias: bool) -> nn.Module:
    return nn.ConvTranspose2d(in_channels, out_channels, 4, 2, padding=1, bias=bias)


class SkipLevel(nn.Module):
    """One level of a U-Net, with all levels below it inside.

    Args:
        layers (list[nn.Module]): From the first LeakyReLU of the level to
            the last layer before the concatenation.
    """

    def __init__(self, layers: list):
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C + C', H, W)."""
        # The skip carries LeakyReLU(x): in the original code the level's
        # first, in-place, activation overwrites x. Without a ReLU between,
        # the expansion blocks of the outermost level see the difference.
        return torch.cat([F.leaky_relu(x, _SLOPE), self.model(x)], 1)


@MODELS.register_module()
class DeepUnetGenerator(BaseModule):
    """U-Net with two expansion blocks per level and direction.

    ``unet_deepest_256`` of OMGD (arXiv 2108.06908), with its layer names
    (``model.model.3`` is the first level below the outermost one).

    Args:
        in_channels (int): Channels of the input image.
        out_channels (int): Channels of the output image.
        num_down (int): Number of levels, at least 5; with 8 an image of
            256x256 becomes 1x1 in the innermost one.
        base_channels (int): Channels behind the first convolution.
        norm_cfg (dict): Norm layer.
        use_dropout (bool): Dropout with rate 0.5 in the inner levels, those
            of 8 times the base channels on both sides.
        init_cfg (dict | list | None): mmagic's ``dict(type='normal',
            gain=...)``, the default with gain 0.02, or any of mmengine's
            (``'Pretrained'``).

    Raises:
        ValueError: If ``num_down`` is less than 5.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        num_down: int = 8,
        base_channels: int = 16,
        norm_cfg: dict = dict(type='BN'),  # noqa: B006
        use_dropout: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(normal_init(init_cfg))
        check_range('num_down', num_down, 5)  # four levels widen, one is the innermost
        bias = needs_bias(norm_cfg)
        widths = [base_channels * min(2**i, 8) for i in range(num_down)]
        level = self._innermost(widths[-2], widths[-1], norm_cfg)
        for i in range(num_down - 2, 0, -1):
            dropout = 0.5 if use_dropout and i >= 4 else 0.0
            level = self._middle(widths[i - 1], widths[i], level, norm_cfg, dropout)
        width = widths[0]
        outermost = [
            _down4(in_channels, width, bias),
            expansion_block(width, norm_cfg, 0.0),
            expansion_block(width, norm_cfg, 0.0),
            level,
            expansion_block(2 * width, norm_cfg, 0.0),
            expansion_block(2 * width, norm_cfg, 0.0),
            nn.ReLU(),
            _up4(2 * width, out_channels, True),
            nn.Tanh(),
        ]
        self.model = nn.Sequential()
        self.model.add_module('model', nn.Sequential(*outermost))

    @staticmethod
    def _innermost(outer: int, inner: int, norm_cfg: dict) -> SkipLevel:
        bias = needs_bias(norm_cfg)
        return SkipLevel(
            [
                nn.LeakyReLU(_SLOPE),
                _down4(outer, inner, bias),
                nn.ReLU(),
                *conv_norm(_up4(inner, outer, bias), norm_cfg, act=False),
            ]
        )

    @staticmethod
    def _middle(
        outer: int, inner: int, level: SkipLevel, norm_cfg: dict, dropout: float
    ) -> SkipLevel:
        bias = needs_bias(norm_cfg)
        return SkipLevel(
            [
                nn.LeakyReLU(_SLOPE),
                *conv_norm(_down4(outer, inner, bias), norm_cfg, act=False),
                expansion_block(inner, norm_cfg, dropout),
                expansion_block(inner, norm_cfg, dropout),
                level,
                nn.ReLU(),
                *conv_norm(_up4(2 * inner, outer, bias), norm_cfg, act=False),
                expansion_block(outer, norm_cfg, dropout),
                expansion_block(outer, norm_cfg, dropout),
                nn.Dropout(dropout),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Translate images.

        Args:
            x (Tensor): (N, in_channels, H, W) in [-1, 1]; H and W multiples
                of 2 ** num_down.

        Returns:
            Tensor: (N, out_channels, H, W) in [-1, 1].
        """
        return self.model(x)


def _stem(in_channels: int, width: int, norm_cfg: dict) -> list:
    conv = nn.Conv2d(in_channels, width, 7, bias=needs_bias(norm_cfg))
    return [nn.ReflectionPad2d(3), *conv_norm(conv, norm_cfg)]


def _conv3(width: int, out: int, norm_cfg: dict, stride: int = 1) -> list:
    conv = nn.Conv2d(width, out, 3, stride, padding=1, bias=needs_bias(norm_cfg))
    return conv_norm(conv, norm_cfg)


def _up(width: int, norm_cfg: dict) -> list:
    conv = nn.ConvTranspose2d(
        width, width // 2, 3, stride=2, padding=1, output_padding=1, bias=needs_bias(norm_cfg)
    )
    return conv_norm(conv, norm_cfg)


def _head(width: int, out_channels: int) -> list:
    return [nn.ReflectionPad2d(3), nn.Conv2d(width, out_channels, 7), nn.Tanh()]


@MODELS.register_module()
class SeparableResnetGenerator(BaseModule):
    """ResNet generator with separable convolutions in its residual blocks.

    ``mobile_resnet_9blocks`` of GAN Compression (arXiv 2003.08936) and OMGD
    (arXiv 2108.06908), with its layer names: for nine blocks ``model.9`` is
    the ReLU behind the second down-sampling and ``model.10`` to ``model.18``
    are the blocks.

    Args:
        in_channels (int): Channels of the input image.
        out_channels (int): Channels of the output image.
        base_channels (int): Channels behind the first convolution.
        norm_cfg (dict): Norm layer outside the separable convolutions.
        num_blocks (int): Number of residual blocks.
        dropout (float): Dropout rate in the residual blocks.
        init_cfg (dict | list | None): mmagic's ``dict(type='normal',
            gain=...)``, the default with gain 0.02, or any of mmengine's
            (``'Pretrained'``).
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        base_channels: int = 64,
        norm_cfg: dict = dict(type='IN'),  # noqa: B006
        num_blocks: int = 9,
        dropout: float = 0.0,
        init_cfg: dict | None = None,
    ):
        super().__init__(normal_init(init_cfg))
        width = base_channels
        self.model = nn.Sequential(
            *_stem(in_channels, width, norm_cfg),
            *_conv3(width, 2 * width, norm_cfg, stride=2),
            *_conv3(2 * width, 4 * width, norm_cfg, stride=2),
            *[separable_block(4 * width, norm_cfg, dropout) for _ in range(num_blocks)],
            *_up(4 * width, norm_cfg),
            *_up(2 * width, norm_cfg),
            *_head(width, out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Translate images.

        Args:
            x (Tensor): (N, in_channels, H, W) in [-1, 1]; H and W multiples
                of 4.

        Returns:
            Tensor: (N, out_channels, H, W) in [-1, 1].
        """
        return self.model(x)


@MODELS.register_module()
class DeepSeparableResnetGenerator(BaseModule):
    """OMGD's deeper ResNet teacher: separable blocks and expansion blocks.

    ``mobile_deepest_resnet`` of OMGD (arXiv 2108.06908), with its layer
    names (``model.0`` to ``model.45`` for nine blocks). Its expansion blocks
    make it costly: 18.2 G MACs at 16 base channels and 256x256.

    Args:
        in_channels (int): Channels of the input image.
        out_channels (int): Channels of the output image.
        base_channels (int): Channels behind the first convolution.
        norm_cfg (dict): Norm layer outside the separable convolutions.
        num_blocks (int): Number of separable blocks; the first half stands
            before the two expansion blocks of the trunk.
        dropout (float): Dropout rate in all blocks.
        init_cfg (dict | list | None): As for
            :class:`SeparableResnetGenerator`.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        base_channels: int = 16,
        norm_cfg: dict = dict(type='IN'),  # noqa: B006
        num_blocks: int = 9,
        dropout: float = 0.0,
        init_cfg: dict | None = None,
    ):
        super().__init__(normal_init(init_cfg))

        def expanded(width: int) -> list:
            return [expansion_block(width, norm_cfg, dropout), *_conv3(width, width, norm_cfg)]

        def repeat(block, count: int) -> list:
            trunk = 4 * base_channels
            return [block(trunk, norm_cfg, dropout) for _ in range(count)]

        width, half = base_channels, num_blocks // 2
        self.model = nn.Sequential(
            *_stem(in_channels, width, norm_cfg),
            *_conv3(width, 2 * width, norm_cfg, stride=2),
            *expanded(2 * width),
            *_conv3(2 * width, 4 * width, norm_cfg, stride=2),
            *expanded(4 * width),
            *repeat(separable_block, half),
            *repeat(expansion_block, 2),
            *repeat(separable_block, num_blocks - half),
            *_up(4 * width, norm_cfg),
            *expanded(2 * width),
            *_up(2 * width, norm_cfg),
            *expanded(width),
            *_head(width, out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Translate images.

        Args:
            x (Tensor): (N, in_channels, H, W) in [-1, 1]; H and W multiples
                of 4.

        Returns:
            Tensor: (N, out_channels, H, W) in [-1, 1].
        """
        return self.model(x)


@MODELS.register_module()
class ResizeResnetGenerator(ResnetGenerator):
    """mmagic's ResNet generator without transposed convolutions.

    It enlarges by nearest neighbours and a 3x3 convolution, which leaves no
    checkerboards (Odena et al., Distill 2016), at four times the MACs of
    these two layers.

    Args:
        in_channels (int): Channels of the input image.
        out_channels (int): Channels of the output image.
        base_channels (int): Channels behind the first convolution.
        norm_cfg (dict): Norm layers.
        num_blocks (int): Number of residual blocks.
        init_cfg (dict): mmagic's ``dict(type='normal', gain=...)``.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        base_channels: int = 64,
        norm_cfg: dict = dict(type='IN'),  # noqa: B006
        num_blocks: int = 9,
        init_cfg: dict = dict(type='normal', gain=0.02),  # noqa: B006
    ):
        super().__init__(
            in_channels,
            out_channels,
            base_channels,
            norm_cfg,
            num_blocks=num_blocks,
            init_cfg=init_cfg,
        )
        for block in self.model:
            up = getattr(block, 'conv', None)
            if isinstance(up, nn.ConvTranspose2d):
                block.conv = nn.Sequential(
                    nn.Upsample(scale_factor=2, mode='nearest'),
                    nn.ReflectionPad2d(1),
                    nn.Conv2d(up.in_channels, up.out_channels, 3, bias=up.bias is not None),
                )
