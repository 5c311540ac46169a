"""Training images that are the val split of a set without a val folder."""

import shutil
from pathlib import Path

import pytest

from mmgan_compress.datasets.translation import PairedImages, UnpairedImages
from mmgan_compress.engine.runner_builder import check_inputs
from test_training import assert_equal, state_of
from toy import last_checkpoint, train, write_images

SPLITS = ('train', 'val', 'test')
KINDS = {
    PairedImages: {'train': 11, 'test': 3},
    UnpairedImages: {'trainA': 7, 'trainB': 11, 'testA': 3, 'testB': 3},
}


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def make(request, tmp_path):
    """Return a maker of data sets without a val folder, by split."""
    root = tmp_path / 'set'
    write_images(root, KINDS[request.param], request.param.aligned)

    def make(split, **kwargs):
        return request.param(root, ('a', 'b'), split, size=32, **kwargs)

    make.root, make.sides = root, [''] if request.param.aligned else ['A', 'B']
    return make


def sides(dataset):
    """Return the files of each side of a data set."""
    return [dataset.files] if dataset.aligned else dataset.files


def folder(root, name):
    return sorted(map(str, (root / name).iterdir()))


@pytest.mark.parametrize('count', [1, 3])
def test_train_and_val_share_out_the_folder(make, count):
    """Disjoint, complete, of the size asked for, the same each time."""
    learnt, held = (make(split, hold_out=count) for split in SPLITS[:2])
    for side, a, b in zip(make.sides, sides(learnt), sides(held)):
        assert len(b) == count and not set(a) & set(b)
        assert sorted(a + b) == folder(make.root, 'train' + side)
        assert a == sorted(a)  # draws are by position
    assert sides(make('val', hold_out=count)) == sides(held)
    assert len(held) == count
    # evenly spaced: not the first images, of one video say
    at = [Path(file).name for file in sides(held)[0]]
    everything = [Path(file).name for file in folder(make.root, 'train' + make.sides[0])]
    assert count == 1 or at == [everything[0], everything[len(everything) // 2], everything[-1]]


def test_test_images_stay(make):
    assert sides(make('test', hold_out=3)) == sides(make('test'))


def test_nothing_is_held_out_by_default(make):
    """Then all images are in both splits."""
    for split in SPLITS[:2]:
        for side, files in zip(make.sides, sides(make(split))):
            assert files == folder(make.root, 'train' + side)


def test_a_val_folder_wins(make):
    for side in make.sides:
        shutil.copytree(make.root / f'test{side}', make.root / f'val{side}')
    for split in SPLITS[:2]:
        # more than the half, were it to be held out
        for side, files in zip(make.sides, sides(make(split, hold_out=9))):
            assert files == folder(make.root, split + side)
    # unless it is the test split
    learnt, held = (make(split, hold_out=3, val_folder=False) for split in SPLITS[:2])
    for side, a, b in zip(make.sides, sides(learnt), sides(held)):
        assert len(b) == 3
        assert sorted(a + b) == folder(make.root, 'train' + side)


def test_max_images_are_of_the_split(make):
    learnt, held = (make(split, hold_out=3, max_images=2) for split in SPLITS[:2])
    whole = make('train', hold_out=3), make('val', hold_out=3)
    for few, all_ in zip((learnt, held), whole):
        for a, b in zip(sides(few), sides(all_)):
            assert a == [b[0], b[-1]]


@pytest.mark.parametrize('split', SPLITS[:2])
def test_more_than_the_half_is_refused(make, split):
    count = KINDS[type(make(split))]['train' + make.sides[0]]
    make(split, hold_out=count // 2)
    with pytest.raises(
        ValueError,
        match=f'hold_out {count // 2 + 1} is more '
        f'than the half of the {count} images in .*/train'
        f'{make.sides[0]}: .* make a folder val',
    ):
        make(split, hold_out=count // 2 + 1)


def test_teacher_images_are_asked_for_where_they_are_used(tmp_path):
    """Not of held-out images, and of all others."""
    write_images(tmp_path / 'set', KINDS[UnpairedImages])
    root, made = tmp_path / 'set', tmp_path / 'made'
    options = dict(size=32, teacher_images={'b': str(made)}, hold_out=3)
    held = UnpairedImages(root, ('a', 'b'), 'val', **options).files[0]
    shutil.copytree(root / 'trainA', made)
    for file in held:
        (made / Path(file).name).unlink()
    data = UnpairedImages(root, ('a', 'b'), **options)
    assert set(data.teacher_files['b']) == set(data.files[0])
    assert 'img_teacher_b' in data[0]['inputs']
    options['hold_out'] = 2
    with pytest.raises(FileNotFoundError, match="have no teacher's image"):
        UnpairedImages(root, ('a', 'b'), **options)


def test_resuming(recipe, tmp_path):
    """Bit-equal; another number than the run's is told."""
    write_images(tmp_path / 'data_pix2pix', KINDS[PairedImages], paired=True)
    cfg = recipe('plain', 'pix2pix')

    def run(name, count, start=None):
        for split in SPLITS[:2]:
            cfg[f'{split}_dataloader'].dataset.hold_out = count
        done = train(cfg, tmp_path / name, start and tmp_path / start)
        (log,) = (tmp_path / name).rglob('*.log')
        return done, 'dataset metainfo from the resumed' in log.read_text()

    whole, told = run('whole', 3)
    assert len(whole.train_dataloader.dataset) == 8 and not told
    again, told = run('again', 3, 'whole/iter_2.pth')
    assert_equal(state_of(last_checkpoint(again)), state_of(last_checkpoint(whole)))
    assert not told
    assert run('other', 2, 'whole/iter_2.pth')[1]


def test_splits_that_do_not_fit_are_refused_before_training(recipe, tmp_path):
    write_images(tmp_path / 'data_pix2pix', KINDS[PairedImages], paired=True)
    cfg = recipe('plain', 'pix2pix')
    cfg.train_dataloader.dataset.hold_out = 2
    with pytest.raises(ValueError, match='hold_out is 2 for training and 0 '):
        check_inputs(cfg)
    cfg.val_dataloader.dataset.hold_out = 2
    check_inputs(cfg)
    for split in SPLITS[:2]:
        cfg[f'{split}_dataloader'].dataset.hold_out = 1
    with pytest.raises(
        ValueError, match='needs at least 2 images, and the val split has 1 in .* hold_out'
    ):
        check_inputs(cfg)
