"""GCC: Generator-discriminator Cooperative Compression (NeurIPS 2021,
2110.14439).

A pruned generator plays against a discriminator whose channels open and
close by learnt gates, so that it does not overpower the student. A teacher
pair that trains beside them gives features to imitate, and the gap between
its losses, which the gated discriminator should reproduce.
"""

from collections.abc import Sequence

import torch
import torch.nn as nn
from torch import Tensor

from ..core.training import frozen, global_mean, update
from ..losses.gan import gan_loss
from ..models.gates import GatedPatchDiscriminator
from ..registry import DISTILLERS
from .adversarial import AdversarialCycleGAN, AdversarialPix2Pix, AdversarialSAGAN, AdversarialSRGAN


class GateTraining:
    """The step that the gates take, on a second stream of data.

    Args:
        average_gap (bool): Average the teacher's gap over the iterations,
            faster and faster less: beta(k) = 1 - (k - 1) / epochs of the
            latest value in epoch k, as the paper means it. The published
            code never moves beta from 1, which False gives.
        kwargs: Of the class that has student and teacher.
    """

    streams = ('gates',)

    def __init__(self, average_gap: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.average_gap = average_gap
        self.gaps: dict[str, float] = {}

    def attach(self, model):
        """Attach, if each discriminator has gates and a teacher's beside it.

        Raises:
            ValueError: If one is lacking.
        """
        super().attach(model)
        for net in self.student_discriminators.values():
            if not isinstance(net, GatedPatchDiscriminator):
                raise ValueError(
                    'GCC trains the gates of its discriminator, '
                    f'and a {type(net).__name__} has none: take '
                    'GatedPatchDiscriminator'
                )
        discriminators = [
            self.discriminator_of(name, domain)
            for name in self.latest_networks()
            for domain in model.domains
        ]
        if not discriminators or None in discriminators:
            raise ValueError(
                'GCC needs a teacher with a discriminator: give '
                'one, or take AdversarialPix2Pix, -CycleGAN, -SRGAN or -SAGAN'
            )

    def _trained_networks(self):
        return self.teacher_side()  # the gap needs discriminators as well

    def gates(self, domain: str) -> Sequence[nn.Module]:
        """Return the gates of the discriminator of a domain."""
        return self.student_discriminators[domain].gates

    def train_step(self, inputs, optim_wrapper):
        """Train the gates after the networks, where students distill."""
        log = super().train_step(inputs, optim_wrapper)
        if any(map(self.distilling, self.model.domains)):
            log.update(self.gate_step(inputs['gates'], optim_wrapper))
        return log

    def gate_step(self, inputs: dict[str, Tensor], optim_wrapper) -> dict:
        """Move the gates: local capacity and global coordination.

        L = | gap of the student - gap of the teacher | + weight (L_D on fake +
        L_D on real), by the gates alone (GCC/models/Pix2Pix.py:
        optimize_parameters_D_arch).
        """
        wrapper, log = optim_wrapper['gates'], {}
        for domain, net in self.student_discriminators.items():
            source = self.model.input_of(domain, inputs)
            net.clip_gates()
            wanted = self._teacher_gap(domain, inputs, wrapper)
            with wrapper.optim_context(self.model), frozen(net.body):
                with torch.no_grad():
                    fake = self.model.generators[domain](source)
                fake = net(self.discriminator_input(source, fake))
                real = net(self.discriminator_input(source, inputs[f'img_{domain}']))
            loss_fake = gan_loss(self.gan_type, fake, 'fake')
            loss_real = gan_loss(self.gan_type, real, 'real')
            gap = self._gap(fake)
            log[f'loss_gates_coordination_{domain}'] = (gap - wanted).abs()
            log[f'loss_gates_capacity_{domain}'] = self.discriminator_loss_weight * (
                loss_fake + loss_real
            )
        update(wrapper, sum(log.values()))
        open_, total = zip(
            *(pair for net in self.student_discriminators.values() for pair in net.open_channels())
        )
        log = {k: v.detach() for k, v in log.items()}
        share = torch.tensor(sum(open_) / sum(total))
        return dict(log, gates_open=share)

    def _gap(self, pred: Tensor) -> Tensor:
        """Return | L_G - L_D on fake | of logits of fakes."""
        return global_mean(
            gan_loss(self.gan_type, pred, 'g') - gan_loss(self.gan_type, pred, 'fake')
        ).abs()

    @torch.no_grad()
    def _teacher_gap(self, domain: str, inputs: dict, wrapper) -> float:
        """Return the teacher's gap, averaged over the iterations."""
        name = next(iter(self.latest_networks()))
        source = self.model.input_of(domain, inputs)
        with wrapper.optim_context(self.model):
            image, _ = self.run_teacher(name, domain, inputs)
            pred, _ = self.discriminate(name, domain, source, image)
        gap = float(self._gap(pred))
        if self.average_gap and domain in self.gaps:
            epoch = self.schedule.epoch(self.iteration - 1)
            beta = 1 - (epoch - 1) / self.schedule.epochs
            gap = beta * gap + (1 - beta) * self.gaps[domain]
        self.gaps[domain] = gap
        return gap

    def training_state(self):
        """Return the state, with the averaged gap of each domain."""
        return dict(super().training_state(), gaps=dict(self.gaps))

    def load_training_state(self, state):
        """Restore what ``training_state`` returned."""
        super().load_training_state(state)
        self.gaps = dict(state['gaps'])


@DISTILLERS.register_module()
class GCCPix2Pix(GateTraining, AdversarialPix2Pix):
    """GCC for paired images.

    Args:
        average_gap (bool): As of :class:`GateTraining`.
        kwargs: Of :class:`AdversarialPix2Pix`; the discriminators of teacher
            and student are shown pairs.
    """


@DISTILLERS.register_module()
class GCCCycleGAN(GateTraining, AdversarialCycleGAN):
    """GCC for unpaired images.

    Args:
        average_gap (bool): As of :class:`GateTraining`.
        kwargs: Of :class:`AdversarialCycleGAN`.
    """


@DISTILLERS.register_module()
class GCCSRGAN(GateTraining, AdversarialSRGAN):
    """GCC for super-resolution.

    Args:
        average_gap (bool): As of :class:`GateTraining`.
        kwargs: Of :class:`AdversarialSRGAN`.
    """


@DISTILLERS.register_module()
class GCCSAGAN(GateTraining, AdversarialSAGAN):
    """GCC for images from noise.

    Args:
        average_gap (bool): As of :class:`GateTraining`.
        kwargs: Of :class:`AdversarialSAGAN`.
    """
