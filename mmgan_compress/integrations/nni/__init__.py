"""NNI's pruners and quantizers."""

from .pruner import NNIPruner

__all__ = ['NNIPruner']
