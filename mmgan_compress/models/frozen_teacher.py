"""A teacher that is generators with weights of their own."""

import torch.nn as nn

from ..registry import MODELS
from .slim import is_pretrained


def brings_weights(network: nn.Module) -> bool:
    """Tell whether a network loads its weights when it is initialised."""
    return is_pretrained(getattr(network, 'init_cfg', None))


@MODELS.register_module()
class FrozenTeacher(nn.Module):
    """Finished generators where a distiller asks for a CycleGAN.

    It has layers to look into and no discriminators. The distiller must be
    ``offline``.

    Args:
        generators (dict[str, dict]): Configs by the domain that is
            generated, with the weights in ``init_cfg=dict(
            type='Pretrained', checkpoint='student.pth',
            prefix='generators.zebra')``.

    Raises:
        ValueError: If a generator has no weights to load.
    """

    def __init__(self, generators: dict[str, dict]):
        super().__init__()
        self.generators = nn.ModuleDict(
            {domain: MODELS.build(cfg) for domain, cfg in generators.items()}
        )
        self.discriminators = dict.fromkeys(generators)
        for domain, network in self.generators.items():
            if not brings_weights(network):
                raise ValueError(
                    f'the teacher for {domain!r} has no weights: give it '
                    "init_cfg=dict(type='Pretrained', checkpoint=..., "
                    f"prefix='generators.{domain}')"
                )

    def init_weights(self):
        """Load the weights."""
        for network in self.generators.values():
            network.init_weights()

    def buffer_state(self) -> dict:
        """Return nothing: there is no discriminator to show images to."""
        return {}

    def load_buffer_state(self, state: dict):
        """Take nothing back."""
