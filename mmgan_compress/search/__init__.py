"""The search for sub-networks of a super-net; ``searchers`` fills SEARCHERS."""

from . import searchers  # noqa: F401
