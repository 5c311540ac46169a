"""What GAN Slimming's student imitates."""

import torch.nn.functional as F

from ..registry import MODELS
from .base import DistillLoss, gram


@MODELS.register_module()
class SlimmingPerceptualLoss(DistillLoss):
    """L1 of relu1_2 and ``style_weight`` times the MSE of Gram matrices.

    The latter summed over the four VGG features. OMGD's losses are the same in
    spirit, but L1 of the matrices and relu2_2.

    Args:
        weight (float): beta of the paper; published 20.
        style_weight (float): Hard-coded in the published loss.
    """

    name = 'perceptual'
    uses_perceptual = True

    def __init__(self, weight: float = 20.0, style_weight: float = 1e5, **kwargs):
        super().__init__(weight, **kwargs)
        self.style_weight = style_weight

    def forward(self, batch, teacher):
        pairs = list(zip(batch.perceptual_features(), batch.perceptual_features(teacher)))
        style = sum(F.mse_loss(gram(s), gram(t)) for s, t in pairs)
        return F.l1_loss(*pairs[0]) + self.style_weight * style


@MODELS.register_module(name=['SlimmingPixelLoss', 'PixelLoss'])
class SlimmingPixelLoss(DistillLoss):
    """MSE of the images; in GAN Slimming in its place (``--lc mse``).

    Args:
        weight (float): beta of the paper; published 20.
    """

    name = 'pixel'

    def __init__(self, weight: float = 20.0, **kwargs):
        super().__init__(weight, **kwargs)

    def forward(self, batch, teacher):
        return F.mse_loss(batch.image, batch.targets[teacher])
