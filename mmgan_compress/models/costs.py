"""What every sub-network of a super-net costs, without running any."""

from collections.abc import Sequence

import numpy as np

from ..core.channels import channel_map
from ..core.complexity import count_macs
from .supernet import SuperNet


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
        self.parts = len(supernet.space.candidates)
        net, self._names = supernet.network, []
        channels = channel_map(net)
        image = next(iter(channels.values()))[0]
        try:
            rows = count_macs(net, (1, image, size, size)).layers
        except RuntimeError as error:
            raise ValueError(
                f'{type(net).__name__} does not run at {size} pixels: name another size'
            ) from error
        rates = []
        for row in rows:
            layer, counts = net.get_submodule(row.name), channels[row.name]
            single = len(counts) == 1 or layer.groups > 1
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
            numbers.

        Raises:
            ValueError: If a configuration has another number of parts.
        """
        rows = np.asarray(configurations, np.int64)
        if rows.ndim != 2 or rows.shape[1] != self.parts:
            raise ValueError(f'configurations of shape {rows.shape}: expected (N, {self.parts})')
        inputs, outputs = (self._maps[0, side] + rows @ self._maps[1:, side] for side in (0, 1))
        single, macs, macs_paper, params, bias = self._rates
        area = np.where(single, outputs, inputs * outputs)
        return dict(
            macs=area @ macs, macs_paper=area @ macs_paper, params=area @ params + outputs @ bias
        )
