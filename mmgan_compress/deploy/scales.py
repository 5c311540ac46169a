"""Quantization with scales that a student brings along.

The format is described in ``models/quantization.py``: what was trained or
calibrated is what the file computes, up to the order of float sums.
"""
import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np
import torch.nn as nn

from ..compat import require
from ..core.layers import find_layer
from ..core.processors import TOPS, VNNI
from .graph import prepare
from .pixel_shuffle import PHASES

LAYERS = ('Conv', 'ConvTranspose')
_TINY = np.finfo(np.float32).tiny


def student_scales(net: nn.Module, size: int) -> Optional[dict[str, dict]]:
    """Return the scales of a student, for its exported weights.

    Args:
        net (nn.Module): Of :func:`load_student`.
        size (int): Side of images that it takes.

    Returns:
        dict[str, dict] | None: Scales by layer; None if it has none.
    """
    own = net.meta.get('quantization', {}).get(net.meta['domain'])
    return None if own is None else to_exported(
        own['layers'], net, prepare(net, size))


def to_exported(scales: Mapping[str, dict], net: nn.Module,
                exported: nn.Module, back: bool = False) -> dict[str, dict]:
    """Carry scales of weights over to those with batch norms folded in.

    Args:
        scales (Mapping[str, dict]): By layer.
        net (nn.Module): Network whose weights they are for.
        exported (nn.Module): What ``deploy.graph.prepare`` made of it.
        back (bool): The other way round.

    Returns:
        dict[str, dict]: By layer, with a scale for each filter.

    Raises:
        KeyError: If there is no such layer; names the nearest ones.
    """
    moved = {}
    for name, entry in scales.items():
        layer = find_layer(net, name)
        factor = _factors(layer, find_layer(exported, name))
        weight = np.array(entry['weight']) * (1 / factor if back else factor)
        moved[name] = dict(entry, weight=weight.tolist())
    return moved


def _factors(layer: nn.Module, folded: nn.Module) -> np.ndarray:
    """Return by how much each filter was scaled."""
    before, after = (
        one.weight.detach().double().transpose(0, int(layer.transposed))
        .flatten(1).numpy() for one in (layer, folded))
    if np.array_equal(before, after):
        return np.ones(len(before))
    norm = (before**2).sum(1)
    factors = np.abs((before * after).sum(1)) / np.maximum(norm, _TINY)
    return np.where(factors > 0, factors, 1.)  # of a filter that is all zero


def layer_names(model: Any) -> dict[str, str]:
    """Return the layer that each convolution of an ONNX model comes from.

    Args:
        model (ModelProto): Written by ``deploy.onnx.write_onnx``.

    Returns:
        dict[str, str]: Name of the layer in torch, by name of the node.
    """
    return {node.name: node.input[1].removeprefix('net.')
            .removesuffix('.weight')
            for node in model.graph.node if node.op_type in LAYERS}


def unknown_layers(names: Sequence[str], known: Sequence[str]) -> str:
    """Say which names are nearest to the first unknown one."""
    near = difflib.get_close_matches(names[0], known, cutoff=0.)
    return (f'no layer {names[0]!r} to quantize; nearest: '
            f'{", ".join(map(repr, near))}')


def insert_scales(model: Any, scales: Mapping[str, dict]) -> None:
    """Let convolutions of an ONNX model compute in 8 bits, in place.

    Args:
        model (ModelProto): In single precision.
        scales (Mapping[str, dict]): By layer; weights with batch norms
            folded in (:func:`to_exported`).

    Raises:
        ValueError: If a layer is not there or has another number of filters.
    """
    require('onnx', 'Quantization')
    names = layer_names(model)
    unknown = sorted(set(scales) - set(names.values()))
    if unknown:
        raise ValueError(unknown_layers(unknown, list(names.values())))
    graph, writer = model.graph, _Writer(model)
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        entry = scales.get(names.get(node.name))
        if entry is None:
            graph.node.append(node)
        else:
            writer.convolution(node, entry)
    used = {name for node in graph.node for name in node.input}
    for tensor in [t for t in graph.initializer if t.name not in used]:
        graph.initializer.remove(tensor)


class _Writer:
    """Writes convolutions with what quantizes them around them."""

    def __init__(self, model: Any):
        import onnx
        self.onnx, self.graph = onnx, model.graph
        self.floats = {t.name: t for t in model.graph.initializer}
        self.shuffled = {node.input[0] for node in model.graph.node
                         if node.op_type == 'DepthToSpace'}

    def convolution(self, node: Any, entry: dict) -> None:
        """Write a node: Q-DQ in front of it, integers, Q-DQ behind it."""
        name, data = node.name, node.input[0]
        weight = self.onnx.numpy_helper.to_array(self.floats[node.input[1]])
        axis = int(node.op_type == 'ConvTranspose')
        step = np.array(entry['weight'], np.float32)
        if node.output[0] in self.shuffled and \
                step.size * PHASES == weight.shape[axis]:
            step = step.repeat(PHASES)  # a filter became four
        if step.size not in (1, weight.shape[axis]):
            raise ValueError(
                f'{step.size} scales for the weight of {name}, which has '
                f'{weight.shape[axis]} filters')
        step = np.broadcast_to(step, weight.shape[axis]).copy()
        shape = [1] * weight.ndim
        shape[axis] = -1
        top = entry.get('weight_top', TOPS[VNNI])
        whole = np.clip(np.rint(weight / step.reshape(shape)), -top, top)
        node.input[1] = self._constant(f'{name}_weight', whole, np.int8, step,
                                       axis)
        if 'input' in entry:
            node.input[0] = self._pair(f'{name}_input', data, entry['input'])
            # ONNX Runtime adds integers to integers, where it does compute
            # in them: if the result is quantized, too
            if len(node.input) > 2 and 'output' in entry:
                bias = self.onnx.numpy_helper.to_array(
                    self.floats[node.input[2]])
                step = step * np.float32(entry['input'][0])
                node.input[2] = self._constant(
                    f'{name}_bias', np.rint(bias / step), np.int32, step, 0)
        result = node.output[0]
        if 'output' in entry:
            node.output[0] = f'{name}_float'
        self.graph.node.append(node)
        if 'output' in entry:
            self._pair(f'{name}_output', node.output[0], entry['output'],
                       result)

    def _tensor(self, name: str, values: np.ndarray) -> str:
        self.graph.initializer.append(
            self.onnx.numpy_helper.from_array(values, name))
        return name

    def _node(self, kind: str, name: str, inputs: list[str], output: str,
              **attributes: int) -> str:
        self.graph.node.append(self.onnx.helper.make_node(
            kind, inputs, [output], f'{name}_{kind}', **attributes))
        return output

    def _constant(self, name: str, whole: np.ndarray, kind: type,
                  step: np.ndarray, axis: int) -> str:
        """Write integers that are dequantized; return the result's name."""
        inputs = [self._tensor(f'{name}_whole', whole.astype(kind)),
                  self._tensor(f'{name}_scale', step),
                  self._tensor(f'{name}_zero', np.zeros(step.shape, kind))]
        return self._node('DequantizeLinear', name, inputs, f'{name}_real',
                          axis=axis)

    def _pair(self, name: str, data: str, values: Sequence[float],
              output: Optional[str] = None) -> str:
        """Write a quantization and its inverse; return the result's name."""
        scale, zero = values
        grid = [self._tensor(f'{name}_scale', np.float32(scale).reshape(())),
                self._tensor(f'{name}_zero', np.uint8(zero).reshape(()))]
        whole = self._node('QuantizeLinear', name, [data, *grid],
                           f'{name}_whole')
        return self._node('DequantizeLinear', name, [whole, *grid],
                          output or f'{name}_real')
