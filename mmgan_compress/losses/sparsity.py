"""L1 penalty under which channels die: GCC's sparsity pre-training."""

from fnmatch import fnmatchcase
from typing import Any

import torch.nn as nn
from torch import Tensor

from ..core.base_layers import ConvBase, NormBase
from ..registry import MODELS
from .base import DistillLoss

_LAYERS = {'scale': NormBase, 'weight': ConvBase}


@MODELS.register_module()
class SparsityLoss(DistillLoss):
    """Sum over the student's layers of ``factor * |w|``.

    GCC (arXiv 2110.14439; stage A) adds lambda * factor * sign(w) to the
    gradients behind the backward pass. As a loss of its own the gradient
    is the same, sign(0) = 0 included, and it stays right where an edit of
    gradients does not: AMP's loss scale multiplies it like any other loss,
    the mean over several processes leaves it alone, and it is in the log.

    Args:
        weight (float): lambda; 1e-3 on weights for CycleGAN, 1e-2 on scales
            for Pix2Pix in GCC's scripts.
        on (str): ``'scale'``, the weights of affine batch and instance
            norms, or ``'weight'``, those of all convolutions. No biases.
        factors (dict[str, float] | None): Factor by name of a layer or
            shell-style pattern of it; the first that fits counts, 1 where
            none does.

    Raises:
        ValueError: If ``on`` is another word.
    """

    name = 'sparsity'
    needs_teacher = False

    def __init__(self, weight: float, on: str, factors: dict[str, float] | None = None):
        super().__init__(weight)
        if on not in _LAYERS:
            raise ValueError(f"on must be 'scale' or 'weight', got {on!r}")
        self.on = on
        self.factors = dict(factors or {})
        # pairs in a list are no sub-modules: the model owns the student
        self._penalised: list[tuple[float, Any]] = []

    def connect(self, student: nn.Module, teachers: dict[str, nn.Module], shape: tuple):
        """Find the layers that are penalised.

        Raises:
            ValueError: If the student has none.
            KeyError: If a factor fits none of them.
        """
        layers: dict[str, Any] = {
            name: layer
            for name, layer in student.named_modules()
            if isinstance(layer, _LAYERS[self.on]) and getattr(layer, 'weight', None) is not None
        }
        if not layers:
            raise ValueError(
                f'SparsityLoss(on={self.on!r}) finds nothing to penalise in '
                f"{type(student).__name__}: 'scale' needs batch norm or "
                "dict(type='IN', affine=True), else use on='weight'"
            )
        fitting: dict[str, Any] = {
            name: next((p for p in self.factors if fnmatchcase(name, p)), None) for name in layers
        }
        for pattern in self.factors.keys() - set(fitting.values()):
            raise KeyError(
                f'factor {pattern!r} of SparsityLoss(on={self.on!r}) fits no '
                f'layer, or only such as an earlier one fits; there are '
                f'{list(layers)}'
            )
        self._penalised = [
            (self.factors.get(fitting[name], 1.0), layer) for name, layer in layers.items()
        ]

    def forward(self, batch, teacher) -> Tensor:
        total: Any = sum(factor * layer.weight.abs().sum() for factor, layer in self._penalised)
        return total
