"""Two processes are one with a batch of twice the size."""

import subprocess
import sys
from collections import Counter

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmgan_compress.engine.runner_builder import set_everywhere
from mmgan_compress.models.student import load_student
from toy import REPO, toy_config, train, without_report
from two_processes import CHECKS

# One start of two processes trains all recipes of a group. The quick ones have
# two teachers, both kinds of norms, gates, buffers and scores of two processes.
QUICK = [('omgd', 'pix2pix'), ('gcc', 'cyclegan')]
OTHERS = [
    (method, host)
    for method in ('omgd', 'crd', 'gcc', 'plain')
    for host in ('cyclegan', 'pix2pix')
    if (method, host) not in QUICK
]


def comparable(method, host, root, vgg):
    """Return a toy recipe, with what has no equal on one process left out.

    That is dropout, which draws on each process, and the deeper teacher of
    OMGD, whose gradient in float32 is 1 % off that in float64
    (tests/two_processes.py compares it in float64). By SGD: Adam blows the
    rounding of biases before an instance norm, whose gradient is zero, up to
    whole steps; larger ones for what learns less.
    """
    cfg = toy_config(host, root, vgg, method=method)
    cfg.randomness.seed = 3
    distiller = cfg.model.distiller
    distiller.schedule = dict(epochs=3, constant=3, block=3, iters_per_epoch=1)
    if method in ('omgd', 'crd') and host == 'cyclegan':
        distiller.schedule = dict(
            epochs=2, constant=2, block=1, student_epochs=1, iters_per_epoch=1
        )
    if host == 'pix2pix':
        set_everywhere(cfg.model, 'norm_cfg', dict(type='BN'))
        set_everywhere(cfg.model, 'use_dropout', False)
        if method == 'omgd':
            distiller.teachers.deep = distiller.teachers.wide
    rates = dict(student=1e-4, teachers=1e-4, gates=1e-2)
    for name, wrapper in cfg.optim_wrapper.items():
        if isinstance(wrapper, dict):
            wrapper.optimizer = dict(type='SGD', lr=rates.get(name, 1e-3))
    if method != 'omgd':  # one is validated and scored by two processes
        cfg = without_report(cfg)
        cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
        cfg.custom_hooks = []
    return cfg


@pytest.fixture(
    scope='module',
    params=[QUICK, pytest.param(OTHERS, marks=pytest.mark.slow)],
    ids=['quick', 'others'],
)
def alike(request, tmp_path_factory, vgg_file):
    """Recipes trained by one process and by two at one global batch."""
    folder = tmp_path_factory.mktemp('alike')
    files = []
    with DefaultScope.overwrite_default_scope('mmagic'):
        for method, host in request.param:
            cfg = comparable(method, host, folder / host, vgg_file)
            files.append(folder / f'{method}_{host}.py')
            cfg.dump(files[-1])  # sorts its keys, and draws follow them
            train(Config.fromfile(files[-1]), folder / 'one' / files[-1].stem)
            cfg.train_dataloader.batch_size = 1
            cfg.dump(files[-1])
    subprocess.run(
        [
            sys.executable,
            '-m',
            'torch.distributed.run',
            '--standalone',
            '--nproc_per_node=2',
            str(REPO / 'tests/train_recipes.py'),
            *map(str, files),
        ],
        check=True,
    )
    return folder, request.param


def test_two_processes_equal_one(alike):
    """At the same global batch, by gloo on the CPU."""
    folder, cases = alike
    for method, host in cases:
        check_two_processes(method, host, folder)


def check_two_processes(method, host, folder):
    """Assert that a recipe gave the same on two processes.

    To rounding after the first step. In the second a kink (ReLU, hinge, L1)
    may be met on its other side, which is far less than what moves.
    """
    one, two = (
        [
            torch.load(path / f'{method}_{host}' / f'iter_{n}.pth', weights_only=True)['state_dict']
            for n in (1, 2, 3)
        ]
        for path in (folder / 'one', folder)
    )
    assert one[0].keys() == two[0].keys()
    for key, value in one[0].items():
        assert torch.allclose(value, two[0][key], rtol=0, atol=1e-5), (method, host, key)
    apart, moved = Counter(), Counter()
    for key, value in one[1].items():
        name = 'gates' if '.gates.' in key else '.'.join(key.split('.')[:2])
        apart[name] += (value - two[1][key]).square().sum().item()
        moved[name] += (one[2][key] - one[0][key]).square().sum().item()
    print(method, host, {k: (apart[k] ** 0.5, moved[k] ** 0.5) for k in moved})
    for name in set(moved) - {'distiller.teacher_snapshots'}:
        assert moved[name] ** 0.5 > 5e-6
        assert apart[name] < 0.05**2 * moved[name], (method, host, name)
    assert (folder / f'{method}_{host}/report.json').is_file() == (method == 'omgd')


def test_all_processes_score_the_student_that_is_saved(alike):
    """Batch norm's statistics included."""
    ((_, host),) = [case for case in alike[1] if case[0] == 'omgd']
    folder = alike[0] / f'omgd_{host}'
    scored, other = (
        torch.load(folder / f'scored_{rank}.pth', weights_only=True) for rank in (0, 1)
    )
    assert torch.equal(scored['image'], other['image'])
    saved = load_student(folder / 'student.pth').state_dict()
    assert any('running_mean' in key for key in saved) == (host == 'pix2pix')
    for state in (scored['state'], other['state']):
        assert state.keys() == saved.keys()
        assert all(torch.equal(saved[key], state[key]) for key in saved)


def test_gradients_of_two_processes(alike):
    """What tests/two_processes.py asserts, on both of them."""
    for rank in (0, 1):
        done = (alike[0] / f'checks_{rank}').read_text().split()
        assert done == [check.__name__ for check in CHECKS]
