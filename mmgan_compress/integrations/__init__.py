"""Other compression libraries."""

from . import nni  # noqa: F401  registers its pruner
