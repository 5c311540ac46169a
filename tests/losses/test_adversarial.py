"""GCC's cooperative loss, and recipes that cannot be."""

import pytest
import torch

from test_gcc import recipe
from toy import build_model

pytestmark = pytest.mark.numerical


def test_equal_images_have_a_finite_gradient():
    """The root's gradient at zero is infinite in the published code."""
    from mmgan_compress.losses.adversarial import CooperativeLoss
    from mmgan_compress.losses.base import DistillBatch

    feature = torch.rand(1, 4, 8, 8)
    loss = CooperativeLoss(1.0, 1.0, ['a'], root=True)
    loss.adaptors['t'] = torch.nn.ModuleList([torch.nn.Identity()])
    own = feature.clone().requires_grad_()
    batch = DistillBatch(feature, feature, {'t': feature}, {'a': own}, {'t': {'a': feature}})
    loss(batch, 't').backward()
    assert torch.isfinite(own.grad).all()


@pytest.mark.parametrize(
    'change,words',
    [
        (lambda m: m.update(reachable_domains=['zebra']), 'generates both of its domains'),
        (
            lambda m: setattr(
                m.distiller,
                'student_discriminator',
                m.distiller.student_discriminator.pop('discriminator'),
            ),
            'PatchDiscriminator has none: take GatedPatchDiscriminator',
        ),
        (lambda m: m.distiller.update(teacher=None), 'needs a teacher'),
    ],
)
def test_bad_recipes_are_refused(change, words):
    cfg = recipe('cyclegan')
    change(cfg.model)
    with pytest.raises(ValueError, match=words):
        build_model(cfg)
