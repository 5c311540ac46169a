"""Hundreds of broken inputs: one line each that helps, nothing left behind.

The cases are in ``bad_inputs/*.txt``: a command line behind ``$``, and below
it a part of the line that it must print; behind ``usage:`` for wrong usage,
whose status is 2. ``m/`` holds the files of ``tests/bad_inputs.py``. A line
``o KEY=VALUE`` is a training with that ``--cfg-options``.
"""
import os
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from bad_inputs import write_files
from mmengine.visualization import Visualizer

from mmgan_compress.cli import COMMANDS, main

CASES = sorted((Path(__file__).parent / 'bad_inputs').glob('*.txt'))
OPTION = 'train m/recipe.py --work-dir run --cfg-options '


def cases_of(file):
    """Return the command lines of a file, with what they must print."""
    blocks = file.read_text().split('$ ')[1:]
    return [(line, expected) for line, expected in (
        map(str.strip, block.split('\n', 1)) for block in blocks)]


ALL = [case for file in CASES for case in cases_of(file)]


@pytest.fixture(scope='module')
def files(tmp_path_factory, vgg_file):
    """Return the folder of broken and sound files, and their state."""
    root = tmp_path_factory.mktemp('bad') / 'm'
    threads = torch.get_num_threads()
    write_files(root, vgg_file)
    torch.set_num_threads(threads)
    return root, state_of(root)


def state_of(root):
    """Return when each file was changed last, and its size."""
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_size)
            for path in root.rglob('*') if not path.is_dir()}


def run(words):
    """Run a command; return its status, 2 for wrong usage."""
    try:
        return main(words)
    except SystemExit as error:
        return error.code


def check_refused(words, files, capfd):
    """Assert that a command ends with one error and changes nothing.

    Returns:
        tuple[int, str]: Its status, and the error: one line, or a list of
        faults.
    """
    root, before = files
    Visualizer._instance_dict.clear()  # named by the second
    capfd.readouterr()
    status = run(words)
    printed = capfd.readouterr().err
    assert 'Traceback' not in printed
    assert printed.count('error: ') == 1, printed
    left = {path.name for path in Path.cwd().iterdir()} - {'m'}
    assert not left, left
    assert state_of(root) == before
    message = printed[printed.index('error: ') + len('error: '):]
    assert '--debug' not in message  # what nobody foresaw
    for folder in (Path.cwd(), root.parent):
        message = message.replace(f'{folder}/', '')
    return status, message


@pytest.fixture
def place(files, tmp_path, monkeypatch):
    """Work in an empty folder with the files in ``m/``."""
    monkeypatch.setenv('MMGAN_COMPRESS_HOME', str(tmp_path / 'home'))
    folder = tmp_path / 'work'
    folder.mkdir()
    os.symlink(files[0], folder / 'm')
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize('line, expected', ALL, ids=[c[0] for c in ALL])
def test_bad_input(line, expected, place, files, capfd):
    words = shlex.split(line.replace('o ', OPTION, 1)
                        if line.startswith('o ') else line)
    status, message = check_refused(words, files, capfd)
    usage = expected.startswith('usage: ')
    assert status == (2 if usage else 1)
    assert expected.removeprefix('usage: ') in message


def test_there_are_cases_of_every_command():
    assert len(ALL) >= 250 and len(dict(ALL)) == len(ALL)
    assert {shlex.split(line)[0] for line, _ in ALL} >= set(COMMANDS)
