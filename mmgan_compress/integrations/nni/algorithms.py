"""NNI's pruning algorithms, run on the channel groups of a network.

All of them are NNI's classes, with NNI's scores, masks and schedules; what is
ours is which parameters they score (``nni_targets.py``), how many channels of
a group go (the budget's search), and what is made of the masks.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor

from ...compat import require
from ...core.layers import find_layer
from ...core.logging import quiet
from ...pruning.dependencies import ChannelGroup
from .targets import alive_channels, config_list, follow, group_metrics, ratio_for, source_members

Choice = tuple[list[list[int]], dict]  # what goes of each group, and how found
Choose = Callable[[Sequence[Tensor | None]], Choice]


@dataclass(frozen=True)
class Algorithm:
    """One of NNI's pruners.

    Args:
        pruner (str): Class in ``nni.compression.pruning``.
        sources (str): What it scores, of ``nni_targets.KINDS``.
        trains (bool): Whether the network trains meanwhile.
        planned (bool): Whether the numbers of channels are fixed before:
            the masks grow towards them while the network trains.
        times (int): How often a schedule masks more channels.
    """

    pruner: str
    sources: str = 'filters'
    trains: bool = False
    planned: bool = False
    times: int = 0


ALGORITHMS = {
    'l1': Algorithm('L1NormPruner'),
    'l2': Algorithm('L2NormPruner'),
    'fpgm': Algorithm('FPGMPruner'),
    # factors on the scales of norms, with an L1 penalty
    'slim': Algorithm('SlimPruner', 'scales', trains=True),
    'taylor': Algorithm('TaylorPruner', trains=True),
    # A norm undoes the scale of the filters in front of it, so that weight
    # times gradient, which is what movement sums up, is 0 for the sum over
    # such a filter: there its norm's scale is what moves.
    'movement': Algorithm('MovementPruner', 'either', trains=True, planned=True),
    # a one-shot pruner that masks a share of its goal, ten times
    'agp': Algorithm('AGPPruner', trains=True, planned=True, times=10),
    'linear': Algorithm('LinearPruner', trains=True, planned=True, times=10),
}
ONE_SHOT = tuple(k for k, v in ALGORITHMS.items() if not v.trains)
# Share of the steps at whose end a schedule has masked all: ours. The rest
# trains what is left.
_GROWING = 0.75
# Share of the steps before movement masks anything: ours.
_WARMUP = 0.1


class NNIRun:
    """One algorithm of NNI on one network.

    Args:
        name (str): Of ``ALGORITHMS``.
        network (nn.Module): Is wrapped, trained, and masked for good.
        groups (Sequence[ChannelGroup]): Of the network.
        base (str): One-shot algorithm inside a schedule.
        evaluator (Evaluator | None): Trains the network, where it trains.
        steps (int): How long.
        arguments (dict): Of NNI's class, in place of ours.

    Raises:
        ValueError: If the algorithm has nothing to go by.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        groups: Sequence[ChannelGroup],
        base: str = 'l1',
        evaluator: Any = None,
        steps: int = 0,
        arguments: dict | None = None,
    ):
        self.name, self.algorithm, self.base = name, ALGORITHMS[name], base
        self.network, self.groups = network, groups
        self.evaluator, self.steps = evaluator, steps
        self.arguments = arguments or {}
        self.sources = [source_members(network, group, self.algorithm.sources) for group in groups]
        self._refuse_without_sources()

    def _refuse_without_sources(self):
        kind, net = self.algorithm.sources, type(self.network).__name__
        advice = (
            f'Take {", ".join(ONE_SHOT)} or taylor, or train the '
            'generator with norms that have weights, such as '
            "norm_cfg=dict(type='IN', affine=True)"
        )
        if kind == 'either':
            for group, found in zip(self.groups, self.sources):
                if not found:
                    raise ValueError(
                        f'{self.name!r} goes by how the scales of norms move '
                        f'and the norm behind {group.members[0].layer!r} of '
                        f'{net} has none. {advice}'
                    )
        if not any(self.sources):
            raise ValueError(
                f'{self.name!r} goes by the scales of norms and {net} has no '
                f'norms with weights. {advice}'
                if kind == 'scales'
                else f'{self.name!r} finds no layer of {net} that it can mask'
            )

    def run(self, choose: Choose) -> Choice:
        """Mask the network, and zero what is masked.

        Args:
            choose (Callable): Maps scores, (width, ) for each group or None,
                to the channels that go; called before a planned algorithm
                trains, and behind any other.

        Returns:
            list[list[int]]: Channels of each group that NNI's masks remove.
            dict: Summary of the choice.
        """
        with quiet(logging.getLogger('nni'), logging.ERROR):
            pruner, masks, summary = (self._planned if self.algorithm.planned else self._ranked)(
                choose
            )
            alive = alive_channels(self.network, masks, self.sources)
            self._bake(pruner)
        removed = [[] if left is None else (~left).nonzero().flatten().tolist() for left in alive]
        return removed, summary

    def any_scores(self) -> list[Tensor | None]:
        """Return scores that tell which groups can be chosen from only."""
        return [
            torch.zeros(group.width) if found else None
            for group, found in zip(self.groups, self.sources)
        ]

    def _ranked(self, choose: Choose) -> tuple:
        """Score, then choose; train for the score where it needs that."""
        steps = dict(training_steps=self.steps) if self.algorithm.trains else {}
        pruner = self._build(self.name, None, **steps)
        if self.algorithm.trains:
            pruner.compress()
        else:
            pruner.generate_masks()
        removed, summary = choose(group_metrics(pruner.scores, self.sources))
        for index, found in enumerate(self.sources):
            for member in found:
                space = pruner._target_spaces[member.layer]['weight']
                space.sparse_ratio = ratio_for(len(removed[index]), self.groups[index])
        masks = pruner._generate_sparsity(pruner.scores)
        pruner.update_masks(masks)
        return pruner, masks, summary

    def _planned(self, choose: Choose) -> tuple:
        """Choose how many go, then train while the masks grow."""
        if self.algorithm.times:
            removed, summary = choose(self._weight_scores())
            growing = int(_GROWING * self.steps / self.algorithm.times)
            pruner = getattr(_pruning(), self.algorithm.pruner)(
                self._build(self.base, removed),
                **dict(
                    dict(interval_steps=growing, total_times=self.algorithm.times), **self.arguments
                ),
            )
            needed = pruner.interval_steps * pruner.total_times
        else:
            removed, summary = choose(self.any_scores())
            pruner = self._build(
                self.name,
                removed,
                warmup_step=int(_WARMUP * self.steps),
                cooldown_begin_step=int(_GROWING * self.steps),
            )
            needed = pruner.cooldown_begin_step
        if needed > self.steps:
            raise ValueError(
                f'the schedule of {self.name!r} takes {needed} '
                f'steps and steps is {self.steps}: change steps '
                f'or arguments, which are {self.arguments}'
            )
        _, masks = pruner.compress(self.steps, None)
        return pruner, masks, summary

    def _weight_scores(self) -> list[Tensor | None]:
        """Return the scores of the algorithm inside a schedule."""
        scorer = self._build(self.base, None)
        scorer.generate_masks()
        self._unwrap(scorer)
        return group_metrics(scorer.scores, self.sources)

    def _build(self, name: str, removed: list[list[int]] | None, **arguments):
        """Build a pruner of NNI; half goes where that is not known yet."""
        if name == self.name:
            arguments.update(self.arguments)
        ratios = (
            [0.5] * len(self.groups)
            if removed is None
            else [ratio_for(len(gone), group) for gone, group in zip(removed, self.groups)]
        )
        kind = _following(ALGORITHMS[name].pruner, self.network, self.groups, self.sources)
        return kind(
            self.network,
            config_list(self.network, self.groups, self.sources, ratios),
            evaluator=self.evaluator,
            **arguments,
        )

    @torch.no_grad()
    def _bake(self, pruner) -> None:
        """Leave the network with the parameters that NNI computes with."""
        found = {
            (layer, name): wrapper.patch_helper(name, space.target).clone()
            for layer, wrapper in pruner._module_wrappers.items()
            for name, space in wrapper.pruning_target_spaces.items()
        }
        self._unwrap(pruner)
        for (layer, name), value in found.items():
            getattr(find_layer(self.network, layer), name).copy_(value)

    def _unwrap(self, pruner) -> None:
        pruner.unwrap_model()
        for layer in pruner._module_wrappers:  # NNI leaves it behind
            del vars(find_layer(self.network, layer))['forward']


def _following(pruner: str, network: nn.Module, groups: Sequence[ChannelGroup], sources) -> type:
    """Return a class of NNI whose masks cover all parameters of the groups.

    It keeps its last scores as ``scores``.
    """
    generate = require('nni.compression.pruning.tools', 'NNIPruner').generate_sparsity

    class Following(getattr(_pruning(), pruner)):
        def _generate_sparsity(self, metrics):
            self.scores = metrics
            spaces = {
                m.layer: {'weight': self._target_spaces[m.layer]['weight']}
                for found in sources
                for m in found
            }
            masks = generate(metrics, spaces)
            return follow(network, groups, alive_channels(network, masks, sources))

    return Following


def _pruning():
    return require('nni.compression.pruning', 'NNIPruner')
