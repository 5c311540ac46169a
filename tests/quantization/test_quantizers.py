"""Quantizers: what they leave in float, what they lose, what they refuse."""

import copy
import re

import onnx
import onnxruntime
import pytest
import torch

from mmgan_compress import load_student
from mmgan_compress.core.complexity import count_macs
from mmgan_compress.deploy.graph import prepare
from mmgan_compress.deploy.onnx import write_onnx
from mmgan_compress.deploy.quantize_onnx import quantize
from mmgan_compress.deploy.scales import layer_names, to_exported
from mmgan_compress.deploy.verify import difference
from mmgan_compress.models.fake_quant import fake_quantize
from mmgan_compress.models.quantization import grid_scales, layers_to_quantize
from mmgan_compress.quantization.quantizers import rank
from mmgan_compress.quantization.workflow import build_quantizer, quantize_student
from onnx_files import write_int8
from students import make_student, refused_by_tool

pytestmark = pytest.mark.numerical

SIZE = 64
COARSE = dict(per_channel=False)


def run(model, images):
    path = model if isinstance(model, str) else model.SerializeToString()
    session = onnxruntime.InferenceSession(path)
    return [session.run(None, {'input': x})[0] for x in images]


def psnr(net, model, images):
    """Return the worst PSNR of a model against its network."""
    with torch.no_grad():
        return min(
            difference(net(torch.from_numpy(x)).numpy(), y)[1]
            for x, y in zip(images, run(model, images))
        )


def quantized(path):
    """Return the layers whose weights are integers."""
    model = onnx.load(path)
    kinds = {t.name: t.data_type for t in model.graph.initializer}
    made = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == 'DequantizeLinear'}
    names = layer_names(model)  # ONNX Runtime appends to those of weights
    return {
        names[n.name].removesuffix('.weight_quantized')
        for n in model.graph.node
        if n.op_type in ('Conv', 'ConvTranspose')
        and kinds.get(made.get(n.input[1])) == onnx.TensorProto.INT8
    }


@pytest.mark.parametrize('kind', ['ORTStatic', 'NNIPTQ'])
def test_int8_is_near(kind, student, images, tmp_path):
    _, net, fp32 = student
    if kind == 'NNIPTQ':
        pytest.importorskip('nni')
    plan = build_quantizer(dict(type=kind)).plan(net, images)
    out = tmp_path / 'int8.onnx'
    write_int8(net, out, images, plan.settings, {'domains': '[]'})
    onnx.checker.check_model(out)
    assert 30 < psnr(net, str(out), images) < 80
    names = layer_names(onnx.load(fp32))
    layers = list(names.values())
    # transposed ones, too; first and last not
    assert quantized(out) == set(layers[1:-1])
    facts = {p.key: p.value for p in onnx.load(out).metadata_props}
    assert facts == {'domains': '[]'}


@pytest.mark.slow
def test_neural_compressor(student, images, tmp_path):
    """Its scales in our file give what its own graph gives."""
    pytest.importorskip('neural_compressor')
    _, net, fp32 = student
    quantizer = build_quantizer(dict(type='INCStatic'))
    plan, ready = quantizer.plan(net, images), prepare(net, SIZE)
    graph = quantizer._converted(
        ready, layers_to_quantize(ready), [torch.from_numpy(x) for x in images]
    )
    ours, theirs = tmp_path / 'ours.onnx', tmp_path / 'theirs.onnx'
    # all 8 bits, as theirs
    write_int8(net, ours, images, dict(plan.settings, processor='vnni'))
    torch.onnx.export(
        graph,
        (torch.from_numpy(images[0]),),
        theirs,
        dynamo=True,
        verbose=False,
        input_names=['input'],
    )
    assert 'QuantizeLinear' in {n.op_type for n in onnx.load(theirs).graph.node}
    assert psnr(net, str(ours), images) > 30
    own = [difference(a, b)[1] for a, b in zip(run(str(ours), images), run(str(theirs), images))]
    assert min(own) > psnr(net, str(ours), images) + 3
    # transposed convolutions are not theirs, first and last stay float
    assert set(plan.summary['float']) == {'model.12', 'model.15'}
    assert len(quantized(ours)) == len(plan.summary['int8']) == 10


def test_skip(student, images, tmp_path):
    _, net, fp32 = student
    out = tmp_path / 'int8.onnx'
    skip = ['first', 'norms', 'model.1[01].*', 'model.12']
    names = layer_names(onnx.load(fp32))
    made = quantize(fp32, out, images, dict(skip=skip))
    expected = {'model.4', 'model.7', 'model.15', 'model.19'}
    assert quantized(out) == expected
    assert {names[node] for node in made} == expected
    assert set(layers_to_quantize(net, skip)) == expected


@pytest.mark.parametrize('outputs', [False, True])
def test_outputs(outputs, student, images, tmp_path):
    _, _, fp32 = student
    out = tmp_path / 'int8.onnx'
    quantize(fp32, out, images, dict(outputs=outputs))
    kinds = [n.op_type for n in onnx.load(out).graph.node]
    assert kinds.count('QuantizeLinear') == (24 if outputs else 12)


# --- sensitivity ------------------------------------------------------------
@pytest.fixture(scope='module')
def fragile(student):
    """A network with a filter 300 times as large as the others of its layer.

    The norm behind it undoes that, but not what a common scale then does to
    the others.
    """
    net = copy.deepcopy(student[1])
    with torch.no_grad():
        net.model[7].weight[0] *= 300
        net.model[7].bias[0] *= 300
    return net


@pytest.fixture(scope='module')
def ranked(fragile, images, tmp_path_factory):
    path = tmp_path_factory.mktemp('fragile') / 'fp32.onnx'
    write_onnx(fragile, path, SIZE, {})
    macs = {row.name: row.macs for row in count_macs(fragile, (1, 3, SIZE, SIZE)).layers}
    return path, macs, rank(onnx.load(path), images, macs, COARSE)


def test_the_sensitive_layer_is_found(ranked):
    _, macs, rows = ranked
    worst = min(rows, key=lambda row: row.psnr)
    assert worst.layer == 'model.7'
    assert all(row.int8 for row in rows) and len(rows) == 12
    # 3x3, 4 -> 8 channels to 32x32; a transposed one at its input's 16x16
    assert {row.layer: row.macs for row in rows}.items() <= macs.items()
    assert macs['model.4'] == 9 * 4 * 8 * 32 * 32
    assert macs['model.12'] == 9 * 16 * 8 * 16 * 16


def test_floor(ranked, fragile, images, tmp_path):
    path, macs, rows = ranked
    floor = rows[0].set_psnr + 3
    mixed = rank(onnx.load(path), images, macs, COARSE, floor)
    left = [row.layer for row in mixed if not row.int8]
    assert 'model.7' in left and len(left) < len(rows)
    out = tmp_path / 'int8.onnx'
    plan = build_quantizer(dict(COARSE, type='ORTStatic', psnr_floor=floor)).plan(fragile, images)
    quantize(path, out, images, plan.settings)
    measured = psnr(fragile, str(out), images)
    assert measured >= floor - 0.01
    assert mixed[0].set_psnr == pytest.approx(measured, abs=0.05)
    assert plan.settings['skip'][3:] == left
    assert 0 < plan.summary['int8_share_of_macs'] < 1


def test_a_floor_out_of_reach(ranked, images):
    with pytest.raises(ValueError, match='no layer can be quantized at 200'):
        rank(onnx.load(ranked[0]), images, ranked[1], floor=200.0)


# --- scales that a student brings along -------------------------------------
def test_gan_slimming_exports_the_grid_it_learnt(student, images, tmp_path):
    """A student of GS-8 rounds alike in the file; clamped at 4, too."""
    _, net, _ = student
    rounds = fake_quantize(copy.deepcopy(net))
    scales = grid_scales(rounds)
    assert 'input' not in scales['model.1']  # the image stays as it is
    assert scales['model.4']['input'] == [4 / 255, 0]
    out = tmp_path / 'int8.onnx'
    write_int8(net, out, [], dict(scales=scales, processor='vnni'))
    assert psnr(rounds, str(out), images) > psnr(net, str(out), images) + 20
    with pytest.raises(ValueError, match='does not round'):
        grid_scales(net)
    narrow = fake_quantize(copy.deepcopy(net), weight_bits=7)
    write_int8(net, out, [], dict(scales=grid_scales(narrow)))
    assert psnr(narrow, str(out), images) > psnr(net, str(out), images) + 20
    with pytest.raises(ValueError, match='only 8 bits'):
        grid_scales(fake_quantize(copy.deepcopy(net), weight_bits=4))


def test_batch_norms_are_folded_into_scales(images, tmp_path):
    """Integers of the weights are those before the fold."""
    make_student(tmp_path / 'student.pth', 'unet')
    net = load_student(tmp_path / 'student.pth')
    layers = layers_to_quantize(net)
    scales = {}
    for name in layers:
        layer = net.get_submodule(name)
        tops = layer.weight.detach().transpose(0, int(layer.transposed)).flatten(1).abs().amax(1)
        scales[name] = dict(weight=(tops / 100).tolist(), input=[0.02, 100])
    ready = prepare(net, SIZE)
    folded = to_exported(scales, net, ready)
    assert any(folded[n]['weight'] != scales[n]['weight'] for n in layers)
    write_onnx(net, tmp_path / 'int8.onnx', SIZE, {}, scales=folded)
    model = onnx.load(tmp_path / 'int8.onnx')
    whole = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    for name in layer_names(model).values():
        if name in scales:
            integers = abs(whole[f'{name}.weight'].astype(int))
            layer = net.get_submodule(name)
            shape = [1] * 4
            shape[int(layer.transposed)] = -1
            step = torch.tensor(scales[name]['weight']).view(shape)
            before = (layer.weight.detach() / step).round().abs().numpy()
            assert (integers != before).mean() < 0.01  # ties


# --- what is refused --------------------------------------------------------
@pytest.mark.parametrize(
    'quantizer, message',
    [
        (dict(type='ORTStatik'), "no quantizer 'ORTStatik'.*ORTStatic"),
        (dict(type='GCCWidths'), "no quantizer 'GCCWidths'"),
        (dict(type='ORTStatic'), 'needs images to calibrate on'),
        (dict(type='StudentScales'), 'not trained with quantization'),
        (dict(type='ORTStatic', method='Foo'), "method is 'Foo'.*MinMax"),
        (dict(type='ORTStatic', skip=['rgb'], psnr_floor=9.0), "add 'norms'"),
        (dict(type='NNIPTQ', skip=['first']), "add 'norms'"),
    ],
)
def test_refused(quantizer, message, student, tmp_path):
    with pytest.raises(ValueError, match=message):
        quantize_student(student[0], tmp_path / 'out', quantizer)
    assert not (tmp_path / 'out').exists()


def test_unknown_names(student, images, tmp_path):
    _, net, fp32 = student
    with pytest.raises(ValueError, match="'model.77'.*nearest: 'model.7'"):
        quantize(fp32, tmp_path / 'x.onnx', images, dict(skip=['model.77']))
    with pytest.raises(ValueError, match="'model.77'.*nearest"):
        layers_to_quantize(net, ['model.77'])
    with pytest.raises(ValueError, match="no layer 'model.2' to quantize; nearest"):
        layers_to_quantize(net, ['model.2'])
    with pytest.raises(KeyError, match="'model.77'.*nearest"):
        write_onnx(net, tmp_path / 'x.onnx', SIZE, {}, scales={'model.77': dict(weight=[1.0])})
    with pytest.raises(ValueError, match='3 scales.*16 filters'):
        write_onnx(net, tmp_path / 'x.onnx', SIZE, {}, scales={'model.7': dict(weight=[1.0] * 3)})
    with pytest.raises(ValueError, match=r"no \['bits'\]"):
        quantize(fp32, tmp_path / 'x.onnx', images, dict(bits=4))
    assert not (tmp_path / 'x.onnx').exists()


@pytest.mark.parametrize(
    'args, message',
    [
        ([], 'needs images to calibrate on'),
        (['--quantizer', 'Nothing'], "no quantizer 'Nothing'"),
        (
            ['--test', 'configs/omgd_cyclegan.py', '--demo'],
            r"domains \['flat', 'emoji'\] and the student",
        ),
    ],
)
def test_tool_refuses(args, message, student, tmp_path, monkeypatch):
    text = refused_by_tool(
        'quantize', student[0], '--out', tmp_path / 'o', *args, monkeypatch=monkeypatch
    )
    assert re.search(message, text)
    assert not (tmp_path / 'o').exists()
