"""Quantization-aware training inside Runner, and what is exported of it."""

import os
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch

from mmgan_compress import load_student
from mmgan_compress.deploy.export import export_student
from mmgan_compress.deploy.targets import Target
from mmgan_compress.deploy.verify import difference
from mmgan_compress.engine.hooks.quantization import FakeQuantScalesHook, QuantizationAwareHook
from mmgan_compress.engine.results import annotate_student
from mmgan_compress.models.fake_quant import fake_quantize
from mmgan_compress.models.quantization import layers_to_quantize
from mmgan_compress.models.student import student_info
from mmgan_compress.quantization.workflow import quantize_student
from students import make_student
from toy import SIZE, Trainer, build_model, last_checkpoint, moved, snapshot, train, without_report

pytest.importorskip('nni')


@pytest.fixture
def quantized(recipe):
    """A distillation of four steps, beside a teacher, that rounds."""

    def make(algorithm='qat', method='omgd', host='pix2pix', **settings):
        cfg = without_report(recipe(method, host))
        cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
        cfg.default_hooks.student = dict(type='mmgan_compress.StudentHook')
        cfg.custom_hooks = [
            dict(type='mmgan_compress.QuantizationAwareHook', algorithm=algorithm, **settings)
        ]
        return cfg

    return make


def same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return torch.equal(one, other) if torch.is_tensor(one) else one == other


def exported(folder):
    """Return the int8 model of a run as a function of a tensor."""
    path = folder / 'student.pth'
    quantize_student(
        path,
        folder / 'int8',
        dict(type='StudentScales'),
        size=SIZE,
        images=[np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), np.uint8)],
    )
    session = onnxruntime.InferenceSession(folder / 'int8' / 'end2end.onnx')
    return lambda x: session.run(None, {'input': x.numpy()})[0]


@pytest.mark.parametrize('algorithm', ['qat', pytest.param('lsq', marks=pytest.mark.slow)])
def test_what_is_trained_is_what_is_exported(algorithm, quantized, tmp_path, monkeypatch):
    """The student rounds, learns beside its teacher, and is exported so;
    resumed, the run ends bit-equal. No file is left elsewhere."""
    (tmp_path / 'cwd').mkdir()
    monkeypatch.chdir(tmp_path / 'cwd')
    monkeypatch.setenv('HOME', str(tmp_path / 'cwd'))
    cfg = quantized(algorithm)
    whole = train(cfg, tmp_path / 'a')
    domain = whole.model._default_domain
    rounds = whole.model.generators[domain].eval()
    net = load_student(tmp_path / 'a' / 'student.pth')
    run = exported(tmp_path / 'a')
    # a deploy config's int8 is the same, without any images
    export_student(
        tmp_path / 'a' / 'student.pth', tmp_path / 'deployed', Target(precision='int8'), SIZE
    )
    assert (tmp_path / 'deployed' / 'end2end.onnx').read_bytes() == (
        tmp_path / 'a' / 'int8' / 'end2end.onnx'
    ).read_bytes()
    info = student_info(tmp_path / 'a' / 'student.pth')
    own = info['quantization'][domain]
    # sums in another order may tip a value over to the next one of its grid
    step = max(entry['input'][0] for entry in own['layers'].values())
    for seed in range(3):
        x = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        with torch.no_grad():
            y, plain = rounds(x).numpy(), net(x).numpy()
        largest, psnr = difference(y, run(x))
        assert largest < step and psnr > difference(y, plain)[1] + 10
    assert own['made_by'] == f'NNI {algorithm}'
    assert {e['weight_top'] for e in own['layers'].values()} == {63}
    assert set(own['layers']) == set(layers_to_quantize(net))
    assert info['resources']['params'] == sum(p.numel() for p in net.parameters())
    assert not any('nni' in key for key in net.state_dict())
    # scales move while it learns
    states = [torch.load(tmp_path / 'a' / f'iter_{n}.pth', weights_only=True) for n in (2, 4)]
    assert not same(*(s['quantization_aware'] for s in states))
    resumed = last_checkpoint(train(cfg, tmp_path / 'b', tmp_path / 'a' / 'iter_2.pth'))
    for key in ('state_dict', 'quantization_aware'):
        assert same(dict(resumed[key]), dict(states[1][key])), key
    assert os.listdir(tmp_path / 'cwd') == []


class Run(Trainer):
    """A run that calls before_run, too, as Runner does."""

    max_iters, _train_loop = 4, True

    def __init__(self, cfg, hook, **kwargs):
        self.hook = hook
        super().__init__(cfg, **kwargs)
        hook.before_run(self)
        self.hooks = [hook]
        hook.before_train(self)


@pytest.mark.parametrize('algorithm', ['qat', 'lsq'])
def test_only_the_student_learns(algorithm, quantized):
    """With a frozen teacher (offline), its weights and its modules stay."""
    run = Run(quantized(), QuantizationAwareHook(algorithm))
    run.distiller.offline = True
    (quantizer,) = run.hook._quantizers.values()
    (student,) = run.model.generators.values()
    before = snapshot(student)
    rest = snapshot(run.distiller)
    run.step()
    first = {
        n: {k: v.clone() if torch.is_tensor(v) else v for k, v in entry.items()}
        for n, entry in run.hook.scales(run).items()
    }
    for _ in range(2):
        run.step()
    assert moved(student, before)
    assert all(
        not torch.equal(p, before[name])
        for name, p in student.named_parameters()
        if name.endswith('_nni_wrapper.weight')
    )
    assert run.hook.scales(run) != first
    assert not any('_nni_wrapper' in name for name, _ in run.distiller.named_modules())
    after = snapshot(run.distiller)
    assert rest.keys() == after.keys()
    taught = [name for name in rest if not name.startswith('losses.')]
    assert taught
    assert all(torch.equal(rest[name], after[name]) for name in taught)


def test_eval_does_not_move_the_ranges(quantized):
    run = Run(quantized(method='plain'), QuantizationAwareHook())
    run.step()
    (student,) = run.model.generators.values()
    before = run.hook.scales(run)
    with torch.no_grad():
        student.eval()(torch.rand(1, 3, SIZE, SIZE) * 20)
    assert run.hook.scales(run) == before


def test_start(quantized):
    """Before it starts, the student computes in float."""
    run = Run(quantized(method='plain'), QuantizationAwareHook(start=2))
    (student,) = run.model.generators.values()
    x = torch.rand(1, 3, SIZE, SIZE)
    gaps = []
    for _ in range(3):
        run.step()
        host = build_model(quantized(method='plain'))
        (plain,) = host.generators.values()
        plain.load_state_dict(student.state_dict())
        with torch.no_grad():
            gaps.append((student.eval()(x) - plain.eval()(x)).abs().max())
    assert gaps[0] == 0 < gaps[2]


@pytest.mark.parametrize(
    'settings, message',
    [
        (dict(algorithm='qad'), "algorithm is 'qad'"),
        (dict(processor='amd'), "processor is 'amd'"),
        (dict(start=-1), '0 or more'),
        (dict(scale_lr=0.0), 'positive share'),
        (dict(algorithm='lsq', start=1), "0 for 'lsq'"),
    ],
)
def test_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        QuantizationAwareHook(**settings)


def test_unknown_layer_is_refused_before_training(quantized):
    with pytest.raises(ValueError, match="'model.77'.*nearest"):
        Run(quantized(method='plain'), QuantizationAwareHook(skip=['model.77']))


def test_a_checkpoint_of_another_run_is_refused(quantized):
    run = Run(quantized(method='plain'), QuantizationAwareHook())
    run._resume = True
    with pytest.raises(ValueError, match="written with 'qat'.*with 'lsq'"):
        run.hook.after_load_checkpoint(
            run, {'quantization_aware': dict(algorithm='lsq', processor='any', networks={})}
        )
    with pytest.raises(ValueError, match="for processor 'any'.*for processor 'vnni'"):
        run.hook.after_load_checkpoint(
            run, {'quantization_aware': dict(algorithm='qat', processor='vnni', networks={})}
        )
    with pytest.raises(ValueError, match='but with None of'):
        run.hook.after_load_checkpoint(run, {})


def test_gan_slimming_writes_its_ranges(tmp_path):
    """A student that rounds is exported with the grid that it learnt."""
    host = make_student(tmp_path / 'student.pth', 'separable')
    run = SimpleNamespace(model=host)
    hook = FakeQuantScalesHook()
    with pytest.raises(ValueError, match='does not round'):
        hook.scales(run)
    rounds = fake_quantize(host.generators['zebra'], weight_bits=7).eval()
    annotate_student(tmp_path / 'student.pth', hook.scales(run))
    out = exported(tmp_path)
    x = torch.rand(1, 3, SIZE, SIZE) * 2 - 1
    with torch.no_grad():
        y = rounds(x).numpy()
        plain = load_student(tmp_path / 'student.pth')(x).numpy()
    assert difference(y, out(x))[1] > difference(y, plain)[1] + 20
