"""Distillation losses: weight and formula, nothing about training."""
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Optional

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..core.layers import infer_channels
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
                     judge=lambda teacher, image: (logits, {'model.1': ...}))

    Images are (N, C, H, W) in [-1, 1]; targets carry no graph. ``judge``
    shows an image to a teacher's discriminator.
    """
    source: Tensor
    image: Tensor
    targets: dict[str, Tensor]
    features: dict[str, Tensor] = field(default_factory=dict)
    target_features: dict[str, dict[str, Tensor]] = \
        field(default_factory=dict)
    perceptual: Optional[Callable[[Tensor], list[Tensor]]] = None
    judge: Optional[Callable[[str, Tensor], tuple[Tensor, dict]]] = None
    judged_targets: dict[str, tuple] = field(default_factory=dict)
    _taps: dict = field(default_factory=dict, repr=False)
    _judged: dict = field(default_factory=dict, repr=False)

    def perceptual_taps(self, teacher: Optional[str] = None) -> list[Tensor]:
        """Return the perceptual features of the student's image, or of one
        teacher's; each is computed once however many losses ask."""
        if teacher not in self._taps:
            image = self.image if teacher is None else self.targets[teacher]
            with torch.set_grad_enabled(teacher is None):
                self._taps[teacher] = self.perceptual(image.float())
        return self._taps[teacher]

    def judged(self, teacher: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Return logits and features of a teacher's discriminator for the
        student's image, with the gradient to the student."""
        if teacher not in self._judged:
            self._judged[teacher] = self.judge(teacher, self.image)
        return self._judged[teacher]

    def judged_target(self, teacher: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the same for the teacher's own image, without gradient."""
        if teacher not in self.judged_targets:
            with torch.no_grad():
                self.judged_targets[teacher] = self.judge(
                    teacher, self.targets[teacher])
        return self.judged_targets[teacher]


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

    Args:
        weight (float): Factor of the loss.
        teachers (list[str] | None): Teachers that it applies to; None is all.
    """
    name: str
    uses_perceptual = False
    uses_discriminator = False  # a teacher's, by batch.judged()
    needs_teacher = True  # False: runs once, with teacher=None
    sums_images = False  # over the batch, in place of their mean
    layers: tuple[str, ...] = ()  # tapped in the student
    target_layers: tuple[str, ...] = ()  # tapped in its teachers
    discriminator_layers: tuple[str, ...] = ()  # in teachers' discriminators

    def __init__(self, weight: float,
                 teachers: Optional[Sequence[str]] = None):
        super().__init__()
        self.weight = weight
        self.teachers = teachers

    def tap(self, layers: Sequence[str],
            target_layers: Optional[Sequence[str]]):
        """Name the layers to compare; the teacher's are the same if None.

        Raises:
            ValueError: If their numbers differ.
        """
        self.layers = tuple(layers)
        self.target_layers = tuple(target_layers or layers)
        if len(self.layers) != len(self.target_layers):
            raise ValueError(
                f'{type(self).__name__} got {len(self.layers)} layers and '
                f'{len(self.target_layers)} target_layers: name one each')

    def connect(self, student: nn.Module, teachers: dict[str, nn.Module],
                shape: tuple):
        """Build what depends on the networks; called once at build time."""

    def forward(self, batch: DistillBatch, teacher: str) -> Tensor:
        """Return the unweighted loss against one teacher, a scalar."""
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

    def __init__(self, weight: float, layers: Sequence[str],
                 target_layers: Optional[Sequence[str]] = None,
                 teachers: Optional[Sequence[str]] = None):
        super().__init__(weight, teachers)
        self.tap(layers, target_layers)
        self.adaptors = nn.ModuleDict()

    @staticmethod
    def adaptor(narrow: int, wide: int) -> nn.Module:
        """Return what maps the student's channels to the teacher's."""
        raise NotImplementedError

    def connect(self, student, teachers, shape):
        narrow = infer_channels(student, self.layers, shape)
        for key, teacher in teachers.items():
            wide = infer_channels(teacher, self.target_layers, shape)
            self.adaptors[key] = nn.ModuleList(
                self.adaptor(narrow[s], wide[t])
                for s, t in zip(self.layers, self.target_layers))

    def tapped(self, batch: DistillBatch, teacher: str
               ) -> Iterator[tuple[nn.Module, Tensor, Tensor]]:
        """Yield adaptor, feature and teacher's feature, tap by tap."""
        targets = batch.target_features[teacher]
        for adaptor, s, t in zip(self.adaptors[teacher], self.layers,
                                 self.target_layers):
            yield adaptor, batch.features[s].float(), targets[t].float()


@MODELS.register_module()
class SSIMLoss(DistillLoss):
    """1 - SSIM: 11x11 Gaussian, sigma 1.5, zero padding.

    C1 and C2 are those of images in [0, 1] though images are in [-1, 1]:
    the weight 10 is tuned to it (OMGD/models/modules/loss, spec section 3).
    """
    name = 'ssim'

    def __init__(self, weight: float = 10., **kwargs):
        super().__init__(weight, **kwargs)
        at = torch.arange(11, dtype=torch.float64) - 5
        line = torch.exp(-at**2 / (2 * 1.5**2))
        self.register_buffer(
            'line', (line / line.sum()).float(), persistent=False)

    def _blur(self, x: Tensor) -> Tensor:
        c = x.shape[1]  # the window is separable: 22 taps instead of 121
        x = F.conv2d(x, self.line.view(1, 1, 11, 1).expand(c, 1, 11, 1),
                     padding=(5, 0), groups=c)
        return F.conv2d(x, self.line.view(1, 1, 1, 11).expand(c, 1, 1, 11),
                        padding=(0, 5), groups=c)

    def forward(self, batch, teacher):
        s, t = batch.image, batch.targets[teacher]
        mu_s, mu_t = self._blur(s), self._blur(t)
        var_s = self._blur(s * s) - mu_s**2
        var_t = self._blur(t * t) - mu_t**2
        cov = self._blur(s * t) - mu_s * mu_t
        c1, c2 = 0.01**2, 0.03**2
        ssim = (2 * mu_s * mu_t + c1) * (2 * cov + c2) / (
            (mu_s**2 + mu_t**2 + c1) * (var_s + var_t + c2))
        return 1 - ssim.mean()


@MODELS.register_module()
class StyleLoss(DistillLoss):
    """L1 of the Gram matrices, summed over the four VGG taps."""
    name = 'style'
    uses_perceptual = True

    def __init__(self, weight: float = 1e4, **kwargs):
        super().__init__(weight, **kwargs)

    def forward(self, batch, teacher):
        pairs = zip(batch.perceptual_taps(), batch.perceptual_taps(teacher))
        return sum(F.l1_loss(gram(s), gram(t)) for s, t in pairs)


@MODELS.register_module()
class PerceptualLoss(DistillLoss):
    """L1 of one VGG tap, relu2_2 by default ("feature" in OMGD)."""
    name = 'feature'
    uses_perceptual = True

    def __init__(self, weight: float = 10., tap: int = 1, **kwargs):
        super().__init__(weight, **kwargs)
        self.tap = tap

    def forward(self, batch, teacher):
        return F.l1_loss(batch.perceptual_taps()[self.tap],
                         batch.perceptual_taps(teacher)[self.tap])


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
        return (x[..., 1:] - x[..., :-1]).abs().sum() + \
            (x[..., 1:, :] - x[..., :-1, :]).abs().sum()


@MODELS.register_module()
class ChannelLoss(AdaptedLoss):
    """Channel distillation: squared distance of spatial channel means.

    Each tap of the student passes a learnt adaptor (1x1 convolution without
    bias, batch norm, ReLU) to the teacher's width.

    Args:
        layers (list[str]): Taps of the student.
        target_layers (list[str] | None): Taps of the teacher in the same
            order; the same names if None.
        reduction (str): ``'sum'`` over the taps as in OMGD's code, to which
            its weights are tuned, or ``'mean'`` as in the paper.
        weight (float): lambda_CD of OMGD's scripts (10 ... 1000).
    """
    name = 'channel'

    def __init__(self,
                 weight: float,
                 layers: Sequence[str],
                 target_layers: Optional[Sequence[str]] = None,
                 reduction: str = 'sum',
                 **kwargs):
        super().__init__(weight, layers, target_layers, **kwargs)
        if reduction not in ('sum', 'mean'):
            raise ValueError("reduction must be 'sum' or 'mean', got "
                             f'{reduction!r}')
        self.reduction = reduction

    @staticmethod
    def adaptor(narrow: int, wide: int) -> nn.Sequential:
        conv, norm = nn.Conv2d(narrow, wide, 1, bias=False), \
            nn.BatchNorm2d(wide)
        # OMGD overwrites its He initialisation by these (spec section 6.4).
        nn.init.normal_(conv.weight, 0, 0.02)
        nn.init.normal_(norm.weight, 1, 0.02)
        return nn.Sequential(conv, norm, nn.ReLU())

    def forward(self, batch, teacher):
        losses = [F.mse_loss(adaptor(s).mean((2, 3)), t.mean((2, 3)))
                  for adaptor, s, t in self.tapped(batch, teacher)]
        total = sum(losses)
        return total / len(losses) if self.reduction == 'mean' else total
