"""Pipelines: order, what is done again, what is refused."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mmgan_compress.engine.pipeline import COMMANDS
from pipelines import (
    CHAIN,
    WRITE,
    calls,
    refused,
    result,
    run,
    stage,
    statuses,
    toy_folder,  # noqa: F401  each test runs there
    write_config,
)


def test_order_and_nothing_is_done_twice(capsys):
    run(CHAIN)
    assert result('3_c') == 'a;b;c;'
    assert statuses() == dict(a='done', b='done', c='done')
    out = capsys.readouterr().out
    assert out.index('writing a') < out.index('writing b')  # shown, and kept:
    log = Path('work/2_b/log.txt').read_text()
    assert log.startswith(f'$ {sys.executable} ') and 'writing b' in log
    assert 'c      done    0:00:0' in out
    before = Path('work/3_c/run/student.pth').stat().st_mtime_ns
    run()
    assert [calls(n) for n in ('1_a', '2_b', '3_c')] == [1, 1, 1]
    assert Path('work/3_c/run/student.pth').stat().st_mtime_ns == before
    run([*CHAIN, stage('d', source='{b}/student.pth')])  # may grow
    assert result('4_d') == 'a;b;d;' and calls('3_c') == 1


def test_default_folder_and_demo_keys():
    entries = [stage('a', demo=dict(text='small'))]
    run(entries, work_dir=None)
    run(entries, work_dir=None, demo=True)
    for name, text in (('p', 'a;'), ('p-demo', 'small;')):
        path = Path(f'work_dirs/{name}/1_a/run/student.pth')
        assert path.read_text() == text


def test_failure_and_resume():
    entries = [CHAIN[0], stage('b', 'need mended', '{a}/student.pth'), CHAIN[2]]
    message = refused(entries)
    for words in (
        "stage 'b': its command ended with status 3",
        'work/2_b/log.txt',
        'run the same command again',
    ):
        assert words in message
    assert statuses() == dict(a='done', b='failed')
    assert not Path('work/3_c').exists()
    Path('mended').touch()
    run()
    assert result('3_c') == 'a;need mended;c;'
    assert (calls('1_a'), calls('2_b')) == (1, 2)


def test_failed_stage_may_be_changed():
    """Its mistake is mended in the config; nothing has come of it."""
    refused([CHAIN[0], stage('b', 'need x'), CHAIN[2]])
    run(CHAIN)
    assert result('3_c') == 'a;b;c;' and calls('1_a') == 1


def test_command_without_result_fails(monkeypatch):
    monkeypatch.setitem(COMMANDS, 'write', replace(WRITE, result='other.pth'))
    assert 'left no work/1_a/run/other.pth' in refused([stage('a')])
    assert statuses() == dict(a='failed')


def changed_text():
    write_config([CHAIN[0], stage('b', 'B', '{a}/student.pth'), CHAIN[2]])


def changed_file():
    Path('work/1_a/run/student.pth').write_text('A;')


def changed_place():
    write_config([CHAIN[0], stage('new'), *CHAIN[1:]])


@pytest.mark.parametrize(
    'change,words',
    [
        (changed_text, "text: 'b' -> 'B'"),
        (changed_file, 'file {a}/student.pth: changed'),
        (changed_place, "place: '2_b' -> '3_b'"),
    ],
)
def test_changed_inputs_are_refused(change, words):
    run(CHAIN)
    kept = {p: p.read_bytes() for p in Path('work').rglob('*') if p.is_file()}
    change()
    kept.update({p: p.read_bytes() for p in kept if change is changed_file})
    message = refused()
    assert "stage 'b' is done with other inputs" in message
    assert words in message and 'name another --work-dir' in message
    assert kept == {p: p.read_bytes() for p in Path('work').rglob('*') if p.is_file()}


def test_a_stage_that_is_moved_away_is_done_anew():
    run(CHAIN)
    changed_text()
    Path('work/2_b').rename('work/old')
    message = refused()  # at once, not when b is there again
    assert "stage 'c' is done with other inputs" in message
    assert 'file {b}/student.pth: gone' in message
    assert not Path('work/2_b').exists()
    Path('work/3_c').rename('work/old_c')
    run()
    assert result('3_c') == 'a;B;c;' and calls('1_a') == 1


def test_own_file_counts_by_its_contents():
    Path('mine').write_text('1')
    run([stage('a', source='mine')])
    Path('mine').write_text('1')
    run()
    Path('mine').write_text('2')
    assert 'file mine: changed' in refused()
    Path('mine').unlink()
    assert 'file mine: gone' in refused()


def test_lost_and_foreign_results_are_refused():
    run(CHAIN)
    Path('work/3_c/run/student.pth').unlink()
    assert 'work/3_c/run/student.pth is gone' in refused()
    Path('work/pipeline.json').unlink()
    assert 'work/1_a holds files that this pipeline has not made' in refused()
    Path('work/pipeline.json').write_text('{')
    assert 'work/pipeline.json cannot be read' in refused()


@pytest.mark.parametrize(
    'entries,words',
    [
        ([], 'is no pipeline'),
        ([stage('a'), stage('a')], "two stages are called 'a'"),
        ([stage('a/b')], "a stage is called 'a/b'"),
        ([dict(name='a')], 'it has run=None, choose one of'),
        (
            [dict(name='a', run='fly')],
            "it has run='fly', choose one of "
            "['count', 'export', 'prune', 'quantize', 'report', 'search', "
            "'train', 'write']",
        ),
        ([stage('a', source='{x}/f')], "'x' is no earlier stage, these are"),
        ([stage('a', source='{b}/f'), stage('b')], "'b' is no earlier stage"),
        ([stage('a', source='{a}/f')], "'a' is no earlier stage"),
        ([stage('a', source='nothing')], "no file 'nothing'"),
        ([stage('a', size=3)], "stage 'a': unrecognized arguments: --size 3"),
        ([dict(name='a', run='write')], "'a': the following arguments are required: text"),
        ([dict(name='a', run='train', config='no.py')], "no config 'no.py'"),
        (
            [
                dict(
                    name='a',
                    run='compress',
                    source='{first}/student.pth',
                    pruner='Lawnmower',
                    budget=[],
                )
            ],
            "no pruner 'Lawnmower'; registered",
        ),
        (
            [dict(name='a', run='compress', source='{first}/student.pth', pruner='NormWidths')],
            'NormWidths needs a budget',
        ),
        (
            [
                dict(
                    name='a',
                    run='compress',
                    source='{first}/student.pth',
                    pruner='MaskExtraction',
                    budget=['macs=1'],
                )
            ],
            'takes no budget',
        ),
        (
            [
                dict(
                    name='a',
                    run='compress',
                    source='{first}/student.pth',
                    pruner='MaskExtraction',
                    finetune='r.py',
                )
            ],
            "no config 'r.py'",
        ),
        ([dict(name='a', run='train', config='r.py', inherit=True)], "no config 'r.py'"),
        (
            [dict(name='a', run='train', config='omgd_pix2pix.py', inherit=True)],
            'inherit=True takes',
        ),
        ([dict(name='a', run='train', config='r')], "no config 'r'"),
        ([dict(name='a', run='train')], 'arguments are required: config'),
        (
            [dict(name='a', run='train', config='omgd_pix2pix.py', sizes=3)],
            'unrecognized arguments: --sizes 3',
        ),
        (
            [
                dict(
                    name='a',
                    run='compress',
                    source='{first}/student.pth',
                    pruner='NormWidths',
                    budget=['macs=1'],
                    tolerance=1,
                )
            ],
            "--tolerance: '1' is no number from 0 to below 1",
        ),
        ([stage('a', out='x')], "the pipeline itself sets ['out']"),
    ],
)
def test_mistakes_are_found_before_the_first_stage(entries, words):
    """Also in a late stage, where hours would be lost."""
    good = [stage('first')] if entries else []
    message = refused([*good, *entries]).replace("'first', ", '')
    assert words in message
    assert not Path('work').exists()


def test_all_mistakes_are_told_at_once():
    message = refused([stage('a', size=3), dict(name='b', run='fly')])
    assert "stage 'a'" in message and "stage 'b'" in message


def test_missing_pipeline():
    assert "no config 'q.py'" in refused(config='q.py')


def test_status_writes_nothing(capsys):
    write_config(CHAIN)
    run(status=True)
    assert not Path('work').exists()
    assert capsys.readouterr().out.splitlines()[1] == 'a      pending'


def test_left_out_stages(capsys):
    assert "no stage 'x', stages are" in refused(CHAIN, skip=['x'])
    message = refused(CHAIN, from_stage='c')  # whose results are asked for
    assert "'work/2_b/run/student.pth': stage 'b' is left out" in message
    message = refused(CHAIN, skip=['a'])  # it starts from no student
    assert "'work/1_a/run/student.pth': stage 'a' is left out" in message
    assert not Path('work').exists()
    run(CHAIN, skip=['b', 'c'])
    assert 'b      left out' in capsys.readouterr().out
    Path('work/2_b/run').mkdir(parents=True)
    Path('work/2_b/run/student.pth').write_text('mine;')
    run(from_stage='c')
    assert result('3_c') == 'mine;c;' and calls('2_b') == 0
    assert 'work/2_b holds files' in refused()


def test_a_skipped_stage_passes_its_source_on(capsys):
    run([*CHAIN, stage('d', source='{c}/student.pth')], skip=['b', 'c'])
    assert result('4_d') == 'a;d;'
    passed = 'left out, {a}/student.pth stands for its student'
    assert f'== b: {passed}' in capsys.readouterr().out
    run(skip=['b', 'c'], status=True)
    assert f'\nc      {passed}\n' in capsys.readouterr().out
    run(skip=['b', 'c'])  # done
    assert calls('4_d') == 1
    message = refused()  # it would be made of another now
    assert "source: '{a}/student.pth' -> '{c}/student.pth'" in message
    assert calls('2_b') == 0


def test_the_best_of_a_skipped_stage_is_its_source_too():
    run([CHAIN[0], CHAIN[1], stage('c', source='{b}/student_best.pth')], skip=['b'])
    assert result('3_c') == 'a;c;'


def test_a_skipped_stage_that_is_done_is_used():
    run(CHAIN)
    run([*CHAIN, stage('d', source='{b}/student.pth')], skip=['b'])
    assert result('4_d') == 'a;b;d;'


def test_own_student_is_passed_on():
    Path('mine').write_text('1;')
    run([stage('a', source='mine'), CHAIN[1]], skip=['a'])
    assert result('2_b') == '1;b;'
    Path('mine').write_text('2;')
    assert 'file mine: changed' in refused(skip=['a'])
