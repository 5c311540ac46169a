"""The benchmark: who is measured, how figures are put together, the tool."""

import copy
import json
import multiprocessing
import time

import pytest
from PIL import Image

from mmgan_compress.benchmark import report, workers
from mmgan_compress.benchmark.candidates import Candidate, convert, network_facts
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
    threads=2,
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
        Candidate('small', 'eager', 'fp32'),
        Candidate('small', 'ncnn', 'fp32', psnr=100.0),
        Candidate('small', 'ncnn', 'int8', reason='a | b\nc'),
        Candidate('large', 'eager', 'fp32'),
    ]
    times = [10.0, student_ms, None, 100.0]
    results = [
        dict(reason='a | b\nc')
        if ms is None
        else dict(
            picture=Timing(ms / 1e3, 1.5 * ms / 1e3, 5, 1e-4),
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
    assert rows[1]['picture'] == pytest.approx(dict(median_ms=2, p95_ms=3, iqr_ms=0.1, repeats=5))
    assert rows[1]['network_alone']['median_ms'] == pytest.approx(1.8)
    assert rows[1]['memory_mb'] == pytest.approx(3)


def test_markdown_and_files(tmp_path):
    found = figures()
    paths = report.save(found, tmp_path / 'out')
    assert [path.name for path in paths] == ['benchmark.json', 'benchmark.md', 'benchmark.png']
    assert json.loads(paths[0].read_text()) == found == report.read(paths[0])
    lines = paths[1].read_text().splitlines()
    assert lines[3] == (
        '| small | ncnn | fp32 | 2 | 5% | 3 | 1.8 | 500 | 3 | 100 | 50.0x | 4.00x |'
    )
    # no candidate is left out, and its reason keeps to its cell
    assert lines[4].startswith('| small | ncnn | int8 | not measured: a / b c')
    assert len({line.count('|') for line in lines[:6]}) == 1
    assert any('Abacus, 2 cores' in line for line in lines)
    assert lines[-1] == '- a note'
    assert Image.open(paths[2]).width > 500


def test_compare_with_an_earlier_run():
    now = figures(student_ms=1.0)
    report.compare(now, figures(student_ms=2.0))
    text = report.to_markdown(now).splitlines()
    assert text[0].endswith('| before, ms | now / before |')
    assert text[3].endswith('| 2 | 0.50 |')
    assert len({line.count('|') for line in text[:6]}) == 1


def test_a_wide_spread_is_said():
    text = report.to_markdown(figures(student_ms=0.5)).splitlines()
    assert '| 0.5 | 20% (wide) |' in text[3]
    assert 'wide' not in text[2]


@pytest.mark.parametrize(
    'changed', [dict(cpu='Z3'), dict(threads=4), dict(size=128), dict(cores=8)]
)
def test_other_machines_are_refused(changed):
    with pytest.raises(ValueError, match=f'differ in {[*changed][0]}'):
        check_same(MACHINE, {**MACHINE, **changed})
    check_same(MACHINE, {**MACHINE, 'load': 9.0, 'versions': {}})


def test_facts_of_this_machine():
    facts = machine_facts(1, 64)
    assert facts['cpu'] and facts['cores'] and facts['versions']['torch']
    json.dumps(facts)


def test_what_cannot_be_had_says_why(students, tmp_path):
    found = convert(students, 'large', ['tensorrt', 'eager'], ['int8'], 64, tmp_path, PHOTO)
    assert [bool(c.reason) for c in found] == [True] * 4 + [False]
    assert found[-1].name == 'large eager fp32'  # what ratios refer to
    # a converter that refuses
    found = convert(students, 'small', ['ncnn'], ['fp16'], 64, tmp_path, PHOTO)
    assert 'fp16' in found[0].reason and len(found) == 3
    with pytest.raises(ValueError, match="no runtime 'ort'"):
        convert(students, 'large', ['ort'], ['fp32'], 64, tmp_path, PHOTO)


def test_what_a_student_learnt_in_8_bits_is_measured(monkeypatch, tmp_path):
    """Unless images are given: what export makes of it is what is timed."""
    asked = []
    monkeypatch.setattr(
        'mmgan_compress.benchmark.candidates.student_info',
        lambda path: (
            dict(quantization={}, big=1) if path == 'plain' else dict(quantization=dict(zebra={}))
        ),
    )
    monkeypatch.setattr(
        'mmgan_compress.benchmark.candidates._convert',
        lambda candidate, student, target, size, out, images: asked.append(
            (student, bool(images['calibration']))
        ),
    )
    both = dict(a='plain', b='learnt')
    for images in (None, PHOTO):
        convert(both, 'a', ['openvino'], ['int8'], 64, tmp_path, images)
    assert asked == [('plain', True), ('learnt', False), ('plain', True), ('learnt', True)]


def test_layers_to_skip_reach_int8_alone(students, monkeypatch, tmp_path):
    targets = []
    monkeypatch.setattr(
        'mmgan_compress.benchmark.candidates._convert',
        lambda candidate, student, target, *_: targets.append(target),
    )
    convert(students, 'small', ['openvino'], ['fp32', 'int8'], 64, tmp_path, skip=['norms'])
    assert [t.settings.get('quantization_config') for t in targets if t.precision == 'int8'] == [
        dict(skip=['norms'])
    ] * 2
    assert not any(t.settings for t in targets if t.precision == 'fp32')


def test_each_is_measured_in_its_own_process(students, tmp_path, monkeypatch):
    """By forks of this process, which has imported all; test_tool starts each anew."""
    fork = multiprocessing.get_context('fork')
    monkeypatch.setattr(multiprocessing, 'get_context', lambda method: fork)
    (tmp_path / 'broken.pth').write_bytes(b'no student')
    files = dict(small=students['small'], broken=str(tmp_path / 'broken.pth'))
    candidates = [
        Candidate(name, 'eager', 'fp32', model=file, pictures=file) for name, file in files.items()
    ]
    candidates.append(Candidate('small', 'eager', 'int8', reason='none'))
    results, gemm = measure(candidates, threads=1, size=64, rounds=2)
    small, broken, none = results
    assert gemm.median > 0 and gemm.repeats >= 2
    # turns of a tenth of a second hold several calls of a small network
    assert small['picture'].repeats > 2 and small['network'].repeats > 2
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


@pytest.mark.slow
def test_tool(students, tmp_path):
    pytest.importorskip('onnxruntime')
    done = run_tool(
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
        '--rounds',
        2,
        '--keep',
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / 'benchmark.json').read_text())
    assert found['baseline'] == 'gan_slimming_cyclegan teacher in eager'
    measured = {report._key(row) for row in found['rows'] if not row['reason']}
    assert {
        ('small', 'onnxruntime', 'int8'),
        ('small', 'eager', 'fp32'),
        ('gan_slimming_cyclegan teacher', 'eager', 'fp32'),
    } <= measured
    assert len(found['rows']) == 8
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

    runs = dict.fromkeys([*workers.LIBRARIES, 'picture', 'network'])
    monkeypatch.setattr(workers, '_seconds', seconds)
    monkeypatch.setattr(workers, '_open', _open_none)
    monkeypatch.setattr(workers, '_runs', runs)
    fork = multiprocessing.get_context('fork')
    monkeypatch.setattr(workers.multiprocessing, 'get_context', lambda _: fork)
    measure([Candidate('a', 'eager', 'fp32')], threads=1, size=64, rounds=2)
    assert log.read_text() == '()' * (2 * (workers.WARMUP + 2) * len(runs))


def _open_none(prepare, args):
    return None
