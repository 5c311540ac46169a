"""Networks that hold all their narrower versions, and weights for them."""

from collections.abc import Sequence

import torch
import torch.nn as nn
from mmengine.model import BaseModule
from torch import Tensor

from ..core.channels import channel_map
from ..core.search_space import Configuration, ConfigurationSpace, read_configuration
from ..core.sliced_forward import Kept, cut, run_narrow
from ..registry import MODELS
from .channel_selection import filters_for, kept_channels, strongest, writers_of
from .slim import slim_network


@MODELS.register_module()
class SuperNet(BaseModule):
    """A generator that can run as any of its sub-networks.

    A sub-network is the leading channels of each layer (GAN Compression,
    arXiv 2003.08936). The layers are those of the ordinary generator: its
    names, its state dict, its forward; a narrower pass takes slices of their
    weights. Norms take the leading scales and statistics; those of the
    other channels stay as they are.

    Args:
        arch (dict): Config of mmagic's ``ResnetGenerator`` or
            ``UnetGenerator``, or of ``SeparableResnetGenerator``, at full
            width.
        space (str | Sequence[Sequence[int]]): Name of a space, or the
            candidates of each part (``core/search_space.py``,
            ``models/channel_selection.py``).
        init_cfg (dict | None): In place of that of ``arch``.

    Raises:
        ValueError: If the space does not fit the network.
        TypeError: If the network cannot be a super-net.

    Example:
        >>> net = SuperNet(dict(type='SeparableResnetGenerator',
        ...                     base_channels=8), [[8, 4]] * 8)
        >>> net.set_channels('4_4_8_4_4_4_8_4')
    """

    def __init__(self, arch: dict, space: str | Sequence, init_cfg: dict | None = None):
        super().__init__()
        self.arch, self.space = arch, ConfigurationSpace.of(space)
        # shares its layers with this module: no child, or all would be double
        self.__dict__['network'] = slim_network(arch, init_cfg=init_cfg)
        for name, layer in self.network.named_children():
            self.add_module(name, layer)
        self.configuration: Configuration | None = None
        self._kept: Kept | None = None
        filters_for(self.network, self.space.largest)  # refuses what is odd

    def init_weights(self):
        """Initialise as the ordinary generator does."""
        self.network.init_weights()

    def kept(self, configuration: str | Sequence[int]) -> Kept:
        """Return the channels that each layer has in a configuration.

        Args:
            configuration (str | Sequence[int]): Within the full width; it
                need not be in the space.

        Raises:
            ValueError: If the network has no such sub-network.
        """
        filters = filters_for(self.network, read_configuration(configuration))
        return kept_channels(self.network, filters)

    def set_channels(self, configuration: str | Sequence[int] | None):
        """Run as this sub-network from now on; None: at full width.

        Raises:
            ValueError: If the network has no such sub-network.
        """
        if configuration is None:
            self.configuration = self._kept = None
            return
        self._kept = self.kept(configuration)
        self.configuration = read_configuration(configuration)

    def forward(self, x: Tensor) -> Tensor:
        """Translate images as the sub-network that is set.

        Args:
            x (Tensor): (N, in_channels, H, W) in [-1, 1].

        Returns:
            Tensor: (N, out_channels, H, W) in [-1, 1].
        """
        if self._kept is None:
            return self.network(x)
        return run_narrow(self.network, self._kept, x)


@torch.no_grad()
def transfer_weights(wide: nn.Module, narrow: nn.Module):
    """Give a network the strongest channels of a wider one.

    Layer by layer the filters with the largest L1 norm are kept, strongest
    first (GAN Compression: transfer_weight.py). At equal width the function
    stays what it was, its channels in another order.

    Args:
        wide (nn.Module): Trained generator, of a kind that can be a
            super-net; it is left as it is.
        narrow (nn.Module): Of the same layers, or a ``SuperNet`` of them;
            its weights are replaced.

    Raises:
        TypeError: If it is no such generator.
        ValueError: If their layers differ, or ``narrow`` is wider.
    """
    target = getattr(narrow, 'network', narrow)
    have, want = writers_of(wide), writers_of(target)
    if have.keys() != want.keys() or channel_map(wide).keys() != channel_map(target).keys():
        raise ValueError(
            f'{type(target).__name__} cannot start from a '
            f'{type(wide).__name__}: their layers have other names. Give both '
            'the same architecture, of any widths'
        )
    wider = [name for name in want if want[name] > have[name]]
    if wider:
        raise ValueError(
            f'{wider[0]!r} has {want[wider[0]]} filters, {have[wider[0]]} in '
            'the network that it is to start from: it can only be narrower'
        )
    for name, sides in kept_channels(wide, list(want.values()), strongest).items():
        layer = target.get_submodule(name)
        for key, tensor in cut(wide.get_submodule(name), sides).items():
            getattr(layer, key).copy_(tensor)
