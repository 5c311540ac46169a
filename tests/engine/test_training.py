"""Whole runs through mmengine's Runner: what they leave, how they resume."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from unittest import mock

import pytest
import torch
from mmengine.registry import DefaultScope
from PIL import Image

import mmgan_compress
from mmgan_compress import cli
from mmgan_compress.engine.runner_builder import set_everywhere
from mmgan_compress.models.distillation_model import DistillationModel
from toy import REPO, last_checkpoint, toy_config, train, without_report

# where runs are resumed: in the middle of every phase, and more
STARTS = {'omgd': (1, 2, 3, -1), 'crd': (1, 3), 'gcc': (1, 3)}
# of these, the one that the fast tests try
MIDDLE = dict(cyclegan=3, pix2pix=1, srgan=1, sagan=1)
CASES = [(method, model) for method in STARTS for model in ('cyclegan', 'pix2pix')]
CASES += [('gcc', 'srgan'), ('gcc', 'sagan')]


# CRD takes the steps of OMGD, with other losses
@pytest.fixture(
    scope='module',
    params=[
        pytest.param(case, marks=pytest.mark.slow if case[0] == 'crd' else ()) for case in CASES
    ],
    ids='-'.join,
)
def finished(request, tmp_path_factory, vgg_file):
    """A run with a checkpoint at every iteration."""
    method, model = request.param
    folder = tmp_path_factory.mktemp(f'{method}_{model}')
    with DefaultScope.overwrite_default_scope('mmagic'):
        cfg = toy_config(model, folder / 'data', vgg_file, method=method)
        distiller = cfg.model.distiller
        if model == 'cyclegan':  # full at once: buffers draw numbers
            set_everywhere(distiller, 'buffer_size', 2)
        elif method == 'omgd':
            distiller.teacher_interval = 2
        last = last_checkpoint(train(cfg, folder / 'run'))
    return request.param, cfg, folder / 'run', last


def assert_equal(a, b, where=''):
    """Compare nested containers bit by bit."""
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_equal(a[key], b[key], f'{where}.{key}')
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for index, (x, y) in enumerate(zip(a, b)):
            assert_equal(x, y, f'{where}[{index}]')
    else:
        assert a == b, where


def state_of(checkpoint):
    """Return all that a run continues from or has logged, but the clock."""
    hub = checkpoint['message_hub']
    return dict(
        {k: checkpoint[k] for k in ('state_dict', 'optimizer', 'mmgan_compress')},
        log={k: v for k, v in hub['log_scalars'].items() if not k.endswith('time')},
        best=hub['runtime_info'].get('best_student'),
    )


@pytest.mark.parametrize('everywhere', [False, pytest.param(True, marks=pytest.mark.slow)])
def test_resume_is_bit_equal(finished, everywhere, tmp_path):
    """Weights, optimizers, gaps, buffers, stand-ins and what was logged."""
    (method, model), cfg, folder, last = finished
    for start in set(STARTS[method]) - {MIDDLE[model]} if everywhere else [MIDDLE[model]]:
        start %= last['meta']['iter']
        again = train(without_report(cfg), tmp_path / str(start), folder / f'iter_{start}.pth')
        assert_equal(state_of(last), state_of(last_checkpoint(again)))


@pytest.mark.parametrize('finished', CASES[:1], indirect=True, ids='-'.join)
def test_resume_from_a_sibling_differs(finished, tmp_path):
    """Control: the comparison above can fail."""
    _, cfg, folder, last = finished
    broken = torch.load(folder / 'iter_2.pth', weights_only=True)
    broken['optimizer'] = torch.load(folder / 'iter_1.pth', weights_only=True)['optimizer']
    torch.save(broken, tmp_path / 'broken.pth')
    again = train(without_report(cfg), tmp_path, tmp_path / 'broken.pth')
    with pytest.raises(AssertionError):
        assert_equal(last['state_dict'], last_checkpoint(again)['state_dict'])


def test_state_holds_what_the_method_remembers(finished):
    """Control: what is compared is there, and not what it began with."""
    (method, model), cfg, folder, last = finished
    state = last['mmgan_compress']['distiller']
    first = torch.load(folder / 'iter_1.pth', weights_only=True)
    assert len(last['message_hub']['log_scalars']) > 10
    for name in last['optimizer']:
        assert last['optimizer'][name]['state']
    if method == 'gcc':
        gaps = first['mmgan_compress']['distiller']['gaps']
        assert set(gaps) == set(cfg.model.reachable_domains)
        assert not set(gaps.values()) & set(state['gaps'].values())
    elif model == 'cyclegan':
        assert list(state['teacher_snapshots']) == ['teacher:zebra']
    if model == 'cyclegan':
        for key in ('buffers', 'student_buffers')[: 1 + (method == 'gcc')]:
            assert {d: len(x) for d, x in state[key].items()} == dict(horse=2, zebra=2)


@pytest.mark.parametrize('finished', CASES[-1:], indirect=True, ids='-'.join)
def test_second_stream_is_resumed(finished, tmp_path):
    """It deals the same images as the main one, in an order of its own."""
    _, cfg, folder, _ = finished
    take_step, seen = DistillationModel.train_step, []

    def spy(self, data, optim_wrapper):
        seen.append((data['inputs'], data['streams']['gates']['inputs']))
        return take_step(self, data, optim_wrapper)

    with mock.patch.object(DistillationModel, 'train_step', spy):
        train(without_report(cfg), tmp_path / 'whole')
        whole = seen[:]
        seen.clear()
        train(without_report(cfg), tmp_path / 'rest', folder / 'iter_1.pth')
    assert_equal(whole[1:], seen)
    for main, gates in whole:
        with pytest.raises(AssertionError):
            assert_equal(main, gates)


@pytest.mark.slow
@pytest.mark.parametrize('finished', CASES[::2], indirect=True, ids='-'.join)
def test_killed_run_ends_bit_equal(finished, tmp_path):
    """By the real command, killed at a random moment of a random step."""
    _, cfg, _, last = finished
    total = last['meta']['iter']
    without_report(cfg).dump(tmp_path / 'recipe.py')
    tmp_path /= 'run'
    command = [
        sys.executable,
        str(REPO / 'tools/train.py'),
        str(tmp_path.parent / 'recipe.py'),
        '--work-dir',
        str(tmp_path),
    ]
    chance = random.SystemRandom()  # runs in this process seed the other
    at, wait = chance.randrange(1, total - 1), chance.uniform(0, 0.2)
    written = tmp_path / 'last_checkpoint'
    process = subprocess.Popen(command)
    try:
        while process.poll() is None and not (
            written.exists() and written.read_text().endswith(f'iter_{at}.pth')
        ):
            time.sleep(0.01)
        time.sleep(wait)
    finally:
        os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / f'iter_{total}.pth').exists()
    subprocess.run([*command, '--resume'], check=True)
    again = torch.load(tmp_path / f'iter_{total}.pth', weights_only=True)
    print(f'killed {wait:.3f} s after step {at}')
    assert_equal(state_of(last), state_of(again))


def test_checkpoints_hold_no_fixed_network(finished):
    assert not [k for k in finished[-1]['state_dict'] if 'perceptual' in k]


def test_run_leaves_students_table_and_pictures(finished):
    (method, model), cfg, folder, last = finished
    for domain in cfg.model.reachable_domains:
        net = mmgan_compress.load_student(folder / 'student.pth', domain)
        for key, value in net.state_dict().items():
            assert torch.equal(value, last['state_dict'][f'generators.{domain}.{key}'])
    assert (folder / 'student_best.pth').is_file()
    domain = cfg.model.default_domain
    net = mmgan_compress.load_student(folder / 'student.pth')
    report = json.loads((folder / 'report.json').read_text())
    names = [row['name'] for row in report['rows']]
    teachers = (
        ['teacher'] if model == 'cyclegan' else ['wide', 'deep'] if method == 'omgd' else ['wide']
    )
    assert names == [*teachers, 'student', 'student, best(val)']
    student = report['rows'][len(teachers)]
    assert student['params'] == sum(p.numel() for p in net.parameters())
    figure = 'Brightness' if model == 'sagan' else 'SSIM'
    assert f'{domain}/{figure}' in student['metrics']
    likeness = {f'{domain}/{figure} to {teachers[0]}' for figure in ('PSNR', 'colour shift')}
    with_likeness = [likeness <= set(row['metrics']) for row in report['rows']]
    assert with_likeness == [row.startswith('student') for row in names]
    assert 'generator mode: eval' in (folder / 'report.md').read_text()
    with Image.open(folder / 'comparison.png') as picture:
        assert picture.width > (2 if model == 'sagan' else 3) * 192  # of noise there is no picture
    # for whichever backends of the visualizer the config names
    assert list(folder.glob('*/vis_data/vis_image/comparison*.png'))


@pytest.mark.parametrize('finished', CASES[:2], indirect=True, ids='-'.join)
def test_tools_test_scores_checkpoint_and_student(finished, tmp_path, monkeypatch):
    """The same figures as at the end of the run."""
    _, cfg, folder, last = finished
    report = json.loads((folder / 'report.json').read_text())
    for file in (f'iter_{last["meta"]["iter"]}.pth', 'student.pth'):
        cfg.experiment_name = f'{folder.parent.name}_{file}'
        cfg.dump(tmp_path / 'recipe.py')
        assert (
            cli.main(
                [
                    'test',
                    str(tmp_path / 'recipe.py'),
                    str(folder / file),
                    '--work-dir',
                    str(tmp_path / file),
                ]
            )
            == 0
        )
        again = json.loads((tmp_path / file / 'report.json').read_text())
        old = {row['name']: row['metrics'] for row in report['rows']}
        new = {row['name']: row['metrics'] for row in again['rows']}
        has_teachers = file.startswith('iter')
        assert ('wide' in new or 'teacher' in new) == has_teachers
        for name in new:
            expected = {k: v for k, v in old[name].items() if has_teachers or ' to ' not in k}
            assert new[name] == pytest.approx(expected)
