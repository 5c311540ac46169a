"""OMGD: Online Multi-Granularity Distillation (ICCV 2021, 2108.06908).

Teachers train from scratch as ordinary GANs; the student, which sees no
discriminator and no ground truth, imitates their current images by SSIM,
style, feature and total-variation losses, and optionally the channel means of
four layers (channel distillation).
"""
from collections.abc import Sequence
from typing import Optional

from ..registry import DISTILLERS
from .base import own_losses
from .online import PairedOnlineDistiller, UnpairedOnlineDistiller


def omgd_losses(channel: Optional[dict] = None) -> list[dict]:
    """Return the paper's losses, with channel distillation if asked for.

    Args:
        channel (dict | None): Arguments of ``ChannelLoss``.
    """
    # AGD_weights: 1e1, 1e4, 1e1, 1e-5 in this order
    # (OMGD/distillers/multiteacher_distiller.py)
    losses = [
        dict(type='SSIMLoss', weight=10.),
        dict(type='StyleLoss', weight=1e4),
        dict(type='PerceptualLoss', weight=10.),
        dict(type='TotalVariationLoss', weight=1e-5)
    ]
    if channel is not None:
        losses.append(dict(type='ChannelLoss', **channel))
    return own_losses(*losses)


@DISTILLERS.register_module()
class OMGDPix2Pix(PairedOnlineDistiller):
    """OMGD with a wide and a deep Pix2Pix teacher.

    Args:
        channel (dict | None): Channel distillation, arguments of
            ``ChannelLoss``; in the paper from the wide teacher alone.
        losses (Sequence[dict] | None): Other losses in place of the paper's.
        kwargs: Of :class:`PairedOnlineDistiller`.
    """
    uses_perceptual = True  # unless other losses are given

    def __init__(self,
                 *args,
                 channel: Optional[dict] = None,
                 losses: Optional[Sequence[dict]] = None,
                 **kwargs):
        super().__init__(*args, losses=losses or omgd_losses(channel), **kwargs)


@DISTILLERS.register_module()
class OMGDCycleGAN(UnpairedOnlineDistiller):
    """OMGD with a CycleGAN teacher, in alternating phases.

    Args:
        channel (dict | None): Channel distillation, arguments of
            ``ChannelLoss``.
        losses (Sequence[dict] | None): Other losses in place of the paper's.
        kwargs: Of :class:`UnpairedOnlineDistiller`.
    """
    uses_perceptual = True  # unless other losses are given

    def __init__(self,
                 *args,
                 channel: Optional[dict] = None,
                 losses: Optional[Sequence[dict]] = None,
                 **kwargs):
        super().__init__(*args, losses=losses or omgd_losses(channel), **kwargs)
