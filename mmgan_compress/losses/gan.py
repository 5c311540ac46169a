"""Adversarial losses of the papers."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def gan_loss(kind: str, pred: Tensor | Sequence[Tensor], role: str) -> Tensor:
    """Return the mean adversarial loss of a map of logits; of several, the
    sum of their means.

    Args:
        kind (str): ``'lsgan'``, ``'vanilla'``, ``'hinge'`` or ``'wgan'``.
        pred (Tensor | Sequence[Tensor]): Logits, (N, 1, H, W), or those of
            several scales; computed in float32.
        role (str): ``'real'`` or ``'fake'`` for the discriminator's halves,
            ``'g'`` for the generator.

    Raises:
        ValueError: If ``kind`` or ``role`` is another word.
    """
    if not isinstance(pred, Tensor):
        return torch.stack([gan_loss(kind, scale, role) for scale in pred]).sum()
    pred = pred.float()
    if role not in ('real', 'fake', 'g'):
        raise ValueError(f"role must be 'real', 'fake' or 'g', got {role!r}")
    target = float(role != 'fake')
    sign = 1 if role == 'fake' else -1
    if kind == 'lsgan':
        return ((pred - target) ** 2).mean()
    if kind == 'vanilla':
        return F.binary_cross_entropy_with_logits(pred, pred.new_full(pred.shape, target))
    if kind == 'wgan' or (kind == 'hinge' and role == 'g'):
        return sign * pred.mean()
    if kind == 'hinge':
        return F.relu(1 + sign * pred).mean()
    raise ValueError(f"kind must be 'lsgan', 'vanilla', 'hinge' or 'wgan', got {kind!r}")
