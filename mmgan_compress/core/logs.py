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
    """Return what an error says, without the registry's words before it."""
    text = str(error.args[0] if isinstance(error, KeyError) else error)
    return re.sub('^(class `.*?` in .*?: )+', '', text)
