"""Losses of related papers: feature similarity, wavelets, discriminators.

None of them needs a connector, so student and teacher may differ in width.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..registry import MODELS
from .base import DistillBatch, DistillLoss


def _row_products(x: Tensor, y: Tensor) -> Tensor:
    """Return the products of equal rows of x x^T and y y^T.

    Args:
        x (Tensor): (B, N, D).
        y (Tensor): (B, N, D').

    Returns:
        Tensor: (B, N). The order of multiplication makes N x N or D x D'
        matrices, whichever is smaller: pixels can be many, or features.
    """
    if x.shape[1] ** 2 <= x.shape[2] * y.shape[2]:
        return ((x @ x.mT) * (y @ y.mT)).sum(2)
    return (x @ (x.mT @ y) * y).sum(2)


class _RowsLoss(DistillLoss):
    """Base of the losses that compare similarities between rows of features.

    Args:
        weight (float): Factor of the loss.
        layers (Sequence[str]): Layers of the student.
        target_layers (Sequence[str] | None): Those of the teacher in the same
            order; the same names if None.
        over (str): ``'batch'``: a row is an image, all of its features;
            ``'positions'``: a row is a position, its channels.

    Raises:
        ValueError: If ``over`` is neither, or the numbers of layers differ.
    """

    def __init__(
        self,
        weight: float,
        layers: Sequence[str],
        target_layers: Sequence[str] | None = None,
        over: str = 'batch',
        **kwargs,
    ):
        super().__init__(weight, **kwargs)
        self.compare_layers(layers, target_layers)
        if over not in ('batch', 'positions'):
            raise ValueError(
                f"over of {type(self).__name__} must be 'batch' or 'positions', got {over!r}"
            )
        self.over = over

    def _rows(self, feature: Tensor) -> Tensor:
        """Return rows (1, B, C H W) or (B, H W, C) of (B, C, H, W)."""
        if self.over == 'positions':
            return feature.float().flatten(2).mT
        if len(feature) == 1:
            raise ValueError(
                f"{type(self).__name__} with over='batch' compares the images "
                'of a batch with each other, but the batch has one: it would '
                "be constant. Choose over='positions' or a larger batch"
            )
        return feature.float().flatten(1)[None]

    def _pairs(self, batch: DistillBatch, teacher: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the rows of student and teacher, layer by layer."""
        targets = batch.target_features[teacher]
        for layer, target_layer in zip(self.layers, self.target_layers):
            student = self._rows(batch.features[layer])
            target = self._rows(targets[target_layer].detach())
            if student.shape[1] != target.shape[1]:
                raise ValueError(
                    f'{type(self).__name__}: {layer!r} of the student has '
                    f'{student.shape[1]} positions, {target_layer!r} of the '
                    f'teacher {target.shape[1]}: choose layers of one size'
                )
            yield student, target


@MODELS.register_module()
class KernelAlignmentLoss(_RowsLoss):
    """Kernel alignment of CAT: minus KA, summed over the layers.

    "Teachers Do More Than Teach: Compressing Image-to-Image Models", CVPR
    2021, arXiv 2103.03467. For features X and Y with n rows each::

        KA = |Y^T X|^2 / (|X^T X| |Y^T Y|)          (Frobenius norms)

    is the cosine between X X^T and Y Y^T, 0 to 1. It is maximised, hence the
    loss is negative: -1 per layer is the optimum.

    Args:
        weight (float): 1 in CAT's CycleGAN (CAT/scripts/cycle_gan/
            horse2zebra/train_inception_student_2p6B.sh), which aligns four
            layers.
        layers (Sequence[str]): Layers of the student.
        target_layers (Sequence[str] | None): Those of the teacher in the same
            order; the same names if None.
        over (str): ``'positions'``: the rows are the positions of all images
            together, the global alignment. ``'batch'``: the rows are the
            images, as CAT's code has it (CAT/utils/common.py); it uses
            batches of 80, and at batch 1 that is constant.

    Raises:
        ValueError: If the numbers of layers differ; at the first batch, if
            it has one image and ``over='batch'``.
    """

    name = 'kernel_alignment'

    def __init__(self, *args, over: str = 'positions', **kwargs):
        super().__init__(*args, over=over, **kwargs)  # type: ignore[misc]

    def forward(self, batch, teacher):
        total = 0
        for x, y in self._pairs(batch, teacher):
            x, y = x.flatten(0, 1)[None], y.flatten(0, 1)[None]
            own = _row_products(x, x).sum() * _row_products(y, y).sum()
            total = total - _row_products(x, y).sum() / own.sqrt()
        return total


@MODELS.register_module()
class SimilarityLoss(_RowsLoss):
    """Similarity-preserving distillation, summed over the layers.

    Tung and Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019,
    arXiv 1907.09682. With Q the n rows and G = Q Q^T, each row of G divided
    by its L2 norm, the loss is ``|G_T - G_S|^2 / n^2`` (Frobenius).

    Li et al., "Semantic Relation Preserving Knowledge Distillation for
    Image-to-Image Translation", ECCV 2020, arXiv 2104.15082, apply the
    same normalised matrix to the pixels of one image: ``over='positions'``,
    here with Tung and Mori's norm and averaged over the images.

    Args:
        weight (float): Tuned to the number of rows: the loss falls with it.
        layers (Sequence[str]): Layers of the student.
        target_layers (Sequence[str] | None): Those of the teacher in the same
            order; the same names if None.
        over (str): ``'batch'``: between the images of a batch; or
            ``'positions'``: between the positions of each image.

    Raises:
        ValueError: If the numbers of layers differ; at the first batch, if
            it has one image and ``over='batch'``.
    """

    name = 'similarity'

    def forward(self, batch, teacher):
        total = 0
        for x, y in self._pairs(batch, teacher):
            # |a - b|^2 of unit rows is 2 - 2 a.b: no N x N matrix is needed.
            # A row of zeros stays zero.
            own_x, own_y = _row_products(x, x), _row_products(y, y)
            norms = (own_x * own_y).clamp(min=1e-30).sqrt()
            squares = (own_x > 0).float() + (own_y > 0).float()
            distances = squares - 2 * _row_products(x, y) / norms
            total = total + distances.sum(1).mean() / x.shape[1] ** 2
        return total


def haar(images: Tensor) -> tuple[Tensor, Tensor]:
    """Split images by one level of the orthonormal Haar wavelet.

    Args:
        images (Tensor): (B, C, H, W), H and W even.

    Returns:
        tuple[Tensor, Tensor]: Low band (B, C, H/2, W/2), and the three high
        bands (3, B, C, H/2, W/2): between rows, between columns, diagonal.
    """
    top, bottom = images[..., ::2, :], images[..., 1::2, :]
    a, b = top[..., ::2], top[..., 1::2]
    c, d = bottom[..., ::2], bottom[..., 1::2]
    high = torch.stack([a + b - c - d, a - b + c - d, a - b - c + d])
    return (a + b + c + d) / 2, high / 2


@MODELS.register_module()
class WaveletLoss(DistillLoss):
    """L1 of the high bands of a Haar transform of the images.

    "Wavelet Knowledge Distillation: Towards Efficient Image-to-Image
    Translation", CVPR 2022, arXiv 2203.06321: small generators fail at high
    frequencies, so only these are distilled. The bands of one level are
    averaged, the levels are summed.

    Args:
        weight (float): 0.4, as levels, in the authors' runs on horse2zebra
            (ArchipLab-LinfengZhang/wkd-datasets, run.sh).
        levels (int): Number of levels; 4 there.

    Raises:
        ValueError: If ``levels`` is below 1; at the first batch if the image
            cannot be halved that often.
    """

    name = 'wavelet'

    def __init__(self, weight: float = 0.4, levels: int = 4, **kwargs):
        super().__init__(weight, **kwargs)
        if levels < 1:
            raise ValueError(f'levels must be 1 or more, got {levels}')
        self.levels = levels

    def forward(self, batch, teacher):
        height, width = batch.image.shape[2:]
        if height % 2**self.levels or width % 2**self.levels:
            raise ValueError(
                f'an image of height {height} and width {width} cannot be '
                f'halved {self.levels} times: choose sizes that '
                f'{2**self.levels} divides, or fewer levels'
            )
        # the transform is linear: one of the difference instead of two
        low, total = batch.image - batch.targets[teacher].detach(), 0
        for _ in range(self.levels):
            low, high = haar(low)
            total = total + high.abs().mean()
        return total


@MODELS.register_module()
class DiscriminatorFeatureLoss(DistillLoss):
    """L1 in the feature space of the teacher's discriminator.

    After "Discriminator-Cooperated Feature Map Distillation for GAN
    Compression" (DCD), CVPR 2023, arXiv 2212.14169, where the discriminator,
    which trains with the teacher, tells what matters. It deviates: DCD shows
    the discriminator intermediate features of both generators, four layers
    of each reduced to three channels by 1x1 convolutions, batch norm and
    ReLU (those of the teacher stay as they were initialised). Here it is
    shown the two images: no connectors, one pass instead of four, which
    other losses on the discriminator share.

    Args:
        weight (float): 1 in DCD's CycleGAN (DCD-official/scripts/cycle_gan/
            horse2zebra/distill.sh).
        discriminator_layers (Sequence[str]): Layers of the discriminator;
            their losses are added. DCD takes the output of the last block
            before the logits, ``'model.10'`` in its naming.

    Raises:
        ValueError: If no layer is named.
    """

    name = 'discriminator_feature'
    uses_discriminator = True

    def __init__(self, weight: float = 1.0, discriminator_layers: Sequence[str] = (), **kwargs):
        super().__init__(weight, **kwargs)
        self.discriminator_layers = tuple(discriminator_layers)
        if not self.discriminator_layers:
            raise ValueError('DiscriminatorFeatureLoss needs discriminator_layers, got none')

    def forward(self, batch, teacher):
        _, features = batch.discriminated(teacher)
        _, targets = batch.discriminated_target(teacher)
        return sum(
            F.l1_loss(features[layer].float(), targets[layer].float())
            for layer in self.discriminator_layers
        )
