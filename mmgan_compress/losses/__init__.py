"""Distillation losses: one file a family."""

from .. import registry  # noqa: F401  applies the shims before mmcv
from .adversarial import AdversarialLoss, CooperativeLoss
from .base import (
    AdaptedLoss,
    ChannelLoss,
    DistillBatch,
    DistillLoss,
    PerceptualLoss,
    SSIMLoss,
    StyleLoss,
    TotalVariationLoss,
    gram,
)
from .feature import FeatureMapLoss
from .relational import RelationLoss
from .similarity import DiscriminatorFeatureLoss, KernelAlignmentLoss, SimilarityLoss, WaveletLoss
from .slimming import SlimmingPerceptualLoss, SlimmingPixelLoss
from .sparsity import SparsityLoss

__all__ = [
    'AdaptedLoss',
    'AdversarialLoss',
    'ChannelLoss',
    'CooperativeLoss',
    'DiscriminatorFeatureLoss',
    'DistillBatch',
    'DistillLoss',
    'FeatureMapLoss',
    'KernelAlignmentLoss',
    'PerceptualLoss',
    'RelationLoss',
    'SSIMLoss',
    'SimilarityLoss',
    'SlimmingPerceptualLoss',
    'SlimmingPixelLoss',
    'SparsityLoss',
    'StyleLoss',
    'TotalVariationLoss',
    'WaveletLoss',
    'gram',
]
