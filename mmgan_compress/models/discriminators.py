"""PatchGAN with several heads on a shared trunk."""

import torch.nn as nn
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor

from ..core.messages import check_range
from ..registry import MODELS
from .blocks import needs_bias, normal_init


def _block(
    in_channels: int, out_channels: int, stride: int, norm_cfg: dict | None
) -> nn.Sequential:
    bias = norm_cfg is None or needs_bias(norm_cfg)
    layers = [nn.Conv2d(in_channels, out_channels, 4, stride, padding=1, bias=bias)]
    if norm_cfg is not None:
        layers.append(build_norm_layer(norm_cfg, out_channels)[1])
    return nn.Sequential(*layers, nn.LeakyReLU(0.2))


@MODELS.register_module()
class MultiHeadPatchDiscriminator(BaseModule):
    """Five-block 70x70 PatchGAN with one head per teacher.

    ``multi_n_layers`` of OMGD (arXiv 2108.06908). The leading blocks are one
    module for all heads; the original counts, saves and optimises a second
    copy of them that is never used.

    Args:
        in_channels (int): Channels of the input: 6 for a condition and an
            image.
        base_channels (int): Channels of the first block.
        num_heads (int): Number of heads.
        shared (int): Number of leading blocks that the heads share, 0
            (separate discriminators) to 5 (a single one).
        norm_cfg (dict): Norm layer of blocks 2 to 4.
        init_cfg (dict | list | None): mmagic's ``dict(type='normal',
            gain=...)``, the default with gain 0.02, or any of mmengine's.

    Raises:
        ValueError: If ``shared`` is not in 0 to 5.
    """

    def __init__(
        self,
        in_channels: int = 6,
        base_channels: int = 64,
        num_heads: int = 2,
        shared: int = 3,
        norm_cfg: dict = dict(type='BN'),  # noqa: B006
        init_cfg: dict | None = None,
    ):
        super().__init__(normal_init(init_cfg))
        check_range('shared', shared, 0, 5)
        self.num_heads = num_heads
        self.shared = shared

        def make(index: int) -> nn.Sequential:
            width = base_channels
            if index == 0:
                return _block(in_channels, width, 2, None)
            if index == 4:
                return nn.Sequential(nn.Conv2d(8 * width, 1, 4, padding=1))
            inputs = width * 2 ** (index - 1)
            stride = 2 if index < 3 else 1
            return _block(inputs, 2 * inputs, stride, norm_cfg)

        self.blocks = nn.ModuleList(
            nn.ModuleList(make(index) for _ in range(1 if index < shared else num_heads))
            for index in range(5)
        )

    def forward(self, x: Tensor, head: int) -> Tensor:
        """Judge images with one head.

        Args:
            x (Tensor): (N, in_channels, H, W) in [-1, 1].
            head (int): Index of the head.

        Returns:
            Tensor: Logits (N, 1, H / 8 - 2, W / 8 - 2).

        Raises:
            ValueError: If there is no such head.
        """
        check_range('head', head, 0, self.num_heads - 1)
        for index, block in enumerate(self.blocks):
            x = block[0 if index < self.shared else head](x)
        return x
