"""Pruning by NNI: its scores, schedules and masks, our structure.

NNI masks parameters; its ``ModelSpeedup``, which should cut out what is
masked, fails on current torch. Here the masks of coupled channels agree (see
``nni_targets.py``), and what they remove is cut out along the dependency
graph (``dependencies.py``, by Torch-Pruning), as ``TorchPruner`` does it.
The result runs without either library.
"""

import copy
from pathlib import Path

import torch.nn as nn
from mmengine.config import Config
from torch import Tensor

from ...core.messages import check_choice
from ...pruning.channel_pruner import ChannelPruner, Pruned
from ...registry import PRUNERS, TASK_UTILS
from .algorithms import ALGORITHMS, ONE_SHOT, NNIRun

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
        training (str | Config | None): Recipe to train with, or its path.
        steps (int): Steps of the student's optimizer.
        domain (str | None): What the generator makes, as the recipe calls
            it; the recipe's ``default_domain`` if None. A second generator
            of the recipe starts from its own ``init_cfg``.
        demo (bool): Train the recipe's demo.
        data_root (str | None): Images in place of the recipe's.
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
        domain: str | None = None,
        demo: bool = False,
        data_root: str | None = None,
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
        if steps < _FEWEST:
            raise ValueError(f'steps is {steps}, expected {_FEWEST} or more')
        self.algorithm, self.base, self.steps = algorithm, base, steps
        self.arguments = arguments
        self.training = training
        self._recipe = dict(training=training, domain=domain, demo=demo, data_root=data_root)

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
            generator=module, config=config, **self._recipe
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
