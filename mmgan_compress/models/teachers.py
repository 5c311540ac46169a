"""CycleGAN as a teacher: mmagic's model with the papers' own step."""
import torch
import torch.nn.functional as F
from mmagic.models.editors import CycleGAN
from mmagic.models.utils import set_requires_grad
from torch import Tensor

from ..core.training import update
from ..registry import MODELS
from .gan_loss import gan_loss


@MODELS.register_module()
class CycleGANTeacher(CycleGAN):
    """CycleGAN that steps G before D and runs no forward that no loss uses.

    Differences from mmagic's: generators first, against the discriminators
    that they were made with, then the discriminators on a history of fakes
    (OMGD/models/CycleGAN.py: optimize_parameters); identity images only
    where their weight is not zero. It trains alone as well.

    Args:
        loss_config (dict): ``cycle_loss_weight`` (10) and
            ``id_loss_weight``, the bare factor of the identity L1: the
            papers' lambda_identity 0.5 times lambda 10 is 5.
    """

    def init_weights(self):
        """Initialise all networks, without mmagic's line per parameter."""
        for group in (self.generators, self.discriminators):
            for network in group.values():
                network.init_weights()

    def forward_both(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Translate and reconstruct both domains."""
        outputs = {}
        for domain in self._reachable_domains:
            source = self.get_other_domains(domain)[0]
            real = inputs[f'img_{source}']
            fake = self.generators[domain](real)
            outputs[f'real_{source}'] = real
            outputs[f'fake_{domain}'] = fake
            outputs[f'cycle_{source}'] = self.generators[source](fake)
        return outputs

    def generator_loss(self, outputs: dict) -> dict[str, Tensor]:
        """Return the terms of both generators."""
        cycle = self.loss_config['cycle_loss_weight']
        identity = self.loss_config['id_loss_weight']
        losses = {}
        for domain in self._reachable_domains:
            real = outputs[f'real_{domain}'].float()
            pred = self.discriminators[domain](outputs[f'fake_{domain}'])
            losses[f'loss_gan_{domain}'] = gan_loss('lsgan', pred, 'g')
            losses[f'loss_cycle_{domain}'] = cycle * F.l1_loss(
                outputs[f'cycle_{domain}'].float(), real)
            if identity:
                losses[f'loss_identity_{domain}'] = identity * F.l1_loss(
                    self.generators[domain](real).float(), real)
        return losses

    def discriminator_loss(self, outputs: dict) -> dict[str, Tensor]:
        """Return 1/2 (real + fake) of each discriminator, fakes pooled."""
        losses = {}
        for domain in self._reachable_domains:
            net = self.discriminators[domain]
            fake = self.image_buffers[domain].query(
                outputs[f'fake_{domain}'].detach())
            losses[f'loss_disc_{domain}'] = 0.5 * (
                gan_loss('lsgan', net(outputs[f'real_{domain}']), 'real')
                + gan_loss('lsgan', net(fake), 'fake'))
        return losses

    def step(self, inputs: dict[str, Tensor], generators,
             discriminators) -> dict[str, Tensor]:
        """Train on one preprocessed batch.

        Args:
            inputs (dict[str, Tensor]): ``img_<domain>`` (N, 3, H, W).
            generators (OptimWrapper): Optimizer of both generators.
            discriminators (OptimWrapper): Optimizer of both others.
        """
        set_requires_grad(self.discriminators, False)
        with generators.optim_context(self):
            outputs = self.forward_both(inputs)
            log = self.generator_loss(outputs)
        update(generators, sum(log.values()))
        set_requires_grad(self.discriminators, True)
        with discriminators.optim_context(self):
            log_d = self.discriminator_loss(outputs)
        update(discriminators, sum(log_d.values()))
        return {k: v.detach() for k, v in {**log, **log_d}.items()}

    def train_step(self, data: dict, optim_wrapper) -> dict[str, Tensor]:
        """Train alone, as an ordinary mmagic model."""
        inputs = self.data_preprocessor(data, True)['inputs']
        return self.step(inputs, optim_wrapper['generators'],
                         optim_wrapper['discriminators'])

    def training_state(self) -> dict:
        """Return the image buffers."""
        return {
            domain: torch.cat(buffer.image_buffer).cpu()
            for domain, buffer in self.image_buffers.items()
            if buffer.buffer_size and buffer.image_buffer
        }

    def load_training_state(self, state: dict):
        """Refill the image buffers."""
        device = next(self.parameters()).device
        for domain, images in state.items():
            buffer = self.image_buffers[domain]
            buffer.image_buffer = list(images.to(device).split(1))
            buffer.img_num = len(images)
