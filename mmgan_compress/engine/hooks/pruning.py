"""Pruning while a network trains: channels are zeroed, not removed."""

import copy
from typing import Any

import torch
import torch.nn as nn
from mmengine.hooks import Hook
from torch import Tensor

from ...core.channels import channel_map, cut, input_shape
from ...core.layers import find_layer
from ...registry import HOOKS, PRUNERS
from ..resume import unwrap

_KEY = 'gradual_pruning'
# what a dead channel has of a layer's tensors
_MASKED = ('weight', 'bias', 'running_mean')
# how far from its cost a step may lie that is not the last one
_SLACK = 0.1


@HOOKS.register_module()
class GradualPruningHook(Hook):
    """Prune the student step by step while it trains.

    At each step a pruner chooses the channels to remove next. The cost falls
    evenly from that of the dense network to the budget. The channels are not
    cut out, because the optimizers hold state of the tensors: the weights
    that make, pass and read them are set to zero, and again after each
    iteration. ``MaskExtraction`` cuts the zeros out of the student file
    afterwards, and the image stays the same.

    Checkpoints hold which channels are removed.

    Args:
        pruner (dict): One that ranks channels by their weights, with the
            budget at the end: ``dict(type='mmgan_compress.TorchPruner',
            budget=dict(macs=0.25))``.
        begin (float): Share of the training before the first step.
        end (float): Share of the training at which the budget is met; the
            rest fine-tunes the network.
        steps (int): Steps between the two.
        domains (list[str] | None): Generators to prune; all of the student's
            if None.

    Raises:
        ValueError: If a setting is out of range.
    """

    # before the hooks that write students and checkpoints
    priority = 'ABOVE_NORMAL'
    checkpoint_key = _KEY

    def __init__(
        self,
        pruner: dict,
        begin: float = 0.1,
        end: float = 0.6,
        steps: int = 5,
        domains: list[str] | None = None,
    ):
        if not 0 <= begin < end <= 1 or steps < 1:
            raise ValueError(
                f'begin={begin}, end={end}, steps={steps}: expected shares '
                'of the training, 0 <= begin < end <= 1, and 1 step or more'
            )
        self.pruner, self.domains = pruner, domains
        self.begin, self.end, self.steps = begin, end, steps
        # by domain and layer the channels that stay, as lists [in, out]
        self.kept: dict[str, dict[str, list[list[int]]]] = {}
        self._masks: list[tuple[Tensor, Tensor]] = []

    # --- what mmengine calls ------------------------------------------------
    def before_train(self, runner):
        self._networks = unwrap(runner.model).generators
        self.domains = self.domains or list(self._networks)
        total = runner.max_iters
        first, last = (round(share * (total - 1)) for share in (self.begin, self.end))
        self._moments = {
            first + round((last - first) * step / self.steps): step
            for step in range(1, self.steps + 1)
        }
        # refuse a budget out of reach now, not in the middle of the run
        self._costs = {domain: self._reachable(self._networks[domain]) for domain in self.domains}
        self._mask()

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        step = self._moments.get(runner.iter)
        if step is None:
            return
        for domain in self.domains:
            network = self._networks[domain]
            kept = self._choose(network, *self._costs[domain], step)
            self.kept[domain] = _both(self.kept.get(domain, {}), kept)
            live = _count(network, self.kept[domain])
            runner.logger.info('Pruning step %d of %d, %s: %s', step, self.steps, domain, live)
        self._mask()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self._apply()

    def before_save_checkpoint(self, runner, checkpoint: dict):
        checkpoint[_KEY] = self.kept

    def after_load_checkpoint(self, runner, checkpoint: dict):
        self.kept = checkpoint.get(_KEY, {})

    # --- choosing -----------------------------------------------------------
    def _build(self, **changes) -> Any:
        pruner = PRUNERS.build(dict(self.pruner, **changes))
        if getattr(pruner, 'budget', None) is None or not hasattr(pruner, 'prune'):
            raise ValueError(
                f'{self.pruner} cannot prune gradually: expected a pruner '
                'that ranks channels, such as TorchPruner, with a budget'
            )
        return pruner

    def _reachable(self, network: nn.Module) -> tuple[float, float]:
        """Return the cost of the dense network and that of the budget."""
        pruner = self._build()
        pruner.prune(network, _image(network, pruner.budget.size))
        dense = pruner.budget.measure(network)
        return dense, pruner.budget.target(dense)

    def _choose(
        self, network: nn.Module, dense: float, target: float, step: int
    ) -> dict[str, list[list[int]]]:
        """Return the channels that stay at a step."""
        budget = self._build().budget
        slack = budget.tolerance if step == self.steps else max(budget.tolerance, _SLACK)
        cost = {budget.kind: dense - (dense - target) * step / self.steps}
        pruner = self._build(budget=dict(cost, size=budget.size, tolerance=slack))
        return pruner.prune(network, _image(network, budget.size)).kept

    # --- masking ------------------------------------------------------------
    def _mask(self):
        """Make masks of what is kept, and apply them."""
        self._masks = [
            pair
            for domain, kept in self.kept.items()
            for name, sides in kept.items()
            for pair in masks_of(find_layer(self._networks[domain], name), sides)
        ]
        self._apply()

    @torch.no_grad()
    def _apply(self):
        for tensor, mask in self._masks:
            tensor.mul_(mask)


def _image(network: nn.Module, size: int) -> Tensor:
    return torch.empty(input_shape(network, size), device='meta')


def _both(one: dict, other: dict) -> dict[str, list[list[int]]]:
    """Return the channels that both keep."""
    kept = {}
    for name in {**one, **other}:
        sides = [held[name] for held in (one, other) if name in held]
        kept[name] = [sorted(set.intersection(*map(set, side))) for side in zip(*sides)]
    return kept


def _count(network: nn.Module, kept: dict) -> str:
    wide = {name: sides[-1] for name, sides in channel_map(network).items()}
    left = {**wide, **{name: len(sides[-1]) for name, sides in kept.items()}}
    return f'{sum(left.values())} of {sum(wide.values())} outputs of layers live'


def masks_of(layer: nn.Module, sides: list[list[int]]) -> list[tuple[Tensor, Tensor]]:
    """Return the tensors of a layer with masks of 0 and 1 for them.

    Args:
        layer (nn.Module): Convolution, linear layer or norm.
        sides (list[list[int]]): Channels that stay, ``[in, out]``, of a norm
            ``[channels]``.
    """
    numbered, pairs = copy.deepcopy(layer).double(), []
    for name in _MASKED:
        tensor = getattr(layer, name, None)
        if tensor is not None:  # where each number stays, a value does
            places = torch.arange(tensor.numel(), dtype=torch.double, device=tensor.device)
            getattr(numbered, name).data = places.view(tensor.shape)
            mask = torch.zeros(tensor.numel(), device=tensor.device)
            mask[cut(numbered, sides)[name].detach().flatten().long()] = 1.0
            pairs.append((tensor.data, mask.view(tensor.shape)))
    return pairs
