"""Images beside noise, pairs of images beside it, and noise alone."""

import pytest
import torch
from PIL import Image

from mmgan_compress.core.inputs import Noise, read_input
from mmgan_compress.registry import DATASETS
from toy import write_images


def make(root, split='train', **changes):
    settings = dict(
        type='mmgan_compress.NoiseImages',
        data_root=str(root),
        domains=['noise', 'face'],
        split=split,
        size=16,
        noise_size=5,
        flip=False,
    )
    return DATASETS.build({**settings, **changes})


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path, dict(train=3))
    return tmp_path


def test_noise_of_training_depends_on_its_position(root):
    data = make(root)
    first, again, later = (data[at]['inputs'] for at in (1, 1, 4))
    assert first['noise'].shape == (5,) and first['img_face'].shape == (3, 16, 16)
    assert torch.equal(first['noise'], again['noise'])
    assert not torch.equal(first['noise'], later['noise'])
    other = make(root)
    other.seed = 1
    assert not torch.equal(other[1]['inputs']['noise'], first['noise'])
    assert len(data) == data.sources('face') == 3


def test_noise_alone(root):
    """Val and test need no images of their own."""
    data = make(root, 'test', samples=4, seed=2)
    samples = [data[at] for at in range(len(data))]
    assert len(samples) == 4 and list(samples[0]['inputs']) == ['noise']
    paths = {sample['data_samples'].img_noise_path for sample in samples}
    assert len(paths) == 4
    assert torch.equal(samples[3]['inputs']['noise'], Noise(5).draw(2, 3))
    assert not torch.equal(Noise(5).draw(2, 3), Noise(5).draw(3, 3))


def test_middle_of_images(root):
    image = Image.new('RGB', (20, 30), 'red')
    image.paste((0, 0, 255), (6, 11, 14, 19))
    image.save(root / 'train/0.png')
    data = make(root, crop=8, max_images=1)
    shown = data[0]['inputs']['img_face']
    assert (shown.flatten(1).float().mean(1) == torch.tensor([0.0, 0, 255])).all()


def unpaired(root, split='train'):
    settings = dict(data_root=str(root), domains=['edges', 'shoes'], split=split, size=16)
    return DATASETS.build(dict(settings, type='mmgan_compress.UnpairedImages', noise_size=6))


def test_noise_beside_unpaired_images(tmp_path):
    """In training it goes by seed and position, else by the image alone."""
    write_images(tmp_path, dict(trainA=3, trainB=2, testA=2, testB=2))
    data = unpaired(tmp_path)
    first, again, later = (data[at]['inputs'] for at in (1, 1, 4))
    assert list(first) == ['img_edges', 'img_shoes', 'noise'] and first['noise'].shape == (6,)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first['noise'], later['noise'])
    test = unpaired(tmp_path, 'test')
    test.seed = 5
    assert torch.equal(test[1]['inputs']['noise'], Noise(6).draw(0, 1))


def test_refusals(root):
    with pytest.raises(ValueError, match='too small for a crop of 99 pixels'):
        make(root, crop=99)
    with pytest.raises(ValueError, match='NoiseImages has no teacher_images: leave it out'):
        make(root, teacher_images=dict(face='folder'))
    for size in (0, 2.5, 10**9):
        with pytest.raises(ValueError, match='expected 1 to'):
            Noise(size)
    assert read_input(Noise(7).plain()) == Noise(7)
