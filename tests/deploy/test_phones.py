"""Runtimes for phones, with the real packages.

``make test-slow`` installs them beside the environment of the other tests.
"""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from mmgan_compress import Student, Translator, load_student
from mmgan_compress.benchmark import candidates
from mmgan_compress.cli import main
from mmgan_compress.core.processors import PHONE
from mmgan_compress.datasets import pictures
from mmgan_compress.deploy.export import export_student
from mmgan_compress.deploy.formats import FORMATS, Job, open_model
from mmgan_compress.deploy.onnx import traceable
from mmgan_compress.deploy.quantize_onnx import calibrated_scales
from mmgan_compress.deploy.targets import Target
from mmgan_compress.deploy.verify import difference, real_inputs
from students import expected, make_student

pytestmark = [pytest.mark.slow, pytest.mark.numerical]

SIZE = 64
PACKAGES = dict(litert='litert_torch', executorch='executorch', mnn='MNN', coreml='coremltools')


def of(name):
    """Exports to a runtime are made once, in one process of several."""
    return pytest.mark.xdist_group(name)


def those(suits):
    return [pytest.param(name, marks=of(name)) for name in PACKAGES if suits(FORMATS[name])]


def those_with(precision):
    return those(lambda row: precision in row.precisions)


@pytest.fixture(scope='module')
def students(tmp_path_factory):
    folder = tmp_path_factory.mktemp('students')
    kinds = dict(separable=dict(num_blocks=1), unet={}, resized=dict(num_blocks=1))
    models = {
        kind: make_student(folder / f'{kind}.pth', kind, **settings)
        for kind, settings in kinds.items()
    }
    return folder, models


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('photos')
    draw = np.random.default_rng(0)
    for index in range(3):
        small = Image.fromarray(draw.integers(0, 256, (6, 6, 3), np.uint8))
        small.resize((SIZE, SIZE)).save(folder / f'{index}.png')
    return folder


@pytest.fixture(scope='module')
def exported(students, photos, tmp_path_factory):
    """Return a maker of exports, which gives folder and report; each is made once."""
    made = {}

    def make(backend, precision='fp32', kind='separable', **options):
        pytest.importorskip(PACKAGES[backend])
        key = (backend, precision, kind, *options)
        if key not in made:
            folder = tmp_path_factory.mktemp('-'.join(key))
            report = export_student(
                students[0] / f'{kind}.pth',
                folder,
                Target(backend, precision, processor=PHONE, **options),
                images=photos,
                calibration=photos if precision == 'int8' else None,
            )
            made[key] = folder, report
        return made[key]

    return make


@pytest.mark.parametrize('kind', ['separable', 'unet', 'resized'])
@pytest.mark.parametrize('backend', those_with('fp32'))
def test_equals_torch(backend, kind, students, photos, exported):
    folder, report = exported(backend, kind=kind)
    assert report['max_abs'] <= 1e-4
    assert report['ran_on'] == ('replay' if backend == 'coreml' else 'CPU')
    assert report == json.loads((folder / 'parity.json').read_text())
    model = open_model(folder, threads=1)
    assert model.runtime == backend and model.facts['student_sha256'] == report['student_sha256']
    x = torch.rand(2, 3, SIZE, SIZE) * 2 - 1
    right = expected(students[1][kind], x)
    np.testing.assert_allclose(model.run(x.numpy()), right, rtol=0, atol=1e-4)
    found, right = (
        np.array(Translator(path)(photos / '0.png')[0], int)
        for path in (folder, students[0] / f'{kind}.pth')
    )
    assert np.abs(found - right).max() <= 1


@pytest.mark.parametrize('backend', those_with('fp16'))
def test_half_precision(backend, exported):
    single, half = exported(backend), exported(backend, 'fp16')
    assert half[1]['psnr'] > 50 and half[1]['parent']['max_abs'] <= 1e-4
    assert half[1]['max_abs'] > single[1]['max_abs']
    sizes = [
        sum((folder / name).stat().st_size for name in report['files'])
        for folder, report in (half, single)
    ]
    assert sizes[0] < sizes[1]  # most of a tiny one is not weights


@pytest.mark.parametrize('backend', those(lambda row: row.uint8))
def test_pictures_in_and_out(backend, students, photos, exported):
    folder, report = exported(backend, uint8=True)
    assert report['uint8'] and report['max_abs'] < 1.01 / 127.5
    model = open_model(folder)
    assert model.facts['layout'] == 'NHWC'
    image = Image.open(photos / '0.png')
    y = model.run(np.asarray(image)[None])
    net = load_student(students[0] / 'separable.pth')
    with torch.inference_mode():
        right = np.asarray(pictures.to_picture(net(pictures.to_tensor(image))))
    assert y.dtype == np.uint8 and y.shape == (1, SIZE, SIZE, 3)
    assert np.abs(y[0].astype(int) - right).max() <= 1


def rounded_by_torch(net, backend, folder, inputs, settings):
    """Return what torch gives for an image with the integers of an export."""
    target = Target(backend, 'int8', processor=PHONE, settings=settings)
    job = Job(net, target, SIZE, 4, {}, folder, inputs)
    scales = job.scales(find=True)
    assert all('output' in entry for entry in scales.values())
    rounded, _, _ = traceable(net, *job.form, scales)
    with torch.inference_mode():
        return scales, rounded(torch.from_numpy(inputs[0])).numpy()


@pytest.mark.parametrize('backend', those_with('int8'))
def test_integers(backend, students, photos, exported):
    """The file computes what torch's rounding to the same integers gives."""
    folder, report = exported(backend, 'int8')
    real = [check['psnr'] for check in report['checks'] if check['input'] not in ('random', 'flat')]
    assert min(real) > 25 and report['processor'] == PHONE
    inputs = [x for _, x in real_inputs(SIZE, photos, 3)]
    net = load_student(students[0] / 'separable.pth')
    _, right = rounded_by_torch(net, backend, folder, inputs, {})
    assert difference(right, open_model(folder).run(inputs[0]))[1] > 45


@pytest.mark.parametrize('backend', those_with('int8'))
def test_scales_that_were_trained_are_kept(backend, students, photos, tmp_path):
    """Images are for the scales of outputs alone."""
    pytest.importorskip(PACKAGES[backend])
    inputs = [x for _, x in real_inputs(SIZE, photos, 3)]
    net = load_student(students[0] / 'separable.pth')
    found = calibrated_scales(net, SIZE, False, inputs, dict(processor=PHONE))
    # coarse ones, which no calibration finds
    own = {
        name: dict(weight=[8 * step for step in entry['weight']], input=entry['input'])
        for name, entry in found.items()
    }
    student = Student.load(students[0] / 'separable.pth')
    student.quantization = dict(zebra=dict(made_by='a test', layers=own))
    student.save(tmp_path / 'own.pth')
    target = Target(backend, 'int8', processor=PHONE)
    export_student(
        tmp_path / 'own.pth', tmp_path, target, images=photos, calibration=photos, tolerance=2.0
    )
    settings = dict(quantization_config=dict(scales=own))
    scales, right = rounded_by_torch(net, backend, tmp_path, inputs, settings)
    assert {name: entry['weight'] for name, entry in scales.items()} == {
        name: entry['weight'] for name, entry in own.items()
    }
    _, calibrated = rounded_by_torch(net, backend, tmp_path, inputs, {})
    y = open_model(tmp_path).run(inputs[0])
    assert difference(right, y)[1] > max(45, difference(calibrated, y)[1] + 10)
    if backend == 'litert':
        steps = [weight_steps(tensor) for tensor in read_litert(tmp_path).subgraphs[0].tensors]
        for name in (name for name in own if not net.get_submodule(name).transposed):
            assert any(np.array_equal(own_steps(own[name]), each) for each in steps)


def own_steps(entry):
    return np.float32(entry['weight'])


def weight_steps(tensor):
    return () if tensor.quantization is None else tensor.quantization.scale


def read_litert(folder):
    from ai_edge_quantizer.utils.tfl_flatbuffer_utils import read_model

    return read_model(str(folder / 'end2end.tflite'))


@of('litert')
def test_litert_has_no_transposes(exported):
    """Those around each norm took half of the time. The shuffles of the phased
    convolutions at both ends have three each, the whole image two.
    """
    folder, _ = exported('litert')
    from ai_edge_quantizer.qtyping import BuiltinOperator

    model = read_litert(folder)
    (graph,) = model.subgraphs
    kinds = [model.operatorCodes[op.opcodeIndex].builtinCode for op in graph.operators]
    assert kinds.count(BuiltinOperator.TRANSPOSE) == 8
    between = kinds[kinds.index(BuiltinOperator.MEAN) : kinds.index(BuiltinOperator.TANH)]
    assert BuiltinOperator.TRANSPOSE not in between
    assert not {BuiltinOperator.GATHER, BuiltinOperator.GATHER_ND} & set(kinds)


def test_executorch_leaves_nothing_outside(students):
    pytest.importorskip('executorch')
    from mmgan_compress.deploy.executorch import lowered

    net = load_student(students[0] / 'separable.pth')
    row = FORMATS['executorch']
    ready, (image,), _ = traceable(net, SIZE, rewrites=(*row.rewrites, *row.norms))
    graph = lowered(ready, image).exported_program().graph
    calls = [node.target.__name__ for node in graph.nodes if node.op == 'call_function']
    assert calls == ['executorch_call_delegate', 'getitem']


@of('mnn')
def test_mnn_sends_nothing(students, photos, tmp_path, monkeypatch):
    """Its converter installs what sends reports; and a path may be relative."""
    pytest.importorskip('MNN')
    (tmp_path / 'pip').write_text(f'#!/bin/sh\ntouch {tmp_path}/called\n')
    (tmp_path / 'pip').chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=':')
    monkeypatch.chdir(tmp_path)
    export_student(students[0] / 'separable.pth', 'out', Target('mnn'), images=photos)
    assert (tmp_path / 'out/end2end.mnn').is_file()
    assert not (tmp_path / 'called').exists()


@of('coreml')
def test_coreml_names_what_it_cannot_replay(students, exported, monkeypatch):
    folder, _ = exported('coreml')
    from mmgan_compress.deploy import coreml

    monkeypatch.delitem(coreml.OPERATIONS, 'instance_norm')
    with pytest.raises(ValueError, match="'instance_norm'.* not replayed"):
        open_model(folder)


@of('coreml')
def test_another_runtime_is_not_mixed_in(students, exported):
    folder, _ = exported('coreml')
    with pytest.raises(FileExistsError, match='another runtime'):
        export_student(students[0] / 'separable.pth', folder, Target('torchscript'), images=[])


def test_benchmark(students, tmp_path):
    runtimes = ['executorch', 'mnn', 'coreml']
    for name in runtimes:
        pytest.importorskip(PACKAGES[name])
    out = tmp_path / 'out'
    words = ['--runtimes', *runtimes, '--size', str(SIZE), '--rounds', '2', '--threads', '1']
    assert not main(['benchmark', str(students[0] / 'separable.pth'), '--out', str(out), *words])
    rows = json.loads((out / 'benchmark.json').read_text())['rows']
    assert {row['runtime'] for row in rows if not row['reason']} == {'eager', 'executorch', 'mnn'}
    (replayed,) = (row for row in rows if row['runtime'] == 'coreml')
    assert replayed['max_abs'] <= 1e-4 and 'Apple' in replayed['reason']


def test_export_all(students, tmp_path, monkeypatch, capsys):
    """What installed packages allow, by the command, in one table."""
    for name in ('litert', 'coreml'):
        pytest.importorskip(PACKAGES[name])
    exports = ['coreml', 'litert', 'onnxruntime', 'openvino']
    chosen = [*exports, 'ncnn', 'openvino-int8']
    found = [each for each in candidates.choose(['']) if each.form in chosen]
    monkeypatch.setattr(candidates, 'choose', lambda names, dynamic: found)
    monkeypatch.setitem(sys.modules, 'pnnx', None)
    out, student = tmp_path / 'out', students[0] / 'separable.pth'
    assert not main(['export', str(student), '--out', str(out), '--all'])
    title, *lines = capsys.readouterr().out.splitlines()
    assert title.split() == 'export file, kB max-abs PSNR, dB images, dB ms'.split()
    rows = {name: figures for name, *figures in map(str.split, lines[: len(exports)])}
    assert list(rows) == exports
    for name, (kb, error, psnr, _, *ms) in rows.items():
        report = json.loads((out / name / 'parity.json').read_text())
        model = next(iter(report['files']))
        assert float(error) == pytest.approx(report['max_abs'], rel=0.1) and float(error) <= 1e-4
        assert float(psnr) == pytest.approx(report['psnr'], abs=0.1)
        if name == 'coreml':
            assert ' '.join(ms) == 'not run here'
        else:
            assert float(ms[0]) > 0
        if name == 'onnxruntime':
            size = (out / name / model).stat().st_size
            assert float(kb) == pytest.approx(size / 1000, rel=0.01)
    assert [line.partition(': ')[0] for line in lines[-2:]] == ['no ncnn', 'no openvino-int8']
    assert 'mmgan_compress[ncnn]' in lines[-2] and '--calibration' in lines[-1]
    assert not (out / 'ncnn').exists()
