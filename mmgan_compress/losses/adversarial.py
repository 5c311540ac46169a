"""Losses that ask a teacher's discriminator."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..core.training import global_mean
from ..registry import MODELS
from .base import AdaptedLoss, DistillLoss, gram
from .gan import gan_loss

# The gradient of a root is infinite at 0, where a student starts that is a
# copy of its teacher.
_EPS = 1e-12


@MODELS.register_module()
class AdversarialLoss(DistillLoss):
    """The student plays against a teacher's discriminator (CRD, 2212.11091).

    It learns with the teacher and is frozen here: its parameters get no
    gradient, the student does.

    Args:
        weight (float): Factor, 1 in CRD's CycleGAN.
        gan_type (str): Adversarial loss: ``'lsgan'``, ``'hinge'``, ...
    """

    name = 'adversarial'
    uses_discriminator = True

    def __init__(self, weight: float = 1.0, gan_type: str = 'lsgan', **kwargs):
        super().__init__(weight, **kwargs)
        self.gan_type = gan_type

    def forward(self, batch, teacher):
        return gan_loss(self.gan_type, batch.discriminated(teacher)[0], 'g')


@MODELS.register_module()
class CooperativeLoss(AdaptedLoss):
    """Content and texture of features (GCC, 2110.14439).

    Squared distance of features (content) and of their Gram matrices
    (texture), summed over layers of the generators, the student's through
    a learnt 1x1 convolution without bias that both share, and over layers of
    the teacher's *discriminator* shown both images.

    Args:
        content_weight (float): lambda_content, 50 in GCC's Pix2Pix script
            and 0.01 in its CycleGAN's.
        gram_weight (float): lambda_gram, 1e4 and 10 there.
        layers (list[str]): Layers of the student; none is possible.
        target_layers (list[str] | None): Those of the teacher in the same
            order; the same names if None.
        discriminator_layers (list[str]): Layers of its discriminator.
        root (bool): Take the root of each distance, as GCC's Pix2Pix does
            and its CycleGAN does not.
        detach_discriminator (bool): Keep the gradient of the discriminator's
            features from the student, which makes them a constant: what
            GCC's published CycleGAN does.
        weight (float): Factor of the whole.
    """

    name = 'cooperative'

    def __init__(
        self,
        content_weight: float,
        gram_weight: float,
        layers: Sequence[str],
        target_layers: Sequence[str] | None = None,
        discriminator_layers: Sequence[str] = (),
        root: bool = True,
        detach_discriminator: bool = False,
        weight: float = 1.0,
        **kwargs,
    ):
        super().__init__(weight, layers, target_layers, **kwargs)
        self.discriminator_layers = tuple(discriminator_layers)
        self.uses_discriminator = bool(discriminator_layers)
        self.content_weight, self.gram_weight = content_weight, gram_weight
        self.root, self.detach_discriminator = root, detach_discriminator

    def adaptor(self, narrow: int, wide: int) -> nn.Conv2d:
        return nn.Conv2d(narrow, wide, 1, bias=False)

    def _pairs(self, batch, teacher) -> list[tuple[Tensor, Tensor]]:
        """Return features of student and teacher, layer by layer."""
        pairs = [(adaptor(s), t) for adaptor, s, t in self.feature_pairs(batch, teacher)]
        if not self.discriminator_layers:
            return pairs
        own = batch.discriminated(teacher)[1]
        wanted = batch.discriminated_target(teacher)[1]
        for layer in self.discriminator_layers:
            s, t = own[layer].float(), wanted[layer].detach().float()
            pairs.append((s.detach() if self.detach_discriminator else s, t))
        return pairs

    def parts(self, batch, teacher: str) -> tuple[Tensor, Tensor]:
        """Return content and texture, both unweighted."""
        content, texture = [], []
        for s, t in self._pairs(batch, teacher):
            if s.shape != t.shape:
                raise ValueError(
                    f'CooperativeLoss compares features of {tuple(s.shape)} '
                    f'and {tuple(t.shape)}: name layers of one resolution'
                )
            content.append(F.mse_loss(s, t))
            texture.append(F.mse_loss(gram(s), gram(t)))
        if self.root:
            # of the whole batch's distance, whoever has its images
            content, texture = (
                [torch.sqrt(global_mean(x) + _EPS) for x in part] for part in (content, texture)
            )
        return cast(Tensor, sum(content)), cast(Tensor, sum(texture))

    def forward(self, batch, teacher):
        content, texture = self.parts(batch, teacher)
        return self.content_weight * content + self.gram_weight * texture
