"""CycleGAN with the papers' own step: as a teacher, and of a student."""

import torch
import torch.nn.functional as F
from mmagic.models.editors import CycleGAN
from torch import Tensor

from ..core.feature_extraction import forward_together
from ..core.training import frozen, update
from ..losses.gan import gan_loss
from ..registry import MODELS


class CycleGANStep:
    """The losses of a CycleGAN, for whoever holds its networks.

    Differences from mmagic's: no forward that no loss uses (identity images
    only where their weight is not zero), and discriminators that follow the
    generators, on a history of fakes (OMGD/models/CycleGAN.py:
    optimize_parameters).

    A subclass has ``generators`` and ``discriminators`` by domain,
    ``image_buffers`` by domain, ``loss_config`` and ``source_of(domain)``.
    """

    def forward_both(self, inputs: dict[str, Tensor], layers: dict[str, list[str]]) -> dict:
        """Translate and reconstruct both domains; where identity images
        have a loss, translate those as well.

        Args:
            inputs (dict[str, Tensor]): ``img_<domain>`` (N, C, H, W).
            layers (dict[str, list[str]]): By domain, those whose features of
                the pass from real to fake become ``features_<domain>``.
        """
        outputs = {}
        for domain, generator in self.generators.items():
            source = self.source_of(domain)
            real, images = inputs[f'img_{source}'], [inputs[f'img_{source}']]
            if self.loss_config['id_loss_weight']:
                images.append(inputs[f'img_{domain}'])
            (fake, features), *same = forward_together(generator, images, layers.get(domain, []))
            outputs.update({f'same_{domain}': image for image, _ in same})
            outputs[f'real_{source}'] = real
            outputs[f'fake_{domain}'] = fake
            outputs[f'features_{domain}'] = features
            outputs[f'cycle_{source}'] = self.generators[source](fake)
        return outputs

    def generator_loss(self, outputs: dict) -> dict[str, Tensor]:
        """Return the losses of both generators."""
        cycle = self.loss_config['cycle_loss_weight']
        identity = self.loss_config['id_loss_weight']
        losses = {}
        for domain in self.generators:
            real = outputs[f'real_{domain}'].float()
            net = self.discriminators[domain]
            with frozen(net):
                pred = net(outputs[f'fake_{domain}'])
            losses[f'loss_gan_{domain}'] = gan_loss('lsgan', pred, 'g')
            losses[f'loss_cycle_{domain}'] = cycle * F.l1_loss(
                outputs[f'cycle_{domain}'].float(), real
            )
            if identity:
                losses[f'loss_identity_{domain}'] = identity * F.l1_loss(
                    outputs[f'same_{domain}'].float(), real
                )
        return losses

    def discriminator_loss(self, outputs: dict, layers: dict[str, list[str]]) -> dict[str, Tensor]:
        """Return 1/2 (real + fake) of each discriminator, fakes pooled.

        ``outputs`` gets ``discriminated_<domain>``: logits and, of the
        layers by domain, features of the pooled fakes.
        """
        losses = {}
        for domain in self.generators:
            net = self.discriminators[domain]
            fake = self.image_buffers[domain].query(outputs[f'fake_{domain}'].detach())
            (real, _), discriminated = forward_together(
                net, [outputs[f'real_{domain}'], fake], layers.get(domain, [])
            )
            losses[f'loss_disc_{domain}'] = 0.5 * (
                gan_loss('lsgan', real, 'real') + gan_loss('lsgan', discriminated[0], 'fake')
            )
            outputs[f'discriminated_{domain}'] = discriminated
        return losses

    def buffer_state(self) -> dict:
        """Return the image buffers."""
        return {
            domain: torch.cat(buffer.image_buffer).cpu()
            for domain, buffer in self.image_buffers.items()
            if buffer.buffer_size and buffer.image_buffer
        }

    def load_buffer_state(self, state: dict):
        """Refill the image buffers."""
        device = next(self.parameters()).device
        for domain, images in state.items():
            buffer = self.image_buffers[domain]
            buffer.image_buffer = list(images.to(device).split(1))
            buffer.img_num = len(images)


@MODELS.register_module()
class CycleGANTeacher(CycleGANStep, CycleGAN):
    """mmagic's CycleGAN that steps G before D. It trains alone as well.

    Args:
        loss_config (dict): ``cycle_loss_weight`` (10) and
            ``id_loss_weight``, the bare factor of the identity L1: the
            papers' lambda_identity 0.5 times lambda 10 is 5.
    """

    def source_of(self, domain: str) -> str:
        """Return the domain that ``domain`` is generated from."""
        return self.get_other_domains(domain)[0]

    def init_weights(self):
        """Initialise all networks, without mmagic's line per parameter."""
        for group in (self.generators, self.discriminators):
            for network in group.values():
                network.init_weights()

    def step(
        self,
        inputs: dict[str, Tensor],
        generators,
        discriminators,
        layers: dict | None = None,
        discriminator_layers: dict | None = None,
    ) -> tuple[dict, dict]:
        """Train on one preprocessed batch.

        Args:
            inputs (dict[str, Tensor]): ``img_<domain>`` (N, C, H, W).
            generators (OptimWrapper): Optimizer of both generators.
            discriminators (OptimWrapper): Optimizer of both others.
            layers (dict | None): Of the generators, whose features are
                returned, by domain.
            discriminator_layers (dict | None): Of the discriminators.

        Returns:
            tuple[dict, dict]: What to log, and images and features, all of
            them from before the update of their network.
        """
        with generators.optim_context(self):
            outputs = self.forward_both(inputs, layers or {})
            log = self.generator_loss(outputs)
        update(generators, sum(log.values()))
        with discriminators.optim_context(self):
            log_d = self.discriminator_loss(outputs, discriminator_layers or {})
        update(discriminators, sum(log_d.values()))
        return {k: v.detach() for k, v in {**log, **log_d}.items()}, outputs

    def train_step(self, data: dict, optim_wrapper) -> dict[str, Tensor]:
        """Train alone, as an ordinary mmagic model."""
        inputs = self.data_preprocessor(data, True)['inputs']
        return self.step(inputs, optim_wrapper['generators'], optim_wrapper['discriminators'])[0]
