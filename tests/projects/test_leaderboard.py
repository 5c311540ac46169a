"""The leaderboard: a tiny task from the teacher to the page, and what is
refused.
"""

import json
import sys
from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub
from PIL import Image

from mmgan_compress.cli import main
from mmgan_compress.engine.hooks import ProgressHook
from toy import REPO, write_images

FOLDER = REPO / 'projects/leaderboard'
TASK = f"""
_base_ = {str(FOLDER / 'configs/edges2emoji/task.py')!r}
tiny = dict(_delete_=True, type='mmgan_compress.SeparableResnetGenerator', base_channels=2)
model = dict(generator=tiny)
model['distiller'] = dict(
    teachers=dict(wide=tiny),
    discriminator=dict(base_channels=2),
    teacher_checkpoints=['teachers/tiny.pth'],
)
dataset = dict(data_root='data', size=32, load_size=32)
train_dataloader = dict(batch_size=1, dataset=dataset)
scoring_dataloader = dict(dataset=dataset)
scoring_evaluator = dict(
    metrics=[dict(type='mmgan_compress.PairedQuality', domain='emoji', lpips=False)]
)
"""
TRAIN = """
_base_ = 'task.py'
learn = dict(modules=['distiller.teachers'], optimizer=_base_.optimizer)
judge = dict(modules=['distiller.discriminator'], optimizer=_base_.optimizer)
ssim = dict(type='mmgan_compress.SSIMLoss')
model = dict(distiller=dict(offline=False, teacher_checkpoints=[], losses=[ssim]))
optim_wrapper = dict(teachers=learn, discriminators=judge)
default_hooks = dict(rate=dict(minutes=0.001))
"""
TEACHER = """
_base_ = 'task.py'
weights = dict(type='Pretrained', checkpoint='teachers/tiny.pth', prefix='teachers.wide')
model = dict(generator=dict(init_cfg=weights))
test_dataloader = dict(_delete_=True, **_base_.scoring_dataloader)
test_cfg = dict(_delete_=True, type='TestLoop')
test_evaluator = dict(
    _delete_=True, type='mmgan_compress.Evaluator', **_base_.scoring_evaluator
)
"""
IMITATION = """
_base_ = 'task.py'
model = dict(distiller=dict(losses=[dict(type='mmgan_compress.SSIMLoss')]))
"""


@pytest.fixture
def board(request, tmp_path, monkeypatch):
    """Return the module, with a tiny task, its commands in this process."""
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.syspath_prepend(REPO)
    import leaderboard

    root = tmp_path / 'root'
    write_images(root / 'data', dict(train=4, test=2), paired=True)
    manifest = dict(name='tiny', size=32, licence='none', counts=dict(train=4, test=2))
    (root / 'data/.prepared.json').write_text(json.dumps(manifest))
    configs = tmp_path / 'configs/tiny'
    configs.mkdir(parents=True)
    for name, text in dict(
        task=TASK, train_teacher=TRAIN, teacher=TEACHER, imitation=IMITATION
    ).items():
        (configs / f'{name}.py').write_text(text)
    monkeypatch.setattr(leaderboard, 'CONFIGS', configs.parent)
    monkeypatch.setattr(leaderboard, 'RUNS', tmp_path / 'runs')
    task = leaderboard.Task(
        'data',
        leaderboard.trained('tiny', tiny=['teacher', 'discrim']),
        dict(teacher=1, imitation=2),
        0.001,
    )
    monkeypatch.setattr(leaderboard, 'TASKS', dict(tiny=task))
    monkeypatch.setitem(sys.modules['results'].TITLES, 'tiny', 'A tiny task')
    monkeypatch.setitem(sys.modules['results'].MAIN, 'tiny', 'SSIM')
    monkeypatch.chdir(root)

    def call(words, log, minutes=0):
        words = [*map(str, words)]
        monkeypatch.setenv('LEADERBOARD_MINUTES', str(minutes))
        if words[0] == 'benchmark' and getattr(request, 'param', '') != 'measured':  # half a minute
            row = dict(
                runtime='openvino', reason='', pictures={'1': dict(median_ms=1.0, iqr_ms=0.5)}
            )
            machine = dict(cpu='some', cores=2, threads=[1], load=0.0)
            folder = root / words[words.index('--out') + 1]
            folder.mkdir()
            (folder / 'benchmark.json').write_text(json.dumps(dict(rows=[row], machine=machine)))
        else:
            assert main(words) == 0, words

    monkeypatch.setattr(leaderboard, 'call', call)
    return leaderboard


@pytest.mark.parametrize(
    'board', ['faked', pytest.param('measured', marks=pytest.mark.slow)], indirect=True
)
def test_tiny_task(board, tmp_path, monkeypatch, capsys):
    board.run_missing(SimpleNamespace(root=tmp_path / 'root', only=[], jobs=1, minutes=None))
    board.show_status(SimpleNamespace(root=tmp_path / 'root', only=[]))
    assert capsys.readouterr().out.count(' done\n') == 6
    assert (tmp_path / 'root/teachers/tiny.pth').is_file()
    figures = json.loads((tmp_path / 'runs/tiny/imitation-1.json').read_text())
    assert figures['iterations'] >= 1 and figures['cpu_minutes'] >= 0.0
    assert figures['macs'] < figures['macs_paper'] and figures['seed'] == 1
    assert 'SSIM' in ''.join(figures['metrics']) and figures['protocols'].keys() == set(
        figures['metrics']
    )
    monkeypatch.setattr(
        'sys.argv',
        ['leaderboard', 'table', '--runs', str(tmp_path / 'runs'), '--out', str(tmp_path / 'docs')],
    )
    (tmp_path / 'docs').mkdir()
    (tmp_path / 'README.md').write_text('Best:\n<!-- measured: results -->\n<!-- end -->\nIt is.\n')
    arguments = board.parse_args()
    arguments.work(arguments)
    page = (tmp_path / 'docs/results.md').read_text()
    lines = (tmp_path / 'README.md').read_text().splitlines()
    assert [line.split(' | ')[1] for line in lines[4:6]] == ['teacher', 'imitation']
    assert lines[0] == 'Best:' and lines[-1] == 'It is.'
    assert '| imitation | 2 |' in page
    runs = [json.loads((tmp_path / f'runs/tiny/imitation-{i}.json').read_text()) for i in (0, 1)]
    times = [run['latency']['openvino'] for run in runs]
    assert f' {times[0]["median_ms"]:.3g} |' in page
    wide = any(
        timed['iqr_ms'] > 0.1 * timed['median_ms']
        for run in runs
        for runtime, timed in run['latency'].items()
        if runtime != 'machine'
    )
    assert ('imitation' in page.partition('spread above 10 %')[2].partition('\n')[0]) == wide
    with Image.open(tmp_path / 'docs/results_tiny.png') as grid:
        assert grid.height == 4 * 34  # input, teacher, imitation, target
    # a run that was scored in another way
    figures['protocols']['emoji/SSIM'] = 'another window'
    (tmp_path / 'runs/tiny/imitation-1.json').write_text(json.dumps(figures))
    with pytest.raises(ValueError, match='imitation-1 and teacher-0 .* protocol of emoji/SSIM'):
        dict(board.read_runs(tmp_path / 'runs'))


@pytest.mark.parametrize(
    'key, value, what',
    [
        ('size', 128, 'size'),
        ('data', dict(counts=dict(test=3)), 'split and data'),
        ('macs_protocol', 'doubled', 'MACs'),
        ('minutes', 5, 'CPU minutes'),
    ],
)
def test_refuses_to_mix(board, key, value, what):
    run = dict(method='omgd', seed=0, size=64, data={}, macs_protocol='', minutes=20, protocols={})
    other = dict(run, seed=1, **{key: value})
    board.check_comparable('tiny', [run, dict(run, seed=2)])
    with pytest.raises(ValueError, match=f'differ in {what}'):
        board.check_comparable('tiny', [run, other])


def test_names_of_runs(board):
    assert [run.name for run in board.choose_runs(['tiny/imitation'])] == [
        'tiny/imitation/0',
        'tiny/imitation/1',
    ]
    with pytest.raises(ValueError, match='no run is called'):
        board.choose_runs(['tiny/imit'])


def test_budget_counts_on_after_an_interruption(board):
    from projects.leaderboard.budget import BudgetHook

    hook = BudgetHook(minutes=1, share=0.5)
    runner = SimpleNamespace(cfg=SimpleNamespace(resume=True), optim_wrapper={})
    hook.before_train(runner)
    checkpoint = dict(cpu_seconds=22.5)
    hook.after_load_checkpoint(runner, checkpoint)
    assert 22.5 <= hook.used() < 23
    assert hook.factor('student', None, 0) == pytest.approx(0.5, abs=0.04)
    with pytest.raises(ValueError, match='budget'):
        BudgetHook(minutes=-1)


def test_time_left_is_that_of_the_budget():
    """Not that of the iterations, of which there is no end."""
    sys.path.insert(0, str(REPO))
    from projects.leaderboard.budget import BudgetHook

    hook = BudgetHook(minutes=1)
    runner = SimpleNamespace(
        cfg=SimpleNamespace(resume=False),
        optim_wrapper={},
        message_hub=MessageHub('budget'),
        train_loop=SimpleNamespace(schedule=None),
    )
    hook.before_train(runner)
    hook.after_train_iter(runner, 0)
    assert 59 < ProgressHook(interval=1)._left(runner) <= 60


def test_photographs_are_apart():
    sys.path.insert(0, str(REPO))
    from projects.leaderboard import photos

    assert not set(photos.TRAIN) & set(photos.TEST)
    image = Image.effect_noise((300, 200), 60).convert('RGB')
    first, again = (list(photos._crops(image, 'a', 3, 64)) for _ in range(2))
    assert [crop.tobytes() for crop in first] == [crop.tobytes() for crop in again]
    assert {crop.size for crop in first} == {(64, 64)}
