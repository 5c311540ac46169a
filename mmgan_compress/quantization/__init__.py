"""Quantizers, and the export of an 8-bit student."""

from .. import registry  # noqa: F401  applies the shims before mmcv
from .quantizers import NNIPTQ, INCStatic, ORTStatic, StudentScales
from .workflow import quantize_student

__all__ = ['INCStatic', 'NNIPTQ', 'ORTStatic', 'StudentScales', 'quantize_student']
