"""Processes: one run at a time in a folder, none left behind."""

import contextlib
import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from ..core.files import naming

LOCK = 'in_use.lock'
# Seconds. Workers of data loaders look every 5 s whether their parent lives
# (MP_STATUS_CHECK_INTERVAL of torch).
_PATIENCE = 10
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@contextlib.contextmanager
def locked(folder: Path, instead: str = 'name another --work-dir') -> Iterator[IO]:
    """Hold a folder inside the block; the lock ends with its processes.

    Args:
        folder (Path): Folder, made if need be.
        instead (str): What to do where somebody else holds it.

    Yields:
        IO: The lock, to be handed to :func:`run_logged`.

    Raises:
        ValueError: If another process holds it.
    """
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, 'a+') as lock:
        _take(lock, folder, instead)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield lock


def undoing(folder: Path) -> Callable[[], None]:
    """Return what removes all that is put into a folder from now on.

    Args:
        folder (Path): Folder that the caller is going to hold by
            :func:`locked`; parents that are made for it go, too.
    """
    before = set(os.listdir(folder)) if folder.is_dir() else set()
    made = [path for path in (folder, *folder.parents) if not path.exists()]

    def undo():
        for path in folder.iterdir():
            if path.name in before:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody else may use it
            for path in made:
                path.rmdir()

    return undo


def is_locked(folder: Path) -> bool:
    """Tell whether a process works in a folder, without touching it."""
    if not (folder / LOCK).is_file():
        return False
    with open(folder / LOCK, 'r+') as lock:
        return not _try(lock)


def _try(lock: IO) -> bool:
    import fcntl  # POSIX only, and every engine module is always imported

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _take(lock: IO, folder: Path, instead: str):
    """Lock; wait a moment where only orphans of a killed process do."""
    end = time.monotonic() + _PATIENCE
    while not _try(lock):
        lock.seek(0)
        owner = lock.read()
        alive = owner.isdigit() and _alive(int(owner))
        if alive or time.monotonic() > end:
            who = f'process {owner}' if alive else 'a command that a killed one has left'
            raise ValueError(f'{who} works in {folder} already: wait until it ends, or {instead}')
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        pass
    return True


def run_logged(command: list[str], log: Path, lock: IO) -> int:
    """Run a command; show and keep what it prints.

    It ends with this process: by this function where Python can still act,
    by the kernel (Linux) where this process is killed outright. While it
    lives it holds the lock.

    Args:
        command (list[str]): Program and arguments.
        log (Path): File to append to.
        lock (IO): Of :func:`locked`.

    Returns:
        int: Exit status, negative for a signal.
    """
    with open(log, 'ab') as file:
        _show(f'$ {shlex.join(command)}\n'.encode(), file)
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[lock.fileno()],
            # of its own, so that its workers can be ended with it
            start_new_session=True,
            preexec_fn=end_with_parent(),
            env=dict(os.environ, PYTHONUNBUFFERED='1'),
        )
        try:
            for chunk in iter(lambda: os.read(child.stdout.fileno(), 1 << 16), b''):
                _show(chunk, file)
            return child.wait()
        finally:
            _end(child)


def _show(chunk: bytes, file: IO):
    file.write(chunk)
    file.flush()
    sys.stdout.flush()
    sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def end_with_parent():
    """Return what the child calls to be signalled when its parent dies.

    The kernel does it, on Linux; elsewhere there is nothing to call, None.
    For ``preexec_fn`` of ``subprocess.Popen``.
    """
    if not sys.platform.startswith('linux'):
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: after fork, only call
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(child: subprocess.Popen):
    """End a command with all its processes, gently at first."""
    child.stdout.close()
    if child.poll() is not None:
        return
    os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
