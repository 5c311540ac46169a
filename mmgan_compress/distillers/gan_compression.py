"""GAN Compression (CVPR 2020, arXiv 2003.08936): its training steps.

One step serves all stages: a narrow generator (pre-distillation, fine-tuning)
or a super-net, of which ``SubnetSamplingHook`` names the sub-networks to
train. The student plays against a discriminator, is drawn to the truth
(paired) or to the teacher's image (unpaired), and imitates features of a
teacher that does not train.
"""
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from ..core.search_space import Configuration
from ..core.training import backward, frozen, step
from ..losses.gan import gan_loss
from ..models.supernet import SuperNet, transfer_weights
from ..registry import DISTILLERS
from .adversarial import PlayingStudent
from .base import detached
from .online import PairedOnlineDistiller, UnpairedOnlineDistiller
from .teacher_loading import check_offline_direction


class CompressedStudent(PlayingStudent):
    """The student's side of GAN Compression.

    Args:
        start_from_teacher (bool): Let the student begin as the strongest
            channels of its teacher
            (:func:`~mmgan_compress.models.supernet.transfer_weights`), and
            its discriminator, where the teacher has one, as the teacher's.
        kwargs: Of the class that comes next.
    """

    def __init__(self, *args, start_from_teacher: bool = False, **kwargs):
        super().__init__(*args, **kwargs)
        self.start_from_teacher = start_from_teacher
        # sub-networks of the next step; none: the whole student
        self.configurations: list[Configuration] = []

    # --- building ---------------------------------------------------------
    def attach(self, model):
        check_offline_direction(self, model.domains, 'GAN Compression')
        super().attach(model)
        if not self.latest_networks():
            raise ValueError('GAN Compression needs a teacher, and the '
                             'distiller has none')

    @property
    def student(self) -> torch.nn.Module:
        """The generator that learns."""
        return self.model.generators[self.model.domains[0]]

    def _beginning(self) -> tuple:
        """Return what student and discriminator begin as; None: anew."""
        domain, = self.model.domains
        name = next(iter(self.latest_networks()))
        judge = None if self.discriminator_checkpoint else \
            self.discriminator_of(name, domain)
        return self.network(name, domain), judge

    def _trained_networks(self):
        needed = super()._trained_networks()
        return [*needed, *filter(None, self._beginning())] \
            if self.start_from_teacher else needed

    def init_weights(self):
        super().init_weights()
        if not self.start_from_teacher:
            return
        teacher, judge = self._beginning()
        transfer_weights(teacher, self.student)
        if judge is not None:
            own, = self.student_discriminators.values()
            own.load_state_dict(judge.state_dict())

    # --- training ---------------------------------------------------------
    def teach(self, domain: str, inputs: dict, optim_wrapper) -> dict:
        """Return image and features by teacher, without gradient."""
        raise NotImplementedError

    def wanted(self, domain: str, inputs: dict, targets: dict) -> Tensor:
        """Return the image that the student's is compared with."""
        raise NotImplementedError

    def train_step(self, inputs, optim_wrapper):
        """Update discriminator and student; both have their losses against
        the other's old weights (distillers/base_resnet_distiller.py:
        optimize_parameters)."""
        self.iteration += 1
        domain, = self.model.domains
        source = inputs[f'img_{self.model.source_of(domain)}']
        targets = self.teach(domain, inputs, optim_wrapper)
        rounds = []
        for configuration in self.configurations or [None]:
            if isinstance(self.student, SuperNet):
                self.student.set_channels(configuration)
            image, features = self.run_student(domain, source,
                                               optim_wrapper['student'])
            rounds.append((image, self._student_losses(
                domain, source, image, features, inputs, targets,
                optim_wrapper['student'])))
        if isinstance(self.student, SuperNet):  # whole for everybody else
            self.student.set_channels(None)
        losses = _mean([losses for _, losses in rounds])
        losses_d = self._discriminator_losses(
            domain, source, inputs[f'img_{domain}'],
            [image.detach() for image, _ in rounds],
            optim_wrapper['student_discriminators'])
        backward(optim_wrapper['student_discriminators'],
                 sum(losses_d.values()))
        backward(optim_wrapper['student'], sum(losses.values()))
        step(optim_wrapper['student_discriminators'])
        step(optim_wrapper['student'])
        return detached({**losses, **losses_d})

    def _student_losses(self, domain: str, source: Tensor, image: Tensor,
                        features: dict, inputs: dict, targets: dict,
                        wrapper) -> dict[str, Tensor]:
        net = self.student_discriminators[domain]
        with frozen(net), wrapper.optim_context(self.model):
            pred = net(self.judged_input(source, image))
        return dict(
            loss_gan=self.gan_loss_weight * gan_loss(
                self.gan_type, pred, 'g'),
            loss_pixel=self.pixel_loss_weight * F.l1_loss(
                image.float(), self.wanted(domain, inputs, targets).float()),
            **self.distillation_losses(domain, source, image, features, targets))

    def _discriminator_losses(self, domain: str, source: Tensor,
                              real: Tensor, fakes: list[Tensor],
                              wrapper) -> dict[str, Tensor]:
        """Return 1/2 fake, their mean, and 1/2 real."""
        net = self.student_discriminators[domain]
        with wrapper.optim_context(self.model):
            fake = _mean([dict(loss_disc_fake=0.5 * gan_loss(
                self.gan_type, net(self.judged_input(source, image)),
                'fake')) for image in fakes])
            return dict(fake, loss_disc_real=0.5 * gan_loss(
                self.gan_type, net(self.judged_input(source, real)), 'real'))


def _mean(rounds: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Average losses over the sub-networks of a step."""
    return {key: sum(losses[key] for losses in rounds) / len(rounds)
            for key in rounds[0]}


@DISTILLERS.register_module()
class GANCompressionPix2Pix(CompressedStudent, PairedOnlineDistiller):
    """GAN Compression for paired images: L1 to the truth, hinge.

    Args:
        kwargs: Of :class:`CompressedStudent` and
            :class:`PairedOnlineDistiller`; the first of ``teachers`` and
            ``discriminator`` are what the student may start from.
    """

    def teach(self, domain, inputs, optim_wrapper):
        return self.run_teachers(domain, inputs, optim_wrapper)[0]

    def wanted(self, domain, inputs, targets):
        return inputs[f'img_{domain}']


@DISTILLERS.register_module()
class GANCompressionCycleGAN(CompressedStudent, UnpairedOnlineDistiller):
    """GAN Compression for unpaired images: L1 to the teacher's image.

    One direction, without a cycle and without a pool of images.

    Args:
        teacher (dict): ``CycleGANTeacher`` from ``teacher_checkpoints``.
        gan_type (str): Adversarial loss.
        gan_loss_weight (float): Its weight (lambda_gan).
        pixel_loss_weight (float): Weight of the L1 (lambda_recon).
        kwargs: Of :class:`CompressedStudent` and
            :class:`UnpairedOnlineDistiller`.
    """

    def __init__(self, *args, teacher: Optional[dict] = None,
                 gan_type: str = 'lsgan', gan_loss_weight: float = 1.,
                 pixel_loss_weight: float = 10., **kwargs):
        super().__init__(*args, teacher=teacher, **kwargs)
        self.gan_type = gan_type
        self.gan_loss_weight = gan_loss_weight
        self.pixel_loss_weight = pixel_loss_weight

    def teach(self, domain, inputs, optim_wrapper):
        with torch.no_grad(), \
                optim_wrapper['student'].optim_context(self.model):
            return {'teacher': self.run_teacher('teacher', domain, inputs)}

    def wanted(self, domain, inputs, targets):
        image, _ = targets['teacher']
        return image
