"""Features of named layers, taken from one forward pass."""

from collections.abc import Sequence
from typing import Any

import torch.nn as nn
from torch import Tensor

from .layers import find_layer


def disable_inplace(module: nn.Module) -> nn.Module:
    """Turn in-place activations off, in place, and return the module.

    An in-place ReLU behind a layer overwrites the feature that was taken
    there. Values of the network do not change.
    """
    child: Any
    for child in module.modules():
        if getattr(child, 'inplace', False):
            child.inplace = False
    return module


def forward_with_features(
    module: nn.Module, image: Tensor, layers: Sequence[str], *args
) -> tuple[Tensor, dict]:
    """Run ``module`` once and return its output and the named features.

    The hooks live for this call only: another forward of the same network
    (a cycle, an evaluation) can never leak features into the record.

    Args:
        module (nn.Module): Any network.
        image (Tensor): Its input, (N, C, H, W).
        layers (Sequence[str]): Names as in ``named_modules``.
        args: Further arguments of the network, behind the image.

    Returns:
        tuple[Tensor, dict[str, Tensor]]: Output, and feature by layer.

    Raises:
        KeyError: If there is no such layer; names the nearest ones.
        LookupError: If a layer ran not once but never or several times.
    """
    features: dict[str, list] = {name: [] for name in layers}
    handles = [
        find_layer(module, name).register_forward_hook(
            lambda _, __, output, calls=calls: calls.append(output)
        )
        for name, calls in features.items()
    ]
    try:
        output = module(image, *args)
    finally:
        for handle in handles:
            handle.remove()
    for name, calls in features.items():
        if len(calls) != 1:
            raise LookupError(
                f'layer {name!r} of {type(module).__name__} ran {len(calls)} '
                'times in one forward pass, expected once: name another layer'
            )
    return output, {name: calls[0] for name, calls in features.items()}
