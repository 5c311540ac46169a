"""Online distillation: teachers train while the student learns.

Two training steps serve OMGD ("Online Multi-Granularity Distillation", ICCV
2021, arXiv 2108.06908) and CRD ("Content Relationship Distillation", arXiv
2212.11091), whose losses stand in ``configs/_base_/losses``. The student sees
no ground truth: it learns from the current images of its teachers.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..core.feature_extraction import forward_with_features
from ..core.training import backward, frozen, step
from ..losses.gan import gan_loss
from ..models.discriminators import MultiHeadPatchDiscriminator
from ..registry import DISTILLERS, MODELS
from .base import BaseDistiller, detached
from .teacher_loading import image_only


@DISTILLERS.register_module(name=['OMGDPix2Pix', 'CRDPix2Pix', 'PairedOnlineDistiller'])
class PairedOnlineDistiller(BaseDistiller):
    """Pix2Pix teachers with one discriminator: OMGD, CRD.

    All forwards of a step precede its updates: the discriminator's and the
    generators' losses are taken against the same old discriminator, and the
    student learns from the images that the teachers made before they moved
    (OMGD/distillers/multiteacher_distiller.py: optimize_parameters).

    Args:
        teachers (dict[str, dict]): Generator configs by name; in reversed
            alphabetical order (wide, deep) they use the discriminator's
            heads.
        discriminator (dict | None): Config of a conditional discriminator,
            with a head for each teacher if there are several. Offline it
            may be None.
        gan_type (str): Adversarial loss of the teachers.
        gan_loss_weight (float): Its weight (lambda_gan).
        pixel_loss_weight (float): Weight of L1 to the truth (lambda_rec).
        teacher_interval (int): Steps of the student per step of the
            teachers (``n_dis`` of OMGD's Pix2Pix).
        kwargs: Of :class:`BaseDistiller`.
    """

    # whether generators learn against the discriminator after its update
    discriminator_first = False

    def __init__(
        self,
        teachers: dict[str, dict],
        discriminator: dict | None = None,
        gan_type: str = 'hinge',
        gan_loss_weight: float = 1.0,
        pixel_loss_weight: float = 100.0,
        teacher_interval: int = 1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.teachers = nn.ModuleDict({name: MODELS.build(cfg) for name, cfg in teachers.items()})
        # by name: a config that mmengine dumps has its keys in another order
        self._order = sorted(teachers, reverse=True)  # wide, deep
        self.reported_teachers = [
            name for name in self._order if not image_only(self.teachers[name])
        ]
        self.discriminator = discriminator and MODELS.build(discriminator)
        if teachers and not (discriminator or self.offline):
            raise ValueError('teachers that train need a discriminator')
        self.gan_type = gan_type
        self.gan_loss_weight = gan_loss_weight
        self.pixel_loss_weight = pixel_loss_weight
        self.teacher_interval = teacher_interval

    def attach(self, model):
        if len(model.domains) != 1:
            raise ValueError(
                f'a paired distiller generates one domain, got reachable_domains={model.domains}'
            )
        super().attach(model)

    def latest_networks(self):
        domain = self.model.domains[0]
        return {name: {domain: net} for name, net in self.teachers.items()}

    def teacher_side(self):
        networks = [*self.teachers.values(), self.discriminator]
        return [net for net in networks if net and not image_only(net)]

    def discriminator_of(self, name, domain):
        return self.discriminator

    @staticmethod
    def discriminator_input(source, image):
        if source.shape[2:] != image.shape[2:]:  # super-resolution
            source = F.interpolate(source, image.shape[2:], mode='bicubic')
        return torch.cat([source, image], 1)

    def _discriminate(self, source, image, name, layers=()):
        """Show a pair to the discriminator; several teachers, their heads."""
        heads = isinstance(self.discriminator, MultiHeadPatchDiscriminator)
        head = [self._order.index(name)] if heads else []
        return forward_with_features(
            self.discriminator, self.discriminator_input(source, image), layers, *head
        )

    def discriminate(self, name, domain, source, image):
        with frozen(self.discriminator):
            return self._discriminate(
                source, image, name, self._layers(domain, 'discriminator_layers', name)
            )

    def train_step(self, inputs, optim_wrapper):
        domain = self.model.domains[0]
        self.iteration += 1
        targets, log = self.run_teachers(domain, inputs, optim_wrapper)
        return {**log, **self.student_step(inputs, optim_wrapper, {domain: targets})}

    def run_teachers(self, domain: str, inputs: dict, optim_wrapper) -> tuple:
        """Return the teachers' images and features, and what to log of the
        step that they took, if it was their turn.
        """
        teach = not self.offline and self.iteration % self.teacher_interval == 0
        context = optim_wrapper['student' if self.offline else 'teachers'].optim_context
        kept = {name for name in self.teachers if self.teacher_snapshots.teaching(name, domain)}
        log = {}
        with torch.set_grad_enabled(teach), context(self.model):
            latest = {
                name: self.run_teacher(f'latest:{name}', domain, inputs)
                for name in self.teachers
                if teach or name not in kept
            }
        if teach:
            log = self.teacher_step(
                self.model.input_of(domain, inputs),
                inputs[f'img_{domain}'],
                {name: image for name, (image, _) in latest.items()},
                optim_wrapper,
            )
        with torch.no_grad(), context(self.model):
            return {
                name: self.run_teacher(name, domain, inputs) if name in kept else latest[name]
                for name in self.teachers
            }, log

    def teacher_step(
        self, source: Tensor, real: Tensor, images: dict[str, Tensor], optim_wrapper
    ) -> dict:
        """Update discriminator and teachers from one forward pass."""
        with optim_wrapper['discriminators'].optim_context(self.model):
            loss_d = self.discriminator_losses(source, real, images)
        backward(optim_wrapper['discriminators'], sum(loss_d.values()))
        if self.discriminator_first:
            step(optim_wrapper['discriminators'])
        with frozen(self.discriminator), optim_wrapper['teachers'].optim_context(self.model):
            loss_g = self.generator_losses(source, real, images)
        backward(optim_wrapper['teachers'], sum(loss_g.values()))
        if not self.discriminator_first:
            step(optim_wrapper['discriminators'])
        step(optim_wrapper['teachers'])
        return detached({**loss_d, **loss_g})

    def discriminator_losses(self, source, real, images):
        """Return the losses of fake and of real images for every head, each
        times ``discriminator_loss_weight``.
        """
        losses = {}
        for name, image in images.items():
            shown = dict(fake=image.detach(), real=real)
            for role in self.discriminator_order:
                pred, _ = self._discriminate(source, shown[role], name)
                losses[f'loss_disc_{role}_{name}'] = self.discriminator_loss_weight * gan_loss(
                    self.gan_type, pred, role
                )
        return losses

    def generator_losses(self, source, real, images):
        """Return the adversarial loss and those to the truth of every
        teacher.
        """
        losses = {}
        for name, image in images.items():
            pred, _ = self._discriminate(source, image, name)
            losses[f'loss_gan_{name}'] = self.gan_loss_weight * gan_loss(self.gan_type, pred, 'g')
            truth = self.truth_losses(image.float(), real)
            losses.update({f'loss_{kind}_{name}': loss for kind, loss in truth.items()})
        return losses

    def truth_losses(self, image: Tensor, real: Tensor) -> dict[str, Tensor]:
        """Return the weighted losses of a generator's image to the truth.

        Args:
            image (Tensor): A teacher's or the student's, (N, C, H, W) in
                [-1, 1], float32.
            real (Tensor): What it should be.
        """
        return dict(pixel=self.pixel_loss_weight * F.l1_loss(image, real))


@DISTILLERS.register_module(name=['OMGDCycleGAN', 'CRDCycleGAN', 'UnpairedOnlineDistiller'])
class UnpairedOnlineDistiller(BaseDistiller):
    """A CycleGAN teacher and the student take turns by phase: OMGD, CRD.

    In a student phase the student imitates the *best* teacher so far, of
    the distilled direction; the teacher's own training goes on from its
    latest weights.

    Args:
        teacher (dict | None): Config of a model with ``generators`` by
            domain and ``step(inputs, generators, discriminators)``, such as
            ``CycleGANTeacher``; or a teacher that only gives images.
        teacher_snapshots (bool): Keep the best teacher.
        kwargs: Of :class:`BaseDistiller`.
    """

    def __init__(self, teacher: dict | None, teacher_snapshots: bool = True, **kwargs):
        super().__init__(teacher_snapshots=teacher_snapshots, **kwargs)
        self.teacher = teacher and MODELS.build(teacher)
        self._has_network = teacher and not image_only(self.teacher)
        if self._has_network:
            self.reported_teachers = ('teacher',)

    def attach(self, model):
        known = list(self.latest_networks_of(model).get('teacher', model.domains))
        unknown = [d for d in model.domains if d not in known]
        if unknown:
            raise KeyError(
                f'the teacher has no generator for the domain {unknown[0]!r}; it has {known}'
            )
        super().attach(model)

    def latest_networks(self):
        return self.latest_networks_of(self.model)

    def latest_networks_of(self, model) -> dict:
        """Return the generators; a network that only gives images is one."""
        if self.teacher is None:
            return {}
        if not self._has_network:
            count = None if getattr(self.teacher, 'stored', False) else 1
            return {'teacher': {d: self.teacher for d in model.domains[:count]}}
        return {'teacher': dict(self.teacher.generators.items())}

    def teacher_side(self):
        return [self.teacher] if self._has_network else []

    def discriminator_of(self, name, domain):
        return self.teacher.discriminators[domain] if self._has_network else None

    def train_step(self, inputs, optim_wrapper):
        phase = 'student' if self.offline else self.schedule.phase(self.iteration)
        self.iteration += 1
        log = (
            {}
            if phase == 'student'
            else self.teacher.step(
                inputs, optim_wrapper['teachers'], optim_wrapper['discriminators']
            )[0]
        )
        if phase == 'teacher':
            return log
        return {**log, **self.student_step(inputs, optim_wrapper)}

    def training_state(self):
        buffers = self.teacher.buffer_state() if self._has_network else {}
        return dict(super().training_state(), buffers=buffers)

    def load_training_state(self, state):
        super().load_training_state(state)
        if self._has_network:
            self.teacher.load_buffer_state(state['buffers'])
