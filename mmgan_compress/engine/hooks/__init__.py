"""Hooks for mmengine's Runner."""

from .losses import LossLogHook
from .progress import ProgressHook
from .pruning import GradualPruningHook
from .quantization import FakeQuantScalesHook, QuantizationAwareHook
from .schedule import ScheduledLRHook, TeacherSelectionHook
from .slimming import CosineLRHook, SoftThresholdHook
from .supernet import SubnetSamplingHook, SubnetScoresHook
from .teaching import EMATeacherHook, FreezeHook, LossWeightHook, StopDistillationHook

__all__ = [
    'CosineLRHook',
    'EMATeacherHook',
    'FakeQuantScalesHook',
    'FreezeHook',
    'GradualPruningHook',
    'ProgressHook',
    'QuantizationAwareHook',
    'ScheduledLRHook',
    'SoftThresholdHook',
    'StopDistillationHook',
    'SubnetSamplingHook',
    'SubnetScoresHook',
    'TeacherSelectionHook',
    'LossLogHook',
    'LossWeightHook',
]
