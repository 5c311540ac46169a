"""``tools/search.py`` on a toy recipe, and the pipeline that holds it."""
import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch
import toy
from mmengine.config import Config
from recipes import CONFIGS, ROOT
from supernets import filled

from mmgan_compress import load_student, save_student
from mmgan_compress.core.narrow import recalibrate
from mmgan_compress.core.spaces import read_configuration
from mmgan_compress.engine.plan import read_pipeline
from mmgan_compress.search.scoring import SubnetScorer, read_host

ARCH = dict(type='mmgan_compress.SeparableResnetGenerator', base_channels=4,
            num_blocks=3, norm_cfg=dict(type='BN'))
PIPELINE = CONFIGS / 'pipelines/ofa_omgd_prune_int8.py'


@pytest.fixture(scope='module')
def place(tmp_path_factory, vgg_file):
    """Return a folder with a recipe, its images, a super-net and another
    student."""
    place = tmp_path_factory.mktemp('search')
    cfg = toy.toy_config('pix2pix', place / 'data', vgg_file,
                         method='gan_compression')
    cfg.model.generator = dict(type='mmgan_compress.SuperNet', arch=ARCH,
                               space=[[4, 2]] * 2 + [[4]] * 6)
    cfg.dump(place / 'recipe.py')
    cfg.model.distiller = None
    host = toy.MODELS.build(cfg.model)
    filled(host.generators['shoes'].network)
    facts = dict(source='test', image_size=toy.SIZE)
    save_student(place / 'supernet.pth', host, **facts)
    cfg.model.generator = dict(ARCH)
    save_student(place / 'other.pth', toy.MODELS.build(cfg.model), **facts)
    return place


def search(place, *words, checkpoint='supernet.pth', recipe='recipe.py'):
    return subprocess.run(
        [sys.executable, str(ROOT / 'tools/search.py'), recipe, checkpoint,
         *words], cwd=place, capture_output=True, text=True, timeout=300)


def test_from_recipe_to_student(place):
    """The best sub-network is its slice, with its own batch norms."""
    words = ('--out', 'found', '--sampler', 'exhaustive', '--top', '1',
             '--budget', 'macs=0.9', '--calibration-images', '4')
    done = search(place, *words)
    assert done.returncode == 0, done.stderr
    assert 'published' not in done.stdout and 'largest' in done.stdout
    content = json.loads((place / 'found/front.json').read_text())
    rows = content['front'] + content['others']
    assert len(rows) == 3 and content['higher_is_better']  # SSIM
    # the largest is above the budget: scored, but not chosen
    front, = [[r['configuration'] for r in content['front']]]
    largest = '_'.join('4' * 8)
    assert largest in {r['configuration'] for r in rows} - set(front)
    best = max(content['front'], key=lambda row: row['metric'])
    folder = place / 'found/subnets' / best['configuration']
    assert (folder / 'student.pth').read_bytes() == \
        (place / 'found/student.pth').read_bytes()
    cfg = Config.fromfile(place / 'recipe.py')
    scorer = SubnetScorer(cfg, read_host(cfg, place / 'supernet.pth'),
                          calibration_images=4)
    assert scorer(read_configuration(best['configuration'])) == \
        pytest.approx(best['metric'], rel=1e-5)
    small = load_student(place / 'found/student.pth')
    scorer.set_channels(best['configuration'])
    torch.manual_seed(0)
    image = torch.rand(1, 3, toy.SIZE, toy.SIZE) * 2 - 1
    with torch.no_grad():
        assert torch.equal(small(image), scorer.net(image))
    assert recalibrate(scorer.net, scorer._batches()) == 4
    again = search(place, *words)  # nothing is left to do
    assert again.returncode == 0, again.stderr
    assert json.loads((place / 'found/front.json').read_text())[
        'front'] == content['front']
    other = search(place, *words[:-1], '3')
    assert other.returncode == 1
    assert 'holds the results of another search' in other.stderr


@pytest.mark.parametrize('words, checkpoint, message', [
    ([], 'other.pth', 'is a SeparableResnetGenerator, no SuperNet'),
    ([], 'recipe.py', 'is no student file'),
    ([], 'none.pth', 'no student file at'),
    (['--sampler', 'tpe'], None, "no searcher 'tpe'"),
    (['--sampler', 'budget'], None, 'needs a --budget'),
    (['--budget', 'macs=0.01'], None, 'the nearest is 2_2_4_4_4_4_4_4 with'),
    (['--metric', 'shoes/FID'], None, "no metric 'shoes/FID'; computed are"),
    (['--objective', 'watts'], None, "no cost 'watts'")])
def test_refused_before_the_work(place, words, checkpoint, message,
                                 monkeypatch):
    """In this process: eight commands would take a minute to import."""
    from mmgan_compress.search.run import run_search
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    monkeypatch.setattr(sys, 'argv', [
        'search.py', 'recipe.py', checkpoint or 'supernet.pth', '--out',
        'refused', *words])
    import search as tool
    with pytest.raises((ValueError, TypeError, KeyError, OSError),
                       match=message):
        run_search(tool.parse_args())
    assert not Path('refused').exists()


@pytest.mark.parametrize('train, val, shared', [
    (0, 0, 5), (0, 2, 2), (1, 2, 1), (2, 2, 0)])
def test_val_images_must_be_held_out(place, tmp_path, train, val, shared):
    """Without a val folder, training images stand for it."""
    toy.write_images(tmp_path / 'data', dict(train=5, test=2), paired=True)
    cfg = Config.fromfile(place / 'recipe.py')
    toy.set_everywhere(cfg._cfg_dict, 'data_root', str(tmp_path / 'data'))
    cfg.train_dataloader.dataset.hold_out = train
    cfg.val_dataloader.dataset.hold_out = val
    host = read_host(cfg, place / 'supernet.pth')
    if not shared:
        scorer = SubnetScorer(cfg, host)
        assert scorer.split == \
            '2 images of the val split, none of them in training'
        assert scorer.calibration_images == 3  # neither of the two
        return
    with pytest.raises(ValueError, match=f'holds {shared} images that the '
                       f'super-net .*hold_out .*now {train} and {val}'):
        SubnetScorer(cfg, host)


# --- the pipeline -----------------------------------------------------------
@pytest.mark.parametrize('demo', [False, True])
def test_pipeline_can_be_read(demo, tmp_path, monkeypatch):
    monkeypatch.setattr('mmgan_compress.engine.launch.weights_path', str)
    steps = read_pipeline(Namespace(
        config=str(PIPELINE), demo=demo, data_root=None, tools='tools',
        skip=None), tmp_path)
    assert [step.name for step in steps] == [
        'supernet', 'search', 'train', 'prune', 'qat', 'export', 'int8',
        'report']
    owners = {step.name: {f.owner for f in step.files} - {None}
              for step in steps}
    assert owners['search'] == {'supernet'} and owners['train'] == {'search'}
    assert owners['int8'] == owners['export'] == {'qat'}
    assert len(owners['report']) == 5
    command = steps[1].stage.command(tmp_path / 'x', resume=True)
    assert command[0] == 'tools/search.py' and '--demo' in command or not demo
    at = command.index('--budget')
    assert command[at + 1] == f'macs_paper={"0.7" if demo else "2.6e9"}'
    hooks = steps[4].stage._cfg.default_hooks
    assert hooks.quantization.type == 'mmgan_compress.QuantizationAwareHook'
    # looking whether it can run leaves what it is made of as it was
    for step in (steps[1], steps[-1]):
        before = step.inputs()
        if demo:
            step.check()
        assert step.inputs() == before


@pytest.mark.parametrize('skip, read, rows', [
    (['prune'], dict(qat='train', int8='qat'), {'prune'}),
    (['qat'], dict(export='prune', int8='prune'), {'qat'}),
    (['train', 'prune'], dict(qat='search'), {'train', 'prune'}),
    (['export', 'int8'], dict(qat='prune'), set())])
def test_stages_of_the_pipeline_can_be_left_out(skip, read, rows, tmp_path):
    steps = {step.name: step for step in read_pipeline(Namespace(
        config=str(PIPELINE), demo=True, data_root=None, tools='tools',
        skip=skip), tmp_path)}
    for name, owner in read.items():
        file, = [f for f in steps[name].files if f.owner]
        assert (file.owner, file.path) == (
            owner, steps[owner].out / 'student.pth')
    everything = {'supernet', 'search', 'train', 'prune', 'qat'}
    assert set(steps['report'].stage.students) == everything - rows
    assert {f.owner for f in steps['report'].files} == everything - rows
    for step in steps.values():
        step.check()
