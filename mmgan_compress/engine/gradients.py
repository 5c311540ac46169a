"""Gradients that a network has in a recipe's training."""

import torch
import torch.nn as nn
from mmengine.config import Config
from torch import Tensor

from ..registry import TASK_UTILS
from .nni_evaluator import RunnerVerbs, recipe_for


@TASK_UTILS.register_module(name='TrainingGradients')
def training_gradients(
    training: str | Config,
    generator: nn.Module,
    config: dict,
    steps: int,
    power: int = 1,
    domain: str | None = None,
) -> dict[str, Tensor]:
    """Return mean gradients of a generator that stands still.

    It takes the place of the recipe's student, and each step is the
    recipe's own, but that the generator does not move; discriminators and
    what else learns do. The losses should ask for more than the generator
    does already: a recipe whose teacher it is itself has no gradients but
    noise.

    Args:
        training (str | Config): Recipe, or its path: losses and data.
        generator (nn.Module): Trained network; it is left as it is.
        config (dict): Config that builds it.
        steps (int): Steps of the student.
        power (int): Exponent of each step's gradient: 2 for Hessian's
            diagonal.
        domain (str | None): What it generates, as the recipe calls that; the
            recipe's ``default_domain`` if None.

    Returns:
        dict[str, Tensor]: By parameter, on the CPU.

    Raises:
        ValueError: If the recipe does not train for the domain, ends before
            so many steps, or has no gradient for the generator.
        FileNotFoundError: If recipe, data or weights are missing.
    """
    cfg, domain = recipe_for(training, config, domain)
    verbs = RunnerVerbs(cfg, generator, domain)
    sums: dict[str, Tensor] = {}

    def record():
        for name, parameter in verbs.network.named_parameters():
            if parameter.grad is not None:
                found = parameter.grad.detach().cpu() ** power
                sums[name] = sums.get(name, 0) + found
                parameter.grad = None  # optimizers pass over it

    verbs.bind_model(verbs.network)
    verbs.patch_optimizer_step([record], [])
    verbs.train(max_steps=steps)
    if not any(torch.count_nonzero(total) for total in sums.values()):
        raise ValueError(
            'the training gives the network no gradient: its losses are at their least already. '
            'Take a recipe with losses beside those of a teacher that is this network, such as '
            'one with a discriminator'
        )
    return {name: total / steps for name, total in sums.items()}
