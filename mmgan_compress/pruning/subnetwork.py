"""Sub-networks of a super-net as networks of their own."""

from collections.abc import Sequence

import torch.nn as nn

from ..core.channels import slice_channels
from ..core.search_space import name_of, read_configuration
from ..models.slim import slim_config
from ..models.supernet import SuperNet
from ..registry import PRUNERS
from .base import Compressed


def subnet(supernet: SuperNet, configuration: str | Sequence[int]) -> tuple[nn.Module, dict]:
    """Cut a sub-network out of a super-net.

    It gives what the super-net gives in this configuration, bit by bit.
    Statistics of batch norms are those that the super-net has now: call
    :func:`~mmgan_compress.core.channels.recalibrate` with the result.

    Args:
        supernet (SuperNet): It is left as it is.
        configuration (str | Sequence[int]): ``'16_16_32_...'`` or numbers.

    Returns:
        tuple[nn.Module, dict]: Network, and the config that builds it.

    Raises:
        ValueError: If the super-net has no such sub-network.
    """
    network = slice_channels(supernet.network, supernet.kept(configuration))
    return network, slim_config(network, supernet.arch)


@PRUNERS.register_module()
class SubNet:
    """Take one sub-network of a super-net, for ``mmgan-compress prune``.

    Args:
        configuration (str | Sequence[int]): ``'16-16-32'`` or numbers.
    """

    takes_budget = 'none'

    def __init__(self, configuration: str | Sequence[int]):
        self.configuration = read_configuration(configuration)

    def compress(self, generator: nn.Module, config: dict) -> Compressed:
        """Cut the sub-network out, with its weights.

        Args:
            generator (nn.Module): A ``SuperNet``; it is left as it is.
            config (dict): Config that builds it.

        Returns:
            Compressed: ``summary`` holds ``configuration``.

        Raises:
            TypeError: If it is no super-net.
            ValueError: If it has no such sub-network.
        """
        if not isinstance(generator, SuperNet):
            raise TypeError(
                f'{type(generator).__name__} is no SuperNet: '
                'expected the student of a super-net training'
            )
        return Compressed(
            *subnet(generator, self.configuration), dict(configuration=name_of(self.configuration))
        )
