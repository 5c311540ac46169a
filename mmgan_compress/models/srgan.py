"""SRGAN's generator and discriminator: images four times as large."""

import torch.nn as nn
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor

from ..registry import MODELS
from .blocks import ResidualBlock, imagenet_normalized, normal_init

_BN = dict(type='BN')
SCALE = 4  # two shuffles of 2x2 channels each


def _conv(in_channels: int, out_channels: int, side: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, side, padding=side // 2)


def _block(width: int) -> ResidualBlock:
    return ResidualBlock(
        [
            _conv(width, width, 3),
            nn.BatchNorm2d(width),
            nn.PReLU(),
            _conv(width, width, 3),
            nn.BatchNorm2d(width),
        ]
    )


def _enlarged(width: int) -> list[nn.Module]:
    return [_conv(width, 4 * width, 3), nn.PixelShuffle(2), nn.PReLU()]


@MODELS.register_module()
class SRResNet(BaseModule):
    """SRGAN's generator with batch norm (arXiv 1609.04802), as in GCC.

    mmagic's ``MSRResNet`` is another network: no norms, other kernels, a
    bilinear skip. Here ``model.2`` is the trunk, a residual block of
    ``num_blocks`` residual blocks and a last convolution: ``model.2.
    conv_block.3`` is the fourth of them.

    Args:
        base_channels (int): Channels of the trunk.
        num_blocks (int): Number of residual blocks.
        init_cfg (dict | list | None): mmagic's ``dict(type='normal',
            gain=...)``, the default with gain 0.02, or any of mmengine's
            (``'Pretrained'``).
    """

    def __init__(self, base_channels: int = 64, num_blocks: int = 16, init_cfg: dict | None = None):
        super().__init__(normal_init(init_cfg))
        width = base_channels
        trunk = [_block(width) for _ in range(num_blocks)]
        self.model = nn.Sequential(
            _conv(3, width, 9),
            nn.PReLU(),
            ResidualBlock([*trunk, _conv(width, width, 3), nn.BatchNorm2d(width)]),
            *_enlarged(width),
            *_enlarged(width),
            _conv(width, 3, 9),
            nn.Tanh(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge images.

        Args:
            x (Tensor): (N, 3, H, W), RGB in [-1, 1].

        Returns:
            Tensor: (N, 3, 4 H, 4 W) in [-1, 1].
        """
        return self.model(imagenet_normalized(x))


class MeanConv(nn.Conv2d):
    """A 1x1 convolution of the mean over all positions: a linear layer."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', 1, 1)."""
        return super().forward(x.mean((2, 3), keepdim=True))


@MODELS.register_module()
class SRGANDiscriminator(BaseModule):
    """Four convolutions, the mean over all positions and a linear layer.

    GCC's discriminator for SRGAN, half of the paper's. It may be the body of
    a ``GatedPatchDiscriminator``.

    Args:
        in_channels (int): Channels of the input; 6 for pairs.
        base_channels (int): Channels of the first two convolutions.
        init_cfg (dict | list | None): As of :class:`SRResNet`.
    """

    def __init__(self, in_channels: int = 3, base_channels: int = 64, init_cfg: dict | None = None):
        super().__init__(normal_init(init_cfg))
        n = base_channels
        widths = (in_channels, n, n, 2 * n, 2 * n)
        self.model = nn.Sequential(
            *(
                ConvModule(
                    widths[i],
                    widths[i + 1],
                    3,
                    stride=1 + i % 2,
                    padding=1,
                    bias=True,
                    norm_cfg=_BN if i else None,
                    act_cfg=dict(type='LeakyReLU', negative_slope=0.2),
                )
                for i in range(4)
            ),
            MeanConv(2 * n, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Judge images.

        Args:
            x (Tensor): (N, in_channels, H, W), as ImageNet's are normalised
                where ``AdversarialSRGAN`` shows them.

        Returns:
            Tensor: Logits (N, 1, 1, 1).
        """
        return self.model(x)
