"""MUNIT: an image to many images, by a style, and its discriminator.

Names of layers are those of the published checkpoints (arXiv 1804.04732, and
2003.08936 for the separable kind); scale and bias of a layer norm are called
``weight`` and ``bias``, as of all norms here, and not ``gamma`` and ``beta``.
"""

import functools
from collections.abc import Callable

import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from ..core.base_layers import NormBase
from ..core.channels import Kept, channel_map
from ..core.inputs import StyledImage
from ..registry import MODELS
from .blocks import SeparableConv, normal_init


class MUNITLayerNorm(NormBase):
    """A norm over the channels and pixels of each image.

    Unlike torch's its deviation is that of a sample (n - 1), eps is added to
    it and not to the variance, and scales and biases belong to channels.

    Args:
        channels (int): Of its input.
    """

    def __init__(self, channels: int):
        super().__init__(channels, affine=True, track_running_stats=False)

    def reset_parameters(self):
        """Draw scales of U(0, 1); biases are 0."""
        nn.init.uniform_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        places = (1, 2, 3)
        deviation = x.std(places, keepdim=True) + self.eps
        x = (x - x.mean(places, keepdim=True)) / deviation
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class _Block(nn.Module):
    """Reflection, a convolution with bias, its norm and activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        norm: type[nn.Module] | None = None,
        act: Callable[[], nn.Module] = nn.ReLU,
        separable: bool = False,
    ):
        super().__init__()
        self.pad = nn.ReflectionPad2d((kernel - 1) // 2)
        self.conv = (
            SeparableConv(inputs, outputs, kernel_size=kernel)
            if separable
            else nn.Conv2d(inputs, outputs, kernel, stride)
        )
        self.norm = norm(outputs) if norm else nn.Identity()
        self.act = act()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H', W')."""
        return self.act(self.norm(self.conv(self.pad(x))))


class _AdaptiveBlock(_Block):
    """A block whose instance norm gets shifts and scales: AdaIN."""

    def forward(self, x: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output, and the numbers (N, ...) that are left: a shift
        for each channel, then a scale for each, are taken of them.
        """
        x = self.norm(self.conv(self.pad(x)))
        width = x.shape[1]
        shift, scale = (numbers[:, at : at + width, None, None] for at in (0, width))
        return self.act(x * scale + shift), numbers[:, 2 * width :]


class _Residual(nn.Module):
    """Two blocks, whose output is added to their input."""

    def __init__(self, block: type[_Block], width: int, separable: bool):
        super().__init__()
        args = dict(kernel=3, norm=nn.InstanceNorm2d, separable=separable)
        self.model = nn.Sequential(
            block(width, width, **args), block(width, width, **args, act=nn.Identity)
        )

    def forward(self, x: Tensor, numbers: Tensor | None = None):
        """Map (N, width, H, W) to the same shape; with numbers for its
        blocks, return what is left of them, too.
        """
        if numbers is None:
            return x + self.model(x)
        y = x
        for block in self.model:
            y, numbers = block(y, numbers)
        return x + y, numbers


class _Part(nn.Module):
    """Layers in a row, called ``model``."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Run them one after the other."""
        return self.model(x)


class _Decoder(_Part):
    """Residual blocks that get the style, and layers that enlarge."""

    def forward(self, x: Tensor, numbers: Tensor) -> Tensor:
        """Map (N, 4n, H / 4, W / 4) to (N, 3, H, W)."""
        blocks, *layers = self.model
        for block in blocks.model:
            x, numbers = block(x, numbers)
        for layer in layers:
            x = layer(x)
        return x


class _Dense(nn.Module):
    """A linear layer and its activation."""

    def __init__(self, inputs: int, outputs: int, act: bool = True):
        super().__init__()
        self.fc = nn.Linear(inputs, outputs)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs) to (N, outputs)."""
        return F.relu(self.fc(x)) if self.act else self.fc(x)


@MODELS.register_module()
class MUNITGenerator(BaseModule):
    """MUNIT's networks that translate (ECCV 2018, arXiv 1804.04732).

    ``enc_content`` reads an image of the source, ``enc_style`` one of the
    domain that is generated; ``mlp`` makes of the style the shifts and scales
    of the decoder's norms, and ``dec`` draws the image. Training makes two
    auto-encoders; this is their assembly, the content encoder of the one and
    all else of the other. Sides are multiples of 4 pixels, at least 8.

    Args:
        base_channels (int): Channels of the first layer, n.
        style_size (int): Numbers of a style.
        mlp_channels (int): Width of the MLP.
        num_blocks (int): Residual blocks of the content encoder, and of the
            decoder.
        separable (bool): Separable convolutions in the residual blocks and
            behind each enlargement, the "mobile" generator of GAN Compression.
        init_cfg (dict | list | None): Any of mmengine's (``'Pretrained'``).
            None: He's normal distribution, biases 0.
    """

    # where GAN Compression compares networks
    feature_layers = ('enc_content',)

    def __init__(
        self,
        base_channels: int = 64,
        style_size: int = 8,
        mlp_channels: int = 256,
        num_blocks: int = 4,
        separable: bool = False,
        init_cfg: dict | list | None = None,
    ):
        he = dict(type='Kaiming', layer=['Conv2d', 'Linear'], mode='fan_in')
        super().__init__(init_cfg or he)
        self.takes = StyledImage(3, style_size)
        n, norm = base_channels, nn.InstanceNorm2d

        def blocks(kind: type[_Block]) -> _Part:
            return _Part(*(_Residual(kind, 4 * n, separable) for _ in range(num_blocks)))

        def encoder(norm: type[nn.Module] | None = None) -> list[nn.Module]:
            return [
                _Block(3, n, 7, norm=norm),
                _Block(n, 2 * n, 4, stride=2, norm=norm),
                _Block(2 * n, 4 * n, 4, stride=2, norm=norm),
            ]

        up = functools.partial(_Block, kernel=5, norm=MUNITLayerNorm, separable=separable)
        self.enc_style = _Part(
            *encoder(),
            *(_Block(4 * n, 4 * n, 4, stride=2) for _ in range(2)),
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(4 * n, style_size, 1),
        )
        self.enc_content = _Part(*encoder(norm), blocks(_Block))
        self.dec = _Decoder(
            blocks(_AdaptiveBlock),
            nn.Upsample(scale_factor=2),
            up(4 * n, 2 * n),
            nn.Upsample(scale_factor=2),
            up(2 * n, n),
            _Block(n, 3, 7, act=nn.Tanh),
        )
        self.mlp = _Part(
            _Dense(style_size, mlp_channels),
            _Dense(mlp_channels, mlp_channels),
            _Dense(mlp_channels, 2 * num_blocks * 2 * 4 * n, act=False),
        )

    def content_of(self, image: Tensor) -> Tensor:
        """Return the content (N, 4n, H / 4, W / 4) of images (N, 3, H, W)."""
        return self.enc_content(image)

    def style_of(self, image: Tensor) -> Tensor:
        """Return the styles (N, style_size) of images (N, 3, H, W) of the
        domain that is generated.
        """
        return self.enc_style(image).flatten(1)

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Return images (N, 3, H, W) of a content (N, 4n, H / 4, W / 4) and
        styles (N, style_size).
        """
        return self.dec(content, self.mlp(style))

    def paint(self, image: Tensor, style: Tensor) -> Tensor:
        """Translate images.

        Args:
            image (Tensor): (N, 3, H, W), RGB in [-1, 1].
            style (Tensor): (N, style_size), standard normal, or of
                :meth:`style_of`.

        Returns:
            Tensor: (N, 3, H, W), RGB in [-1, 1].
        """
        return self.decode(self.content_of(image), style)

    def forward(self, packed: Tensor) -> Tensor:
        """Translate images.

        Args:
            packed (Tensor): (N, 3 + style_size, H, W), see
                :class:`~mmgan_compress.core.inputs.StyledImage`.

        Returns:
            Tensor: (N, 3, H, W), RGB in [-1, 1].
        """
        return self.paint(*self.takes.split(packed))

    # --- as a super-net: models/topology.py asks for it -------------------
    def _rows(self) -> dict[str, _Part]:
        """Return both rows of residual blocks by name."""
        return {'enc_content.model.3': self.enc_content.model[3], 'dec.model.0': self.dec.model[0]}

    def writers(self) -> dict[str, int]:
        """Return the part of a configuration that each layer with filters of
        its own belongs to, in the order in which they run.

        Parts are the style encoder (0), the stem and the down-samplings of
        the content encoder (1 to 3; the last one is the trunk, also the
        decoder's), both halves of its blocks and of the decoder's (4 to 7),
        and the up-samplings (8, 9).
        """
        parts = {f'enc_style.model.{at}.conv': 0 for at in range(5)}
        parts |= {f'enc_content.model.{at}.conv': 1 + at for at in range(3)}
        for first, (name, row) in zip((4, 6), self._rows().items()):
            count = len(row.model)
            parts |= {
                f'{name}.model.{at}.model.0.conv': first + 2 * at // count for at in range(count)
            }
        parts |= {'dec.model.2.conv': 8, 'dec.model.4.conv': 9}
        return {
            f'{name}.conv.2' if isinstance(self.get_submodule(name), SeparableConv) else name: part
            for name, part in parts.items()
        }

    @property
    def base_width(self) -> int:
        """Base channels of the network as it is."""
        return len(self.enc_content.model[0].conv.weight)

    def keep(self, filters: dict[str, int], choose: Callable) -> Kept:
        """Return what each layer keeps; the MLP keeps the shifts and scales
        of the channels that are left.

        Args:
            filters (dict[str, int]): How many each of :meth:`writers` keeps.
            choose (Callable): Given a writer, the inputs that it keeps and
                how many outputs it keeps: which.
        """
        kept: Kept = {}
        channels = channel_map(self)

        def write(name: str, inputs: list[int], outputs: list[int] | None = None) -> list[int]:
            conv = f'{name}.conv'
            if isinstance(self.get_submodule(conv), SeparableConv):
                kept[f'{conv}.conv.0'], kept[f'{conv}.conv.1'] = [inputs, inputs], [inputs]
                conv += '.conv.2'
            if outputs is None:
                outputs = choose(self.get_submodule(conv), inputs, filters[conv])
            kept[conv] = [inputs, outputs]
            if f'{name}.norm' in channels:
                kept[f'{name}.norm'] = [outputs]
            return outputs

        image, style = list(range(3)), list(range(self.takes.style))
        x = image
        for at in range(5):
            x = write(f'enc_style.model.{at}', x)
        kept['enc_style.model.6'] = [x, style]
        x = image
        for at in range(3):
            x = write(f'enc_content.model.{at}', x)
        numbers: list[int] = []  # that the decoder's blocks take
        made = 0
        for name, row in self._rows().items():
            for at in range(len(row.model)):
                block = f'{name}.model.{at}.model'
                inside = write(f'{block}.0', x)
                write(f'{block}.1', inside, x)
                for layer, outputs in enumerate((inside, x) if name.startswith('dec') else ()):
                    (width,) = channels[f'{block}.{layer}.norm']
                    numbers += [made + channel for channel in outputs]
                    numbers += [made + width + channel for channel in outputs]
                    made += 2 * width
        for at in (2, 4):
            x = write(f'dec.model.{at}', x)
        write('dec.model.5', x, image)
        hidden = list(range(self.mlp.model[0].fc.out_features))
        for at, sides in enumerate(([style, hidden], [hidden, hidden], [hidden, numbers])):
            kept[f'mlp.model.{at}.fc'] = sides
        return kept


@MODELS.register_module()
class MUNITDiscriminator(BaseModule):
    """MUNIT's discriminator: equal networks for an image and its smaller versions.

    Args:
        base_channels (int): Channels of the first layer.
        scales (int): Number of networks; each sees half the size of the one
            before. The last one needs 16 pixels.
        init_cfg (dict | list | None): Any of mmengine's. None: N(0, 0.02),
            biases 0.
    """

    def __init__(
        self, base_channels: int = 64, scales: int = 3, init_cfg: dict | list | None = None
    ):
        super().__init__(normal_init(init_cfg))
        widths = [3, *(base_channels << at for at in range(4))]
        act = functools.partial(nn.LeakyReLU, 0.2)
        self.cnns = nn.ModuleList(
            nn.Sequential(
                *(_Block(*pair, 4, stride=2, act=act) for pair in zip(widths, widths[1:])),
                nn.Conv2d(widths[-1], 1, 1),
            )
            for _ in range(scales)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Judge images.

        Args:
            x (Tensor): (N, 3, H, W) in [-1, 1].

        Returns:
            list[Tensor]: Logits (N, 1, H / 16, W / 16) of each scale, which
            are half as large from one to the next.
        """
        outputs = []
        for part in self.cnns:
            outputs.append(part(x))
            x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return outputs
