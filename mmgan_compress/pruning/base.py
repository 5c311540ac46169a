"""What pruners have in common."""

from typing import NamedTuple

import torch.nn as nn
from torch.nn.utils.parametrize import is_parametrized

from ..models.fake_quant import is_quantized
from ..models.spectral_norm import SpectralNorm

# what torch's older ways of computing a weight are undone by
_REMOVERS = dict(
    WeightNorm='torch.nn.utils.remove_weight_norm',
    SpectralNorm='torch.nn.utils.remove_spectral_norm',
)


class Compressed(NamedTuple):
    """What a pruner's ``compress(generator, config)`` returns.

    Args:
        network (nn.Module): The smaller network, on the CPU.
        config (dict): Config that rebuilds its layers.
        summary (dict): How it was found, in plain values.
    """

    network: nn.Module
    config: dict
    summary: dict


def check_layers(network: nn.Module) -> None:
    """Refuse layers whose weights are not what they compute with.

    Raises:
        TypeError: If one is quantized, prepared for it, or computes its
            weight from other tensors (weight norm, spectral norm).
    """
    kind = type(network).__name__
    for name, layer in network.named_modules():
        own = type(layer)
        if own.__module__.startswith(('torch.ao.', 'nni.')):
            raise TypeError(
                f'{name!r} of {kind} is a {own.__name__} of '
                f"{own.__module__.split('.')[0]}'s quantization: prune the "
                'network in floating point and quantize the result'
            )
        how = _computed(layer)
        if how:
            raise TypeError(
                f'{name!r} of {kind} computes its weight from '
                f'other tensors, which cannot be cut: call {how} '
                'first, which leaves the weight as it is now'
            )
    if is_quantized(network):
        raise TypeError(
            f'{kind} rounds its weights: call defake_quantize() '
            'first, prune the network in floating point and '
            'quantize the result'
        )


def _computed(layer: nn.Module) -> str | None:
    """Return what makes computed weights plain; None if they are."""
    if is_parametrized(layer):
        return 'torch.nn.utils.parametrize.remove_parametrizations'
    if isinstance(layer, SpectralNorm):
        return 'mmgan_compress.models.spectral_norm.without_spectral_norm'
    for hook in layer._forward_pre_hooks.values():
        if type(hook).__module__.startswith('torch.nn.utils.'):
            return _REMOVERS.get(type(hook).__name__, 'torch.nn.utils.prune.remove')
    return None
