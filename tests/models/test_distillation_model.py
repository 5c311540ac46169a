"""The model model: a translation model whose generators are the student."""

import copy

import torch

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
