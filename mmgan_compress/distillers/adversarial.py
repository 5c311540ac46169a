"""The student plays the GAN game itself, with or without a teacher.

Without one it is ordinary training: the baseline of every method, and the
first stage of GCC. With one, the losses come on top.
"""
from collections.abc import Sequence
from typing import Optional

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmagic.models.editors.cyclegan.cyclegan_modules import GANImageBuffer
from torch import Tensor

from ..core.checkpoints import (file_faults, mismatch, read_checkpoint,
                                weights_in)
from ..core.training import frozen, update
from ..losses.gan import gan_loss
from ..models.teachers import CycleGANStep
from ..registry import DISTILLERS, MODELS
from .base import detached
from .online import PairedOnlineDistiller, UnpairedOnlineDistiller

# where a checkpoint of a run has them
_OF_RUN = 'distiller.student_discriminators'


class PlayingStudent:
    """What a student of either task needs to play: a discriminator each.

    Args:
        student_discriminator (dict): Config, of each domain's.
        losses (Sequence[dict]): What the student learns from a teacher.
        discriminator_checkpoint (str | None): Checkpoint of a run of a
            playing student, or its file ``last_checkpoint``, whose
            discriminators go on.
        kwargs: Of the class that comes next.
    """

    def __init__(self, student_discriminator: dict,
                 losses: Sequence[dict] = (),
                 discriminator_checkpoint: Optional[str] = None, **kwargs):
        super().__init__(losses=losses, **kwargs)
        self._student_cfg = student_discriminator
        self.student_discriminators = nn.ModuleDict()
        self.discriminator_checkpoint = discriminator_checkpoint

    def attach(self, model):
        super().attach(model)
        for domain in model.domains:
            self.student_discriminators[domain] = MODELS.build(
                self._student_cfg)

    def init_weights(self):
        super().init_weights()
        for network in self.student_discriminators.values():
            network.init_weights()
        if self.discriminator_checkpoint:
            self.student_discriminators.load_state_dict(
                weights_in(read_checkpoint(self.discriminator_checkpoint),
                           _OF_RUN), strict=False)

    def teacher_faults(self):
        faults = super().teacher_faults()
        if self.discriminator_checkpoint:
            path = self.discriminator_checkpoint
            faults += file_faults(
                path, f'{path} does not fit student_discriminator',
                lambda content: mismatch(
                    self.student_discriminators.state_dict(),
                    weights_in(content, _OF_RUN)))
        return faults

    def gates(self, domain: str) -> Sequence[nn.Module]:
        """Return parts of the discriminator that learn at other times."""
        return ()


@DISTILLERS.register_module()
class AdversarialPix2Pix(PlayingStudent, PairedOnlineDistiller):
    """Pix2Pix whose generator is the student.

    Discriminators step before their generators, teachers before the student
    (GCC/models/Pix2Pix.py: optimize_parameters).

    Args:
        student_discriminator (dict): Config; called as ``D(pair)``.
        teachers (dict[str, dict] | None): Generators that train beside it.
        kwargs: Of :class:`PairedOnlineDistiller`.
    """
    discriminator_first = True

    def __init__(self, *args, teachers: Optional[dict[str, dict]] = None,
                 **kwargs):
        super().__init__(*args, teachers=teachers or {}, **kwargs)

    def train_step(self, inputs, optim_wrapper):
        domain = self.model.domains[0]
        source = inputs[f'img_{self.model.source_of(domain)}']
        real = inputs[f'img_{domain}']
        self.iteration += 1
        targets, log = self.run_teachers(domain, inputs, optim_wrapper) \
            if self.distilling(domain) else ({}, {})
        wrapper = optim_wrapper['student']
        image, features = self.run_student(domain, source, wrapper)
        log.update(self._discriminator_step(
            domain, self.judged_input(source, real),
            self.judged_input(source, image.detach()), optim_wrapper))
        net = self.student_discriminators[domain]
        with frozen(net), wrapper.optim_context(self.model):
            pred = net(self.judged_input(source, image))
        losses = dict(
            loss_gan=self.gan_loss_weight * gan_loss(
                self.gan_type, pred, 'g'),
            loss_pixel=self.pixel_loss_weight * F.l1_loss(
                image.float(), real))
        losses.update(self.distillation_losses(domain, source, image, features,
                                       targets))
        update(wrapper, sum(losses.values()))
        return {**log, **detached(losses)}

    def _discriminator_step(self, domain: str, real: Tensor, fake: Tensor,
                            optim_wrapper) -> dict:
        """Update the student's discriminator, 1/2 fake and 1/2 real."""
        wrapper = optim_wrapper['student_discriminators']
        net = self.student_discriminators[domain]
        with frozen(*self.gates(domain)), wrapper.optim_context(self.model):
            losses = {
                f'loss_disc_{role}': 0.5 * gan_loss(
                    self.gan_type, net(shown), role)
                for role, shown in (('fake', fake), ('real', real))}
        update(wrapper, sum(losses.values()))
        return detached(losses)


@DISTILLERS.register_module()
class AdversarialCycleGAN(CycleGANStep, PlayingStudent,
                          UnpairedOnlineDistiller):
    """CycleGAN whose two generators are the student.

    Generators step before their discriminators, the teacher before the
    student (GCC/models/CycleGAN.py: optimize_parameters).

    Args:
        student_discriminator (dict): Config of either discriminator.
        teacher (dict | None): CycleGAN that trains beside it.
        buffer_size (int): Fakes that a discriminator is shown from.
        loss_config (dict): As of ``CycleGANTeacher``.
        published_features (bool): Compare the taps of the teacher's
            discriminator as GCC's published CycleGAN does: the teacher's
            pooled image before the discriminator's update against the
            student's after it. By default both images are current and meet
            the same weights.
        kwargs: Of :class:`UnpairedOnlineDistiller`.
    """
    gan_type = 'lsgan'  # that of CycleGANStep

    def __init__(self, *args,
                 teacher: Optional[dict] = None,
                 buffer_size: int = 50,
                 loss_config: dict = dict(
                     cycle_loss_weight=10., id_loss_weight=5.),
                 published_features: bool = False,
                 teacher_snapshots: bool = False, **kwargs):
        super().__init__(*args, teacher=teacher, teacher_snapshots=teacher_snapshots,
                         **kwargs)
        self.buffer_size, self.image_buffers = buffer_size, {}
        self.loss_config = loss_config
        self.published_features = published_features

    def attach(self, model):
        if len(model.domains) != 2:
            raise ValueError('a CycleGAN generates both of its domains, got '
                             f'reachable_domains={model.domains}')
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
        targets, judged, log = self._run_teacher(inputs, optim_wrapper) \
            if any(map(self.distilling, domains)) else ({}, {}, {})
        wrapper = optim_wrapper['student']
        with wrapper.optim_context(self.model):
            outputs = self.forward_both(
                inputs, {d: self.layers_of(d) for d in domains})
            losses = self.generator_loss(outputs)
        for d in domains:
            losses.update(self.distillation_losses(
                d, inputs[f'img_{self.source_of(d)}'], outputs[f'fake_{d}'],
                outputs[f'features_{d}'], targets.get(d, {}),
                judged_targets=judged.get(d, {})))
        update(wrapper, sum(losses.values()))
        wrapper = optim_wrapper['student_discriminators']
        gates = [gate for d in domains for gate in self.gates(d)]
        with frozen(*gates), wrapper.optim_context(self.model):
            losses_d = self.discriminator_loss(outputs, {})
        update(wrapper, sum(losses_d.values()))
        return {**log, **detached({**losses, **losses_d})}

    def _run_teacher(self, inputs: dict, optim_wrapper) -> tuple:
        """Return targets and, as published, judged features by domain, and
        what to log of the teacher's step."""
        domains, outputs, log = self.model.domains, {}, {}
        if not self.offline:
            log, outputs = self.teacher.step(
                inputs, optim_wrapper['teachers'],
                optim_wrapper['discriminators'],
                {d: self.layers_of(d, 'teacher') for d in domains},
                {d: self._layers(d, 'discriminator_layers', 'teacher')
                 for d in domains} if self.published_features else {})
            log = {k.replace('loss_', 'loss_teacher_'): v
                   for k, v in log.items()}
        targets, judged = {}, {}
        for d in domains:
            if self.offline or self.teacher_snapshots.teaching('teacher', d):
                with torch.no_grad(), \
                        optim_wrapper['student'].optim_context(self.model):
                    own = self.run_teacher('teacher', d, inputs)
            else:
                own = outputs[f'fake_{d}'], outputs[f'features_{d}']
            targets[d] = {'teacher': own}
            if self.published_features and outputs:
                judged[d] = {'teacher': outputs[f'judged_{d}']}
        return targets, judged, log

    def training_state(self):
        return dict(super().training_state(),
                    student_buffers=self.buffer_state())

    def load_training_state(self, state):
        super().load_training_state(state)
        self.load_buffer_state(state['student_buffers'])
