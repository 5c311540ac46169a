"""Which layers of a generator compute in 8 bits, and with which scales.

Scales of a network that was trained or calibrated in 8 bits are plain values;
a student file has them under ``'quantization'``, by domain::

    {'zebra': {'made_by': 'NNI qat', 'layers': {
        'model.4': {'weight': [0.0021, 0.0017, ...],
                    'input': [0.0124, 117],
                    'output': [0.0342, 128]}, ...}}}

A real value is ``scale * (integer - zero_point)``. Weights are integers in
-127..127 with zero point 0, and one scale or one per output channel; where
``'weight_top'`` stands, it is the largest one in place of 127 (63: 7 bits, see
``core/processors.py``). Input and output of a layer are integers in 0..255
with ``[scale, zero_point]``. Where ``'balance'`` stands, with a factor per
input channel, the input is multiplied by it and the weights are divided by it
before both are rounded (see ``deploy/balance.py``).
Whatever is missing (``input``, ``output``, a layer) stays float. The weights
in the file are the float ones.
"""

import difflib
import fnmatch
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import torch.nn as nn

from ..core.layers import find_layer
from ..core.processors import VNNI, WEIGHT_BITS
from .fake_quant import PUBLISHED_LEVELS, is_quantized

# words for layers that cannot be named without looking at the network
FIRST, RGB, NORMS = 'first', 'rgb', 'norms'
SENSITIVE = (FIRST, RGB, NORMS)
KEY = 'quantization'
LAYERS = (nn.Conv2d, nn.ConvTranspose2d)


def layers_to_quantize(network: nn.Module, skip: Sequence[str] = SENSITIVE) -> list[str]:
    """Return the convolutions of a network, less those that stay float.

    Args:
        network (nn.Module): Generator; ``named_modules`` meets the layer
            that reads the image first and the one that makes it last.
        skip (Sequence[str]): Names of layers, also with ``*``, and
            ``'first'`` and ``'rgb'``. ``'norms'`` may stand there, too: norms
            are float anyway.

    Raises:
        ValueError: If a name is not there or nothing is left.
    """
    names = [name for name, layer in network.named_modules() if isinstance(layer, LAYERS)]
    return not_skipped({name: [name] for name in names}, names, skip)


def not_skipped(
    names: Mapping[str, Sequence[str]], convs: Sequence[str], skip: Sequence[str]
) -> list[str]:
    """Return what is to be quantized, less what stays float.

    Args:
        names (Mapping[str, Sequence[str]]): By a key, what each is called.
        convs (Sequence[str]): Keys of convolutions, in their order.
        skip (Sequence[str]): As of :func:`layers_to_quantize`.

    Raises:
        ValueError: As of :func:`layers_to_quantize`.
    """
    words, stays = {FIRST: convs[:1], RGB: convs[-1:], NORMS: []}, set()
    for word in skip:
        found = [key for key in names if fnmatch.filter(names[key], word)]
        if not found and word not in words:
            near = difflib.get_close_matches(word, chain(*names.values()), cutoff=0.0)
            raise ValueError(
                f'skip: no layer {word!r} to quantize; nearest: {", ".join(map(repr, near))}'
            )
        stays.update(words.get(word, found))
    chosen = [key for key in names if key not in stays]
    if not chosen:
        raise ValueError(f'skip={list(skip)} leaves nothing to quantize')
    return chosen


def nni_settings(
    network: nn.Module,
    layers: Sequence[str],
    symmetric: bool,
    outputs: bool = False,
    processor: str = VNNI,
) -> list[dict]:
    """Return the ``config_list`` that NNI's quantizers take.

    Args:
        network (nn.Module): Generator.
        layers (Sequence[str]): Layers to quantize.
        symmetric (bool): Whether zero points are 0 (LSQ knows no other).
        outputs (bool): Quantize what the layers give, too.
        processor (str): Of ``core.processors.WEIGHT_BITS``.
    """
    values = (
        dict(quant_dtype='int8', quant_scheme='symmetric')
        if symmetric
        else dict(quant_dtype='uint8', quant_scheme='affine')
    )
    settings = {
        key: dict(values)
        for key in ('_input_', *(['_output_'] if outputs else []))  # NNI changes them
    }
    configs = []
    for transposed in (False, True):
        own = [name for name in layers if find_layer(network, name).transposed == transposed]
        # a scale for each filter
        filters = [-1, 1, -1, -1] if transposed else [1, -1, -1, -1]
        weight = dict(
            quant_dtype=f'int{WEIGHT_BITS[processor]}',
            quant_scheme='symmetric',
            granularity=filters,
        )
        if own:
            configs.append(
                dict(
                    op_names=own,
                    target_names=['weight', *settings],
                    quant_dtype='int8',  # of targets that name none
                    target_settings=dict(settings, weight=weight),
                )
            )
    return configs


def nni_scales(quantizer: Any) -> dict[str, dict]:
    """Return what one of NNI's quantizers found, as at the head.

    Args:
        quantizer (Quantizer): With the settings of :func:`nni_settings`.

    Returns:
        dict[str, dict]: Scales by layer.

    Raises:
        ValueError: If a layer has none, since it never ran.
    """
    found = {}
    for layer, spaces in sorted(quantizer._target_spaces.items()):
        entry = {}
        for target, space in spaces.items():
            if space.scale is None or space.zero_point is None:
                raise ValueError(f'no scale for {layer!r}: it never ran in train mode')
            scales = space.scale.detach().flatten().tolist()
            if target == 'weight':
                entry.update(weight=scales, weight_top=space.qmax)
                continue
            # 8 bits with a sign are 8 bits without, moved by 128
            zero = round(float(space.zero_point)) + (128 if space.qmin < 0 else 0)
            kind = 'input' if target.startswith('_input_') else 'output'
            entry[kind] = [scales[0], zero]
        found[layer] = entry
    return found


def grid_scales(network: nn.Module) -> dict[str, dict]:
    """Return the scales of a network that ``fake_quantize`` made round.

    Args:
        network (nn.Module): Student of GAN Slimming with 8 bits.

    Returns:
        dict[str, dict]: Scales by layer, as at the head.

    Raises:
        ValueError: If it does not round, or not in 8 bits.
    """
    if not is_quantized(network):
        raise ValueError(
            f'{type(network).__name__} does not round: expected '
            'a network that fake_quantize() changed'
        )
    found = {}
    for name, layer in network.named_modules():
        grid = getattr(layer, 'grid', None)
        if grid is None:
            continue
        # the published grid ends a level above what 8 bits hold
        if grid.weight_bits not in WEIGHT_BITS.values() or grid.levels not in (
            None,
            255,
            PUBLISHED_LEVELS,
        ):
            raise ValueError(
                f'{name!r} rounds to {grid}: only 8 bits can be exported, with 7 or 8 of weights'
            )
        largest = layer.weight.detach().abs().amax().item()
        top = 2 ** (grid.weight_bits - 1) - 1
        entry = dict(weight=[largest / top], weight_top=top)
        if grid.levels is not None:
            entry['input'] = [grid.activation_max / grid.levels, 0]
        found[name] = entry
    return found
