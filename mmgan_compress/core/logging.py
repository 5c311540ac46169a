"""What others write to the terminal."""
import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def quiet(logger: logging.Logger,
          level: int = logging.WARNING) -> Iterator[None]:
    """Let only messages of a level and above through inside the block."""
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
