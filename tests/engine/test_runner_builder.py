"""What the command line refuses, before anything is built or written."""

import shutil
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path

import pytest
from mmengine.config import Config

from mmgan_compress.datasets.translation import PairedImages, PositionSampler, UnpairedImages
from mmgan_compress.engine import runner_builder as launch
from students import message_of_error, run_tool
from toy import REPO, toy_config, write_images


def arguments(config, **changes):
    """Return a command line of training."""
    return Namespace(
        **{
            **dict(
                config=str(config),
                demo=False,
                data_root=None,
                work_dir=None,
                resume=None,
                amp=False,
                seed=None,
                launcher='none',
                cfg_options=None,
            ),
            **changes,
        }
    )


def refused(*args, **changes):
    """Return the message that a command line ends with."""
    return message_of_error(launch.make_runner, arguments(*args, **changes), ExitStack())


@pytest.fixture
def recipe(tmp_path, vgg_file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy_config('cyclegan', tmp_path / 'data', vgg_file).dump('recipe.py')
    return 'recipe.py'


def test_missing_data(tmp_path, monkeypatch):
    """By the command, as a newcomer would meet it."""
    monkeypatch.chdir(tmp_path)
    done = run_tool('train', REPO / 'configs/omgd_cyclegan.py')
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    for words in (
        str(tmp_path / 'data/horse2zebra/trainA'),
        'mmgan-compress data horse2zebra',
        '--demo',
        '--data-root',
    ):
        assert words in done.stderr
    assert not list(tmp_path.iterdir())  # nothing was written


def test_missing_config(tmp_path):
    assert 'no config' in refused(tmp_path / 'nothing.py')


def test_demo_brings_its_own_data(recipe):
    assert 'leave out --data-root' in refused(recipe, demo=True, data_root='x')


def test_a_wrong_data_root_is_told_first(recipe, capsys):
    assert 'nowhere: there is no such folder' in refused(recipe, data_root='nowhere')
    assert capsys.readouterr() == ('', '')


def test_amp_needs_a_device_that_computes_in_half(recipe, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    monkeypatch.setattr('torch.cpu.get_capabilities', dict)
    assert '--amp needs a CUDA device' in refused(recipe, amp=True)


def test_missing_perceptual_weights(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv('MMGAN_COMPRESS_HOME', str(tmp_path / 'empty'))
    message = refused(recipe, cfg_options=['model.distiller.perceptual.weights=imagenet'])
    assert 'mmgan-compress weights vgg16' in message


def test_random_perceptual_weights_are_stated(recipe):
    runner = launch.make_runner(
        arguments(recipe, cfg_options=['model.distiller.perceptual.weights=random']), ExitStack()
    )
    notes = runner.model.distiller.notes()
    assert notes == ['perceptual network: RANDOM weights']


def test_a_run_is_not_overwritten(recipe):
    Path('old').mkdir()
    Path('old/student.pth').touch()
    assert 'holds a run already: add --resume' in refused(recipe, work_dir='old')
    Path('work_dirs/recipe').mkdir(parents=True)
    Path('work_dirs/recipe/iter_1.pth').touch()
    assert launch.choose_work_dir(arguments(recipe)) == 'work_dirs/recipe-2'
    assert launch.choose_work_dir(arguments(recipe, resume='auto')) == 'work_dirs/recipe'
    assert launch.choose_work_dir(arguments(recipe, work_dir='old', resume='auto')) == 'old'


def test_resumed_checkpoint_keeps_its_folder(recipe):
    Path('old').mkdir()
    Path('old/iter_1.pth').touch()
    assert launch.choose_work_dir(arguments(recipe, resume='old/iter_1.pth')) == 'old'
    assert 'no checkpoint' in refused(recipe, resume='old/iter_9.pth')
    assert 'no run to resume' in refused(recipe, resume='auto', work_dir='new')


def test_own_data_without_test_images(recipe, tmp_path):
    write_images(tmp_path / 'mine', {'trainA': 2, 'trainB': 2})
    runner = launch.make_runner(arguments(recipe, data_root=str(tmp_path / 'mine')), ExitStack())
    assert runner.cfg.test_dataloader is None
    runner.train()
    assert (Path(runner.work_dir) / 'student.pth').is_file()


def test_unknown_metric_is_refused_with_the_other_faults(recipe):
    option = 'default_hooks.student.metric=zebra/FID'
    with pytest.raises(ValueError, match="got 'zebra/FID', expected one of"):
        launch.make_runner(arguments(recipe, cfg_options=[option]), ExitStack())


def reference_of(recipe, **changes):
    """Let a recipe's validation and test compare with real images."""
    cfg = Config.fromfile(recipe)
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        evaluator.metrics = [
            dict(
                type='mmgan_compress.FrechetDistance',
                domain='zebra',
                network='vgg16',
                reference=dict(
                    data_root=cfg.train_dataloader.dataset.data_root, side='B', size=32, **changes
                ),
            )
        ]
    cfg.dump(recipe)


def test_a_reference_without_images_is_refused(recipe, tmp_path):
    shutil.rmtree(tmp_path / 'data/valA')
    shutil.rmtree(tmp_path / 'data/valB')
    reference_of(recipe, split='val')
    assert 'valB: there is no such folder' in refused(recipe)
    reference_of(recipe, split='test')
    (tmp_path / 'data/testB/0.png').unlink()
    message = refused(recipe)
    assert 'reference: 1 real images (test, side B of data' in message
    assert 'expected at least 2' in message


def test_a_broken_image_of_a_reference_is_named(recipe, tmp_path):
    reference_of(recipe, split='train')
    write_images(tmp_path / 'other', {'trainB': 3})
    (tmp_path / 'other/trainB/1.png').write_text('no image')
    assert 'other/trainB/1.png cannot be read' in refused(
        recipe, cfg_options=[f'test_evaluator.metrics.0.reference.data_root={tmp_path}/other']
    )


@pytest.mark.parametrize('split', ['val', 'test'])
def test_one_image_makes_no_figure(recipe, tmp_path, split):
    (tmp_path / f'data/{split}A/0.png').unlink()
    assert f'needs at least 2 images, and the {split} split has 1' in refused(recipe)


def test_images_that_make_no_batch_are_refused(recipe):
    assert '5 training images make no batch of 8' in refused(
        recipe, cfg_options=['train_dataloader.drop_last=True', 'train_dataloader.batch_size=8']
    )


def test_transparent_images_are_refused(tmp_path):
    from PIL import Image

    write_images(tmp_path / 'd', {'trainA': 2, 'trainB': 2})
    Image.new('RGBA', (32, 32), (1, 2, 3, 9)).save(tmp_path / 'd/trainA/glass.png')
    with pytest.raises(ValueError, match='glass.png is transparent'):
        UnpairedImages(tmp_path / 'd', ('a', 'b'), size=32)


def test_nothing_to_resume(recipe):
    assert 'no run to resume' in refused(recipe, resume='auto')


def test_unknown_layer_ends_with_one_message(recipe):
    message = refused(
        recipe, cfg_options=["model.distiller.losses.4.layers=['model.9','model.66']"]
    )
    assert message.startswith("no layer 'model.66'")


def test_data_root_needs_nothing_else(recipe, tmp_path):
    write_images(tmp_path / 'mine', {f'{s}{d}': 2 for s in ('train', 'test') for d in 'AB'})
    runner = launch.make_runner(arguments(recipe, data_root=str(tmp_path / 'mine')), ExitStack())
    for loader in (runner.train_dataloader, runner._val_dataloader):
        data = runner.build_dataloader(loader, seed=0).dataset
        assert len(data) == 2
        assert str(tmp_path / 'mine') in data[0]['data_samples'].metainfo['img_horse_path']


@pytest.mark.parametrize(
    'break_it,words',
    [
        (lambda f: f.write_bytes(f.read_bytes()[:60]), '2.png cannot be read'),
        (lambda f: f.write_text('no image'), '2.png cannot be read'),
        (
            lambda f: __import__('PIL.Image').Image.new('RGB', (8, 8)).save(f),
            '2.png is 8x8: expected at least 16',
        ),
    ],
)
def test_bad_images_are_named(tmp_path, break_it, words):
    write_images(tmp_path / 'd', {'trainA': 4, 'trainB': 4})
    break_it(tmp_path / 'd/trainA/2.png')
    with pytest.raises(ValueError, match=words):
        UnpairedImages(tmp_path / 'd', ('a', 'b'), size=32)


def test_a_pair_must_be_a_pair(tmp_path):
    from PIL import Image

    write_images(tmp_path / 'd', {'train': 2}, paired=True)
    Image.new('RGB', (65, 32)).save(tmp_path / 'd/train/odd.png')
    with pytest.raises(ValueError, match='odd.png is 65x32: a pair'):
        PairedImages(tmp_path / 'd', ('a', 'b'), size=32)


def test_empty_folder_is_named(tmp_path):
    write_images(tmp_path / 'd', {'trainA': 2})
    (tmp_path / 'd/trainB').mkdir()
    with pytest.raises(FileNotFoundError, match='trainB'):
        UnpairedImages(tmp_path / 'd', ('a', 'b'), size=32)


def test_val_without_a_folder_is_taken_from_training(tmp_path):
    write_images(tmp_path / 'd', {f'{s}{d}': 6 for s in ('train', 'test') for d in 'AB'})
    data = UnpairedImages(tmp_path / 'd', ('a', 'b'), 'val', size=32, max_images=3)
    assert len(data) == 3
    assert all('/train' in f for side in data.files for f in side)


def test_draws_depend_on_seed_and_position_alone(tmp_path):
    """Order of access, other draws and workers change nothing."""
    import numpy as np
    import torch

    write_images(tmp_path / 'd', {'trainA': 5, 'trainB': 7})

    def dataset(seed):
        data = UnpairedImages(tmp_path / 'd', ('a', 'b'), size=32, load_size=40)
        PositionSampler(data, seed)
        return data

    def image(data, position):
        return data[position]['inputs']['img_a']

    one, two, other = dataset(3), dataset(3), dataset(4)
    forward = [image(one, p) for p in range(16)]
    np.random.rand()
    backward = [image(two, p) for p in reversed(range(16))][::-1]
    assert all(torch.equal(a, b) for a, b in zip(forward, backward))
    assert not all(torch.equal(a, image(other, p)) for p, a in enumerate(forward))
    epoch = [one[p]['data_samples'].metainfo['img_a_path'] for p in range(7)]
    assert len(set(epoch)) == 5  # every image of the shorter side too
    state = np.random.get_state()[1].copy()
    one[3]
    assert (state == np.random.get_state()[1]).all()


def test_pairs_stay_aligned_through_augmentation(tmp_path):
    """Crop and flip fall alike on both halves, and not always the same."""
    import numpy as np
    import torch
    from PIL import Image

    (tmp_path / 'd/train').mkdir(parents=True)
    half = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    Image.fromarray(np.concatenate([half, half], 1)).save(tmp_path / 'd/train/0.png')
    data = PairedImages(tmp_path / 'd', ('a', 'b'), size=32, load_size=40)
    seen = []
    for position in range(20):
        images = data[position]['inputs']
        assert torch.equal(images['img_a'], images['img_b'])
        seen.append(images['img_a'])
    assert sum(not torch.equal(seen[0], x) for x in seen) > 15


@pytest.mark.parametrize(
    'losses,wanted',
    [
        (None, ['vgg16']),  # the method's own
        ([dict(type='mmgan_compress.SSIMLoss')], []),
        ([dict(type='mmgan_compress.SSIMLoss'), dict(type='mmgan_compress.StyleLoss')], ['vgg16']),
    ],
)
def test_perceptual_weights_are_asked_for_where_a_term_uses_them(losses, wanted, tmp_path):
    cfg = toy_config('cyclegan', tmp_path / 'data', 'unused')
    del cfg.model.distiller['perceptual']
    if losses is not None:
        cfg.model.distiller.losses = losses
    assert launch.needed_weights(cfg) == wanted
    plain = next((REPO / 'configs/plain').glob('*cyclegan*.py'))
    model = launch.Config.fromfile(plain).model
    assert launch.needed_weights(launch.Config(dict(model=model))) == []


def test_none_removes_a_hook_and_an_optimizer(recipe):
    """Of a base; Runner itself takes None for its own hooks alone."""
    cfg = Config.fromfile(recipe)
    cfg.optim_wrapper.more = None
    cfg.dump(recipe)
    options = ['default_hooks.report=None', 'default_hooks.timer=None']
    runner = launch.make_runner(arguments(recipe, cfg_options=options), ExitStack())
    hooks = {type(hook).__name__ for hook in runner.hooks}
    assert 'StudentHook' in hooks and not {'ReportHook', 'IterTimerHook'} & hooks
    assert 'student' in runner.optim_wrapper and 'more' not in runner.optim_wrapper
