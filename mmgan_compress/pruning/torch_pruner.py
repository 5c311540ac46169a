"""Pruning along Torch-Pruning's dependency graph; weights are inherited.

::

    smaller = prune(network, image, dict(macs=0.25)).network

works on any ``nn.Module`` with convolutions. In configs and on the command
line the pruner is called ``TorchPruner``. What it returns, and the student
made of it, run without Torch-Pruning.
"""

import torch.nn as nn
from mmengine.config import Config
from torch import Tensor

from ..core.messages import check_choice
from ..registry import PRUNERS, TASK_UTILS
from .channel_pruner import ChannelPruner, Pruned
from .importance import IMPORTANCES, POWERS, Losses, gradients_for, group_scores


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
            ``'taylor'`` or ``'hessian'`` (see ``importance.py``).
            ``'bn_scale'`` leaves channels alone that pass no norm with
            weights.
        scope (str): ``'global'`` or ``'local'``.
        floor (int): Channels that every group keeps, at least 1.
        ratio (float | None): Share of channels, in place of a budget.
        losses (Callable | None): For ``'taylor'`` and ``'hessian'``: given a
            network in eval mode it yields scalar losses, one a batch
            (Hessian: one an image), whose gradients are averaged. None takes
            the gradients that the parameters have.
        training (str | Config | None): In place of losses, for
            :meth:`compress`: a recipe, whose training tells the gradients
            while the network stands still (see ``engine/gradients.py``).
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
        losses: Losses | None = None,
        training: None | str | Config = None,
        steps: int = 32,
    ):
        super().__init__(budget, scope, floor, ratio)
        check_choice('importance', importance, IMPORTANCES)
        if training is not None and (importance not in POWERS or losses):
            raise ValueError(
                f'training is for the importances {", ".join(POWERS)} '
                f'without losses, got {importance!r}: leave one of them out'
            )
        self.importance, self.losses = importance, losses
        self.training, self.steps = training, steps

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
            return gradients_for(self.importance, module, self.losses)
        if config is None:
            raise ValueError(
                'a training needs the config of its network: call compress(), or give losses'
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
