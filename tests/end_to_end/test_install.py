"""The full way of installing: mmagic with its whole tree, newest versions.

The light way is the one that these tests run in (`make`).
"""

import importlib.metadata
import subprocess
import sys

import pytest

from toy import REPO


@pytest.mark.slow
def test_full_install(tmp_path):
    """`pip install .` trains: mmagic imports, builds and initialises."""
    # the build of torch that is here: another may be gigabytes away
    versions = [
        f'{name}=={importlib.metadata.version(name).split("+")[0]}'
        for name in ('torch', 'torchvision')
    ]
    (tmp_path / 'constraints.txt').write_text('\n'.join(versions))
    python = tmp_path / 'venv/bin/python'
    pip = [
        str(python),
        '-m',
        'pip',
        'install',
        '--quiet',
        '--disable-pip-version-check',
        '-c',
        str(tmp_path / 'constraints.txt'),
    ]
    for command in (
        [sys.executable, '-m', 'venv', str(tmp_path / 'venv')],
        [*pip, versions[0]],
        [*pip, str(REPO)],
        [str(python.with_name('mmgan-compress')), 'doctor'],
    ):
        subprocess.run(command, check=True, cwd=tmp_path)
    code = (
        'import diffusers, mmgan_compress\n'
        'from mmengine.config import Config\n'
        f'cfg = Config.fromfile("{REPO}/configs/omgd_cyclegan.py")\n'
        'cfg.model.distiller.perceptual = dict(\n'
        '    type="mmgan_compress.VGG16Features", weights="random")\n'
        'from mmengine.registry import init_default_scope\n'
        'init_default_scope("mmagic")\n'
        'from mmgan_compress.registry import MODELS\n'
        'MODELS.build(cfg.model).init_weights()\n'
        'assert mmgan_compress.__file__.startswith('
        f'"{tmp_path}")\n'
    )
    subprocess.run([str(python), '-c', code], check=True, cwd=tmp_path)
