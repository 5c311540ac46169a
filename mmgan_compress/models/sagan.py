"""SAGAN's generator and discriminator as in GCC: images of 64 pixels."""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor

from ..core.inputs import Noise
from ..core.messages import check_choice
from ..registry import MODELS
from .spectral_norm import SpectralConv2d, SpectralConvTranspose2d, TorchSpectralConvTranspose2d

IMAGE_SIZE = 64
# attention has an eighth of the channels for queries and keys
LEAST_ATTENDED = 8
SPECTRAL_NORMS = {
    'inputs': SpectralConvTranspose2d,
    'outputs': TorchSpectralConvTranspose2d,
    None: nn.ConvTranspose2d,
}


def _drawn(conv: nn.Module) -> nn.Module:
    """Draw a layer without spectral norm: N(0, 0.02), bias 0."""
    nn.init.normal_(conv.weight, 0, 0.02)
    nn.init.zeros_(conv.bias)
    return conv


class SelfAttention(nn.Module):
    """Each position adds a mean of all positions, weighted by likeness.

    SAGAN's (arXiv 1805.08318) without pooling, scaling and spectral norm, as
    in GCC; mmagic's ``SelfAttentionBlock`` is another layer. Starts as the
    identity.

    Args:
        channels (int): At least 8.

    Raises:
        ValueError: If there are fewer channels.
    """

    def __init__(self, channels: int):
        super().__init__()
        if channels < LEAST_ATTENDED:
            raise ValueError(
                f'self-attention over {channels} channels: expected at least {LEAST_ATTENDED}'
            )
        few = channels // LEAST_ATTENDED
        self.query = _drawn(nn.Conv2d(channels, few, 1))
        self.key = _drawn(nn.Conv2d(channels, few, 1))
        self.value = _drawn(nn.Conv2d(channels, channels, 1))
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        query, key, value = (layer(x).flatten(2) for layer in (self.query, self.key, self.value))
        if self.training:
            # much faster than what follows; it needs queries and keys as long as values
            missing = value.shape[1] - query.shape[1]
            query, key = (F.pad(part, (0, 0, 0, missing)) for part in (query, key))
            parts = (part.mT[:, None].contiguous() for part in (query, key, value))
            seen = F.scaled_dot_product_attention(*parts, scale=1.0)[:, 0].mT
            return x + self.gamma * seen.reshape(x.shape)
        shares = (query.transpose(1, 2) @ key).softmax(-1)  # (N, position, looked at)
        return x + self.gamma * (value @ shares.transpose(1, 2)).view_as(x)


@MODELS.register_module()
class SelfAttentionGenerator(BaseModule):
    """SAGAN's generator of GCC's code: images of 64 pixels from noise.

    mmagic's ``SAGANGenerator`` is another network, with residual blocks.
    ``model.0`` to ``model.7`` are four transposed convolutions with batch norm
    and ReLU, attention behind the third and the fourth of them (``model.3``,
    ``model.5``), the convolution to the image and tanh.

    Args:
        base_channels (int): Width of the fourth layer; the others are 8, 4
            and 2 times as wide.
        widths (Sequence[int] | None): Widths of the four layers in place of
            these; at least 8 where attention follows.
        noise_size (int): Numbers that an image is made from.
        spectral_norm (str | None): The rows of the matrix that the spectral
            norm is taken of: ``'inputs'`` of the transposed convolution, as
            published, or ``'outputs'``, as in torch; None has no spectral norm.
        init_cfg (dict | None): mmengine's, such as ``'Pretrained'``. Weights
            are drawn at once: layers with spectral norm as torch draws them,
            others N(0, 0.02), norms N(1, 0.02), biases 0.

    Raises:
        ValueError: If there are not four widths, or attention gets too few
            channels.
    """

    # what the widths have to be multiples of, for queries of their own
    width_steps = (1, 1, LEAST_ATTENDED, LEAST_ATTENDED)

    def __init__(
        self,
        base_channels: int = 64,
        widths: Sequence[int] | None = None,
        noise_size: int = 128,
        spectral_norm: str | None = 'inputs',
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        widths = list(widths or (factor * base_channels for factor in (8, 4, 2, 1)))
        if len(widths) != 4:
            raise ValueError(f'widths are {widths}: expected four')
        check_choice('spectral_norm', spectral_norm, SPECTRAL_NORMS)
        self.takes = Noise(noise_size)
        conv, layers = SPECTRAL_NORMS[spectral_norm], []
        for at, (narrow, wide) in enumerate(zip([noise_size, *widths], widths)):
            norm = nn.BatchNorm2d(wide)
            nn.init.normal_(norm.weight, 1, 0.02)
            up = dict(stride=2, padding=1) if at else {}
            layers.append(nn.Sequential(conv(narrow, wide, 4, **up), norm, nn.ReLU()))
            if at >= 2:
                layers.append(SelfAttention(wide))
        last = _drawn(nn.ConvTranspose2d(widths[-1], 3, 4, stride=2, padding=1))
        self.model = nn.Sequential(*layers, last, nn.Tanh())

    def forward(self, noise: Tensor) -> Tensor:
        """Make images.

        Args:
            noise (Tensor): (N, noise_size), standard normal.

        Returns:
            Tensor: (N, 3, 64, 64), RGB in [-1, 1].
        """
        return self.model(noise[:, :, None, None])


@MODELS.register_module()
class SelfAttentionDiscriminator(BaseModule):
    """SAGAN's discriminator of GCC's code, for images of 64 pixels.

    Four convolutions with spectral norm and LeakyReLU (``model.0``, ``.1``,
    ``.2`` and ``.4``), attention behind the third and the fourth, and a
    convolution to a logit. It may be the body of a
    ``GatedPatchDiscriminator``.

    Args:
        base_channels (int): Width of the first layer; each further one is
            twice as wide.
        init_cfg (dict | None): As of :class:`SelfAttentionGenerator`.
    """

    def __init__(self, base_channels: int = 64, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        widths, layers = [3, *(base_channels << at for at in range(4))], []
        for at, (narrow, wide) in enumerate(zip(widths, widths[1:])):
            layers.append(
                ConvModule(
                    narrow,
                    wide,
                    4,
                    stride=2,
                    padding=1,
                    conv_cfg=dict(type=SpectralConv2d),
                    act_cfg=dict(type='LeakyReLU', negative_slope=0.1, inplace=False),
                )
            )
            if at >= 2:
                layers.append(SelfAttention(wide))
        self.model = nn.Sequential(*layers, _drawn(nn.Conv2d(widths[-1], 1, 4)))

    def forward(self, x: Tensor) -> Tensor:
        """Judge images.

        Args:
            x (Tensor): (N, 3, 64, 64) in [-1, 1].

        Returns:
            Tensor: Logits (N, 1, 1, 1).
        """
        return self.model(x)
