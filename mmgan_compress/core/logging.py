"""What reaches the console, of our messages and of other packages'."""

import contextlib
import logging
import re
import sys
import warnings
from collections.abc import Iterator

# Warnings of other packages that no user can act on: the start of each
# message, and the package that raises it.
MEANINGLESS = (
    # mmagic gives convolutions before instance norm a bias on purpose
    ('Unnecessary conv bias', 'mmcv'),
    # mmengine's CheckpointHook uses its own deprecated classes
    ('"FileClient" will be deprecated', 'mmengine'),
    ('"HardDiskBackend" is the alias', 'mmengine'),
    # on --resume: the distiller's schedule sets the rates
    ('`resume_param_scheduler` is True but', 'mmengine'),
)


def silence_meaningless():
    """Ignore the warnings of other packages that mean nothing here."""
    for message, package in MEANINGLESS:
        warnings.filterwarnings('ignore', re.escape(message), module=rf'{package}(\.|$)')


class ConsoleHandler(logging.Handler):
    """Print log records as plain lines, above a progress bar if one is open.

    Shown are warnings and errors, and what this package and the user's own
    code report. mmengine's and mmagic's reports (environment, config, hooks,
    losses) are left to the log file.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is shown."""
        if record.levelno < logging.WARNING and _is_of_framework(record):
            return False
        if record.getMessage().startswith(tuple(message for message, _ in MEANINGLESS)):
            return False
        return bool(super().filter(record))

    def emit(self, record: logging.LogRecord):
        """Print a record."""
        from tqdm import tqdm

        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            text = f'{record.levelname.lower()}: {text}'
        tqdm.write(text, file=sys.stdout)


def _is_of_framework(record: logging.LogRecord) -> bool:
    return re.search(r'[\\/](mmengine|mmagic)[\\/]', record.pathname) is not None


@contextlib.contextmanager
def quiet(logger: logging.Logger, level: int = logging.WARNING) -> Iterator[None]:
    """Let only messages of a level and above through inside the block."""
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
