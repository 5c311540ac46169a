"""GauGAN: a generator of label maps, whose norms read them, and its discriminator.

Names of layers are those of the published checkpoints (arXiv 1903.07291, and
2003.08936 for the separable kind).
"""

import functools
from collections.abc import Callable

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from ..core.channels import Kept
from ..core.checkpoints import fold_spectral
from ..core.inputs import LabelMap
from ..core.messages import check_choice
from ..registry import MODELS
from .blocks import SeparableConv
from .spectral_norm import TorchSpectralConv2d

# out channels of each part, times the base channels; what is made larger before it
_WIDTHS = dict(head_0=16, G_middle_0=16, G_middle_1=16, up_0=8, up_1=4, up_2=2, up_3=1)
_UPSAMPLINGS = dict(
    normal=('G_middle_0', 'up_0', 'up_1', 'up_2', 'up_3'),
    more=('G_middle_0', 'G_middle_1', 'up_0', 'up_1', 'up_2', 'up_3'),
)
_SLOPE = 0.2


class SPADE(nn.Module):
    """A batch norm whose scales and biases are computed of the label map.

    Args:
        channels (int): Of what is normalised.
        planes (int): Of the label map.
        hidden (int): Channels between the label map and scales and biases.
        separable (bool): Whether these two come of separable convolutions.
    """

    def __init__(self, channels: int, planes: int, hidden: int, separable: bool):
        super().__init__()
        conv = SeparableConv if separable else nn.Conv2d
        self.param_free_norm = nn.BatchNorm2d(channels, affine=False)
        self.mlp_shared = nn.Sequential(nn.Conv2d(planes, hidden, 3, padding=1), nn.ReLU())
        three = dict(padding=1) if separable else dict(kernel_size=3, padding=1)
        self.mlp_gamma = conv(hidden, channels, **three)
        self.mlp_beta = conv(hidden, channels, **three)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Normalise.

        Args:
            x (Tensor): (N, channels, H, W).
            labels (Tensor): (N, planes, H, W).
        """
        hidden = self.mlp_shared(labels)
        return self.param_free_norm(x) * (1 + self.mlp_gamma(hidden)) + self.mlp_beta(hidden)


class SPADEBlock(nn.Module):
    """A residual block of SPADE norms.

    Args:
        inputs (int): Channels of its input.
        outputs (int): Channels of its output; there is a third convolution
            beside the other two where they differ.
        planes (int): As of :class:`SPADE`.
        hidden (int): As of :class:`SPADE`.
        separable (bool): As of :class:`SPADE`; the block's own convolutions
            are full ones.
        spectral_norm (bool): Whether these have spectral norms.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        planes: int,
        hidden: int,
        separable: bool,
        spectral_norm: bool,
    ):
        super().__init__()
        conv = TorchSpectralConv2d if spectral_norm else nn.Conv2d
        norm = functools.partial(SPADE, planes=planes, hidden=hidden, separable=separable)
        between = min(inputs, outputs)
        self.conv_0 = conv(inputs, between, 3, padding=1)
        self.conv_1 = conv(between, outputs, 3, padding=1)
        self.norm_0, self.norm_1 = norm(inputs), norm(between)
        self.has_shortcut = inputs != outputs
        if self.has_shortcut:
            self.conv_s = conv(inputs, outputs, 1, bias=False)
            self.norm_s = norm(inputs)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W); the label map may have
        another size.
        """
        labels = F.interpolate(labels, x.shape[2:], mode='nearest')
        skip = self.conv_s(self.norm_s(x, labels)) if self.has_shortcut else x
        x = self.conv_0(F.leaky_relu(self.norm_0(x, labels), _SLOPE))
        return skip + self.conv_1(F.leaky_relu(self.norm_1(x, labels), _SLOPE))


def _draw(network: nn.Module):
    """Draw the layers without spectral norms; the others begin as torch's."""
    for layer in network.modules():
        if type(layer) is nn.Conv2d:
            nn.init.xavier_normal_(layer.weight, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _fold_on_loading(module: nn.Module, state: dict, prefix: str, *_):
    """Make spectral norms a part of the weights that a network is to load."""
    own = {key: state.pop(key) for key in list(state) if key.startswith(prefix)}
    state.update(fold_spectral(own, {prefix + key for key in module.state_dict()}))


@MODELS.register_module()
class SPADEGenerator(BaseModule):
    """GauGAN's generator (SPADE, CVPR 2019, arXiv 1903.07291).

    It computes its first map, too, of the label map: there is no noise. The
    published one has a fixed size, this one takes any multiple of 32
    (``normal``) or 64 pixels (``more``). Networks without spectral norms read
    weights that have them: they become a part of the weights.

    Args:
        labels (dict): Arguments of :class:`~mmgan_compress.core.inputs.LabelMap`.
        base_channels (int): Channels of the last block.
        upsampling (str): ``'normal'`` or ``'more'``: whether it starts at a
            32nd or a 64th of the size.
        separable (bool): Separable convolutions in the norms, the "mobile"
            generator of GAN Compression.
        spectral_norm (bool | None): Spectral norms in the blocks, as the
            original generators train with and students do not have.
        init_cfg (dict | list | None): mmengine's, such as ``'Pretrained'``.
            Weights are drawn at once: Xavier's normal distribution with gain
            0.02, biases 0; layers with spectral norms begin as torch's, as
            published.

    Raises:
        ValueError: If ``upsampling`` is another word.
    """

    # where GAN Compression compares networks
    feature_layers = ('head_0', 'G_middle_1', 'up_1')

    def __init__(
        self,
        labels: dict,
        base_channels: int = 64,
        upsampling: str = 'normal',
        separable: bool = False,
        spectral_norm: bool | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        check_choice('upsampling', upsampling, _UPSAMPLINGS)
        self.takes = LabelMap(**labels)
        self.enlarged = _UPSAMPLINGS[upsampling]
        width = 16 * base_channels
        self.fc = nn.Conv2d(self.takes.planes, width, 3, padding=1)
        for name, factor in _WIDTHS.items():
            block = SPADEBlock(
                width,
                factor * base_channels,
                self.takes.planes,
                2 * base_channels,
                separable,
                bool(spectral_norm),
            )
            self.add_module(name, block)
            width = factor * base_channels
        self.conv_img = nn.Conv2d(width, 3, 3, padding=1)
        _draw(self)
        if not spectral_norm:
            self.register_load_state_dict_pre_hook(_fold_on_loading)

    def forward(self, x: Tensor) -> Tensor:
        """Make pictures of label maps.

        Args:
            x (Tensor): (N, 1 or 2, H, W) in [-1, 1], see
                :class:`~mmgan_compress.core.inputs.LabelMap`.

        Returns:
            Tensor: (N, 3, H, W), RGB in [-1, 1].
        """
        labels = self.takes.one_hot(x)
        parts = 2 ** len(self.enlarged)
        size = labels.shape[2] // parts, labels.shape[3] // parts
        x = self.fc(F.interpolate(labels, size, mode='nearest'))
        for name in _WIDTHS:
            if name in self.enlarged:
                x = F.interpolate(x, scale_factor=2, mode='nearest')
            x = self.get_submodule(name)(x, labels)
        return torch.tanh(self.conv_img(F.leaky_relu(x, _SLOPE)))

    # --- as a super-net: models/topology.py asks for it -------------------
    def writers(self) -> dict[str, int]:
        """Return the part of a configuration that each layer with filters of
        its own belongs to, in the order in which they run. Parts are ``fc``
        and the blocks.
        """
        parts = {'fc': 0}
        for part, name in enumerate(_WIDTHS, 1):
            ends = ['norm_0.mlp_shared.0', 'conv_0', 'norm_1.mlp_shared.0']
            if self.get_submodule(name).has_shortcut:
                ends += ['conv_1', 'norm_s.mlp_shared.0']
            parts.update({f'{name}.{end}': part for end in ends})
        return parts

    @property
    def base_width(self) -> int:
        """Base channels of the network as it is."""
        return len(self.fc.weight) // 16

    def keep(self, filters: dict[str, int], choose: Callable) -> Kept:
        """Return what each layer keeps.

        Args:
            filters (dict[str, int]): How many each of :meth:`writers` keeps.
            choose (Callable): Given a writer, the inputs that it keeps and
                how many outputs it keeps: which.
        """
        kept: Kept = {}
        planes = list(range(self.takes.planes))

        def write(name: str, inputs: list[int]) -> list[int]:
            kept[name] = [inputs, choose(self.get_submodule(name), inputs, filters[name])]
            return kept[name][1]

        def normalise(name: str, channels: list[int]):
            hidden = write(f'{name}.mlp_shared.0', planes)
            kept[f'{name}.param_free_norm'] = [channels]
            for side in ('gamma', 'beta'):
                layer = f'{name}.mlp_{side}'
                if isinstance(self.get_submodule(layer), SeparableConv):
                    kept[f'{layer}.conv.0'], kept[f'{layer}.conv.1'] = [hidden, hidden], [hidden]
                    layer = f'{layer}.conv.2'
                kept[layer] = [hidden, channels]

        x = write('fc', planes)
        for name in _WIDTHS:
            normalise(f'{name}.norm_0', x)
            between = write(f'{name}.conv_0', x)
            normalise(f'{name}.norm_1', between)
            if self.get_submodule(name).has_shortcut:
                outputs = write(f'{name}.conv_1', between)
                normalise(f'{name}.norm_s', x)
                kept[f'{name}.conv_s'] = [x, outputs]
                x = outputs
            else:  # added to what came in
                kept[f'{name}.conv_1'] = [between, x]
        kept['conv_img'] = [x, list(range(3))]
        return kept


class _Norm(nn.Sequential):
    """A convolution, its instance norm and LeakyReLU."""

    def __init__(self, conv: nn.Module, width: int):
        super().__init__(nn.Sequential(conv, nn.InstanceNorm2d(width)), nn.LeakyReLU(_SLOPE))


class _Scale(nn.Module):
    """A PatchGAN that returns the outputs of its five layers."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        widths = [inputs, *(min(width * factor, 512) for factor in (1, 2, 4, 8)), 1]
        for layer, (before, after) in enumerate(zip(widths, widths[1:])):
            args = dict(kernel_size=4, stride=2 if layer < 3 else 1, padding=2)
            if 0 < layer < 4:
                part: nn.Module = _Norm(
                    TorchSpectralConv2d(before, after, **args, bias=False), after
                )
            else:
                rest = [] if layer else [nn.LeakyReLU(_SLOPE)]
                part = nn.Sequential(nn.Conv2d(before, after, **args), *rest)
            self.add_module(f'model{layer}', part)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the outputs of all layers, the logits last."""
        outputs = []
        for layer in self.children():
            x = layer(x)
            outputs.append(x)
        return outputs


@MODELS.register_module()
class MultiScaleDiscriminator(BaseModule):
    """GauGAN's discriminator: a PatchGAN on the picture, and one on its half.

    Args:
        labels (dict): Arguments of :class:`~mmgan_compress.core.inputs.LabelMap`
            of what is shown beside a picture.
        base_channels (int): Channels of the first layer.
        scales (int): Number of PatchGANs; each has half the size of the one
            before.
        init_cfg (dict | list | None): As of :class:`SPADEGenerator`.
    """

    def __init__(
        self, labels: dict, base_channels: int = 64, scales: int = 2, init_cfg: dict | None = None
    ):
        super().__init__(init_cfg)
        self.takes = LabelMap(**labels)
        for scale in range(scales):
            part = _Scale(self.takes.planes + 3, base_channels)
            self.add_module(f'discriminator_{scale}', part)
        _draw(self)

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """Judge pictures.

        Args:
            x (Tensor): Label map and picture, (N, 1 or 2 + 3, H, W) in
                [-1, 1].

        Returns:
            list[list[Tensor]]: By scale the outputs of its layers, the last
            of which are the logits (N, 1, H', W').
        """
        count, outputs = self.takes.channels, []
        x = torch.cat([self.takes.one_hot(x[:, :count]), x[:, count:]], 1)
        for part in self.children():
            outputs.append(part(x))
            x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return outputs
