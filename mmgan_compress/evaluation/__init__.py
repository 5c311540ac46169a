"""Metrics, feature networks and reports."""

from mmengine.evaluator import Evaluator

from ..registry import EVALUATORS
from .metrics import (
    FrechetDistance,
    LabelAgreement,
    PairedQuality,
    StyleDiversity,
    SuperResolutionQuality,
)

# mmagic's evaluator of this name feeds metrics in another way
EVALUATORS.register_module(name='Evaluator', module=Evaluator)

__all__ = [
    'Evaluator',
    'FrechetDistance',
    'LabelAgreement',
    'PairedQuality',
    'StyleDiversity',
    'SuperResolutionQuality',
]
