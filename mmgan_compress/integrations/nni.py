"""Pruning by NNI: its scores, schedules and masks, our structure.

NNI (https://github.com/microsoft/nni, 3.0) masks parameters; its
``ModelSpeedup``, which should cut out what is masked, fails on current torch.
All algorithms are NNI's classes. Ours is which parameters they score, how
many channels of a group go (the budget's search), and what is made of the
masks: those of coupled channels agree, and what they remove is cut out along
the dependency graph (``pruning/dependencies.py``), as ``TorchPruner`` does it.
The result runs without either library.

A *source* of a group is a weight that NNI scores: of the layers that make the
channels, or of the norms that they pass. The sources of a group share a
``dependency_group_id``: NNI averages their scores and masks them alike. For a
convolution ``a`` and the norm ``n`` behind it NNI is told::

    [dict(op_names=['a'], target_names=['weight', 'bias'], target_settings={
         'weight': {'sparse_ratio': 0.5, 'dependency_group_id': '0',
                    'granularity': 'out_channel'}}),
     dict(op_names=['n'], target_names=['weight', 'bias'])]

The other parameters of the group follow (:func:`follow`), so that a masked
channel is zero behind its norm, as one is that was cut out. NNI's own means
for that, ``align``, takes the first dimension of a weight for its outputs,
which in a transposed convolution is the second (its ``L1NormPruner`` fails
there), and cannot align with a norm. Where it scores a weight,
``granularity='in_channel'`` is its name for the second dimension.
"""

import copy
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn as nn
from mmengine.config import Config
from torch import Tensor

from ..compat import require
from ..core.layers import find_layer
from ..core.logging import quiet
from ..core.messages import check_choice, check_range
from ..pruning.dependencies import ChannelGroup, Member
from ..pruning.torch_pruner import ChannelPruner, Pruned
from ..registry import PRUNERS, TASK_UTILS

Masks = Mapping[str, Mapping[str, Tensor]]  # NNI's: by layer and parameter
Sources = Sequence[Sequence[Member]]  # of each group
# What NNI's scores are taken of: the filters; the scales of norms; or the
# scales where channels pass a norm, and else the filters.
KINDS = ('filters', 'scales', 'either')


def source_members(module: nn.Module, group: ChannelGroup, kind: str) -> list[Member]:
    """Return the layers of a group whose weights NNI scores.

    Args:
        module (nn.Module): The network.
        group (ChannelGroup): Of the network.
        kind (str): One of ``KINDS``.

    Returns:
        list[Member]: All filters or all scales; empty if there are none
        whose channels are those of the group, one for one.
    """
    norms = [m for m in group.members if m.part == 'norm']
    found = norms
    if kind == 'filters' or kind == 'either' and not norms:
        found = [m for m in group.members if m.part == 'makes']
    order = tuple(range(group.width))
    found = [
        m for m in found if m.channels == m.roots == order and _width(module, m) == group.width
    ]
    # scores of convolutions, transposed ones and linear layers are of three
    # shapes, which NNI cannot average: the fewer follow
    sides = [(_outputs(module, m), find_layer(module, m.layer).weight.dim()) for m in found]
    return [m for m, side in zip(found, sides) if side == max(sides, key=sides.count)]


def config_list(
    module: nn.Module, groups: Sequence[ChannelGroup], sources: Sources, ratios: Sequence[float]
) -> list[dict[str, Any]]:
    """Return NNI's ``config_list``.

    Args:
        module (nn.Module): The network.
        groups (Sequence[ChannelGroup]): Of the network.
        sources (Sequence[Sequence[Member]]): Of each group.
        ratios (Sequence[float]): Share of channels to mask, of each group.

    Returns:
        list[dict]: One entry for each layer with parameters.
    """
    entries = {}
    for index, (group, found) in enumerate(zip(groups, sources)):
        for member in group.members if found else ():
            layer, names = find_layer(module, member.layer), _parameters(module, member)
            if not names:
                continue
            _register(layer)
            entry = entries.setdefault(
                member.layer, dict(op_names=[member.layer], target_names=names)
            )
            if member in found:
                side = _outputs(module, member)
                entry['target_settings'] = dict(
                    weight=dict(
                        sparse_ratio=ratios[index],
                        dependency_group_id=str(index),
                        granularity=('out_channel', 'in_channel')[side],
                    )
                )
    return list(entries.values())


def group_metrics(metrics: Masks, sources: Sources) -> list[Tensor | None]:
    """Return NNI's scores of the channels of each group.

    Args:
        metrics (Mapping): NNI's, by layer and parameter.
        sources (Sequence[Sequence[Member]]): Of each group.

    Returns:
        list[Tensor | None]: (width, ), the mean over the sources, on the
        CPU; None for a group without any.
    """
    return [
        torch.stack([metrics[m.layer]['weight'].detach().flatten().cpu() for m in found]).mean(0)
        if found
        else None
        for found in sources
    ]


def ratio_for(count: int, group: ChannelGroup) -> float:
    """Return the ratio of which NNI makes a number of channels.

    NNI rounds ratio times width down, which of ``count / width`` itself
    might make one channel less.
    """
    return (count + 0.5) / group.width


def alive_channels(module: nn.Module, masks: Masks, sources: Sources) -> list[Tensor | None]:
    """Return which channels of each group NNI's masks leave.

    Args:
        module (nn.Module): The network.
        masks (Mapping): NNI's, of the sources at least.
        sources (Sequence[Sequence[Member]]): Of each group.

    Returns:
        list[Tensor | None]: (width, ), bool, on the CPU; None for a group
        without sources.
    """
    return [
        masks[found[0].layer]['weight']
        .movedim(_outputs(module, found[0]), 0)
        .reshape(_width(module, found[0]), -1)
        .any(1)
        .cpu()
        if found
        else None
        for found in sources
    ]


def follow(
    module: nn.Module, groups: Sequence[ChannelGroup], alive: Sequence[Tensor | None]
) -> Masks:
    """Return masks for every parameter of the groups.

    Args:
        module (nn.Module): The network.
        groups (Sequence[ChannelGroup]): Of the network.
        alive (Sequence[Tensor | None]): Of :func:`alive_channels`.

    Returns:
        dict[str, dict[str, Tensor]]: By layer and parameter; of length 1
        but along the outputs.
    """
    masks = defaultdict(dict)
    for group, left in zip(groups, alive):
        for member in group.members if left is not None else ():
            for name in _parameters(module, member):
                tensor = getattr(find_layer(module, member.layer), name)
                shape = [1] * tensor.dim()
                shape[_outputs(module, member) if name == 'weight' else 0] = -1
                # a norm behind a concatenation follows several groups
                mask = masks[member.layer].setdefault(
                    name, torch.ones(_width(module, member)).view(shape)
                )
                mask.view(-1)[list(member.channels)] = left[list(member.roots)].float()
    return masks


def _outputs(module: nn.Module, member: Member) -> int:
    """Return the dimension of a weight that counts a group's channels."""
    layer = find_layer(module, member.layer)
    return int(member.part == 'makes' and getattr(layer, 'transposed', False))


def _width(module: nn.Module, member: Member) -> int:
    """Return how many outputs a layer has by its weight; 0 without one."""
    weight = find_layer(module, member.layer).weight
    return 0 if weight is None else weight.shape[_outputs(module, member)]


def _parameters(module: nn.Module, member: Member) -> list[str]:
    """Return the names of what a mask of the group applies to."""
    layer = find_layer(module, member.layer)
    return [
        name
        for name in ('weight', 'bias')
        if member.part != 'reads' and getattr(layer, name, None) is not None
    ]


def _register(layer: nn.Module) -> None:
    """Make a kind of layer known to NNI, which lists some kinds only."""
    setting = require('nni.compression.base.setting', 'NNIPruner').PruningSetting
    if type(layer).__name__ not in setting.registry:
        setting.register(type(layer).__name__, setting.default_setting)


Choice = tuple[list[list[int]], dict]  # what goes of each group, and how found
Choose = Callable[[Sequence[Tensor | None]], Choice]


@dataclass(frozen=True)
class Algorithm:
    """One of NNI's pruners.

    Args:
        pruner (str): Class in ``nni.compression.pruning``.
        sources (str): What it scores, of ``KINDS``.
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
        lacking = [group for group, found in zip(groups, self.sources) if not found]
        if lacking and (self.algorithm.sources == 'either' or len(lacking) == len(groups)):
            raise ValueError(
                f'{name!r} has nothing to go by behind {lacking[0].members[0].layer!r} of '
                f'{type(network).__name__}. Take {", ".join(ONE_SHOT)} or taylor, or train the '
                'generator with norms that have weights, such as '
                "norm_cfg=dict(type='IN', affine=True)"
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


# Fewest steps: a schedule masks ten times in three quarters of them.
_FEWEST = 20


@PRUNERS.register_module()
class NNIPruner(ChannelPruner):
    """Remove channels by an algorithm of NNI until a budget is met.

    ``'l1'``, ``'l2'`` (norms of filters) and ``'fpgm'`` (their distance from
    the others) look at the weights only. The other algorithms train the
    generator as the student of a recipe, whose losses, data and optimizers
    are used as they are: ``'taylor'`` ranks filters by weight times
    gradient, ``'slim'`` norms by factors under an L1 penalty; ``'agp'`` and
    ``'linear'`` mask ever more filters by a one-shot algorithm until the
    budget's number is reached, ``'movement'`` the scales of norms (filters,
    where no norm follows) that move towards zero. What a training one
    returns has the trained weights.

    Args:
        budget (dict | None): As of :class:`ChannelPruner`, like ``floor``
            and ``ratio``.
        algorithm (str): Of the above.
        scope (str): ``'local'`` takes the same share from every group, as
            NNI's ``sparse_ratio``; ``'global'`` ranks all channels together
            by their scores, as NNI's ``global_group_id``. ``'agp'`` and
            ``'linear'`` then take the shares that the weights give before
            the training.
        floor (int): Channels that every group keeps, at least 1.
        ratio (float | None): Share of channels, in place of a budget.
        training (str | Config | None): Recipe to train with, or its path. The
            generator makes its ``default_domain``; a second generator of the
            recipe starts from its own ``init_cfg``.
        steps (int): Steps of the student's optimizer.
        base (str): One-shot algorithm inside ``'agp'`` and ``'linear'``.
        arguments (dict | None): Of NNI's class, in place of ours: such as
            ``dict(regular_scale=2.)`` of its ``SlimPruner``.

    Raises:
        ValueError: If settings are out of range or do not go together.

    Example:
        >>> pruner = PRUNERS.build(dict(
        ...     type='NNIPruner', algorithm='fpgm', ratio=0.5))
    """

    def __init__(
        self,
        budget: dict | None = None,
        algorithm: str = 'l1',
        scope: str = 'local',
        floor: int = 1,
        ratio: float | None = None,
        training: str | Config | None = None,
        steps: int = 1000,
        base: str = 'l1',
        arguments: dict | None = None,
    ):
        super().__init__(budget, scope, floor, ratio)
        check_choice('algorithm', algorithm, ALGORITHMS)
        check_choice('base', base, ONE_SHOT)
        if ALGORITHMS[algorithm].trains != (training is not None):
            raise ValueError(
                f'{algorithm!r} trains the generator: give a recipe, such as '
                "training='configs/omgd_pix2pix.py'"
                if training is None
                else f'{algorithm!r} looks at the weights only: leave training out'
            )
        if algorithm == 'movement' and scope == 'global':
            raise ValueError(
                "'movement' has no scores before it trains, "
                "when the shares are set: give scope='local'"
            )
        check_range('steps', steps, _FEWEST)
        self.algorithm, self.base, self.steps = algorithm, base, steps
        self.arguments, self.training = arguments, training

    def _run(self, module: nn.Module, image: Tensor, config: dict | None) -> Pruned:
        groups = self._groups(module, image)
        lacking = f'{self.algorithm!r} has no channels to choose from'
        settings = dict(base=self.base, steps=self.steps, arguments=self.arguments)
        run = NNIRun(self.algorithm, copy.deepcopy(module), groups, **settings)
        if self.training is not None:
            # refuses a budget out of reach before anything trains
            self._choose(module, groups, run.any_scores(), lacking, 'local')
            evaluator = self._evaluator(module, config)
            run = NNIRun(self.algorithm, evaluator.network, groups, evaluator=evaluator, **settings)
        removed, summary = run.run(
            lambda scores: self._choose(module, groups, scores, lacking, self.scope)
        )
        network = run.network.train(module.training)
        return self._cut(network, image, groups, removed, dict(summary, **self._told()))

    def _evaluator(self, module: nn.Module, config: dict | None):
        if config is None:
            raise ValueError(
                f'{self.algorithm!r} builds the network anew inside the '
                "recipe's model: call compress(generator, config), with the "
                'config that makes it'
            )
        # an engine's class, found by name: pruners do not import engines
        return TASK_UTILS.get('mmgan_compress.RunnerEvaluator')(
            generator=module, config=config, training=self.training
        )

    def _told(self) -> dict:
        """Return what the summary says of the settings."""
        told = dict(algorithm=self.algorithm)
        if ALGORITHMS[self.algorithm].times:
            told['base'] = self.base
        if self.training is not None:
            name = (
                self.training
                if isinstance(self.training, str)
                else self.training.filename or 'a Config'
            )
            told.update(steps=self.steps, training=Path(name).name)
        if self.arguments:
            told['arguments'] = dict(self.arguments)
        return told
