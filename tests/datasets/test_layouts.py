"""Which files of a folder count, and how a data set's images may lie."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmgan_compress.datasets import pictures
from mmgan_compress.datasets.images import list_images
from mmgan_compress.datasets.translation import PairedImages, UnpairedImages
from mmgan_compress.evaluation.reference import Reference
from test_teacher_images import invert_by_hand
from toy import write_images

OPTIONS = dict(domains=('a', 'b'), size=32)


def noise(path, width, height, seed=0):
    """Write a random image; returns it."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return image


# --- which files count -----------------------------------------------------
def test_hidden_files_and_folders_do_not_count(tmp_path):
    write_images(tmp_path, {'seen': 2, 'seen/deeper': 1})
    for place in (
        '.ipynb_checkpoints/0.png',
        '__MACOSX/0.png',
        '._0.png',
        '.thumbnails/normal/0.png',
        'deeper/@eaDir/0.png',
    ):
        noise(tmp_path / 'seen' / place, 32, 32)
    # a hidden folder that is given is not hidden
    (tmp_path / 'seen').rename(tmp_path / '.data')
    assert [
        Path(f).relative_to(tmp_path / '.data').as_posix() for f in list_images(tmp_path / '.data')
    ] == ['0.png', '1.png', 'deeper/0.png']
    assert len(pictures.collect(tmp_path / '.data')) == 3


def test_links_are_followed_and_pipes_are_not_read(tmp_path):
    write_images(tmp_path, {'trainA': 2, 'trainB': 2, 'elsewhere': 3})
    folder = tmp_path / 'trainA'
    for name, target in (
        ('more', tmp_path / 'elsewhere'),
        ('again', tmp_path / 'elsewhere'),
        ('round', folder),
    ):
        (folder / name).symlink_to(target, target_is_directory=True)
    os.mkfifo(folder / 'x.png')
    data = UnpairedImages(tmp_path, **OPTIONS)
    assert [Path(f).relative_to(folder).as_posix() for f in data.files[0]] == [
        '0.png',
        '1.png',
        'again/0.png',
        'again/1.png',
        'again/2.png',
    ]
    (folder / 'gone.png').symlink_to(tmp_path / 'nothing.png')
    with pytest.raises(ValueError, match='gone.png cannot be read'):
        UnpairedImages(tmp_path, **OPTIONS)


def test_a_folder_without_images_says_what_it_has(tmp_path):
    for name in ('a.HEIC', 'b.heic', 'notes.txt'):
        (tmp_path / 'trainA' / name).parent.mkdir(exist_ok=True)
        (tmp_path / 'trainA' / name).write_bytes(b'')
    told = r'trainA: found 2 \.heic files, 1 \.txt files, expected \.jpg, '
    for read in (
        lambda: UnpairedImages(tmp_path, **OPTIONS),
        lambda: Reference(str(tmp_path), 'A', 'train'),
        lambda: pictures.collect(tmp_path / 'trainA'),
    ):
        with pytest.raises(FileNotFoundError, match=told):
            read()


# --- pairs in two folders --------------------------------------------------
@pytest.fixture(params=['train/{}', 'train{}'])
def place(request):
    """Where the training images of a side are."""
    return request.param


@pytest.fixture
def two(place, tmp_path):
    """A paired set in two folders, of images with other suffixes."""
    root = tmp_path / 'set'
    for split, count in (('train', 6), ('test', 2)):
        for side, suffix in (('A', 'png'), ('B', 'bmp')):
            folder = root / place.replace('train', split).format(side)
            for index in range(count):
                noise(folder / f'x/{index}.{suffix}', 60, 40, [index, ord(side)])
    return root


@pytest.fixture
def joined(two, place, tmp_path):
    """The same images side by side."""
    for split, count in (('train', 6), ('test', 2)):
        for index in range(count):
            pair = Image.new('RGB', (120, 40))
            for at, (side, suffix) in enumerate((('A', 'png'), ('B', 'bmp'))):
                folder = two / place.replace('train', split).format(side)
                with Image.open(folder / f'x/{index}.{suffix}') as half:
                    pair.paste(half, (60 * at, 0))
            target = tmp_path / f'joined/{split}/x/{index}.png'
            target.parent.mkdir(parents=True, exist_ok=True)
            pair.save(target)
    return tmp_path / 'joined'


@pytest.mark.parametrize('split', ['train', 'val', 'test'])
def test_they_equal_the_same_pairs_side_by_side(two, joined, split):
    options = dict(OPTIONS, split=split, load_size=40, hold_out=2)
    ours = PairedImages(str(two), **options)
    theirs = PairedImages(str(joined), side_by_side=True, **options)
    assert len(ours) == len(theirs) == {'train': 4}.get(split, 2)
    for index in range(len(ours)):
        a, b = ours[index]['inputs'], theirs[index]['inputs']
        assert torch.equal(a['img_a'], b['img_a'])
        assert torch.equal(a['img_b'], b['img_b'])
    sides = [Reference(str(root), 'B', layout='paired', size=32) for root in (two, joined)]
    assert torch.equal(*(real.load(real.files()[1]) for real in sides))


def test_they_have_teacher_images(two, place, tmp_path):
    made = invert_by_hand(two, place.format('B'), tmp_path / 'made')
    data = PairedImages(str(two), teacher_images=dict(a=made), **OPTIONS)
    for index in range(len(data)):
        inputs = data[index]['inputs']
        assert (inputs['img_teacher_a'].int() + inputs['img_b'].int() - 255).abs().max() <= 2
    shutil.rmtree(made)
    with pytest.raises(FileNotFoundError, match='no teacher'):
        PairedImages(str(two), teacher_images=dict(a=made), **OPTIONS)


def test_no_pairs_are_refused_by_name(two, place):
    b = two / place.format('B')
    (b / 'x/5.bmp').rename(b / 'x/six.bmp')
    with pytest.raises(ValueError, match='2 of 12 images .*/x/5.png: a pair has one name'):
        PairedImages(str(two), **OPTIONS)
    (b / 'x/six.bmp').unlink()
    (b / 'x/5.bmp').write_bytes(b'no image')
    with pytest.raises(ValueError, match='5.bmp cannot be read'):
        PairedImages(str(two), **OPTIONS)
    noise(b / 'x/5.bmp', 60, 50)
    with pytest.raises(
        ValueError,
        match=r'1 of 6 pairs.*5.png \(60x40\) and '
        r'.*5.bmp \(60x50\)',
    ):
        PairedImages(str(two), **OPTIONS)
    shutil.rmtree(b)
    with pytest.raises(FileNotFoundError, match='no images in .*B: there is no such folder'):
        PairedImages(str(two), **OPTIONS)


def test_unpaired_recipes_take_both_layouts(two, place):
    data = UnpairedImages(str(two), **OPTIONS)
    assert {Path(f).parents[1] for f in data.files[1]} == {two / place.format('B')}


# --- side by side ----------------------------------------------------------
@pytest.mark.parametrize('shape', [(64, 64), (48, 64), (48, 32), (64, 36), (96, 32), (32, 64)])
def test_what_does_not_look_like_a_pair_is_refused(tmp_path, shape):
    """Single images, square to 16:9; a triptych; A above B."""
    noise(tmp_path / 'train/0.png', 64, 32)
    noise(tmp_path / 'train/odd.png', *shape)
    size = 'x'.join(map(str, shape))
    with pytest.raises(
        ValueError,
        match=rf'(?s)1 of 2 .*odd.png \({size}.*'
        'options train_dataloader.dataset.side_by_side=True',
    ):
        PairedImages(tmp_path, **OPTIONS)
    assert len(PairedImages(tmp_path, side_by_side=True, **OPTIONS)) == 2


@pytest.mark.parametrize('shape', [(64, 32), (60, 32), (86, 32), (128, 32)])
def test_pairs_of_other_shapes_are_taken(tmp_path, shape):
    noise(tmp_path / 'train/0.png', *shape)
    assert len(PairedImages(tmp_path, **OPTIONS)) == 1


def test_the_other_layout_is_named(tmp_path):
    write_images(tmp_path / 'pairs', {'train': 3, 'test': 2}, paired=True)
    write_images(tmp_path / 'sides', {'trainA': 3, 'trainB': 4})
    with pytest.raises(FileNotFoundError) as caught:
        UnpairedImages(tmp_path / 'pairs', **OPTIONS)
    for words in (
        'trainA: there is no such folder',
        'pairs has test/ train/',
        'side-by-side images A|B, for a Pix2Pix recipe',
    ):
        assert words in str(caught.value)
    with pytest.raises(
        ValueError, match='trainB have no counterpart.*3.png.*for a CycleGAN recipe'
    ):
        PairedImages(tmp_path / 'sides', **OPTIONS)


# --- resizing --------------------------------------------------------------
def test_images_are_resized_by_pillow(tmp_path):
    """As the papers do, 600 -> 286 of maps: OpenCV's does not smooth."""
    source = noise(tmp_path / 'trainA/0.png', 600, 600)
    noise(tmp_path / 'trainB/0.png', 600, 600)
    wanted = np.asarray(source.resize((286, 286), Image.Resampling.BICUBIC))
    for split in ('train', 'val'):
        data = UnpairedImages(tmp_path, ('a', 'b'), split, size=286, flip=False)
        made = data[0]['inputs']['img_a'].permute(1, 2, 0)
        assert np.array_equal(made, wanted)
    shutil.copy(tmp_path / 'trainA/0.png', tmp_path / 'trainA/1.png')
    real = Reference(str(tmp_path), 'A', 'train', size=286)
    assert np.array_equal(real.load(real.files()[0]).permute(1, 2, 0), wanted)
