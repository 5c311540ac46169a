"""projects/step_speed: our steps beside the published order of them."""

import functools
import json
import runpy
from types import SimpleNamespace

import pytest
import torch
from mmengine import DefaultScope

from recipes import CONFIGS, RECIPES, ROOT, build_model, load
from students import refused_by_tool

FOLDER = ROOT / 'projects/step_speed'
TOOL = runpy.run_path(str(FOLDER / 'compare_steps.py'))
STEPS = runpy.run_path(str(FOLDER / 'published.py'))['STEPS']
SCALE = runpy.run_path(str(FOLDER / 'scale.py'))


def tiny(name):
    """Return a recipe with networks of a few channels at 32 pixels."""
    from mmgan_compress.demo import apply_demo
    from mmgan_compress.engine.quick import set_size

    cfg = load(name)
    apply_demo(cfg)
    set_size(cfg, 32)
    if 'pix2pix' in name:  # as published: both sides take a first step
        cfg.model.distiller.teacher_interval = 1
    cfg.train_dataloader.batch_size = 1 if 'cyclegan' in name or 'gcc' in name else 2
    return cfg


@pytest.mark.parametrize(
    'name',
    [
        'omgd_cyclegan',
        pytest.param('crd_cyclegan', marks=pytest.mark.slow),
        pytest.param('omgd_pix2pix', marks=pytest.mark.slow),
        'gcc_pix2pix',
    ],
)
def test_losses_are_those_of_the_published_order(name):
    """In a first step, and nearly so behind the updates of both."""
    torch.manual_seed(0)
    cfg = tiny(name)
    with DefaultScope.overwrite_default_scope('mmagic'):
        model, wrappers = TOOL['build'](cfg, 'cpu')
    inputs = TOOL['random_inputs'](cfg, model, 32, 'cpu')
    kind, phases = STEPS[model.distiller.method]
    firsts = TOOL['first_iterations'](model.distiller)
    assert list(firsts) == list(phases)
    for phase, step in phases.items():
        ours = TOOL['our_step'](model, wrappers, inputs, firsts[phase])
        theirs = functools.partial(getattr(kind(model, wrappers), step), inputs)
        theirs = TOOL['turn'](model.distiller, theirs)
        for tolerance in (1e-4, 0.02):
            TOOL['check'](ours(), theirs(), tolerance)


def test_other_losses_are_not_timed():
    one = torch.ones(())
    assert TOOL['check'](dict(loss_a=one, open=one), dict(loss_a=one)) == 0
    with pytest.raises(ValueError, match='loss_b'):
        TOOL['check'](dict(loss_a=one), dict(loss_b=one))
    with pytest.raises(ValueError, match='nothing was timed'):
        TOOL['check'](dict(loss_a=one), dict(loss_a=1.001 * one))


def test_phases_of_the_recipes():
    firsts = {
        name: TOOL['first_iterations'](build_model(load(name)).distiller)
        for name in (
            'omgd_cyclegan',
            'omgd_pix2pix',
            'gcc_cyclegan',
            'omgd_cyclegan-mobile16-offline_1xb1-200e_horse2zebra',
        )
    }
    # 10 epochs of the teacher come first; one iteration stands for an epoch
    assert list(firsts.values()) == [
        dict(teacher=0, student=10),
        dict(joint=0),
        dict(joint=0),
        dict(student=0),
    ]


def test_a_step_is_a_turn_of_the_teacher():
    seen, distiller = [], SimpleNamespace(teacher_interval=3)

    def train_step(inputs, wrappers):
        distiller.iteration += 1
        seen.append(distiller.iteration)
        return {}

    distiller.train_step = train_step
    TOOL['our_step'](SimpleNamespace(distiller=distiller), None, {}, 7)()
    assert seen == [8, 9, 10]


def test_refuses_what_cannot_be_measured(monkeypatch):
    assert "no config 'nothing.py'" in refused_by_tool(
        'compare_steps', 'nothing.py', monkeypatch=monkeypatch
    )
    assert '--rounds 0: expected 1' in refused_by_tool(
        'compare_steps', CONFIGS / 'omgd_cyclegan.py', '--rounds', 0, monkeypatch=monkeypatch
    )


@pytest.mark.slow
def test_command_writes_what_it_measures(tmp_path, monkeypatch, capsys):
    out = tmp_path / 'steps.json'
    options = '--demo --size 32 --rounds 1 --threads 1 --only student --profile --out'.split()
    words = ['compare_steps', RECIPES['omgd_cyclegan'], *options, out]
    monkeypatch.setattr('sys.argv', [str(word) for word in words])
    TOOL['main']()
    (row,) = json.loads(out.read_text())['rows']
    assert (row['recipe'], row['phase'], row['size'], row['threads']) == (
        'omgd_cyclegan',
        'student',
        32,
        1,
    )
    assert row['difference'] <= 1e-4 and row['ratio'] > 0 and row['ours_mb'] > 0
    # of a step of tiny networks: far from the peak, and never above it
    assert 0 < row['of_peak'] < 1
    for parts in row['parts'].values():
        assert {'perceptual', 'SSIMLoss', 'student emoji', 'optimizers', 'rest'} <= set(parts)
    assert '| omgd_cyclegan, student | 32 | 1 |' in capsys.readouterr().out


def test_traffic_is_that_of_the_gradients():
    net = torch.nn.Linear(3, 4)
    frozen = torch.nn.Linear(3, 4).requires_grad_(False)
    parameters = [*net.parameters(), *frozen.parameters()]
    wrapper = SimpleNamespace(param_groups=[dict(params=parameters)])
    assert SCALE['gradient_bytes'](dict(student=wrapper)) == dict(student=64)
