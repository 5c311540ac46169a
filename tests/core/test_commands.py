"""How commands end: one line, nothing of the user's lost, nothing left."""

import contextlib
import errno
import os
import resource
import shutil
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from mmgan_compress.cli.errors import guard
from mmgan_compress.datasets import layout
from mmgan_compress.engine import runner_builder as launch
from mmgan_compress.engine.processes import LOCK, locked
from students import make_student, message_of_error, refused_by_tool, run_tool
from test_runner_builder import arguments
from toy import REPO, toy_config, train, without_report, write_images


@contextlib.contextmanager
def full_disk(limit):
    """Let no file become larger than a number of bytes: as on a full disk,
    writes fail in the middle."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def refused(monkeypatch):
    """Return a function that runs a tool; its one line comes back."""

    def run(name, *words, room=None):
        with full_disk(room) if room else contextlib.nullcontext():
            line = refused_by_tool(name, *words)
        assert line.startswith('error: ') and '\n' not in line
        return line

    return run


@pytest.fixture
def run(monkeypatch):
    """Return a function that runs a tool to its good end."""

    def run(name, *words):
        done = run_tool(name, *words)
        assert done.returncode == 0, done.stderr

    return run


def left(folder):
    """Return the names of all files in a folder."""
    return sorted(path.name for path in Path(folder).rglob('*') if path.is_file())


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Return what the teachers are cut out of."""
    path = tmp_path_factory.mktemp('run') / 'iter_1.pth'
    torch.save(
        dict(
            state_dict={
                'distiller.teacher.weight': torch.randn(100, 100),
                'generators.b.weight': torch.zeros(2),
            }
        ),
        path,
    )
    return path


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    path = tmp_path_factory.mktemp('student') / 'resnet.pth'
    make_student(path, 'resnet')
    return str(path)


# --- the end of a command ---------------------------------------------------
@pytest.mark.parametrize(
    'error,line',
    [
        (KeyError("no 'x'"), "error: no 'x'"),
        (ValueError('bad'), 'error: bad'),
        (OSError(errno.ENOSPC, 'cannot write x'), 'error: cannot write x'),
    ],
)
def test_one_line_for_what_can_be_mended(error, line, capsys):
    def work():
        raise error

    assert guard(work) == 1
    assert capsys.readouterr().err == f'{line}\n'


def test_a_request_to_end_cleans_up(tmp_path, capsys):
    def work():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        finally:
            (tmp_path / 'cleaned').touch()

    assert guard(work) == 130 and (tmp_path / 'cleaned').exists()
    assert capsys.readouterr().err.startswith('stopped; ')
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


# --- files that a command writes --------------------------------------------
def test_teachers_never_replace_their_checkpoint(checkpoint, tmp_path, refused):
    before = checkpoint.read_bytes()
    link = tmp_path / 'link.pth'
    link.hardlink_to(checkpoint)
    for out in (checkpoint, link):
        assert 'is the input' in refused('save_teachers', checkpoint, out, '--overwrite')
    assert checkpoint.read_bytes() == before


def test_teachers_on_a_full_disk(checkpoint, tmp_path, refused, run):
    out = tmp_path / 'teachers.pth'
    out.write_text('mine')
    words = ['save_teachers', checkpoint, out]
    assert 'exists already' in refused(*words)
    line = refused(*words, '--overwrite', room=10_000)
    assert f'cannot write {out}: File too large' in line
    assert out.read_text() == 'mine' and left(tmp_path) == ['teachers.pth']
    run(*words, '--overwrite')
    kept = torch.load(out, weights_only=True)['state_dict']
    assert list(kept) == ['teacher.weight']


def test_what_is_no_checkpoint_has_no_teachers(checkpoint, tmp_path, refused):
    part = tmp_path / 'iter_9.pth'
    part.write_bytes(checkpoint.read_bytes()[:5000])
    for source, words, message in (
        (tmp_path / 'none.pth', (), 'none.pth'),
        (part, (), 'iter_9.pth is no checkpoint of a run'),
        (checkpoint, ('--only', 'x'), "which has ['teacher']"),
    ):
        assert message in refused('save_teachers', source, tmp_path / 'out.pth', *words)
    assert left(tmp_path) == ['iter_9.pth']


def test_a_conversion_replaces_nothing(tmp_path, refused):
    """Before the source is read, and never the source or the config."""
    config = REPO / 'configs/omgd_cyclegan.py'
    out = tmp_path / 'existing.pth'
    out.write_text('mine')
    words = ['convert_original', tmp_path / 'latest.pth', out, '--config']
    assert f'{out} exists already' in refused(*words, config)
    shutil.copy(config, tmp_path / 'latest.pth')
    assert 'is the input' in refused(
        'convert_original',
        tmp_path / 'latest.pth',
        tmp_path / 'latest.pth',
        '--overwrite',
        '--config',
        config,
    )
    assert out.read_text() == 'mine'


def test_reports_replace_nothing(tmp_path, refused):
    (tmp_path / 'report.md').write_text('mine')
    assert 'report.md exists already' in refused(
        'report', 'omgd_cyclegan.py', 'a=none.pth', '--out', tmp_path
    )
    assert left(tmp_path) == ['report.md']


@pytest.mark.parametrize('name', ['search.md', 'front.png', 'student.pth'])
def test_searches_replace_nothing(tmp_path, name):
    pytest.importorskip('optuna')
    from mmgan_compress.search.run import check_folder

    (tmp_path / name).write_text('mine')
    with pytest.raises(FileExistsError, match=f'{name} exists already'):
        check_folder(tmp_path, 'search', {})


@pytest.mark.parametrize('link', [os.symlink, os.link])
def test_no_link_leads_from_a_result_to_its_input(student, tmp_path, link, refused):
    write_images(tmp_path / 'in', {'.': 1})
    source = next((tmp_path / 'in').glob('*.png'))
    before = source.read_bytes()
    (tmp_path / 'out').mkdir()
    link(source, tmp_path / 'out' / source.name)
    assert 'is the input' in refused(
        'translate', student, source, '--out', tmp_path / 'out', '--overwrite'
    )
    assert source.read_bytes() == before


def test_pictures_on_a_full_disk(student, tmp_path, refused, run):
    """No empty file is left, which would stop the repetition."""
    Image.effect_noise((64, 64), 99).convert('RGB').save(tmp_path / 'a.png')
    words = ['translate', student, tmp_path / 'a.png', '--out', tmp_path / 'out']
    line = refused(*words, room=100)
    assert f'cannot write {tmp_path}/out/a.png: File too large' in line
    assert left(tmp_path / 'out') == []
    run(*words)
    assert left(tmp_path / 'out') == ['a.png']


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    other = tmp_path / 'd.unfinished'
    write_images(other, {'.': 1})
    kept = left(other)
    sample = layout.Sample('train', 'x', {'A': Image.effect_noise((64, 64), 99)})
    with (
        pytest.raises(OSError, match=f'cannot write {tmp_path}/d: File'),
        full_disk(100),
        layout.building(tmp_path / 'd', {}) as work,
    ):
        layout.write_samples([sample], work, False, '.png')
    assert os.listdir(tmp_path) == ['d.unfinished'] and left(other) == kept
    with layout.building(tmp_path / 'd', {}) as work:
        layout.write_samples([sample], work, False, '.png')
    assert left(tmp_path / 'd') == ['.prepared.json', 'x.png']
    assert (tmp_path / 'd').stat().st_mode == other.stat().st_mode
    with (
        pytest.raises(FileExistsError, match='is no empty folder'),
        layout.building(tmp_path / 'd', {}),
    ):
        pass
    assert sorted(os.listdir(tmp_path)) == ['d', 'd.unfinished']


def test_a_request_to_end_an_export_leaves_nothing(student, tmp_path, monkeypatch, capsys):
    def stop(*_):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    monkeypatch.setattr('mmgan_compress.deploy.export._write_verified', stop)
    done = run_tool('export', student, '--out', tmp_path / 'onnx')
    assert done.returncode == 130 and not os.listdir(tmp_path)


# --- train and test ---------------------------------------------------------
@pytest.fixture
def recipe(tmp_path, vgg_file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy_config('cyclegan', tmp_path / 'data', vgg_file).dump('recipe.py')
    return 'recipe.py'


@pytest.mark.parametrize(
    'name', ['report.md', 'report.json', 'recipe.py', 'comparison.png', 'comparison_val.png']
)
def test_train_and_test_refuse_the_files_of_others(recipe, name):
    mine = Path('notes', name)
    mine.parent.mkdir()
    mine.write_text('mine')
    Path('student.pth').touch()
    for build, keys in (
        (launch.make_runner, {}),
        (launch.make_runner, dict(resume='student.pth')),
        (launch.make_tester, dict(checkpoint='student.pth', overwrite=False)),
    ):
        assert f'{name} exists already' in message_of_error(
            build, arguments(recipe, work_dir='notes', **keys), ExitStack()
        )
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
    with (
        locked(Path('run')),
        pytest.raises(ValueError, match=f'process {os.getpid()} works in run already'),
    ):
        launch.make_runner(arguments(recipe, work_dir='run'), ExitStack())
    monkeypatch.setenv('RANK', '1')  # of the process that holds it
    with locked(Path('run')), ExitStack() as held:
        launch.make_runner(arguments(recipe, work_dir='run'), held)


def test_a_full_disk_is_named(recipe, refused):
    line = refused('train', recipe, '--work-dir', 'run', room=100_000)
    assert f'write {Path.cwd()}/run/iter_1.pth: File too large' in line
    assert 'holds no checkpoint' in line
    assert not list(Path('run').glob('.*'))


def test_an_interrupted_training_says_how_to_go_on(tmp_path):
    def message():
        with (
            pytest.raises(KeyboardInterrupt) as stop,
            launch.resumable(SimpleNamespace(work_dir=str(tmp_path))),
        ):
            raise KeyboardInterrupt
        return str(stop.value)

    assert f'{tmp_path} holds no checkpoint yet' in message()
    last = tmp_path / 'iter_3.pth'
    last.touch()
    (tmp_path / 'last_checkpoint').write_text(str(last))
    assert message() == (
        f'{last} is kept: continue with the same command and --resume --work-dir {tmp_path}'
    )


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
        'iter_1.pth',
        'iter_2.pth',
    ]
    newest = (tmp_path / 'run/last_checkpoint').read_text()
    assert newest.endswith('iter_2.pth')
    runner = train(cfg, tmp_path / 'run', newest)
    assert (tmp_path / f'run/iter_{runner.iter}.pth').is_file()
