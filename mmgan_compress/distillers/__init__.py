"""Distillers: one file a training procedure."""

from .. import registry  # noqa: F401  applies the shims before mmcv
from .adversarial import (
    AdversarialCycleGAN,
    AdversarialMUNIT,
    AdversarialPix2Pix,
    AdversarialSAGAN,
    AdversarialSRGAN,
)
from .base import BaseDistiller
from .gan_compression import (
    GANCompressionCycleGAN,
    GANCompressionGauGAN,
    GANCompressionMUNIT,
    GANCompressionPix2Pix,
)
from .gan_slimming import GANSlimmingCycleGAN, GANSlimmingPix2Pix
from .gcc import GCCSAGAN, GCCSRGAN, GCCCycleGAN, GCCPix2Pix
from .online import PairedOnlineDistiller, UnpairedOnlineDistiller

__all__ = [
    'AdversarialCycleGAN',
    'AdversarialMUNIT',
    'AdversarialPix2Pix',
    'AdversarialSAGAN',
    'AdversarialSRGAN',
    'BaseDistiller',
    'GANCompressionCycleGAN',
    'GANCompressionGauGAN',
    'GANCompressionMUNIT',
    'GANCompressionPix2Pix',
    'GANSlimmingCycleGAN',
    'GANSlimmingPix2Pix',
    'GCCCycleGAN',
    'GCCPix2Pix',
    'GCCSAGAN',
    'GCCSRGAN',
    'PairedOnlineDistiller',
    'UnpairedOnlineDistiller',
]
