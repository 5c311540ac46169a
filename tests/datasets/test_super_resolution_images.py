"""Small and large images of super-resolution."""

import numpy as np
import pytest
import torch
from PIL import Image

from golden import assert_close_rel, load_npz
from mmgan_compress.datasets.transforms import ShrinkImage
from mmgan_compress.registry import DATASETS
from srgan_golden import DEVIATION, MEAN
from toy import write_images


def make(root, split, **changes):
    settings = dict(
        type='mmgan_compress.SuperResolutionImages',
        data_root=str(root),
        domains=['low', 'high'],
        split=split,
        size=4,
        scale=4,
    )
    return DATASETS.build({**settings, **changes})


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path, dict(train=5, test=2))
    Image.new('RGB', (27, 19)).save(tmp_path / 'test/wide.png')
    return tmp_path


def test_small_image_is_that_of_the_original():
    """Pillow's bicubic on 8 bits, of a crop around the centre."""
    arrays = load_npz('srgan', 'data/')
    image = arrays['u'].numpy().astype(np.uint8)
    found = ShrinkImage('large', 'small', 4).transform(dict(large=image))
    assert found['large'].shape == tuple(arrays['hr_shape'].tolist()[i] for i in (1, 2, 0))
    corner = torch.from_numpy(found['large'][:2, :2]).permute(2, 0, 1) / 127.5 - 1
    assert_close_rel(corner, arrays['hr_corner'])
    small = torch.from_numpy(found['small']).permute(2, 0, 1) / 255
    assert_close_rel((small - MEAN) / DEVIATION, arrays['lr'], 1e-5)


def test_crops_of_training_depend_on_their_position(root):
    data = make(root, 'train')
    first, again = (data[3]['inputs'] for _ in range(2))
    assert first['img_low'].shape == (3, 4, 4) and first['img_high'].shape == (3, 16, 16)
    assert torch.equal(first['img_high'], again['img_high'])
    crops = [data[at]['inputs']['img_high'] for at in range(0, 40, 5)]
    assert any(not torch.equal(crops[0], crop) for crop in crops[1:])
    assert data.sources('high') == 5


def test_whole_images_of_any_size(root):
    shapes = {tuple(entry['inputs']['img_high'].shape) for entry in make(root, 'test')}
    assert shapes == {(3, 32, 32), (3, 16, 24)}


def test_a_side_of_another_set(tmp_path):
    write_images(tmp_path, dict(trainA=1, trainB=4))
    assert len(make(tmp_path, 'train', side='B')) == 4
    # images for val are lent by those of training
    assert len(make(tmp_path, 'val', side='B')) == 4


def test_refusals(root):
    with pytest.raises(ValueError, match='5 of 5 images are too small for a crop of 36 pixels'):
        make(root, 'train', size=9)
    with pytest.raises(ValueError, match='SuperResolutionImages has no teacher_images'):
        make(root, 'train', teacher_images=dict(high='folder'))
