"""Lower precision of ONNX files: 8 bits by images, and half precision."""

import contextlib
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch.nn as nn

from ..compat import require
from ..core.configs import CONFIGS, read_config
from ..core.logging import quiet
from ..core.processors import ANY, TOPS, VNNI
from ..models.quantization import NORMS, SENSITIVE, not_skipped
from .balance import balance, balance_factors, read_factors
from .onnx import write_onnx
from .scales import LAYERS, layer_names

# Its op_block_list stays in single precision. mmdeploy reads it there, too.
SINGLE = CONFIGS / 'deploy/_base_/backends/onnxruntime-fp16.py'


def to_half(path: Path) -> None:
    """Store weights and all but the norms of an ONNX file in half precision.

    Inputs and outputs keep their type.

    Args:
        path (Path): File; it is replaced.
    """
    onnx = require('onnx', 'Half precision')
    float16 = require('onnxruntime.transformers.float16', 'Half precision')
    options = read_config(str(SINGLE)).backend_config.common_config
    model = float16.convert_float_to_float16(onnx.load(str(path)), **options)
    # what several of these nodes read is cast once for each, by one name
    made = {node.output[0]: node for node in reversed(model.graph.node)}
    nodes = [node for node in model.graph.node if node is made[node.output[0]]]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(_without_detours(model), str(path))


def _without_detours(model):
    """Take out casts to half precision and back, between nodes in single.

    Args:
        model (onnx.ModelProto): With casts around each such node.

    Returns:
        onnx.ModelProto: The same, in an order in which it can be run.
    """
    ir = require('onnx_ir', 'Half precision')
    passes = require('onnx_ir.passes.common', 'Half precision')
    model, floats = ir.from_proto(model), {ir.DataType.FLOAT, ir.DataType.FLOAT16}

    def target(node) -> int | None:
        return node.attributes['to'].as_int() if node and node.op_type == 'Cast' else None

    for node in model.graph:
        inner = node.inputs[0].producer() if target(node) else None
        # not a cast to pixels behind one to single precision
        if {target(node), target(inner)} == floats and not node.outputs[0].is_graph_output():
            ir.convenience.replace_all_uses_with(node.outputs[0], inner.inputs[0])
    passes.RemoveUnusedNodesPass()(model)
    model.graph.sort()
    return ir.to_proto(model)


DEFAULTS = dict(
    skip=[*SENSITIVE], per_channel=True, method='MinMax', outputs=False, scales=None, processor=ANY
)


def check_settings(settings: dict[str, Any] | None) -> dict[str, Any]:
    """Return how to quantize, with the defaults; refuse unknown settings.

    Args:
        settings (dict | None): In place of ``DEFAULTS``. ``skip``: what
            stays float, as names of layers or nodes (with ``*``),
            ``'first'`` and ``'rgb'`` (the first and last convolution) and
            ``'norms'``; ``per_channel``: a scale for each filter;
            ``method``: of ONNX Runtime's ``CalibrationMethod``; ``outputs``:
            quantize outputs of convolutions too, not only their inputs:
            norms follow, and 5 to 8 dB are lost; ``scales``: use these, so
            that no images are needed (see ``scales.py``); ``processor``: of
            ``core.processors.TOPS``; ``images``: folder to calibrate on.

    Raises:
        ValueError: If a setting is unknown.
    """
    settings = {**DEFAULTS, **(settings or {})}
    unknown = sorted(settings.keys() - DEFAULTS.keys() - {'images'})
    if unknown:
        raise ValueError(f'quantization has no {unknown}: expected {list(DEFAULTS)}')
    return settings


def quantize(
    onnx_path: Path, out_path: Path, calibration: Sequence, settings: dict[str, Any] | None = None
) -> list[str]:
    """Quantize convolutions to 8 bits; the rest stays in single precision.

    Args:
        onnx_path (Path): Model in single precision.
        out_path (Path): File to write; may be the same.
        calibration (Sequence[ndarray | tuple]): Inputs to find the ranges on,
            each an array, or one for each input of the model.
        settings (dict | None): Of :func:`check_settings`, no ``scales``.

    Returns:
        list[str]: Nodes that were quantized.

    Raises:
        ValueError: If a setting is unknown, nothing is left to quantize, or
            a name to skip is not there.
    """
    settings = check_settings(settings)
    onnx = require('onnx', 'Quantization')
    model = onnx.load(str(onnx_path))
    names = chosen_nodes(model, settings['skip'])
    with static(model, calibration, settings) as make:
        onnx.save(make(names), str(out_path))
    return names


@contextlib.contextmanager
def static(
    model: Any, calibration: Sequence, settings: dict[str, Any]
) -> Iterator[Callable[[Sequence[str]], Any]]:
    """Yield a function that quantizes nodes; ranges are found only once.

    Inputs of convolutions are balanced first (see ``balance.py``).

    Args:
        model (ModelProto): In single precision.
        calibration (Sequence[ndarray | tuple]): As of :func:`quantize`.
        settings (dict): Of :func:`check_settings`.

    Yields:
        Callable: Maps names of nodes to the ModelProto with these in 8 bits
        and the metadata of ``model``.
    """
    onnx = require('onnx', 'Quantization')
    tools = require('onnxruntime.quantization', 'Quantization')
    facts = {p.key: p.value for p in model.metadata_props}
    kinds = {node.op_type for node in model.graph.node} & set(_kinds(settings['skip']))
    options = {} if settings['outputs'] else dict(OpTypesToExcludeOutputQuantization=list(LAYERS))
    nodes = chosen_nodes(model, settings['skip'])
    inputs = [as_inputs(given) for given in calibration]
    factors = balance_factors(
        model, nodes, inputs, TOPS[settings['processor']], settings['per_channel']
    )

    def make(names: Sequence[str]) -> Any:
        out, ranges = Path(folder, 'int8.onnx'), Path(folder, 'ranges')
        if not ranges.exists() and set(names) != set(nodes):
            make(nodes)  # finds the ranges of all balanced inputs
        copy = onnx.ModelProto()
        copy.CopyFrom(model)  # it is changed
        balance(copy, {name: factors[name] for name in names if name in factors})
        names_in = [entry.name for entry in copy.graph.input]
        feeds = iter([dict(zip(names_in, given)) for given in inputs])
        with quiet(logging.getLogger(), logging.ERROR):  # advice about preprocessing
            tools.quantize_static(
                copy,
                str(out),
                SimpleNamespace(get_next=lambda: next(feeds, None)),
                quant_format=tools.QuantFormat.QDQ,
                op_types_to_quantize=sorted(kinds),
                nodes_to_quantize=list(names),
                per_channel=settings['per_channel'],
                reduce_range=TOPS[settings['processor']] < TOPS[VNNI],
                activation_type=tools.QuantType.QUInt8,
                weight_type=tools.QuantType.QInt8,
                calibrate_method=tools.CalibrationMethod[settings['method']],
                calibration_cache_path=ranges,
                extra_options=options,
            )
        made = onnx.load(str(out))
        onnx.helper.set_model_props(made, facts)
        return made

    with tempfile.TemporaryDirectory() as folder:
        yield make


def as_inputs(given: np.ndarray | tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Return the inputs of a model, of which there is mostly one."""
    return given if isinstance(given, tuple) else (given,)


def _kinds(skip: Sequence[str]) -> tuple[str, ...]:
    """Return the operators that may be quantized."""
    return LAYERS if NORMS in skip else (*LAYERS, 'InstanceNormalization')


def chosen_nodes(model: Any, skip: Sequence[str]) -> list[str]:
    """Return the names of the nodes to quantize.

    Args:
        model (ModelProto): In single precision.
        skip (Sequence[str]): As of :func:`check_settings`.

    Raises:
        ValueError: If a name is not there, or nothing is left.
    """
    nodes = [node for node in model.graph.node if node.op_type in _kinds(skip)]
    layers = layer_names(model)
    return not_skipped(
        {node.name: [layers.get(node.name, ''), node.name] for node in nodes},
        [node.name for node in nodes if node.op_type in LAYERS],
        skip,
    )


def calibrated_scales(
    net: nn.Module,
    size: int,
    uint8: bool,
    calibration: Sequence,
    settings: dict[str, Any] | None = None,
) -> dict[str, dict]:
    """Find the scales of convolutions on images.

    Args:
        net (nn.Module): Generator in eval mode; it stays as it is.
        size (int): Side of the images.
        uint8 (bool): Whether the images are (N, H, W, 3), uint8.
        calibration (Sequence[ndarray | tuple]): As of :func:`quantize`.
        settings (dict | None): As of :func:`quantize`.

    Returns:
        dict[str, dict]: Scales by layer, as in ``models/quantization.py``.

    Raises:
        ValueError: If a setting is wrong, or norms are to be quantized,
            for which there are no scales.
    """
    settings = check_settings(settings)
    if NORMS not in settings['skip']:
        raise ValueError(
            f"skip={list(settings['skip'])}: norms in 8 bits have no scales, add '{NORMS}'"
        )
    onnx = require('onnx', 'Quantization')
    with tempfile.TemporaryDirectory() as folder:
        fp32, int8 = Path(folder, 'fp32.onnx'), Path(folder, 'int8.onnx')
        write_onnx(net, fp32, size, {}, uint8=uint8)
        quantize(fp32, int8, calibration, settings)
        names, model = (layer_names(onnx.load(str(fp32))), onnx.load(str(int8)))
    values = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    made = {node.output[0]: node for node in model.graph.node}
    read = {node.input[0]: node for node in model.graph.node if node.op_type == 'QuantizeLinear'}

    def grid(node: Any) -> list:
        scale, zero = (values[key] for key in node.input[1:3])
        return [float(scale), int(zero)]

    factors, found = read_factors(model), {}
    for node in model.graph.node:
        if node.name not in names or node.input[1] not in made:
            continue
        data, weight = (made.get(key) for key in node.input[:2])
        entry = dict(
            weight=values[weight.input[1]].flatten().tolist(),
            weight_top=TOPS[settings['processor']],
            input=grid(data),
        )
        if node.name in factors:
            entry['balance'] = factors[node.name]
        if node.output[0] in read:
            entry['output'] = grid(read[node.output[0]])
        found[names[node.name]] = entry
    return found
