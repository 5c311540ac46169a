"""Norms that take fewer passes over memory."""

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class OnePassInstanceNorm2d(nn.InstanceNorm2d):
    """Instance norm that torch computes as a group norm of one channel each.

    It is the same function to the rounding of float32. On CPUs torch's own
    instance norm is a batch norm of a reshaped copy, and reads its input
    several times. In eval mode it is used all the same: a score of a run is
    that of the finished student, bit by bit.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        if not self.training or x.device.type != 'cpu' or x.dim() != 4:
            return super().forward(x)
        return F.group_norm(x, x.shape[1], self.weight, self.bias, self.eps)


def speed_up_norms(module: nn.Module) -> None:
    """Let instance norms without running statistics be faster, in place.

    Args:
        module (nn.Module): Any network; names, weights and results stay.
    """
    for layer in module.modules():
        if type(layer) is nn.InstanceNorm2d and not layer.track_running_stats:
            layer.__class__ = OnePassInstanceNorm2d
