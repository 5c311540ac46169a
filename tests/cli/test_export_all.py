"""A student by several deploy configs in one table."""

import json

import pytest

from mmgan_compress.benchmark import candidates
from mmgan_compress.benchmark.candidates import Candidate
from students import make_student, run_tool


@pytest.fixture
def export(tmp_path, monkeypatch):
    """Return what exports a student by two configs, of which one needs images."""
    found = [Candidate('', 'torchscript', 'fp32'), Candidate('', 'onnxruntime', 'int8')]
    monkeypatch.setattr(candidates, 'choose', lambda names, dynamic: found)
    make_student(tmp_path / 'a.pth', 'separable')
    words = ['--all', '--dynamic', '--size', 32, '--out', tmp_path / 'out']
    return lambda *more: run_tool('export', tmp_path / 'a.pth', *words, *more)


def test_one_is_the_same_and_one_is_refused(export, tmp_path):
    done = export()
    assert done.returncode == 0, done.stderr
    _, row, _, refused = map(str.split, done.stdout.splitlines())
    name, kb, error, *_, ms = row
    assert name == 'torchscript'
    assert float(kb) > 0 and float(ms) > 0 and float(error) < 1e-4
    report = json.loads((tmp_path / 'out/torchscript/parity.json').read_text())
    assert report['dynamic'] and report['size'] == 32
    assert refused[:2] == ['no', 'onnxruntime-int8:'] and '(--calibration' in refused
    assert not (tmp_path / 'out/onnxruntime-int8').exists()


def test_one_that_differs_is_an_error(export):
    done = export('--tolerance', '1e-12')
    assert done.returncode == 1
    assert 'no torchscript: ' in done.stdout
    assert 'error: torchscript: not the same model as in torch' in done.stderr
