"""Codes in processes of their own, at the price of one start."""

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
# A line names a code, its words and its folder; the code runs in a fork.
_LOOP = """
import json, os, sys, traceback
for line in sys.stdin:
    code, words, folder = json.loads(line)
    child = os.fork()
    if not child:
        status = 1
        try:
            os.chdir(folder)
            for number, name in ((1, 'out'), (2, 'err')):
                os.dup2(os.open(f'{folder}/.{name}', os.O_CREAT | os.O_WRONLY), number)
            sys.argv[1:] = words
            exec(code, dict(globals(), __name__='__main__'))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@functools.cache
def _interpreter(shared):
    return subprocess.Popen(
        [sys.executable, '-W', 'ignore', '-c', shared + _LOOP],
        cwd=tempfile.gettempdir(),
        env=dict(os.environ, PYTHONPATH=str(REPO)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def run_forked(code, *words, shared, cwd=None):
    """Run a code in a process that has run nothing but what codes share.

    Args:
        code (str): Python.
        words (Any): Its command line.
        shared (str): What runs before it, once for all codes that share it.
        cwd (Path | None): Folder that it runs in, outside of the repository.

    Returns:
        str: What it prints to standard output.
    """
    with tempfile.TemporaryDirectory() as own:
        folder, process = Path(cwd or own), _interpreter(shared)
        print(
            json.dumps([code, list(map(str, words)), str(folder)]), file=process.stdin, flush=True
        )
        status = process.stdout.readline()
        out, err = ((folder / name).read_text() for name in ('.out', '.err'))
        for name in ('.out', '.err'):
            (folder / name).unlink()
        assert status == '0\n', err[-3000:]
        return out
