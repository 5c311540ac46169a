"""The commands flops and convert."""

import json
from pathlib import Path

import pytest
import torch

from golden import build, load_json, load_npz
from students import run_tool

ROOT = Path(__file__).parents[2]
CYCLEGAN = """
default_scope = 'mmagic'
net = dict(type='mmgan_compress.SeparableResnetGenerator',
           init_cfg=dict(type='Pretrained', checkpoint='nowhere.pth'))
model = dict(
    type='mmgan_compress.DistillationModel',
    generator=dict(**net, base_channels=16),
    distiller=dict(
        type='mmgan_compress.OMGDCycleGAN',
        teacher=dict(
            type='mmgan_compress.CycleGANTeacher',
            generator=dict(type='ResnetGenerator', in_channels=3,
                           out_channels=3, base_channels=64))))
"""
PIX2PIX = """
unet = dict(type='UnetGenerator', in_channels=3, out_channels=3)
model = dict(
    generator=dict(**unet, base_channels=16),
    distiller=dict(
        type='mmgan_compress.OMGDPix2Pix',
        teachers=dict(
            wide=dict(**unet, base_channels=64),
            deep=dict(type='mmgan_compress.DeepUnetGenerator',
                      base_channels=16))))
"""
NAMES = {
    CYCLEGAN: dict(student='mobile_resnet_9blocks_ngf16_in', teacher='resnet_9blocks_ngf64_in'),
    PIX2PIX: dict(
        student='unet_256_ngf16_bn', wide='unet_256_ngf64_bn', deep='unet_deepest_256_ngf16_bn'
    ),
}


def run(tool, *args):
    return run_tool(tool, *args)


@pytest.mark.parametrize('text', NAMES, ids=['cyclegan', 'pix2pix'])
def test_figures(tmp_path, text):
    config = tmp_path / 'config.py'
    config.write_text(text)
    result = run('flops', config, '--json')
    assert result.returncode == 0, result.stderr
    got = json.loads(result.stdout)  # the whole of standard output
    golden = load_json('macs')
    want = {
        name: dict(
            params=golden[key]['params'],
            macs=golden[key]['macs_flop_counter'],
            macs_paper=golden[key]['macs_torchprofile'],
        )
        for name, key in NAMES[text].items()
    }
    assert got == dict(student=want.pop('student'), teachers=want)


def test_layers_size_and_table(tmp_path):
    config = tmp_path / 'config.py'
    config.write_text(CYCLEGAN)
    result = run('flops', config, '--json', '--layers', '--size', 64)
    student = json.loads(result.stdout)['student']
    assert student['macs_paper'] == 1407713280 // 16
    assert sum(row['macs'] for row in student['layers']) == student['macs']
    lines = run('flops', config).stdout.splitlines()
    assert lines[1].split() == 'student 137.3 k 954.7 M 1.408 G'.split()


def test_student_file(tmp_path):
    from mmgan_compress.models.student import save_student

    model = build(
        'Pix2Pix',
        generator=dict(type='mmgan_compress.SeparableResnetGenerator', base_channels=16),
        discriminator=None,
        default_domain='photo',
        reachable_domains=['photo'],
        related_domains=['photo', 'mask'],
        data_preprocessor=dict(type='DataPreprocessor'),
    )
    save_student(tmp_path / 'student.pth', model, source='test', image_size=256)
    result = run('flops', tmp_path / 'student.pth', '--json')
    assert json.loads(result.stdout) == dict(
        student=dict(params=137347, macs=954728448, macs_paper=1407713280), teachers={}
    )


@pytest.mark.parametrize(
    'name, text, words',
    [('absent.py', None, 'no config'), ('data.py', 'model = dict(type="X")', 'has no generator')],
)
def test_bad_input(tmp_path, name, text, words):
    if text:
        (tmp_path / name).write_text(text)
    result = run('flops', tmp_path / name, '--json')
    assert result.returncode == 1 and not result.stdout
    assert words in result.stderr and 'Traceback' not in result.stderr


def test_convert_original(tmp_path):
    config, source = tmp_path / 'config.py', tmp_path / 'latest_net_G.pth'
    config.write_text(CYCLEGAN.replace('=64', '=2').replace('=16', '=2'))
    state = load_npz('gen_resnet_9blocks_in', 'sd/')
    torch.save(state, source)
    path = 'distiller.teacher.generator'
    result = run('convert', source, tmp_path / 'teacher.pth', '--config', config, '--network', path)
    assert result.returncode == 0, result.stderr
    written = torch.load(tmp_path / 'teacher.pth', weights_only=True)
    assert torch.equal(written['model.0.conv.weight'], state['model.1.weight'])
    result = run(
        'convert', source, tmp_path / 'other.pth', '--config', config, '--network', 'distiller.wide'
    )
    assert result.returncode == 1 and "no 'wide'" in result.stderr
    assert 'Traceback' not in result.stderr
    assert not (tmp_path / 'other.pth').exists()


def test_part_of_an_original(tmp_path):
    config, source = tmp_path / 'config.py', tmp_path / 'cut.pth'
    config.write_text(CYCLEGAN.replace('=64', '=2').replace('=16', '=2'))
    state = load_npz('gen_resnet_9blocks_in', 'sd/')
    torch.save(dict(netG=state, netD=dict(a=torch.zeros(1))), source)
    where = '--config', config, '--network', 'distiller.teacher.generator'
    result = run('convert', source, tmp_path / 'a.pth', *where)
    assert result.returncode == 1 and 'Traceback' not in result.stderr
    assert "choose one of ['netD', 'netG']" in result.stderr
    result = run('convert', source, tmp_path / 'a.pth', *where, '--part', 'netG')
    assert result.returncode == 0, result.stderr
