"""Hooks for mmengine's Runner."""
from .pruning import GradualPruningHook
from .progress import ProgressHook
from .quantization import FakeQuantScalesHook, QuantizationAwareHook
from .schedule import ScheduledLRHook, TeacherSelectionHook
from .slimming import CosineLRHook, SoftThresholdHook
from .supernet import SubnetSamplingHook, SubnetScoresHook
from .teaching import (EMATeacherHook, FreezeHook, StopDistillationHook,
                       LossWeightHook)

__all__ = [
    'CosineLRHook', 'EMATeacherHook', 'FakeQuantScalesHook', 'FreezeHook',
    'GradualPruningHook', 'ProgressHook', 'QuantizationAwareHook',
    'ScheduledLRHook', 'SoftThresholdHook', 'StopDistillationHook',
    'SubnetSamplingHook', 'SubnetScoresHook', 'TeacherSelectionHook',
    'LossWeightHook'
]
