"""NNI's ``Evaluator``: its algorithms train and score a student by Runner.

NNI's pruners and quantizers wrap the layers of a network and ask an
``Evaluator`` to train it, with something added to the loss and something
done around each step. Here that is a recipe's own training: the network
stands in the recipe's model as its student, and neither model nor distiller
knows of NNI. ::

    evaluator = TASK_UTILS.get('mmgan_compress.RunnerEvaluator')(
        'configs/omgd_pix2pix.py', generator, config)
    pruner = TaylorPruner(evaluator.network, [...], evaluator, 100)
    pruner.compress()
"""

import copy
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from torch import Tensor

from ..compat import require
from ..core.domains import per_domain
from ..core.logging import quiet
from ..models.student_config import generator_config
from ..registry import MODELS, TASK_UTILS
from .isolated_runner import StepTasksHook, isolated_run
from .resume import preserved_rng
from .runner_builder import check_inputs, load_config


class RunnerVerbs:
    """What NNI asks of an ``Evaluator``, in terms of our Runner.

    Args:
        cfg (Config): Recipe whose model trains; its generator is that of the
            network.
        network (nn.Module): Generator to be compressed; it is copied.
        domain (str): What it generates.

    Attributes:
        translator (DistillationModel): Trains; its generator is ``network``.
        network (nn.Module): The copy, which NNI wraps and trains.
    """

    def __init__(self, cfg: Config, network: nn.Module, domain: str):
        self.cfg, self.model = cfg, None
        self._initialization_complete = False
        self.metric, self.sign = None, -1  # NNI: the higher the better
        hook = (cfg.get('default_hooks') or {}).get('student') or {}
        if hook.get('metric'):
            self.metric = hook.metric
            self.sign = -1 if hook.get('lower_is_better', True) else 1
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmagic'):
            try:
                self.translator = MODELS.build(cfg.model)
            except KeyError as error:  # of a layer
                raise ValueError(
                    f'the recipe is not made for a {type(network).__name__}: {error.args[0]}. '
                    'Take a recipe of such a student'
                ) from error
        with quiet(MMLogger.get_current_instance()):  # a line a parameter
            self.translator.init_weights()
        self.network = self.translator.generators[domain]
        self.network.load_state_dict(network.state_dict())
        self.network.requires_grad_()
        self.translator.to(get_device())  # before NNI hooks onto parameters
        self.tasks = StepTasksHook(self.network)

    # --- binding ----------------------------------------------------------
    def _init_optimizer_helpers(self, pure_model: nn.Module):
        """Optimizers are built anew from the recipe: nothing to record."""
        self._check(pure_model)
        self._initialization_complete = True

    def bind_model(self, model: nn.Module, param_names_map: dict[str, str] | None = None):
        """Take over a network that NNI has wrapped."""
        self._check(model)
        if self.model is not None:
            raise RuntimeError('a network is bound already: call unbind_model() first')
        self.model = model
        self.tasks.trained = {id(p) for p in self.translator.parameters()}
        # Runner calls it, and would draw the weights anew
        self.translator.init_weights = lambda: None

    def unbind_model(self):
        """Take back all that was patched."""
        self.remove_all_hooks()
        self.tasks = StepTasksHook(self.network)
        vars(self.translator).pop('init_weights', None)
        self.model = None

    def _check(self, model: nn.Module):
        if model is not self.network:
            raise ValueError(
                f'NNI was given a {type(model).__name__} that is not the '
                "model's student: give it evaluator.network"
            )

    # --- patches ----------------------------------------------------------
    def patch_loss(self, patch: Callable[[Tensor, Any], Tensor]):
        """Have ``patch(loss, batch)`` in place of the student's loss."""
        self.tasks.loss_patches.append(patch)

    def revert_loss(self):
        """Have the student's own loss again."""
        self.tasks.loss_patches = []

    def patch_optimizer_step(
        self, before_step_tasks: Sequence[Callable], after_step_tasks: Sequence[Callable]
    ):
        """Call functions around each step of the student's optimizer.

        As in NNI's evaluators, what comes later lies around the earlier.
        """
        self.tasks.before = [*before_step_tasks, *self.tasks.before]
        self.tasks.after = [*self.tasks.after, *after_step_tasks]

    def revert_optimizer_step(self):
        """Have the optimizer's own step again."""
        self.tasks.before, self.tasks.after = [], []

    def patch_optim_param_group(self, module_name_param_dict: dict[str, Sequence[Tensor]]):
        """Let the student's optimizer train what NNI added, too."""
        self.tasks.trained |= {id(p) for group in module_name_param_dict.values() for p in group}

    # --- running ----------------------------------------------------------
    def train(self, max_steps: int | None = None, max_epochs: int | None = None):
        """Train the model as its recipe says.

        Args:
            max_steps (int | None): Steps of the student's optimizer.
            max_epochs (int | None): In their place, passes over the data.
                Neither: as long as the recipe.

        Raises:
            ValueError: If the recipe ends before.
        """
        cfg = copy.deepcopy(self.cfg)
        cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
        with preserved_rng(), isolated_run(cfg, self.translator) as runner:
            if max_steps is None and max_epochs is not None:
                loader = runner.build_dataloader(cfg.train_dataloader)
                loader.dataset.epoch_domain = self.translator.distiller.epoch_domain
                max_steps = max_epochs * len(loader)
            self.tasks.steps = max_steps
            runner.register_hook(self.tasks)
            runner.train()
        if max_steps is not None and self.tasks.done < max_steps:
            raise ValueError(
                f'the recipe ended after {self.tasks.done} steps of the '
                f'student and {max_steps} were asked for: ask for fewer, or '
                'lengthen its schedule'
            )

    def finetune(self):
        """Train as long as the recipe does."""
        self.train()

    def evaluate(self) -> float | None:
        """Validate the student.

        Returns:
            float | None: The metric of the recipe's ``StudentHook``,
            negative if it is a distance; None where the recipe names none.

        Raises:
            ValueError: If the recipe has no validation.
        """
        cfg = copy.deepcopy(self.cfg)
        if not cfg.get('val_dataloader'):
            raise ValueError(
                'the recipe has no val_dataloader to score the student with: name one that has'
            )
        check_inputs(cfg, ['val_dataloader'])
        for key in ('train', 'test'):
            cfg[f'{key}_dataloader'] = cfg[f'{key}_cfg'] = None
        cfg.test_evaluator = cfg.optim_wrapper = None
        with preserved_rng(), isolated_run(cfg, self.translator) as runner:
            scores = runner.val()
        return None if self.metric is None else self.sign * float(scores[self.metric])

    def get_dummy_input(self) -> Tensor:
        """Return an image of the training's size, (1, C, H, W), all 0."""
        weight = next(p for p in self.network.parameters() if p.dim() == 4)
        size = self.cfg.train_dataloader.dataset.size
        return torch.zeros(1, weight.shape[1], size, size, device=weight.device)


@TASK_UTILS.register_module(name='RunnerEvaluator')
def runner_evaluator(
    training: str | Config, generator: nn.Module, config: dict, domain: str | None = None
):
    """Make an ``Evaluator`` of NNI whose training is a recipe.

    Args:
        training (str | Config): Recipe, or its path: the losses, data and
            optimizers that the network trains with, in the place of the
            recipe's own generator.
        generator (nn.Module): Trained network; it is left as it is.
        config (dict): Config that builds it.
        domain (str | None): What it generates, as the recipe calls that; the
            recipe's ``default_domain`` if None.

    Returns:
        RunnerVerbs: An instance of NNI's ``Evaluator``, too.

    Raises:
        ValueError: If the recipe does not train for the domain.
        FileNotFoundError: If recipe, data or weights are missing.
        ImportError: If NNI is not installed.
    """
    base = require('nni.compression.utils.evaluator', 'RunnerEvaluator').Evaluator
    cfg, domain = recipe_for(training, config, domain)
    kind = type('RunnerEvaluator', (RunnerVerbs, base), {})
    return kind(cfg, generator, domain)


def recipe_for(
    training: str | Config, config: dict, domain: str | None = None
) -> tuple[Config, str]:
    """Read a recipe and let it train a generator of another kind.

    Args:
        training (str | Config): As for :func:`runner_evaluator`, like the
            rest.
        config (dict): Config of the generator.
        domain (str | None): What it generates.

    Returns:
        tuple[Config, str]: A copy of the recipe, and the domain.

    Raises:
        ValueError, FileNotFoundError: As :func:`runner_evaluator`.
    """
    if isinstance(training, str):
        cfg = load_config(Namespace(config=training, demo=False, data_root=None))
    else:
        cfg = copy.deepcopy(training)
    model = cfg.model
    domain = domain or model.default_domain
    if domain not in model.reachable_domains:
        raise ValueError(
            f'the recipe does not generate {domain!r}: expected '
            f'domain to be one of {model.reachable_domains}'
        )
    configs = dict(per_domain(model.generator, model.reachable_domains))
    configs[domain] = generator_config(config)  # its weights come from the network
    model.generator = configs
    check_inputs(cfg, ['train_dataloader'])
    return cfg, domain
