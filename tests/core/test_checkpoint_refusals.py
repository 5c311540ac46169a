"""Checkpoints and weights that do not fit are refused before the work."""

import shutil
import uuid
from argparse import Namespace
from contextlib import ExitStack

import pytest
import torch
from mmengine.registry import DefaultScope

from mmgan_compress.core.checkpoints import read_checkpoint
from mmgan_compress.core.layers import init_weights
from mmgan_compress.engine import runner_builder as launch
from mmgan_compress.registry import MODELS
from students import message_of_error, refused_by_tool
from test_runner_builder import arguments
from toy import build_model, toy_config, train, without_report


@pytest.fixture(scope='module')
def run(tmp_path_factory, vgg_file):
    """A run of four checkpoints, and its recipe's file."""
    folder = tmp_path_factory.mktemp('run')
    with DefaultScope.overwrite_default_scope('mmagic'):
        cfg = without_report(toy_config('cyclegan', folder / 'data', vgg_file))
        cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
        cfg.default_hooks.student.metric = None
        cfg.custom_hooks = []
        cfg.dump(folder / 'recipe.py')
        train(cfg, folder / 'run')
    return folder


@pytest.fixture
def started(run, tmp_path):
    """A copy of the run's folder, with paths in it that do not exist."""
    shutil.copytree(run / 'run', tmp_path / 'run')
    return tmp_path / 'run'


def refused(run, **changes):
    """Return the one message that the command ends with."""
    # mmengine gives runs of one name in a process one visualizer
    options = [*changes.pop('options', []), f'experiment_name={uuid.uuid4().hex}']
    return message_of_error(
        launch.make_runner,
        arguments(run / 'recipe.py', cfg_options=options, **changes),
        ExitStack(),
    )


def change(path, function):
    content = torch.load(path, weights_only=True)
    function(content)
    torch.save(content, path)


def newest(folder):
    return max(folder.glob('iter_*.pth'), key=lambda f: int(f.stem[5:]))


@pytest.mark.parametrize('key', ['state_dict', 'optimizer', 'mmgan_compress'])
def test_resume_needs_all_of_a_run(run, started, key):
    """It trained on from scratch, or ended with a traceback."""
    path = newest(started)
    change(path, lambda content: content.pop(key))
    message = refused(run, resume=str(path))
    assert str(path) in message and f'it holds no {key}' in message


@pytest.mark.parametrize(
    'what, words',
    [
        (lambda c: c['state_dict'].popitem(), '1 tensors are missing'),
        (lambda c: c['state_dict'].update(other=torch.zeros(1)), 'left over: other'),
        (lambda c: c['optimizer'].pop('student'), 'has the optimizers'),
        (
            lambda c: c['mmgan_compress'].update(method='GCCCycleGAN'),
            'was written by GCCCycleGAN, the recipe has OMGDCycleGAN',
        ),
        (
            lambda c: c['mmgan_compress']['distiller'].update(gaps={}),
            "remembers ['buffers', 'gaps'",
        ),
    ],
)
def test_resume_of_another_recipe(run, started, what, words):
    path = newest(started)
    change(path, what)
    assert words in refused(run, resume=str(path))


def test_resume_without_what_a_hook_needs(run, started):
    """Gradual pruning went on with a dense network."""
    cfg = launch.Config.fromfile(run / 'recipe.py')
    cfg.custom_hooks = [
        dict(
            type='mmgan_compress.GradualPruningHook',
            pruner=dict(type='mmgan_compress.TorchPruner', budget=dict(macs=0.5)),
        )
    ]
    cfg.dump(started / 'recipe.py')
    assert 'it holds no gradual_pruning' in refused(started, work_dir=str(started), resume='auto')


def test_resume_of_another_architecture(run, started):
    """Before the optimizers are built."""
    message = refused(
        run, work_dir=str(started), resume='auto', options=['model.generator.base_channels=8']
    )
    assert 'tensors have another shape: generators.' in message
    assert 'Traceback' not in message and str(newest(started)) in message


def test_hooks_refuse_it_too(run, started):
    """Runner without our command line, as ``mim train`` starts it."""
    change(newest(started), lambda c: c['state_dict'].popitem())
    cfg = launch.Config.fromfile(run / 'recipe.py')
    with pytest.raises(ValueError, match='does not fit: 1 tensors are miss'):
        train(cfg, started, newest(started))


@pytest.mark.parametrize('size', [0, 100, 0.5, 0.99])
def test_a_part_of_the_newest(run, started, size):
    """One line names it and the one before; that one is gone on from."""
    path = newest(started)
    whole = path.read_bytes()
    path.write_bytes(whole[: size if size > 1 else int(size * len(whole))])
    before = started / f'iter_{int(path.stem[5:]) - 1}.pth'
    message = refused(run, work_dir=str(started), resume='auto')
    assert f'{path} cannot be read: it is damaged' in message
    assert f'--resume {before}' in message and '\n' not in message
    assert launch.resumed_checkpoint(str(before), '') == str(before)


def test_no_newest(run, started):
    """A folder with a student alone began anew."""
    newest(started).unlink()
    assert 'The newest other one is there: --resume ' in refused(
        run, work_dir=str(started), resume='auto'
    )
    for file in started.glob('iter_*.pth'):
        file.unlink()
    (started / 'last_checkpoint').unlink()
    assert 'No other checkpoint is in' in refused(run, work_dir=str(started), resume='auto')


def test_a_moved_run_is_resumed(run, started):
    runner = launch.make_runner(
        arguments(run / 'recipe.py', work_dir=str(started), resume='auto'), ExitStack()
    )
    assert runner.cfg.load_from == str(newest(started))


# --- where networks start ---------------------------------------------------
def test_load_from(run, started, tmp_path):
    """A student file starts a run; one that shares no key does not."""
    torch.save(dict(state_dict={'a.weight': torch.zeros(1)}), tmp_path / 'other.pth')
    assert 'no tensor in common: expected generators.' in refused(
        run, work_dir=str(tmp_path / 'new'), options=[f'load_from={tmp_path}/other.pth']
    )
    for name in ('student.pth', newest(started).name):
        assert launch.make_runner(
            arguments(
                run / 'recipe.py',
                work_dir=str(tmp_path / name),
                cfg_options=[f'load_from={started / name}'],
            ),
            ExitStack(),
        )
    change(
        newest(started),
        lambda c: c['state_dict'].pop(
            next(k for k in c['state_dict'] if k.startswith('distiller.'))
        ),
    )
    assert '1 tensors are missing: distiller.' in refused(
        run, work_dir=str(tmp_path / 'newer'), options=[f'load_from={newest(started)}']
    )


def pretrained(path, **more):
    return dict(type='Pretrained', checkpoint=str(path), **more)


@pytest.mark.parametrize(
    'state, prefix, words',
    [
        ({'a.weight': torch.zeros(1)}, '', 'no tensor in common'),
        ({'net.a': torch.zeros(1)}, 'net', 'no tensor in common'),
        ({'net.a': torch.zeros(1)}, 'gen', 'found none'),
        (lambda own: own.popitem(), '', '1 tensors are missing'),
        (lambda own: own.update(more=torch.zeros(1)), '', 'left over: more'),
        (lambda own: own.update({k: v[:1] for k, v in own.items()}), '', 'have another shape'),
    ],
)
def test_pretrained(tmp_path, state, prefix, words):
    """mmengine loads what fits, and logs the rest."""
    config = dict(type='mmgan_compress.SeparableResnetGenerator', base_channels=2, num_blocks=1)
    own = MODELS.build(config).state_dict()
    if callable(state):
        state(own)
    else:
        own = state
    torch.save(own, tmp_path / 'file.pth')
    net = MODELS.build(
        dict(
            config,
            init_cfg=pretrained(tmp_path / 'file.pth', **(dict(prefix=prefix) if prefix else {})),
        )
    )
    with pytest.raises(ValueError, match=words) as caught:
        init_weights(net)
    assert 'file.pth' in str(caught.value)


def test_all_faults_at_once(run, tmp_path):
    """Of students and teachers, by file and network."""
    torch.save(dict(state_dict={'a': torch.zeros(1)}), tmp_path / 'none.pth')
    (tmp_path / 'text.pth').write_text('no weights')
    cfg = launch.Config.fromfile(run / 'recipe.py')
    cfg.model.generator.init_cfg = pretrained(tmp_path / 'none.pth')
    cfg.model.distiller.teacher_checkpoints = [
        str(tmp_path / 'none.pth'),
        str(tmp_path / 'text.pth'),
    ]
    cfg.dump(tmp_path / 'recipe.py')
    message = refused(tmp_path, work_dir=str(tmp_path / 'new'))
    for words in (
        'none.pth does not fit generators.zebra, a SeparableResnetGen',
        'none.pth does not fit the teachers of this config: no tensor in',
        'text.pth is no file of plain weights',
    ):
        assert words in message
    with pytest.raises(ValueError, match='none.pth does not fit'):
        build_model(cfg)
    cfg.model.distiller.teacher_checkpoints.append('nowhere.pth')
    cfg.train_dataloader.dataset.data_root = 'nowhere'
    cfg.dump(tmp_path / 'recipe.py')
    message = refused(tmp_path, work_dir=str(tmp_path / 'new'))
    assert 'trainA' in message and "no weights 'nowhere.pth'" in message


# --- scoring ----------------------------------------------------------------
@pytest.mark.parametrize(
    'file, options, words',
    [
        ('student.pth', ['model.generator.base_channels=8'], 'tensors have another shape'),
        ('iter_1.pth', ['model.generator.base_channels=8'], 'tensors have another shape'),
        ('cut.pth', [], 'cannot be read: it is damaged'),
        ('bare.pth', [], 'no tensor in common'),
    ],
)
def test_score_of_another(run, vgg_file, tmp_path, file, options, words):
    recipe = run / 'scored.py'  # with a test split
    toy_config('cyclegan', run / 'data', vgg_file).dump(recipe)
    cut = (run / 'run/iter_1.pth').read_bytes()[:-100]
    (run / 'run/cut.pth').write_bytes(cut)
    torch.save(dict(epoch=3), run / 'run/bare.pth')
    (run / 'run/scored.py').touch()  # as a run writes it
    message = message_of_error(
        launch.make_tester,
        Namespace(
            **vars(arguments(recipe, work_dir=str(tmp_path), cfg_options=options)),
            checkpoint=str(run / 'run' / file),
            overwrite=False,
        ),
        ExitStack(),
    )
    assert words in message and file in message
    assert ('run/scored.py' in message) == ('tensor' in words)
    assert '\n' not in message


def test_objects_are_not_read(tmp_path):
    torch.save(torch.nn.Conv2d(1, 1, 1), tmp_path / 'module.pth')
    with pytest.raises(ValueError, match='no file of plain weights.*save'):
        read_checkpoint(tmp_path / 'module.pth')
    torch.save(torch.zeros(1), tmp_path / 'tensor.pth')
    with pytest.raises(ValueError, match='holds a Tensor, expected a state'):
        read_checkpoint(tmp_path / 'tensor.pth')


def test_the_command_ends_with_one_line(run, started, tmp_path, monkeypatch, capsys):
    change(newest(started), lambda content: content.pop('optimizer'))
    assert 'it holds no optimizer' in refused_by_tool(
        'train', run / 'recipe.py', '--work-dir', started, '--resume'
    )
