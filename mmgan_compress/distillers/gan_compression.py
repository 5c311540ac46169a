"""GAN Compression (CVPR 2020, arXiv 2003.08936): its training steps.

One step serves all stages: a narrow generator (pre-distillation, fine-tuning)
or a super-net, of which ``SubnetSamplingHook`` names the sub-networks to
train. The student plays against a discriminator, is drawn to the truth
(paired) or to the teacher's image (unpaired), and imitates features of a
teacher that does not train.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..core.inputs import is_styled
from ..core.search_space import Configuration
from ..core.training import backward, frozen, step
from ..losses.gan import gan_loss
from ..models.supernet import SuperNet, part_of, transfer_weights
from ..registry import DISTILLERS
from .base import detached
from .from_teacher import StudentFromTeacher
from .online import PairedOnlineDistiller, UnpairedOnlineDistiller


class CompressedStudent(StudentFromTeacher):
    """The student's side of GAN Compression.

    ``start_from_teacher`` lets the student begin as the strongest channels
    of its teacher
    (:func:`~mmgan_compress.models.supernet.transfer_weights`).
    """

    # sub-networks of the next step; none: the whole student
    configurations: list[Configuration] = []
    # whether the discriminator learns from images of the student's update
    generator_first = False

    @staticmethod
    def inherit(student, teacher):
        transfer_weights(teacher, student)

    def wanted(self, inputs: dict, targets: dict) -> Tensor:
        """Return the image that the student's is compared with."""
        raise NotImplementedError

    def truth_losses(self, image: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        """Return the weighted losses of an image to the one wanted."""
        return dict(pixel=self.pixel_loss_weight * F.l1_loss(image, wanted))

    def game_losses(
        self, source: Tensor, image: Tensor, inputs: dict[str, Tensor], wrapper
    ) -> dict[str, Tensor]:
        """Return the weighted losses of an image that the discriminator
        judges, which gets no gradient.

        Args:
            source (Tensor): What the student takes, (N, C, H, W).
            image (Tensor): The student's, with its graph.
            inputs (dict[str, Tensor]): Of the step.
            wrapper (OptimWrapper): The student's, for its AMP context.
        """
        loss = self.adversarial_loss(self.domain, source, image, wrapper)
        return dict(gan=self.gan_loss_weight * loss)

    def discriminator_losses_of(
        self, source: Tensor, images: Sequence[Tensor], real: Tensor, wrapper
    ) -> dict[str, Tensor]:
        """Return the losses of the student's discriminator.

        Args:
            source (Tensor): What the student takes, (N, C, H, W).
            images (Sequence[Tensor]): The student's, without a graph.
            real (Tensor): Real ones.
            wrapper (OptimWrapper): Of the discriminator.
        """
        return self.student_discriminator_losses(
            self.domain,
            self.discriminator_input(source, real),
            [self.discriminator_input(source, image) for image in images],
            wrapper,
        )

    def passes(self, inputs: dict, wrapper) -> Iterator[tuple[Tensor, Tensor, dict]]:
        """Yield what the student takes, its image and features, in each
        configuration.
        """
        for configuration in self.configurations or [None]:
            if isinstance(self.student, SuperNet):
                self.student.set_channels(configuration)
            with wrapper.optim_context(self.model):
                source = self.source(inputs)
            yield source, *self.run_student(self.domain, source, wrapper)
        if isinstance(self.student, SuperNet):  # whole for everybody else
            self.student.set_channels(None)

    def train_step(self, inputs, optim_wrapper):
        """Update discriminator and student.

        Both have their losses against the other's old weights
        (distillers/base_resnet_distiller.py: optimize_parameters), or, with
        ``generator_first``, the discriminator's are of new images.
        """
        self.iteration += 1
        domain = self.domain
        targets = self.teach(domain, inputs, optim_wrapper)
        real, wanted = inputs[f'img_{domain}'], self.wanted(inputs, targets).float()
        wrapper, other = optim_wrapper['student'], optim_wrapper['student_discriminators']
        images, rounds = [], []
        for source, image, features in self.passes(inputs, wrapper):
            images.append(image.detach())
            own = {
                **self.game_losses(source, image, inputs, wrapper),
                **self.truth_losses(image.float(), wanted),
            }
            rounds.append(
                {f'loss_{kind}': loss for kind, loss in own.items()}
                | self.distillation_losses(domain, source, image, features, targets)
            )
        losses = {key: sum(each[key] for each in rounds) / len(rounds) for key in rounds[0]}
        if self.generator_first:
            backward(wrapper, sum(losses.values()))
            step(wrapper)
            with torch.no_grad():
                images = [image for _, image, _ in self.passes(inputs, wrapper)]
        losses_d = self.discriminator_losses_of(source, images, real, other)
        backward(other, sum(losses_d.values()))
        if not self.generator_first:
            backward(wrapper, sum(losses.values()))
        step(other)
        if not self.generator_first:
            step(wrapper)
        return detached({**losses, **losses_d})


@DISTILLERS.register_module()
class GANCompressionPix2Pix(CompressedStudent, PairedOnlineDistiller):
    """GAN Compression for paired images: L1 to the truth, hinge.

    Args:
        kwargs: Of :class:`StudentFromTeacher` and
            :class:`PairedOnlineDistiller`; the first of ``teachers`` and
            ``discriminator`` are what the student may start from.
    """

    def wanted(self, inputs, targets):
        return inputs[f'img_{self.domain}']


@DISTILLERS.register_module()
class GANCompressionGauGAN(GANCompressionPix2Pix):
    """GAN Compression for GauGAN, and, without a teacher, GauGAN itself.

    The student plays against a ``MultiScaleDiscriminator``, whose features it
    matches, and is drawn to the truth by perceptual features. It steps first;
    the discriminator learns from its next images
    (distillers/spade_distiller.py, spade_model.py: optimize_parameters).

    Args:
        feature_loss_weight (float): Weight of the L1 of the discriminator's
            features to those of the truth (lambda_feat).
        perceptual_loss_weights (Sequence[float]): Weight of the L1 of each
            feature of the perceptual network to that of the truth; published
            are these times ``lambda_vgg``, 10.
        teachers (dict[str, dict] | None): As of
            :class:`PairedOnlineDistiller`; none to train alone.
        pixel_loss_weight (float): Weight of L1 to the truth.
        kwargs: Of :class:`GANCompressionPix2Pix`.

    Raises:
        ValueError: If the perceptual network gives another number of
            features.
    """

    generator_first = True
    needs_teacher = False
    discriminator_loss_weight = 1.0
    uses_perceptual = True

    def __init__(
        self,
        feature_loss_weight: float = 10.0,
        perceptual_loss_weights: Sequence[float] = (0.3125, 0.625, 1.25, 2.5, 10.0),
        teachers: dict[str, dict] | None = None,
        pixel_loss_weight: float = 0.0,
        **kwargs,
    ):
        super().__init__(teachers=teachers or {}, pixel_loss_weight=pixel_loss_weight, **kwargs)
        self.feature_loss_weight = feature_loss_weight
        self.perceptual_loss_weights = tuple(perceptual_loss_weights)

    def truth_losses(self, image, wanted):
        with torch.no_grad():
            targets = self.perceptual(wanted)
        weights, features = self.perceptual_loss_weights, self.perceptual(image)
        losses = dict(
            perceptual=sum(
                weight * F.l1_loss(feature, target)
                for weight, feature, target in zip(weights, features, targets, strict=True)
            )
        )
        if self.pixel_loss_weight:
            losses |= super().truth_losses(image, wanted)
        return losses

    def _judge(self, source: Tensor, image: Tensor, real: Tensor) -> list[list[list[Tensor]]]:
        """Return the discriminator's outputs for both, by scale and layer.

        It sees them in one batch, so that its spectral norms take one step.
        """
        shown = [self.discriminator_input(source, each) for each in (image, real)]
        scales = self.logits(self.domain, torch.cat(shown))
        return [[list(output.float().chunk(2)) for output in layers] for layers in scales]

    def _mean_loss(self, scales: list, place: int, role: str) -> Tensor:
        """Return the mean over the scales of the adversarial loss of the
        image (0) or the real one (1).
        """
        logits = [layers[-1][place] for layers in scales]
        return sum(gan_loss(self.gan_type, each, role) for each in logits) / len(scales)

    def game_losses(self, source, image, inputs, wrapper):
        real = inputs[f'img_{self.domain}']
        network = self.student_discriminators[self.domain]
        with frozen(network), wrapper.optim_context(self.model):
            scales = self._judge(source, image, real)
        features = sum(
            F.l1_loss(own, target.detach()) for layers in scales for own, target in layers[:-1]
        )
        return dict(
            gan=self.gan_loss_weight * self._mean_loss(scales, 0, 'g'),
            feature=self.feature_loss_weight * features / len(scales),
        )

    def discriminator_losses_of(self, source, images, real, wrapper):
        with wrapper.optim_context(self.model):
            rounds = [self._judge(source, image, real) for image in images]
        weight = self.discriminator_loss_weight / len(rounds)
        return {
            f'loss_disc_{role}': weight * sum(self._mean_loss(each, place, role) for each in rounds)
            for place, role in enumerate(('fake', 'real'))
        }


@DISTILLERS.register_module()
class GANCompressionMUNIT(GANCompressionPix2Pix):
    """GAN Compression for MUNIT: L1 to the teacher's image of the same style.

    In every second iteration, the first one among them, teacher and student
    both encode the style of the real image, each by its own encoder, and the
    student's code is drawn to the teacher's. In the others they get the same
    random style (distillers/base_munit_distiller.py).

    Args:
        style_loss_weight (float): Weight of L1 to the teacher's code
            (lambda_style_recon).
        start_from_teacher (bool): Let the student begin with the teacher's
            layers of the same name and shape. Published: with none.
        teachers (dict[str, dict]): One ``MUNITGenerator``.
        gan_type (str): As of :class:`GANCompressionPix2Pix`.
        pixel_loss_weight (float): Weight of L1 to the teacher's image.
        kwargs: Of :class:`GANCompressionPix2Pix`.
    """

    discriminator_loss_weight = 1.0

    def __init__(
        self,
        style_loss_weight: float = 1.0,
        gan_type: str = 'lsgan',
        pixel_loss_weight: float = 10.0,
        **kwargs,
    ):
        super().__init__(gan_type=gan_type, pixel_loss_weight=pixel_loss_weight, **kwargs)
        self.style_loss_weight = style_loss_weight

    def attach(self, model):
        networks = [*model.generators.values(), *self.teachers.values()]
        if len(self.teachers) != 1 or not all(is_styled(net) for net in networks):
            raise ValueError(
                f'{self.method} needs one teacher, and it and the student take a style, as '
                f'MUNITGenerator does; got {[type(net).__name__ for net in networks]}'
            )
        super().attach(model)

    @staticmethod
    def discriminator_input(source, image):
        return image

    @staticmethod
    def inherit(student, teacher):
        """Give the student the teacher's layers of the same name and shape.

        Those that read a style are among them; separable convolutions begin
        anew beside them.

        Raises:
            ValueError: If a style goes through layers of other shapes.
        """
        own, state = student.state_dict(), teacher.state_dict()
        same = {
            key: value
            for key, value in state.items()
            if key in own and own[key].shape == value.shape
        }
        wrong = [key for key in state.keys() - same.keys() if key.startswith(('enc_style', 'mlp'))]
        if wrong:
            raise ValueError(
                f"start_from_teacher: {min(wrong)!r} has not the shape of the teacher's: give "
                'both the same base_channels and mlp_channels'
            )
        student.load_state_dict(same, strict=False)

    def train_step(self, inputs, optim_wrapper):
        if self.iteration % 2 == 0:
            real, (teacher,) = inputs[f'img_{self.domain}'], self.teachers.values()
            with torch.no_grad(), optim_wrapper['student'].optim_context(self.model):
                inputs = dict(inputs, noise=_style_of(teacher, real), encoded=real)
        return super().train_step(inputs, optim_wrapper)

    def source(self, inputs):
        if 'encoded' in inputs:
            inputs = dict(inputs, noise=_style_of(self.student, inputs['encoded']))
        return super().source(inputs)

    def wanted(self, inputs, targets):
        ((image, _),) = targets.values()
        return image

    def game_losses(self, source, image, inputs, wrapper):
        _, style = self.student.takes.split(source)
        # a random style is the student's own: its loss is 0
        given = inputs['noise'][:, : style.shape[1]]
        distance = F.l1_loss(style.float(), given.float())
        return dict(
            super().game_losses(source, image, inputs, wrapper),
            style=self.style_loss_weight * distance,
        )


def _style_of(network: nn.Module, image: Tensor) -> Tensor:
    """Return the styles of images, (N, style_size); a super-net's, too."""
    return part_of(network, 'enc_style')(image).flatten(1)


@DISTILLERS.register_module()
class GANCompressionCycleGAN(CompressedStudent, UnpairedOnlineDistiller):
    """GAN Compression for unpaired images: L1 to the teacher's image.

    One direction, without a cycle and without a pool of images.

    Args:
        teacher (dict): ``CycleGANTeacher`` from ``teacher_checkpoints``.
        gan_type (str): Adversarial loss.
        gan_loss_weight (float): Its weight (lambda_gan).
        pixel_loss_weight (float): Weight of the L1 (lambda_recon).
        kwargs: Of :class:`StudentFromTeacher` and
            :class:`UnpairedOnlineDistiller`.
    """

    def __init__(
        self,
        teacher: dict | None = None,
        gan_type: str = 'lsgan',
        gan_loss_weight: float = 1.0,
        pixel_loss_weight: float = 10.0,
        **kwargs,
    ):
        super().__init__(teacher=teacher, **kwargs)
        self.gan_type = gan_type
        self.gan_loss_weight = gan_loss_weight
        self.pixel_loss_weight = pixel_loss_weight

    def wanted(self, inputs, targets):
        image, _ = targets['teacher']
        return image
