"""Label maps: how they are read, and paired with pictures."""

import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from mmgan_compress.core.inputs import LabelMap
from mmgan_compress.datasets.images import UnusableImage, coloured, read_label_map
from mmgan_compress.datasets.prepare import prepare_data
from mmgan_compress.datasets.sources import labels as source
from mmgan_compress.demo import DATA
from mmgan_compress.registry import DATASETS

EDGES, PLAIN = LabelMap(4, dont_care=True), LabelMap(4, edges=False)


def numbers(values, mode='L'):
    image = Image.fromarray(np.array(values, np.uint8))
    if mode == 'P':
        image = Image.fromarray(np.array(values, np.uint8), 'P')
        image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    return image


def test_numbers_are_classes_whatever_the_palette():
    values = [[0, 1], [2, 1]]
    for mode in ('L', 'P'):
        assert np.array(read_label_map(numbers(values, mode), PLAIN)).tolist() == values
    assert coloured(numbers(values, 'P')).getpixel((1, 0)) == (255, 0, 0)
    assert len(set(coloured(numbers([[0, 1, 2, 3]])).get_flattened_data())) == 4


def test_edges(tmp_path):
    values = np.zeros((4, 4), np.uint8)
    values[:, 2:] = 1
    made = np.array(read_label_map(numbers(values), EDGES))
    assert made[..., 0].tolist() == values.tolist()
    assert made[0, :, 1].tolist() == [0, 255, 255, 0]  # both sides of the border
    objects = np.zeros((4, 4), np.uint16)  # two of one class, one above 255
    objects[2:] = 11002
    Image.fromarray(objects).save(tmp_path / 'objects.png')
    made = np.array(read_label_map(numbers(values), EDGES, tmp_path / 'objects.png'))
    assert made[:, 0, 1].tolist() == [0, 255, 255, 0] and not made[0, :, 1].any()
    again = read_label_map(Image.fromarray(made), EDGES)  # they stay
    assert np.array(again).tolist() == made.tolist()
    larger = np.array(read_label_map(numbers(values), EDGES, tmp_path / 'objects.png', (8, 6)))
    assert larger.shape == (6, 8, 2) and larger[..., 1].sum() == 255 * 2 * 8


@pytest.mark.parametrize(
    'image, takes, words',
    [
        (Image.new('RGB', (4, 4)), PLAIN, 'has colours'),
        (numbers([[0, 4]]), PLAIN, 'label 4, expected 0 to 3$'),
        (numbers([[0, 255]]), PLAIN, 'label 255, expected 0 to 3, or set dont_care=True'),
    ],
)
def test_refused(image, takes, words):
    with pytest.raises(UnusableImage, match=words):
        read_label_map(image, takes)


def make(root, split='train', **changes):
    settings = dict(
        type='mmgan_compress.LabelledImages',
        data_root=str(root),
        domains=['labels', 'photo'],
        split=split,
        size=16,
        labels=dict(classes=4),
    )
    return DATASETS.build({**settings, **changes})


def write(root, count=3, sides='AB', size=(48, 24)):
    rng = np.random.default_rng(0)
    for split in ('train', 'test'):
        for side in sides:
            folder = root / f'{split}{side}'
            folder.mkdir(parents=True)
            for index in range(count):
                top = dict(A=4, B=256, I=9)[side]
                shape = (2, 4, 3) if side == 'B' else (2, 4)
                image = Image.fromarray(rng.integers(0, top, shape, np.uint8))
                image.resize(size, Image.Resampling.NEAREST).save(folder / f'{index}.png')


@pytest.mark.parametrize('sides', ['AB', 'ABI'])
def test_pairs(tmp_path, sides):
    """Both move alike: in each class, the picture has the colours it had."""
    write(tmp_path, sides=sides)
    data = make(tmp_path, aspect_ratio=2, load_size=20)
    whole = make(tmp_path, 'test', aspect_ratio=2)
    for dataset, index in ((data, 0), (data, 1), (whole, 0)):
        inputs = dataset[index]['inputs']
        assert inputs['img_labels'].shape == (2, 16, 32)
        assert inputs['img_photo'].shape == (3, 16, 32)
        assert set(inputs['img_labels'][0].unique().tolist()) <= {0, 1, 2, 3}
        assert set(inputs['img_labels'][1].unique().tolist()) <= {0, 255}
    path = data[0]['data_samples'].metainfo['img_labels_path']
    assert path.startswith(str(tmp_path / 'trainA'))


def test_both_sides_are_mirrored_alike(tmp_path):
    for side in 'AB':
        (tmp_path / f'train{side}').mkdir()
    values = np.zeros((16, 16), np.uint8)
    values[:, :5] = 3
    Image.fromarray(values).save(tmp_path / 'trainA/0.png')
    Image.fromarray(80 * values).save(tmp_path / 'trainB/0.png')
    data, seen = make(tmp_path, channels=dict(labels=2, photo=1)), set()
    for position in range(8):
        inputs = data[position]['inputs']
        assert torch.equal(80 * inputs['img_labels'][:1], inputs['img_photo'])
        seen.add(int(inputs['img_labels'][0, 0, 0]))
    assert seen == {0, 3}


def test_shipped_label_maps_are_those_of_the_recipe(tmp_path):
    made = prepare_data('labels2emoji', tmp_path / 'data', 64)
    assert made['counts']['trainA'] == made['counts']['trainB'] == 90
    for split in ('train', 'val', 'test'):
        shipped = sorted((DATA / 'flat2emoji' / f'{split}L').iterdir())
        assert len(shipped) == made['counts'][f'{split}A']
        for file in shipped[:5]:
            with Image.open(file) as own, Image.open(tmp_path / f'data/{split}A' / file.name) as b:
                assert own.mode == 'P'
                assert np.array_equal(own, b) and own.getpalette() == b.getpalette()


def test_silhouettes():
    """The background is that of the 3-D emoji, too."""
    shares = []
    for file in sorted((DATA / 'flat2emoji/testL').iterdir()):
        with Image.open(file) as labels, Image.open(DATA / 'flat2emoji/testB' / file.name) as emoji:
            flat, solid = np.array(labels) > 0, ~source.background(emoji.convert('RGB'))
        shares.append((flat & solid).sum() / (flat | solid).sum())
    assert np.median(shares) > 0.9


def test_cityscapes(tmp_path):
    """From the two archives: classes, instances and photographs."""
    rng = np.random.default_rng(0)
    labels, photos = tmp_path / 'gtFine.zip', tmp_path / 'leftImg8bit.zip'
    with zipfile.ZipFile(labels, 'w') as gt, zipfile.ZipFile(photos, 'w') as left:
        for split in ('train', 'val', 'test'):
            stem = 'ulm/ulm_000000_000019'
            classes = rng.integers(0, 34, (16, 32), np.uint8)
            for archive, name, pixels in (
                (gt, f'gtFine/{split}/{stem}_gtFine_labelIds.png', classes),
                (gt, f'gtFine/{split}/{stem}_gtFine_instanceIds.png', classes * np.uint16(1000)),
                (left, f'leftImg8bit/{split}/{stem}_leftImg8bit.png', np.stack([classes] * 3, 2)),
            ):
                stream = io.BytesIO()
                Image.fromarray(pixels).save(stream, 'PNG')
                archive.writestr(name, stream.getvalue())
    out = tmp_path / 'data'
    made = prepare_data('cityscapes_labels', out, 32, [labels, photos])
    assert made['counts'] == {f'{s}{side}': 1 for s in ('train', 'val') for side in 'ABI'}
    data = make(out, 'val', size=32, aspect_ratio=2, labels=dict(classes=35))
    inputs = data[0]['inputs']
    assert inputs['img_labels'].shape == (2, 32, 64) and inputs['img_labels'][0].max() < 34
    assert inputs['img_photo'].shape == (3, 32, 64)
