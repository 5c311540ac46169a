"""Preparation of a network for export: folded norms, precise norms, fast layouts."""

import copy
import keyword

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..core.base_layers import BatchNormBase, ConvBase, DropoutBase
from ..core.channels import image_channels
from ..core.layers import meta_copy, replace_layers, shape_pass

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
    shape_pass(twin, 1, image_channels(net), side, side)
    return {
        module: PhasedConv(module)
        for name, module in found.items()
        if sizes[name] == {(side, side)}
    }


class StagedInstanceNorm(nn.Module):
    """Instance norm whose means are taken along rows, then along columns.

    ONNX Runtime, OpenVINO and ncnn sum a whole channel in single precision,
    value by value. Where most values are equal (a white background) every
    addition rounds the same way: at 256x256 the outputs of a generator were
    off by 1e-3 to 4e-2. Sums of one row and of one column are short enough.

    Args:
        norm (nn.InstanceNorm2d): What it stands for; without running
            statistics.
        fenced (bool): Keep the scales of an 8-bit convolution out of it.
    """

    def __init__(self, norm: nn.InstanceNorm2d, fenced: bool = False):
        super().__init__()
        self.fenced = fenced
        self.eps, self.weight, self.bias = norm.eps, norm.weight, norm.bias

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel of (N, C, H, W)."""
        if self.fenced:
            # OpenVINO moves the scales of a convolution in front into the
            # subtraction, wrongly where sides are free (10 dB in place of 34;
            # 2026.4). Past a clamp they do not get.
            x = x.clamp(-_MOST, _MOST)
        x = x - _mean(x)
        x = x * torch.rsqrt(_mean(x * x) + self.eps)
        if self.weight is None:
            return x
        return x * self.weight[:, None, None] + self.bias[:, None, None]


_MOST = 3e38  # nothing is cut: float32 ends at 3.4e38


def _mean(x: Tensor) -> Tensor:
    # OpenVINO merges two means in a row into one of the whole channel; those
    # of the last dimension, with one put in between, it does not
    return x.mean(3)[:, :, None].mean(3, keepdim=True)


def _is_instance_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.InstanceNorm2d) and not module.track_running_stats


def has_instance_norms(net: nn.Module) -> bool:
    """Tell whether :func:`stage_norms` would change anything."""
    return any(map(_is_instance_norm, net.modules()))


def stage_norms(net: nn.Module, fenced: bool = False) -> nn.Module:
    """Return a copy of a network with :class:`StagedInstanceNorm`.

    Args:
        net (nn.Module): Generator; it stays as it is.
        fenced (bool): As of :class:`StagedInstanceNorm`.

    Returns:
        nn.Module: The same function, in the same mode.
    """
    net = copy.deepcopy(net)
    norms = filter(_is_instance_norm, net.modules())
    replace_layers(net, {m: StagedInstanceNorm(m, fenced).train(m.training) for m in norms})
    return net


def prepare(net: nn.Module, side: int, phases: bool = False) -> nn.Module:
    """Copy a network for export: batch norms folded, no dropout, plain names.

    Args:
        net (nn.Module): Generator in eval mode, on the CPU; it stays as it
            is.
        side (int): Side of images that it takes.
        phases (bool): Lay convolutions to few channels out for processors
            (see ``graph.py``). Outputs of odd sides are then wrong.

    Returns:
        nn.Module: The same function, in eval mode.

    Raises:
        ValueError: If a part of the network is in train mode.
    """
    # ONNX Runtime ignores dropout in train mode, and the exporter writes
    # every batch norm in eval mode: the comparison with torch would not show
    # the fault, other runtimes would
    if any(module.training for module in net.modules()):
        raise ValueError(
            'the network is in train mode, or a part of it: '
            'expected eval mode, call net.eval() first'
        )
    net = copy.deepcopy(net)
    _fold_batch_norms(net, side)
    replace_layers(
        net, {module: nn.Identity() for module in net.modules() if isinstance(module, DropoutBase)}
    )
    if phases:
        replace_layers(net, phased(net, side))
    _rename_keywords(net)
    return net.eval()


def _fold_batch_norms(net: nn.Module, side: int) -> None:
    """Fold each batch norm into the convolution whose output it takes."""
    outputs, pairs = {}, []

    def after_conv(conv, args, output):
        outputs[id(output)] = (conv, output)  # kept: its id stays its own

    def before_norm(norm, args):
        conv, _ = outputs.get(id(args[0]), (None, None))
        if conv is not None and norm.running_mean is not None:
            pairs.append((conv, norm))

    handles = [
        module.register_forward_hook(after_conv)
        for module in net.modules()
        if isinstance(module, ConvBase)
    ]
    handles += [
        module.register_forward_pre_hook(before_norm)
        for module in net.modules()
        if isinstance(module, BatchNormBase)
    ]
    with torch.inference_mode():
        net(torch.zeros(1, image_channels(net), side, side))
    for handle in handles:
        handle.remove()
    folded = {}
    for conv, norm in pairs:
        folded[conv] = fuse_conv_bn_eval(conv, norm, conv.transposed)
        folded[norm] = nn.Identity()
    replace_layers(net, folded)


def _rename_keywords(net: nn.Module) -> None:
    """Rename children whose name is a keyword of Python.

    The exporter writes names into Python code that it runs; mmcv calls its
    instance norms ``in``, and keeps the name in an attribute.
    """
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if not keyword.iskeyword(name):
                continue
            delattr(parent, name)
            setattr(parent, f'{name}_', child)
            for key, value in vars(parent).items():
                if value == name and isinstance(value, str):
                    vars(parent)[key] = f'{name}_'


class Pictures(nn.Module):
    """A generator of 8-bit pictures, as they come from and go to files.

    Args:
        net (nn.Module): Generator of images in [-1, 1].
    """

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C), uint8 to the same.

        The formulas are those of ``pictures.to_tensor`` and
        ``pictures.to_picture``.
        """
        x = (x.permute(0, 3, 1, 2).float() - 127.5) / 127.5
        y = ((self.net(x) + 1) * 127.5).clamp(0, 255).round()
        return y.to(torch.uint8).permute(0, 2, 3, 1)
