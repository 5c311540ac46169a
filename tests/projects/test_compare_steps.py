"""projects/step_cost/benchmark_steps.py: what a training step costs."""

import json
import runpy
from types import SimpleNamespace

import pytest

from recipes import CONFIGS, RECIPES, ROOT, build_model, load
from students import refused_by_tool, run_tool

TOOL = runpy.run_path(str(ROOT / 'projects/step_cost/benchmark_steps.py'))


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


@pytest.mark.parametrize('interval', [1, 3])
def test_teachers_turn_is_part_of_the_average(interval):
    seen, distiller = [], SimpleNamespace(teacher_interval=interval)

    def train_step(inputs, wrappers):
        distiller.iteration += 1
        seen.append(distiller.iteration)

    distiller.train_step = train_step
    seconds = TOOL['seconds_per_iteration'](
        SimpleNamespace(distiller=distiller), None, {}, 7, 2, 'cpu'
    )
    # one to warm up and two that count, each over a turn of the teacher
    assert seen == 3 * list(range(8, 8 + interval))
    assert 0 <= seconds < 1


def test_table():
    rows = [
        dict(recipe='a', batch=1, size=64, seconds=dict(teacher=1.234, student=0.5)),
        dict(recipe='b', batch=4, size=64, seconds=dict(joint=2.0)),
    ]
    assert TOOL['table'](rows).splitlines()[2:] == [
        '| a | 1 | 64 | 1.23 s | 0.50 s |  |',
        '| b | 4 | 64 |  |  | 2.00 s |',
    ]


def test_refuses_what_cannot_be_measured(monkeypatch):
    assert "no config 'nothing.py'" in refused_by_tool(
        'benchmark_steps', 'nothing.py', monkeypatch=monkeypatch
    )
    assert '--steps 0: expected 1' in refused_by_tool(
        'benchmark_steps', CONFIGS / 'omgd_cyclegan.py', '--steps', 0, monkeypatch=monkeypatch
    )


def test_command_prints_json_alone():
    name = 'omgd_cyclegan-mobile16-images_1xb1-200e_horse2zebra'
    done = run_tool(
        'benchmark_steps',
        RECIPES[name],
        '--demo',
        '--json',
        '--size',
        32,
        '--steps',
        1,
        '--threads',
        1,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout)
    assert result['threads'] == result['steps'] == 1
    [row] = result['recipes']
    assert (row['recipe'], row['batch'], row['size']) == (name, 1, 32)
    assert list(row['seconds']) == ['student']
    assert row['seconds']['student'] > 0
