"""GAN Slimming (ECCV 2020, arXiv 2008.11062).

One objective distils a dense generator, prunes it and, if asked, quantizes
it: the student imitates its teacher and fools a discriminator that takes the
teacher's images for real, while a hook draws the scales of its norms to zero
(``engine/hooks/slimming.py``). ``SlimExtraction`` then removes the channels
that have none, and the same distiller, without the hook, trains what is
left. The teacher does not train; its images may be files.
"""

from collections.abc import Iterable, Iterator

import torch.nn as nn
from mmagic.models.editors.cyclegan.cyclegan_modules import GANImageBuffer
from torch import Tensor

from ..core.base_layers import NormBase
from ..core.layers import find_layer
from ..core.training import update
from ..models.fake_quant import fake_quantize
from ..models.teachers import CycleGANStep
from ..models.topology import free_channels
from ..registry import DISTILLERS
from .base import detached
from .from_teacher import StudentFromTeacher
from .online import PairedOnlineDistiller, UnpairedOnlineDistiller


class ParameterView(nn.Module):
    """Parameters of other modules under one name, for an optimizer.

    ``MultiOptimWrapperConstructor`` finds parameters by a module's name, and
    a norm's scale and shift, which learn apart, are in one module. The view
    owns nothing: a checkpoint holds them once.

    Args:
        held (Iterable[nn.Parameter]): What it shows.
    """

    def __init__(self, held: Iterable[nn.Parameter]):
        super().__init__()
        self.held = list(held)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Return what it shows."""
        return iter(self.held)


class SlimmingStudent(StudentFromTeacher):
    """The student's side of GAN Slimming.

    Two views name its parameters for the optimizers: ``distiller.scales``
    has the scales of the channels that can go, ``distiller.weights`` the
    rest. Norms of the trunk, whose channels cannot go, are frozen, at scale
    1 and shift 0 in a new network: published they have neither.

    Args:
        quantize (dict | None): Arguments of
            :func:`~mmgan_compress.models.fake_quant.fake_quantize` for the
            student; GS-8 is ``dict()``, GS-32 is None. Student files hold
            the float weights either way.
        buffer_size (int): Student images that the discriminator is shown
            from.
        kwargs: Of :class:`StudentFromTeacher`: published for horse2zebra is
            ``start_from_teacher``, where new scales are 1, and for
            fine-tuning the ``discriminator_checkpoint`` of the slimming run.
    """

    # both pool images by domain, and a checkpoint holds them alike
    buffer_state = CycleGANStep.buffer_state
    load_buffer_state = CycleGANStep.load_buffer_state

    def __init__(self, quantize: dict | None = None, buffer_size: int = 50, **kwargs):
        super().__init__(**kwargs)
        self.gan_type = 'lsgan'
        self.quantize, self.buffer_size = quantize, buffer_size

    # --- building ---------------------------------------------------------
    def attach(self, model):
        super().attach(model)
        domain = self.domain
        if not self.distilling(domain):
            raise ValueError(
                'GAN Slimming needs a teacher and a loss that '
                'asks it, such as SlimmingPerceptualLoss'
            )
        self.image_buffers = {domain: GANImageBuffer(self.buffer_size)}
        student = self.student
        self.slim_norms = [find_layer(student, free.norm) for free in free_channels(student)]
        for layer in student.modules():
            if isinstance(layer, NormBase) and layer not in self.slim_norms:
                layer.requires_grad_(False)
        scales = [norm.weight for norm in self.slim_norms]
        own = set(map(id, scales))
        self.scales = ParameterView(scales)
        self.weights = ParameterView(
            p for p in student.parameters() if p.requires_grad and id(p) not in own
        )
        if self.quantize is not None:
            fake_quantize(student, **self.quantize)

    @property
    def epoch_domain(self) -> str:
        """The source: images of the target are not made use of."""
        return self.model.source_of(self.domain)

    # --- training ---------------------------------------------------------
    def logits(self, domain, shown):
        return logit(super().logits(domain, shown))

    def train_step(self, inputs, optim_wrapper):
        self.iteration += 1
        domain, source = self.domain, self.source(inputs)
        targets = self.teach(domain, inputs, optim_wrapper)
        wrapper = optim_wrapper['student']
        image, features = self.run_student(domain, source, wrapper)
        losses = dict(
            loss_gan=self.adversarial_loss(domain, source, image, wrapper),
            **self.distillation_losses(domain, source, image, features, targets),
        )
        self._step_student(optim_wrapper, sum(losses.values()))
        taught, _ = next(iter(targets.values()))
        wrapper = optim_wrapper['student_discriminators']
        losses_d = self.student_discriminator_losses(
            domain,
            self.discriminator_input(source, taught),
            [self.image_buffers[domain].query(self.discriminator_input(source, image.detach()))],
            wrapper,
        )
        update(wrapper, sum(losses_d.values()))
        return detached({**losses, **losses_d})

    @staticmethod
    def _step_student(optim_wrapper, loss: Tensor):
        """One backward pass for scales and weights; fine-tuning may have
        them in one optimizer.
        """
        others = [optim_wrapper['scales']] if 'scales' in optim_wrapper else []
        if any(hasattr(other, 'loss_scaler') for other in others):
            # it would divide by its own factor, not by the weights'
            raise ValueError(
                'the optimizer of the scales cannot share a '
                'backward pass of mixed precision: leave out '
                '--amp while slimming'
            )
        update(optim_wrapper['student'], loss, *others)

    # --- state ------------------------------------------------------------
    def training_state(self):
        return dict(super().training_state(), student_buffers=self.buffer_state())

    def load_training_state(self, state):
        super().load_training_state(state)
        self.load_buffer_state(state['student_buffers'])

    def notes(self):
        if self.quantize is None:
            return super().notes()
        return [
            *super().notes(),
            'the student was trained and scored with fake quantization '
            f'({self.quantize}); its file holds the float weights, which '
            'need fake_quantize() or int8 of the same ranges to run so',
        ]


def logit(pred: Tensor) -> Tensor:
    """Average a map of logits (N, 1, H, W) to one per image, (N, 1)."""
    return pred.float().mean((2, 3))


@DISTILLERS.register_module()
class GANSlimmingCycleGAN(SlimmingStudent, UnpairedOnlineDistiller):
    """GAN Slimming for unpaired images: the published one.

    Args:
        student_discriminator (dict): Config of a PatchGAN; its logits are
            averaged to one per image.
        teacher (dict): ``CycleGANTeacher`` from ``teacher_checkpoints``, or
            a teacher that only gives images, ``StoredTeacher`` among them.
        kwargs: Of :class:`SlimmingStudent` and
            :class:`UnpairedOnlineDistiller`.
    """


@DISTILLERS.register_module()
class GANSlimmingPix2Pix(SlimmingStudent, PairedOnlineDistiller):
    """GAN Slimming for paired images, which the published code lacks.

    The discriminator is shown pairs, and here too it takes the teacher's
    images for real.

    Args:
        student_discriminator (dict): Config; called as ``D(pair)``.
        kwargs: Of :class:`SlimmingStudent` and
            :class:`PairedOnlineDistiller`; the first of ``teachers`` is what
            the discriminator takes for real.
    """
