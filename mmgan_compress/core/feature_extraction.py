"""Features of named layers, taken from one forward pass."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor

from .base_layers import BatchNormBase, DropoutBase
from .layers import ShapesOnly, find_layer, meta_copy


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


def keeps_images_apart(module: nn.Module) -> bool:
    """Tell whether the output for an image is the same in any batch.

    It is not where a layer has statistics of batches, draws random numbers,
    or has buffers, in which it may keep something of the images.
    """
    return not any(
        isinstance(layer, BatchNormBase)
        or (isinstance(layer, DropoutBase) and layer.p and layer.training)
        or next(layer.buffers(recurse=False), None) is not None
        for layer in module.modules()
    )


def forward_together(
    module: nn.Module, batches: Sequence[Tensor], layers: Sequence[str] = ()
) -> list[tuple[Tensor, dict]]:
    """Run ``module`` on several batches, in one pass where it keeps images
    apart, which is faster than a pass for each.

    Args:
        module (nn.Module): Any network.
        batches (Sequence[Tensor]): Images (N, C, H, W).
        layers (Sequence[str]): As of :func:`forward_with_features`.

    Returns:
        list[tuple]: For each batch what :func:`forward_with_features` returns.
    """
    if len({batch.shape[1:] for batch in batches}) > 1 or not keeps_images_apart(module):
        return [forward_with_features(module, batch, layers) for batch in batches]
    output, features = forward_with_features(module, torch.cat(list(batches)), layers)
    sizes = [len(batch) for batch in batches]
    parts = {name: feature.split(sizes) for name, feature in features.items()}
    return [
        (image, {name: part[index] for name, part in parts.items()})
        for index, image in enumerate(output.split(sizes))
    ]


@torch.no_grad()
def infer_channels(
    module: nn.Module, layers: Sequence[str], input_shape: Sequence[int]
) -> dict[str, int]:
    """Return the number of output channels of named layers.

    Args:
        module (nn.Module): Any network of one image; it is left as it is.
        layers (Sequence[str]): Names as in ``named_modules``.
        input_shape (Sequence[int]): Shape of its input, (N, C, H, W).

    Returns:
        dict[str, int]: Channels by layer.

    Raises:
        KeyError, LookupError: As :func:`forward_with_features`.
    """
    image = torch.empty(*input_shape, device='meta')
    with ShapesOnly():
        _, features = forward_with_features(meta_copy(module), image, layers)
    return {name: feature.shape[1] for name, feature in features.items()}
