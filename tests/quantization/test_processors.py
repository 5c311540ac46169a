"""8-bit weights are made, recorded and opened for a processor."""

import platform

import numpy as np
import onnx
import pytest
import torch
import torch.nn as nn

from mmgan_compress.core import processors
from mmgan_compress.core.processors import ANY, GPU, TOPS, VNNI, has_vnni
from mmgan_compress.deploy.export import export_student
from mmgan_compress.deploy.formats import open_model
from mmgan_compress.deploy.targets import Target, read_target
from mmgan_compress.quantization.workflow import build_quantizer, quantize_student
from onnx_files import write_int8
from students import refused_by_tool
from test_quantizers import SIZE, psnr

pytestmark = pytest.mark.numerical


@pytest.fixture(params=[False, True])
def vnni(request, monkeypatch):
    monkeypatch.setattr(processors, 'has_vnni', lambda: request.param)
    return request.param


def largest(path):
    """Return the largest integer of each quantized weight."""
    values = {t.name: t for t in onnx.load(path).graph.initializer}
    return [
        int(np.abs(onnx.numpy_helper.to_array(values[n.input[0]]).astype(int)).max())
        for n in onnx.load(path).graph.node
        if n.op_type == 'DequantizeLinear'
        and n.input[0] in values
        and values[n.input[0]].data_type == onnx.TensorProto.INT8
    ]


def test_two_products_fit_in_16_bits():
    assert 2 * 255 * TOPS[ANY] < 2**15 <= 2 * 255 * (TOPS[ANY] + 1)


@pytest.mark.parametrize('kind', ['ORTStatic', pytest.param('NNIPTQ', marks=pytest.mark.slow)])
def test_weights_of_every_quantizer(kind, student, images, tmp_path):
    _, net, _ = student
    out, lost = tmp_path / 'int8.onnx', {}
    for processor in TOPS:
        plan = build_quantizer(dict(type=kind)).plan(net, images, processor)
        write_int8(net, out, images, dict(plan.settings, processor=processor))
        assert set(largest(out)) == {TOPS[processor]}
        lost[processor] = psnr(net, str(out), images)
    assert lost[GPU] - 6 < lost[ANY] < lost[VNNI] == lost[GPU]


def test_scales_keep_their_range():
    own = {'a': dict(weight=[1.0, 2.0], input=[3.0, 4]), 'b': dict(weight=[1.0], weight_top=63)}
    assert processors.for_processor(own, VNNI) == own
    found = processors.for_processor(own, ANY)
    assert found['b'] == own['b']  # what learnt in 7 bits stays
    assert found['a'] == dict(weight=[127 / 64, 127 / 32], weight_top=64, input=[3.0, 4])


@pytest.mark.parametrize(
    'name, file', [('tensorrt', 'gpu'), ('openvino', 'any'), ('inductor', 'any')]
)
def test_deploy_configs(name, file):
    assert read_target(f'image-translation_{name}-int8_dynamic.py').processor == file


@pytest.mark.parametrize(
    'machine, known, right',
    [
        ('x86_64', dict(avx2=True, avx512_vnni=False), False),
        ('x86_64', dict(avx512_vnni=True), True),
        ('AMD64', dict(avx_vnni=True), True),
        ('aarch64', {}, True),
    ],
)
def test_what_the_processor_has(machine, known, right, monkeypatch):
    monkeypatch.setattr(platform, 'machine', lambda: machine)
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: known)
    assert has_vnni() == right


def test_the_record_and_the_file_say_it(student, images, tmp_path):
    record = quantize_student(
        student[0],
        tmp_path,
        dict(type='ORTStatic'),
        [((x[0].transpose(1, 2, 0) + 1) * 127.5).astype(np.uint8) for x in images],
    )
    assert record['export']['processor'] == ANY
    assert open_model(tmp_path).facts['processor'] == ANY
    assert set(largest(tmp_path / 'end2end.onnx')) == {64}
    single = export_student(student[0], tmp_path / 'fp32', size=SIZE)
    assert single['processor'] is None
    assert 'processor' not in open_model(tmp_path / 'fp32').facts


@pytest.mark.parametrize(
    'facts',
    [
        dict(precision='int8', processor='any'),
        dict(precision='fp32'),
        dict(precision='int8', processor='gpu'),
        {},
    ],
)
def test_files_for_any_processor(facts, student, vnni, tmp_path):
    with_facts(student, facts, tmp_path / 'a.onnx')
    open_model(tmp_path / 'a.onnx')


@pytest.mark.parametrize(
    'facts', [dict(precision='int8', processor='vnni'), dict(precision='int8')]
)  # of an earlier version
def test_files_for_vnni(facts, student, vnni, tmp_path):
    with_facts(student, facts, tmp_path / 'a.onnx')
    if vnni:
        open_model(tmp_path / 'a.onnx')
    else:
        with pytest.raises(
            ValueError, match='a.onnx has 8-bit weights for processors with VNNI.*--processor any'
        ):
            open_model(tmp_path / 'a.onnx')


def with_facts(student, facts, path):
    model = onnx.load(student[2])
    onnx.helper.set_model_props(model, facts)
    onnx.save(model, path)


def test_refused_before_the_work(student, tmp_path, monkeypatch):
    monkeypatch.setattr(processors, 'has_vnni', lambda: False)
    with pytest.raises(ValueError, match='int8 for openvino has 8-bit'):
        export_student(student[0], tmp_path / 'out', Target('openvino', 'int8', processor='vnni'))
    with pytest.raises(ValueError, match="'avx9': expected one of"):
        quantize_student(
            student[0],
            tmp_path / 'out',
            dict(type='ORTStatic'),
            target=Target(precision='int8', processor='avx9'),
        )
    text = refused_by_tool(
        'quantize',
        student[0],
        '--out',
        tmp_path / 'out',
        '--processor',
        'vnni',
        monkeypatch=monkeypatch,
    )
    assert 'with VNNI' in text
    text = refused_by_tool(
        'export',
        student[0],
        '--out',
        tmp_path / 'out',
        '--processor',
        'vnni',
        monkeypatch=monkeypatch,
    )
    assert '--processor is about int8' in text
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('runtime', ['onnxruntime', 'openvino'])
def test_the_largest_sums_do_not_saturate(runtime, tmp_path):
    """On a processor without VNNI 8 bits do, see make test-portable."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 32, 1), nn.Conv2d(32, 32, 3), nn.Conv2d(32, 3, 1)]
    for layer in layers:
        nn.init.uniform_(layer.weight, 0.9, 1)
        nn.init.zeros_(layer.bias)
    net = nn.Sequential(*layers).eval()
    x = torch.rand(1, 3, SIZE, SIZE) * 0.1 + 0.9
    with torch.no_grad():
        y, top = net(x).numpy(), net[0](x).max().item()
    scales = {'1': dict(weight=[1 / 127], input=[top / 255, 0])}
    write_int8(net, tmp_path / 'b.onnx', [], dict(scales=scales))
    found = open_model(tmp_path / 'b.onnx', runtime).run(x.numpy())
    np.testing.assert_allclose(found, y, rtol=0.01)
