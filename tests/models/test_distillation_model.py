"""The model model: a translation model whose generators are the student."""

import copy

import pytest
import torch

from mmgan_compress.core.inputs import StyledImage
from students import make_model
from toy import build_model


def test_scored_as_shipped(recipe):
    """Eval mode by default, whole numbers, and the student left as it was."""
    from mmagic.structures import DataSample

    model = build_model(recipe('omgd', 'pix2pix'))
    data = dict(
        inputs={
            f'img_{domain}': torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
            for domain in ('edges', 'shoes')
        },
        data_samples=[DataSample(), DataSample()],
    )
    modes = []
    model.generators['shoes'].register_forward_hook(lambda m, *_: modes.append(m.training))
    sample = model.val_step(copy.deepcopy(data))[0]
    model.test_in_train_mode = True
    model.val_step(copy.deepcopy(data))
    assert modes == [False, True] and model.generators['shoes'].training
    fake = sample.get('fake_shoes')
    assert fake.shape == (3, 32, 32) and torch.equal(fake, fake.round())
    assert 0 <= fake.min() and fake.max() <= 255


def test_style_is_the_first_numbers_of_the_noise():
    """With the numbers of two styles, there are two pictures of each image."""
    from mmagic.structures import DataSample

    model, noise = make_model('styled'), torch.randn(1, 19)
    image = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    inputs = dict(img_horse=2 * torch.rand(1, 3, 32, 32) - 1, noise=noise)
    for at in (0, 1):
        packed = model.input_of('zebra', inputs, at)
        own, style = StyledImage().split(packed)
        assert torch.equal(own, inputs['img_horse'])
        assert torch.equal(style, noise[:, 8 * at : 8 * at + 8])
    with pytest.raises(ValueError, match='set noise_size=8 of the data set'):
        model.input_of('zebra', dict(inputs, noise=noise[:, :7]))

    def pictures(noise):
        data = dict(inputs=dict(img_horse=image, noise=noise), data_samples=[DataSample()])
        (sample,) = model.val_step(data)
        return sample

    first, swapped = pictures(noise[:, :16]), pictures(noise[:, :16].roll(8, 1))
    assert torch.equal(first.fake_zebra, swapped.restyled_zebra)
    assert (first.fake_zebra - first.restyled_zebra).abs().max() > 20
    assert 'restyled_zebra' not in pictures(noise[:, :15])
