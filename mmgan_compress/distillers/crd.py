"""CRD: Content Relationship Distillation (2212.11091).

As in OMGD, teachers train from nothing as ordinary GANs while the student
imitates their current images. It is asked for the relations between parts of
the image - rows, columns, patches - and, in CycleGAN, is judged by the
teacher's discriminator.
"""
from collections.abc import Sequence
from typing import Optional

from ..registry import DISTILLERS
from .base import own_losses
from .online import PairedOnlineDistiller, UnpairedOnlineDistiller


@DISTILLERS.register_module()
class CRDPix2Pix(PairedOnlineDistiller):
    """CRD with a wide Pix2Pix teacher.

    Args:
        relation (dict | None): Arguments of ``RelationLoss`` other than the
            paper's: ``patches='published'`` is what CRD's code computes in
            place of relations between the patches of each image.
        adversarial_weight (float): Weight of the teacher's discriminator's
            judgement of the student; 0 in the published code, though the
            paper describes it.
        losses (Sequence[dict] | None): Other losses in place of the paper's.
        kwargs: Of :class:`PairedOnlineDistiller`.
    """
    uses_perceptual = True  # unless other losses are given

    def __init__(self, *args, relation: Optional[dict] = None,
                 adversarial_weight: float = 0.,
                 losses: Optional[Sequence[dict]] = None,
                 gan_type: str = 'hinge', **kwargs):
        # Weights of CRD/distillers/pix2pixbest_distiller.py: style and
        # feature twice those of OMGD; relations summed over the batch.
        own = [
            dict(dict(type='RelationLoss', weight=2.5, reduction='sum'),
                 **relation or {}),
            dict(type='StyleLoss', weight=2e4),
            dict(type='PerceptualLoss', weight=20.)
        ]
        if adversarial_weight:
            own.append(dict(type='AdversarialLoss', gan_type=gan_type,
                            weight=adversarial_weight))
        super().__init__(*args, losses=losses or own_losses(*own),
                         gan_type=gan_type, **kwargs)


@DISTILLERS.register_module()
class CRDCycleGAN(UnpairedOnlineDistiller):
    """CRD with a CycleGAN teacher, in alternating phases.

    The student imitates the best generator so far; it is judged by the
    *latest* discriminator, as published.

    Args:
        relation (dict | None): Arguments of ``RelationLoss`` other than the
            paper's.
        losses (Sequence[dict] | None): Other losses in place of the paper's.
        kwargs: Of :class:`UnpairedOnlineDistiller`.
    """
    uses_perceptual = True  # unless other losses are given

    def __init__(self, *args, relation: Optional[dict] = None,
                 losses: Optional[Sequence[dict]] = None, **kwargs):
        # 25 each, style 1e4, feature 10, D 1
        # (CRD/distillers/cycleganbest_distiller.py)
        own = own_losses(
            dict(dict(type='RelationLoss', weight=25.), **relation or {}),
            dict(type='StyleLoss', weight=1e4),
            dict(type='PerceptualLoss', weight=10.),
            dict(type='AdversarialLoss', gan_type='lsgan'))
        super().__init__(*args, losses=losses or own, **kwargs)
