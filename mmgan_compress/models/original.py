"""State dicts of the papers' own repositories, read into our networks.

pytorch-CycleGAN, GAN Compression, OMGD and CRD name a parameter by its place
in nested ``nn.Sequential``s (``model.10.conv_block.1.weight``,
``model.model.1.model.3.model.1.weight``). Sorted by these places, layers
stand in the order in which they run. So do the layers of mmagic's and our
networks, whatever their names are: the n-th belongs to the n-th.
"""

import os
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import torch.nn as nn
from mmengine.registry import init_default_scope
from torch import Tensor

from ..core.checkpoints import fold_spectral, mismatch, read_checkpoint, weights_in
from ..core.configs import find_config, read_config
from ..core.files import refuse_taken, write_tensors
from ..registry import MODELS
from .discriminators import MultiHeadPatchDiscriminator

_CONTENT = 'enc_content.'
_NORMS = dict(gamma='weight', beta='bias')
# all that may be dropped: of instance norms, by torch before 0.4
_STATISTICS = {'running_mean', 'running_var', 'num_batches_tracked'}


def load_original(module: nn.Module, source: str | os.PathLike | dict, part: str = '') -> None:
    """Load a state dict of an original repository.

    Knows mmagic's ``ResnetGenerator``, ``UnetGenerator`` and
    ``PatchDiscriminator`` and the networks of this package. A prefix
    ``module.`` and running statistics of non-affine instance norms (written
    by torch before 0.4) are dropped. Layers of GauGAN and MUNIT have the
    published names; spectral norms of the first become a part of the weights if
    the network has none.

    Args:
        module (nn.Module): Network of the same architecture and width.
        source (str | Path | dict): File (read with ``weights_only=True``) or
            its content.
        part (str): Where the network is in it: a key (``'netG'``), the
            beginning of its names (``'model.netG'``), or one behind the
            other (``'state_dict.model.netG'``).

    Raises:
        ValueError: If a tensor is missing, left over or of another shape;
            names the layer on both sides. If the part is not there or has
            to be chosen; names those that are.
    """
    if not isinstance(source, dict):
        source = read_checkpoint(source)
    state = _part(source, part)
    named = _by_name(module, state)
    if not mismatch(module.state_dict(), named):
        module.load_state_dict(named, strict=False)
        return
    if isinstance(module, MultiHeadPatchDiscriminator):
        state = _drop_dead_copies(state, module.shared)
    ours = _layers(module.state_dict())
    theirs = _layers({key: state[key] for key in sorted(state, key=_place)})
    theirs = {k: v for k, v in theirs.items() if v.keys() - _STATISTICS}
    loaded = {}
    try:
        pairs = zip_longest(ours.items(), theirs.items(), fillvalue=(None, {}))
        for (name, want), (place, got) in pairs:
            fault = mismatch(want, got)
            if fault:
                raise ValueError(
                    f'layer {name!r} of {type(module).__name__} does not fit {place!r} of '
                    f'the weights: {fault}. Check architecture, base_channels and norm_cfg'
                )
            loaded.update({f'{name}.{key}': got[key] for key in got if key in want})
    except ValueError as error:
        names = _beginnings(state)
        if not names:
            raise
        raise ValueError(
            f'{error}. The tensors belong to {names}: choose one as the part'
        ) from error
    # Batch norm of old files has no num_batches_tracked: ours stays.
    module.load_state_dict({**module.state_dict(), **loaded})


def _by_name(module: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors as a network may have them that has their names.

    In GAN Compression's files of GauGAN's sub-networks, norms have the
    statistics of the whole super-net: theirs are the leading ones. MUNIT's
    layer norms have ``gamma`` and ``beta``.
    """
    own = module.state_dict()
    named = fold_spectral(state, own)
    for key in named.keys() - own.keys():
        layer, _, leaf = key.rpartition('.')
        name = f'{layer}.{_NORMS[leaf]}' if leaf in _NORMS else key
        if name in own:
            named[name] = named.pop(key)
    for key in own.keys() & named.keys():
        if key.endswith(('running_mean', 'running_var')):
            named[key] = named[key][: len(own[key])]
    return named


def to_rgb(source: str | os.PathLike | dict) -> dict[str, Tensor]:
    """Turn the networks of a mmagic checkpoint, for BGR images, to RGB.

    mmagic's CycleGAN and Pix2Pix read and write images in OpenCV's order of
    channels, this package in RGB. The order of the channels of the first and
    the last convolution is reversed: the networks compute the same.

    Args:
        source (str | Path | dict): Checkpoint of a translation model, or its
            content: ``generators.<domain>.*``, ``discriminators.<domain>.*``.

    Returns:
        dict[str, Tensor]: All tensors of these networks, by the same names.

    Raises:
        ValueError: If it holds no such generator, or one that is not for
            images of 3 channels.
    """
    if not isinstance(source, dict):
        source = read_checkpoint(source)
    state = {
        key: value
        for key, value in weights_in(source).items()
        if key.startswith(('generators.', 'discriminators.'))
    }
    networks: dict[str, list] = {}
    for key in sorted(state, key=_place):
        if state[key].dim() == 4:
            networks.setdefault('.'.join(key.split('.')[:2]), []).append(key)
    if not any(name.startswith('generators.') for name in networks):
        raise ValueError(
            'it has no tensors "generators.<domain>.*": expected '
            'a checkpoint of a CycleGAN or Pix2Pix of mmagic'
        )
    for name, keys in networks.items():
        first, last = state[keys[0]], state[keys[-1]]
        images = first.shape[1] // 3  # two for the discriminator of pairs
        if first.shape[1] % 3 or name.startswith('generators.') and 3 not in last.shape[:2]:
            raise ValueError(
                f'{name} is not for images of 3 channels: there is no order to be turned'
            )
        state[keys[0]] = first.unflatten(1, (images, 3)).flip(2).flatten(1, 2)
        if name.startswith('generators.'):
            # the outputs of a transposed convolution are its second dimension
            state[keys[-1]] = state[keys[-1]].flip(0 if last.shape[0] == 3 else 1)
            bias = keys[-1].removesuffix('weight') + 'bias'
            if bias in state:
                state[bias] = state[bias].flip(0)
    return state


def _part(content: Mapping[str, Any], part: str) -> dict[str, Tensor]:
    """Return the tensors of one network in the content of a file."""
    wanted = part.strip('.')
    while True:
        inner = {
            key: value
            for key, value in content.items()
            if isinstance(value, dict) and weights_in(value)
        }
        named = next((key for key in inner if f'{wanted}.'.startswith(f'{key}.')), None)
        if named is not None:
            wanted = wanted[len(named) + 1 :]
        elif len(inner) == 1 and not any(isinstance(value, Tensor) for value in content.values()):
            named = next(iter(inner))
        else:
            break
        content = inner[named]
    state = weights_in(dict(content), wanted)
    if inner or not state:
        flat = weights_in(dict(content))
        raise ValueError(
            f'no weights in the part {part!r}: choose one of '
            f'{sorted(inner) or _beginnings(flat) or sorted(content)[:5]}'
        )
    return state


def _beginnings(state: Mapping[str, Tensor]) -> list[str]:
    """Return the names of networks whose tensors lie side by side."""
    start = ''
    while True:
        names = {key[len(start) :].split('.')[0] for key in state}
        if len(names) != 1 or start + next(iter(names)) in state:
            break
        start += f'{names.pop()}.'
    children = sorted(start + name for name in names)
    return (
        []
        if any(name.rpartition('.')[2].isdigit() or name in state for name in children)
        else children
    )


def _assembled(content: str, rest: str, part: str) -> dict[str, Tensor]:
    """Return the tensors of MUNIT's translation, of both auto-encoders."""
    first, second = (_part(read_checkpoint(path), part) for path in (content, rest))
    return {key: (first if key.startswith(_CONTENT) else second)[key] for key in second}


def _place(key: str) -> list:
    return [(part.isdigit(), int(part) if part.isdigit() else part) for part in key.split('.')]


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


def convert_original(
    source: str,
    target: str,
    config: str,
    path: str = 'generator',
    part: str = '',
    overwrite: bool = False,
    rest: str | None = None,
) -> nn.Module:
    """Write a checkpoint of an original repository as ours.

    Args:
        source (str): The original checkpoint.
        target (str): File to write.
        config (str): Recipe that has the network.
        path (str): Where ``cfg.model`` of it holds the network's config, such
            as ``'distiller.teachers.wide'``.
        part (str): As of :func:`load_original`.
        overwrite (bool): Whether ``target`` may be replaced.
        rest (str | None): Of MUNIT's two auto-encoders the one that draws:
            only the content encoder is taken of ``source`` then.

    Returns:
        nn.Module: The network with its weights.

    Raises:
        FileExistsError: If ``target`` is there.
        KeyError: If the config has no such network.
        ValueError: If the weights do not fit it.
    """
    refuse_taken([target], [source, config, *filter(None, [rest])], overwrite)
    cfg = read_config(find_config(config))
    init_default_scope(cfg.get('default_scope', 'mmagic'))
    node = cfg.get('model') or {}
    for key in path.split('.'):
        if not isinstance(node, dict) or key not in node:
            found = list(node) if isinstance(node, dict) else node
            raise KeyError(f'no {key!r} of --network {path} in the config; there is: {found}')
        node = node[key]
    network = MODELS.build({key: value for key, value in node.items() if key != 'init_cfg'})
    state = read_checkpoint(source) if rest is None else _assembled(source, rest, part)
    load_original(network, state, part if rest is None else '')
    write_tensors(target, network.state_dict())
    return network
