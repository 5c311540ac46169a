"""Translation of large pictures in tiles, which bounds the memory."""

import copy
import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

NEGLIGIBLE = 1e-4  # in [-1, 1]: about a hundredth of a grey level
Network = Callable[[Tensor], Tensor]


class Tiles:
    """A generator that takes pictures above a side in tiles.

    Tiles overlap by as far as the network looks, which is measured on each
    picture. Instance norms look at the whole picture: of a network of torch
    they keep the statistics of the picture made as small as a tile, so that
    all tiles have the same ones.

    Args:
        run (Callable): Maps (N, C, H, W) in [-1, 1] to the same, or to a
            multiple of its height and width.
        side (int): Largest side that goes through at once.
        multiple (int): Size multiple of the network.
        net (nn.Module | None): The network, where ``run`` is one of torch.
    """

    def __init__(self, run: Network, side: int, multiple: int, net: nn.Module | None = None):
        self.run, self.net, self.multiple = run, net, multiple
        self.side = side // multiple * multiple

    def __call__(self, x: Tensor) -> Tensor:
        """Translate pictures.

        Args:
            x (Tensor): (N, C, H, W) in [-1, 1], sides in size multiples.

        Raises:
            ValueError: If the network looks too far for tiles of this side.
        """
        if max(x.shape[-2:]) <= self.side:
            return self.run(x)
        return torch.cat([self._in_tiles(one) for one in x.split(1)])

    def _in_tiles(self, x: Tensor) -> Tensor:
        small = F.interpolate(x, self._fitting(x), mode='bicubic', antialias=True).clamp(-1, 1)
        run = self.run if self.net is None else _with_statistics(self.net, small)
        margin = self._margin(run, small)
        rows, columns = (_spans(side, self.side, margin) for side in x.shape[-2:])
        whole = None
        for row, column in itertools.product(rows, columns):
            y = run(x[..., row.begin : row.end, column.begin : column.end])
            scale = y.shape[-1] // (column.end - column.begin)
            if whole is None:
                whole = y.new_empty(1, y.shape[1], *(scale * side for side in x.shape[-2:]))
            whole[..., row.of_whole(scale), column.of_whole(scale)] = y[
                ..., row.of_tile(scale), column.of_tile(scale)
            ]
        return whole

    def _fitting(self, x: Tensor) -> list[int]:
        """Return the sides of a picture that is as large as a tile."""
        scale, unit = self.side / max(x.shape[-2:]), self.multiple
        return [max(unit, round(side * scale / unit) * unit) for side in x.shape[-2:]]

    def _margin(self, run: Network, small: Tensor) -> int:
        """Return how far a pixel changes its surroundings, in size multiples."""
        x = F.interpolate(small, (self.side, self.side), mode='bilinear')
        half, reach = self.side // 2, 0
        for dim in (2, 3):
            mixed = x.clone()
            mixed.narrow(dim, half, self.side - half).neg_()
            before, after = run(x), run(mixed)
            others = tuple({0, 1, 2, 3} - {dim})
            changed = (before - after).abs().amax(others) > NEGLIGIBLE
            scale = len(changed) / self.side
            first = int(changed.float().argmax()) / scale if changed.any() else half
            reach = max(reach, half - first)
        margin = -(-int(reach + 1) // self.multiple) * self.multiple
        if 2 * margin >= self.side or margin >= half:
            raise ValueError(
                f'tiles of {self.side} px are too small for this model, a part of which looks '
                f'{margin} px far or at the whole picture (instance norms of an exported model '
                'do; those of a student file keep the statistics of the whole picture): '
                'give larger tiles, the student file, or no --tile'
            )
        return margin


class _Span(NamedTuple):
    """A part of an edge: begin and end with the margin, and what is kept."""

    begin: int
    end: int
    first: int
    last: int

    def of_whole(self, scale: int) -> slice:
        return slice(scale * self.first, scale * self.last)

    def of_tile(self, scale: int) -> slice:
        return slice(scale * (self.first - self.begin), scale * (self.last - self.begin))


def _spans(length: int, side: int, margin: int) -> list[_Span]:
    step = side - 2 * margin
    return [
        _Span(max(0, at - margin), min(length, at + step + margin), at, min(length, at + step))
        for at in range(0, length, step)
    ]


@torch.no_grad()
def _with_statistics(net: nn.Module, x: Tensor) -> Network:
    """Return the network whose instance norms keep the statistics of a picture."""
    twin = copy.deepcopy(net)

    def keep(norm: nn.Module, inputs: tuple[Tensor]):
        (values,) = inputs
        norm.running_mean = values.mean((0, 2, 3))
        norm.running_var = values.var((0, 2, 3), correction=0)

    norms = [
        layer
        for layer in twin.modules()
        if isinstance(layer, nn.InstanceNorm2d) and not layer.track_running_stats
    ]
    hooks = [norm.register_forward_pre_hook(keep) for norm in norms]
    device = next(twin.parameters()).device
    twin(x.to(device))
    for hook in hooks:
        hook.remove()
    for norm in norms:
        norm.track_running_stats = True  # in eval mode it uses what was kept
    return torch.inference_mode()(lambda tile: twin(tile.to(device)).cpu())
