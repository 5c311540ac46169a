"""ResNet generators that mmagic does not have: separable and deep."""

import torch.nn as nn
from mmengine.model import BaseModule
from torch import Tensor

from ..registry import MODELS
from .blocks import conv_norm, expansion_block, needs_bias, normal_init, separable_block


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
