"""Distillation losses: one file a family."""
from .. import registry  # noqa: F401  applies the shims before mmcv
from .adversarial import AdversarialTerm, CooperativeTerm
from .base import (AdaptedTerm, ChannelTerm, DistillBatch, DistillTerm,
                   PerceptualTerm, SSIMTerm, StyleTerm, TotalVariationTerm,
                   gram)
from .feature import FeatureMapTerm
from .relational import RelationTerm
from .similarity import (DiscriminatorFeatureTerm, KernelAlignmentTerm,
                         SimilarityTerm, WaveletTerm)
from .slimming import SlimmingPerceptualTerm, SlimmingPixelTerm
from .sparsity import SparsityTerm

__all__ = [
    'AdaptedTerm', 'AdversarialTerm', 'ChannelTerm', 'CooperativeTerm',
    'DiscriminatorFeatureTerm', 'DistillBatch', 'DistillTerm',
    'FeatureMapTerm', 'KernelAlignmentTerm', 'PerceptualTerm', 'RelationTerm',
    'SSIMTerm', 'SimilarityTerm', 'SlimmingPerceptualTerm',
    'SlimmingPixelTerm', 'SparsityTerm', 'StyleTerm', 'TotalVariationTerm',
    'WaveletTerm', 'gram'
]
