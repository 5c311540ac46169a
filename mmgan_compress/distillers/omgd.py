"""OMGD: Online Multi-Granularity Distillation (ICCV 2021, 2108.06908).

Teachers train from scratch as ordinary GANs; the student, which sees no
discriminator and no ground truth, imitates their current images by SSIM,
style, feature and total-variation terms, and optionally the channel means of
four layers (channel distillation).
"""
from collections.abc import Sequence
from typing import Optional

from ..registry import DISTILLERS
from .base import own_terms
from .online import PairedOnlineDistiller, UnpairedOnlineDistiller


def omgd_terms(channel: Optional[dict] = None) -> list[dict]:
    """Return the paper's terms, with channel distillation if asked for.

    Args:
        channel (dict | None): Arguments of ``ChannelTerm``.
    """
    # AGD_weights: 1e1, 1e4, 1e1, 1e-5 in this order
    # (OMGD/distillers/multiteacher_distiller.py)
    terms = [
        dict(type='SSIMTerm', weight=10.),
        dict(type='StyleTerm', weight=1e4),
        dict(type='PerceptualTerm', weight=10.),
        dict(type='TotalVariationTerm', weight=1e-5)
    ]
    if channel is not None:
        terms.append(dict(type='ChannelTerm', **channel))
    return own_terms(*terms)


@DISTILLERS.register_module()
class OMGDPix2Pix(PairedOnlineDistiller):
    """OMGD with a wide and a deep Pix2Pix teacher.

    Args:
        channel (dict | None): Channel distillation, arguments of
            ``ChannelTerm``; in the paper from the wide teacher alone.
        terms (Sequence[dict] | None): Other terms in place of the paper's.
        kwargs: Of :class:`PairedOnlineDistiller`.
    """
    uses_perceptual = True  # unless other terms are given

    def __init__(self,
                 *args,
                 channel: Optional[dict] = None,
                 terms: Optional[Sequence[dict]] = None,
                 **kwargs):
        super().__init__(*args, terms=terms or omgd_terms(channel), **kwargs)


@DISTILLERS.register_module()
class OMGDCycleGAN(UnpairedOnlineDistiller):
    """OMGD with a CycleGAN teacher, in alternating phases.

    Args:
        channel (dict | None): Channel distillation, arguments of
            ``ChannelTerm``.
        terms (Sequence[dict] | None): Other terms in place of the paper's.
        kwargs: Of :class:`UnpairedOnlineDistiller`.
    """
    uses_perceptual = True  # unless other terms are given

    def __init__(self,
                 *args,
                 channel: Optional[dict] = None,
                 terms: Optional[Sequence[dict]] = None,
                 **kwargs):
        super().__init__(*args, terms=terms or omgd_terms(channel), **kwargs)
