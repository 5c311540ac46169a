"""How much a channel counts, by its weights and their gradients.

The five scores are those of Torch-Pruning 1.6.1
(https://github.com/VainF/Torch-Pruning, ``pruner/importance.py``). Its own
code passes over affine instance norms, depthwise convolutions and, in
Taylor's score, batch norms; here all weights of a channel count.
"""

import copy
from collections.abc import Callable, Iterable

import torch
import torch.nn as nn
from torch import Tensor

from ..core.layers import find_layer
from .dependencies import ChannelGroup

Losses = Callable[[nn.Module], Iterable[Tensor]]

# What a weight w with the gradient g is worth.
IMPORTANCES = {
    # L1 norm of the filters that make the channel (arXiv 1608.08710)
    'magnitude': lambda w, _: w.abs(),
    # scale of its norms (Network Slimming, arXiv 1708.06519)
    'bn_scale': lambda w, _: w.abs(),
    # squared L2 norm of all that hangs on it (DepGraph, arXiv 2301.12900)
    'group_norm': lambda w, _: w.square(),
    # change of the loss to first order (Molchanov et al., CVPR 2019)
    'taylor': lambda w, g: (w * g).abs(),
    # to second order, g a mean of squares (Optimal Brain Damage, NIPS 1989)
    'hessian': lambda w, g: w.square() * g,
}
# the parts of a group whose weights count, where these are not all
_PARTS = dict(magnitude=('makes',), bn_scale=('norm',))
# those that need gradients, and the power to which each is averaged
POWERS = dict(taylor=1, hessian=2)


@torch.no_grad()
def group_scores(
    module: nn.Module, group: ChannelGroup, importance: str, gradients: dict[str, Tensor]
) -> Tensor | None:
    """Return the importance of each channel of a group.

    That is the worth of a channel's weights in a layer, summed, its mean
    over the group's layers, and this over its mean in the group, so that
    groups can be compared.

    Args:
        module (nn.Module): The network.
        group (ChannelGroup): Of the network.
        importance (str): A key of ``IMPORTANCES``.
        gradients (dict[str, Tensor]): By parameter, where they are needed.

    Returns:
        Tensor | None: (width, ), on the CPU, with the mean 1; None if no
        weight of the group counts.

    Raises:
        ValueError: If a gradient is missing.
    """
    scores = []
    for member in group.members:
        layer = find_layer(module, member.layer)
        if layer.weight is None or member.part not in _PARTS.get(importance, (member.part,)):
            continue
        gradient = gradients.get(f'{member.layer}.weight')
        if importance in POWERS and gradient is None:
            raise ValueError(
                f'importance {importance!r} needs the gradient of the weight '
                f'of {member.layer!r}, which has none: take a loss that '
                'depends on the whole network'
            )
        worth = IMPORTANCES[importance](layer.weight, gradient)
        worth = worth.movedim(_dimension(layer, member.part), 0)
        worth = worth.flatten(1).sum(1) if worth.dim() > 1 else worth
        scores.append(
            torch.zeros(group.width).index_add_(
                0, torch.tensor(member.roots), worth.float().cpu()[list(member.channels)]
            )
        )
    if not scores:
        return None
    score = torch.stack(scores).mean(0)
    return score / score.mean().clamp_min(torch.finfo(score.dtype).tiny)


def gradients_for(importance: str, module: nn.Module, losses: Losses | None) -> dict[str, Tensor]:
    """Return by parameter what an importance takes for its gradient.

    Args:
        importance (str): A key of ``IMPORTANCES``.
        module (nn.Module): The network; no gradient of it changes.
        losses (Callable | None): Given a network in eval mode it yields
            scalar losses. None takes the gradients that are there.

    Returns:
        dict[str, Tensor]: Mean gradients, squared before for
        ``'hessian'``; empty if the importance needs none.

    Raises:
        ValueError: If it needs some and there are none.
    """
    if importance not in POWERS:
        return {}
    power = POWERS[importance]
    if losses is not None:
        return _mean_gradients(module, losses, power)
    found = {
        name: parameter.grad**power
        for name, parameter in module.named_parameters()
        if parameter.grad is not None
    }
    if not found:
        raise ValueError(
            f'importance {importance!r} needs gradients and the network has '
            'none: give training=..., a recipe (--training), or losses=..., a '
            'function that yields losses of the network that it is given, or '
            'call backward() on one before'
        )
    return found


def _mean_gradients(module: nn.Module, losses: Losses, power: int) -> dict[str, Tensor]:
    """Return the mean over some losses of each gradient to a power."""
    twin = copy.deepcopy(module).eval().requires_grad_()
    names, parameters = zip(*twin.named_parameters())
    sums, count = [torch.zeros_like(p) for p in parameters], 0
    with torch.enable_grad():
        for loss in losses(twin):
            if not loss.requires_grad:
                raise ValueError(
                    'a loss has no gradient: expected one of the network that the function is given'
                )
            found = torch.autograd.grad(loss, parameters, allow_unused=True)
            for total, gradient in zip(sums, found):
                if gradient is not None:
                    total += gradient**power
            count += 1
    if not count:
        raise ValueError('losses(network) yielded none: expected at least one scalar loss')
    return {name: total / count for name, total in zip(names, sums)}


def _dimension(layer: nn.Module, part: str) -> int:
    """Return which dimension of a weight counts a group's channels."""
    if part not in ('makes', 'reads'):
        return 0
    transposed = getattr(layer, 'transposed', False)
    return int(transposed == (part == 'makes'))
