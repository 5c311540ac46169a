"""Other compression libraries."""

from .nni import NNIPruner

__all__ = ['NNIPruner']
