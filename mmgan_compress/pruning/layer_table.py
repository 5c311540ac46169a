"""Two generators side by side, layer by layer."""

import copy
import time
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
import torch.nn as nn

from ..core.channels import channel_map, input_shape
from ..core.complexity import count_macs, count_params
from ..core.tables import markdown
from ..core.timing import Timing, side_by_side, torch_threads

HEAD = ('channels', 'params (k)', 'MACs (M)', "MACs, papers' (M)", 'ms')
REST = 'layers without parameters'
WARMUP, ROUNDS = 1, 9


@dataclass
class Times:
    """Milliseconds of one image in eager torch, medians of turns of both
    networks.

    Args:
        layers (list[dict[str, float]]): By layer that has parameters, of the
            wide and the smaller network.
        totals (list[float]): Of the whole networks.
        rounds (int): How many turns were taken.
        threads (int): That torch used.
    """

    layers: list[dict[str, float]]
    totals: list[float]
    rounds: int
    threads: int

    def note(self) -> str:
        """Say how they were measured."""
        return (
            f'ms: medians of {self.rounds} passes of one image, both networks in turns, '
            f'eager torch {torch.__version__}, {self.threads} CPU threads'
        )


@torch.inference_mode()
def measure(before: nn.Module, after: nn.Module, size: int, threads: int | None = None) -> Times:
    """Time two networks in turns, by layer and as a whole, on the CPU.

    Args:
        before (nn.Module): The wide network.
        after (nn.Module): What was made of it.
        size (int): Side of the image.
        threads (int | None): Of the processor; as torch is set if None.
    """
    networks = [copy.deepcopy(net).cpu().eval() for net in (before, after)]
    taken: list[dict[str, list]] = [{} for _ in networks]
    for net, record in zip(networks, taken):
        for name, layer in net.named_modules():
            if any(True for _ in layer.parameters(recurse=False)):
                _time(layer, record.setdefault(name, []))
    image = torch.zeros(input_shape(before, size))
    runs = {str(at): lambda net=net: net(image) for at, net in enumerate(networks)}
    with torch_threads(threads):
        totals = side_by_side(runs, WARMUP, ROUNDS)
        threads = torch.get_num_threads()
    layers = [
        {name: 1e3 * Timing.of(record[WARMUP:]).median for name, record in side.items() if record}
        for side in taken
    ]
    return Times(layers, [1e3 * total.median for total in totals.values()], ROUNDS, threads)


def _time(layer: nn.Module, record: list):
    """Let a layer append the seconds of each of its calls."""
    begin = []
    layer.register_forward_pre_hook(lambda *_: begin.append(time.perf_counter()))
    layer.register_forward_hook(lambda *_: record.append(time.perf_counter() - begin.pop()))


def comparison(before: nn.Module, after: nn.Module, size: int, times: Times) -> str:
    """Set two generators side by side, layer by layer.

    Args:
        before (nn.Module): The wide network.
        after (nn.Module): What was made of it. Layers of one name share a
            row: in a U-Net that lost a level these are of another depth.
        size (int): Side of the image that MACs are counted at.
        times (Times): What :func:`measure` returned.

    Returns:
        str: Markdown table, totals first, and how it was measured; ``-``
        where there is no layer.
    """
    sides = [
        _rows(net, size, layers, total)
        for net, layers, total in zip((before, after), times.layers, times.totals)
    ]
    header = ['layer', *(cell for name in HEAD for cell in (name, 'after'))]
    missing = ['-'] * len(HEAD)
    rows = [
        [name, *chain(*zip(*(side.get(name, missing) for side in sides)))]
        for name in dict.fromkeys([*sides[0], *sides[1]])
    ]
    return f'{markdown(header, rows, len(header))}\n\n{times.note()}\n'


def _rows(
    network: nn.Module, size: int, times: dict[str, float], total: float
) -> dict[str, list[str]]:
    """Return the cells of a network's layers by name."""
    channels = channel_map(network)
    macs = count_macs(network, input_shape(network, size))

    def cells(name: str, params: int, figures: Any, ms: float | None) -> list[str]:
        counts = ', '.join(map(str, channels.get(name, [])))
        return [
            counts,
            f'{params / 1e3:.2f}',
            f'{figures.macs / 1e6:.3f}',
            f'{figures.macs_paper / 1e6:.3f}',
            '' if ms is None else f'{ms:.3f}',
        ]

    rows = {'total': cells('', count_params(network), macs, total)}
    for layer in macs.layers:
        rows[layer.name or layer.type] = cells(
            layer.name, layer.params, layer, times.get(layer.name)
        )
    rest = total - sum(times.values())
    rows[REST] = [*[''] * (len(HEAD) - 1), f'{max(rest, 0):.3f}']
    return rows
