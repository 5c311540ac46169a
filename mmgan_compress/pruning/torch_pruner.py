"""Pruning along Torch-Pruning's dependency graph; weights are inherited.

::

    smaller = prune(network, image, dict(macs=0.25)).network

works on any ``nn.Module`` with convolutions. In configs and on the command
line the pruner is called ``TorchPruner``. What it returns, and the student
made of it, run without Torch-Pruning.

A pruner scores the channels of each group that can only go together (see
``dependencies.py``). The least important ones go until the budget is met,
and what is left is cut out of the network (see ``slicing.py``).

The five scores are those of Torch-Pruning 1.6.1
(https://github.com/VainF/Torch-Pruning, ``pruner/importance.py``). Its own
code passes over affine instance norms, depthwise convolutions and, in
Taylor's score, batch norms; here all weights of a channel count.
"""

import copy
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn as nn
from mmengine.config import Config
from torch import Tensor

from ..core.channels import (
    Kept,
    changed,
    channel_map,
    input_shape,
    kept_widths,
    resize,
    slice_channels,
)
from ..core.layers import find_layer, meta_copy
from ..core.messages import check_choice, check_range
from ..models.slim import architecture, slim_config
from ..models.spectral_norm import SpectralNorm, without_spectral_norm
from ..registry import PRUNERS, TASK_UTILS
from .base import Compressed
from .budget import Budget, nearest
from .dependencies import ChannelGroup, channel_groups, without
from .slicing import check_equal

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


def gradients_for(importance: str, module: nn.Module) -> dict[str, Tensor]:
    """Return by parameter what an importance takes for its gradient.

    Args:
        importance (str): A key of ``IMPORTANCES``.
        module (nn.Module): The network, whose parameters have gradients.

    Returns:
        dict[str, Tensor]: Gradients, squared for ``'hessian'``; empty if the
        importance needs none.

    Raises:
        ValueError: If it needs some and there are none.
    """
    if importance not in POWERS:
        return {}
    found = {
        name: parameter.grad ** POWERS[importance]
        for name, parameter in module.named_parameters()
        if parameter.grad is not None
    }
    if not found:
        raise ValueError(
            f'importance {importance!r} needs gradients and the network has none: give '
            'training=..., a recipe (--training), or call backward() on a loss before'
        )
    return found


def _dimension(layer: nn.Module, part: str) -> int:
    """Return which dimension of a weight counts a group's channels."""
    if part not in ('makes', 'reads'):
        return 0
    transposed = getattr(layer, 'transposed', False)
    return int(transposed == (part == 'makes'))


Channel = tuple[int, int]  # group, and channel as the group counts it


def by_group(groups: Sequence[ChannelGroup], removed: Iterable[Channel]) -> list[list[int]]:
    """Return the channels that go, for each group."""
    of_group = [[] for _ in groups]
    for index, channel in removed:
        of_group[index].append(channel)
    return of_group


class ChannelSearch:
    """Finds the channels whose removal meets a budget.

    Args:
        budget (Budget): What the result may cost.
        module (nn.Module): The network.
        groups (Sequence[ChannelGroup]): Of the network.
    """

    def __init__(self, budget: Budget, module: nn.Module, groups: Sequence[ChannelGroup]):
        self.budget, self.groups = budget, groups
        self.shapes, self.dense = meta_copy(module), budget.measure(module)
        self.target = budget.target(self.dense)
        self.tried: dict[frozenset[Channel], int] = {}

    def find(self, order: Sequence[Channel]) -> frozenset[Channel]:
        """Return what to remove, by an order of what may be removed.

        The number of channels is halved between none and all. Where one
        more makes too much of a difference (a trunk of few channels), it
        goes and others come back, or it stays and others go.

        Raises:
            ValueError: If nothing tried meets the budget; names the nearest.
        """
        costs = {}

        def cost(count: int) -> int:
            costs[count] = self.cost(frozenset(order[:count]))
            return costs[count]

        nearest([range(len(order) + 1)], cost, self.target)
        above = [n for n in costs if costs[n] > self.target]
        below = [n for n in costs if costs[n] < self.target]
        if below and not self.met():
            self.walk(order[: min(below)], order[: min(below)][::-1], 1)
        if above and not self.met():
            self.walk(order[: max(above)], order[max(above) :], -1)
        best = min(self.tried, key=self.gap)
        self.budget.check(self.tried[best], self.dense, f'with {len(best)} channels removed')
        return best

    def cost(self, removed: frozenset[Channel]) -> int:
        """Return what the network costs without some channels."""
        widths = kept_widths(without(self.shapes, self.groups, by_group(self.groups, removed)))
        small = resize(meta_copy(self.shapes), widths)
        self.tried[removed] = self.budget.measure(small)
        return self.tried[removed]

    def gap(self, removed: frozenset[Channel]) -> float:
        """Return how far from the target it is, relative."""
        return abs(self.tried[removed] - self.target) / self.target

    def met(self) -> bool:
        """Tell whether something tried meets the budget."""
        return min(map(self.gap, self.tried)) <= self.budget.tolerance

    def walk(self, start: Sequence[Channel], channels: Sequence[Channel], sign: int) -> None:
        """Give channels back (1) or remove them (-1) until the budget is
        met, passing over groups whose channels would go beyond it.
        """
        removed, coarse = frozenset(start), set()
        slack = self.budget.tolerance * self.target
        for channel in channels:
            if channel[0] in coarse:
                continue
            other = removed ^ {channel}
            missing = sign * (self.target - self.cost(other))
            if missing < -slack:
                coarse.add(channel[0])
            elif missing <= slack:
                return
            else:
                removed = other

    def summary(self, best: frozenset[Channel]) -> dict:
        """Return how it was found, in plain values."""
        return dict(
            kind=self.budget.kind,
            size=self.budget.size,
            dense=self.dense,
            target=self.target,
            cost=self.tried[best],
            history=[[len(removed), cost] for removed, cost in self.tried.items()],
        )


SCOPES = ('global', 'local')
SIZE = 256  # side of the example where there is no budget


class Pruned(NamedTuple):
    """What ``prune`` returns.

    Args:
        network (nn.Module): The smaller network.
        kept (dict[str, list[list[int]]]): Channels that it kept of the wide
            one (see ``slicing.py``).
        summary (dict): What tells the pruner from others, ``scope``,
            ``removed`` and ``removable`` (numbers of channels), ``channels``
            (map of the layers that changed, for ``core/channels.resize``);
            with a budget also ``kind``, ``size``, ``dense``, ``target``,
            ``cost`` and ``history``: ``[removed, cost]`` of each network
            tried.
    """

    network: nn.Module
    kept: Kept
    summary: dict


def _plain(generator: nn.Module, config: dict) -> tuple[nn.Module, dict]:
    """Return a generator without spectral norms, and the config of it."""
    if not any(isinstance(layer, SpectralNorm) for layer in generator.modules()):
        return generator, config
    generator = without_spectral_norm(copy.deepcopy(generator))
    return generator, slim_config(generator, dict(architecture(config), spectral_norm=None))


class ChannelPruner:
    """Base of pruners that rank channels; one overrides :meth:`_run`.

    The outputs of layers that make the network's output stay, and at least
    one channel of every layer, whatever ratio or budget is asked for. Spectral
    norms of ``SelfAttentionGenerator`` become a part of the weights.

    Args:
        budget (dict | None): Such as ``dict(macs=0.25, size=256)``, see
            :class:`~mmgan_compress.pruning.budget.Budget`.
        scope (str): ``'global'`` ranks all channels together by their score;
            ``'local'`` takes the same share from every group.
        floor (int): Channels that every group keeps, at least 1.
        ratio (float | None): In place of a budget: share of all removable
            channels to remove, in [0, 1); less where the floor stops it.

    Raises:
        ValueError: If a setting is out of range, or if not one of budget
            and ratio is given.
    """

    takes_budget = 'optional'

    def __init__(self, budget: dict | None, scope: str, floor: int, ratio: float | None):
        check_choice('scope', scope, SCOPES)
        if (budget is None) == (ratio is None):
            raise ValueError(f'budget is {budget} and ratio is {ratio}: give one of the two')
        if ratio is not None and not 0 <= ratio < 1:
            raise ValueError(
                f'ratio is {ratio}, expected the share of '
                'channels to remove, at least 0 and below 1'
            )
        check_range('floor', floor, 1)
        self.budget = None if budget is None else Budget.of(budget)
        self.scope, self.floor, self.ratio = scope, floor, ratio

    def compress(self, generator: nn.Module, config: dict) -> Compressed:
        """Make a narrower generator with inherited weights.

        Args:
            generator (nn.Module): Trained network; it is left as it is.
            config (dict): Config that builds it.

        Returns:
            Compressed: ``summary`` is that of :class:`Pruned`.

        Raises:
            TypeError: If it is quantized or has no channels to remove.
            ValueError: If no network meets the budget (names the nearest),
                if the channels have nothing to be ranked by, or if something
                outside of layers mixes them.
            ImportError: If a library is not installed.
        """
        size = self.budget.size if self.budget else SIZE
        generator, config = _plain(generator, config)
        image = torch.empty(input_shape(generator, size), device='meta')
        network, _, summary = self._run(generator, image, config)
        return Compressed(network.cpu(), slim_config(network, config), summary)

    def prune(self, module: nn.Module, image: Tensor) -> Pruned:
        """Make any network narrower.

        Args:
            module (nn.Module): Network of one image; it is left as it is.
            image (Tensor): Example of its input, (N, C, H, W), of which the
                shape alone counts.

        Raises:
            TypeError, ValueError, ImportError: As :meth:`compress`.
        """
        return self._run(module, image, None)

    def _run(self, module: nn.Module, image: Tensor, config: dict | None) -> Pruned:
        """Prune a network, whose config is not always known."""
        raise NotImplementedError

    def _groups(self, module: nn.Module, image: Tensor) -> list[ChannelGroup]:
        """Return the groups of a network; raise TypeError without any."""
        groups = channel_groups(module, image)
        if not groups:
            raise TypeError(
                f'{type(module).__name__} has no channels that can be '
                'removed: expected a network of convolutions, some of which '
                'do not make its output'
            )
        return groups

    def _choose(
        self,
        module: nn.Module,
        groups: Sequence[ChannelGroup],
        scores: Sequence[Tensor | None],
        lacking: str,
        scope: str,
    ) -> tuple[list[list[int]], dict]:
        """Choose what goes.

        Args:
            module (nn.Module): The network.
            groups (Sequence[ChannelGroup]): Of the network.
            scores (Sequence[Tensor | None]): (width, ) for each group, on
                the CPU; None leaves its channels alone.
            lacking (str): What to say if all are None.
            scope (str): How they are ranked, of ``SCOPES``.

        Returns:
            list[list[int]]: Channels to remove, for each group.
            dict: The summary's part of the search.

        Raises:
            ValueError: If there is nothing to go by, or if no network meets
                the budget.
        """
        order = self._order(groups, scores, scope)
        total = sum(group.width for group, score in zip(groups, scores) if score is not None)
        if not total:
            raise ValueError(lacking)
        summary = dict(scope=scope)
        if self.budget is None:
            removed = order[: round(self.ratio * total)]
        else:
            search = ChannelSearch(self.budget, module, groups)
            removed = search.find(order)
            summary.update(search.summary(removed))
        summary.update(removed=len(removed), removable=total)
        return by_group(groups, removed), summary

    def _order(
        self, groups: Sequence[ChannelGroup], scores: Sequence[Tensor | None], scope: str
    ) -> list[Channel]:
        """Return the channels without those that the floor keeps, the least
        important first.
        """
        ranked = []
        for index, (group, score) in enumerate(zip(groups, scores)):
            if score is None:
                continue
            held = [set(member.roots) for member in group.members]
            left, rank = list(map(len, held)), 0
            for channel in score.argsort(stable=True).tolist():
                own = [at for at, roots in enumerate(held) if channel in roots]
                if min(left[at] for at in own) <= self.floor:
                    continue  # a branch of a split may be narrower
                for at in own:
                    left[at] -= 1
                key = float(score[channel]) if scope == 'global' else (rank + 1) / group.width
                ranked.append((key, index, rank, channel))
                rank += 1
        return [(index, channel) for _, index, _, channel in sorted(ranked)]

    @staticmethod
    def _cut(
        module: nn.Module,
        image: Tensor,
        groups: Sequence[ChannelGroup],
        removed: Sequence[Sequence[int]],
        summary: dict,
    ) -> Pruned:
        """Cut the chosen channels out of a copy of the network."""
        kept = without(module, groups, removed)
        network = slice_channels(module, kept)
        check_equal(module, network, kept, image)
        return Pruned(
            network,
            kept,
            dict(summary, channels=changed(channel_map(network), channel_map(module))),
        )


@PRUNERS.register_module()
class TorchPruner(ChannelPruner):
    """Remove the channels of least importance until a budget is met.

    The outputs of layers that make the network's output stay, and at least
    one channel of every layer, whatever ratio or budget is asked for. With
    the scope ``'global'`` a score counts by its share of its group's mean.

    Args:
        budget (dict | None): As of :class:`ChannelPruner`, like ``scope``,
            ``floor`` and ``ratio``.
        importance (str): ``'magnitude'``, ``'bn_scale'``, ``'group_norm'``,
            ``'taylor'`` or ``'hessian'`` (see ``torch_pruner.py``).
            ``'bn_scale'`` leaves channels alone that pass no norm with
            weights.
        scope (str): ``'global'`` or ``'local'``.
        floor (int): Channels that every group keeps, at least 1.
        ratio (float | None): Share of channels, in place of a budget.
        training (str | Config | None): For ``'taylor'`` and ``'hessian'`` in
            :meth:`compress`: a recipe, whose training tells the gradients
            while the network stands still (see ``engine/gradients.py``).
            None takes the gradients that the parameters have.
        steps (int): Of that training.

    Raises:
        ValueError: If a setting is out of range, or if not one of budget
            and ratio is given.
    """

    def __init__(
        self,
        budget: dict | None = None,
        importance: str = 'magnitude',
        scope: str = 'global',
        floor: int = 1,
        ratio: float | None = None,
        training: None | str | Config = None,
        steps: int = 32,
    ):
        super().__init__(budget, scope, floor, ratio)
        check_choice('importance', importance, IMPORTANCES)
        if training is not None and importance not in POWERS:
            raise ValueError(
                f'training is for the importances {", ".join(POWERS)}, got {importance!r}: leave '
                'one of them out'
            )
        self.importance, self.training, self.steps = importance, training, steps

    def _run(self, module: nn.Module, image: Tensor, config: dict | None) -> Pruned:
        groups = self._groups(module, image)
        gradients = self._gradients(module, config)
        removed, summary = self._choose(
            module,
            groups,
            [group_scores(module, group, self.importance, gradients) for group in groups],
            f'importance {self.importance!r} has nothing to go by: '
            f'{type(module).__name__} has no norms with weights. Take '
            'another, such as "magnitude"',
            self.scope,
        )
        return self._cut(module, image, groups, removed, dict(summary, importance=self.importance))

    def _gradients(self, module: nn.Module, config: dict | None) -> dict[str, Tensor]:
        """Return by parameter what the importance asks for."""
        if self.training is None:
            return gradients_for(self.importance, module)
        if config is None:
            raise ValueError(
                'a training needs the config of its network: call compress() in place of prune()'
            )
        # through the registry: the engine is above this package
        training = TASK_UTILS.get('mmgan_compress.TrainingGradients')
        return training(self.training, module, config, self.steps, POWERS[self.importance])


def prune(module: nn.Module, image: Tensor, budget: dict, **settings) -> Pruned:
    """Make any network of convolutions narrower, in one call.

    Args:
        module (nn.Module): Network of one image; it is left as it is.
        image (Tensor): Example of its input, (N, C, H, W). MACs are counted
            at its height unless the budget names a size.
        budget (dict): Such as ``dict(macs=0.25)``.
        settings: Further arguments of :class:`TorchPruner`.

    Returns:
        Pruned: Network, channels that were kept, summary.

    Raises:
        TypeError, ValueError, ImportError: As
            :meth:`TorchPruner.compress`.
    """
    budget = dict(dict(size=image.shape[2]), **budget)
    return TorchPruner(budget, **settings).prune(module, image)
