"""Native code of inductor gives what torch and ONNX Runtime give."""

import dataclasses
import json
import re
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from mmgan_compress import load_student
from mmgan_compress.deploy import formats, inductor
from mmgan_compress.deploy.export import export_student
from mmgan_compress.deploy.formats import open_model
from mmgan_compress.deploy.graph import prepare
from mmgan_compress.deploy.inductor import SUFFIX
from mmgan_compress.deploy.onnx import write_onnx
from mmgan_compress.deploy.quantize_onnx import calibrated_scales, quantize
from mmgan_compress.deploy.rewrites import FoldedConv, PhasedConv
from mmgan_compress.deploy.scales import IntegerConv, to_integers
from mmgan_compress.deploy.targets import Target, read_target
from mmgan_compress.deploy.verify import to_levels
from mmgan_compress.inference.translator import Translator
from mmgan_compress.quantization.workflow import quantize_student
from onnx_files import write_int8
from students import REPO, make_student

pytestmark = pytest.mark.numerical

SIZE = 64
SKIP = dict(skip=['first', 'rgb', 'norms'])
CONFIG = str(REPO / 'configs' / 'deploy' / 'image-translation_inductor{}_{}.py')


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    folder = tmp_path_factory.mktemp('student')
    make_student(folder / 'student.pth', 'separable', num_blocks=1)
    (folder / 'photos').mkdir()
    draw = np.random.default_rng(0)
    for index in range(2):
        Image.fromarray(draw.integers(0, 256, (SIZE, SIZE, 3), np.uint8)).save(
            folder / 'photos' / f'{index}.png'
        )
    return folder / 'student.pth'


@pytest.fixture(scope='module')
def net(student):
    return load_student(student)


@pytest.fixture(scope='module')
def images():
    draw = np.random.default_rng(0)
    return [draw.uniform(-1, 1, (1, 3, SIZE, SIZE)).astype(np.float32) for _ in range(3)]


@pytest.fixture(scope='module')
def scales(net, images):
    return calibrated_scales(net, SIZE, False, images, SKIP)


@pytest.fixture(scope='module')
def int8(net, scales, tmp_path_factory):
    """Compile once; return the file."""
    settings = dict(quantization_config=dict(scales=scales))
    job = formats.Job(
        net,
        Target('inductor', 'int8', settings=settings),
        SIZE,
        4,
        dict(input_shape='[1, 3, 64, 64]', made_by='"a" \\ b'),
        tmp_path_factory.mktemp('int8'),
    )
    formats.FORMATS['inductor'].write(job)
    return job.file(SUFFIX)


def psnr(x, y):
    return -10 * np.log10(((x - y) ** 2).mean() / 4)


def onnx_int8(net, scales, folder):
    write_int8(net, folder / 'int8.onnx', [], dict(scales=scales))
    return open_model(folder / 'int8.onnx').run


def integer_convolutions(path):
    with zipfile.ZipFile(path) as file:
        (code,) = (
            file.read(name).decode() for name in file.namelist() if name.endswith('wrapper.cpp')
        )
    return len(re.findall(r'aoti_torch_cpu__qconv\w*\(', code))


# --- compiled once, which takes half a minute -------------------------------
@pytest.mark.slow
def test_computes_in_integers(int8, net, scales, images, tmp_path):
    transposed = [name for name in scales if net.get_submodule(name).transposed]
    assert len(transposed) == 2  # which compute in floats
    assert integer_convolutions(int8) == len(scales) - 2 > 0
    model = open_model(int8, trust=True)
    same = onnx_int8(net, scales, tmp_path)
    assert model.runtime == 'inductor'
    assert model.facts['made_by'] == '"a" \\ b'
    for x in images:
        y = model.run(x)
        assert psnr(y, same(x)) > 45
        with torch.no_grad():
            assert 25 < psnr(y, net(torch.from_numpy(x)).numpy()) < 60
    several = np.concatenate(images)  # a file for one image at a time
    np.testing.assert_array_equal(model.run(several)[1:2], model.run(images[1]))
    rows = np.ascontiguousarray(images[1].transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(model.run(rows.transpose(0, 3, 1, 2)), model.run(images[1]))


@pytest.mark.slow
def test_native_code_is_opened_by_name_only(int8, tmp_path):
    renamed = tmp_path / 'end2end.pt2'
    renamed.write_bytes(int8.read_bytes())
    with pytest.raises(ValueError, match="runtime='inductor'"):
        open_model(renamed, trust=True)
    assert open_model(renamed, 'inductor', trust=True).runtime == 'inductor'
    with pytest.raises(ValueError, match='does not say what it takes'):
        Translator(int8, trust=True)  # its facts are two only


# --- not compiled -----------------------------------------------------------
@pytest.mark.parametrize(
    'system, machine, vectors, fits',
    [
        ('linux', 'x86_64', 'avx2', True),
        ('linux', 'x86_64', 'avx512 avx2 amx', True),
        ('linux', 'x86_64', '', False),
        ('linux', 'x86_64', 'avx512', False),
        ('win32', 'x86_64', 'avx2', False),
        ('linux', 'aarch64', 'avx2', False),
    ],
)
def test_other_processors(system, machine, vectors, fits, tmp_path, monkeypatch):
    file = tmp_path / f'a{SUFFIX}'
    with zipfile.ZipFile(file, 'w') as archive:
        archive.writestr(
            'a/data/aotinductor/wrapper_metadata.json',
            json.dumps(
                dict(
                    AOTI_PLATFORM='linux',
                    AOTI_MACHINE='x86_64',
                    AOTI_CPU_ISA='AVX2',
                    facts='{"a": "b"}',
                )
            ),
        )
    for place, value in [
        ('sys.platform', system),
        ('_vectors', lambda: vectors),
        ('platform.machine', lambda: machine),
    ]:
        monkeypatch.setattr(f'{inductor.__name__}.{place}', value)
    if fits:
        assert inductor.read_facts(file) == dict(a='b')
    else:
        with pytest.raises(ValueError, match='on a machine like this one'):
            inductor.read_facts(file)


@pytest.mark.parametrize('transposed', [False, True])
def test_a_layer_alone_is_that_of_the_onnx(transposed, net, images, tmp_path):
    found = calibrated_scales(net, SIZE, False, images, dict(SKIP, outputs=True))
    name = next(name for name in found if net.get_submodule(name).transposed == transposed)
    scales = {name: found[name]}
    assert scales[name].keys() == {'weight', 'weight_top', 'input', 'output', 'balance'}
    ready = prepare(net, SIZE)
    to_integers(ready, scales)
    with torch.no_grad():
        y = ready(torch.from_numpy(images[0])).numpy()
    assert psnr(y, onnx_int8(net, scales, tmp_path)(images[0])) > 55


def test_calibration_finds_the_scales_of_the_onnx(net, images, tmp_path):
    settings = dict(SKIP, outputs=True)
    found = calibrated_scales(net, SIZE, False, images, settings)
    layers = [
        name
        for name, layer in prepare(net, SIZE).named_modules()
        if isinstance(layer, torch.nn.modules.conv._ConvNd)
    ]
    assert list(found) == layers[1:-1]
    write_onnx(net, tmp_path / 'a.onnx', SIZE, {})
    quantize(tmp_path / 'a.onnx', tmp_path / 'b.onnx', images, settings)
    theirs = open_model(tmp_path / 'b.onnx').run(images[0])
    ours = onnx_int8(net, found, tmp_path)(images[0])
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    levels = [to_levels(x) for x in images]
    pictures = calibrated_scales(net, SIZE, True, levels, SKIP)
    first = layers[1]
    assert pictures[first]['input'] == pytest.approx(found[first]['input'], rel=0.02)


def test_norms_stay_float(net, images):
    with pytest.raises(ValueError, match="add 'norms'"):
        calibrated_scales(net, SIZE, False, images, dict(skip=['rgb']))
    with pytest.raises(ValueError, match="no .'bits'"):
        calibrated_scales(net, SIZE, False, images, dict(bits=4))


@pytest.mark.parametrize('form', [PhasedConv, FoldedConv])
def test_layers_with_few_filters(form):
    conv = torch.nn.Conv2d(2, 3, 3)
    steps = [0.1, 0.01, 0.02]
    x = torch.rand(1, 2, 8, 8)
    entry = dict(weight=steps, input=[1 / 255, 0], balance=[1.0, 0.5])
    with torch.no_grad():
        found = IntegerConv(form(conv), entry)(x)
        plain = IntegerConv(conv, entry)(x)
    torch.testing.assert_close(found, plain)
    with pytest.raises(ValueError, match='2 scales for a weight of 3'):
        IntegerConv(conv, dict(weight=[0.1, 0.2]))


def test_unknown_layer(net):
    with pytest.raises(KeyError, match='nearest'):
        to_integers(prepare(net, SIZE), {'model.nothing': {}})


def test_missing_compiler(student, tmp_path, monkeypatch):
    monkeypatch.setenv('CXX', '/nowhere/c++')
    with pytest.raises(ImportError, match='install g.. or clang'):
        export_student(student, tmp_path / 'out', Target('inductor'))
    assert not [*tmp_path.glob('out/*')]


def test_missing_scales(student, tmp_path):
    with pytest.raises(ValueError, match='--calibration'):
        export_student(student, tmp_path / 'out', read_target(CONFIG.format('-int8', 'dynamic')))
    assert not (tmp_path / 'out').exists()


def test_another_file(tmp_path):
    (tmp_path / f'a{SUFFIX}').write_text('no zip')
    with pytest.raises(ValueError, match='cannot be read by inductor'):
        open_model(tmp_path / f'a{SUFFIX}', trust=True)


# --- whole exports ----------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize(
    'kind, form, uint8, size',
    [
        ('separable', 'static-256x256', True, SIZE),
        ('separable', 'dynamic', False, SIZE),
        ('unet', 'static-256x256', False, SIZE),
        ('unet', 'dynamic', True, 2 * SIZE),
    ],
)
def test_single_precision(kind, form, uint8, size, student, tmp_path):
    file = tmp_path / 'student.pth'
    make_student(file, kind)
    photos, out = student.parent / 'photos', tmp_path / 'out'
    target = dataclasses.replace(read_target(CONFIG.format('', form)), uint8=uint8)
    report = export_student(file, out, target, size=size, images=photos)
    assert report['max_abs'] < (1.01 / 127.5 if uint8 else 1e-4)
    assert report['runtime'].startswith('inductor')
    pixels = np.asarray(Image.open(photos / '0.png').resize((size, size)))
    found, right = (np.asarray(Translator(model, trust=True)(pixels)[0]) for model in (out, file))
    assert np.abs(found.astype(int) - right).max() <= 1
    if form == 'dynamic':
        pixels = np.random.default_rng(0).integers(0, 256, (3, size, 3 * size, 3), np.uint8)
        found, right = (Translator(model, trust=True).run(pixels) for model in (out, file))
        assert np.abs(found.astype(int) - right).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    'quantizer, form', [('INCStatic', 'static-256x256'), ('ORTStatic', 'dynamic')]
)
def test_quantizers(quantizer, form, student, tmp_path):
    if quantizer == 'INCStatic':
        pytest.importorskip('neural_compressor')
    record = quantize_student(
        student,
        tmp_path,
        dict(type=quantizer),
        student.parent / 'photos',
        read_target(CONFIG.format('-int8', form)),
        SIZE,
        student.parent / 'photos',
    )
    assert record['lost']['psnr'] > 25
    assert integer_convolutions(tmp_path / f'end2end{SUFFIX}') >= 4
    report = json.loads((tmp_path / 'parity.json').read_text())
    assert report['parent']['max_abs'] < 1e-4 < report['max_abs']
