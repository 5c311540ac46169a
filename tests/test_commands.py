"""How commands end: one line, nothing of the user's lost, nothing left."""
import errno
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from test_launch import arguments
from toy import REPO, toy_config, train, without_report, write_images

from mmgan_compress.core.commands import one_line_errors
from mmgan_compress.engine import launch
from mmgan_compress.engine.jobs import LOCK, locked


def full_disk(limit):
    """Let no file become larger, as a full disk does: for a child."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def tool(name, *words, limit=None, **options):
    """Run a command; with a limit in bytes, on a disk that is full."""
    return subprocess.run(
        [sys.executable, str(REPO / f'tools/{name}.py'), *map(str, words)],
        capture_output=True, text=True,
        preexec_fn=limit and (lambda: full_disk(limit)), **options)


def ended(done):
    """Return the one line that a command ended with."""
    assert done.returncode == 1 and 'Traceback' not in done.stderr, done.stderr
    last = done.stderr.rstrip().splitlines()[-1]
    assert last.startswith('error: '), done.stderr
    return last


def left(folder):
    """Return the names of all files in a folder."""
    return sorted(path.name for path in Path(folder).rglob('*')
                  if path.is_file())


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Return what the teachers are cut out of."""
    path = tmp_path_factory.mktemp('run') / 'iter_1.pth'
    torch.save(dict(state_dict={
        'distiller.teacher.weight': torch.randn(100, 100),
        'generators.b.weight': torch.zeros(2)}), path)
    return path


# --- the end of a command ---------------------------------------------------
@pytest.mark.parametrize('error,line', [
    (KeyError("no 'x'"), "error: no 'x'"), (ValueError('bad'), 'error: bad'),
    (OSError(errno.ENOSPC, 'cannot write x'), 'error: cannot write x')])
def test_one_line_for_what_can_be_mended(error, line):
    with pytest.raises(SystemExit) as caught, one_line_errors():
        raise error
    assert caught.value.code == line


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError), one_line_errors():
        1 / 0
    with pytest.raises(ValueError), one_line_errors(OSError):
        raise ValueError('of ours')


def test_a_request_to_end_cleans_up(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught, one_line_errors():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        finally:
            (tmp_path / 'cleaned').touch()
    assert caught.value.code == 130 and (tmp_path / 'cleaned').exists()
    assert capsys.readouterr().err == 'stopped\n'
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


# --- save_teachers ----------------------------------------------------------
def test_teachers_never_replace_their_checkpoint(checkpoint, tmp_path):
    before = checkpoint.read_bytes()
    link = tmp_path / 'link.pth'
    link.hardlink_to(checkpoint)
    for out in (checkpoint, link):
        assert 'is the input' in ended(tool('save_teachers', checkpoint, out,
                                            '--overwrite'))
    assert checkpoint.read_bytes() == before


def test_teachers_on_a_full_disk(checkpoint, tmp_path):
    out = tmp_path / 'teachers.pth'
    out.write_text('mine')
    assert 'exists already' in ended(tool('save_teachers', checkpoint, out))
    line = ended(tool('save_teachers', checkpoint, out, '--overwrite',
                      limit=10_000))
    assert f'cannot write {out}: File too large' in line
    assert out.read_text() == 'mine' and left(tmp_path) == ['teachers.pth']
    done = tool('save_teachers', checkpoint, out, '--overwrite')
    assert done.returncode == 0, done.stderr
    kept = torch.load(out, weights_only=True)['state_dict']
    assert list(kept) == ['teacher.weight']


def test_what_is_no_checkpoint_has_no_teachers(checkpoint, tmp_path):
    part = tmp_path / 'iter_9.pth'
    part.write_bytes(checkpoint.read_bytes()[:5000])
    for source, words, message in (
            (tmp_path / 'none.pth', (), 'none.pth'),
            (part, (), 'iter_9.pth is no checkpoint of a run'),
            (checkpoint, ('--only', 'x'), "which has ['teacher']")):
        assert message in ended(tool('save_teachers', source,
                                     tmp_path / 'out.pth', *words))
    assert left(tmp_path) == ['iter_9.pth']


# --- train and test ---------------------------------------------------------
@pytest.fixture
def recipe(tmp_path, vgg_file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy_config('cyclegan', tmp_path / 'data', vgg_file).dump('recipe.py')
    return 'recipe.py'


@pytest.mark.parametrize('name', ['report.md', 'report.json', 'recipe.py',
                                  'comparison.png', 'comparison_val.png'])
def test_train_and_test_refuse_the_files_of_others(recipe, name):
    mine = Path('notes', name)
    mine.parent.mkdir()
    mine.write_text('mine')
    Path('student.pth').touch()
    for build, keys in ((launch.make_runner, {}), (
            launch.make_tester,
            dict(checkpoint='student.pth', overwrite=False))):
        with pytest.raises(SystemExit, match=f'{name} exists already'):
            build(arguments(recipe, work_dir='notes', **keys), ExitStack())
    assert left('notes') == [name] and mine.read_text() == 'mine'


def test_numbering_passes_over_the_files_of_others(recipe):
    Path('work_dirs/recipe').mkdir(parents=True)
    Path('work_dirs/recipe/report.md').write_text('mine')
    assert launch.choose_work_dir(arguments(recipe)) == 'work_dirs/recipe-2'


def test_a_run_that_stopped_early_can_be_started_again(recipe):
    for name in (LOCK, 'recipe.py'):  # before its first checkpoint
        Path('run', name).parent.mkdir(exist_ok=True)
        Path('run', name).touch()
    assert launch.choose_work_dir(arguments(recipe, work_dir='run')) == 'run'


def test_one_run_in_a_work_dir(recipe, monkeypatch):
    with locked(Path('run')), pytest.raises(
            SystemExit, match=f'process {os.getpid()} works in run already'):
        launch.make_runner(arguments(recipe, work_dir='run'), ExitStack())
    monkeypatch.setenv('RANK', '1')  # of the process that holds it
    with locked(Path('run')), ExitStack() as held:
        launch.make_runner(arguments(recipe, work_dir='run'), held)


def test_a_full_disk_is_named(recipe):
    line = ended(tool('train', recipe, '--work-dir', 'run', limit=100_000))
    assert f'write {Path.cwd()}/run/iter_1.pth: File too large' in line
    assert 'holds no checkpoint' in line
    assert not list(Path('run').glob('.*'))


def test_a_run_goes_on_when_there_is_room(tmp_path, vgg_file, monkeypatch):
    cfg = without_report(toy_config('cyclegan', tmp_path / 'data', vgg_file))
    write = Path.write_bytes

    def full(path, data):
        if 'iter_3' in path.name:
            write(path, bytes(data[:1000]))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, 'write_bytes', full)
        with pytest.raises(OSError, match='iter_3.pth: No space left'):
            train(cfg, tmp_path / 'run')
    assert sorted(path.name for path in tmp_path.glob('run/*iter_*')) == [
        'iter_1.pth', 'iter_2.pth']
    newest = (tmp_path / 'run/last_checkpoint').read_text()
    assert newest.endswith('iter_2.pth')
    runner = train(cfg, tmp_path / 'run', newest)
    assert (tmp_path / f'run/iter_{runner.iter}.pth').is_file()
