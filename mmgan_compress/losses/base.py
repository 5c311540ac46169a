"""Distillation losses: weight and formula, nothing about training.

A loss of one's own is a class with ``forward``; a recipe names it in the
list ``model.distiller.losses``::

    @MODELS.register_module()
    class EdgeLoss(DistillLoss):
        name = 'edge'  # logged as loss_edge_<domain>_<teacher>

        def forward(self, batch, teacher):
            student, target = batch.image, batch.targets[teacher]
            return (student.diff(dim=3) - target.diff(dim=3)).abs().mean()

    >>> x, y = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    >>> EdgeLoss(weight=5.)(DistillBatch(x, x, {'wide': y}), 'wide')
    tensor(0.33)

The distiller multiplies it by its weight and adds it to the others
(``distillers/base.py``).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..core.feature_extraction import infer_channels
from ..registry import MODELS


@dataclass
class DistillBatch:
    """What the losses of one student step may look at.

    For OMGD's Pix2Pix with ``x`` the condition images::

        DistillBatch(source=x, image=student(x),
                     targets={'wide': wide(x), 'deep': deep(x)},
                     features={'model.9': ...},           # the student's
                     target_features={'wide': {'model.9': ...}},
                     perceptual=VGG16Features(),
                     discriminate=lambda teacher, image: (logits, features))

    Args:
        source (Tensor): Input images, (N, C, H, W) in [-1, 1].
        image (Tensor): The student's, alike, with its graph.
        targets (dict[str, Tensor]): The teachers', by name, without graph.
        features (dict[str, Tensor]): The student's by layer, (N, C, H, W),
            of the layers that losses name in ``layers``.
        target_features (dict[str, dict[str, Tensor]]): The teachers', of
            ``target_layers``.
        perceptual (Callable | None): Maps images to a list of four features;
            there if a loss has ``uses_perceptual``.
        discriminate (Callable | None): Maps the name of a teacher and images
            to the logits (N, 1, H', W') of its discriminator and the
            features of ``discriminator_layers``.
        discriminated_targets (dict[str, tuple]): What it returned for the
            teachers' images, if that is known.
    """

    source: Tensor
    image: Tensor
    targets: dict[str, Tensor]
    features: dict[str, Tensor] = field(default_factory=dict)
    target_features: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    perceptual: Callable[[Tensor], list[Tensor]] | None = None
    discriminate: Callable[[str, Tensor], tuple[Tensor, dict]] | None = None
    discriminated_targets: dict[str, tuple] = field(default_factory=dict)
    _perceptual: dict = field(default_factory=dict, repr=False)
    _discriminated: dict = field(default_factory=dict, repr=False)

    def perceptual_features(self, teacher: str | None = None) -> list[Tensor]:
        """Return the perceptual features of the student's image, or of one
        teacher's; each is computed once however many losses ask.
        """
        if teacher not in self._perceptual:
            assert self.perceptual is not None  # uses_perceptual gives it
            image = self.image if teacher is None else self.targets[teacher]
            with torch.set_grad_enabled(teacher is None):
                self._perceptual[teacher] = self.perceptual(image.float())
        return self._perceptual[teacher]

    def discriminated(self, teacher: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Return logits and features of a teacher's discriminator for the
        student's image, with the gradient to the student.
        """
        if teacher not in self._discriminated:
            assert self.discriminate is not None  # uses_discriminator does
            self._discriminated[teacher] = self.discriminate(teacher, self.image)
        return self._discriminated[teacher]

    def discriminated_target(self, teacher: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the same for the teacher's own image, without gradient."""
        if teacher not in self.discriminated_targets:
            assert self.discriminate is not None
            with torch.no_grad():
                self.discriminated_targets[teacher] = self.discriminate(
                    teacher, self.targets[teacher]
                )
        return self.discriminated_targets[teacher]


def gram(feature: Tensor) -> Tensor:
    """Return Gram matrices (N, C, C) = F F^T / (C H W) of (N, C, H, W)."""
    n, c, h, w = feature.shape
    flat = feature.reshape(n, c, h * w)
    return flat @ flat.transpose(1, 2) / (c * h * w)


# as `layers` of a loss: the distiller puts in models.topology.feature_layers
# of the student, and as `target_layers` those of the teacher
AUTO_LAYERS = 'auto'


class DistillLoss(nn.Module):
    """Base of all losses.

    A class says what it needs: ``uses_perceptual`` for
    ``batch.perceptual_features()``, with ``deepest_feature`` the index of the last
    one that it reads, so that nothing behind it is computed (None: all);
    ``uses_discriminator`` for a teacher's,
    by ``batch.discriminated()``; ``needs_teacher = False`` to run once with
    ``teacher=None``; ``sums_images`` for a sum over the batch in place of its
    mean; the names of layers, of which the batch has the features.

    Args:
        weight (float): Factor of the loss.
        teachers (list[str] | None): Teachers that it applies to; None is all.
    """

    name: str
    uses_perceptual = False
    deepest_feature: int | None = None
    uses_discriminator = False
    needs_teacher = True
    sums_images = False
    layers: tuple[str, ...] = ()  # of the student
    target_layers: tuple[str, ...] = ()  # of its teachers
    discriminator_layers: tuple[str, ...] = ()  # of teachers' discriminators

    def __init__(self, weight: float, teachers: Sequence[str] | None = None):
        super().__init__()
        self.weight = weight
        self.teachers = teachers

    def compare_layers(self, layers: Sequence[str], target_layers: Sequence[str] | None):
        """Name the layers to compare; the teacher's are the same if None.

        Raises:
            ValueError: If their numbers differ.
        """
        self.layers = tuple(layers)
        self.target_layers = tuple(target_layers or layers)
        if len(self.layers) != len(self.target_layers):
            raise ValueError(
                f'{type(self).__name__} got {len(self.layers)} layers and '
                f'{len(self.target_layers)} target_layers: name one each'
            )

    def connect(self, student: nn.Module, teachers: dict[str, nn.Module], shape: tuple):
        """Build what depends on the networks; called once at build time.

        Args:
            student (nn.Module): Generator that learns.
            teachers (dict[str, nn.Module]): Those of this loss, by name.
            shape (tuple): Of an image, (1, C, H, W), to look at channels.
        """

    def forward(self, batch: DistillBatch, teacher: str) -> Tensor:
        """Return the unweighted loss against one teacher, a scalar.

        Args:
            batch (DistillBatch): Images and features of this step, float32.
            teacher (str): Its name; a loss of several teachers runs once for
                each.

        Raises:
            ValueError: If it cannot be computed for such images.
        """
        raise NotImplementedError


class AdaptedLoss(DistillLoss):
    """Base of losses that map the student's features to a teacher's width.

    Each pair of layers has a learnt adaptor of its own, by teacher.

    Args:
        weight (float): Factor of the loss.
        layers (Sequence[str] | str): Layers of the student, or ``'auto'`` in
            the config: four layers of each network, where both are ResNet
            generators or U-Nets.
        target_layers (Sequence[str] | None): Layers of the teacher in the
            same order; the same names if None.
        teachers (list[str] | None): As of :class:`DistillLoss`.

    Raises:
        ValueError: If the numbers of layers differ.
    """

    def __init__(
        self,
        weight: float,
        layers: Sequence[str],
        target_layers: Sequence[str] | None = None,
        teachers: Sequence[str] | None = None,
    ):
        super().__init__(weight, teachers)
        self.compare_layers(layers, target_layers)
        self.adaptors = nn.ModuleDict()

    def adaptor(self, narrow: int, wide: int) -> nn.Module:
        """Return what maps the student's channels to the teacher's."""
        raise NotImplementedError

    def connect(self, student, teachers, shape):
        narrow = infer_channels(student, self.layers, shape)
        for key, teacher in teachers.items():
            wide = infer_channels(teacher, self.target_layers, shape)
            self.adaptors[key] = nn.ModuleList(
                self.adaptor(narrow[s], wide[t]) for s, t in zip(self.layers, self.target_layers)
            )

    def feature_pairs(
        self, batch: DistillBatch, teacher: str
    ) -> Iterator[tuple[nn.Module, Tensor, Tensor]]:
        """Yield adaptor, feature and teacher's feature by layer."""
        targets = batch.target_features[teacher]
        adaptors = cast(nn.ModuleList, self.adaptors[teacher])
        for adaptor, s, t in zip(adaptors, self.layers, self.target_layers):
            yield adaptor, batch.features[s].float(), targets[t].float()


@MODELS.register_module()
class SSIMLoss(DistillLoss):
    """1 - SSIM: 11x11 Gaussian, sigma 1.5, zero padding.

    C1 and C2 are those of images in [0, 1] though images are in [-1, 1]:
    the weight 10 is tuned to it (OMGD/models/modules/loss, spec section 3).
    """

    name = 'ssim'
    line: Tensor

    def __init__(self, weight: float = 10.0, **kwargs):
        super().__init__(weight, **kwargs)
        at = torch.arange(11, dtype=torch.float64) - 5
        line = torch.exp(-(at**2) / (2 * 1.5**2))
        self.register_buffer('line', (line / line.sum()).float(), persistent=False)

    def _blur(self, x: Tensor) -> Tensor:
        c = x.shape[1]  # the window is separable: 22 factors, not 121
        x = F.conv2d(x, self.line.view(1, 1, 11, 1).expand(c, 1, 11, 1), padding=(5, 0), groups=c)
        return F.conv2d(
            x, self.line.view(1, 1, 1, 11).expand(c, 1, 1, 11), padding=(0, 5), groups=c
        )

    def forward(self, batch, teacher):
        s, t = batch.image, batch.targets[teacher]
        mu_s, mu_t = self._blur(s), self._blur(t)
        var_s = self._blur(s * s) - mu_s**2
        var_t = self._blur(t * t) - mu_t**2
        cov = self._blur(s * t) - mu_s * mu_t
        c1, c2 = 0.01**2, 0.03**2
        ssim = (
            (2 * mu_s * mu_t + c1)
            * (2 * cov + c2)
            / ((mu_s**2 + mu_t**2 + c1) * (var_s + var_t + c2))
        )
        return 1 - ssim.mean()


@MODELS.register_module()
class StyleLoss(DistillLoss):
    """L1 of the Gram matrices, summed over the four VGG features."""

    name = 'style'
    uses_perceptual = True

    def __init__(self, weight: float = 1e4, **kwargs):
        super().__init__(weight, **kwargs)

    def forward(self, batch, teacher):
        pairs = zip(batch.perceptual_features(), batch.perceptual_features(teacher))
        return sum(F.l1_loss(gram(s), gram(t)) for s, t in pairs)


@MODELS.register_module()
class PerceptualLoss(DistillLoss):
    """L1 of one VGG feature, relu2_2 by default ("feature" in OMGD)."""

    name = 'feature'
    uses_perceptual = True

    def __init__(self, weight: float = 10.0, feature: int = 1, **kwargs):
        super().__init__(weight, **kwargs)
        self.deepest_feature = feature

    def forward(self, batch, teacher):
        return F.l1_loss(
            batch.perceptual_features()[self.deepest_feature],
            batch.perceptual_features(teacher)[self.deepest_feature],
        )


@MODELS.register_module()
class TotalVariationLoss(DistillLoss):
    """Total variation of the student's image.

    A *sum* over batch and pixels, so it grows with both: the weight 1e-5 is
    tuned to that. It is added once per teacher, as in OMGD.
    """

    name = 'tv'
    sums_images = True

    def __init__(self, weight: float = 1e-5, **kwargs):
        super().__init__(weight, **kwargs)

    def forward(self, batch, teacher):
        x = batch.image
        return (x[..., 1:] - x[..., :-1]).abs().sum() + (x[..., 1:, :] - x[..., :-1, :]).abs().sum()


@MODELS.register_module()
class ChannelLoss(AdaptedLoss):
    """Channel distillation: squared distance of spatial channel means.

    Each feature of the student passes a learnt adaptor (1x1 convolution
    without bias, batch norm, ReLU) to the teacher's width.

    Args:
        layers (list[str]): Layers of the student.
        target_layers (list[str] | None): Those of the teacher in the same
            order; the same names if None.
        reduction (str): ``'sum'`` over the layers as in OMGD's code, to which
            its weights are tuned, or ``'mean'`` as in the paper.
        weight (float): lambda_CD of OMGD's scripts (10 ... 1000).
    """

    name = 'channel'

    def __init__(
        self,
        weight: float,
        layers: Sequence[str],
        target_layers: Sequence[str] | None = None,
        reduction: str = 'sum',
        **kwargs,
    ):
        super().__init__(weight, layers, target_layers, **kwargs)
        if reduction not in ('sum', 'mean'):
            raise ValueError(f"reduction must be 'sum' or 'mean', got {reduction!r}")
        self.reduction = reduction

    def adaptor(self, narrow: int, wide: int) -> nn.Sequential:
        conv, norm = nn.Conv2d(narrow, wide, 1, bias=False), nn.BatchNorm2d(wide)
        # OMGD overwrites its He initialisation by these (spec section 6.4).
        nn.init.normal_(conv.weight, 0, 0.02)
        nn.init.normal_(norm.weight, 1, 0.02)
        return nn.Sequential(conv, norm, nn.ReLU())

    def forward(self, batch, teacher):
        losses = [
            F.mse_loss(adaptor(s).mean((2, 3)), t.mean((2, 3)))
            for adaptor, s, t in self.feature_pairs(batch, teacher)
        ]
        total = sum(losses)
        return total / len(losses) if self.reduction == 'mean' else total
