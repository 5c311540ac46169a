"""Each shim acts where its defect is, and only there."""

import configparser
import importlib
import logging
import re
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import torch.nn as nn
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner

from interpreters import run_forked
from mmgan_compress import compat
from mmgan_compress.cli import COMMANDS, doctor
from students import run_tool
from toy import REPO


def python(code):
    """Run code in a new interpreter and return what it prints."""
    return subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code], check=True, capture_output=True, text=True
    ).stdout.strip()


def with_torch(code):
    """Do so where torch is there already, which takes seconds to import."""
    return run_forked(code, shared='import torch._dynamo, mmengine').strip()


def test_import_is_light():
    code = (
        'import sys, time\nt = time.time()\nimport mmgan_compress\n'
        'print(time.time() - t, "torch" in sys.modules, '
        '"mmagic" in sys.modules, "mmengine" in sys.modules)'
    )
    seconds, *heavy = python(code).split()
    assert heavy == ['False'] * 3
    assert float(seconds) < 0.3


@pytest.mark.parametrize(
    'package',
    [
        'distillers',
        *(pytest.param(name, marks=pytest.mark.slow) for name in ('evaluation', 'pruning')),
    ],
)
def test_packages_work_as_first_import(package):
    """The shims come before what needs them, as in `teachers`, and hide no
    package that works.
    """
    code = (
        f'import mmgan_compress.{package}\nimport scipy, mmcv\n'
        'import scipy.linalg\nfrom mmengine.utils.dl_utils.misc import '
        'mmcv_full_available\nprint(scipy.linalg.det([[4.]]), '
        'mmcv_full_available())'
    )
    assert with_torch(code).endswith('4.0 False')


def test_help_imports_nothing_heavy():
    """All commands in one process: each within a second, all within five."""
    code = (
        'import sys\nfrom mmgan_compress.cli import COMMANDS, main\n'
        'for name in [[], *([c] for c in COMMANDS)]:\n'
        '  try:\n    main([*name, "-h"])\n  except SystemExit as e:\n    '
        'assert not e.code\n'
        'print("heavy:", *sorted({"torch", "mmengine", "cv2", "numpy"} '
        '& set(sys.modules)))'
    )
    start = time.time()
    out = python(code)
    assert all(f'usage: mmgan-compress {name} ' in out for name in COMMANDS)
    assert out.splitlines()[-1] == 'heavy:'
    assert time.time() - start < 2.5  # half a second on a quiet machine


def test_placeholders_leave_no_trace():
    before, had_bool8 = set(sys.modules), hasattr(np, 'bool8')
    with compat.placeholders(['no_such_package']):
        import no_such_package.deep.er as module

        decorated = module.register(lambda: 7)
        assert decorated() == 7
        assert not module.is_available()
        with pytest.raises(ImportError, match='stand-in'):
            module.Model(3, kind='x')

        class Child(module.Base):
            pass

    assert set(sys.modules) == before
    assert hasattr(np, 'bool8') == had_bool8
    with pytest.raises(ImportError):
        importlib.import_module('no_such_package')


def test_packages_that_mmagic_imports_say_nothing(monkeypatch, caplog):
    monkeypatch.setattr(compat, 'MMAGIC_PARTS', ('parts',))
    monkeypatch.setattr(
        importlib,
        'import_module',
        lambda _: [
            logging.getLogger(name).warning('native library')
            for name in ('torchao', 'torch.utils._pytree')
        ],
    )
    compat._import_mmagic([])
    assert not caplog.records
    importlib.import_module('parts')  # outside they do
    assert len(caplog.records) == 2


def test_weight_initialisation_of_mmagic_is_mended():
    from mmagic.models.utils import model_utils

    mended = model_utils.generation_init_weights
    assert not compat.generation_init_weights_is_broken(mended)
    net = nn.Sequential(nn.Conv2d(3, 64, 3))
    net._params_init_info = {}
    mended(net)
    assert net[0].weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert net._params_init_info == {}


def test_shims_that_act_are_still_needed():
    """Fails when upstream is mended: then delete the shim."""
    from mmagic.models.utils import model_utils

    broken = getattr(model_utils.generation_init_weights, '__wrapped__', None)
    active = 'fix_generation_init_weights' in compat.ACTIVE
    assert active == (broken is not None)
    if active:
        assert compat.generation_init_weights_is_broken(broken)
    if 'allow_runner_checkpoints' in compat.ACTIVE:
        assert compat.runner_checkpoints_are_refused()
    if 'stub_torchvision_ops' in compat.ACTIVE:
        code = (
            'try:\n    import torchvision\nexcept RuntimeError as e:\n'
            '    print("torchvision::" in str(e))'
        )
        assert with_torch(code) == 'True'
    if 'placeholders' in compat.ACTIVE:
        code = (
            'from mmgan_compress.compat import stub_torchvision_ops as s\n'
            's()\ntry:\n    import mmagic.models\n'
            'except Exception as e:\n    print("broken")'
        )
        assert with_torch(code).endswith('broken')


def test_plain_runner_checkpoints_load_inside_runner_only(tmp_path):
    path = tmp_path / 'plain.pth'
    torch.save(dict(message_hub=HistoryBuffer([1.0], [1])), path)
    with pytest.raises(Exception, match='[Ww]eights.only'):
        torch.load(path, weights_only=True)
    runner = Runner.__new__(Runner)
    runner._hooks, runner.logger = [], compat  # load_checkpoint logs
    with torch.serialization.safe_globals([]):
        wrapped = Runner.load_checkpoint.__wrapped__
        assert wrapped is not Runner.load_checkpoint
    seen = {}

    def load(self):
        content = torch.load(path, weights_only=True)
        seen['hub'] = content['message_hub']
        return content

    original, Runner.load_checkpoint = Runner.load_checkpoint, load
    try:
        compat.allow_runner_checkpoints()
        Runner.load_checkpoint(runner)
    finally:
        Runner.load_checkpoint = original
    assert seen['hub'].current() == 1.0
    with pytest.raises(Exception, match='[Ww]eights.only'):
        torch.load(path, weights_only=True)


def test_missing_package_names_its_extra():
    with pytest.raises(
        ImportError,
        match=r'NNIPruner needs .nni.nowhere.*'
        r'mmgan_compress\[nni\]',
    ):
        compat.require('nni.nowhere', 'NNIPruner')


def test_doctor():
    out = run_tool('doctor').stdout
    assert 'training and scoring: ready' in out
    assert 'shims at work:' in out and 'prepared weights:' in out
    told = {name for names in doctor.FEATURES.values() for name in names}
    assert set(compat.EXTRAS) - told == {'onnx_ir'}  # comes with onnxscript


def test_every_extra_that_is_named_exists():
    """Also of packages that a later call of ``require`` is about."""
    setup = configparser.ConfigParser()
    setup.read(REPO / 'setup.cfg')
    extras = setup['options.extras_require']
    assert set(compat.EXTRAS.values()) <= set(extras)
    optional = {
        match
        for path in (REPO / 'mmgan_compress').rglob('*.py')
        for match in re.findall(r"require\(\s*'(\w+)", path.read_text())
    }
    assert len(optional) > 10
    assert optional - set(compat.EXTRAS) == {'matplotlib'}  # mmengine's own
    for package, extra in compat.EXTRAS.items():
        if package != 'onnx_ir':  # comes with onnxscript
            assert package.lower().replace('_', '-') in extras[extra].replace('_', '-')


@pytest.mark.parametrize(
    'package,quantizer,extra',
    [
        ('onnx', 'ORTStatic', 'export'),
        ('nni', 'NNIPTQ', 'nni'),
        ('neural_compressor', 'INCStatic', 'quant'),
    ],
)
def test_a_missing_extra_is_named_before_the_work(package, quantizer, extra, monkeypatch):
    from mmgan_compress.quantization.workflow import build_quantizer

    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ImportError,
        match=rf'{quantizer} needs .*'
        rf'mmgan_compress\[{extra}\]',
    ):
        build_quantizer(dict(type=quantizer))
