"""The student plays the GAN game itself, with or without a teacher.

Without one it is ordinary training: the baseline of every method, and the
first stage of GCC. With one, the distillation losses come on top.
"""

import torch
import torch.nn.functional as F
from mmagic.models.editors.cyclegan.cyclegan_modules import GANImageBuffer
from torch import Tensor

from ..core.inputs import input_of, is_styled
from ..core.training import backward, frozen, step, update
from ..models.blocks import imagenet_normalized
from ..models.teachers import CycleGANStep
from ..registry import DISTILLERS
from .base import BaseDistiller, detached
from .online import PairedOnlineDistiller, UnpairedOnlineDistiller


@DISTILLERS.register_module()
class AdversarialPix2Pix(PairedOnlineDistiller):
    """Pix2Pix whose generator is the student.

    Discriminators step before their generators, teachers before the student
    (GCC/models/Pix2Pix.py: optimize_parameters).

    Args:
        student_discriminator (dict): Config; called as ``D(pair)``.
        teachers (dict[str, dict] | None): Generators that train beside it.
        kwargs: Of :class:`PairedOnlineDistiller`.
    """

    adversarial = True
    discriminator_first = True

    def __init__(self, teachers: dict[str, dict] | None = None, **kwargs):
        super().__init__(teachers=teachers or {}, **kwargs)

    def train_step(self, inputs, optim_wrapper):
        domain = self.model.domains[0]
        source = self.model.input_of(domain, inputs)
        real = inputs[f'img_{domain}']
        self.iteration += 1
        targets, log = (
            self.run_teachers(domain, inputs, optim_wrapper)
            if self.distilling(domain)
            else ({}, {})
        )
        wrapper = optim_wrapper['student']
        image, features = self.run_student(domain, source, wrapper)
        other = optim_wrapper['student_discriminators']
        losses_d = self.student_discriminator_losses(
            domain,
            self.discriminator_input(source, real),
            [self.discriminator_input(source, image.detach())],
            other,
        )
        backward(other, sum(losses_d.values()))
        if self.discriminator_first:
            step(other)
        losses = dict(
            loss_gan=self.gan_loss_weight * self.adversarial_loss(domain, source, image, wrapper)
        )
        truth = self.truth_losses(image.float(), real)
        losses.update({f'loss_{kind}': loss for kind, loss in truth.items()})
        losses.update(self.distillation_losses(domain, source, image, features, targets))
        backward(wrapper, sum(losses.values()))
        if not self.discriminator_first:
            step(other)
        step(wrapper)
        return {**log, **detached({**losses_d, **losses})}


@DISTILLERS.register_module()
class AdversarialSRGAN(AdversarialPix2Pix):
    """SRGAN whose generator is the student, as GCC trains it.

    Generators and their discriminators learn against each other's weights of
    before the step, the student after its teachers. Discriminators are shown
    images alone, normalised as ImageNet's are (GCC/models/SRGAN.py).

    Args:
        perceptual_loss_weight (float): Weight of the squared distance to the
            truth of the perceptual network's last feature.
        pixel_loss_weight (float): Weight of that of the images.
        gan_type, gan_loss_weight: As of :class:`PairedOnlineDistiller`.
        kwargs: Of :class:`AdversarialPix2Pix`.
    """

    discriminator_first = False
    discriminator_loss_weight = 1.0
    uses_perceptual = True

    def __init__(
        self,
        perceptual_loss_weight: float = 1.0,
        pixel_loss_weight: float = 0.0,
        gan_type: str = 'vanilla',
        gan_loss_weight: float = 1e-3,
        **kwargs,
    ):
        super().__init__(
            pixel_loss_weight=pixel_loss_weight,
            gan_type=gan_type,
            gan_loss_weight=gan_loss_weight,
            **kwargs,
        )
        self.perceptual_loss_weight = perceptual_loss_weight

    @staticmethod
    def discriminator_input(source, image):
        return imagenet_normalized(image)

    def truth_losses(self, image, real):
        with torch.no_grad():
            wanted = self.perceptual(real)[-1]
        distance = F.mse_loss(self.perceptual(image)[-1], wanted)
        losses = dict(perceptual=self.perceptual_loss_weight * distance)
        if self.pixel_loss_weight:
            losses['pixel'] = self.pixel_loss_weight * F.mse_loss(image, real)
        return losses


@DISTILLERS.register_module()
class AdversarialSAGAN(AdversarialPix2Pix):
    """SAGAN whose generator is the student, as GCC trains it.

    Images are made from noise, the same for teacher and student and for
    generators and discriminators; there is no truth that one is compared
    with. Discriminators are shown real images first (GCC/models/SAGAN.py).

    Args:
        kwargs: Of :class:`AdversarialPix2Pix`; ``pixel_loss_weight`` has no use.
    """

    discriminator_loss_weight = 1.0
    discriminator_order = ('real', 'fake')

    @staticmethod
    def discriminator_input(source, image):
        return image

    def truth_losses(self, image, real):
        return {}


@DISTILLERS.register_module()
class AdversarialCycleGAN(CycleGANStep, UnpairedOnlineDistiller):
    """CycleGAN whose two generators are the student.

    Generators step before their discriminators, the teacher before the
    student (GCC/models/CycleGAN.py: optimize_parameters).

    Args:
        student_discriminator (dict): Config of either discriminator.
        teacher (dict | None): CycleGAN that trains beside it.
        buffer_size (int): Fakes that a discriminator is shown from.
        loss_config (dict): As of ``CycleGANTeacher``.
        published_features (bool): Compare the features of the teacher's
            discriminator as GCC's published CycleGAN does: the teacher's
            pooled image before the discriminator's update against the
            student's after it. By default both images are current and meet
            the same weights.
        kwargs: Of :class:`UnpairedOnlineDistiller`.
    """

    adversarial = True

    def __init__(
        self,
        teacher: dict | None = None,
        buffer_size: int = 50,
        loss_config: dict = dict(  # noqa: B006
            cycle_loss_weight=10.0, id_loss_weight=5.0
        ),
        published_features: bool = False,
        teacher_snapshots: bool = False,
        **kwargs,
    ):
        super().__init__(teacher=teacher, teacher_snapshots=teacher_snapshots, **kwargs)
        self.buffer_size, self.image_buffers = buffer_size, {}
        self.loss_config = loss_config
        self.published_features = published_features

    def attach(self, model):
        if len(model.domains) != 2:
            raise ValueError(
                f'a CycleGAN generates both of its domains, got reachable_domains={model.domains}'
            )
        super().attach(model)
        for domain in model.domains:
            self.image_buffers[domain] = GANImageBuffer(self.buffer_size)

    # --- what CycleGANStep asks for ---------------------------------------
    @property
    def generators(self):
        """The student's generators by domain."""
        return self.model.generators

    @property
    def discriminators(self):
        """The student's discriminators by domain."""
        return self.student_discriminators

    def source_of(self, domain: str) -> str:
        """Return the domain that ``domain`` is generated from."""
        return self.model.source_of(domain)

    # --- training ---------------------------------------------------------
    def train_step(self, inputs, optim_wrapper):
        self.iteration += 1
        domains = self.model.domains
        targets, discriminated, log = {}, {}, {}
        if any(map(self.distilling, domains)):
            targets, discriminated, log = self._run_teacher(inputs, optim_wrapper)
        wrapper = optim_wrapper['student']
        with wrapper.optim_context(self.model):
            outputs = self.forward_both(inputs, {d: self.layers_of(d) for d in domains})
            losses = self.generator_loss(outputs)
        for d in domains:
            losses.update(
                self.distillation_losses(
                    d,
                    self.model.input_of(d, inputs),
                    outputs[f'fake_{d}'],
                    outputs[f'features_{d}'],
                    targets.get(d, {}),
                    discriminated_targets=discriminated.get(d, {}),
                )
            )
        update(wrapper, sum(losses.values()))
        wrapper = optim_wrapper['student_discriminators']
        gates = [gate for d in domains for gate in self.gates(d)]
        with frozen(*gates), wrapper.optim_context(self.model):
            losses_d = self.discriminator_loss(outputs, {})
        update(wrapper, sum(losses_d.values()))
        return {**log, **detached({**losses, **losses_d})}

    def _run_teacher(self, inputs: dict, optim_wrapper) -> tuple:
        """Return targets and, as published, features of the teacher's
        discriminator by domain, and what to log of the teacher's step.
        """
        domains, outputs, log = self.model.domains, {}, {}
        if not self.offline:
            log, outputs = self.teacher.step(
                inputs,
                optim_wrapper['teachers'],
                optim_wrapper['discriminators'],
                {d: self.layers_of(d, 'teacher') for d in domains},
                {d: self._layers(d, 'discriminator_layers', 'teacher') for d in domains}
                if self.published_features
                else {},
            )
            log = {k.replace('loss_', 'loss_teacher_'): v for k, v in log.items()}
        targets, discriminated = {}, {}
        for d in domains:
            if self.offline or self.teacher_snapshots.teaching('teacher', d):
                targets[d] = self.teach(d, inputs, optim_wrapper)
            else:
                targets[d] = {'teacher': (outputs[f'fake_{d}'], outputs[f'features_{d}'])}
            if self.published_features and outputs:
                discriminated[d] = {'teacher': outputs[f'discriminated_{d}']}
        return targets, discriminated, log

    def training_state(self):
        return dict(super().training_state(), student_buffers=self.buffer_state())

    def load_training_state(self, state):
        super().load_training_state(state)
        self.load_buffer_state(state['student_buffers'])


@DISTILLERS.register_module()
class AdversarialMUNIT(BaseDistiller):
    """MUNIT, whose two generators are the student.

    Each of them translates: it has the content encoder of its source and the
    style encoder, the MLP and the decoder of its domain. The auto-encoder of
    a domain is the first of the one and the rest of the other. Generators
    step first; discriminators learn from new images in new styles
    (GAN Compression: models/munit_model.py).

    Args:
        image_loss_weight (float): Weight of L1 of an image to its
            reconstruction (lambda_rec_x).
        style_loss_weight (float): Weight of L1 of a style to that of the
            translation that was made with it (lambda_rec_s).
        content_loss_weight (float): Weight of L1 of a content to that of its
            translation (lambda_rec_c).
        gan_loss_weight (float): Weight of the adversarial loss.
        kwargs: Of :class:`BaseDistiller`.
    """

    adversarial = True
    discriminator_loss_weight = 1.0

    def __init__(
        self,
        image_loss_weight: float = 10.0,
        style_loss_weight: float = 1.0,
        content_loss_weight: float = 1.0,
        gan_loss_weight: float = 1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_loss_weight = image_loss_weight
        self.style_loss_weight = style_loss_weight
        self.content_loss_weight = content_loss_weight
        self.gan_loss_weight = gan_loss_weight

    def attach(self, model):
        if len(model.domains) != 2 or not all(map(is_styled, model.generators.values())):
            raise ValueError(
                'MUNIT generates both of its domains, by generators that take a style, got '
                f'reachable_domains={model.domains}'
            )
        super().attach(model)

    def latest_networks(self):
        return {}

    def train_step(self, inputs, optim_wrapper):
        """``inputs`` has four styles side by side as ``noise``: of both
        domains, for generators and for discriminators.
        """
        self.iteration += 1
        domains, wrapper = self.model.domains, optim_wrapper['student']
        size = input_of(self.model.generators[domains[0]]).style
        styles = inputs['noise'].split(size, 1)
        if len(styles) != 4:
            raise ValueError(
                f'MUNIT takes four styles of {size} numbers in a step, got '
                f'{inputs["noise"].shape[1]} numbers: set train_dataloader.dataset.noise_size='
                f'{4 * size}'
            )
        losses = self.generator_losses(inputs, dict(zip(domains, styles)), wrapper)
        update(wrapper, sum(losses.values()))
        other, losses_d = optim_wrapper['student_discriminators'], {}
        for domain, style in zip(domains, styles[2:]):
            net, source = self.model.generators[domain], self.model.source_of(domain)
            with torch.no_grad(), other.optim_context(self.model):
                fake = net.paint(inputs[f'img_{source}'], style)
            own = self.student_discriminator_losses(domain, inputs[f'img_{domain}'], [fake], other)
            losses_d.update({f'{name}_{domain}': loss for name, loss in own.items()})
        update(other, sum(losses_d.values()))
        return detached({**losses, **losses_d})

    def generator_losses(
        self, inputs: dict[str, Tensor], styles: dict[str, Tensor], wrapper
    ) -> dict[str, Tensor]:
        """Return the weighted losses of both generators.

        Args:
            inputs (dict[str, Tensor]): Of the step.
            styles (dict[str, Tensor]): Of the translations, by their domain.
            wrapper (OptimWrapper): Of the generators, for its AMP context.
        """
        nets, losses = self.model.generators, {}

        def distance(own: Tensor, wanted: Tensor) -> Tensor:
            return F.l1_loss(own.float(), wanted.float())

        for domain, net in nets.items():
            source = self.model.source_of(domain)
            real, back = inputs[f'img_{source}'], nets[source]
            with wrapper.optim_context(self.model):
                content = net.content_of(real)
                fake = net.decode(content, styles[domain])
                again = back.decode(content, back.style_of(real))
                style, found = net.style_of(fake), back.content_of(fake)
            losses |= {
                f'loss_image_{source}': self.image_loss_weight * distance(again, real),
                f'loss_style_{domain}': self.style_loss_weight * distance(style, styles[domain]),
                f'loss_content_{source}': self.content_loss_weight * distance(found, content),
                f'loss_gan_{domain}': self.gan_loss_weight
                * self.adversarial_loss(domain, real, fake, wrapper),
            }
        return losses
