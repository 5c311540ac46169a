"""Static quantization of an ONNX file (QDQ), by ONNX Runtime's tools."""
import contextlib
import fnmatch
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from ..compat import require
from ..core.processors import ANY, TOPS, VNNI, for_processor
from .scales import LAYERS, insert_scales, layer_names, unknown_layers

# words of ``skip`` for what cannot be named without looking into the file
FIRST, RGB, NORMS = 'first', 'rgb', 'norms'
DEFAULTS = dict(skip=[FIRST, RGB, NORMS], per_channel=True, method='MinMax',
                outputs=False, psnr_floor=None, scales=None, processor=ANY)


def quantize(onnx_path: Path, out_path: Path,
             calibration: Sequence[np.ndarray],
             settings: Optional[dict[str, Any]] = None) -> list[str]:
    """Quantize convolutions to 8 bits; the rest stays in single precision.

    Args:
        onnx_path (Path): Model in single precision.
        out_path (Path): File to write; may be the same.
        calibration (Sequence[ndarray]): Inputs to find the ranges on.
        settings (dict | None): In place of ``DEFAULTS``. ``skip``: what
            stays float, as names of layers or nodes (with ``*``),
            ``'first'`` and ``'rgb'`` (the first and last convolution) and
            ``'norms'``; ``per_channel``: a scale for each filter;
            ``method``: of ``CalibrationMethod``; ``outputs``: quantize what
            convolutions give, too, and not only what they read: norms
            follow, and 5 to 8 dB are lost; ``psnr_floor``: leave so
            many more convolutions in float that each calibration image is
            that near to single precision, in dB (see ``sensitivity.py``);
            ``scales``: take these and nothing else (see ``scales.py``);
            ``processor``: of ``core.processors.TOPS``.

    Returns:
        list[str]: Nodes that were quantized.

    Raises:
        ValueError: If there are no inputs, a setting is unknown, nothing is
            left to quantize, or a name to skip is not there.
    """
    settings = check_settings(settings)
    onnx = require('onnx', 'Quantization')
    model = onnx.load(str(onnx_path))
    if settings['scales'] is not None:
        insert_scales(model, for_processor(settings['scales'],
                                           settings['processor']))
        onnx.save(model, str(out_path))
        return [node for node, layer in layer_names(onnx.load(
            str(onnx_path))).items() if layer in settings['scales']]
    if not len(calibration):
        raise ValueError('int8 needs images to calibrate on: give some of '
                         'the training images (--calibration FOLDER)')
    names = [node.name for node in chosen_nodes(model, settings['skip'])]
    if settings['psnr_floor'] is not None:
        from .sensitivity import rank
        names = [row.node for row in rank(model, calibration, settings)
                 if row.int8]
    with Static(model, calibration, settings) as static:
        quantized = static.make(names)
    onnx.save(quantized, str(out_path))
    return names


def check_settings(settings: Optional[dict[str, Any]]) -> dict[str, Any]:
    """Return settings with the defaults; ValueError for unknown ones."""
    settings = {**DEFAULTS, **(settings or {})}
    unknown = sorted(settings.keys() - DEFAULTS.keys() - {'images'})
    if unknown:
        raise ValueError(f'quantization has no {unknown}: expected '
                         f'{list(DEFAULTS)}')
    return settings


class Static:
    """ONNX Runtime's static quantization, for several choices of nodes.

    Ranges are found once. A context manager: they are in a folder that goes
    with it.

    Args:
        model (ModelProto): In single precision.
        calibration (Sequence[ndarray]): Inputs to find the ranges on.
        settings (dict): Of :func:`check_settings`.
    """

    def __init__(self, model: Any, calibration: Sequence[np.ndarray],
                 settings: dict[str, Any]):
        self.model, self.calibration = model, calibration
        self.settings = settings
        self.facts = {p.key: p.value for p in model.metadata_props}
        kinds = LAYERS if NORMS in settings['skip'] else (
            *LAYERS, 'InstanceNormalization')
        self.kinds = sorted({node.op_type for node in model.graph.node}
                            & set(kinds))

    def __enter__(self) -> 'Static':
        self._folder = tempfile.TemporaryDirectory()
        return self

    def __exit__(self, *_):
        self._folder.cleanup()

    def make(self, names: Sequence[str]) -> Any:
        """Return the model with these nodes in 8 bits.

        Args:
            names (Sequence[str]): Names of nodes.

        Returns:
            ModelProto: With the model's metadata.
        """
        onnx = require('onnx', 'Quantization')
        tools = require('onnxruntime.quantization', 'Quantization')
        out = Path(self._folder.name, 'int8.onnx')
        copy = onnx.ModelProto()
        copy.CopyFrom(self.model)  # it is changed
        options = {} if self.settings['outputs'] else dict(
            OpTypesToExcludeOutputQuantization=list(LAYERS))
        with _quiet():
            tools.quantize_static(
                copy, str(out),
                _Reader(copy.graph.input[0].name, self.calibration),
                quant_format=tools.QuantFormat.QDQ,
                op_types_to_quantize=self.kinds,
                nodes_to_quantize=list(names),
                per_channel=self.settings['per_channel'],
                reduce_range=TOPS[self.settings['processor']] < TOPS[VNNI],
                activation_type=tools.QuantType.QUInt8,
                weight_type=tools.QuantType.QInt8,
                calibrate_method=tools.CalibrationMethod[
                    self.settings['method']],
                calibration_cache_path=Path(self._folder.name, 'ranges'),
                extra_options=options)
        made = onnx.load(str(out))
        onnx.helper.set_model_props(made, self.facts)
        return made


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's advice about preprocessing to itself."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


class _Reader:
    """Hands calibration inputs out, as ONNX Runtime asks for them."""

    def __init__(self, name: str, arrays: Sequence[np.ndarray]):
        self.feeds = iter([{name: array} for array in arrays])

    def get_next(self) -> Optional[dict[str, np.ndarray]]:
        return next(self.feeds, None)


def chosen_nodes(model: Any, skip: Sequence[str]) -> list:
    """Return the nodes to quantize.

    Args:
        model (ModelProto): In single precision.
        skip (Sequence[str]): As of :func:`quantize`.

    Raises:
        ValueError: If a name is not there, or nothing is left.
    """
    kinds = LAYERS if NORMS in skip else (*LAYERS, 'InstanceNormalization')
    nodes = [node for node in model.graph.node if node.op_type in kinds]
    convs = [node for node in nodes if node.op_type in LAYERS]
    layers = layer_names(model)
    out = {FIRST: convs[:1], RGB: convs[-1:], NORMS: []}
    stays = set()
    for word in skip:
        names = [node.name for node in out.get(word, nodes) if word in out
                 or fnmatch.fnmatch(node.name, word)
                 or fnmatch.fnmatch(layers.get(node.name, ''), word)]
        if not names and word not in out:
            near = unknown_layers([word], [*layers.values()])
            raise ValueError(f'skip: {near}, or a node of '
                             f'{[node.name for node in nodes]}')
        stays.update(names)
    chosen = [node for node in nodes if node.name not in stays]
    if not chosen:
        raise ValueError(f'skip={list(skip)} leaves nothing to quantize')
    return chosen
