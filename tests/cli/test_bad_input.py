"""Hundreds of broken inputs: one line each that helps, nothing left behind.

The cases are in ``bad_inputs/*.txt``: a command line behind ``$``, and below
it a part of the line that it must print; behind ``usage:`` for wrong usage,
whose status is 2. ``m/`` holds the files of ``tests/bad_inputs.py``. A line
``o KEY=VALUE`` is a training with that ``--cfg-options``.
"""

import contextlib
import errno
import multiprocessing
import os
import resource
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import torch

from bad_inputs import write_files
from mmgan_compress.cli import COMMANDS, load, main
from students import REPO

CASES = sorted((Path(__file__).parent / 'bad_inputs').glob('*.txt'))
OPTION = 'train m/recipe.py --work-dir run --cfg-options '


def cases_of(file):
    """Return the command lines of a file, with what they must print."""
    blocks = file.read_text().split('$ ')[1:]
    return [
        (line, expected)
        for line, expected in (map(str.strip, block.split('\n', 1)) for block in blocks)
    ]


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
    return {
        path: (path.lstat().st_mtime_ns, path.lstat().st_size)
        for path in root.rglob('*')
        if not path.is_dir()
    }


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
    capfd.readouterr()
    status = run(words)
    printed = capfd.readouterr().err
    assert 'Traceback' not in printed
    assert printed.count('error: ') == 1, printed
    left = {path.name for path in Path.cwd().iterdir()} - {'m'}
    assert not left, left
    assert state_of(root) == before
    message = printed[printed.index('error: ') + len('error: ') :]
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
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.mark.parametrize('line, expected', ALL, ids=[c[0] for c in ALL])
def test_bad_input(line, expected, place, files, capfd):
    words = shlex.split(line.replace('o ', OPTION, 1) if line.startswith('o ') else line)
    status, message = check_refused(words, files, capfd)
    usage = expected.startswith('usage: ')
    assert status == (2 if usage else 1)
    assert expected.removeprefix('usage: ') in message


def test_there_are_cases_of_every_command():
    assert len(ALL) >= 250 and len(dict(ALL)) == len(ALL)
    assert {shlex.split(line)[0] for line, _ in ALL} >= set(COMMANDS)


@pytest.mark.parametrize(
    'words',
    [
        'data horse2zebra --out out',
        'data facades --out out',
        'weights vgg16 --source url',
        'weights inception',
        'weights cartoongan-hayao --out out.pth',
    ],
)
def test_without_a_network(words, place, files, monkeypatch, capfd):
    def fail(*args, **keys):
        raise requests.ConnectionError('Name or service not known')

    def run_nothing(*args, **keys):
        return subprocess.CompletedProcess(args, 1, '', 'no network')

    monkeypatch.setattr(requests, 'get', fail)
    monkeypatch.setattr(requests.Session, 'request', fail)
    monkeypatch.setattr(subprocess, 'run', run_nothing)
    monkeypatch.setattr('time.sleep', lambda seconds: None)
    status, message = check_refused(words.split(), files, capfd)
    assert status == 1 and any(
        word in message.lower() for word in ('fetch', 'network', 'download', 'connect')
    ), message


@pytest.mark.parametrize(
    'module, words',
    [
        ('onnxscript', 'export m/student.pth --out out'),
        ('openvino', 'translate m/text.xml m/image.png --out out'),
        ('ncnn', 'translate m/text.param m/image.png --out out'),
        ('onnxruntime', 'translate m/plain.onnx m/image.png --out out'),
        ('onnxruntime', 'images m/plain.onnx m/data/trainA --out out'),
        ('torch_pruning', 'prune m/student.pth --pruner TorchPruner --budget macs=0.5 --out out'),
        (
            'neural_compressor',
            'quantize m/student.pth --out out --quantizer INCStatic --calibration m/data/trainA',
        ),
        ('werkzeug', 'page --student m/student.pth'),
    ],
)
def test_a_missing_package_is_named(module, words, place, files, monkeypatch, capfd):
    for name in [name for name in sys.modules if f'{name}.'.startswith(f'{module}.')]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    status, message = check_refused(words.split(), files, capfd)
    assert status == 1 and 'pip install "mmgan_compress[' in message


def test_where_a_converter_has_wheels_is_said(place, files, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, 'litert_torch', None)
    words = ['--deploy-cfg', 'image-translation_litert_static-256x256.py']
    status, message = check_refused(
        ['export', 'm/student.pth', '--out', 'out', *words], files, capfd
    )
    assert status == 1 and 'mmgan_compress[litert]" (wheels: x86-64 Linux' in message


def test_a_taken_port(place, files, capfd):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = str(taken.getsockname()[1])
        status, message = check_refused(
            ['page', '--student', 'm/student.pth', '--port', port], files, capfd
        )
    assert (
        status == 1
        and f'cannot listen on 127.0.0.1, port {port}: Address already in use' in message
    )


def test_a_folder_without_permission(place, files, monkeypatch, capfd):
    def refuse(path, *args, **keys):
        raise PermissionError(errno.EACCES, 'Permission denied', str(path))

    monkeypatch.setattr(Path, 'mkdir', refuse)
    status, message = check_refused(['train', 'm/recipe.py', '--work-dir', 'run'], files, capfd)
    assert status == 1 and 'cannot write run: Permission denied' in message


def test_a_cache_that_cannot_be_made(place, files, monkeypatch, capfd):
    monkeypatch.setenv('MMGAN_COMPRESS_HOME', 'm/plain.txt')
    status, message = check_refused(['weights', 'vgg16', '--source', 'm/foreign.pth'], files, capfd)
    assert status == 1 and 'm/plain.txt is a file, expected a folder' in message


def test_an_error_of_a_worker_process(place, files, capfd):
    status, message = check_refused(
        [
            *'train m/recipe.py --work-dir run --import m.broken_data --cfg-options'.split(),
            'train_dataloader.num_workers=1',
            'train_dataloader.dataset.type=mmgan_compress.BrokenImages',
        ],
        files,
        capfd,
    )
    assert (status, message) == (1, 'image 7 went away\n')


@pytest.mark.parametrize('name', COMMANDS)
def test_ctrl_c_of_every_command(name, monkeypatch, capfd):
    def stop(words):
        raise KeyboardInterrupt

    monkeypatch.setattr('mmgan_compress.cli.parse_args', stop)
    assert main([name]) == 130
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith('stopped; to ') and 'same command' in line
    assert load(name).__doc__


@pytest.mark.parametrize(
    'line', ['teachers m/iter_1.pth teachers.pth', 'translate m/student.pth m/image.png --out .']
)
def test_a_full_disk(line, place, files):
    """By a limit of the size of a file, which is met as a full disk is."""
    read, write = os.pipe()

    def work():
        os.dup2(write, 2)
        sys.stdout, sys.stderr = open(os.devnull, 'w'), open(2, 'w', closefd=False)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        sys.exit(main(line.split()))

    process = multiprocessing.get_context('fork').Process(target=work)
    process.start()
    os.close(write)
    with open(read) as printed:
        (error,) = printed.read().splitlines()
    process.join()
    assert process.exitcode == 1
    assert error.startswith('error: cannot write ')
    assert [path.name for path in place.iterdir()] == ['m']


@pytest.mark.slow
def test_a_closed_pipe(place, files):
    """As of ``mmgan-compress flops ... | head``."""
    read, write = os.pipe()
    os.close(read)
    with contextlib.closing(os.fdopen(write, 'w')) as pipe:
        done = subprocess.run(
            [sys.executable, '-m', 'mmgan_compress', 'flops', 'm/student.pth'],
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ, PYTHONPATH=str(REPO)),
        )
    assert 'Traceback' not in done.stderr and 'Exception' not in done.stderr
    assert len(done.stderr.splitlines()) <= 1, done.stderr
