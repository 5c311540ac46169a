"""Instance norms that keep their precision in every runtime."""

import copy

import torch
import torch.nn as nn
from torch import Tensor


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
    for parent in list(net.modules()):
        for name, child in parent.named_children():
            if _is_instance_norm(child):
                staged = StagedInstanceNorm(child, fenced).train(child.training)
                setattr(parent, name, staged)
    return net
