"""Every error of every command is one line that says what is wrong."""

import configparser
import subprocess
import sys
import time

import pytest
import torch
from torch.utils.data import DataLoader

from mmgan_compress.cli import errors, main
from mmgan_compress.core.commands import EndRequest
from mmgan_compress.core.messages import message_of
from mmgan_compress.registry import MODELS
from students import REPO, run_tool


def caught(function):
    """Return the error that a function raises, with its traceback."""
    with pytest.raises(Exception) as info:
        function()
    return info.value


class Broken:
    def __len__(self):
        return 2

    def __getitem__(self, index):
        raise KeyError('no image 7')


def optimizer(**config):
    from mmengine.registry import OPTIMIZERS

    return OPTIMIZERS.build(dict(params=[torch.zeros(1)], **config))


@pytest.mark.parametrize(
    'function, line',
    [
        (
            lambda: MODELS.build(dict(type='ResnetGeneratr')),
            "no model 'ResnetGeneratr'; did you mean 'ResnetGenerator'?",
        ),
        (lambda: optimizer(type='Adm'), "no optimizer 'Adm'; did you mean 'Adam'?"),
        (lambda: optimizer(type='Adam', rate=1), "Adam takes no argument 'rate'"),
        (lambda: optimizer(type='Adam', lr=-1.0), 'Invalid learning rate: -1.0'),
        (lambda: next(iter(DataLoader(Broken(), num_workers=1))), 'no image 7'),
        (lambda: open('/nowhere'), "No such file or directory: '/nowhere'"),
        (
            lambda: torch.nn.Linear(2, 2).load_state_dict({}),
            'the weights do not fit Linear: Missing key(s) in state_dict: "weight", "bias".',
        ),
        (
            lambda: torch.empty(1 << 60),
            'out of memory: lower the batch size or the size of the images',
        ),
    ],
)
def test_what_libraries_say_is_put_plainly(function, line):
    assert errors.line_of(caught(function)) == line


def test_own_lists_of_faults_keep_their_lines():
    from mmgan_compress.engine.runner_builder import refuse

    error = caught(lambda: refuse(['one', 'two']))
    assert message_of(error).splitlines()[-1].strip().endswith('two')


def test_what_nobody_expected_says_how_to_learn_more(capsys):
    assert errors.guard(lambda: [][0]) == 1
    assert capsys.readouterr().err == (
        'error: IndexError: list index out of range; run again with --debug for the traceback\n'
    )


@pytest.mark.parametrize('words', [['--debug', 'test'], ['test', '--debug']])
def test_debug_shows_the_traceback(words, capsys):
    assert main([*words, 'omgd_cyclegan.py', 'none.pth']) == 1
    text = capsys.readouterr().err
    assert 'Traceback' in text and "error: no checkpoint 'none.pth'" in text


def test_an_interruption_says_how_to_go_on(capsys):
    def stop(*words):
        raise KeyboardInterrupt(*words)

    assert errors.guard(stop) == 130
    assert errors.guard(lambda: stop('iter_3.pth is kept')) == 130
    assert capsys.readouterr().err.splitlines() == [
        'stopped; to start again, run the same command again',
        'stopped; iter_3.pth is kept',
    ]


@pytest.mark.parametrize(
    'rank, error, printed',
    [
        ('0', ValueError('bad'), 'error: bad\n'),
        ('1', ValueError('bad'), ''),
        ('0', RuntimeError('[gloo] Connection closed by peer'), ''),
    ],
)
def test_one_of_several_processes_reports(rank, error, printed, monkeypatch, capsys):
    """The launcher ends the others while they wait."""

    def ended(seconds):
        raise EndRequest

    def work():
        raise error

    monkeypatch.setenv('RANK', rank)
    monkeypatch.setattr(errors.time, 'sleep', ended)
    assert errors.guard(work) == (1 if printed else 130)
    assert capsys.readouterr().err == printed


@pytest.mark.parametrize(
    'words, message',
    [
        ([], 'commands:\n  train'),
        (['compres'], "no command 'compres'"),
        (['trian'], "did you mean 'train'?"),
        (['train'], 'arguments are required: config'),
        (['export', 's.pth', '--out', 'o', '--size', '0'], "'0' is no whole number above 0"),
    ],
)
def test_wrong_usage(words, message, capsys):
    with pytest.raises(SystemExit) as error:
        main(words)
    assert error.value.code == 2 and message in capsys.readouterr().err


@pytest.mark.parametrize(
    'program',
    [
        ['tools/get_flops.py'],
        ['-m', 'mmgan_compress', 'flops'],
        ['mmgan_compress/__main__.py', 'flops'],
    ],
)
def test_ways_to_start_a_command(program, tmp_path):
    """From another folder, without the package on the path."""
    program = [str(REPO / word) if word.endswith('.py') else word for word in program]
    done = subprocess.run(
        [sys.executable, *program, '-h'],
        capture_output=True,
        text=True,
        cwd=REPO if '-m' in program else tmp_path,
    )
    assert done.stdout.startswith('usage: mmgan-compress flops '), done.stderr


def test_the_entry_point_is_the_command_line():
    setup = configparser.ConfigParser()
    setup.read(REPO / 'setup.cfg')
    scripts = setup['options.entry_points']['console_scripts'].split('=')
    assert [part.strip() for part in scripts] == ['mmgan-compress', 'mmgan_compress.cli:main']


def test_help_of_a_command_is_quick():
    """The best of three: other processes may be at work."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        assert subprocess.run(
            [sys.executable, '-m', 'mmgan_compress', 'search', '-h'], cwd=REPO, capture_output=True
        ).stdout
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1


def test_imports_that_fail_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run_tool('flops', 'none.py', '--import', 'no_such_module')
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: cannot import 'no_such_module': ModuleNotFoundError: No "
        "module named 'no_such_module'; expected the dotted name of a module"
    )
