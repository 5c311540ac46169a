"""Hooks of GAN Slimming: proximal steps and its learning rate."""

import math

import torch
from mmengine.hooks import Hook
from torch import Tensor

from ...core.training import passes_held
from ...registry import HOOKS
from ..resume import unwrap
from .schedule import ScheduledLRHook, need_optimizers


def soft_threshold(x: Tensor, threshold: float) -> Tensor:
    """Return sign(x) * max(|x| - threshold, 0): the proximal step of L1."""
    return x.sign() * (x.abs() - threshold).clamp(min=0)


@HOOKS.register_module()
class SoftThresholdHook(Hook):
    """Shrink the scales of the student's norms to exact zeros.

    For the distillers of GAN Slimming, which list the norms whose channels
    can be removed. After each step gamma <- soft_threshold(gamma, rho * lr)
    with the learning rate of that step: the proximal step of
    ``rho * |gamma|``
    (GAN Slimming, arXiv 2008.11062, algorithm 1). The log has the share of
    channels whose scale is not zero.

    Args:
        rho (float): Weight of the L1 norm; published 0.01 (README).
        optimizer (str): Name of the optimizer that steps the scales.
        shrink_shifts (bool): Shrink the shift of a channel as well while its
            scale is 0. In the published method the shift stays, and is lost
            when the channel is removed.
    """

    def __init__(self, rho: float = 0.01, optimizer: str = 'scales', shrink_shifts: bool = True):
        self.rho, self.optimizer = rho, optimizer
        self.shrink_shifts = shrink_shifts

    def before_train(self, runner):
        need_optimizers(runner, self.optimizer)

    @torch.no_grad()
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        wrapper = runner.optim_wrapper[self.optimizer]
        if passes_held(wrapper):  # it accumulates and did not step
            return
        (group,) = wrapper.param_groups
        threshold, norms = self.rho * group['lr'], unwrap(runner.model).distiller.slim_norms
        for norm in norms:
            norm.weight.copy_(soft_threshold(norm.weight, threshold))
            if self.shrink_shifts:
                norm.bias.copy_(
                    torch.where(norm.weight == 0, soft_threshold(norm.bias, threshold), norm.bias)
                )
        alive = torch.cat([norm.weight for norm in norms]) != 0
        runner.message_hub.update_scalar('train/scales_alive', alive.float().mean())


@HOOKS.register_module()
class CosineLRHook(ScheduledLRHook):
    """Set learning rates to their base times a half cosine.

    (1 + cos(pi * e / epochs)) / 2 with the number e of epochs done: torch's
    ``CosineAnnealingLR`` down to 0, stepped per epoch (GAN Slimming's
    scripts), as a function of the iteration alone.
    """

    def __init__(self):
        super().__init__()

    def factor(self, name, schedule, iteration):
        """Return the factor of all base rates."""
        done = (schedule.epoch(iteration) - 1) / schedule.epochs
        return (1 + math.cos(math.pi * done)) / 2
