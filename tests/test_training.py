"""Whole runs through mmengine's Runner: what they leave, how they resume."""
import json
import subprocess
import sys
import uuid

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image
from toy import REPO, toy_config

import mmgan_compress


def run(cfg, work_dir, resume_from=None):
    """Train and return the last checkpoint."""
    cfg = Config(cfg.to_dict())
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = uuid.uuid4().hex
    if resume_from is not None:
        cfg.resume, cfg.load_from = True, str(resume_from)
    runner = Runner.from_cfg(cfg)
    runner.train()
    return torch.load(work_dir / f'iter_{runner.iter}.pth', weights_only=True)


@pytest.fixture(scope='module', params=['cyclegan', 'pix2pix'])
def finished(request, tmp_path_factory, vgg_file):
    """A run with a checkpoint at every iteration."""
    from mmengine.registry import DefaultScope
    folder = tmp_path_factory.mktemp(request.param)
    with DefaultScope.overwrite_default_scope('mmagic'):
        cfg = toy_config(request.param, folder / 'data', vgg_file)
        if request.param == 'cyclegan':  # full at once: buffers draw numbers
            cfg.model.distiller.teacher.buffer_size = 2
        else:
            cfg.model.distiller.teacher_interval = 2
        last = run(cfg, folder / 'run')
    return cfg, folder / 'run', last


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


def test_resume_is_bit_equal(finished, tmp_path):
    """From the middle of every phase, teachers' and student's."""
    cfg, folder, last = finished
    total = last['meta']['iter']
    for start in (1, 2, 3, total - 1):
        again = run(cfg, tmp_path / str(start), folder / f'iter_{start}.pth')
        for part in ('state_dict', 'optimizer', 'mmgan_compress'):
            assert_equal(last[part], again[part], part)
        best = [c['message_hub']['runtime_info'].get('best_student')
                for c in (last, again)]
        assert best[0] == best[1]


def test_resume_from_a_sibling_differs(finished, tmp_path):
    """Control: the comparison above can fail."""
    cfg, folder, last = finished
    broken = torch.load(folder / 'iter_2.pth', weights_only=True)
    broken['optimizer'] = torch.load(folder / 'iter_1.pth',
                                     weights_only=True)['optimizer']
    torch.save(broken, tmp_path / 'broken.pth')
    again = run(cfg, tmp_path / 'run', tmp_path / 'broken.pth')
    with pytest.raises(AssertionError):
        assert_equal(last['state_dict'], again['state_dict'])


def test_checkpoints_hold_no_fixed_network(finished):
    _, _, last = finished
    assert not [k for k in last['state_dict'] if 'perceptual' in k]


def test_run_leaves_students_table_and_pictures(finished):
    cfg, folder, last = finished
    domain = cfg.model.default_domain
    net = mmgan_compress.load_student(folder / 'student.pth')
    for key, value in net.state_dict().items():
        assert torch.equal(value,
                           last['state_dict'][f'generators.{domain}.{key}'])
    assert (folder / 'student_best.pth').is_file()
    report = json.loads((folder / 'report.json').read_text())
    names = [row['name'] for row in report['rows']]
    teachers = ['teacher'] if 'teacher' in cfg.model.distiller else [
        'wide', 'deep']
    assert names == [*teachers, 'student', 'student, best(val)']
    student = report['rows'][len(teachers)]
    assert student['params'] == sum(p.numel() for p in net.parameters())
    assert f'{domain}/SSIM' in student['metrics']
    assert 'generator mode: eval' in (folder / 'report.md').read_text()
    with Image.open(folder / 'comparison.png') as picture:
        assert picture.width > 3 * 192
    # for whichever backends of the visualizer the config names
    assert list(folder.glob('*/vis_data/vis_image/comparison*.png'))


def test_tools_test_scores_checkpoint_and_student(finished, tmp_path):
    """The same figures as at the end of the run."""
    cfg, folder, last = finished
    cfg.dump(tmp_path / 'recipe.py')
    report = json.loads((folder / 'report.json').read_text())
    for file in (f"iter_{last['meta']['iter']}.pth", 'student.pth'):
        subprocess.run([
            sys.executable, str(REPO / 'tools/test.py'),
            str(tmp_path / 'recipe.py'), str(folder / file),
            '--work-dir', str(tmp_path / file)], check=True)
        again = json.loads((tmp_path / file / 'report.json').read_text())
        old = {row['name']: row['metrics'] for row in report['rows']}
        new = {row['name']: row['metrics'] for row in again['rows']}
        assert new['student'] == pytest.approx(old['student'])
        assert ('wide' in new or 'teacher' in new) == file.startswith('iter')
        for name in new:
            assert new[name] == pytest.approx(old[name])


@pytest.mark.parametrize('host', ['cyclegan', 'pix2pix'])
def test_two_processes_equal_one(host, tmp_path, vgg_file):
    """At the same global batch, by gloo on the CPU.

    Without what depends on the batch by definition: adaptors' batch norm,
    the total variation, which is a sum, and each process's image buffer. By
    SGD: Adam blows the rounding of biases before an instance norm, whose
    gradient is zero, up to whole steps.
    """
    cfg = toy_config(host, tmp_path / 'data', vgg_file)
    cfg.model.distiller.terms = [
        dict(type='mmgan_compress.SSIMTerm'),
        dict(type='mmgan_compress.PerceptualTerm')]
    if host == 'cyclegan':
        cfg.model.distiller.teacher.buffer_size = 0
    else:  # the gradient of a U-Net with one pixel in the middle explodes
        net = dict(type='mmgan_compress.SeparableResnetGenerator',
                   base_channels=4, num_blocks=2)
        cfg.model.generator = dict(net)
        cfg.model.distiller.teachers = dict(wide=dict(net), deep=dict(net))
    for wrapper in cfg.optim_wrapper.values():
        if isinstance(wrapper, dict):
            wrapper.optimizer = dict(type='SGD', lr=1e-3)
    states = {}
    for processes in (1, 2):
        cfg.train_dataloader.batch_size = 2 // processes
        cfg.dump(tmp_path / f'recipe{processes}.py')
        work_dir = tmp_path / f'run{processes}'
        command = [str(REPO / 'tools/train.py'),
                   str(tmp_path / f'recipe{processes}.py'),
                   '--work-dir', str(work_dir)]
        if processes == 2:
            command = ['-m', 'torch.distributed.run', '--standalone',
                       '--nproc_per_node=2', *command, '--launcher=pytorch']
        subprocess.run([sys.executable, *command], check=True)
        states[processes] = [torch.load(
            work_dir / f'iter_{n}.pth', weights_only=True)['state_dict']
            for n in (1, 2, 3)]
        assert (work_dir / 'report.json').is_file()
    # after two steps to rounding; later a kink (ReLU, hinge, L1) may be met
    # on its other side, still far less than what a step moves
    for step, tolerance in ((1, 1e-5), (2, 5e-4)):
        for key, value in states[1][step].items():
            assert torch.allclose(value, states[2][step][key],
                                  atol=tolerance), key
    start, end = states[1][0], states[1][2]
    assert sum((end[k] - start[k]).abs().max() > 2e-3 for k in end) > 20
