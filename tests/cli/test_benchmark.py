"""The benchmark: who is measured, how figures are put together, the tool."""

import copy
import itertools
import json
import multiprocessing
import time
from concurrent.futures import Future
from pathlib import Path

import pytest
import torch
from PIL import Image

from mmgan_compress.benchmark import report, workers
from mmgan_compress.benchmark.candidates import (
    Candidate,
    choose,
    convert,
    network_facts,
    student_of_config,
)
from mmgan_compress.benchmark.machine import check_same, machine_facts
from mmgan_compress.benchmark.workers import measure
from mmgan_compress.core.timing import Timing
from students import make_student, refused_by_tool, run_tool

MACHINE = dict(
    cpu='Abacus',
    cores=2,
    os='Linux x86_64',
    python='3.11.7',
    versions=dict(torch='2.13.0'),
    threads=[1, 2],
    size=256,
    load=0.1,
)
PHOTO = Image.new('RGB', (64, 64), 'teal')
# 2 * 1024**3 operations in 10 ms: 215 GFLOP/s
GEMM = Timing(0.01, 0.011, 5)


@pytest.fixture(scope='module')
def students(tmp_path_factory):
    folder = tmp_path_factory.mktemp('students')
    make_student(folder / 'small.pth', 'separable')
    make_student(folder / 'large.pth', 'resnet', base_channels=16)
    return {name: str(folder / f'{name}.pth') for name in ('small', 'large')}


def figures(student_ms=2.0, machine=MACHINE):
    """Put made-up measurements together."""
    candidates = [
        Candidate('small', 'eager', 'fp32', kb=75.0),
        Candidate('small', 'ncnn', 'fp32', kb=80.0, max_abs=2e-3, psnr=100.0, exact=False),
        Candidate('small', 'ncnn', 'int8', reason='a converter failed'),
        Candidate('large', 'eager', 'fp32', kb=7000.0),
    ]
    times = [10.0, student_ms, None, 100.0]
    results = [
        dict(reason='a converter failed')
        if ms is None
        else dict(
            reason='',
            pictures={
                1: Timing(3 * ms / 1e3, 4 * ms / 1e3, 5, 1e-4),
                2: Timing(ms / 1e3, 1.5 * ms / 1e3, 5, 1e-4),
            },
            network=Timing(0.9 * ms / 1e3, ms / 1e3, 5),
            memory=3 * 2**20,
        )
        for ms in times
    ]
    networks = {
        'small': dict(params=1000, macs=2**29 // 10),
        'large': dict(params=9000, macs=2**30),
    }
    return report.build(
        candidates, results, GEMM, networks, 'large', copy.deepcopy(machine), ['a note']
    )


def test_ratios_and_floor():
    rows = figures()['rows']
    assert [row.get('faster') for row in rows] == pytest.approx([10, 50, None, 1])
    # 0.1 GFLOP: a twentieth of what the machine did in 10 ms
    assert rows[1]['floor_ms'] == pytest.approx(0.5)
    assert rows[1]['over_floor'] == pytest.approx(4)
    assert rows[1]['images_per_s'] == pytest.approx(500)
    once, twice = (rows[1]['pictures'][number] for number in '12')
    assert twice == pytest.approx(dict(median_ms=2, p95_ms=3, iqr_ms=0.1, repeats=5))
    assert once['median_ms'] == pytest.approx(6)
    assert rows[1]['network_alone']['median_ms'] == pytest.approx(1.8)
    assert rows[1]['memory_mb'] == pytest.approx(3)


def test_markdown_and_files(tmp_path):
    found = figures()
    paths = report.save(found, tmp_path / 'out')
    assert [path.name for path in paths] == ['benchmark.json', 'benchmark.md', 'benchmark.png']
    assert json.loads(paths[0].read_text()) == found == report.read(paths[0])
    title, _, *lines = paths[1].read_text().splitlines()
    assert '| 1 thread, ms | 2 threads, ms |' in title
    assert lines[1] == (
        '| small | ncnn | fp32 | 80 | 2.0e-03 ! | 100.0 | equal | 6 | 2 | 5% | 3 | 1.8 | 500 | 3 '
        '| 50.0x | 4.00x |'
    )
    assert len({line.count('|') for line in [title, *lines[:3]]}) == 1 and not lines[3]
    # no candidate is left out
    assert '- small ncnn int8: not measured: a converter failed' in lines
    assert any('Abacus, 2 cores' in line for line in lines)
    assert '- a note' in lines
    assert Image.open(paths[2]).width > 500


def test_compare_with_an_earlier_run():
    now = figures(student_ms=1.0)
    report.compare(now, figures(student_ms=2.0))
    text = report.to_markdown(now).splitlines()
    assert text[0].endswith('| before, ms | now / before |')
    assert text[3].endswith('| 2 | 0.50 |')


def test_a_wide_spread_is_said():
    text = report.to_markdown(figures(student_ms=0.5)).splitlines()
    assert '| 0.5 | 20% (wide) |' in text[3]
    assert 'wide' not in text[2]


@pytest.mark.parametrize(
    'changed', [dict(cpu='Z3'), dict(threads=[2]), dict(size=128), dict(cores=8)]
)
def test_other_machines_are_refused(changed):
    with pytest.raises(ValueError, match=f'differ in {[*changed][0]}'):
        check_same(MACHINE, {**MACHINE, **changed})
    check_same(MACHINE, {**MACHINE, 'load': 9.0, 'versions': {}})


def test_facts_of_this_machine():
    facts = machine_facts([1], 64)
    assert facts['cpu'] and facts['cores'] and facts['versions']['torch']
    json.dumps(facts)


def test_what_is_chosen():
    forms = [(each.runtime, each.precision) for each in choose(['a'], ['ncnn', 'eager', 'mnn'])]
    assert forms == [('ncnn', 'fp32'), ('eager', 'fp32'), ('mnn', 'fp32'), ('mnn', 'fp16')]
    everything = choose(['a', 'b'], precisions=['int8'])
    assert {each.precision for each in everything} == {'int8'}
    assert {each.network for each in everything if each.runtime == 'litert'} == {'a', 'b'}
    with pytest.raises(ValueError, match="no runtime 'ort'"):
        choose(['a'], ['ort'])
    with pytest.raises(ValueError, match='ncnn.*int8'):
        choose(['a'], ['ncnn'], ['int8'])


def converted(monkeypatch, students, export, **options):
    """Convert by a made-up export."""
    monkeypatch.setattr('mmgan_compress.benchmark.candidates.export_student', export)
    found = choose(list(students), ['onnxruntime', 'litert'], ['fp32', 'int8'])
    convert(found, students, 64, **options)
    return found


def test_what_a_converter_raises_is_the_reason(students, monkeypatch, tmp_path):
    def export(student, folder, target, *args, **options):
        if target.backend == 'litert':
            raise RuntimeError('no such operator\nin C++')
        folder.mkdir(parents=True)
        (folder / 'a.onnx').write_bytes(bytes(3000))
        checks = [dict(input=i, psnr=p, passed=True) for i, p in (('flat', 20.0), ('a.png', 50.0))]
        return dict(files={'a.onnx': ''}, max_abs=0.1, psnr=20.0, checks=checks)

    small = dict(small=students['small'])
    good, quantized, *bad = converted(monkeypatch, small, export, out=tmp_path)
    assert (quantized.kb, quantized.psnr, quantized.psnr_images) == (3, 20, 50)
    assert good.model == str(tmp_path / 'small/onnxruntime') and good.timed
    assert {each.reason for each in bad} == {'RuntimeError: no such operator'}


def test_scales_of_a_student_and_layers_to_skip(students, monkeypatch, tmp_path):
    """Unless images are given, what a student learnt in 8 bits is measured;
    LiteRT has no scales of outputs from it."""
    asked = []

    def export(student, folder, target, *args, **options):
        asked.append((target, options['calibration']))
        raise RuntimeError

    monkeypatch.setattr(
        'mmgan_compress.benchmark.candidates.student_info', lambda path: dict(quantization=True)
    )
    small, options = dict(small=students['small']), dict(otherwise='demo', skip=['norms'])
    for calibration in (None, 'mine'):
        converted(monkeypatch, small, export, out=tmp_path, calibration=calibration, **options)
    images = [calibration for target, calibration in asked if target.precision == 'int8']
    assert images == [None, 'demo', 'mine', 'mine']
    for target, _ in asked:
        skip = target.settings.get('quantization_config')
        assert skip == (dict(skip=['norms']) if target.precision == 'int8' else None)


def test_each_is_measured_in_its_own_process(students, tmp_path):
    (tmp_path / 'broken.pth').write_bytes(b'no student')
    files = dict(small=students['small'], broken=str(tmp_path / 'broken.pth'))
    candidates = [
        Candidate(name, 'eager', 'fp32', model=file, pictures=file) for name, file in files.items()
    ]
    candidates.append(Candidate('small', 'eager', 'int8', reason='none'))
    results, gemm = measure(candidates, [1, 2], size=64, rounds=2)
    small, broken, none = results
    assert gemm.median > 0 and gemm.repeats >= 2
    assert [*small['pictures']] == [1, 2]
    # a turn of a tenth of a second holds several calls, unless the machine is busy
    assert all(timing.repeats >= 2 for timing in (small['network'], *small['pictures'].values()))
    assert small['memory'] is None or small['memory'] > 2**16
    assert 'is no student file' in broken['reason']
    assert none == dict(reason='none')


def test_network_facts(students):
    small, large = (network_facts(students[name], 64) for name in ('small', 'large'))
    assert small['params'] < large['params']
    assert network_facts(students['small'], 128)['macs'] == 4 * small['macs']
    with pytest.raises(ValueError, match='small.pth: size 30 does not suit'):
        network_facts(students['small'], 30)


def test_tool_refuses_before_it_works(students, tmp_path, monkeypatch):
    def refused(*args):
        return refused_by_tool('benchmark', *args, '--out', tmp_path, monkeypatch=monkeypatch)

    small = students['small']
    assert 'no student file' in refused(tmp_path / 'none.pth')
    assert "two networks are called 'small'" in refused(small, small)
    assert "no network 'x'" in refused(small, 'omgd_cyclegan.py:x')
    assert 'no config' in refused('nowhere.py')
    other = tmp_path / 'old.json'
    other.write_text(json.dumps(figures()))
    assert 'cannot be compared' in refused(small, '--compare', other)
    other.write_text('{}')
    assert 'is no result' in refused(small, '--compare', other)
    earlier = tmp_path / 'benchmark.md'
    earlier.write_text('of another run')
    assert 'benchmark.md exists' in refused(small)
    earlier.unlink()
    assert not list(tmp_path.glob('benchmark*'))


def test_random_weights_are_the_same_each_time(students, tmp_path):
    config, path = dict(type='ResnetGenerator', in_channels=3, out_channels=3), tmp_path / 'a.pth'
    config |= dict(base_channels=4, num_blocks=1)
    first, state = Path(student_of_config(config, path, 64)).read_bytes(), torch.get_rng_state()
    assert Path(student_of_config(config, path, 64)).read_bytes() == first
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(FileExistsError):
        student_of_config(config, Path(students['small']), 64)


@pytest.mark.slow
def test_tool(students, tmp_path):
    """Converted by one run, measured by the next."""
    pytest.importorskip('onnxruntime')
    words = [
        'benchmark',
        students['small'],
        'gan_slimming_cyclegan.py:teacher',
        '--out',
        tmp_path,
        '--runtimes',
        'eager',
        'onnxruntime',
        '--precisions',
        'fp32',
        'int8',
        '--size',
        64,
        '--threads',
        1,
        2,
        '--quick',
    ]
    done = run_tool(*words, '--convert')
    assert done.returncode == 0, done.stderr[-3000:]
    models = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.onnx')}
    assert len(models) == 8 and not list(tmp_path.glob('benchmark.*'))
    done = run_tool(*words, '--keep')
    assert models == {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.onnx')}
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / 'benchmark.json').read_text())
    assert found['baseline'] == 'gan_slimming_cyclegan teacher in eager'
    measured = {report._key(row) for row in found['rows'] if not row['reason']}
    assert {
        ('small', 'onnxruntime', 'int8'),
        ('small', 'eager', 'fp32'),
        ('gan_slimming_cyclegan teacher', 'eager', 'fp32'),
    } <= measured
    assert len(found['rows']) == 6
    assert 'random weights: gan_slimming_cyclegan teacher' in found['notes']
    assert (tmp_path / 'benchmark.md').read_text() in done.stdout
    done = run_tool(
        'benchmark',
        students['small'],
        '--out',
        tmp_path / 'again',
        '--runtimes',
        'eager',
        '--size',
        64,
        '--threads',
        1,
        2,
        '--rounds',
        2,
        '--compare',
        tmp_path / 'benchmark.json',
    )
    assert 'now / before' in done.stdout, done.stderr[-3000:]


def test_turns_do_not_overlap(monkeypatch, tmp_path):
    """No process computes while another one is timed."""
    log = tmp_path / 'log'

    def seconds(run):
        with log.open('a') as file:
            file.write('(')
            file.flush()
            time.sleep(0.05)
            file.write(')')
        return [0.05]

    runs = dict.fromkeys([*workers.LIBRARIES, 1, 'network'])
    monkeypatch.setattr(workers, '_seconds', seconds)
    monkeypatch.setattr(workers, '_open', _open_none)
    monkeypatch.setattr(workers, '_runs', runs)
    monkeypatch.setattr(workers, '_context', lambda: multiprocessing.get_context('fork'))
    measure([Candidate('a', 'eager', 'fp32')], [1], size=64, rounds=2)
    assert log.read_text() == '()' * (2 * 2 * len(runs))


def test_steady_models_need_fewer_turns():
    """The rest goes on until it is steady, or has had all of its turns."""
    turns = []

    class Pool:
        def __init__(self, name, spread):
            self.name, self.seconds = name, itertools.cycle([1 - spread, 1, 1 + spread])

        def submit(self, work, *args):
            if args:
                return Future()
            turns.append(self.name)
            answer = Future()
            answer.set_result({1: [next(self.seconds)]})
            return answer

    for name, spread in (('steady', 0.01), ('wild', 0.5)):
        worker = workers._Worker(Pool(name, spread), 20, None)
        while not worker.done:
            worker.turn()
    assert turns.count('steady') == workers.LEAST and turns.count('wild') == 20


def _open_none(prepare, args):
    return None
