"""Convolutions whose weight is divided by its largest singular value."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..core.layers import replace_layers


class SpectralNorm:
    """Spectral norm (arXiv 1802.05957) of a convolution, its first base.

    ``weight`` is what learns. In train mode each forward pass takes one step
    of the power iteration; the vectors ``weight_u`` and ``weight_v`` are
    buffers. In eval mode they stay, so that a network is one function.

    torch's own forms compute ``weight`` from other tensors; here it is an
    ordinary parameter, which whatever counts or changes channels can read.
    """

    spectral_dim = 0  # the dimension of the weight that makes the matrix's rows

    def reset_parameters(self):
        """Draw weight and bias as torch does, and the vectors."""
        super().reset_parameters()
        for name, size in zip(('weight_u', 'weight_v'), self._matrix().shape):
            drawn = F.normalize(self.weight.new_empty(size).normal_(), dim=0)
            self.register_buffer(name, drawn)

    init_weights = reset_parameters  # else mmcv's ConvModule draws others

    def _matrix(self) -> Tensor:
        return self.weight.movedim(self.spectral_dim, 0).flatten(1)

    def normalized_weight(self) -> Tensor:
        """Return the weight that the convolution computes with."""
        matrix = self._matrix()
        # which torch refuses to turn off on the meta device
        device = 'cpu' if matrix.is_meta else matrix.device.type
        with torch.autocast(device, enabled=False):
            if self.training:
                with torch.no_grad():  # others: passes before keep the old ones
                    self.weight_v = F.normalize(matrix.t() @ self.weight_u, dim=0)
                    self.weight_u = F.normalize(matrix @ self.weight_v, dim=0)
            return self._divided(matrix)

    def _divided(self, matrix: Tensor) -> Tensor:
        return self.weight / (self.weight_u @ (matrix @ self.weight_v))

    def plain(self) -> nn.Module:
        """Return an ordinary convolution that computes what this one does in
        eval mode.
        """
        kind = nn.ConvTranspose2d if self.transposed else nn.Conv2d
        conv = kind(
            self.in_channels,
            self.out_channels,
            self.kernel_size,
            self.stride,
            self.padding,
            bias=self.bias is not None,
            device='meta',  # no random numbers are drawn
        )
        with torch.no_grad():
            conv.weight = nn.Parameter(self._divided(self._matrix()))
        conv.bias = self.bias
        return conv.train(self.training)


def without_spectral_norm(network: nn.Module) -> nn.Module:
    """Put ordinary convolutions in the place of those with spectral norm, in
    place; in eval mode the network computes the same.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, SpectralNorm)]
    replace_layers(network, {layer: layer.plain() for layer in layers})
    return network


class SpectralConv2d(SpectralNorm, nn.Conv2d):
    """A convolution with spectral norm."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) as ``nn.Conv2d`` does."""
        return F.conv2d(
            x,
            self.normalized_weight(),
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )


class TorchSpectralConv2d(SpectralConv2d):
    """The same with the names of tensors that torch's ``spectral_norm`` gives,
    and published checkpoints have: ``weight_orig`` is what learns.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.weight_orig = self._parameters.pop('weight')

    @property
    def weight(self) -> Tensor:
        """What learns."""
        return self.weight_orig


class SpectralConvTranspose2d(SpectralNorm, nn.ConvTranspose2d):
    """A transposed convolution with spectral norm of the published form: the
    rows of the matrix are its inputs.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) as ``nn.ConvTranspose2d`` does."""
        return F.conv_transpose2d(
            x,
            self.normalized_weight(),
            self.bias,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.dilation,
        )


class TorchSpectralConvTranspose2d(SpectralConvTranspose2d):
    """The same of torch's form: the rows of the matrix are its outputs."""

    spectral_dim = 1
