"""Single-stage distillation: teachers train while the student learns."""
import copy
import torch
import torch.nn as nn
import torch.nn.functional as F
from mmagic.models.utils import set_requires_grad
from torch import Tensor

from ..core.training import backward, step, update
from ..models.gan_loss import gan_loss
from ..registry import MODELS
from .base import BaseDistiller, detached


class PairedOnlineDistiller(BaseDistiller):
    """Pix2Pix teachers with one multi-head discriminator.

    All forwards of a step precede its updates: the discriminator's and the
    generators' losses are taken against the same old discriminator, and the
    student learns from the images that the teachers made before they moved
    (OMGD/distillers/multiteacher_distiller.py: optimize_parameters).

    Args:
        teachers (dict[str, dict]): Generator configs by name; the i-th uses
            head i of the discriminator.
        discriminator (dict): Config; called as ``D(pair, head)``.
        gan_type (str): Adversarial loss of the teachers.
        gan_loss_weight (float): Its weight (lambda_gan).
        pixel_loss_weight (float): Weight of L1 to the truth (lambda_rec).
        teacher_interval (int): Steps of the student per step of the
            teachers (``n_dis`` of OMGD's Pix2Pix).
        kwargs: Of :class:`BaseDistiller`.
    """

    def __init__(self,
                 teachers: dict[str, dict],
                 discriminator: dict,
                 gan_type: str = 'hinge',
                 gan_loss_weight: float = 1.,
                 pixel_loss_weight: float = 100.,
                 teacher_interval: int = 1,
                 **kwargs):
        super().__init__(**kwargs)
        self.reported_teachers = list(teachers)
        self.teachers = nn.ModuleDict(
            {name: MODELS.build(cfg) for name, cfg in teachers.items()})
        self.discriminator = MODELS.build(discriminator)
        self.gan_type = gan_type
        self.gan_loss_weight = gan_loss_weight
        self.pixel_loss_weight = pixel_loss_weight
        self.teacher_interval = teacher_interval

    def attach(self, host):
        if len(host.domains) != 1:
            raise ValueError('a paired distiller generates one domain, got '
                             f'reachable_domains={host.domains}')
        super().attach(host)

    def teacher_networks(self):
        domain = self.host.domains[0]
        return {name: {domain: net} for name, net in self.teachers.items()}

    def teacher_side(self):
        return [*self.teachers.values(), self.discriminator]

    def train_step(self, inputs, optim_wrapper):
        domain = self.host.domains[0]
        source = inputs[f'img_{self.host.source_of(domain)}']
        self.iteration += 1
        teach = self.iteration % self.teacher_interval == 0
        with torch.set_grad_enabled(teach), \
                optim_wrapper['teachers'].optim_context(self.host):
            targets = {name: self.run_teacher(name, domain, source)
                       for name in self.teachers}
        log = {}
        if teach:
            images = {name: image for name, (image, _) in targets.items()}
            log = self.teacher_step(source, inputs[f'img_{domain}'], images,
                                    optim_wrapper)
        losses = self.student_losses(domain, source, targets,
                                     optim_wrapper['student'])
        update(optim_wrapper['student'], sum(losses.values()))
        return {**log, **detached(losses)}

    def teacher_step(self, source: Tensor, real: Tensor,
                     images: dict[str, Tensor], optim_wrapper) -> dict:
        """Update discriminator and teachers from one forward pass."""
        set_requires_grad(self.discriminator, True)
        with optim_wrapper['discriminators'].optim_context(self.host):
            loss_d = self.discriminator_losses(source, real, images)
        backward(optim_wrapper['discriminators'], sum(loss_d.values()))
        set_requires_grad(self.discriminator, False)
        with optim_wrapper['teachers'].optim_context(self.host):
            loss_g = self.generator_losses(source, real, images)
        backward(optim_wrapper['teachers'], sum(loss_g.values()))
        set_requires_grad(self.discriminator, True)
        step(optim_wrapper['discriminators'])
        step(optim_wrapper['teachers'])
        return detached({**loss_d, **loss_g})

    def discriminator_losses(self, source, real, images):
        """Return 1/2 fake and 1/2 real for every head."""
        losses = {}
        for head, (name, image) in enumerate(images.items()):
            for role, shown in (('fake', image.detach()), ('real', real)):
                pred = self.discriminator(torch.cat([source, shown], 1), head)
                losses[f'loss_disc_{role}_{name}'] = 0.5 * gan_loss(
                    self.gan_type, pred, role)
        return losses

    def generator_losses(self, source, real, images):
        """Return adversarial and L1 term of every teacher."""
        losses = {}
        for head, (name, image) in enumerate(images.items()):
            pred = self.discriminator(torch.cat([source, image], 1), head)
            losses[f'loss_gan_{name}'] = self.gan_loss_weight * gan_loss(
                self.gan_type, pred, 'g')
            losses[f'loss_pixel_{name}'] = self.pixel_loss_weight * \
                F.l1_loss(image.float(), real)
        return losses


class UnpairedOnlineDistiller(BaseDistiller):
    """A CycleGAN teacher and the student take turns, phase by phase.

    In a student phase the student imitates the *best* teacher so far, of
    the distilled direction; the teacher's own training goes on from its
    latest weights. Keeping the best generators as modules of their own
    stands for loading and restoring weights, and checkpoints hold them.

    Args:
        teacher (dict): Config of a model with ``generators`` by domain and
            ``step(inputs, generators, discriminators)``, such as
            ``CycleGANTeacher``.
        kwargs: Of :class:`BaseDistiller`.
    """
    reported_teachers = ('teacher', )

    def __init__(self, teacher: dict, **kwargs):
        super().__init__(**kwargs)
        self.teacher = MODELS.build(teacher)
        self.best = nn.ModuleDict()
        self.best_scores: dict[str, list[float]] = {}

    def attach(self, host):
        known = list(self.teacher.generators)
        unknown = [d for d in host.domains if d not in known]
        if unknown:
            raise KeyError(f'the teacher has no generator for the domain '
                           f'{unknown[0]!r}; it has {known}')
        super().attach(host)
        for domain in host.domains:  # after in-place layers were mended
            best = copy.deepcopy(self.teacher.generators[domain])
            self.best[domain] = best.requires_grad_(False)

    def teacher_side(self):
        return [self.teacher]

    def teacher_networks(self):
        latest = dict(self.teacher.generators.items())
        best = {d: self.best[d] for d in self.best_scores}
        return {'teacher': {**latest, **best}, 'latest': latest}

    def keep_if_best(self, domain: str, scores: list[float],
                     lower_is_better: bool = True) -> bool:
        """Keep the generator of a domain if any score is better than ever.

        Args:
            domain (str): What it generates; a distilled one.
            scores (list[float]): Metrics on the split that selects.
            lower_is_better (bool): Whether they are distances.

        Returns:
            bool: Whether it is the best so far.
        """
        sign = 1 if lower_is_better else -1
        best = self.best_scores.get(
            domain, [sign * float('inf')] * len(scores))
        better = [sign * s < sign * b for s, b in zip(scores, best)]
        if any(better):
            self.best_scores[domain] = [
                float(s) if up else b
                for s, b, up in zip(scores, best, better)]
            self.best[domain].load_state_dict(
                self.teacher.generators[domain].state_dict())
        return any(better)

    def train_step(self, inputs, optim_wrapper):
        phase = self.schedule.phase(self.iteration)
        self.iteration += 1
        log = {} if phase == 'student' else self.teacher.step(
            inputs, optim_wrapper['teachers'],
            optim_wrapper['discriminators'])
        if phase == 'teacher':
            return log
        wrapper, losses = optim_wrapper['student'], {}
        for domain in self.host.domains:
            source = inputs[f'img_{self.host.source_of(domain)}']
            with torch.no_grad(), wrapper.optim_context(self.host):
                targets = {'teacher': self.run_teacher(
                    'teacher', domain, source)}
            losses.update(
                self.student_losses(domain, source, targets, wrapper))
        update(wrapper, sum(losses.values()))
        return {**log, **detached(losses)}

    def training_state(self):
        return dict(best_scores=dict(self.best_scores),
                    buffers=self.teacher.training_state())

    def load_training_state(self, state):
        self.best_scores = dict(state['best_scores'])
        self.teacher.load_training_state(state['buffers'])
