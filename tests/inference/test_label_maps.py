"""A student of label maps in use: files, translation, exports, the page."""

import numpy as np
import pytest
import torch
from PIL import Image

from mmgan_compress import Student, Translator, load_student
from mmgan_compress.core.inputs import LabelMap
from mmgan_compress.deploy.export import export_student
from mmgan_compress.deploy.targets import Target
from mmgan_compress.inference.page import TryPage
from mmgan_compress.models.student import read_test_config
from mmgan_compress.quantization import quantize_student
from students import make_model
from test_translator import levels

TAKES = LabelMap(16)


def label_map(width, height, seed=0, mode='P'):
    """Return large areas, as a PNG with a palette."""
    rng = np.random.default_rng(seed)
    areas = Image.fromarray(rng.integers(0, 16, (4, 4), np.uint8))
    image = areas.resize((width, height), Image.Resampling.NEAREST)
    if mode == 'P':
        image = Image.fromarray(np.array(image), 'P')
        image.putpalette(rng.integers(0, 256, 48, np.uint8).tolist())
    return image


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    path = tmp_path_factory.mktemp('student') / 'student.pth'
    model = make_model('labels')
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, torch.nn.Conv2d):  # less chaotic: float32 suffices
                layer.weight.mul_(0.5)
    Student.from_model(model, 64, source='Test').save(path)
    return path


def expected(student, image):
    """Return what the network makes of classes and their borders."""
    classes = np.array(image)
    edges = np.zeros(classes.shape, np.uint8)
    rows, columns = classes[1:] != classes[:-1], classes[:, 1:] != classes[:, :-1]
    edges[1:] |= rows
    edges[:-1] |= rows
    edges[:, 1:] |= columns
    edges[:, :-1] |= columns
    x = torch.from_numpy(np.stack([classes, 255 * edges])[None].astype(np.float32))
    with torch.no_grad():
        y = load_student(student)((x - 127.5) / 127.5)
    pixels = ((y[0] + 1) * 127.5).clamp(0, 255).round().byte().permute(1, 2, 0)
    return Image.fromarray(pixels.numpy())


def test_file(student):
    net = load_student(student)
    assert net.meta['channels'] == dict(horse=2, zebra=3)
    assert (net.meta['size_multiple'], net.meta['takes']) == (32, TAKES.plain())
    assert Student.load(student).generators['zebra'].takes == TAKES
    (first, *_) = read_test_config(student).test_dataloader.dataset.pipeline
    assert first.type == 'mmgan_compress.ReadLabels' and LabelMap(**first.labels) == TAKES


@pytest.mark.parametrize('mode', ['P', 'L'])
def test_label_map_in_picture_out(student, tmp_path, mode):
    image, run = label_map(64, 96, mode=mode), Translator(student)
    image.save(tmp_path / 'map.png')
    (picture,), want = run(tmp_path / 'map.png'), expected(student, image)
    assert (run.kind, run.channels, run.domain) == (TAKES, (2, 3), 'zebra')
    assert picture.mode == 'RGB' and levels(picture, want) <= 1
    (again,) = run(np.array(image))
    assert levels(picture, again) == 0


def test_other_sizes_are_brought_to_the_training_size(student):
    """By nearest neighbours, so that no class appears that was not there."""
    net, run, seen = load_student(student), Translator(student), []
    net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    assert run(label_map(128, 96))[0].size == (128, 96)
    image = label_map(76, 52)
    (picture,) = Translator(net)(image)
    assert picture.size == image.size and seen[0].shape == (1, 2, 64, 64)
    levels_seen = set((127.5 * (seen[0][:, 0] + 1)).round().unique().int().tolist())
    assert levels_seen == set(np.unique(np.array(image)).tolist())


@pytest.mark.parametrize(
    'image, words', [(Image.new('RGB', (64, 64)), 'colours'), (Image.new('L', (64, 64), 16), '16')]
)
def test_refused(student, image, words):
    with pytest.raises(ValueError, match=words):
        Translator(student)(image)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    'backend, dynamic, uint8',
    [
        ('onnxruntime', False, False),
        pytest.param('onnxruntime', True, False, marks=SLOW),
        pytest.param('onnxruntime', False, True, marks=SLOW),
        pytest.param('openvino', True, False, marks=SLOW),
        pytest.param('openvino', False, False, marks=SLOW),
    ],
)
def test_exports_give_the_same_picture(student, tmp_path, backend, dynamic, uint8):
    pytest.importorskip(backend)
    target = Target(backend, dynamic=dynamic, uint8=uint8)
    report = export_student(student, tmp_path, target, images=label_map(64, 64))
    assert report['max_abs'] <= 1e-4 or uint8
    assert {check['input'] for check in report['checks']} >= {'random', 'flat', '00000'}
    run = Translator(tmp_path, threads=1)
    assert (run.kind, run.channels) == (TAKES, (2, 3))
    for image in (label_map(64, 64), *[label_map(96, 64)] * dynamic):
        (got,), (want,) = run(image), Translator(student)(image)
        assert got.size == image.size and levels(got, want) <= 1


def test_browser_page_and_tiles_are_refused(student, tmp_path):
    with pytest.raises(ValueError, match='takes label maps'):
        export_student(student, tmp_path, Target('web'))
    with pytest.raises(ValueError, match='takes label maps'):
        Translator(student, tile=64)


@SLOW
def test_8_bits(student, tmp_path):
    pytest.importorskip('onnxruntime')
    (tmp_path / 'maps').mkdir()
    for seed in range(4):
        label_map(64, 64, seed).save(tmp_path / f'maps/{seed}.png')
    quantize_student(
        student, tmp_path / 'int8', dict(type='ORTStatic'), calibration=tmp_path / 'maps'
    )
    image = label_map(64, 64)
    (got,), (want,) = Translator(tmp_path / 'int8', threads=1)(image), Translator(student)(image)
    error = np.array(got, float) - np.array(want, float)
    assert 10 * np.log10(255**2 / (error**2).mean()) > 15


def test_page(student):
    werkzeug = pytest.importorskip('werkzeug.test')
    page = TryPage(dict(student=Translator(student)), [label_map(64, 64)])
    answer = werkzeug.Client(page).post('/', data=dict(example='0'))
    assert answer.status_code == 200 and 'ms in eager' in answer.text
