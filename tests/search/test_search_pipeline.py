"""The pipeline that holds a search."""
from argparse import Namespace

import pytest
from recipes import CONFIGS

from mmgan_compress.engine.plan import read_pipeline

PIPELINE = CONFIGS / 'pipelines/ofa_omgd_prune_int8.py'


@pytest.mark.parametrize('demo', [False, True])
def test_pipeline_can_be_read(demo, tmp_path, monkeypatch):
    monkeypatch.setattr(
        'mmgan_compress.engine.runner_builder.weights_path', str)
    steps = read_pipeline(Namespace(
        config=str(PIPELINE), demo=demo, data_root=None, tools='tools',
        skip=None), tmp_path)
    assert [step.name for step in steps] == [
        'supernet', 'search', 'train', 'prune', 'qat', 'export', 'int8',
        'report']
    owners = {step.name: {f.owner for f in step.files} - {None}
              for step in steps}
    assert owners['search'] == {'supernet'} and owners['train'] == {'search'}
    assert owners['int8'] == owners['export'] == {'qat'}
    assert len(owners['report']) == 5
    command = steps[1].stage.command(tmp_path / 'x', resume=True)
    assert command[0] == 'tools/search.py' and '--demo' in command or not demo
    at = command.index('--budget')
    assert command[at + 1] == f'macs_paper={"0.7" if demo else "2.6e9"}'
    hooks = steps[4].stage._cfg.default_hooks
    assert hooks.quantization.type == 'mmgan_compress.QuantizationAwareHook'
    # looking whether it can run leaves what it is made of as it was
    for step in (steps[1], steps[-1]):
        before = step.inputs()
        if demo:
            step.check()
        assert step.inputs() == before


@pytest.mark.parametrize('skip, read, rows', [
    (['prune'], dict(qat='train', int8='qat'), {'prune'}),
    (['qat'], dict(export='prune', int8='prune'), {'qat'}),
    (['train', 'prune'], dict(qat='search'), {'train', 'prune'}),
    (['export', 'int8'], dict(qat='prune'), set())])
def test_stages_of_the_pipeline_can_be_left_out(skip, read, rows, tmp_path,
                                                monkeypatch):
    monkeypatch.setattr(
        'mmgan_compress.engine.runner_builder.weights_path', str)
    steps = {step.name: step for step in read_pipeline(Namespace(
        config=str(PIPELINE), demo=True, data_root=None, tools='tools',
        skip=skip), tmp_path)}
    for name, owner in read.items():
        file, = [f for f in steps[name].files if f.owner]
        assert (file.owner, file.path) == (
            owner, steps[owner].out / 'student.pth')
    everything = {'supernet', 'search', 'train', 'prune', 'qat'}
    assert set(steps['report'].stage.students) == everything - rows
    assert {f.owner for f in steps['report'].files} == everything - rows
    for step in steps.values():
        step.check()
