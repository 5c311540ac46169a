"""A generator of noise: student file, export, sampled pictures."""

import json

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from PIL import Image

from golden import build
from mmgan_compress import (
    Sampler,
    Student,
    Translator,
    cli,
    export,
    load_student,
    read_test_config,
    student_info,
)
from mmgan_compress.core.inputs import Noise
from mmgan_compress.deploy.targets import Target
from sagan_golden import GENERATOR

CONFIG = dict(type=GENERATOR, base_channels=8, noise_size=6)


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    """A student whose attention and statistics are not those of the start."""
    torch.manual_seed(0)
    net = build(**CONFIG).train()
    with torch.no_grad():
        for layer in (net.model[3], net.model[5]):
            layer.gamma.fill_(0.7)
            for part in (layer.query, layer.key, layer.value):
                part.weight.normal_(0, 0.3)
        net.model[6].weight.normal_(0, 1)
        for _ in range(3):
            net(torch.randn(8, 6))
    path = tmp_path_factory.mktemp('student') / 'student.pth'
    domains = ['noise', 'face']
    Student(dict(face=net.eval()), dict(face=CONFIG), domains, 'face', 64, 'test').save(path)
    return str(path)


def test_student_file(student):
    info = student_info(student)
    assert info['channels'] == {'face': 3} and info['image_size'] == 64
    net = load_student(student)
    assert net.meta['takes'] == dict(kind='noise', size=6)
    assert net(torch.zeros(2, 6)).shape == (2, 3, 64, 64)


def test_pictures_depend_on_seed_and_place_alone(student):
    sample = Sampler(student)
    few, many = sample(3, seed=4), sample(5, seed=4, batch_size=2)
    assert few[0].size == (64, 64)
    # one by one or together: another order of sums
    assert all(
        np.abs(np.asarray(a, int) - np.asarray(b, int)).max() <= 1 for a, b in zip(few, many)
    )
    assert np.asarray(few[0]).std() > 5
    others = [np.asarray(few[1]), np.asarray(sample(1, seed=5)[0])]
    assert all((np.asarray(few[0]) != other).any() for other in others)
    with torch.no_grad():
        image = load_student(student)(Noise(6).draw(4, 1)[None])
    own = ((image[0] + 1) * 127.5).round().permute(1, 2, 0).numpy()
    assert np.abs(own - others[0]).max() <= 1


def test_command(student, tmp_path, capsys):
    words = ['sample', student, '--count', '5', '--out', str(tmp_path / 'out')]
    assert cli.main(words) == 0
    files = sorted(path.name for path in (tmp_path / 'out').iterdir())
    assert files == [*(f'{index:05}.png' for index in range(5)), 'grid.png']
    with Image.open(tmp_path / 'out/grid.png') as picture:
        assert picture.size == (3 * 66 - 2, 2 * 66 - 2)
    before = (tmp_path / 'out/00000.png').read_bytes()
    assert cli.main([*words, '--seed', '1']) == 1
    assert 'exists already' in capsys.readouterr().err
    assert (tmp_path / 'out/00000.png').read_bytes() == before
    assert cli.main([*words, '--seed', '1', '--overwrite']) == 0
    assert (tmp_path / 'out/00000.png').read_bytes() != before


def test_who_takes_what(student):
    with pytest.raises(ValueError, match='makes images from noise: mmgan-compress sample'):
        Translator(student)
    with pytest.raises(ValueError, match=r'got noise of \(1, 5\): expected \(N, 6\)'):
        Sampler(student).run(np.zeros((1, 5)))
    with pytest.raises(ValueError, match='seed is -1'):
        Sampler(student)(1, seed=-1)


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
def test_exports(student, backend, tmp_path):
    """They equal torch, and give the same pictures."""
    pytest.importorskip('onnxscript')
    pytest.importorskip(backend)
    report = export(student, tmp_path, Target(backend=backend, dynamic=True))
    assert report['max_abs'] < 1e-4
    assert {check['shape'] for check in report['checks']} == {'1x6', '2x6'}
    sample = Sampler(tmp_path)
    assert sample.runtime == backend and sample.domain == 'face' and sample.noise == Noise(6)
    for own, want in zip(sample(3, seed=2), Sampler(student)(3, seed=2)):
        assert np.abs(np.asarray(own, int) - np.asarray(want, int)).max() <= 1
    with pytest.raises(ValueError, match='makes images from noise'):
        Translator(tmp_path)


@pytest.mark.slow
def test_int8_is_calibrated_on_noise(student, tmp_path, capsys):
    """By the command, without images; a floor leaves layers in float."""
    pytest.importorskip('onnxscript')
    pytest.importorskip('onnxruntime')

    def quantize(name, *more):
        out = tmp_path / name
        assert cli.main(['quantize', student, '--out', str(out), *more]) == 0
        for own, want in zip(Sampler(out)(3, seed=2), Sampler(student)(3, seed=2)):
            assert np.abs(np.asarray(own, int) - np.asarray(want, int)).mean() < 5
        return json.loads((out / 'quantize.json').read_text())

    record = quantize('all')
    assert record['calibration_images'] > 8 and record['lost']['images'] == 8
    floor = record['lost']['psnr'] + 3
    mixed = quantize('mixed', '--psnr-floor', f'{floor:.1f}')
    assert mixed['lost']['psnr'] > floor - 0.1
    assert {row['int8'] for row in mixed['layers']} == {True, False}
    words = ['quantize', student, '--out', str(tmp_path / 'test'), '--test', 'configs/gcc_sagan.py']
    assert cli.main(words) == 1
    assert '--test compares pictures made from images' in capsys.readouterr().err


def test_export_of_one_image(student, tmp_path):
    pytest.importorskip('onnxscript')
    export(student, tmp_path / 'one', Target(backend='onnxruntime'))
    assert len(Sampler(tmp_path / 'one')(3)) == 3
    with pytest.raises(ValueError, match='leave uint8 out'):
        export(student, tmp_path / 'pixels', Target(backend='onnxruntime', uint8=True))
    record = json.loads((tmp_path / 'one/parity.json').read_text())
    assert record['size'] == 64


def test_runner_samples_a_student_file(student, tmp_path):
    """mmengine's own test loop, by the config that the file makes."""
    cfg = read_test_config(student)
    cfg.work_dir, cfg.load_from = str(tmp_path), student
    Runner.from_cfg(cfg).test()
    assert len(list(tmp_path.rglob('*.png'))) == 8
