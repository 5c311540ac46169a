"""The demo: shipped data and teachers, any recipe."""
import os
import shutil
import subprocess
import sys

import torch
from mmengine.config import Config
from toy import REPO

from mmgan_compress.demo import DATA, apply_demo
from mmgan_compress.registry import MODELS


def test_shipped_teachers_load_and_are_small():
    files = sorted(DATA.glob('*.pth'))
    assert len(files) == 3
    for file in files:
        assert file.stat().st_size <= 2_000_000
        assert torch.load(file, weights_only=True)['state_dict']


def test_teachers_start_from_the_shipped_files(vgg_file):
    for recipe in ('omgd_cyclegan', 'omgd_pix2pix'):
        cfg = Config.fromfile(REPO / f'configs/{recipe}.py')
        apply_demo(cfg)
        cfg.model.distiller.perceptual = dict(
            type='mmgan_compress.VGG16Features', weights=vgg_file)
        host = MODELS.build(cfg.model)
        host.init_weights()
        shipped = {}
        for file in cfg.model.distiller.teacher_checkpoints:
            shipped.update(torch.load(file, weights_only=True)['state_dict'])
        own = host.distiller.state_dict()
        assert shipped and all(
            torch.equal(own[k], v.float()) for k, v in shipped.items())


def test_demo_runs_by_one_command(tmp_path, vgg_file):
    """Some iterations of the real command, scoring and hooks included."""
    home = tmp_path / 'home'
    (home / 'weights').mkdir(parents=True)
    shutil.copy(vgg_file, home / 'weights/vgg16.pth')
    for recipe in ('omgd_cyclegan', 'omgd_pix2pix'):
        work_dir = tmp_path / recipe
        change = dict(epochs=2, constant=1, block=2)
        if recipe == 'omgd_cyclegan':
            change['student_epochs'] = 2
        subprocess.run(
            [sys.executable, str(REPO / 'tools/train.py'),
             str(REPO / f'configs/{recipe}.py'), '--demo',
             '--work-dir', str(work_dir), '--cfg-options',
             *(f'model.distiller.schedule.{k}={v}'
               for k, v in change.items())],
            check=True, env=dict(os.environ, MMGAN_COMPRESS_HOME=str(home)))
        for name in ('student.pth', 'student_best.pth', 'report.json',
                     'comparison.png'):
            assert (work_dir / name).is_file()
        text = (work_dir / 'report.md').read_text()
        assert 'emoji/FD-VGG16' in text and 'emoji/LPIPS' in text
        assert 'FID' not in text  # by another network it is not called so
