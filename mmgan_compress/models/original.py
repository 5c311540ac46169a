"""State dicts of the papers' own repositories, read into our networks.

pytorch-CycleGAN, GAN Compression, OMGD and CRD name a parameter by its place
in nested ``nn.Sequential``s (``model.10.conv_block.1.weight``,
``model.model.1.model.3.model.1.weight``). Sorted by these places, layers
stand in the order in which they run. So do the layers of mmagic's and our
networks, whatever their names are: the n-th belongs to the n-th.
"""
import os
from typing import Union

import torch.nn as nn
from torch import Tensor

from ..core.tensor_files import load_tensors
from .discriminators import MultiHeadPatchDiscriminator


def load_original(module: nn.Module, source: Union[str, os.PathLike,
                                                   dict]) -> None:
    """Load a state dict of an original repository.

    Knows mmagic's ``ResnetGenerator``, ``UnetGenerator`` and
    ``PatchDiscriminator`` and the networks of this package. A prefix
    ``module.`` and running statistics of non-affine instance norms (written
    by torch before 0.4) are dropped.

    Args:
        module (nn.Module): Network of the same architecture and width.
        source (str | Path | dict): File (read with ``weights_only=True``) or
            state dict.

    Raises:
        ValueError: If a parameter is missing, left over or of another shape;
            names the layer on both sides.
    """
    if not isinstance(source, dict):
        source = load_tensors(source)
    state = {key.removeprefix('module.'): source[key] for key in source}
    if isinstance(module, MultiHeadPatchDiscriminator):
        state = _drop_dead_copies(state, module.shared)
    ours = _layers(module.state_dict())
    theirs = _layers({key: state[key] for key in sorted(state, key=_place)})
    theirs = {k: v for k, v in theirs.items() if 'weight' in v}
    loaded = {}
    for (name, want), (place, got) in zip(ours.items(), theirs.items()):
        _compare(module, name, want, place, got)
        loaded.update({f'{name}.{key}': got[key] for key in got})
    _compare_ends(module, list(ours), list(theirs))
    # Batch norm of old files has no num_batches_tracked: ours stays.
    module.load_state_dict({**module.state_dict(), **loaded})


def _place(key: str) -> list:
    return [(part.isdigit(), int(part) if part.isdigit() else part)
            for part in key.split('.')]


def _layers(state: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Group a state dict by layer, in order."""
    layers: dict[str, dict] = {}
    for key, value in state.items():
        name, _, leaf = key.rpartition('.')
        layers.setdefault(name, {})[leaf] = value
    return layers


def _drop_dead_copies(state: dict, shared: int) -> dict:
    """Drop copy 0 of each shared block: OMGD runs copy 1 for both heads."""
    dead = tuple(f'block{index + 1}s.0.' for index in range(shared))
    return {k: v for k, v in state.items() if not k.startswith(dead)}


def _shapes(layer: dict[str, Tensor]) -> dict[str, tuple]:
    return {
        key: tuple(value.shape)
        for key, value in sorted(layer.items()) if key != 'num_batches_tracked'
    }


def _compare(module: nn.Module, name: str, want: dict, place: str,
             got: dict) -> None:
    if _shapes(want) != _shapes(got):
        raise ValueError(
            f'layer {name!r} of {type(module).__name__} expects '
            f'{_shapes(want)}, got {_shapes(got)} from {place!r}: check '
            'architecture, base_channels and norm_cfg of the config')


def _compare_ends(module: nn.Module, ours: list, theirs: list) -> None:
    if len(ours) != len(theirs):
        missing, unexpected = ours[len(theirs):], theirs[len(ours):]
        raise ValueError(
            f'{type(module).__name__} has {len(ours)} layers with parameters, '
            f'the state dict {len(theirs)}; missing: {missing}, unexpected: '
            f'{unexpected}. Check the architecture of the config')
