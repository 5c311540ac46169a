"""What others write to the terminal."""
import contextlib
import logging
import re
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


def message_of(error: Exception) -> str:
    """Return what an error says: a KeyError without quotes, an OSError
    without its number, and all without the registry's words before it."""
    text = str(error.args[0] if isinstance(error, KeyError) else error)
    return re.sub(r'^((class `.*?` in .*?: )+|\[Errno \d+\] )', '', text)
