"""The one place that turns an error into one line and an exit status."""

import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from ..core.commands import EndRequest, interruptible, is_first_process, is_launched
from ..core.messages import LOST_CONNECTION, explain, message_of

# Errors of these kinds say what is wrong with what the user gave.
_CLEAR = (OSError, ValueError, ImportError, SyntaxError, MemoryError)
ANEW = 'to start again, run the same command again'
_HINT = 'run again with --debug for the traceback'
# Seconds that a process waits for the first one to report the same error.
# The launcher ends it meanwhile if another has failed.
_PATIENCE = 5
_PACKAGE = str(Path(__file__).resolve().parents[1])


def guard(work: Callable[[], int | None], debug: bool = False, stopped: str = ANEW) -> int:
    """Do the work of a command and return its exit status.

    An error is printed as one line; of several processes that a launcher
    started, one prints it.

    Args:
        work (Callable): Does it, and returns its status; None is 0.
        debug (bool): Whether to show the traceback of an error.
        stopped (str): How to go on after Ctrl-C, if the interruption does
            not say so itself.

    Returns:
        int: The status of ``work``, 1 after an error, or 130 after a request
        to end (Ctrl-C, SIGTERM, SIGHUP), as a shell reports Ctrl-C.
    """
    try:
        with interruptible():
            try:
                return work() or 0
            except Exception as error:
                _let_others_report(error)
                if debug:
                    traceback.print_exc()
                print(f'error: {line_of(error)}', file=sys.stderr)
                return 1
    except KeyboardInterrupt as stop:
        # a launcher that ends its processes has seen the error of another
        if not is_launched() or (is_first_process() and not isinstance(stop, EndRequest)):
            print(f'stopped; {stop}' if str(stop) else f'stopped; {stopped}', file=sys.stderr)
        return 130


def line_of(error: Exception) -> str:
    """Return what a user reads of an error.

    What the user cannot mend, as far as can be told, names its type and how
    to see the traceback.
    """
    text = message_of(error)
    if isinstance(error, _CLEAR) or explain(error) or _is_raised_here(error):
        return text
    if isinstance(error, KeyError) and ' ' in text:  # no key but a sentence
        return text
    return f'{type(error).__name__}: {text}; {_HINT}'


def _is_raised_here(error: Exception) -> bool:
    """Tell whether a ``raise`` of this package raised it: on purpose."""
    frames = traceback.extract_tb(error.__traceback__)
    return (
        bool(frames)
        and frames[-1].filename.startswith(_PACKAGE)
        and (frames[-1].line or '').startswith('raise')
    )


def _let_others_report(error: Exception):
    """Wait where another process may report the same error, or its cause."""
    if is_launched() and not (is_first_process() and not LOST_CONNECTION.search(str(error))):
        time.sleep(_PATIENCE)
