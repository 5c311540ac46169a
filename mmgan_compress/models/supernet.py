"""Networks that hold all their narrower versions: weights for them, and costs."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn as nn
from mmengine.model import BaseModule
from torch import Tensor

from ..core.channels import Kept, channel_map, cut, input_shape, run_narrow
from ..core.complexity import count_macs
from ..core.inputs import input_of
from ..core.search_space import Configuration, ConfigurationSpace, read_configuration
from ..registry import MODELS
from .slim import slim_network
from .topology import filters_for, kept_channels, strongest, writers_of


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
            ``UnetGenerator``, of ``SeparableResnetGenerator``,
            ``SPADEGenerator`` or ``MUNITGenerator``, at full width.
        space (str | Sequence[Sequence[int]]): Name of a space, or the
            candidates of each part (``core/search_space.py``,
            ``models/topology.py``).
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
        self.init_cfg = getattr(self.network, 'init_cfg', None)  # a teacher tells its weights by it
        for name, layer in self.network.named_children():
            self.add_module(name, layer)
        self.configuration: Configuration | None = None
        self._kept: Kept | None = None
        filters_for(self.network, self.space.largest)  # refuses what is odd

    @property
    def takes(self):
        """What the generator takes (``core/inputs.py``)."""
        return input_of(self.network)

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
            x (Tensor): (N, C, H, W) in [-1, 1].

        Returns:
            Tensor: (N, out_channels, H, W) in [-1, 1].
        """
        if self._kept is None:
            return self.network(x)
        return run_narrow(self.network, self._kept, x)


def part_of(network: nn.Module, name: str) -> Callable[[Tensor], Tensor]:
    """Return a part of a generator, such as its style encoder.

    Args:
        network (nn.Module): Of a ``SuperNet`` the part runs as that of the
            sub-network that is set.
        name (str): As in ``named_modules``.
    """
    part, kept = network.get_submodule(name), getattr(network, '_kept', None)
    if kept is None:
        return part
    start = f'{name}.'
    own = {key.removeprefix(start): kept[key] for key in kept if key.startswith(start)}
    return functools.partial(run_narrow, part, own)


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


class SubnetCosts:
    """Parameters and MACs of the sub-networks of a super-net.

    A layer's cost is a rate times its inputs times its outputs (a depthwise
    convolution's or a norm's: times its channels), and both are linear in
    the configuration. Rates and the linear maps are measured once; the
    figures equal those of ``count_params`` and ``count_macs``.

    Args:
        supernet (SuperNet): On any device.
        size (int): Side of the image in pixels that MACs are counted at.

    Raises:
        ValueError: If the network does not run at this size.
    """

    def __init__(self, supernet: SuperNet, size: int = 256):
        self.parts, self.size = len(supernet.space.candidates), size
        self.predictor: Any = None  # of time, see ``search/predictor.py``
        net, self._names = supernet.network, []
        channels = channel_map(net)
        try:
            rows = count_macs(net, input_shape(net, size)).layers
        except RuntimeError as error:
            raise ValueError(
                f'{type(net).__name__} does not run at {size} pixels: name another size'
            ) from error
        rates = []
        for row in rows:
            layer, counts = net.get_submodule(row.name), channels[row.name]
            single = len(counts) == 1 or getattr(layer, 'groups', 1) > 1
            area = counts[-1] if single else counts[0] * counts[1]
            bias = layer.bias is not None
            rates.append(
                [
                    single,
                    row.macs // area,
                    row.macs_paper // area,
                    (row.params - bias * counts[-1]) // area,
                    bias,
                ]
            )
            self._names.append(row.name)
        self._rates = np.array(rates, np.int64).T
        self._maps = self._linear(supernet)

    def _linear(self, supernet: SuperNet) -> np.ndarray:
        """Return (1 + parts, 2, layers): inputs and outputs of each layer
        as a constant and a factor for each part.
        """

        def counts(configuration: Sequence[int]) -> np.ndarray:
            kept = supernet.kept(configuration)
            return np.array(
                [[len(kept[name][0]), len(kept[name][-1])] for name in self._names], np.int64
            ).T

        ones = [1] * self.parts
        base = counts(ones)
        factors = [counts([*ones[:i], 2, *ones[i + 1 :]]) - base for i in range(self.parts)]
        return np.stack([base - sum(factors), *factors])

    def of(self, configurations: Sequence[Sequence[int]]) -> dict[str, np.ndarray]:
        """Return the costs of many configurations.

        Args:
            configurations (Sequence[Sequence[int]]): (N, parts); need not
                be in the space.

        Returns:
            dict[str, ndarray]: ``'macs'``, ``'macs_paper'`` (see
            ``core/complexity.py``) and ``'params'``, each (N, ) whole
            numbers; with a predictor also ``'latency@<runtime>'`` in
            milliseconds.

        Raises:
            ValueError: If a configuration has another number of parts.
        """
        rows = np.asarray(configurations, np.int64)
        inputs, outputs = (self._maps[0, side] + rows @ self._maps[1:, side] for side in (0, 1))
        single, macs, macs_paper, params, bias = self._rates
        area = np.where(single, outputs, inputs * outputs)
        costs = dict(
            macs=area @ macs, macs_paper=area @ macs_paper, params=area @ params + outputs @ bias
        )
        if self.predictor is not None:
            costs[self.predictor.kind] = self.predictor(configurations, costs['macs'])
        return costs
