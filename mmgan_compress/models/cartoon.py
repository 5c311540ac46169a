"""The generator of CartoonGAN (CVPR 2018), for its published weights."""

import torch.nn as nn
from mmengine.model import BaseModule
from torch import Tensor

from ..registry import MODELS
from .blocks import ResidualBlock, conv_norm, normal_init


def _resample(width: int, out: int, norm_cfg: dict) -> list:
    """Return two convolutions with nothing between them, then the norm: the
    first one halves the image, or doubles it where channels become fewer.
    """
    first = (
        nn.Conv2d(width, out, 3, stride=2, padding=1)
        if out > width
        else nn.ConvTranspose2d(width, out, 3, stride=2, padding=1, output_padding=1)
    )
    return [first, *conv_norm(nn.Conv2d(out, out, 3, padding=1), norm_cfg)]


@MODELS.register_module()
class CartoonGenerator(BaseModule):
    """ResNet generator of CartoonGAN, from photographs to cartoons.

    Layers as in the weights that its authors gave out, but RGB, not BGR:
    ``mmgan-compress weights`` swaps the channels of first and last layer.

    Args:
        in_channels (int): Channels of the input image.
        out_channels (int): Channels of the output image.
        base_channels (int): Channels behind the first convolution.
        num_blocks (int): Number of residual blocks.
        reflect (bool): Pad by reflection around the 7x7 convolutions and in
            the blocks, as the weights were trained; by zeros otherwise, as
            the TensorFlow.js package of the weights does.
        norm_cfg (dict | None): Norm layers; affine instance norm with the
            package's epsilon by default.
        init_cfg (dict | list | None): As for
            :class:`SeparableResnetGenerator`.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        base_channels: int = 64,
        num_blocks: int = 8,
        reflect: bool = True,
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(normal_init(init_cfg))
        norm_cfg = norm_cfg or dict(type='IN', affine=True, eps=1e-9)
        pad = nn.ReflectionPad2d if reflect else nn.ZeroPad2d
        width, trunk = base_channels, 4 * base_channels

        def conv3(act: bool) -> list:
            return [pad(1), *conv_norm(nn.Conv2d(trunk, trunk, 3), norm_cfg, act)]

        self.model = nn.Sequential(
            pad(3),
            *conv_norm(nn.Conv2d(in_channels, width, 7), norm_cfg),
            *_resample(width, 2 * width, norm_cfg),
            *_resample(2 * width, trunk, norm_cfg),
            *(ResidualBlock([*conv3(True), *conv3(False)]) for _ in range(num_blocks)),
            *_resample(trunk, 2 * width, norm_cfg),
            *_resample(2 * width, width, norm_cfg),
            pad(3),
            nn.Conv2d(width, out_channels, 7),
            nn.Tanh(),
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
