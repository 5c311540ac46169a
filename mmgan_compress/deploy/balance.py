"""Balanced inputs of convolutions: channels with nearly equal ranges.

All channels of an input share one scale in 8 bits, since runtimes sum over
them in integers. Their ranges differ: an instance norm gives each channel the
same variance, so one that is flat but for a few pixels reaches 40 where
others reach 5, and these get an eighth of the 256 levels. A balanced input is
multiplied by a factor for each channel before it is rounded, and the weights
that read the channel are divided by it. The sums stay the same, at the cost
of one multiplication a value.

Weights then have more different sizes, and a filter has one scale, too. How
far the ranges are made equal is chosen for each layer by the sum of both
errors. Depthwise convolutions have a filter for each channel, and lose
nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..compat import require

# Factors are the ratios of ranges to one of these powers; 1 would make ranges
# equal. Less leaves room for values that the calibration images lack.
STRENGTHS = (0.0, 0.25, 0.5, 0.75)
LARGEST = 255.0  # factor: a channel that needs more had not one level
_SUFFIX = '.balance'


def balance_factors(
    model: Any,
    nodes: Sequence[str],
    calibration: Sequence[tuple[np.ndarray, ...]],
    top: int,
    per_channel: bool = True,
) -> dict[str, np.ndarray]:
    """Find factors for the channels of the inputs of convolutions.

    Args:
        model (ModelProto): In single precision.
        nodes (Sequence[str]): Names of nodes. Those whose weights are no
            constants of their own get no factors.
        calibration (Sequence[tuple[ndarray, ...]]): Inputs of the model.
        top (int): Largest integer of a weight.
        per_channel (bool): Whether weights have a scale for each filter.

    Returns:
        dict[str, ndarray]: (C,), float32, at least 1, by name of the node;
        none for nodes that lose least as they are.
    """
    onnx = require('onnx', 'Quantization')
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    readers = [value for node in model.graph.node for value in node.input]
    chosen = [
        node
        for node in model.graph.node
        if node.name in nodes
        and node.op_type in ('Conv', 'ConvTranspose')
        and node.input[1] in weights
        and readers.count(node.input[1]) == 1
    ]
    ranges = _ranges(model, sorted({node.input[0] for node in chosen}), calibration)
    found = {}
    for node in chosen:
        weight = onnx.numpy_helper.to_array(weights[node.input[1]])
        factors = _least_error(weight, *_form(node), *ranges[node.input[0]], top, per_channel)
        if (factors > 1).any():
            found[node.name] = factors
    return found


def _ranges(
    model: Any, values: Sequence[str], calibration: Sequence[tuple[np.ndarray, ...]]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the range of each channel with 0 in it, and its mean square."""
    onnx, runtime = (require(name, 'Quantization') for name in ('onnx', 'onnxruntime'))
    if not values:
        return {}
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.extend(
        onnx.helper.make_tensor_value_info(value, onnx.TensorProto.FLOAT, None) for value in values
    )
    session = runtime.InferenceSession(
        probe.SerializeToString(), providers=['CPUExecutionProvider']
    )
    names = [entry.name for entry in session.get_inputs()]
    seen: list[list[tuple]] = [[] for _ in values]
    for given in calibration:
        for rows, x in zip(seen, session.run(values, dict(zip(names, given)))):
            axes = (0, 2, 3)
            rows.append((x.min(axes), x.max(axes), np.square(x).mean(axes)))
    found = {}
    for value, rows in zip(values, seen):
        least, most, squares = map(np.array, zip(*rows))
        found[value] = most.max(0).clip(0) - least.min(0).clip(None, 0), squares.mean(0)
    return found


def _least_error(
    weight: np.ndarray,
    groups: int,
    transposed: bool,
    ranges: np.ndarray,
    squares: np.ndarray,
    top: int,
    per_channel: bool,
) -> np.ndarray:
    """Return the factors of the strength that loses least."""
    largest = ranges.max()
    ratios = np.divide(largest, ranges, where=ranges > 0, out=np.ones_like(ranges))
    kernel = np.prod(weight.shape[2:])
    others = (0, 2, 3) if transposed else (1, 2, 3)

    def error(factors: np.ndarray) -> float:
        """Return the mean squared error of an output, times a constant."""
        divided = weight / weight_factors(factors, weight.shape, groups, transposed)
        steps = np.abs(divided).max(others if per_channel else None, keepdims=True) / top
        step = (ranges * factors).max() / 255
        power = weight_factors(factors**2 * squares, weight.shape, groups, transposed)
        return step**2 * np.square(divided).sum() + (steps**2 * power).sum() * kernel

    tried = [np.minimum(ratios**strength, LARGEST).astype(np.float32) for strength in STRENGTHS]
    return min(tried, key=error)


def _form(node: Any) -> tuple[int, bool]:
    """Return the groups of a convolution, and whether it is transposed."""
    groups = next((one.i for one in node.attribute if one.name == 'group'), 1)
    return groups, node.op_type == 'ConvTranspose'


def balance(model: Any, factors: Mapping[str, np.ndarray]) -> None:
    """Multiply channels and divide weights by factors, in place.

    Args:
        model (ModelProto): In single precision.
        factors (Mapping[str, ndarray]): Of :func:`balance_factors`.
    """
    onnx = require('onnx', 'Quantization')
    arrays, graph = onnx.numpy_helper, model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in map(_copied, graph.node):
        if node.name in factors:
            factor, name = factors[node.name], f'{node.name}{_SUFFIX}'
            weight = weights[node.input[1]]
            values = arrays.to_array(weight)
            values = values / weight_factors(factor, values.shape, *_form(node))
            weight.CopyFrom(arrays.from_array(values, weight.name))
            graph.initializer.append(arrays.from_array(factor[None, :, None, None], name))
            balanced = onnx.helper.make_node('Mul', [node.input[0], name], [f'{name}d'], f'{name}r')
            nodes.append(balanced)
            node.input[0] = balanced.output[0]
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _copied(node: Any) -> Any:
    """Copy a node, which its graph would take along when it is emptied."""
    copy = type(node)()
    copy.CopyFrom(node)
    return copy


def weight_factors(
    factors: np.ndarray, shape: Sequence[int], groups: int, transposed: bool
) -> np.ndarray:
    """Lay the factors of channels out as the weights that read them.

    Args:
        factors (ndarray): (C,), for each channel of the input.
        shape (Sequence[int]): Of the weight, as of torch and of ONNX.
        groups (int): Of the convolution.
        transposed (bool): Whether it is a transposed one.

    Returns:
        ndarray: (filters, channels of a group, 1, 1), or (C, 1, 1, 1) of a
        transposed convolution.
    """
    if transposed:
        return factors[:, None, None, None]
    return factors.reshape(groups, -1).repeat(shape[0] // groups, 0)[:, :, None, None]


def read_factors(model: Any) -> dict[str, list[float]]:
    """Return the factors that :func:`balance` put into a model, by node."""
    onnx = require('onnx', 'Quantization')
    return {
        tensor.name.removesuffix(_SUFFIX): onnx.numpy_helper.to_array(tensor).flatten().tolist()
        for tensor in model.graph.initializer
        if tensor.name.endswith(_SUFFIX)
    }
