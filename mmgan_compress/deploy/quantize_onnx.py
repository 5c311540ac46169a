"""Static quantization by images, with ONNX Runtime's tools."""

import contextlib
import difflib
import fnmatch
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn as nn

from ..compat import require
from ..core.processors import ANY, TOPS, VNNI
from ..models.quantization import FIRST, NORMS, RGB, SENSITIVE
from .onnx import write_onnx
from .scales import LAYERS, layer_names

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
    onnx_path: Path,
    out_path: Path,
    calibration: Sequence[np.ndarray],
    settings: dict[str, Any] | None = None,
) -> list[str]:
    """Quantize convolutions to 8 bits; the rest stays in single precision.

    Args:
        onnx_path (Path): Model in single precision.
        out_path (Path): File to write; may be the same.
        calibration (Sequence[ndarray]): Inputs to find the ranges on.
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
    names = [node.name for node in chosen_nodes(model, settings['skip'])]
    with static(model, calibration, settings) as make:
        onnx.save(make(names), str(out_path))
    return names


@contextlib.contextmanager
def static(
    model: Any, calibration: Sequence[np.ndarray], settings: dict[str, Any]
) -> Iterator[Callable[[Sequence[str]], Any]]:
    """Yield a function that quantizes nodes; ranges are found only once.

    Args:
        model (ModelProto): In single precision.
        calibration (Sequence[ndarray]): Inputs to find the ranges on.
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

    def make(names: Sequence[str]) -> Any:
        copy = onnx.ModelProto()
        copy.CopyFrom(model)  # it is changed
        out = Path(folder, 'int8.onnx')
        with _quiet():
            tools.quantize_static(
                copy,
                str(out),
                _Reader(copy.graph.input[0].name, calibration),
                quant_format=tools.QuantFormat.QDQ,
                op_types_to_quantize=sorted(kinds),
                nodes_to_quantize=list(names),
                per_channel=settings['per_channel'],
                reduce_range=TOPS[settings['processor']] < TOPS[VNNI],
                activation_type=tools.QuantType.QUInt8,
                weight_type=tools.QuantType.QInt8,
                calibrate_method=tools.CalibrationMethod[settings['method']],
                calibration_cache_path=Path(folder, 'ranges'),
                extra_options=options,
            )
        made = onnx.load(str(out))
        onnx.helper.set_model_props(made, facts)
        return made

    with tempfile.TemporaryDirectory() as folder:
        yield make


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide the library's advice about preprocessing."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


class _Reader:
    """Hands out calibration inputs, as ONNX Runtime asks for them."""

    def __init__(self, name: str, arrays: Sequence[np.ndarray]):
        self.feeds = iter([{name: array} for array in arrays])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


def _kinds(skip: Sequence[str]) -> tuple[str, ...]:
    """Return the operators that may be quantized."""
    return LAYERS if NORMS in skip else (*LAYERS, 'InstanceNormalization')


def chosen_nodes(model: Any, skip: Sequence[str]) -> list:
    """Return the nodes to quantize.

    Args:
        model (ModelProto): In single precision.
        skip (Sequence[str]): As of :func:`check_settings`.

    Raises:
        ValueError: If a name is not there, or nothing is left.
    """
    nodes = [node for node in model.graph.node if node.op_type in _kinds(skip)]
    convs = [node for node in nodes if node.op_type in LAYERS]
    layers = layer_names(model)
    words = {FIRST: convs[:1], RGB: convs[-1:], NORMS: []}
    stays = set()
    for word in skip:
        found = (
            words[word]
            if word in words
            else [
                node
                for node in nodes
                if fnmatch.fnmatch(node.name, word)
                or fnmatch.fnmatch(layers.get(node.name, ''), word)
            ]
        )
        if not found and word not in words:
            near = difflib.get_close_matches(word, layers.values(), cutoff=0.0)
            raise ValueError(
                f'skip: no layer {word!r} to quantize; nearest: '
                f'{", ".join(map(repr, near))}, or one of {len(nodes)} '
                f'nodes, such as {nodes[0].name!r}'
            )
        stays.update(node.name for node in found)
    chosen = [node for node in nodes if node.name not in stays]
    if not chosen:
        raise ValueError(f'skip={list(skip)} leaves nothing to quantize')
    return chosen


def calibrated_scales(
    net: nn.Module,
    size: int,
    uint8: bool,
    calibration: Sequence[np.ndarray],
    settings: dict[str, Any] | None = None,
) -> dict[str, dict]:
    """Find the scales of convolutions on images.

    Args:
        net (nn.Module): Generator in eval mode; it stays as it is.
        size (int): Side of the images.
        uint8 (bool): Whether the images are (N, H, W, 3), uint8.
        calibration (Sequence[ndarray]): Inputs to find the ranges on.
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

    found = {}
    for node in model.graph.node:
        if node.name not in names or node.input[1] not in made:
            continue
        data, weight = (made.get(key) for key in node.input[:2])
        entry = dict(
            weight=values[weight.input[1]].flatten().tolist(),
            weight_top=TOPS[settings['processor']],
            input=grid(data),
        )
        if node.output[0] in read:
            entry['output'] = grid(read[node.output[0]])
        found[names[node.name]] = entry
    return found
