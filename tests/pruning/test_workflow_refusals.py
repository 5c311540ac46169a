"""What the command refuses before it works, and what it says."""

import pytest
import torch
from mmengine.config import Config

from mmgan_compress import load_student, save_student
from mmgan_compress.models.student import read_student
from mmgan_compress.pruning.budget import Budget
from mmgan_compress.pruning.latency import LatencyBudget
from mmgan_compress.pruning.workflow import read_budgets, read_options
from students import make_model, make_student, refused_by_tool, run_tool
from test_workflow import BOTH, run_here


@pytest.fixture(scope='module')
def students(tmp_path_factory):
    """Return a folder of a student of both directions."""
    folder = tmp_path_factory.mktemp('students')
    make_student(folder / 'both.pth', 'separable', reachable=BOTH, base_channels=12)
    return folder


def refused(students, *args, monkeypatch, budget='macs=0.5'):
    return refused_by_tool(
        'compress',
        students / 'both.pth',
        *args,
        *(['--budget', budget] if budget else []),
        monkeypatch=monkeypatch,
    )


def test_refusals(students, tmp_path, monkeypatch):
    """Beside those of tests/cli/bad_inputs/prune.txt."""
    out = ('--out', tmp_path / 'out')
    for args, budget, message in [
        (('--pruner', 'ScaleWidths', *out), 'macs=0.5', 'has no scales'),
        (('--pruner', 'SlimExtraction', *out), 'macs=0.5', 'SlimExtraction takes no budget'),
        (
            ('--pruner', 'NormWidths', *out, '--options', 'rule=max'),
            'macs=1',
            'expected one of mean',
        ),
        (
            ('--pruner', 'TorchPruner', *out, '--options', 'ratio=abc'),
            None,
            "TorchPruner cannot be made with {'ratio': 'abc'}: ",
        ),
    ]:
        assert message in refused(students, *args, budget=budget, monkeypatch=monkeypatch), message
    assert not (tmp_path / 'out').exists()
    for name, message in [('none.pth', 'no student file at'), ('none.py', 'no config')]:
        with pytest.raises(FileNotFoundError, match=message):
            read_student(str(tmp_path / name))
    (tmp_path / 'a.py').write_text('model = dict(generator=dict())')
    with pytest.raises(ValueError, match="no .'default_domain', 'reachable_d"):
        read_student(str(tmp_path / 'a.py'))


def test_budgets_and_options():
    assert read_budgets(['macs=0.25'], BOTH, size=64) == {
        domain: dict(macs=0.25, size=64) for domain in BOTH
    }
    assert read_budgets(['zebra.params=2e6'], BOTH) == dict(zebra=dict(params=2e6))
    for texts in (['macs=1', 'params=1'], ['macs=1', 'zebra.macs=2']):
        with pytest.raises(ValueError, match='is a second budget for'):
            read_budgets(texts, BOTH)
    assert read_options(['rule=union', 'floor=2', 'at=[1, 2]', 'x=']) == dict(
        rule='union', floor=2, at=[1, 2], x=''
    )


@pytest.mark.parametrize('name', ['student.pth', 'compress.md', 'compress.json', 'finetune.py'])
def test_nothing_is_overwritten(name, students, tmp_path, monkeypatch):
    (tmp_path / name).write_text('mine')
    message = refused(
        students, '--pruner', 'NormWidths', '--out', tmp_path, monkeypatch=monkeypatch
    )
    assert f'{name} exists already: name another output' in message
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == 'mine'


def config_file(path, **init_cfg):
    config = dict(make_model('separable', base_channels=8)._gen_cfg, **init_cfg)
    path.write_text(
        f'model = dict(generator={config}, default_domain="zebra",\n'
        f'    reachable_domains=["zebra"], related_domains={list(BOTH)})\n'
    )
    return path


def test_dense_weights_are_not_overwritten(tmp_path, monkeypatch):
    """A config's are kept as a file; a student's are there already."""
    (tmp_path / 'dense.pth').write_text('mine')
    assert 'dense.pth exists' in refused_by_tool(
        'compress',
        config_file(tmp_path / 'net.py'),
        '--pruner',
        'NormWidths',
        '--budget',
        'macs=0.5',
        '--out',
        tmp_path,
        monkeypatch=monkeypatch,
    )


def test_random_weights_tell_nothing(tmp_path, monkeypatch):
    """But pruners that draw new ones ask for the architecture only."""
    path = config_file(tmp_path / 'net.py')
    args = ('--budget', 'macs=0.5', '--tolerance', 0.1, '--size', 64)
    for pruner in ('TorchPruner', 'NNIPruner'):
        assert "generator of 'zebra' has random weights" in refused_by_tool(
            'compress',
            path,
            '--pruner',
            pruner,
            *args,
            '--out',
            tmp_path / 'out',
            monkeypatch=monkeypatch,
        )
    assert not (tmp_path / 'out').exists()
    run_here(monkeypatch, path, '--pruner', 'NormWidths', *args, '--out', tmp_path / 'out')
    assert load_student(tmp_path / 'out/student.pth')


@pytest.mark.parametrize(
    'flag, value',
    [
        ('--size', '0'),
        ('--size', '-64'),
        ('--threads', '0'),
        ('--threads', '-2'),
        ('--size', '1.5'),
        ('--tolerance', 'nan'),
        ('--tolerance', '-1'),
        ('--tolerance', '1'),
        ('--tolerance', 'x'),
    ],
)
def test_numbers_that_make_no_sense(flag, value):
    done = run_tool('prune', 'none.pth', '--pruner', 'NormWidths', f'{flag}={value}')
    assert done.returncode == 2
    assert f"{flag}: '{value}' is no " in done.stderr


@pytest.mark.parametrize('value', ['nan', 'inf', '-1', '0'])
def test_budgets_that_make_no_sense(value, students, tmp_path, monkeypatch):
    for kind in ('latency@onnxruntime', *(['macs'] if value == 'inf' else [])):
        message = refused(
            students,
            '--pruner',
            'NormWidths',
            '--out',
            tmp_path / 'out',
            budget=f'{kind}={value}',
            monkeypatch=monkeypatch,
        )
        assert 'expected a' in message and 'bove 0' in message


@pytest.mark.parametrize(
    'kind',
    [
        lambda **losses: Budget('macs', 0.5, **losses),
        lambda **losses: LatencyBudget('onnxruntime', 0.5, **losses),
    ],
)
def test_losses_of_budgets(kind):
    for losses in (
        dict(size=0),
        dict(tolerance=float('nan')),
        dict(tolerance=-0.1),
        dict(tolerance=float('inf')),
    ):
        with pytest.raises(ValueError, match=f'the {next(iter(losses))} is'):
            kind(**losses)
    assert kind(size=1, tolerance=0).tolerance == 0


def test_files_that_are_no_python(tmp_path):
    (tmp_path / 'a.py').write_text('model = dict(\n')
    with pytest.raises(ValueError, match='a.py, .* is no Python: .* closed'):
        read_student(str(tmp_path / 'a.py'))


@pytest.mark.parametrize('kind', ['separable', 'resnet'])
def test_grey_images(kind, tmp_path, monkeypatch, capsys):
    """One channel in, one channel out, in finetune.py too."""
    pytest.importorskip('torch_pruning')
    model = make_model(kind, base_channels=8, in_channels=1, out_channels=1)
    save_student(tmp_path / 'grey.pth', model, source='Test', image_size=64)
    run_here(
        monkeypatch,
        tmp_path / 'grey.pth',
        '--pruner',
        'TorchPruner',
        '--budget',
        'macs=0.5',
        '--out',
        tmp_path / 'out',
    )
    cfg = Config.fromfile(tmp_path / 'out/finetune.py')
    assert set(cfg.train_dataloader.dataset.channels.values()) == {1}
    net = load_student(tmp_path / 'out/student.pth')
    assert net.meta['size_multiple'] == 4
    assert net(torch.rand(1, 1, 64, 64)).shape == (1, 1, 64, 64)
