"""GCC's selective-activation discriminator: channels behind learnt gates.

Gates (arXiv 2110.14439; GCC/models/DifferentiableOp.py) keep the
discriminator from overpowering a small generator.
"""

import torch
import torch.nn as nn
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor

from ..core.base_layers import NormBase
from ..core.channels import channel_map, slice_channels
from ..registry import MODELS
from .sagan import SelfAttention


class _StraightThrough(torch.autograd.Function):
    """Mask channels; the gates' gradient ignores that they were masked."""

    @staticmethod
    def forward(ctx, x: Tensor, alpha: Tensor, mask: Tensor) -> Tensor:
        mask = mask[:, None, None]
        # frozen gates need no activation kept for them
        ctx.save_for_backward(mask, x if ctx.needs_input_grad[1] else None)
        return x * mask.to(x.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor):
        mask, x = ctx.saved_tensors
        grad_x = grad_alpha = None
        if ctx.needs_input_grad[0]:
            grad_x = grad * mask.to(grad.dtype)
        if ctx.needs_input_grad[1]:  # summed in float32 under AMP as well
            grad_alpha = (grad.to(mask.dtype) * x).sum((0, 2, 3))
        return grad_x, grad_alpha, None


class ChannelGate(nn.Module):
    """Open or close each channel by a learnt number.

    The factor of a channel is (sign(alpha - threshold) + 1) / 2: 1 above the
    threshold, 0 below, 1/2 on it. Its gradient is straight-through, the sum
    of gradient times *unmasked* input, so that a closed channel can reopen.

    Args:
        channels (int): Number of channels.
        threshold (float): Between 0 and 1, exclusively; not in the state
            dict, as it is not learnt.

    Raises:
        ValueError: If no alpha of 0 to 1 could be on either side.
    """

    def __init__(self, channels: int, threshold: float = 0.5):
        super().__init__()
        if not 0 < threshold < 1:
            raise ValueError(
                f'threshold is {threshold}, expected between 0 and 1: gates are numbers from 0 to 1'
            )
        self.threshold = threshold
        self.alpha = nn.Parameter(torch.ones(channels))

    @property
    def mask(self) -> Tensor:
        """Return the factors (C,), each 0, 1/2 or 1."""
        return (torch.sign(self.alpha.detach() - self.threshold) + 1) / 2

    @torch.no_grad()
    def clip_(self):
        """Bring alpha back to [0, 1]; GCC does before each step of it."""
        self.alpha.clamp_(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Mask the channels of (N, C, H, W)."""
        return _StraightThrough.apply(x, self.alpha, self.mask)

    def extra_repr(self) -> str:
        return f'{len(self.alpha)}, threshold={self.threshold}'


def _is_gateable(block: nn.Module) -> bool:
    """Tell whether removing a closed channel leaves the others alone."""
    return (
        isinstance(block, ConvModule)
        and block.order == ('conv', 'norm', 'act')
        and block.conv.groups == 1
        and not block.with_spectral_norm
        and isinstance(block.norm, (NormBase, type(None)))
        and block.with_activation
        and isinstance(block.activate, (nn.ReLU, nn.LeakyReLU))
    )


def _check(body: nn.Module):
    layers = getattr(body, 'model', None)
    if (
        not isinstance(layers, nn.Sequential)
        or len(layers) < 2
        or not isinstance(layers[-1], nn.Conv2d)
        or not all(isinstance(b, SelfAttention) or _is_gateable(b) for b in layers[:-1])
    ):
        raise TypeError(
            f'{type(body).__name__} cannot be gated: expected a `model` that '
            'is an nn.Sequential of ConvModules (convolution, batch or '
            'instance norm or none, ReLU or LeakyReLU), SelfAttention and a last Conv2d; '
            "use mmagic's type='PatchDiscriminator'"
        )


@MODELS.register_module()
class GatedPatchDiscriminator(BaseModule):
    """PatchGAN with a gate per channel behind every layer but the last.

    The gate stands behind the activation in a layer without norm (the
    first), between norm and activation in the others (GCC/models/Pix2Pix.py,
    CycleGAN.py; in SRGAN.py and SAGAN.py all stand before the activation).
    Weights are in ``body``, gates beside them in ``gates``: optimizers select
    either by name.

    Example:
        >>> net = MODELS.build(dict(
        ...     type='mmgan_compress.GatedPatchDiscriminator',
        ...     discriminator=dict(type='PatchDiscriminator', in_channels=3)))
        >>> net.open_channels()
        [(64, 64), (128, 128), (256, 256), (512, 512)]

    Args:
        discriminator (dict): Config of mmagic's ``PatchDiscriminator``, of
            ``SRGANDiscriminator`` or of ``SelfAttentionDiscriminator``.
        threshold (float): Of all gates, see :class:`ChannelGate`.
        norm_bias_std (float): Standard deviation with which biases of the
            norms are drawn; GCC's code draws them from N(0, 1), which looks
            like a slip (spec section 6.4), so 0 is the default.
        before_activation (bool): Let gates stand before the activation in
            layers without norm, too. Only the gradient of a closed gate
            differs.

    Raises:
        TypeError: If the discriminator is not such a sequence of layers.
        ValueError: If ``norm_bias_std`` is given and norms have no bias.
    """

    def __init__(
        self,
        discriminator: dict,
        threshold: float = 0.5,
        norm_bias_std: float = 0.0,
        before_activation: bool = False,
    ):
        super().__init__()
        self.body = MODELS.build(discriminator)
        _check(self.body)
        self.gates = nn.ModuleList(
            ChannelGate(block.conv.out_channels, threshold)
            for block in self.body.model
            if isinstance(block, ConvModule)
        )
        self.norm_bias_std, self.before_activation = norm_bias_std, before_activation
        if norm_bias_std and not self._norm_biases():
            raise ValueError(
                f'norm_bias_std is {norm_bias_std}, but the norms of '
                f'{discriminator} have no bias: expected 0'
            )

    def init_weights(self):
        """Initialise the body and open the gates."""
        self.body.init_weights()
        for gate in self.gates:
            nn.init.ones_(gate.alpha)
        if self.norm_bias_std:
            for bias in self._norm_biases():
                nn.init.normal_(bias, 0, self.norm_bias_std)

    def forward(self, x: Tensor) -> Tensor:
        """Judge images.

        Args:
            x (Tensor): (N, in_channels, H, W) in [-1, 1].

        Returns:
            Tensor: Logits, as of the body.
        """
        gates = iter(self.gates)
        for block in self.body.model:
            if not isinstance(block, ConvModule):
                x = block(x)
            elif block.with_norm or self.before_activation:
                x = block.activate(next(gates)(block(x, activate=False)))
            else:
                x = next(gates)(block(x))
        return x

    def clip_gates(self):
        """Bring all gates back to [0, 1]."""
        for gate in self.gates:
            gate.clip_()

    def open_channels(self) -> list[tuple[int, int]]:
        """Return open channels, half-open ones included, and all by layer."""
        opened = torch.stack([g.mask.count_nonzero() for g in self.gates])
        return list(zip(opened.tolist(), [len(g.alpha) for g in self.gates]))

    def smaller(self) -> nn.Module:
        """Return the same function as a plain, narrower discriminator.

        Closed channels are gone. The factor of a half-open one is in the
        weights that read it, which is exact: (Leaky)ReLU(x / 2) is
        (Leaky)ReLU(x) / 2. Of a layer that is closed altogether one channel
        stays, read with weight 0. Norms work by channel, so outputs are the
        same in train mode too.

        Raises:
            TypeError: If it has attention, whose outputs have all channels.
        """
        if any(isinstance(block, SelfAttention) for block in self.body.model):
            raise TypeError(
                f'{type(self.body).__name__} has attention, which fills closed channels again: '
                'it cannot be made smaller'
            )
        kept, factors = self._kept()
        channels = channel_map(self.body)
        small = slice_channels(
            self.body,
            {
                name: kept[_index(name) : _index(name) + 2][-len(counts) :]
                for name, counts in channels.items()
            },
        )
        with torch.no_grad():
            for name, counts in channels.items():
                if len(counts) == 2:  # a convolution
                    small.get_submodule(name).weight *= factors[_index(name)][:, None, None]
        return small

    def _kept(self) -> tuple[list[list[int]], list[Tensor]]:
        """Return indices and factors of what remains of the image, of each
        layer's output, and of the logits.
        """
        *_, last = self.body.model
        kept = [torch.arange(self.body.model[0].conv.in_channels)]
        kept += [gate.mask.nonzero().flatten() for gate in self.gates]
        kept = [
            indices if len(indices) else indices.new_zeros(1)
            for indices in [*kept, torch.arange(last.out_channels)]
        ]
        factors = [last.weight.new_ones(len(kept[0]))]
        factors += [gate.mask[indices] for gate, indices in zip(self.gates, kept[1:])]
        return [indices.tolist() for indices in kept], factors

    def _norm_biases(self) -> list[nn.Parameter]:
        norms = [block.norm for block in self.body.model[:-1] if getattr(block, 'with_norm', False)]
        return [norm.bias for norm in norms if norm.bias is not None]


def _index(name: str) -> int:
    """Return 3 for ``'model.3.conv.weight'``."""
    return int(name.split('.')[1])
