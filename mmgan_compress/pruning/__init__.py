"""Pruners: narrower generators, to a budget."""

from .base import Compressed
from .gcc import GCCWidths, NormWidths, ScaleWidths
from .slimming import MaskExtraction, SlimExtraction
from .subnetwork import SubNet
from .torch_pruner import TorchPruner, prune

__all__ = [
    'Compressed',
    'GCCWidths',
    'MaskExtraction',
    'NormWidths',
    'ScaleWidths',
    'SlimExtraction',
    'SubNet',
    'TorchPruner',
    'prune',
]
