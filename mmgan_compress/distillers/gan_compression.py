"""GAN Compression (CVPR 2020, arXiv 2003.08936): its training steps.

One step serves all stages: a narrow generator (pre-distillation, fine-tuning)
or a super-net, of which ``SubnetSamplingHook`` names the sub-networks to
train. The student plays against a discriminator, is drawn to the truth
(paired) or to the teacher's image (unpaired), and imitates features of a
teacher that does not train.
"""

import torch.nn.functional as F
from torch import Tensor

from ..core.search_space import Configuration
from ..core.training import backward, step
from ..models.supernet import SuperNet, transfer_weights
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

    @staticmethod
    def inherit(student, teacher):
        transfer_weights(teacher, student)

    def wanted(self, inputs: dict, targets: dict) -> Tensor:
        """Return the image that the student's is compared with."""
        raise NotImplementedError

    def train_step(self, inputs, optim_wrapper):
        """Update discriminator and student; both have their losses against
        the other's old weights (distillers/base_resnet_distiller.py:
        optimize_parameters).
        """
        self.iteration += 1
        domain, source = self.domain, self.source(inputs)
        targets = self.teach(domain, inputs, optim_wrapper)
        wanted = self.wanted(inputs, targets).float()
        wrapper, other = optim_wrapper['student'], optim_wrapper['student_discriminators']
        images, rounds = [], []
        for configuration in self.configurations or [None]:
            if isinstance(self.student, SuperNet):
                self.student.set_channels(configuration)
            image, features = self.run_student(domain, source, wrapper)
            images.append(image.detach())
            rounds.append(
                dict(
                    loss_gan=self.gan_loss_weight
                    * self.adversarial_loss(domain, source, image, wrapper),
                    loss_pixel=self.pixel_loss_weight * F.l1_loss(image.float(), wanted),
                    **self.distillation_losses(domain, source, image, features, targets),
                )
            )
        if isinstance(self.student, SuperNet):  # whole for everybody else
            self.student.set_channels(None)
        losses = {key: sum(each[key] for each in rounds) / len(rounds) for key in rounds[0]}
        losses_d = self.student_discriminator_losses(
            domain,
            self.discriminator_input(source, inputs[f'img_{domain}']),
            [self.discriminator_input(source, image) for image in images],
            other,
        )
        backward(other, sum(losses_d.values()))
        backward(wrapper, sum(losses.values()))
        step(other)
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
