"""A student whose pictures are four times as large as its inputs, in use."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from mmgan_compress import Student, Translator, load_student
from mmgan_compress.deploy.export import export_student
from mmgan_compress.deploy.targets import Target
from mmgan_compress.inference import video
from mmgan_compress.inference.page import TryPage
from mmgan_compress.models.image_teachers import OnnxTeacher
from mmgan_compress.quantization import quantize_student
from students import make_model
from test_translator import levels, photo


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    path = tmp_path_factory.mktemp('student') / 'student.pth'
    model = make_model('super')
    Student.from_model(model, 16, source='Test').save(path)
    return path


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp('images')
    for seed in range(4):
        photo(16, 16, seed).save(folder / f'{seed}.png')
    return folder


def test_file(student):
    net = load_student(student)
    assert (net.meta['scale'], net.meta['size_multiple'], net.meta['image_size']) == (4, 1, 16)
    again = Student.load(student)
    assert again.image_size == 16


@pytest.mark.parametrize('size', [(16, 16), (37, 22), (9, 12)])
def test_any_size(student, size):
    run = Translator(student)
    (picture,) = run(photo(*size))
    assert run.scale == 4
    assert picture.size == (4 * size[0], 4 * size[1])
    if min(size) >= 16:  # nothing is resized or mirrored
        x = torch.from_numpy(np.array(photo(*size)).transpose(2, 0, 1).copy())[None]
        with torch.no_grad():
            want = load_student(student)((x.float() - 127.5) / 127.5)
        want = ((want[0] + 1) * 127.5).clamp(0, 255).round().byte().permute(1, 2, 0)
        assert levels(picture, Image.fromarray(want.numpy())) <= 1


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
@pytest.mark.parametrize('dynamic', [False, True])
def test_exports_give_the_same_picture(student, tmp_path, backend, dynamic):
    pytest.importorskip(backend)
    report = export_student(student, tmp_path, Target(backend, dynamic=dynamic))
    assert report['max_abs'] <= 1e-4
    run = Translator(tmp_path, threads=1)
    assert run.scale == 4
    for image in (photo(16, 16), photo(37, 22)):
        (got,), (want,) = run(image), Translator(student)(image)
        assert got.size == (4 * image.width, 4 * image.height)
        if dynamic or image.width == 16:
            assert levels(got, want) <= 1


def test_8_bits(student, images, tmp_path):
    pytest.importorskip('onnxruntime')
    quantize_student(student, tmp_path / 'int8', dict(type='ORTStatic'), calibration=images)
    record = json.loads((tmp_path / 'int8/parity.json').read_text())
    assert record['precision'] == 'int8'
    (got,) = Translator(tmp_path / 'int8', threads=1)(photo(16, 16))
    (want,) = Translator(student)(photo(16, 16))
    error = np.array(got, float) - np.array(want, float)
    assert got.size == (64, 64) and 10 * np.log10(255**2 / (error**2).mean()) > 15


def test_page(student):
    werkzeug = pytest.importorskip('werkzeug.test')
    page = TryPage(dict(student=Translator(student)), [photo(16, 16)])
    answer = werkzeug.Client(page).post('/', data=dict(example='0'))
    assert answer.status_code == 200 and 'student' in answer.text
    pixels = page.models['student'].run(np.zeros((1, 20, 30, 3), np.uint8))
    assert pixels.shape == (1, 80, 120, 3)


def test_video(student, tmp_path):
    source = tmp_path / 'video.mp4'
    with video.writing(source, video.About(5.0, 32, 20, None)) as write:
        for seed in range(3):
            write(np.array(photo(32, 20, seed)))
    (made,) = Translator(student)(source, tmp_path / 'out')
    about = video.probe(made)
    assert (about.width, about.height, about.frames) == (128, 80, 3)


def test_as_a_teacher(student, tmp_path):
    """An ONNX file of another super-resolution network may teach."""
    pytest.importorskip('onnxruntime')
    export_student(student, tmp_path, Target(dynamic=True))
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        want = load_student(student)(x)
    assert torch.allclose(OnnxTeacher(str(tmp_path / 'end2end.onnx'))(x), want, atol=1e-4)
