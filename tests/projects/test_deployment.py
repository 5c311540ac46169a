"""The page of all runtimes, made of figures that are there."""

import json
import runpy
from types import SimpleNamespace

import pytest
import torch

from mmgan_compress import load_student
from students import REPO, make_student


@pytest.fixture
def tool():
    return runpy.run_path(str(REPO / 'projects/deployment/make_page.py'))


def row(network, runtime, precision, times, wide=False, **loss):
    loss = dict(kb=80.0, max_abs=None, psnr=None, psnr_images=None, exact=True) | loss
    pictures = {number: dict(median_ms=time) for number, time in zip('12', times)}
    name = dict(network=network, runtime=runtime, precision=precision, reason='')
    faster = 100 / times[1] if times else None
    return name | loss | dict(pictures=pictures, wide=wide, faster=faster)


def made_up():
    lossy = dict(max_abs=2e-3, psnr=70.0, psnr_images=90.0, exact=False)
    rows = [
        row('small', 'eager', 'fp32', (40, 30)),
        row('small', 'onnxruntime', 'fp32', (20, 10), max_abs=1e-6),
        row('small', 'openvino', 'fp32', (10, 6), wide=True, **lossy),
        row('small', 'openvino', 'int8', (9, 7), max_abs=0.2, psnr=30.0, psnr_images=48.0),
        row('large', 'eager', 'fp32', (190, 100)),
    ]
    core_ml = row('small', 'coreml', 'fp32', (), max_abs=1e-6)
    del core_ml['pictures']
    missing = dict(core_ml, runtime='ncnn', kb=None, reason='it is not installed')
    machine = dict(cpu='Abacus', cores=2, os='Linux', python='3', versions=dict(torch='2'))
    return dict(
        machine=dict(machine, threads=[1, 2], load=0.1),
        networks={name: dict(params=10, macs=10**9) for name in ('small', 'large')},
        rows=[*rows, core_ml, missing],
    )


def test_pages(tool, tmp_path, monkeypatch):
    monkeypatch.setitem(tool['main'].__globals__, 'REPO', tmp_path)
    (tmp_path / 'docs').mkdir()
    pages = {'all': tmp_path / 'docs/deployment.md', 'front': tmp_path / 'README.md'}
    old = '<!-- measured: {} -->\nold\n<!-- end -->\n'.format
    pages['all'].write_text(f'before\n{old("demo")}\n{old("omgd")}behind\n')
    pages['front'].write_text(f'before\n{old("front")}behind\n')
    for name in ('demo', 'omgd'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'benchmark.json').write_text(json.dumps(made_up()))
    monkeypatch.setattr('sys.argv', ['make_page', 'student.pth', '--out', str(tmp_path)])
    tool['main']()
    every, front = (page.read_text() for page in pages.values())
    for text in (every, front):
        assert text.startswith('before\n<!-- m') and text.endswith('end -->\nbehind\n')
        assert 'old' not in text
    assert '| openvino | fp32 | 80 | 10 | 6 | 2.0e-03 ! | 70.0 | 90.0 | 16.7x |' in every
    assert '| coreml | fp32 | 80 | not run | not run | 1.0e-06 | equal | equal |  |' in every
    assert 'ncnn' not in every
    # what is bad is said
    assert '- Slower than onnxruntime fp32 in 1 thread: eager fp32.\n' in every
    assert '- No gain by 8 bits in 2 threads: openvino int8.\n' in every
    assert 'allows: openvino fp32.\n' in every
    assert 'tenth in 2 threads: openvino fp32.\n' in every
    lines = [line for line in front.splitlines() if line.startswith('| student')]
    assert len(lines) == 4 and lines[2].endswith('| openvino | fp32 | 80 | 6 | 16.7x |')
    # a pair is written as soon as it is measured, and takes nothing from the other
    (tmp_path / 'omgd/benchmark.json').unlink()
    pages['all'].write_text(every.replace('## The demo', '## Before'))
    tool['write_pages'](tmp_path)
    assert pages['all'].read_text() == every and '## OMGD' in every
    assert pages['front'].read_text() == front
    (tmp_path / 'omgd/benchmark.json').write_text(json.dumps(made_up()))
    pages['front'].write_text('without marks')
    with pytest.raises(ValueError, match='README.md has no <!-- measured: front'):
        tool['main']()


def test_converted_first_and_measured_later(tool, tmp_path, monkeypatch):
    """By commands that differ in nothing else, so that the models are found."""
    asked = []
    spies = dict(
        write_teacher=lambda path: None,
        write_pages=lambda out: None,
        subprocess=SimpleNamespace(run=lambda words, **_: asked.append(words), DEVNULL=None),
    )
    for name, spy in spies.items():
        monkeypatch.setitem(tool['main'].__globals__, name, spy)
    words = ['make_page', 'student.pth', '--out', str(tmp_path)]
    monkeypatch.setattr('sys.argv', [*words, '--convert'])
    tool['main']()
    assert len(asked) == 2 and all('--convert' in command for command in asked)
    monkeypatch.setattr('sys.argv', words)
    tool['main']()
    again = [['--convert' if word == '--keep' else word for word in words] for words in asked[2:]]
    assert again == asked[:2]


def test_the_demos_teacher(tool, tmp_path):
    """With its weights."""
    tool['write_teacher'](tmp_path / 'teacher.pth')
    net = load_student(tmp_path / 'teacher.pth')
    checkpoint = REPO / 'mmgan_compress/datasets/demo/teacher_flat2emoji.pth'
    tensors = torch.load(checkpoint, weights_only=True)['state_dict']
    first = next(tensors[k] for k in tensors if k.startswith('teacher.generators.emoji.'))
    torch.testing.assert_close(next(net.parameters()), first.float(), check_dtype=False)
    assert net.meta['domain'] == 'emoji'


@pytest.mark.slow
def test_what_8_bits_lose_and_save(tmp_path, monkeypatch, capsys):
    make_student(tmp_path / 'student.pth', 'separable', num_blocks=1)
    script = REPO / 'projects/deployment/compare_int8.py'
    monkeypatch.setattr('sys.argv', [script.name, str(tmp_path / 'student.pth'), '--size', '64'])
    runpy.run_path(str(script))['main']()
    rows = dict(line.split(': ') for line in capsys.readouterr().out.splitlines())
    for runtime in ('onnxruntime', 'openvino'):
        before, after = (
            float(rows[f'{name} in {runtime}'].split('PSNR ')[1].split()[0])
            for name in ('fp32', 'int8')
        )
        assert 30 < after < 90 < before
