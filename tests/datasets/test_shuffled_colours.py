"""Training images in other colours, for a finished teacher."""

import itertools

import pytest
import torch

from mmgan_compress.datasets.translation import PairedImages, UnpairedImages
from toy import write_images

OPTIONS = dict(domains=('a', 'b'), size=32, flip=False)


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path, dict(trainA=2, trainB=2, valA=1, valB=1))
    return tmp_path


def images(dataset, domain, epochs=1):
    return [dataset[i]['inputs'][f'img_{domain}'] for i in range(epochs * len(dataset))]


def test_each_draw_has_an_order_of_its_own(root):
    plain = UnpairedImages(root, **OPTIONS)
    data = UnpairedImages(root, shuffle_colours=['a'], **OPTIONS)
    orders = set()
    for image, own in zip(images(data, 'a', 12), images(plain, 'a', 12)):
        orders |= {o for o in itertools.permutations(range(3)) if torch.equal(image, own[list(o)])}
    assert len(orders) > 3
    for image, own in zip(images(data, 'b'), images(plain, 'b')):
        assert torch.equal(image, own)
    for image, again in zip(images(data, 'a', 2), images(data, 'a', 2)):
        assert torch.equal(image, again)  # of seed and position


def test_val_keeps_its_colours(root):
    data = UnpairedImages(root, split='val', shuffle_colours=['a'], **OPTIONS)
    plain = UnpairedImages(root, split='val', **OPTIONS)
    assert torch.equal(*images(data, 'a'), *images(plain, 'a'))


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(shuffle_colours=['c']), "'c'"),
        (dict(shuffle_colours=['a'], channels=dict(a=1)), "'a' .* has no colours"),
        (dict(shuffle_colours=['a'], teacher_images=dict(b='made')), 'leave shuffle_colours out'),
    ],
)
def test_refused(root, options, message):
    with pytest.raises(ValueError, match=message):
        UnpairedImages(root, **OPTIONS, **options)
    with pytest.raises(ValueError, match='PairedImages has no shuffle_colours'):
        PairedImages(root, **OPTIONS, shuffle_colours=['a'])
