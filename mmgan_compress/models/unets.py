"""OMGD's deeper U-Net teacher."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from ..registry import MODELS
from .blocks import conv_norm, expansion_block, needs_bias, normal_init

_SLOPE = 0.2


def _down(in_channels: int, out_channels: int, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 4, 2, padding=1, bias=bias)


def _up(in_channels: int, out_channels: int, bias: bool) -> nn.Module:
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
        if num_down < 5:
            raise ValueError(
                f'num_down is {num_down}, expected 5 or more: '
                'four levels widen, one is the innermost'
            )
        bias = needs_bias(norm_cfg)
        widths = [base_channels * min(2**i, 8) for i in range(num_down)]
        level = self._innermost(widths[-2], widths[-1], norm_cfg)
        for i in range(num_down - 2, 0, -1):
            dropout = 0.5 if use_dropout and i >= 4 else 0.0
            level = self._middle(widths[i - 1], widths[i], level, norm_cfg, dropout)
        width = widths[0]
        outermost = [
            _down(in_channels, width, bias),
            expansion_block(width, norm_cfg, 0.0),
            expansion_block(width, norm_cfg, 0.0),
            level,
            expansion_block(2 * width, norm_cfg, 0.0),
            expansion_block(2 * width, norm_cfg, 0.0),
            nn.ReLU(),
            _up(2 * width, out_channels, True),
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
                _down(outer, inner, bias),
                nn.ReLU(),
                *conv_norm(_up(inner, outer, bias), norm_cfg, act=False),
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
                *conv_norm(_down(outer, inner, bias), norm_cfg, act=False),
                expansion_block(inner, norm_cfg, dropout),
                expansion_block(inner, norm_cfg, dropout),
                level,
                nn.ReLU(),
                *conv_norm(_up(2 * inner, outer, bias), norm_cfg, act=False),
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
