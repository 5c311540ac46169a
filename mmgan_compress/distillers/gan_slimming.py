"""GAN Slimming (ECCV 2020, arXiv 2008.11062).

One objective distils a dense generator, prunes it and, if asked, quantizes
it: the student imitates its teacher and fools a discriminator that takes the
teacher's images for real, while a hook draws the scales of its norms to zero
(``engine/hooks/slimming.py``). ``SlimExtraction`` then removes the channels
that have none, and the same distiller, without the hook, trains what is
left. The teacher does not train; its images may be files.
"""
from collections.abc import Iterable, Iterator
from typing import Optional

import torch
import torch.nn as nn
from mmagic.models.editors.cyclegan.cyclegan_modules import GANImageBuffer
from torch import Tensor
from torch.nn.modules.batchnorm import _NormBase

from ..core.layers import find_layer
from ..core.training import frozen, update
from ..models.fake_quant import fake_quantize
from ..losses.gan import gan_loss
from ..models.slimmable import free_channels
from ..models.teachers import CycleGANStep
from ..registry import DISTILLERS
from .adversarial import PlayingStudent
from .base import detached
from .online import PairedOnlineDistiller, UnpairedOnlineDistiller
from .teacher_loading import check_offline_direction


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


class SlimmingStudent(PlayingStudent):
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
        start_from_teacher (bool): Let the student, and its discriminator
            where the teacher has one, begin as the teacher's (published for
            horse2zebra). New scales are 1.
        buffer_size (int): Student images that the discriminator is shown
            from.
        kwargs: Of :class:`PlayingStudent`, ``discriminator_checkpoint`` among
            them: published for fine-tuning is that of the slimming run.
    """
    # both pool images by domain, and a checkpoint holds them alike
    buffer_state = CycleGANStep.buffer_state
    load_buffer_state = CycleGANStep.load_buffer_state

    def __init__(self, *args, quantize: Optional[dict] = None,
                 start_from_teacher: bool = False,
                 buffer_size: int = 50, **kwargs):
        super().__init__(*args, **kwargs)
        self.quantize, self.buffer_size = quantize, buffer_size
        self.start_from_teacher = start_from_teacher

    # --- building ---------------------------------------------------------
    def attach(self, model):
        check_offline_direction(self, model.domains, 'GAN Slimming')
        super().attach(model)
        domain, = model.domains
        if not self.distilling(domain):
            raise ValueError('GAN Slimming needs a teacher and a loss that '
                             'asks it, such as SlimmingPerceptualLoss')
        self.image_buffers = {domain: GANImageBuffer(self.buffer_size)}
        student = model.generators[domain]
        self.slim_norms = [find_layer(student, free.norm)
                           for free in free_channels(student)]
        for layer in student.modules():
            if isinstance(layer, _NormBase) and layer not in self.slim_norms:
                layer.requires_grad_(False)
        scales = [norm.weight for norm in self.slim_norms]
        own = set(map(id, scales))
        self.scales = ParameterView(scales)
        self.weights = ParameterView(
            p for p in student.parameters()
            if p.requires_grad and id(p) not in own)
        if self.quantize is not None:
            fake_quantize(student, **self.quantize)

    @property
    def epoch_domain(self) -> str:
        """The source: images of the target are not made use of."""
        domain, = self.model.domains
        return self.model.source_of(domain)

    def _taught(self) -> list[tuple[nn.Module, nn.Module]]:
        """Return networks beside those of the teacher they begin as."""
        domain, = self.model.domains
        name = next(iter(self.latest_networks()))
        judge = None if self.discriminator_checkpoint else \
            self.discriminator_of(name, domain)
        pairs = [(self.model.generators[domain], self.network(name, domain)),
                 (self.student_discriminators[domain], judge)]
        return [pair for pair in pairs if pair[1] is not None]

    def _trained_networks(self):
        needed = super()._trained_networks()
        return [*needed, *(net for _, net in self._taught())] \
            if self.start_from_teacher else needed

    def init_weights(self):
        super().init_weights()
        if self.start_from_teacher:
            for network, teacher in self._taught():
                inherit(network, teacher)

    # --- training ---------------------------------------------------------
    def teach(self, domain: str, inputs: dict, optim_wrapper) -> dict:
        """Return image and features by teacher, without gradient."""
        raise NotImplementedError

    def train_step(self, inputs, optim_wrapper):
        self.iteration += 1
        domain, = self.model.domains
        source = inputs[f'img_{self.model.source_of(domain)}']
        targets = self.teach(domain, inputs, optim_wrapper)
        wrapper = optim_wrapper['student']
        image, features = self.run_student(domain, source, wrapper)
        shown = self.judged_input(source, image)
        net = self.student_discriminators[domain]
        with frozen(net), wrapper.optim_context(self.model):
            losses = dict(loss_gan=gan_loss('lsgan', logit(net(shown)), 'g'))
        losses.update(self.distillation_losses(domain, source, image, features,
                                       targets))
        self._step_student(optim_wrapper, sum(losses.values()))
        taught, _ = next(iter(targets.values()))
        log = self._step_discriminator(
            domain, self.judged_input(source, taught), shown.detach(),
            optim_wrapper['student_discriminators'])
        return {**detached(losses), **log}

    @staticmethod
    def _step_student(optim_wrapper, loss: Tensor):
        """One backward pass for scales and weights; fine-tuning may have
        them in one optimizer."""
        others = [optim_wrapper['scales']] if 'scales' in optim_wrapper else []
        if any(hasattr(other, 'loss_scaler') for other in others):
            # it would divide by its own factor, not by the weights'
            raise ValueError('the optimizer of the scales cannot share a '
                             'backward pass of mixed precision: leave out '
                             '--amp while slimming')
        update(optim_wrapper['student'], loss, *others)

    def _step_discriminator(self, domain: str, real: Tensor, fake: Tensor,
                            wrapper) -> dict:
        """Update the discriminator: 1/2 teacher, 1/2 pooled student."""
        net = self.student_discriminators[domain]
        fake = self.image_buffers[domain].query(fake)
        with wrapper.optim_context(self.model):
            losses = {
                f'loss_disc_{role}': 0.5 * gan_loss(
                    'lsgan', logit(net(images)), role)
                for role, images in (('real', real), ('fake', fake))}
        update(wrapper, sum(losses.values()))
        return detached(losses)

    # --- state ------------------------------------------------------------
    def training_state(self):
        return dict(super().training_state(),
                    student_buffers=self.buffer_state())

    def load_training_state(self, state):
        super().load_training_state(state)
        self.load_buffer_state(state['student_buffers'])

    def notes(self):
        if self.quantize is None:
            return super().notes()
        return [*super().notes(),
                'the student was trained and scored with fake quantization '
                f'({self.quantize}); its file holds the float weights, which '
                'need fake_quantize() or int8 of the same ranges to run so']


def logit(pred: Tensor) -> Tensor:
    """Average a map of logits (N, 1, H, W) to one per image, (N, 1)."""
    return pred.float().mean((2, 3))


def inherit(network: nn.Module, teacher: nn.Module):
    """Give a network its teacher's weights; norms may be new.

    Raises:
        ValueError: If their layers differ otherwise.
    """
    state, own = teacher.state_dict(), network.state_dict()
    new = {f'{name}.{key}' for name, layer in network.named_modules()
           if isinstance(layer, _NormBase) for key in ('weight', 'bias')}
    wrong = [key for key in own.keys() | state.keys()
             if key not in new - state.keys() and (
                 key not in own or key not in state
                 or own[key].shape != state[key].shape)]
    if wrong:
        raise ValueError(
            f'start_from_teacher: {type(network).__name__} is no copy of the '
            f"teacher's {type(teacher).__name__}, {len(wrong)} tensors "
            f'differ, such as {min(wrong)!r}: give both the same config, but '
            'for affine norms')
    network.load_state_dict(state, strict=False)


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

    def teach(self, domain, inputs, optim_wrapper):
        with torch.no_grad(), \
                optim_wrapper['student'].optim_context(self.model):
            return {'teacher': self.run_teacher('teacher', domain, inputs)}


@DISTILLERS.register_module()
class GANSlimmingPix2Pix(SlimmingStudent, PairedOnlineDistiller):
    """GAN Slimming for paired images, which the published code lacks.

    The discriminator judges pairs, and here too it takes the teacher's
    images for real.

    Args:
        student_discriminator (dict): Config; called as ``D(pair)``.
        kwargs: Of :class:`SlimmingStudent` and
            :class:`PairedOnlineDistiller`; the first of ``teachers`` is what
            the discriminator takes for real.
    """

    def teach(self, domain, inputs, optim_wrapper):
        return self.run_teachers(domain, inputs, optim_wrapper)[0]
