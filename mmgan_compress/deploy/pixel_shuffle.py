"""Convolutions of few channels, in a form that processors are made for."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..core.channels import image_channels
from ..core.layers import ShapesOnly, meta_copy

# Runtimes compute 16 output channels at once (float32 in AVX-512). Of three,
# 13 are thrown away; of 2x2 positions times three, 4 are.
LANES = 16
SIDE = 2
PHASES = SIDE**2


class PhasedConv(nn.Conv2d):
    """A convolution that computes 2x2 neighbouring outputs as channels.

    The kernel is laid out four times, shifted, in one that is a row and a
    column larger and moves by two; a shuffle puts the four channels of a
    filter beside each other. The sums are the same, the zeros between add
    nothing. A 7x7 kernel with 1.3 times the operations takes 0.4 of the time
    in ONNX Runtime and OpenVINO and 0.5 in torch, a 3x3 kernel with 1.8 times
    the operations 0.7 and 0.8 (16 channels, 256x256, one thread).

    Args:
        conv (nn.Conv2d): What it stands for, of :func:`may_be_phased`.
    """

    def __init__(self, conv: nn.Conv2d):
        filters, channels, height, width = conv.weight.shape
        larger = height + SIDE - 1, width + SIDE - 1
        super().__init__(
            channels, filters * PHASES, larger, SIDE, conv.padding, bias=conv.bias is not None
        )
        weight = conv.weight.new_zeros(filters, SIDE, SIDE, channels, *larger)
        for down in range(SIDE):
            for right in range(SIDE):
                weight[:, down, right, :, down : down + height, right : right + width] = (
                    conv.weight.detach()
                )
        # by the names of the convolution: scales and skips go by them
        self.weight = nn.Parameter(weight.flatten(0, 2))
        if conv.bias is not None:
            self.bias = nn.Parameter(conv.bias.detach().repeat_interleave(PHASES))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) as the convolution does, to an even size."""
        return F.pixel_shuffle(super().forward(x), SIDE)


def may_be_phased(module: nn.Module) -> bool:
    """Tell whether a :class:`PhasedConv` can stand for a module, and pays."""
    return (
        isinstance(module, nn.Conv2d)
        and module.groups == 1
        and module.stride == (1, 1)
        and module.dilation == (1, 1)
        and module.padding_mode == 'zeros'
        and module.padding != 'same'
        and min(module.kernel_size) >= 3
        and module.out_channels * PHASES <= LANES
    )


def phased(net: nn.Module, side: int) -> dict[nn.Module, nn.Module]:
    """Return what can take the place of convolutions of a network.

    Args:
        net (nn.Module): Generator in eval mode; it stays as it is.
        side (int): Side of images that it takes.

    Returns:
        dict[nn.Module, nn.Module]: By convolution; those whose output is as
        large as the image, and that is even.
    """
    found = {name: module for name, module in net.named_modules() if may_be_phased(module)}
    if not found or side % SIDE:
        return {}
    sizes = {name: set() for name in found}
    twin = meta_copy(net)
    for name in found:
        twin.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: sizes[name].add(tuple(output.shape[2:]))
        )
    with torch.no_grad(), ShapesOnly():
        twin(torch.empty(1, image_channels(net), side, side, device='meta'))
    return {
        module: PhasedConv(module)
        for name, module in found.items()
        if sizes[name] == {(side, side)}
    }
