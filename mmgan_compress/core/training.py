"""One optimizer step, correct on one process and on many."""
import contextlib
from typing import Union

import torch.nn as nn
from mmengine.dist import all_reduce, all_reduce_params, is_distributed
from torch import Tensor


@contextlib.contextmanager
def frozen(*modules: nn.Module):
    """Keep gradients from parameters, not from what passes through them.

    For the forward passes inside the block; parameters that were frozen
    before stay so behind it.
    """
    parameters = [p for module in modules for p in module.parameters()
                  if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def backward(wrapper, loss: Union[Tensor, int]):
    """Clear the gradients of an ``OptimWrapper`` and compute new ones.

    Computes none where nothing is to be learnt: every term is switched off,
    or every network frozen.
    """
    wrapper.zero_grad()
    if isinstance(loss, Tensor) and loss.requires_grad:
        wrapper.backward(loss)


def step(wrapper):
    """Average gradients over the processes and step an ``OptimWrapper``.

    Translation models call their sub-networks one by one, several times and
    in phases; torch's DDP reduces only what passes through its own forward.
    Averaging here covers every schedule.
    """
    gradients = [p.grad for group in wrapper.param_groups
                 for p in group['params'] if p.grad is not None]
    if not gradients:  # a gradient scaler refuses a step without any
        return
    if is_distributed():
        all_reduce_params(gradients, op='mean')
    wrapper.step()
    wrapper.zero_grad()


def update(wrapper, loss: Union[Tensor, int]):
    """Backward and step in one call."""
    backward(wrapper, loss)
    step(wrapper)


def global_mean(value: Tensor) -> Tensor:
    """Return the mean over the processes with the own share's gradient.

    For what is not linear in a mean over the batch (a root, an absolute
    value): :func:`step` averages gradients, so its result is then that of
    one process with the whole batch.
    """
    if not is_distributed():
        return value
    total = value.detach().clone()
    all_reduce(total, op='mean')
    return value + (total - value.detach())
