"""Unlabelled images of a domain, to distil on beside those of the set."""

import pytest
from PIL import Image

from mmgan_compress.datasets.translation import PairedImages, UnpairedImages
from test_offline import image_recipe
from toy import train, write_images

OPTIONS = dict(domains=('a', 'b'), size=32)


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path / 'set', dict(trainA=3, trainB=4, valA=2, valB=2))
    write_images(tmp_path / 'more', {'': 5, 'deeper': 1})
    return tmp_path / 'set'


def paths(dataset, epochs=1):
    return {dataset[i]['data_samples'].metainfo['img_a_path'] for i in range(epochs * len(dataset))}


def test_they_are_drawn_beside_the_others(root):
    more = root.parent / 'more'
    data = UnpairedImages(root, extra_images=dict(a=str(more)), **OPTIONS)
    own, other = (UnpairedImages(root, **OPTIONS).files[side] for side in (0, 1))
    assert data.files == [own + sorted(map(str, more.rglob('*.png'))), other]
    assert len(data) == 9 and paths(data) == set(data.files[0])
    # hold_out and max_images are of the set's own
    data = UnpairedImages(root, extra_images=dict(a=str(more)), max_images=2, **OPTIONS)
    assert len(data.files[0]) == 8


def test_val_leaves_them_out(root):
    data = UnpairedImages(
        root, split='val', **OPTIONS, extra_images=dict(a=str(root.parent / 'more'))
    )
    assert len(data) == 2 and not any('more' in file for file in paths(data))


def test_refused(root, tmp_path):
    with pytest.raises(ValueError, match=r"'c'; known are \['a', 'b'\]"):
        UnpairedImages(root, extra_images=dict(c='more'), **OPTIONS)
    with pytest.raises(FileNotFoundError, match='no images in .*/none: there is no such folder'):
        UnpairedImages(root, extra_images=dict(a='none'), **OPTIONS)
    with pytest.raises(ValueError, match='PairedImages has no extra_images'):
        PairedImages(root, extra_images=dict(a='more'), **OPTIONS)
    with pytest.raises(ValueError, match='copy extra_images into it'):
        UnpairedImages(root, extra_images=dict(a='more'), teacher_images=dict(b='made'), **OPTIONS)
    (tmp_path / 'more/0.png').write_text('no image')
    with pytest.raises(ValueError, match='0.png cannot be read'):
        UnpairedImages(root, extra_images=dict(a=str(tmp_path / 'more')), **OPTIONS)


SHOWN = []


def teach(x):
    """Stand for a teacher, and remember which images it has seen."""
    SHOWN.extend(x)
    return -x


def test_a_student_learns_from_them(recipe, tmp_path):
    """Offline; what is told from the set's images here is that each is of
    one colour."""
    cfg = image_recipe(
        recipe,
        'omgd',
        'cyclegan',
        dict(type='mmgan_compress.CallableTeacher', function=f'{__name__}:teach'),
    )
    (tmp_path / 'more').mkdir()
    for grey in range(10, 70, 10):
        Image.new('RGB', (40, 30), (grey,) * 3).save(tmp_path / f'more/{grey}.png')
    cfg.train_dataloader.dataset.extra_images = dict(horse=str(tmp_path / 'more'))
    SHOWN.clear()
    runner = train(cfg, tmp_path / 'run')
    assert len(runner.train_dataloader.dataset) == 5 + 6
    assert len(SHOWN) == 2 * runner.iter
    plain = [image for image in SHOWN if image.std() < 1e-3]
    assert 0 < len(plain) < len(SHOWN)
