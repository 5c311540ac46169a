"""OpenMMLab's package manager finds recipes, commands and metafiles."""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import pytest
import yaml

from mmgan_compress.cli import COMMANDS, make_parser
from mmgan_compress.core.configs import find_config
from recipes import CONFIGS, RECIPES, ROOT

MIM = ROOT / 'mmgan_compress' / '.mim'
RECIPE = 'plain_cyclegan-mobile16_1xb1-200e_horse2zebra'


# --- what stands in the tree ------------------------------------------------
@pytest.mark.parametrize('name', ['configs', 'models', 'tools'])
def test_links(name):
    link = MIM / name
    assert link.is_symlink() and not Path(os.readlink(link)).is_absolute()
    assert link.resolve() == ROOT / name


def test_every_metafile_is_imported():
    listed = yaml.safe_load((MIM / 'model-index.yml').read_text())['Import']
    assert sorted(listed) == sorted(
        path.relative_to(ROOT).as_posix()
        for folder in (CONFIGS, ROOT / 'models')
        for path in folder.rglob('metafile.yml')
    )


def test_no_tool_takes_an_option_that_mim_would_fill():
    """`mim train` adds --gpus where the help text has it."""
    for name in COMMANDS:
        assert '--gpus' not in make_parser(name).format_help()


def test_config_by_file_name():
    recipe = RECIPES[RECIPE]
    assert find_config(str(recipe)) == str(recipe)
    assert Path(find_config(recipe.name)) == recipe
    with pytest.raises(FileNotFoundError, match='omgd_cyclegan.py'):
        find_config('omgd_cyclegen.py')
    with pytest.raises(FileNotFoundError):
        find_config('runtime.py')  # a base is no recipe


# --- a wheel, installed -----------------------------------------------------
@pytest.fixture(scope='module')
def environment(tmp_path_factory):
    """Install wheel and mim anew; other packages are those of the tests."""
    root = tmp_path_factory.mktemp('mim')
    source = root / 'source'
    shutil.copytree(
        ROOT,
        source,
        symlinks=True,
        ignore=shutil.ignore_patterns(
            '.git', '.venv*', 'build', '*.egg-info', 'work_dirs', '__pycache__'
        ),
    )
    subprocess.run([sys.executable, '-m', 'venv', root / 'venv'], check=True)
    python = root / 'venv/bin/python'
    pip = [python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
    subprocess.run([*pip, '--no-deps', source], check=True)
    subprocess.run([*pip, 'openmim'], check=True)
    shutil.rmtree(source)
    site = Path(
        subprocess.run(
            [python, '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))'],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    )
    (site / 'others.pth').write_text(sysconfig.get_path('purelib'))
    return root


@pytest.fixture
def mim(environment, vgg_file):
    home = environment / 'home'
    (home / 'weights').mkdir(parents=True, exist_ok=True)
    shutil.copy(vgg_file, home / 'weights/vgg16.pth')

    def run(*args):
        done = subprocess.run(
            [environment / 'venv/bin/mim', *map(str, args)],
            cwd=environment,
            env=dict(os.environ, MMGAN_COMPRESS_HOME=str(home), HOME=str(home)),
            capture_output=True,
            text=True,
        )
        assert not done.returncode, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.mark.slow
def test_train_test_run(mim, environment):
    folder = environment / 'run'
    short = [
        f'model.distiller.schedule.{key}={value}'
        for key, value in dict(epochs=2, constant=1, block=2).items()
    ]
    mim(
        'train',
        'mmgan_compress',
        f'{RECIPE}.py',
        '--demo',
        '--work-dir',
        folder,
        '--cfg-options',
        *short,
    )
    assert (folder / 'report.md').is_file()
    mim('test', 'mmgan_compress', f'{RECIPE}.py', '--checkpoint', folder / 'student.pth', '--demo')
    assert (folder / 'test/report.md').is_file()
    mim('run', 'mmgan_compress', 'export', folder / 'student.pth', '--out', folder / 'onnx')
    assert (folder / 'onnx/end2end.onnx').is_file()
    assert '954.7 M' in mim('run', 'mmgan_compress', 'get_flops', 'omgd_cyclegan.py')


@pytest.mark.slow
def test_search(mim):
    text = mim('search', 'mmgan-compress', '--config', 'omgd_cyclegan')
    assert '137347' in text and 'mobile64' in text
    assert RECIPE in mim('search', 'mmgan_compress', '--valid-config')


@pytest.mark.slow
def test_download_of_weights_that_have_an_address(mim, environment, tmp_path):
    """None are published yet, so one recipe is given some, at home."""
    served, got = tmp_path / 'served', tmp_path / 'got'
    served.mkdir()
    (served / 'student.pth').write_bytes(b'weights')
    index = next(environment.rglob('.mim/configs/plain/metafile.yml'))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=served)
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        content = yaml.safe_load(index.read_text())
        entry = next(m for m in content['Models'] if m['Name'] == RECIPE)
        entry['Weights'] = f'http://127.0.0.1:{server.server_port}/student.pth'
        index.write_text(yaml.safe_dump(content))
        mim('download', 'mmgan_compress', '--config', RECIPE, '--dest', got)
        server.shutdown()
    assert (got / 'student.pth').read_bytes() == b'weights'
    assert 'AdversarialCycleGAN' in (got / f'{RECIPE}.py').read_text()
