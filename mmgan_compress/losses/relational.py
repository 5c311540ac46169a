"""CRD: the relations between parts of one image (arXiv 2212.11091).

Rows, columns or patches of an image are samples. The student is asked for
the pairwise distances and the angles of triplets that the teacher's samples
have: relational knowledge distillation (RKD, Park et al., arXiv 1904.05068)
within an image instead of within a batch.

Both losses are functions of the squared distances alone, (N, N) numbers per
image, and the (N, N, N) angles exist a few anchors at a time, so that memory
does not grow with their number. ``projects/relation_cost`` compares this with
the formula as published.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..registry import MODELS
from .base import DistillBatch, DistillLoss

_PARTS = ('rows', 'columns', 'patches')
# Smallest squared distance, as in the published RKD. Shorter difference
# vectors are the zero vector: they make no angle.
_MIN_SQUARE = 1e-12
# Angles in memory at once: 4 MB of float32.
_CHUNK = 2**20


def squared_distances(samples: Tensor) -> Tensor:
    """Return squared distances (B, N, N), in float64, of (B, N, D) samples.

    From the Gram matrix of the centred samples, as |a|^2 + |b|^2 - 2 a.b.
    In float32 that cancels where samples are much alike: on a white
    background, where rows differ by 0.001, the loss of the angles is wrong
    by a factor of ten. In float64 it is as exact as that of the differences.
    Autocast leaves float64 alone.
    """
    centred = samples.double()
    centred = centred - centred.mean(1, keepdim=True)
    gram = centred @ centred.mT
    square = gram.diagonal(dim1=1, dim2=2)
    return (square[:, :, None] + square[:, None] - 2 * gram).clamp(min=0)


def _scaled_distances(squares: Tensor) -> Tensor:
    n = squares.shape[1]
    others = 1 - torch.eye(n, dtype=squares.dtype, device=squares.device)
    distances = squares.clamp(min=_MIN_SQUARE).sqrt() * others
    # all but the diagonal are positive: this is the mean of those
    return distances / (distances.sum((1, 2), keepdim=True) / (n * n - n))


def distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Compare distances, each scaled by its image's mean distance.

    Args:
        student (Tensor): Squared distances, (B, N, N).
        teacher (Tensor): The teacher's, the same shape.

    Returns:
        Tensor: Smooth L1 (beta 1), mean over the N^2 pairs, (B, ).
    """
    return F.smooth_l1_loss(
        _scaled_distances(student), _scaled_distances(teacher), reduction='none'
    ).mean((1, 2))


def _inverse_distances(squares: Tensor) -> Tensor:
    """Return 1 / distance in float32, 0 for the zero vector."""
    inverse = squares.clamp(min=_MIN_SQUARE).rsqrt()
    return (inverse * (squares > _MIN_SQUARE)).float()


def _cosines(squares: Tensor, inverse: Tensor, anchors: slice) -> Tensor:
    """Return cosines (B, A, N, N) at A anchors i, by the law of cosines:
    2 cos_ijk = (d_ij^2 + d_ik^2 - d_jk^2) / (d_ij d_ik).
    """
    twice = squares[:, anchors, :, None] - squares[:, None]
    # the sum cancels, hence float64 up to here
    cosines = twice.add_(squares[:, anchors, None, :]).float()
    cosines.mul_(inverse[:, anchors, :, None])
    return cosines.mul_(inverse[:, anchors, None, :]).mul_(0.5)


class _AngleLoss(torch.autograd.Function):
    """Loss of the angles and its gradient, one chunk of anchors at a time.

    The gradient is computed with the loss: its chunks are in memory then,
    and only (B, N, N) numbers are kept for the backward pass.
    """

    @staticmethod
    def forward(ctx, student: Tensor, teacher: Tensor) -> Tensor:
        b, n, _ = student.shape
        inverse = _inverse_distances(student)
        inverse_teacher = _inverse_distances(teacher)
        loss, gradient = inverse.new_zeros(b), torch.zeros_like(inverse)
        size = max(1, _CHUNK // (b * n * n))
        for first in range(0, n, size):
            anchors = slice(first, first + size)
            cosines = _cosines(student, inverse, anchors)
            error = cosines - _cosines(teacher, inverse_teacher, anchors)
            # smooth L1 is slope * (error - slope / 2)
            slope = error.clamp(-1, 1)
            loss += error.sub_(slope, alpha=0.5).mul_(slope).sum((1, 2, 3))
            if not ctx.needs_input_grad[0]:
                continue
            # d_ij^2 and d_ik^2 stand in the numerator, which is symmetric in
            # j and k, and in the inverse distances; d_jk^2 in the numerator
            here = inverse[:, anchors]
            gradient[:, anchors] -= cosines.mul_(slope).sum(3) * here**2
            slope.mul_(here[:, :, :, None]).mul_(here[:, :, None, :])
            gradient[:, anchors] += slope.sum(3)
            gradient.sub_(slope.sum(1), alpha=0.5)
        ctx.save_for_backward(gradient / n**3)
        return loss / n**3

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream: Tensor):
        (gradient,) = ctx.saved_tensors
        return upstream[:, None, None] * gradient, None


def angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Compare the angles of all triplets of samples.

    The cosine at anchor i between samples j and k is 0 where a difference
    vector is zero. Such a vector receives no gradient either, whereas in the
    published form it receives 1e12 times its share.

    Args:
        student (Tensor): Squared distances, (B, N, N).
        teacher (Tensor): The teacher's, the same shape; gets no gradient.

    Returns:
        Tensor: Smooth L1 (beta 1), mean over the N^3 triplets, (B, ).
    """
    return _AngleLoss.apply(student, teacher)


def relation_loss(
    student: Tensor, teacher: Tensor, distance_weight: float = 1.0, angle_weight: float = 2.0
) -> Tensor:
    """Return the RKD loss of each image.

    Args:
        student (Tensor): Samples, (B, N, D).
        teacher (Tensor): Samples, (B, N, D'); gets no gradient.
        distance_weight (float): Factor of the distances.
        angle_weight (float): Factor of the angles.

    Returns:
        Tensor: Losses in float32, (B, ).

    Raises:
        ValueError: If N is 1 or differs.
    """
    if student.shape[:2] != teacher.shape[:2] or student.shape[1] < 2:
        raise ValueError(
            'relations are between two samples or more, as many of the '
            f'student as of the teacher; got {tuple(student.shape)} and '
            f'{tuple(teacher.shape)} (images, samples, dimension)'
        )
    squares = squared_distances(student)
    with torch.no_grad():
        targets = squared_distances(teacher)
    return (
        distance_weight * distance_loss(squares, targets)
        + angle_weight * angle_loss(squares, targets)
    ).float()


def cut_patches(images: Tensor, size: int) -> Tensor:
    """Cut (B, C, H, W) into square patches (B, N, C, size, size).

    They do not overlap and come row by row.

    Raises:
        ValueError: If the size does not divide height and width.
    """
    height, width = images.shape[2:]
    if height % size or width % size:
        sizes = [
            s
            for s in range(1, min(height, width) + 1)
            if not (height % s or width % s) and s * s < height * width
        ]
        nearest = sorted(sizes, key=lambda s: abs(s - size))[:2]
        raise ValueError(
            f'patch_size {size} does not divide an image of height {height} '
            f'and width {width}: choose {" or ".join(map(str, nearest))}'
        )
    patches = images.unfold(2, size, size).unfold(3, size, size)
    return patches.permute(0, 2, 3, 1, 4, 5).flatten(1, 2)


@MODELS.register_module()
class RelationLoss(DistillLoss):
    """Relations between rows, columns and patches, each loss added.

    Args:
        weight (float): 25 in CRD's CycleGAN, which runs at batch 1; 2.5 with
            ``reduction='sum'`` in its Pix2Pix (CRD/distillers/
            cycleganbest_distiller.py, pix2pixbest_distiller.py).
        parts (Sequence[str]): Of ``'rows'``, ``'columns'``, ``'patches'``.
        patch_size (int): Side of a patch; 32 in CRD. It must divide the
            image.
        distance_weight (float): Of the distances; 1 in CRD.
        angle_weight (float): Of the angles; 2 in CRD.
        reduction (str): ``'mean'`` over the images of a batch, or ``'sum'``.
        patches (str): ``'intended'``: the patches of one image are the
            samples. ``'published'``: what CRD's Pix2Pix code computes
            instead. It takes, as often as there are images, the next patch
            of the first image, and makes its colour planes the samples.

    Raises:
        ValueError: If an argument is none of those named; at the first batch
            if ``patch_size`` does not divide the image or fills it.
    """

    name = 'relation'

    def __init__(
        self,
        weight: float = 25.0,
        parts: Sequence[str] = _PARTS,
        patch_size: int = 32,
        distance_weight: float = 1.0,
        angle_weight: float = 2.0,
        reduction: str = 'mean',
        patches: str = 'intended',
        **kwargs,
    ):
        super().__init__(weight, **kwargs)
        if not parts or set(parts) - set(_PARTS):
            raise ValueError(f'parts must be some of {_PARTS}, got {parts!r}')
        if reduction not in ('mean', 'sum'):
            raise ValueError(f"reduction must be 'mean' or 'sum', got {reduction!r}")
        if patches not in ('intended', 'published'):
            raise ValueError(f"patches must be 'intended' or 'published', got {patches!r}")
        self.parts = tuple(parts)
        self.patch_size = patch_size
        self.weights = (distance_weight, angle_weight)
        self.sums_images = reduction == 'sum'
        self.published = patches == 'published'

    def _samples(self, part: str, images: Tensor) -> Tensor:
        """Return the samples (B, N, D) of (B, C, H, W) images."""
        if part == 'rows':
            return images.transpose(1, 2).flatten(2)
        if part == 'columns':
            return images.permute(0, 3, 1, 2).flatten(2)
        patches = cut_patches(images, self.patch_size)
        if self.published:
            patches = patches.flatten(0, 1)[: len(images)]
        elif patches.shape[1] == 1:
            raise ValueError(
                f'patch_size {self.patch_size} makes the whole image one '
                'patch, which has no relations: choose a smaller one'
            )
        return patches.flatten(2)

    def forward(self, batch: DistillBatch, teacher: str) -> Tensor:
        losses: Any = sum(
            relation_loss(
                self._samples(part, batch.image),
                self._samples(part, batch.targets[teacher]),
                *self.weights,
            )
            for part in self.parts
        )
        return losses.sum() if self.sums_images else losses.mean()
