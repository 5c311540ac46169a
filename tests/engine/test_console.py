"""What a run shows on the console, and what it leaves to the log file."""

import io
import re
import subprocess
import sys

import pytest

from mmgan_compress.core import units
from mmgan_compress.engine.console import ConsoleRunner
from toy import REPO, toy_config, train, without_report

MOST = 25  # lines before the first loss


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def cfg(tmp_path, vgg_file):
    return toy_config('cyclegan', tmp_path / 'data', vgg_file)


def test_command_is_short_and_its_log_file_is_full(cfg, tmp_path):
    without_report(cfg).dump(tmp_path / 'recipe.py')
    run = subprocess.run(
        [
            sys.executable,
            str(REPO / 'tools/train.py'),
            str(tmp_path / 'recipe.py'),
            '--work-dir',
            str(tmp_path / 'run'),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    lines = run.stdout.splitlines()
    first = next(i for i, line in enumerate(lines) if 'loss ' in line)
    assert first <= MOST, run.stdout
    data, networks, schedule = lines[first - 3 : first]
    assert 'train 5 horse + 5 zebra, val 2 horse + 2 zebra' in data
    assert re.search(
        r'teacher .* parameters, .* MACs; student .* '
        r'\([\d.]+x fewer\) at 32x32',
        networks,
    )
    assert 'validation every 4' in schedule
    assert re.match(r'iteration 1/8  teacher  loss [\d.]+  \d+:\d\d left$', lines[first])
    assert re.search(r'iteration 5/8 .* zebra/SSIM -?[\d.e-]+ \(best', run.stdout)
    assert not re.search(
        r'Config:|default_hooks|after_train_iter|FileClient|'
        'warning',
        run.stdout,
    )
    (log,) = (tmp_path / 'run').glob('*/*.log')
    for detail in (
        'Config:',
        'System environment',
        'after_train_iter',
        'loss_style_zebra',
        'Iter(train)',
    ):
        assert detail in log.read_text()


def test_terminal_has_a_bar(cfg, tmp_path, monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, 'stderr', terminal)
    train(without_report(cfg), tmp_path)
    shown = terminal.getvalue()
    assert 'teacher' in shown and 'student' in shown
    assert '8/8' in shown and 'left' in shown and 'zebra/SSIM' in shown
    assert 'iteration 1/8' not in capsys.readouterr().out


def test_recipe_without_progress_keeps_mmengines_console(cfg, tmp_path, capsys):
    cfg = without_report(cfg)
    del cfg.default_hooks.progress
    cfg.work_dir, cfg.experiment_name = str(tmp_path), 'plain'
    ConsoleRunner.from_cfg(cfg)
    assert 'after_train_iter' in capsys.readouterr().out


@pytest.mark.parametrize(
    'value, text',
    [(0, '0'), (512, '512'), (38_720, '38.72 k'), (88_770_000, '88.77 M'), (5.5e9, '5.5 G')],
)
def test_counts_have_units_that_fit(value, text):
    assert units.count(value) == text


def test_other_units():
    assert units.duration(75) == '1:15'
    assert units.duration(7300) == '2:01:40'
    assert units.milliseconds(12.345) == '12.3 ms'
