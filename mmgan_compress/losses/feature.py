"""Whole feature maps against a teacher's, through learnt adaptors."""

from collections.abc import Sequence
from typing import cast

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..core.channels import cut
from ..core.messages import check_choice
from ..registry import MODELS
from .base import AdaptedLoss

_DISTANCES = {'mse': F.mse_loss, 'l1': F.l1_loss}


@MODELS.register_module()
class FeatureMapLoss(AdaptedLoss):
    """Distance of feature maps, summed over the layers.

    A 1x1 convolution with bias maps each of the student's features to the
    width of the teacher's. It is made for the student's full width; of a
    ``SuperNet`` in a narrow configuration it takes the leading inputs (GAN
    Compression: resnet_distiller.py and its super-net).

    Args:
        weight (float): lambda_distill; 1 in the paper's Pix2Pix.
        layers (Sequence[str]): Layers of the student. In a super-net that is a
            U-Net their channels must be those of one convolution: not what
            is behind a skip's concatenation.
        target_layers (Sequence[str] | None): Those of the teacher in the same
            order, of the same spatial sizes; the same names if None.
        xavier (bool): Whether adaptors begin as Xavier's normal distribution
            with gain 0.02, as GauGAN's do, and not as N(0, 0.02).
        distance (str): ``'mse'``, or ``'l1'`` as of MUNIT's content.

    Raises:
        ValueError: If the numbers of layers differ, or ``distance`` is another
            word.
    """

    name = 'feature_map'

    def __init__(
        self,
        weight: float,
        layers: Sequence[str],
        *args,
        xavier: bool = False,
        distance: str = 'mse',
        **kwargs,
    ):
        super().__init__(weight, layers, *args, **kwargs)
        check_choice('distance', distance, _DISTANCES)
        self.xavier, self.distance = xavier, distance

    def adaptor(self, narrow: int, wide: int) -> nn.Conv2d:
        conv = nn.Conv2d(narrow, wide, 1)
        if self.xavier:
            nn.init.xavier_normal_(conv.weight, 0.02)
        else:
            nn.init.normal_(conv.weight, 0, 0.02)
        nn.init.zeros_(cast(Tensor, conv.bias))
        return conv

    def forward(self, batch, teacher):
        total = 0
        for adaptor, s, t in self.feature_pairs(batch, teacher):
            sides = [range(s.shape[1]), range(adaptor.out_channels)]
            total = total + _DISTANCES[self.distance](F.conv2d(s, **cut(adaptor, sides)), t)
        return total
