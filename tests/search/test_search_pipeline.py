"""The pipeline that holds a search."""

import pytest

from pipelines import read
from recipes import CONFIGS

PIPELINE = CONFIGS / 'pipelines/ofa_omgd_prune_int8.py'
WEIGHTS = 'mmgan_compress.engine.input_files.weights_path'


@pytest.mark.parametrize('demo', [False, True])
def test_pipeline_can_be_read(demo, tmp_path, monkeypatch):
    monkeypatch.setattr(WEIGHTS, str)
    steps = read(PIPELINE, tmp_path, demo=demo)
    assert list(steps) == [
        'supernet',
        'search',
        'train',
        'prune',
        'qat',
        'export',
        'int8',
        'report',
    ]
    files = {name: list(step.files) for name, step in steps.items()}
    assert files['search'] == ['{supernet}/student.pth']
    assert files['train'] == ['{search}/student.pth']
    assert files['int8'] == files['export'] == ['{qat}/student.pth']
    assert len(files['report']) == 5
    command = steps['search'].arguments(tmp_path / 'x', resume=True)
    assert ('--demo' in command) == demo
    at = command.index('--budget')
    assert command[at + 1] == f'macs_paper={"0.7" if demo else "2.6e9"}'
    hooks = steps['qat'].recipe.default_hooks
    assert hooks.quantization.type == 'mmgan_compress.QuantizationAwareHook'
    assert steps['search'].recipe.model.distiller is None  # no teacher
    # looking whether it can run leaves what it is made of as it was
    for step in (steps['search'], steps['report']):
        before = step.inputs()
        if demo:
            assert not list(step.faults(steps))
        assert step.inputs() == before


@pytest.mark.parametrize(
    'skip, made, rows',
    [
        (['prune'], dict(qat='train', int8='qat'), {'prune'}),
        (['qat'], dict(export='prune', int8='prune'), {'qat'}),
        (['train', 'prune'], dict(qat='search'), {'train', 'prune'}),
        (['export', 'int8'], dict(qat='prune'), set()),
    ],
)
def test_stages_of_the_pipeline_can_be_left_out(skip, made, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(WEIGHTS, str)  # not prepared on every machine
    steps = read(PIPELINE, tmp_path, demo=True, skip=skip)
    for name, owner in made.items():
        assert steps[name].files == {f'{{{owner}}}/student.pth': steps[owner].out / 'student.pth'}
    everything = {'supernet', 'search', 'train', 'prune', 'qat'}
    left = everything - rows
    assert set(steps['report'].spec['students']) == left
    assert set(steps['report'].files.values()) == {steps[name].out / 'student.pth' for name in left}
    for step in steps.values():
        assert not list(step.faults(steps))
