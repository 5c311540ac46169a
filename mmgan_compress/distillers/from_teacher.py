"""A student of one direction that plays, and may begin as its teacher."""

from collections.abc import Sequence

import torch.nn as nn
from torch import Tensor

from ..core.base_layers import NormBase
from .base import BaseDistiller


class StudentFromTeacher(BaseDistiller):
    """What GAN Compression and GAN Slimming share.

    The teacher does not train (``offline``), and the student generates one
    domain.

    Args:
        start_from_teacher (bool): Let the student begin as its teacher, and
            its discriminator, where the teacher has one, as the teacher's.
        kwargs: Of the class that has the teacher.
    """

    adversarial = True
    needs_teacher = True

    def __init__(self, start_from_teacher: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.start_from_teacher = start_from_teacher

    def attach(self, model):
        if len(model.domains) != 1:
            raise ValueError(
                f'{self.method} trains one direction, got reachable_domains={model.domains}'
            )
        if not self.offline:
            raise ValueError(
                f'{self.method} learns from a teacher that does not train: set offline=True'
            )
        super().attach(model)
        wants = self.needs_teacher or self.start_from_teacher
        if wants and not self.latest_networks():
            raise ValueError(f'{self.method} needs a teacher, and the distiller has none')

    @property
    def domain(self) -> str:
        """The domain that the student generates."""
        (domain,) = self.model.domains
        return domain

    @property
    def student(self) -> nn.Module:
        """The generator that learns."""
        return self.model.generators[self.domain]

    def source(self, inputs: dict) -> Tensor:
        """Return the input images of a batch, (N, C, H, W) in [-1, 1]."""
        return self.model.input_of(self.domain, inputs)

    # --- the beginning ----------------------------------------------------
    @staticmethod
    def inherit(student: nn.Module, teacher: nn.Module):
        """Give the student its teacher's weights."""
        copy_weights(student, teacher)

    def _beginning(self) -> tuple[nn.Module, nn.Module | None]:
        """Return what student and discriminator begin as; None: anew."""
        name = next(iter(self.latest_networks()))
        discriminator = (
            None if self.discriminator_checkpoint else self.discriminator_of(name, self.domain)
        )
        return self.network(name, self.domain), discriminator

    def _trained_networks(self) -> Sequence[nn.Module]:
        needed = super()._trained_networks()
        return [*needed, *filter(None, self._beginning())] if self.start_from_teacher else needed

    def init_weights(self):
        super().init_weights()
        if self.start_from_teacher:
            teacher, discriminator = self._beginning()
            self.inherit(self.student, teacher)
            if discriminator is not None:
                copy_weights(self.student_discriminators[self.domain], discriminator)


def copy_weights(network: nn.Module, teacher: nn.Module):
    """Give a network its teacher's weights; affine norms may be new.

    Raises:
        ValueError: If their layers differ otherwise.
    """
    state, own = teacher.state_dict(), network.state_dict()
    new = {
        f'{name}.{key}'
        for name, layer in network.named_modules()
        if isinstance(layer, NormBase)
        for key in ('weight', 'bias')
    }
    wrong = [
        key
        for key in own.keys() | state.keys()
        if key not in new - state.keys()
        and (key not in own or key not in state or own[key].shape != state[key].shape)
    ]
    if wrong:
        raise ValueError(
            f'start_from_teacher: {type(network).__name__} is no copy of the '
            f"teacher's {type(teacher).__name__}, {len(wrong)} tensors "
            f'differ, such as {min(wrong)!r}: give both the same config, but '
            'for affine norms'
        )
    network.load_state_dict(state, strict=False)
