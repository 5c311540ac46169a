"""Whole feature maps against a teacher's, through learnt adaptors."""
from collections.abc import Sequence
from typing import Optional

import torch.nn as nn
import torch.nn.functional as F

from ..core.layers import infer_channels
from ..core.narrow import cut
from ..registry import MODELS
from .terms import DistillTerm


@MODELS.register_module()
class FeatureMapTerm(DistillTerm):
    """Squared distance of feature maps, summed over the layers.

    A 1x1 convolution with bias maps each of the student's features to the
    width of the teacher's. It is made for the student's full width; of a
    ``SuperNet`` in a narrow configuration it takes the leading inputs (GAN
    Compression: resnet_distiller.py and its super-net).

    Args:
        weight (float): lambda_distill; 1 in the paper's Pix2Pix.
        layers (Sequence[str]): Taps of the student. In a super-net that is a
            U-Net their channels must be those of one convolution: not what
            is behind a skip's concatenation.
        target_layers (Sequence[str] | None): Taps of the teacher in the same
            order, of the same spatial sizes; the same names if None.

    Raises:
        ValueError: If the numbers of layers differ.
    """
    name = 'feature_map'

    def __init__(self,
                 weight: float,
                 layers: Sequence[str],
                 target_layers: Optional[Sequence[str]] = None,
                 **kwargs):
        super().__init__(weight, **kwargs)
        self.tap(layers, target_layers)
        self.adaptors = nn.ModuleDict()

    def connect(self, student, teachers, shape):
        narrow = infer_channels(student, self.layers, shape)
        for key, teacher in teachers.items():
            wide = infer_channels(teacher, self.target_layers, shape)
            self.adaptors[key] = nn.ModuleList(
                self._adaptor(narrow[s], wide[t])
                for s, t in zip(self.layers, self.target_layers))

    @staticmethod
    def _adaptor(narrow: int, wide: int) -> nn.Conv2d:
        conv = nn.Conv2d(narrow, wide, 1)
        nn.init.normal_(conv.weight, 0, 0.02)
        nn.init.zeros_(conv.bias)
        return conv

    def forward(self, batch, teacher):
        total = 0
        for adaptor, s, t in zip(self.adaptors[teacher], self.layers,
                                 self.target_layers):
            feature = batch.features[s].float()
            sides = [range(feature.shape[1]), range(adaptor.out_channels)]
            total = total + F.mse_loss(
                F.conv2d(feature, **cut(adaptor, sides)),
                batch.target_features[teacher][t].float())
        return total
