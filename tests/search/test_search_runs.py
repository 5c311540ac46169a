"""``mmgan-compress search`` on a toy recipe."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from PIL import Image

import toy
from mmgan_compress import load_student, save_student
from mmgan_compress.core.channels import recalibrate
from mmgan_compress.core.search_space import read_configuration
from mmgan_compress.datasets.images import origin_of
from mmgan_compress.engine.processes import locked
from mmgan_compress.registry import DATASETS
from mmgan_compress.search.scoring import SubnetScorer, check_origin, read_model
from students import run_tool
from supernets import filled

ARCH = dict(
    type='mmgan_compress.SeparableResnetGenerator',
    base_channels=4,
    num_blocks=3,
    norm_cfg=dict(type='BN'),
)


@pytest.fixture(scope='module')
def place(tmp_path_factory, vgg_file):
    """Return a folder with a recipe, its images and a super-net."""
    place = tmp_path_factory.mktemp('search')
    cfg = toy.toy_config('pix2pix', place / 'data', vgg_file, method='gan_compression')
    cfg.model.generator = dict(
        type='mmgan_compress.SuperNet', arch=ARCH, space=[[4, 2]] * 2 + [[4]] * 6
    )
    cfg.dump(place / 'recipe.py')
    cfg.model.distiller = None
    model = toy.MODELS.build(cfg.model)
    filled(model.generators['shoes'].network)
    save_student(place / 'supernet.pth', model, source='test', image_size=toy.SIZE)
    return place


@pytest.fixture
def tool(place, monkeypatch):
    """Return the command, in this process: each would import for seconds."""
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(str(place))

    def tool(*words):
        done = run_tool('search', *words)
        if done.returncode:
            raise SystemExit(done.stderr)

    return tool


def test_from_recipe_to_student(place, monkeypatch):
    """The best sub-network is its slice, with its own batch norms."""
    monkeypatch.chdir(place)
    words = (
        'search',
        'recipe.py',
        'supernet.pth',
        '--out',
        'found',
        '--sampler',
        'exhaustive',
        '--top',
        '1',
        '--budget',
        'macs=0.9',
        '--calibration-images',
        '4',
    )
    done = run_tool(*words)
    assert done.returncode == 0, done.stderr
    assert 'published' not in done.stdout and 'largest' in done.stdout
    content = json.loads((place / 'found/front.json').read_text())
    rows = content['front'] + content['others']
    assert len(rows) == 3 and content['higher_is_better']  # SSIM
    # the largest is above the budget: scored, but not chosen
    (front,) = [[r['configuration'] for r in content['front']]]
    largest = '_'.join('4' * 8)
    assert largest in {r['configuration'] for r in rows} - set(front)
    best = max(content['front'], key=lambda row: row['metric'])
    folder = place / 'found/subnets' / best['configuration']
    assert (folder / 'student.pth').read_bytes() == (place / 'found/student.pth').read_bytes()
    cfg = Config.fromfile(place / 'recipe.py')
    scorer = SubnetScorer(cfg, read_model(cfg, place / 'supernet.pth'), calibration_images=4)
    assert scorer(read_configuration(best['configuration'])) == pytest.approx(
        best['metric'], rel=1e-5
    )
    small = load_student(place / 'found/student.pth')
    scorer.set_channels(best['configuration'])
    torch.manual_seed(0)
    image = torch.rand(1, 3, toy.SIZE, toy.SIZE) * 2 - 1
    with torch.no_grad():
        assert torch.equal(small(image), scorer.net(image))
    assert recalibrate(scorer.net, scorer._batches()) == 4
    again = run_tool(*words)  # nothing is left to do
    assert again.returncode == 0, again.stderr
    assert json.loads((place / 'found/front.json').read_text())['front'] == content['front']
    other = run_tool(*words[:-1], '3')
    assert other.returncode == 1
    assert 'holds the results of another search' in other.stderr


@pytest.mark.parametrize(
    'words, message',
    [
        (['--sampler', 'budget'], 'needs a --budget'),
        (['--budget', 'macs=0.01'], 'the nearest is 2_2_4_4_4_4_4_4 with'),
        (['--metric', 'shoes/FID'], "no metric 'shoes/FID'; computed are"),
        (['--objective', 'watts'], "no cost 'watts'"),
        (['--objective', 'latency@watts'], "runtime is 'watts'"),
        (
            ['--budget', 'latency@eager=0.5', '--measured', '3'],
            'measured sub-networks is 3, expected 8 or more',
        ),
        (['--storage', 'study.db'], "cannot read the storage 'study.db'"),
        (['--storage', 'sqlite:///recipe.py'], 'file is not a database'),
    ],
)
def test_refused_before_the_work(tool, words, message):
    """Beside those of tests/cli/bad_inputs/search.txt."""
    with pytest.raises(SystemExit, match=message):
        tool('recipe.py', 'supernet.pth', '--out', 'refused', *words)
    assert not Path('refused').exists()


@pytest.mark.parametrize(
    'option', ['trials', 'rank', 'calibration-images', 'size', 'threads', 'top', 'workers']
)
def test_nothing_is_no_number(tool, option):
    with pytest.raises(SystemExit, match=f"--{option}: '0' is no whole numb"):
        tool('recipe.py', 'supernet.pth', '--out', 'refused', f'--{option}', '0')


def test_a_ranking_stays(tool, monkeypatch):
    """Nothing is measured for one that could not be written."""
    words = ('recipe.py', 'supernet.pth', '--out', 'ranked', '--rank', '9')
    tool(*words)
    monkeypatch.setattr('mmgan_compress.search.run.fit_predictor', None)
    with pytest.raises(SystemExit, match='ranked/ranking.csv exists'):
        tool(*words, '--objective', 'latency@eager')


def test_searcher_of_another_project(tool, place):
    """The recipe imports it."""
    (place / 'my_searchers.py').write_text(
        'from optuna.samplers import TPESampler\n'
        'from mmgan_compress.registry import SEARCHERS\n'
        'from mmgan_compress.search.searchers import Searcher\n'
        '@SEARCHERS.register_module()\n'
        'class MySearch(Searcher):\n'
        '    front = False\n'
        '    def trials(self, candidates):\n        return 3\n'
        '    def sampler(self, seed):\n'
        '        return TPESampler(seed=seed)\n'
    )
    (place / 'mine.py').write_text(
        "_base_ = 'recipe.py'\ncustom_imports = dict(imports=["
        "'mmgan_compress.registry', 'my_searchers'])\n"
    )
    tool('mine.py', 'supernet.pth', '--out', 'by_mine', '--sampler', 'MySearch', '--top', '1')
    content = json.loads((place / 'by_mine/front.json').read_text())
    assert content['evaluated'] == 3
    assert (place / 'by_mine/study.db').is_file()


def grey(path):
    Image.new('RGB', Image.open(path).size).save(path)


def other_score():
    cfg = Config.fromfile('recipe.py')
    cfg.val_evaluator.metrics *= 2
    cfg.dump('recipe.py')


CHANGES = [
    (lambda: grey('data/val/0.png'), [], 'scored_images: '),
    (lambda: [grey(path) for path in Path('data/train').iterdir()], [], 'calibrated_on: '),
    (other_score, [], 'evaluator: '),
    (str, ['--metric', 'shoes/PSNR'], 'metric: '),
]


def test_other_figures_are_not_mixed(tool, place, tmp_path, monkeypatch):
    """In another folder, so that the study has to tell."""
    monkeypatch.chdir(tmp_path)
    text = (place / 'recipe.py').read_text().replace(str(place), str(tmp_path))

    def start():
        shutil.copytree(place / 'data', 'data', dirs_exist_ok=True)
        Path('recipe.py').write_text(text)

    start()
    shutil.copy(place / 'supernet.pth', tmp_path)
    words = 'recipe.py supernet.pth --sampler random --trials 1 --top 1'.split()
    words += ['--storage', 'sqlite:///study.db']
    tool(*words, '--out', 'a')
    tool(*words, '--out', 'b')  # the same from there
    for change, more, told in CHANGES:
        change()
        with pytest.raises(SystemExit, match=f"(?s)'search' in .*{told}"):
            tool(*words, *more, '--out', 'c')
        assert not Path('c').exists()
        start()
    tool(*words, '--out', 'c')  # nothing but the changes was in the way


def test_one_search_per_folder(tool, place):
    words = ('recipe.py', 'supernet.pth', '--out', 'held', '--trials', '1')
    with locked(place / 'held'), pytest.raises(SystemExit, match='--join'):
        tool(*words)
    tool(*words)


@pytest.mark.parametrize('train, val, shared', [(0, 0, 5), (0, 2, 2), (1, 2, 1), (2, 2, 0)])
def test_val_images_must_be_held_out(place, tmp_path, train, val, shared):
    """Without a val folder, training images stand for it."""
    toy.write_images(tmp_path / 'data', dict(train=5, test=2), paired=True)
    cfg = Config.fromfile(place / 'recipe.py')
    toy.set_everywhere(cfg._cfg_dict, 'data_root', str(tmp_path / 'data'))
    cfg.train_dataloader.dataset.hold_out = train
    cfg.val_dataloader.dataset.hold_out = val
    model = read_model(cfg, place / 'supernet.pth')
    if not shared:
        scorer = SubnetScorer(cfg, model)
        assert scorer.split == '2 images of the val split, none of them in training'
        assert scorer.calibration_images == 3  # neither of the two
        return
    with pytest.raises(
        ValueError,
        match=f'holds {shared} images that the super-net .*hold_out .*now {train} and {val}',
    ):
        SubnetScorer(cfg, model)


def test_test_images_choose_nothing(place):
    cfg = Config.fromfile(place / 'recipe.py')
    cfg.val_dataloader.dataset.split = 'test'
    model = read_model(cfg, place / 'supernet.pth')
    with pytest.raises(ValueError, match='2 images of the test split'):
        SubnetScorer(cfg, model)
    cfg.test_dataloader = None  # nothing is reported on them
    assert SubnetScorer(cfg, model).split == '2 images of the test split, none of them in training'


@pytest.mark.parametrize('kind', ['student', 'checkpoint'])
def test_another_share_than_in_training(place, tmp_path, kind):
    """Held out are other images then than those that it has not seen."""
    cfg = Config.fromfile(place / 'recipe.py')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    dataset.hold_out = 3
    path = tmp_path / 'trained.pth'
    if kind == 'student':
        cfg.model.distiller = None
        save_student(
            path,
            toy.MODELS.build(cfg.model),
            source='test',
            image_size=toy.SIZE,
            data=origin_of(dataset.metainfo),
        )
    else:
        torch.save(dict(mmgan_compress={}, meta=dict(dataset_meta=dataset.metainfo)), path)
    check_origin(path, dataset)
    dataset.data_root = f'elsewhere/{Path(dataset.data_root).name}'
    check_origin(path, dataset)
    dataset.hold_out = 2
    with pytest.raises(
        ValueError, match='on data with hold_out=3, the recipe has data with hold_out=2'
    ):
        check_origin(path, dataset)
    dataset.data_root, dataset.hold_out = 'others', 3
    with pytest.raises(ValueError, match='the recipe has others'):
        check_origin(path, dataset)
