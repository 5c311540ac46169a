"""Commands as processes: how they are started and how they are ended."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

# where launchers put the number of a process
_RANKS = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')


def command_line(*words: str) -> list[str]:
    """Return what runs ``mmgan-compress`` with these words in a process of
    its own, by this Python, also where the package is not installed.
    """
    return [sys.executable, str(Path(__file__).parents[1] / '__main__.py'), *words]


def is_launched() -> bool:
    """Tell whether a launcher (torchrun, Slurm, MPI) started this process."""
    return any(name in os.environ for name in _RANKS)


def is_first_process() -> bool:
    """Tell whether this process is the first of its launcher, or the only
    one; known before they are connected.
    """
    return next((os.environ[name] for name in _RANKS if name in os.environ), '0') == '0'


class EndRequest(KeyboardInterrupt):
    """A request to end that is not Ctrl-C: SIGTERM or SIGHUP."""


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Turn requests to end into ``KeyboardInterrupt`` inside the block.

    So whatever a ``finally`` or ``with`` removes is removed.
    """

    def stop(signum, frame):
        raise EndRequest

    before = {}
    for name in ('SIGTERM', 'SIGHUP'):  # the second is of POSIX only
        number = getattr(signal, name, None)
        if (
            number
            and signal.getsignal(number) != signal.SIG_IGN
            and threading.current_thread() is threading.main_thread()
        ):
            before[number] = signal.signal(number, stop)  # not under nohup
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
