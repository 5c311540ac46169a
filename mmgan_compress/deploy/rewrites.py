"""Named rewrites: a layer in another form that computes the same.

A runtime lacks the operator of a layer, computes it slowly, or loses precision
in it. Its row of ``formats.FORMATS`` names the rewrites that help:

======  ======================================================================
phases  convolutions to few channels compute 2x2 outputs at once
folds   convolutions of few channels take and give two columns as channels:
        in (N, H, W, C) that is no work
slices  reflection padding is slices and concatenations
crops   transposed convolutions have no padding; their output is cropped
fused   instance norms stay the operator of the runtime
staged  instance norms take means along rows, then along columns
mixed   those of more than 64x64 values do: the operator of ONNX Runtime and
        OpenVINO is precise enough below, and takes less time
fenced  the same behind a clamp, for 8 bits with free sides in OpenVINO
lined   staged in four dimensions: LiteRT's converter turns no layouts then
tiled   instance norms take means of square tiles, then the mean of those:
        ExecuTorch's XNNPACK has no mean along one dimension
======  ======================================================================

Each is a function of the network, the side of its images and what sides are a
multiple of; it returns what takes the place of which layer.
``tests/deploy/test_rewrites.py`` compares each with its layer in double
precision.
"""

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..core.channels import input_shape
from ..core.layers import meta_copy, replace_layers, shape_pass

Replacements = dict[nn.Module, nn.Module]
# XNNPACK joins five tensors at most, and the image is one of them
_PARTS = 4

# Runtimes compute 16 output channels at once (float32 in AVX-512). Of three,
# 13 are thrown away; of 2x2 positions times three, 4 are.
LANES = 16
SIDE = 2
PHASES = SIDE**2
FEW = 4  # channels that make a kernel's places too short a sum


class RepeatedConv(nn.Conv2d):
    """Base of convolutions in whose kernel that of another one stands several
    times, shifted.

    Args:
        conv (nn.Conv2d): What it stands for.
        weight (Tensor): (sums, channels, H, W).
        filters (Tensor): (sums,), which filter of ``conv`` each sum is of.
        channels (Tensor): (channels,), which channel of ``conv`` each is.
        settings: Stride and padding.
    """

    def __init__(
        self, conv: nn.Conv2d, weight: Tensor, filters: Tensor, channels: Tensor, **settings: Any
    ):
        biased = conv.bias is not None
        super().__init__(len(channels), len(filters), weight.shape[2:], bias=biased, **settings)
        self.filters, self.channels = filters, channels
        # by the names of the convolution: scales and skips go by them
        self.weight = nn.Parameter(weight.contiguous())
        if conv.bias is not None:
            self.bias = nn.Parameter(conv.bias.detach()[filters])
        self.rounding: nn.Module = nn.Identity()  # of 8 bits, see scales.py


class PhasedConv(RepeatedConv):
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
        weight = conv.weight.new_zeros(filters, SIDE, SIDE, channels, *larger)
        for down in range(SIDE):
            for right in range(SIDE):
                weight[:, down, right, :, down : down + height, right : right + width] = (
                    conv.weight.detach()
                )
        repeated = torch.arange(filters).repeat_interleave(PHASES)
        super().__init__(
            conv,
            weight.flatten(0, 2),
            repeated,
            torch.arange(channels),
            stride=SIDE,
            padding=conv.padding,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) as the convolution does, to an even size."""
        return F.pixel_shuffle(self.rounding(super().forward(x)), SIDE)


class FoldedConv(RepeatedConv):
    """A convolution that takes and gives two neighbouring columns as channels.

    Where the channels of a pixel lie beside each other, two columns are one
    with twice the channels, and nothing is moved. The kernel is laid out twice,
    shifted by a column. XNNPACK reads each place of a kernel by itself: 28
    places of six channels take 0.3 of the time of 49 places of three, where
    five filters become ten, and 0.7 where 16 become 32.

    Args:
        conv (nn.Conv2d): What it stands for, of :func:`may_be_folded`.
    """

    def __init__(self, conv: nn.Conv2d):
        filters, channels, height, width = conv.weight.shape
        columns = (width + 1) // SIDE
        weight = conv.weight.new_zeros(SIDE, filters, channels, height, columns * SIDE)
        for right in range(SIDE):
            weight[right, ..., right : right + width] = conv.weight.detach()
        # to (outputs, columns of a pair, channels, height, pairs)
        weight = weight.unflatten(-1, (columns, SIDE)).movedim(-1, 2)
        super().__init__(
            conv,
            weight.flatten(2, 3).flatten(0, 1),
            torch.arange(filters).repeat(SIDE),
            torch.arange(channels).repeat(SIDE),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W), W even, as the convolution does."""
        pairs = x.permute(0, 2, 3, 1).unflatten(2, (-1, SIDE)).flatten(3)
        y = self.rounding(super().forward(pairs.permute(0, 3, 1, 2)))
        return y.permute(0, 2, 3, 1).unflatten(3, (SIDE, -1)).flatten(2, 3).permute(0, 3, 1, 2)


def _is_plain(module: nn.Module) -> bool:
    """Tell whether a module is a convolution that moves by one."""
    return (
        isinstance(module, nn.Conv2d)
        and module.groups == 1
        and module.stride == (1, 1)
        and module.dilation == (1, 1)
        and module.padding_mode == 'zeros'
        and module.padding != 'same'
        and min(module.kernel_size) >= 3
    )


def may_be_phased(module: nn.Module) -> bool:
    """Tell whether a :class:`PhasedConv` can stand for a module, and pays."""
    return _is_plain(module) and module.out_channels * PHASES <= LANES


def may_be_folded(module: nn.Module) -> bool:
    """Tell whether a :class:`FoldedConv` can stand for a module, and pays."""
    return (
        _is_plain(module)
        and module.padding in ((0, 0), 'valid')
        and module.kernel_size[1] % SIDE == 1
        and module.in_channels <= FEW
    )


def _at_full_size(
    suits: Callable[[nn.Module], bool], form: Callable[[Any], nn.Module]
) -> Callable[[nn.Module, int, int], Replacements]:
    """Return the rewrite of convolutions whose output is as large as the
    image, if no side is odd.
    """

    def rewritten(net: nn.Module, side: int, step: int) -> Replacements:
        found = {name: module for name, module in net.named_modules() if suits(module)}
        if side % SIDE or step % SIDE:
            return {}
        sizes = _output_sizes(net, found, side)
        return {
            module: form(module) for name, module in found.items() if sizes[name] == {(side, side)}
        }

    return rewritten


def _output_sizes(net: nn.Module, names: Iterable[str], side: int) -> dict[str, set]:
    """Return the heights and widths of what modules give, by name."""
    sizes: dict[str, set] = {name: set() for name in names}
    twin = meta_copy(net)
    for name, seen in sizes.items():
        twin.get_submodule(name).register_forward_hook(
            lambda _, __, output, seen=seen: seen.add(tuple(output.shape[2:]))
        )
    if sizes:
        shape_pass(twin, *input_shape(net, side))
    return sizes


class StagedInstanceNorm(nn.Module):
    """Instance norm whose means are taken in two short stages.

    ONNX Runtime, OpenVINO, ncnn and XNNPACK sum a whole channel in single
    precision, value by value. Where most values are equal (a white background)
    every addition rounds the same way: at 256x256 the outputs of a generator
    were off by 1e-3 to 4e-2. Sums of one row and of one column are short
    enough, and so are those of one tile and of all tiles.

    Args:
        norm (nn.InstanceNorm2d): What it stands for; without running
            statistics.
        form (str): ``'staged'``: along rows, then along columns;
            ``'fenced'``: the same, and the scales of an 8-bit convolution
            stay out of it; ``'lined'``: the same as ``'staged'`` in four
            dimensions; ``'tiled'``: in square tiles, then over all of them,
            for sides that are fixed.
    """

    def __init__(self, norm: nn.InstanceNorm2d, form: str = 'staged'):
        super().__init__()
        self.fenced = form == 'fenced'
        self.mean = dict(tiled=_mean_of_tiles, lined=_mean_of_lines).get(form, _mean)
        self.eps, self.weight, self.bias = norm.eps, norm.weight, norm.bias

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel of (N, C, H, W)."""
        if self.fenced:
            # OpenVINO moves the scales of a convolution in front into the
            # subtraction, wrongly where sides are free (10 dB in place of 34;
            # 2026.4). Past a clamp they do not get.
            x = x.clamp(-_MOST, _MOST)
        x = x - self.mean(x)
        x = x * torch.rsqrt(self.mean(x * x) + self.eps)
        if self.weight is None:
            return x
        return x * self.weight[:, None, None] + self.bias[:, None, None]


_MOST = 3e38  # nothing is cut: float32 ends at 3.4e38


def _mean(x: Tensor) -> Tensor:
    # OpenVINO merges two means in a row into one of the whole channel; those
    # of the last dimension, with one put in between, it does not
    return x.mean(3)[:, :, None].mean(3, keepdim=True)


def _mean_of_lines(x: Tensor) -> Tensor:
    # columns first: in (N, H, W, C) these are sums of whole rows of memory
    return x.mean(2, keepdim=True).mean(3, keepdim=True)


def _mean_of_tiles(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, [_tile(side) for side in x.shape[2:]]).mean((2, 3), keepdim=True)


def _tile(side: int) -> int:
    """Return the largest divisor up to the square root: both sums are short."""
    return next(size for size in range(math.isqrt(side), 0, -1) if side % size == 0)


def _is_instance_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.InstanceNorm2d) and not module.track_running_stats


# values: with sums of so many, pictures of three networks were off by 1e-5 to 1.5e-4, with
# those of four times as many by 2e-5 to 9e-4
_SHORT = 64 * 64


def _staged_where_large(net: nn.Module, side: int, step: int) -> Replacements:
    found = {name: norm for name, norm in net.named_modules() if _is_instance_norm(norm)}
    sizes = _output_sizes(net, found, side)
    return {
        norm: StagedInstanceNorm(norm)
        for name, norm in found.items()
        if any(height * width > _SHORT for height, width in sizes[name])
    }


def has_instance_norms(net: nn.Module) -> bool:
    """Tell whether the forms of instance norms would change anything."""
    return any(map(_is_instance_norm, net.modules()))


class SlicedReflection(nn.Module):
    """Reflection padding of single rows and columns.

    XNNPACK has no reflection padding; converters write index tables, which
    run outside it.

    Args:
        pad (nn.ReflectionPad2d): What it stands for.
    """

    def __init__(self, pad: nn.ReflectionPad2d):
        super().__init__()
        self.padding = pad.padding

    def forward(self, x: Tensor) -> Tensor:
        """Pad (N, C, H, W) at its last two dimensions."""
        left, right, top, bottom = self.padding
        return _mirrored(_mirrored(x, 2, top, bottom), 3, left, right)


def _mirrored(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    size = x.shape[axis]
    first = [x.narrow(axis, at, 1) for at in range(before, 0, -1)]
    last = [x.narrow(axis, size - 1 - at, 1) for at in range(1, after + 1)]
    return torch.cat([*_joined(first, axis), x, *_joined(last, axis)], axis)


def _joined(parts: list[Tensor], axis: int) -> list[Tensor]:
    """Join parts until one is left; none stay none."""
    while len(parts) > 1:
        parts = [torch.cat(parts[at : at + _PARTS], axis) for at in range(0, len(parts), _PARTS)]
    return parts


class CroppedTransposedConv(nn.ConvTranspose2d):
    """A transposed convolution without padding, and a crop of its output.

    The sums are the same. LiteRT's converter refuses padding, and output
    padding, of transposed convolutions.

    Args:
        conv (nn.ConvTranspose2d): What it stands for; its output padding is
            not larger than its padding.
    """

    def __init__(self, conv: nn.ConvTranspose2d):
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            conv.stride,
            groups=conv.groups,
            bias=conv.bias is not None,
            dilation=conv.dilation,
            device='meta',  # no random numbers are drawn
        )
        # by the names of the convolution: scales and skips go by them
        self.weight, self.bias = conv.weight, conv.bias
        self.before = conv.padding
        self.after = [pad - out for pad, out in zip(conv.padding, conv.output_padding)]
        self.rounding: nn.Module = nn.Identity()  # of 8 bits, see scales.py

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map (N, C, H, W) as the convolution does."""
        y = self.rounding(super().forward(x))
        for axis, before, after in zip((2, 3), self.before, self.after):
            y = y.narrow(axis, before, y.shape[axis] - before - after)
        return y


def _may_be_cropped(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.ConvTranspose2d)
        and any(module.padding)
        and all(out <= pad for pad, out in zip(module.padding, module.output_padding))
    )


def _each(
    suits: Callable[[nn.Module], bool], form: Callable[[Any], nn.Module]
) -> Callable[[nn.Module, int, int], Replacements]:
    """Return the rewrite of all layers of a kind, whatever the images."""
    return lambda net, side, step: {
        module: form(module) for module in net.modules() if suits(module)
    }


REWRITES: dict[str, Callable[[nn.Module, int, int], Replacements]] = {
    'phases': _at_full_size(may_be_phased, PhasedConv),
    'folds': _at_full_size(may_be_folded, FoldedConv),
    'slices': _each(lambda module: isinstance(module, nn.ReflectionPad2d), SlicedReflection),
    'crops': _each(_may_be_cropped, CroppedTransposedConv),
    'fused': lambda net, side, step: {},
    'mixed': _staged_where_large,
    **{
        form: _each(_is_instance_norm, functools.partial(StagedInstanceNorm, form=form))
        for form in ('staged', 'fenced', 'lined', 'tiled')
    },
}


def rewrite(net: nn.Module, names: Sequence[str], side: int, step: int) -> None:
    """Rewrite layers of a network, in place.

    Args:
        net (nn.Module): Generator in eval mode.
        names (Sequence[str]): Of ``REWRITES``, one after the other.
        side (int): Side of images that it takes.
        step (int): What the sides of all its images are multiples of.
    """
    for name in names:
        replace_layers(net, REWRITES[name](net, side, step))
