"""Every deploy config gives the student, in every runtime."""

import json

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from mmgan_compress import load_student
from mmgan_compress.datasets import pictures
from mmgan_compress.deploy import formats, quantize_onnx
from mmgan_compress.deploy.export import export_student
from mmgan_compress.deploy.formats import open_model
from mmgan_compress.deploy.onnx import write_onnx
from mmgan_compress.deploy.targets import Target, read_target
from mmgan_compress.deploy.verify import Exact, Limits, ParityError, compare, sample_inputs
from students import REPO, expected, make_student, refused_by_tool, run_tool

pytestmark = pytest.mark.numerical

CONFIGS = REPO / 'configs' / 'deploy'
FORMS = ('static-256x256', 'dynamic')
LISTED = [
    'onnxruntime',
    'onnxruntime-fp16',
    'onnxruntime-int8',
    'openvino',
    'openvino-int8',
    'ncnn',
    'tensorrt',
    'tensorrt-fp16',
    'tensorrt-int8',
    'torchscript',
    'torch-export',
    'inductor',
    'inductor-int8',
]
PHONES = [
    'litert',
    'litert-fp16',
    'litert-int8',
    'executorch',
    'executorch-int8',
    'mnn',
    'mnn-fp16',
    'coreml',
    'coreml-fp16',
]


def config_of(name, form):
    return CONFIGS / f'image-translation_{name}_{form}.py'


ALL = [*LISTED, *PHONES, 'web']


def forms_of(name):
    return FORMS[:1] if name in PHONES else FORMS  # phones' runtimes take one size


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    folder = tmp_path_factory.mktemp('student')
    models = {kind: make_student(folder / f'{kind}.pth', kind) for kind in ('separable', 'unet')}
    (folder / 'photos').mkdir()
    draw = np.random.default_rng(0)
    for index in range(3):
        Image.fromarray(draw.integers(0, 256, (64, 64, 3), np.uint8)).save(
            folder / 'photos' / f'{index}.png'
        )
    return folder, models


@pytest.mark.parametrize('name', ALL)
def test_configs(name):
    fixed, *free = (read_target(config_of(name, form)) for form in forms_of(name))
    assert (fixed.size, fixed.dynamic) == (256, False)
    assert [(one.size, one.dynamic) for one in free] == [(None, True)] * (name not in PHONES)
    backend, _, precision = name.partition('-')
    if name == 'torch-export':
        backend, precision = name, ''
    for target in (fixed, *free):
        assert target.backend == backend
        assert target.precision == (precision or 'fp32')
        assert formats.check_target(target) is formats.FORMATS[backend]


@pytest.mark.slow
def test_8_bits_with_free_sides_are_the_same_everywhere(student, tmp_path):
    """OpenVINO lost 20 dB in norms that it had moved scales into."""
    folder, _ = student
    psnr = {}
    for name in ('onnxruntime-int8', 'openvino-int8'):
        report = export_student(
            folder / 'separable.pth',
            tmp_path / name,
            read_target(config_of(name, 'dynamic')),
            size=64,
            images=folder / 'photos',
            calibration=folder / 'photos',
        )
        assert report['instance_norm'] == 'fenced'
        psnr[name] = report['psnr']
    assert psnr['openvino-int8'] == pytest.approx(psnr['onnxruntime-int8'], abs=1)


def test_no_config_is_missing_here():
    names = {p.name for p in CONFIGS.glob('*.py')}
    assert names == {config_of(name, form).name for name in ALL for form in forms_of(name)}


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(codebase_config=dict(task='Segmentation')), 'no deploy config'),
        (dict(onnx_config=dict(input_shape=[256, 128])), 'one side twice'),
        (dict(onnx_config=dict(dynamic_axes=dict(input={2: 'h', 3: 'w'}))), '0, 2 and 3'),
        (dict(backend_config=dict()), 'no deploy config'),
    ],
)
def test_bad_configs(change, message):
    config = dict(
        codebase_config=dict(task='ImageTranslation'), backend_config=dict(type='onnxruntime')
    )
    assert read_target(config) == Target(settings=dict(type='onnxruntime'))
    with pytest.raises(ValueError, match=message):
        read_target({**config, **change})


@pytest.mark.parametrize(
    'target, message',
    [
        (Target('tvm'), 'no backend'),
        (Target('ncnn', 'int8'), 'not written in int8'),
        (Target('ncnn', uint8=True), 'no 8-bit input'),
        (Target('litert', dynamic=True), 'fixed sides'),
    ],
)
def test_impossible_targets(target, message, student, tmp_path):
    with pytest.raises(ValueError, match=message):
        export_student(student[0] / 'unet.pth', tmp_path / 'out', target)
    assert not (tmp_path / 'out').exists()


# the dynamic form of each; the fixed one and other students are slow tests
@pytest.mark.parametrize(
    'name', ['openvino', 'ncnn', 'torchscript', 'torch-export', 'onnxruntime-fp16']
)
def test_runtimes(name, student, tmp_path):
    folder, models = student
    target = read_target(config_of(name, 'dynamic'))
    report = export_student(folder / 'separable.pth', tmp_path, target, images=folder / 'photos')
    model = open_model(tmp_path, trust=True)
    assert report['runtime'].startswith(model.runtime)
    assert report == json.loads((tmp_path / 'parity.json').read_text())
    assert json.loads(model.facts['domains']) == ['horse', 'zebra']
    assert model.facts['student_sha256'] == report['student_sha256']
    assert model.facts['precision'] == target.precision
    assert json.loads(model.facts['input_shape']) == [None, 3, None, None]
    x = torch.rand(3, 3, 64, 76) * 2 - 1
    y = expected(models['separable'], x)
    atol = 1e-4 if target.precision == 'fp32' else 0.05
    np.testing.assert_allclose(model.run(x.numpy()), y.numpy(), atol=atol)


@pytest.mark.slow
@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('kind', ['separable', 'unet'])
# inductor takes a minute for each: test_inductor.py has some of them
@pytest.mark.parametrize('name', [name for name in LISTED if not name.startswith('inductor')])
def test_all_configs(name, kind, form, student, tmp_path):
    folder, _ = student
    size = 256 if form.startswith('static') else 64
    if (name, kind, form) == ('torch-export', 'unet', 'dynamic'):
        size = 128  # 64 is refused, see below
    report = export_student(
        folder / f'{kind}.pth',
        tmp_path,
        read_target(config_of(name, form)),
        size=size,
        images=folder / 'photos',
        calibration=folder / 'photos',
    )
    # noise through random weights: single precision and halves are limited
    least = 15 if name.endswith('int8') else 50
    assert report['psnr'] is None or report['psnr'] > least
    assert report['size'] == size
    x = np.zeros((2, 3, size, size), np.float32)
    assert open_model(tmp_path, trust=True).run(x).shape == x.shape


def test_free_sides_that_become_one_pixel_are_refused(student, tmp_path):
    folder, _ = student
    with pytest.raises(ValueError, match='needs 2 times the size multiple'):
        export_student(
            folder / 'unet.pth', tmp_path, read_target(config_of('torch-export', 'dynamic'))
        )


def test_zero_padding_is_caught(student, tmp_path):
    """The trap of ncnn and CoreML: reflection that becomes zeros."""
    folder, _ = student
    net = load_student(folder / 'separable.pth')
    export_student(folder / 'separable.pth', tmp_path, Target('ncnn'), images=[])
    model = tmp_path / 'end2end.param'
    import ncnn

    net_ = ncnn.Net()
    assert net_.load_param(str(model)) == 0  # the deploy config's names
    assert (net_.input_names(), net_.output_names()) == (['input'], ['output'])
    layers = [line for line in model.read_text().splitlines() if line.startswith('Padding')]
    assert layers and all(line.endswith('4=2') for line in layers)
    samples = sample_inputs(64, 4, False, [])
    compare(Exact(net), open_model(model).run, samples, Limits(1e-4), 'ncnn')
    model.write_text(model.read_text().replace(' 4=2', ' 4=0'))
    with pytest.raises(ParityError, match='ncnn differs'):
        compare(Exact(net), open_model(model).run, samples, Limits(1e-4), 'ncnn')


def test_openvino_keeps_single_precision(student, tmp_path, monkeypatch):
    import openvino

    save = openvino.save_model
    monkeypatch.setattr(
        openvino, 'save_model', lambda model, path, compress_to_fp16: save(model, path)
    )  # its default halves
    with pytest.raises(ParityError, match='openvino'):
        export_student(student[0] / 'unet.pth', tmp_path / 'out', Target('openvino'), images=[])


@pytest.mark.parametrize('name', ['onnxruntime', 'torch-export'])
def test_pictures_in_and_out(name, student, tmp_path):
    folder, _ = student
    report = export_student(folder / 'unet.pth', tmp_path, Target(name, uint8=True), images=[])
    assert report['uint8'] and report['max_abs'] < 1.01 / 127.5
    model = open_model(tmp_path, trust=True)
    assert model.facts['layout'] == 'NHWC'
    assert json.loads(model.facts['input_shape']) == [1, 64, 64, 3]
    image = Image.open(folder / 'photos' / '0.png')
    y = model.run(np.asarray(image)[None])
    net = load_student(folder / 'unet.pth')
    with torch.inference_mode():
        right = np.asarray(pictures.to_picture(net(pictures.to_tensor(image))))
    assert y.dtype == np.uint8
    assert np.mean(y[0] != right) < 0.001
    assert np.abs(y[0].astype(int) - right).max() <= 1


def test_int8(student, tmp_path):
    folder, _ = student
    target = read_target(config_of('onnxruntime-int8', 'static-256x256'))
    with pytest.raises(ValueError, match='--calibration'):
        export_student(folder / 'unet.pth', tmp_path / 'none', target)
    report = export_student(
        folder / 'unet.pth',
        tmp_path,
        target,
        size=64,
        images=folder / 'photos',
        calibration=folder / 'photos',
    )
    assert report['tolerance'] is None
    assert report['parent']['max_abs'] < 1e-4 < report['max_abs']
    assert report['psnr'] > 20
    model = onnx.load(tmp_path / 'end2end.onnx')
    convs = [n for n in model.graph.node if n.op_type in quantize_onnx.LAYERS]
    made = {o: n.op_type for n in model.graph.node for o in n.output}
    quantized = ['DequantizeLinear' == made.get(n.input[1]) for n in convs]
    assert quantized == [False] + [True] * (len(convs) - 2) + [False]
    assert open_model(tmp_path).facts['precision'] == 'int8'


def test_bad_quantization(student, tmp_path):
    folder, _ = student
    net = load_student(folder / 'unet.pth')
    write_onnx(net, tmp_path / 'a.onnx', 64, {})
    x = [np.zeros((1, 3, 64, 64), np.float32)]
    for settings, message in (
        (dict(bits=4), "no .'bits'"),
        (dict(skip=['nothing']), "'nothing'"),
        (dict(skip=['*']), 'nothing to quantize'),
    ):
        with pytest.raises(ValueError, match=message):
            quantize_onnx.quantize(tmp_path / 'a.onnx', tmp_path / 'b.onnx', x, settings)
    assert not (tmp_path / 'b.onnx').exists()


def test_tensorrt_up_to_the_onnx(student, tmp_path):
    folder, _ = student
    done = run_tool(
        'export',
        folder / 'separable.pth',
        '--out',
        tmp_path,
        '--deploy-cfg',
        config_of('tensorrt', 'dynamic'),
        '--size',
        64,
        '--images',
        folder / 'photos',
    )
    assert done.returncode == 0, done.stderr
    assert 'trtexec --onnx=' in done.stdout
    assert '--maxShapes=input:4x3x512x512' in done.stdout
    assert not (tmp_path / 'end2end.engine').exists()
    assert (tmp_path / 'end2end.onnx').is_file()


def test_a_config_is_found_by_its_name():
    assert read_target('image-translation_openvino_dynamic.py') == read_target(
        config_of('openvino', 'dynamic')
    )
    with pytest.raises(FileNotFoundError, match='openvino_dynamic.py'):
        read_target('image-translation_openvina_dynamic.py')


def test_no_such_model(tmp_path):
    (tmp_path / 'model.txt').write_text('')
    with pytest.raises(ValueError, match='model.txt is no model that runs'):
        open_model(tmp_path / 'model.txt')
    with pytest.raises(FileNotFoundError, match='end2end'):
        open_model(tmp_path)
    with pytest.raises(FileNotFoundError, match='mmgan-compress export'):
        open_model(tmp_path / 'gone.onnx')


def test_eager_student(student):
    folder, models = student
    model = open_model(folder / 'unet.pth', threads=1)
    assert model.runtime == 'eager'
    assert json.loads(model.facts['domains']) == ['horse', 'zebra']
    x = torch.rand(2, 3, 64, 64)
    assert np.allclose(model.run(x.numpy()), expected(models['unet'], x))


def test_sizes_are_said(student, tmp_path, monkeypatch):
    """The training size wins; another one is said, both of them."""
    args = [
        'export',
        student[0] / 'unet.pth',
        '--images',
        student[0] / 'photos',
        '--deploy-cfg',
        config_of('torchscript', 'static-256x256'),
    ]
    done = run_tool(*args, '--out', tmp_path / 'a')
    assert done.stdout.splitlines()[-2:] == [
        'exported for 64x64, the size of the training images; the deploy '
        'config asks for 256x256: --size 256',
        f'{tmp_path}/a/end2end.pt equals torch within 0.0001 in torchscript '
        f'{torch.__version__} CPU, 64x64',
    ]
    done = run_tool(*args, '--out', tmp_path / 'b', '--size', 128)
    assert done.stdout.splitlines()[-2] == (
        'exported for 128x128 images; the training images were 64x64'
    )


def test_tool_refuses(student, tmp_path, monkeypatch):
    args = [
        'export',
        student[0] / 'unet.pth',
        '--out',
        tmp_path / 'out',
        '--deploy-cfg',
        config_of('openvino', 'static-256x256'),
    ]
    message = refused_by_tool(*args, '--dynamic', monkeypatch=monkeypatch)
    assert 'has a fixed size' in message
