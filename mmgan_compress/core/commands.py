"""How a command ends: one line for what the user can mend, nothing left."""
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator

from .logging import message_of

# what a user can mend; anything else is a fault of ours, with its traceback
MISTAKES = (OSError, ValueError, KeyError, TypeError, ImportError)

# what to say of commands that go on where they stopped
AGAIN = 'stopped; to continue, run the same command again'


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Turn requests to end into ``KeyboardInterrupt`` inside the block.

    So whatever a ``finally`` or ``with`` removes is removed.
    """

    def stop(signum, frame):
        raise KeyboardInterrupt

    before = {}
    for name in ('SIGTERM', 'SIGHUP'):  # the second is of POSIX only
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) != signal.SIG_IGN and \
                threading.current_thread() is threading.main_thread():
            before[number] = signal.signal(number, stop)  # not under nohup
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def one_line_errors(*kinds: type[Exception],
                    stopped: str = 'stopped') -> Iterator[None]:
    """End the program with one line for what the user can mend.

    Also a decorator. Requests to end (SIGTERM, SIGHUP, Ctrl-C) clean up and
    end with status 130, as a shell reports Ctrl-C.

    Args:
        kinds (type[Exception]): What the user can mend; ``MISTAKES`` if none
            is given.
        stopped (str): What to say after a request to end.

    Raises:
        SystemExit: With the message.
    """
    try:
        with interruptible():
            yield
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        sys.exit(130)
    except (kinds or MISTAKES) as error:
        sys.exit(f'error: {message_of(error)}')
