"""Pipelines that are killed, that meet each other, and that train."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict

from mmgan_compress import save_student
from mmgan_compress.cli.errors import guard
from mmgan_compress.core.commands import interruptible
from mmgan_compress.core.configs import find_config
from mmgan_compress.engine.processes import locked, run_logged
from mmgan_compress.models import from_student
from pipelines import (
    CHAIN,
    calls,
    read,
    refused,
    result,
    run,
    stage,
    statuses,
    toy_folder,  # noqa: F401  each test runs there
    write_config,
)
from students import run_tool
from toy import build_model, toy_config


def dead(pid):
    """Tell whether a process ends, soon or at least within a while."""
    for _ in range(3000):  # longer on a busy machine
        try:
            if Path(f'/proc/{pid}/stat').read_text().split()[2] == 'Z':
                return True
            os.kill(pid, 0)
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


def killed(signum, at):
    """Start the pipeline in a process, kill it when a file is there.

    Returns:
        Process: That process, ended.
    """

    def foreground():
        # a shell that starts the tests in the background lets them ignore it
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.exit(guard(run))

    process = multiprocessing.get_context('fork').Process(target=foreground)
    process.start()
    for _ in range(12000):
        if Path(at).exists():
            break
        time.sleep(0.01)
    os.kill(process.pid, signum)
    process.join(120)
    assert not process.is_alive()
    return process


@pytest.mark.parametrize('signum', [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize('kind', ['write', 'count'])
def test_kill_and_resume(kind, signum, capsys):
    write_config([CHAIN[0], stage('b', 'hang go', '{a}/student.pth', kind), CHAIN[2]])
    process = killed(signum, 'work/2_b/run/waits')
    assert process.exitcode == (-9 if signum == signal.SIGKILL else 130)
    (first,) = Path('work/2_b/calls').read_text().splitlines()
    assert dead(int(first.split()[0]))
    assert statuses() == dict(a='done', b='running')
    run(status=True)
    out = capsys.readouterr().out
    assert 'b      interrupted' in out and 'c      pending' in out
    Path('go').touch()
    run()
    assert result('3_c') == 'a;hang go;c;' and calls('1_a') == 1
    _, second = Path('work/2_b/calls').read_text().splitlines()
    assert ('--resume' in second) == (kind == 'count')
    # what the killed command left is not among the results of another
    assert Path('work/2_b/run/waits').exists() == (kind == 'count')


def test_a_command_is_ended_with_its_workers(folder):
    """Also where the process that stops it lives on."""
    code = """
import os, time
worker = os.fork()
if worker:
    open('pids.part', 'w').write(f'{os.getpid()} {worker}')
    os.rename('pids.part', 'pids')
time.sleep(60)
"""

    def stop():
        while not Path('pids').exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(KeyboardInterrupt), interruptible(), locked(folder) as lock:
        run_logged([sys.executable, '-S', '-c', code], folder / 'log', lock)
    assert all(dead(int(pid)) for pid in Path('pids').read_text().split())


def test_half_trained_stage_keeps_its_inputs():
    write_config([stage('a', 'hang go', run='count')])
    killed(signal.SIGKILL, 'work/1_a/run/waits')
    message = refused([stage('a', 'other', run='count')])
    assert "stage 'a' is half done with other inputs" in message
    assert "text: 'hang go' -> 'other'" in message


def test_one_pipeline_per_folder(capsys):
    run(CHAIN[:1])
    write_config(CHAIN)
    with locked(Path('work')):
        assert f'process {os.getpid()} works in work already' in refused()
    assert calls('2_b') == 0
    run()
    assert calls('2_b') == 1


def one(**keys):
    """Return a pipeline's only stage."""
    write_config([dict(keys, name='b')])
    return read('p.py', Path('work'))['b']


def test_commands():
    def arguments(**keys):
        return one(**keys).arguments(Path('out'))

    assert arguments(
        run='prune',
        source='s.pth',
        pruner='NormWidths',
        budget=['macs_paper=1e9', 'params=2e6'],
        size=256,
    ) == [
        's.pth',
        '--pruner',
        'NormWidths',
        '--budget',
        'macs_paper=1e9',
        'params=2e6',
        '--size',
        '256',
        '--out',
        'out',
    ]
    assert arguments(
        run='compress',
        source='s.pth',
        pruner='SlimExtraction',
        threads=1,
        training='omgd_pix2pix.py',
    ) == [
        's.pth',
        '--pruner',
        'SlimExtraction',
        '--threads',
        '1',
        '--training',
        find_config('omgd_pix2pix.py'),
        '--out',
        'out',
    ]
    assert arguments(run='export', source='s.pth', dynamic=True, uint8=False) == [
        's.pth',
        '--dynamic',
        '--out',
        'out',
    ]
    name = 'image-translation_openvino_static-256x256.py'
    assert arguments(run='export', source='s.pth', deploy_cfg=name, uint8=True) == [
        's.pth',
        '--deploy-cfg',
        find_config(name),
        '--uint8',
        '--out',
        'out',
    ]


@pytest.mark.parametrize(
    'run, key, keys',
    [
        ('write', 'training', dict(text='a')),
        ('export', 'deploy_cfg', {}),
        ('compress', 'training', dict(pruner='NormWidths')),
        ('compress', 'finetune', dict(pruner='NormWidths')),
        ('quantize', 'test', {}),
        ('quantize', 'calibration', {}),
    ],
)
def test_what_a_config_says_is_an_input(run, key, keys):
    """Its base, too; a comment does not count."""
    Path('base.py').write_text('a = 1\n')
    Path('config.py').write_text("_base_ = 'base.py'\n")

    def inputs():
        return one(run=run, source='s.pth', **keys, **{key: 'config.py'}).inputs()

    before = inputs()
    Path('base.py').write_text('a = 1  # one\n')
    assert inputs() == before
    Path('base.py').write_text('a = 2\n')
    assert {name for name in before if inputs()[name] != before[name]} == {'contents of config.py'}


def test_images_to_calibrate_on_are_no_config():
    step = one(run='quantize', source='s.pth', calibration='images')
    assert 'contents of images' not in step.inputs()
    assert step.args.calibration == 'images'


@pytest.fixture
def training(folder, vgg_file):
    """A pipeline of one training, and the student that it starts from."""
    cfg = toy_config('pix2pix', folder / 'data', vgg_file)
    cfg.model.distiller.schedule = dict(epochs=1, constant=1, block=1, iters_per_epoch=1)
    for part in ('dataloader', 'cfg', 'evaluator'):  # quick: no scores
        cfg[f'val_{part}'] = cfg[f'test_{part}'] = None
    cfg.dump('toy.py')
    cfg.model.generator.base_channels = 2
    save_student('small.pth', build_model(cfg), source='Test', image_size=32)
    return dict(name='t', run='train', config='toy.py', generator='small.pth')


@pytest.mark.slow
def test_a_training_by_the_command(training):
    """The student is that of the file, and the command leaves a recipe."""
    cfg_options = {'optim_wrapper.student.optimizer.lr': 0.0}
    write_config(
        [
            dict(training, inherit=True, cfg_options=cfg_options),
            dict(name='e', run='export', source='{t}/student.pth', size=32),
        ]
    )
    done = run_tool('pipeline', 'p.py')
    assert done.returncode == 0, done.stderr
    student = torch.load('work_dirs/p/1_t/run/student.pth', weights_only=True)
    source = torch.load('small.pth', weights_only=True)
    for key, value in source['state_dict'].items():
        assert torch.equal(value, student['state_dict'][key]), key
    assert Path('work_dirs/p/2_e/run/parity.json').is_file()
    recipe = Config.fromfile('work_dirs/p/1_t/recipe.py')
    assert recipe.optim_wrapper.student.optimizer.lr == 0
    run(work_dir='work_dirs/p')  # done
    text = Path('toy.py').read_text()
    Path('toy.py').write_text(text.replace('seed=233', 'seed=234'))
    assert 'contents of toy.py: changed' in refused(work_dir='work_dirs/p')


@pytest.mark.parametrize(
    'key, value',
    [
        ('model.distiller.teacher_checkpoints', ['teacher.pth']),
        (
            'model.distiller.teachers.wide.init_cfg',
            dict(type='Pretrained', checkpoint='teacher.pth'),
        ),
    ],
)
def test_weights_that_a_training_starts_from(training, key, value):
    """By their contents; what of this pipeline it takes over is no other."""
    Path('teacher.pth').write_text('1')
    step = one(**dict(training, inherit=True, cfg_options={key: value}))
    before = step.inputs()
    Path('teacher.pth').write_text('2')
    after = step.inputs()
    assert {name for name in before if after[name] != before[name]} == {'file teacher.pth'}


def recipe_of(training, **changes):
    """Return what a stage trains."""
    step = one(**dict(training, **changes))
    step.recipe.model.generator = ConfigDict(step.generator)
    from_student.resolve_students(step.recipe)
    return step.recipe


def test_networks_are_taken_over(training, monkeypatch):
    """Without weights, with them, and one for each domain."""
    generator = recipe_of(training).model.generator
    assert generator.base_channels == 2
    assert 'init_cfg' not in generator
    both = {
        domain: dict(type='ResnetGenerator', base_channels=width)
        for domain, width in (('edges', 1), ('shoes', 2))
    }
    monkeypatch.setattr(
        from_student,
        'student_info',
        lambda path: dict(generator=both['shoes'], generators=both, reachable=list(both)),
    )
    assert recipe_of(training).model.generator.to_dict() == dict(
        shoes=both['shoes']
    )  # the one that it trains
    weights = dict(type='Pretrained', checkpoint='small.pth')
    assert recipe_of(
        training, inherit=True, cfg_options={'model.reachable_domains': ['edges', 'shoes']}
    ).model.generator.to_dict() == {
        name: dict(config, init_cfg=dict(weights, prefix=f'generators.{name}'))
        for name, config in both.items()
    }
    with pytest.raises(ValueError, match='has networks for'):
        recipe_of(training, inherit=True, cfg_options={'model.reachable_domains': ['maps']})


def test_missing_images_are_found_before_the_first_stage(training):
    Path('data').rename('moved')
    assert 'no images in' in refused([stage('first'), training])
    assert not Path('work').exists()
