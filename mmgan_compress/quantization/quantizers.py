"""Quantizers: a student in, the scales or choices of its int8 file out.

A quantizer returns settings for ``deploy/quantize_onnx.py``, so that one
exporter writes, checks and compares the files of all quantizers. Training
with quantization is a hook (``engine/hooks/quantization.py``); its scales are
in the student file, and ``StudentScales`` reads them there.

Mixed precision for a PSNR floor: each convolution is quantized alone, and the
error of the image is measured. The convolutions then go to 8 bits in the
order of error per multiply-accumulate, as long as the images stay above the
floor: of the sets of that order the largest, found by halving, each measured
as a whole.
"""

import logging
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn as nn
from tqdm import tqdm

from ..compat import require
from ..core.complexity import count_macs
from ..core.inputs import input_of
from ..core.logging import quiet
from ..core.messages import check_choice
from ..core.processors import ANY
from ..deploy.formats import open_onnx
from ..deploy.graph import prepare
from ..deploy.onnx import write_onnx
from ..deploy.quantize_onnx import as_inputs, check_settings, chosen_nodes, static
from ..deploy.scales import layer_names, student_scales
from ..deploy.verify import feeds
from ..models.quantization import NORMS, SENSITIVE, layers_to_quantize, nni_scales, nni_settings
from ..registry import QUANTIZERS

_MOST_IMAGES = 8  # that errors are measured on


class LayerError(NamedTuple):
    """What 8 bits do to one layer.

    Args:
        layer (str): Its name in torch.
        node (str): Its name in the ONNX file.
        psnr (float): In dB, of the worst image, if it alone is quantized.
        macs (int): Multiply-accumulates of an image.
        int8 (bool): Whether it is of the chosen set.
        set_psnr (float): In dB, of the worst image, with the chosen set.
    """

    layer: str
    node: str
    psnr: float
    macs: int
    int8: bool
    set_psnr: float


def rank(
    model: Any,
    calibration: Sequence,
    macs: Mapping[str, int],
    settings: dict[str, Any] | None = None,
    floor: float | None = None,
) -> list[LayerError]:
    """Rank the layers of a model and choose those to quantize.

    Args:
        model (ModelProto): In single precision.
        calibration (Sequence[ndarray | tuple]): Its inputs, as of
            ``quantize_onnx.quantize``; ranges are found on all of them, errors
            measured on 8.
        macs (Mapping[str, int]): Multiply-accumulates of an image by layer.
        settings (dict | None): As of ``quantize_onnx.check_settings``.
        floor (float | None): Least PSNR of the worst image in dB. Without,
            all layers that are not skipped are chosen.

    Returns:
        list[LayerError]: The least sensitive first.

    Raises:
        ValueError: If not one layer may be quantized.
    """
    settings = check_settings(settings)
    nodes = chosen_nodes(model, settings['skip'])
    layers = layer_names(model)
    costs = {node: macs.get(layers.get(node, ''), 0) for node in nodes}
    chosen = np.unique(np.linspace(0, len(calibration) - 1, _MOST_IMAGES).astype(int))
    inputs = [calibration[i] for i in chosen]
    expected = _run(model, inputs)
    # images of 8 bits have a range of 255, those in [-1, 1] of 2
    span = 255 if expected[0].dtype == np.uint8 else 2
    with static(model, calibration, settings) as make:

        def trial(names: Sequence[str]) -> tuple[float, float]:
            """Return the mean squared error, and the worst PSNR."""
            errors = [
                float(np.mean((a.astype(np.float64) - b) ** 2))
                for a, b in zip(_run(make(names), inputs), expected)
            ]
            return float(np.mean(errors)), 10 * math.log10(span**2 / max(errors)) if max(
                errors
            ) else math.inf

        alone = {name: trial([name]) for name in tqdm(nodes, desc='sensitivity', leave=False)}
        order = sorted(nodes, key=lambda name: alone[name][0] / max(costs[name], 1))
        count, psnr = _longest(order, lambda names: trial(names)[1], floor)
    if not count:
        best = max(psnr for _, psnr in alone.values())
        raise ValueError(
            f'no layer can be quantized at {floor} dB: the least sensitive '
            f'leaves {best:.2f} dB. Lower the floor, or train with '
            'quantization'
        )
    return [
        LayerError(
            layers.get(name, name),
            name,
            round(alone[name][1], 2),
            costs[name],
            at < count,
            round(psnr, 2),
        )
        for at, name in enumerate(order)
    ]


def _run(model: Any, inputs: Sequence) -> list[np.ndarray]:
    run = open_onnx(model.SerializeToString(), None).run
    return [run(*as_inputs(x)) for x in inputs]


def _longest(
    order: Sequence[str], psnr_of: Callable[[Sequence[str]], float], floor: float | None
) -> tuple[int, float]:
    """Return how many of the first ones meet the floor, and their PSNR."""
    psnr = psnr_of(order)
    if floor is None or psnr >= floor:
        return len(order), psnr
    low, best, high = 0, math.inf, len(order)
    while high - low > 1:
        middle = (low + high) // 2
        psnr = psnr_of(order[:middle])
        if psnr >= floor:
            low, best = middle, psnr
        else:
            high = middle
    return low, best


# of ONNX Runtime's CalibrationMethod
METHODS = ('MinMax', 'Entropy', 'Percentile', 'Distribution')


class Plan(NamedTuple):
    """What a quantizer found.

    Args:
        settings (dict): ``quantization_config`` of a deploy config.
        summary (dict): How it was found, in plain values.
    """

    settings: dict
    summary: dict


class Quantizer:
    """Base of quantizers, and the interface of a new one.

    Attributes:
        calibrates (bool): Whether it needs images.
        needs (tuple[str, ...]): Modules that must be installed.
    """

    calibrates = True
    needs: tuple[str, ...] = ()

    def plan(self, net: nn.Module, inputs: Sequence[np.ndarray], processor: str = ANY) -> Plan:
        """Find the settings of the int8 file.

        Args:
            net (nn.Module): Of ``load_student``; it stays as it is.
            inputs (Sequence[ndarray]): What the network takes, of one image
                each; one of zeros, for its size, if ``calibrates`` is False.
            processor (str): Of ``core.processors.TOPS``.

        Raises:
            ValueError: If a layer to skip is not there, or what is asked
                for is out of reach.
            ImportError: If a library is not installed.
        """
        raise NotImplementedError


@QUANTIZERS.register_module()
class ORTStatic(Quantizer):
    """Static quantization by ONNX Runtime, mixed with float where asked.

    With a floor or ``sensitivity``, :meth:`plan` adds ``'layers'``, the error
    of each, to the summary.

    Args:
        skip (Sequence[str]): Layers that stay float: names, also with ``*``,
            ``'first'``, ``'rgb'`` and ``'norms'``.
        psnr_floor (float | None): In dB against single precision, that each
            calibration image shall have. The layers with the largest error
            for the arithmetic that they save stay float, too.
        sensitivity (bool): Measure the error of each layer without a floor.
            Both choose among convolutions.
        per_channel (bool): A scale for each filter, not for a weight.
        outputs (bool): Quantize outputs of convolutions too, not only their
            inputs; norms follow, and 5 to 8 dB are lost.
        method (str): How ranges are found, of ``METHODS``.

    Raises:
        ValueError: If a setting is unknown, or two do not go together.
    """

    def __init__(
        self,
        skip: Sequence[str] = SENSITIVE,
        psnr_floor: float | None = None,
        sensitivity: bool = False,
        per_channel: bool = True,
        outputs: bool = False,
        method: str = 'MinMax',
    ):
        if NORMS not in skip and (sensitivity or psnr_floor is not None):
            raise ValueError(
                f'skip={list(skip)}: layers are chosen among '
                'convolutions, so norms must stay float: add '
                f"'{NORMS}'"
            )
        check_choice('method', method, METHODS)
        self.settings = dict(
            skip=list(skip), per_channel=per_channel, outputs=outputs, method=method
        )
        self.psnr_floor, self.sensitivity = psnr_floor, sensitivity

    def plan(self, net, inputs, processor=ANY):
        if self.psnr_floor is None and not self.sensitivity:
            return Plan(self.settings, {})
        onnx = require('onnx', 'Quantization')
        shape = inputs[0].shape
        macs = {row.name: row.macs for row in count_macs(prepare(net, shape[-1]), shape).layers}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, 'fp32.onnx')
            write_onnx(net, path, shape[-1], {})
            rows = rank(
                onnx.load(str(path)),
                [feeds(x, input_of(net)) for x in inputs],
                macs,
                dict(self.settings, processor=processor),
                self.psnr_floor,
            )
        total = max(sum(row.macs for row in rows), 1)
        summary = dict(
            psnr_floor=self.psnr_floor,
            set_psnr=rows[0].set_psnr,
            int8_share_of_macs=round(sum(row.macs for row in rows if row.int8) / total, 4),
            layers=[
                dict(layer=row.layer, psnr=row.psnr, macs=row.macs, int8=row.int8) for row in rows
            ],
        )
        rest = [row.layer for row in rows if not row.int8]
        return Plan(dict(self.settings, skip=[*self.settings['skip'], *rest]), summary)


class _Scales(Quantizer):
    """A quantizer that finds the scales itself, for any processor.

    Args:
        skip (Sequence[str]): As of :class:`ORTStatic`; norms are float.
    """

    def __init__(self, skip: Sequence[str] = SENSITIVE):
        if NORMS not in skip:
            raise ValueError(
                f"skip={list(skip)}: {type(self).__name__} leaves norms in float, add '{NORMS}'"
            )
        self.skip = list(skip)

    def plan(self, net, inputs, processor=ANY):
        ready = prepare(net, inputs[0].shape[-1])
        layers = layers_to_quantize(ready, self.skip)
        scales = self.scales(ready, layers, [torch.from_numpy(x) for x in inputs])
        return Plan(
            dict(scales=scales),
            dict(
                skip=self.skip,
                int8=list(scales),
                float=[name for name in layers if name not in scales],
            ),
        )

    def scales(
        self, net: nn.Module, layers: Sequence[str], inputs: Sequence[torch.Tensor]
    ) -> dict[str, dict]:
        """Return the scales of layers of a network, which may be changed."""
        raise NotImplementedError


@QUANTIZERS.register_module()
class NNIPTQ(_Scales):
    """Static quantization by NNI's ``PtqQuantizer``: ranges, no training.

    Args:
        skip (Sequence[str]): Layers that stay float.
        outputs (bool): Quantize what convolutions give, too.
    """

    needs = ('nni',)

    def __init__(self, skip: Sequence[str] = SENSITIVE, outputs: bool = False):
        super().__init__(skip)
        self.outputs = outputs

    def scales(self, net, layers, inputs):
        nni = require('nni.compression.quantization', 'NNIPTQ')
        with quiet(logging.getLogger('nni'), logging.ERROR):
            quantizer = nni.PtqQuantizer(
                net, nni_settings(net, layers, symmetric=False, outputs=self.outputs), None
            )
        # as its compress() does, without an Evaluator that gives images
        with torch.no_grad():
            for image in inputs:
                net(image)
        quantizer.update_scale_zp()
        return nni_scales(quantizer)


@QUANTIZERS.register_module()
class INCStatic(_Scales):
    """Static quantization by neural-compressor (PT2E, for x86).

    It quantizes convolutions with their inputs; transposed ones and outputs
    stay float. Its scales go to ONNX and to inductor, as those of the other
    quantizers do.

    Args:
        skip (Sequence[str]): Layers that stay float.
    """

    needs = ('neural_compressor',)

    def scales(self, net, layers, inputs):
        return pt2e_scales(self._converted(net, layers, inputs))

    @staticmethod
    def _converted(
        net: nn.Module, layers: Sequence[str], inputs: Sequence[torch.Tensor]
    ) -> nn.Module:
        with quiet(logging.getLogger('neural_compressor'), logging.ERROR):
            tools = require('neural_compressor.torch.quantization', 'INCStatic')
            trace = require('neural_compressor.torch.export', 'INCStatic')
            config = tools.StaticQuantConfig()
            for name, layer in net.named_modules():
                if isinstance(layer, nn.Conv2d) and name not in layers:
                    config.set_local(
                        name, tools.StaticQuantConfig(w_dtype='fp32', act_dtype='fp32')
                    )
            graph = trace.export(net, (inputs[0],))
            graph = tools.prepare(graph, config)
            with torch.no_grad():
                for image in inputs:
                    graph(image)
            return tools.convert(graph)


def pt2e_scales(graph: nn.Module) -> dict[str, dict]:
    """Read the scales of convolutions out of a graph of PT2E.

    Args:
        graph (GraphModule): With quantizations as operators.

    Returns:
        dict[str, dict]: By layer, as in ``models/quantization.py``.
    """
    found = {}
    for node in graph.graph.nodes:
        # a node that reads two dequantized values is a quantized layer
        pairs = [
            arg.args for arg in node.args[:2] if 'dequantize_per' in str(getattr(arg, 'target', ''))
        ]
        if len(pairs) != 2:
            continue
        (_, scale, zero, *_), (_, weight, *_) = pairs
        layer, _ = list(node.meta['nn_module_stack'].values())[-1]
        found[layer] = dict(
            input=[float(scale), int(zero)], weight=getattr(graph, weight.target).flatten().tolist()
        )
    return found


@QUANTIZERS.register_module()
class StudentScales(Quantizer):
    """The scales that a student was trained or calibrated with."""

    calibrates = False

    def plan(self, net, inputs, processor=ANY):
        scales = student_scales(net, inputs[0].shape[-1])
        if scales is None:
            raise ValueError(
                'the student was not trained with quantization: name another '
                'quantizer, such as ORTStatic, and images to calibrate on'
            )
        made_by = net.meta['quantization'][net.meta['domain']]['made_by']
        return Plan(dict(scales=scales), dict(made_by=made_by, int8=list(scales)))
