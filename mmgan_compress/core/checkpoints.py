"""Files of weights: read as data, and compared with what they are for.

mmengine loads what happens to have the same name and logs the rest. Here a
file fits a network or it is refused, before anything is trained or scored.
"""

import os
import pickle
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch.nn as nn
from torch import Tensor

from ..renamed import update_checkpoint
from .tensor_files import load_tensors

StrPath = str | os.PathLike
# torch before 0.4 did not count, and nothing computes with the count
_UNIMPORTANT = 'num_batches_tracked'


def run_file(path: StrPath) -> Path:
    """Return a checkpoint, or the one that Runner's ``last_checkpoint``
    names: beside it, as the folder may have another name by now.
    """
    path = Path(path)
    if path.name == 'last_checkpoint' and path.is_file():
        return path.with_name(Path(path.read_text().strip()).name)
    return path


def read_checkpoint(path: StrPath) -> dict[str, Any]:
    """Read a file of tensors and plain values.

    Args:
        path (str | Path): As of :func:`run_file`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, or holds something else.
    """
    path = run_file(path)
    if not path.is_file():
        raise FileNotFoundError(f'no weights {str(path)!r}')
    try:
        content = load_tensors(path)
    except ValueError as error:
        if isinstance(error.__cause__, pickle.UnpicklingError):
            raise ValueError(
                f'{path} is no file of plain weights; other objects in it '
                'are not read, since they could run code. Where it was made, '
                'load it and write torch.save(network.state_dict(), '
                "'weights.pth')"
            ) from error
        raise ValueError(f'{path} cannot be read: it is damaged, or a part of a file') from error
    update_checkpoint(content)
    if not isinstance(content, dict):
        raise ValueError(f'{path} holds a {type(content).__name__}, expected a state dict')
    return content


def weights_in(content: Mapping[str, Any], prefix: str = '') -> dict[str, Tensor]:
    """Return the tensors of a file whose names begin with a prefix.

    Args:
        content (dict): Of :func:`read_checkpoint`: a state dict, or one
            under ``'state_dict'``.
        prefix (str): Dotted name of a part; names are returned without it.
    """
    state = content.get('state_dict', content)
    start = prefix and prefix.rstrip('.') + '.'
    if not isinstance(state, dict):
        return {}
    plain = {
        str(key).removeprefix('module.'): value
        for key, value in state.items()
        if isinstance(value, Tensor)
    }
    return {key.removeprefix(start): value for key, value in plain.items() if key.startswith(start)}


def fold_spectral(state: Mapping[str, Tensor], names: Container[str]) -> dict[str, Tensor]:
    """Make spectral norms a part of the weights: W / (u^T W v).

    Args:
        state (dict[str, Tensor]): ``weight_orig``, ``weight_u`` and
            ``weight_v`` of layers, as torch names them.
        names (Container[str]): Of the network that is to take the tensors.
            Norms that it has itself stay.

    Returns:
        dict[str, Tensor]: Also all other tensors.
    """
    folded = dict(state)
    for key in state:
        name = key.removesuffix('_orig')
        parts = [f'{name}{end}' for end in ('_orig', '_u', '_v')]
        if key.endswith('.weight_orig') and name in names and all(p in state for p in parts):
            weight, u, v = map(folded.pop, parts)
            folded[name] = weight / (u @ (weight.flatten(1) @ v))
    return folded


def mismatch(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor], more: bool = False
) -> str:
    """Say what keeps tensors from being loaded; empty if nothing does.

    Args:
        expected (dict[str, Tensor]): By name, of a network.
        found (dict[str, Tensor]): By name, of a file.
        more (bool): Whether the file may hold more than that.
    """
    found = fold_spectral(found, expected)
    missing = [key for key in expected if key not in found and not key.endswith(_UNIMPORTANT)]
    shapes = [
        f'{key} is {tuple(found[key].shape)}, expected {tuple(value.shape)}'
        for key, value in expected.items()
        if key in found and found[key].shape != value.shape
    ]
    left = (
        []
        if more
        else [key for key in found if key not in expected and not key.endswith(_UNIMPORTANT)]
    )
    if expected and not expected.keys() & found.keys():
        return f'no tensor in common: expected {_some(missing)}, found {_some(list(found))}'
    return '; '.join(
        f'{len(keys)} tensors {what}: {_some(keys)}'
        for what, keys in (
            ('are missing', missing),
            ('have another shape', shapes),
            ('are left over', left),
        )
        if keys
    )


def _some(keys: Sequence[str]) -> str:
    """Return the first of some names."""
    shown = ', '.join(keys[:3]) or 'none'
    return f'{shown}, ...' if len(keys) > 3 else shown


def pretrained_faults(module: nn.Module) -> list[str]:
    """Say which ``init_cfg=dict(type='Pretrained')`` cannot be followed.

    A file must match its network in full: what is missing would stay random.

    Args:
        module (nn.Module): All of its parts are looked at that are not
            initialised yet.
    """
    faults = []
    for name, part in module.named_modules():
        configs = getattr(part, 'init_cfg', None) or []
        for config in [configs] if isinstance(configs, dict) else configs:
            path: str = config.get('checkpoint', '')
            if (
                config.get('type') != 'Pretrained'
                or '://' in path
                or getattr(part, 'is_init', False)
            ):
                continue
            prefix = config.get('prefix') or ''
            where = (
                f'{path}{prefix and f" ({prefix})"} does not fit '
                f'{name or "the network"}, a {type(part).__name__}'
            )

            def compare(content: dict, part: nn.Module = part, prefix: str = prefix) -> str:
                return mismatch(part.state_dict(), weights_in(content, prefix))

            faults += file_faults(path, where, compare)
    return faults


def file_faults(path: StrPath, what: str, compare: Callable[[dict], str]) -> list[str]:
    """Return what is wrong with a file: that it cannot be read, or what
    comparing its content says, behind ``what``.
    """
    try:
        found = compare(read_checkpoint(path))
    except (FileNotFoundError, ValueError) as error:
        return [str(error)]
    return [f'{what}: {found}'] if found else []


def refuse(faults: Sequence[str]) -> None:
    """Raise a ValueError that lists faults, if there are any."""
    if faults:
        raise ValueError('\n'.join(faults))
