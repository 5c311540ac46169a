"""A student that takes a style: files, translation, exports, 8 bits."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from mmgan_compress import Translator, cli, export, load_student, read_test_config
from mmgan_compress.core.complexity import count_params
from mmgan_compress.core.inputs import Noise, StyledImage
from mmgan_compress.datasets import pictures
from mmgan_compress.deploy.formats import FORMATS, open_model
from mmgan_compress.deploy.targets import Target
from mmgan_compress.inference.page import TryPage
from mmgan_compress.inference.teacher_images import open_teacher
from mmgan_compress.quantization import quantize_student
from students import make_student
from test_translator import levels, photo

SLOW = pytest.mark.slow


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    path = tmp_path_factory.mktemp('student') / 'student.pth'
    make_student(path, 'styled')
    return path


@pytest.fixture(scope='module')
def onnx(student, tmp_path_factory):
    pytest.importorskip('onnxscript')
    folder = tmp_path_factory.mktemp('onnx')
    export(student, folder)
    return folder


def painted(student, image, style):
    """Return what the network paints in a style."""
    with torch.no_grad():
        y = load_student(student).paint(pictures.to_tensor(image), style[None])
    return pictures.to_picture(y)


def test_file(student):
    net = load_student(student)
    assert net.meta['takes'] == dict(kind='styled', channels=3, style=8)
    assert net.meta['channels'] == dict(horse=3, zebra=3) and net.meta['size_multiple'] == 4
    steps = read_test_config(student).test_dataloader.dataset.pipeline
    assert [step.type for step in steps if 'Noise' in step.type] == ['mmgan_compress.AddNoise']


def test_style_depends_on_the_seed_alone(student):
    run, image = Translator(student), photo(64, 48)
    first, others = run(image)[0], run([photo(64, 48, 1), image], seed=0, batch_size=2)
    assert run.kind == 3 and run.style_size == 8
    assert levels(first, painted(student, image, Noise(8).draw(0, 0))) == 0
    assert levels(first, others[1]) <= 1  # of a batch: another order of sums
    assert levels(first, run(image, seed=1)[0]) > 20


def test_several_styles_in_one_picture(student):
    image = photo(64, 48)
    (sheet,) = Translator(student)(image, seed=4, styles=3)
    assert sheet.size == (2 * 64 + 2, 2 * 48 + 2)
    last = sheet.crop((0, 50, 64, 98))
    assert levels(last, painted(student, image, Noise(8).draw(4, 2))) == 0
    assert np.array(sheet)[50:, 66:].min() == 255


def test_style_of_a_picture(student, tmp_path):
    image, reference = photo(64, 48), photo(64, 64, 7)
    reference.save(tmp_path / 'reference.png')
    (picture,) = Translator(student)(image, style_from=tmp_path / 'reference.png')
    with torch.no_grad():
        (style,) = load_student(student).style_of(pictures.to_tensor(reference))
    assert levels(picture, painted(student, image, style)) == 0


@pytest.mark.parametrize('size', [(61, 47), (5, 9), (17, 200)])
def test_other_sizes(student, size):
    (picture,) = Translator(student)(photo(*size), seed=2)
    assert picture.size == size and np.array(picture).std() > 1


def test_refused(student, tmp_path):
    run, image = Translator(student), photo(64, 64)
    for words, options in {
        'styles is 0, expected 1 to 100': dict(styles=0),
        'seed is -1': dict(seed=-1),
        'names the one style': dict(style_from=image, seed=1),
    }.items():
        with pytest.raises(ValueError, match=words):
            run(image, **options)
    with pytest.raises(ValueError, match='a video, which has one style'):
        run(tmp_path / 'film.mp4', styles=2, out=tmp_path)
    with pytest.raises(ValueError, match='takes a style.*leave tile out'):
        Translator(student, tile=32)
    with pytest.raises(ValueError, match='takes a style beside each image'):
        open_teacher(str(student))
    make_student(tmp_path / 'plain.pth')
    with pytest.raises(ValueError, match='takes no style'):
        Translator(tmp_path / 'plain.pth')(image, seed=1)


def test_command(student, tmp_path, capsys):
    photo(64, 48).save(tmp_path / 'a.png')
    words = ['translate', str(student), str(tmp_path / 'a.png'), '--out', str(tmp_path / 'out')]
    assert cli.main([*words, '--seed', '4', '--styles', '3']) == 0
    with Image.open(tmp_path / 'out/a.png') as picture:
        assert levels(picture, Translator(student)(photo(64, 48), seed=4, styles=3)[0]) == 0
    assert cli.main([*words, '--style-from', 'gone.png', '--overwrite']) == 1
    assert 'gone.png' in capsys.readouterr().err


def test_export_has_two_inputs_and_no_style_encoder(student, onnx):
    session = pytest.importorskip('onnxruntime').InferenceSession(str(onnx / 'end2end.onnx'))
    inputs = {entry.name: entry.shape for entry in session.get_inputs()}
    assert inputs == dict(image=[1, 3, 64, 64], style=[1, 8])
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts['takes']) == StyledImage().plain() and facts['colours'] == 'RGB'
    tensors = pytest.importorskip('onnx').load(str(onnx / 'end2end.onnx')).graph.initializer
    assert not [tensor.name for tensor in tensors if 'enc_style' in tensor.name]
    record = json.loads((onnx / 'parity.json').read_text())
    assert record['max_abs'] < 1e-4 and len(record['checks']) > 2
    assert record['style_encoder']['params'] == count_params(load_student(student).enc_style)


def test_export_gives_the_same_pictures(student, onnx):
    run, image = Translator(onnx, threads=1), photo(64, 64)
    for seed in (0, 3):
        (got,), (want,) = (each(image, seed=seed, styles=2) for each in (run, Translator(student)))
        assert levels(got, want) <= 1
    with pytest.raises(ValueError, match='an export has no style encoder'):
        run(image, style_from=image)


@SLOW
@pytest.mark.parametrize(
    'backend, dynamic, uint8',
    [
        ('onnxruntime', True, False),
        ('onnxruntime', True, True),
        ('onnxruntime', False, True),
        ('openvino', True, False),
        ('openvino', False, True),
        ('torch-export', True, False),
        ('torchscript', False, True),
    ],
)
def test_forms_of_exports(student, tmp_path, backend, dynamic, uint8):
    pytest.importorskip('onnxscript')
    report = export(student, tmp_path, Target(backend, dynamic=dynamic, uint8=uint8))
    assert report['max_abs'] <= 1e-4 or uint8
    run = Translator(tmp_path, threads=1, trust=True)
    for image in (photo(64, 64), *[photo(96, 52)] * dynamic):
        (got,), (want,) = (each(image, seed=1, styles=2) for each in (run, Translator(student)))
        assert got.size == want.size and levels(got, want) <= 1


def test_runtimes_without_a_second_input_are_refused(student, tmp_path):
    for backend in [name for name, row in FORMATS.items() if row.write and not row.styles]:
        if not all(map(_installed, FORMATS[backend].needs)):
            continue
        uint8 = backend == 'web'
        with pytest.raises(ValueError, match=f'{backend} is not written with a style'):
            export(student, tmp_path / backend, Target(backend, uint8=uint8))
        assert not (tmp_path / backend).exists()


def _installed(module):
    try:
        return bool(__import__(module))
    except ImportError:
        return False


@SLOW
@pytest.mark.parametrize(
    'quantizer', [dict(type='ORTStatic'), dict(type='ORTStatic', psnr_floor=20)]
)
def test_8_bits(student, tmp_path, quantizer):
    pytest.importorskip('onnxruntime')
    (tmp_path / 'photos').mkdir()
    for seed in range(4):
        photo(64, 64, seed).save(tmp_path / f'photos/{seed}.png')
    quantize_student(student, tmp_path / 'int8', quantizer, calibration=tmp_path / 'photos')
    image = photo(64, 64)
    (got,), (want,) = (
        each(image, seed=1) for each in map(Translator, (tmp_path / 'int8', student))
    )
    error = np.array(got, float) - np.array(want, float)
    assert 10 * np.log10(255**2 / (error**2).mean()) > 15
    assert open_model(tmp_path / 'int8').facts['precision'] == 'int8'


def test_page_shows_the_style_of_seed_0(student):
    werkzeug = pytest.importorskip('werkzeug.test')
    page = TryPage(dict(student=Translator(student)), [photo(64, 64)])
    answer = werkzeug.Client(page).post('/', data=dict(example='0'))
    assert answer.status_code == 200 and 'ms in eager' in answer.text
