"""Loops, hooks and wrappers that plug into mmengine's Runner."""

from . import hooks  # noqa: F401  registers them
from .distributed import DistributedTranslator
from .gradients import training_gradients
from .loop import DistillTrainLoop
from .nni_evaluator import runner_evaluator
from .precision import CPUAmpOptimWrapper
from .results import ReportHook, StudentHook
from .resume import TrainingStateHook

__all__ = [
    'CPUAmpOptimWrapper',
    'DistillTrainLoop',
    'DistributedTranslator',
    'ReportHook',
    'StudentHook',
    'TrainingStateHook',
    'runner_evaluator',
    'training_gradients',
]
