"""Weights that a TensorFlow.js model is shipped with."""

import json

import numpy as np

from ..archive import members
from ..fetch import FetchError, PathLike

_MODEL = 'model.json'


def read_tfjs(archive: PathLike, folder: str) -> dict[str, np.ndarray]:
    """Read the float weights of a model out of an archive.

    The format (``weightsManifest`` of TensorFlow.js' converter): the files
    of a group, put together, hold its weights one behind the other; a
    quantized one is integers, of which each stands for q * scale + min.

    Args:
        archive: A .tgz, .tar or .zip file.
        folder: Folder in it that holds ``model.json`` and the weights.

    Returns:
        dict: float32 arrays by name; constants of other types are left out.

    Raises:
        FetchError: If there is no such model, or its files do not fit.
    """
    files = {
        name.rpartition('/')[2]: stream.read()
        for name, stream in members(archive)
        if name.rpartition('/')[0].endswith(folder)
    }
    if _MODEL not in files:
        raise FetchError(f'{archive} holds no {folder}/{_MODEL}. Is it the right archive?')
    weights = {}
    for group in json.loads(files[_MODEL])['weightsManifest']:
        missing = [path for path in group['paths'] if path not in files]
        if missing:
            raise FetchError(f'{archive} lacks {folder}/{missing[0]}: fetch it again.')
        blob = b''.join(files[path] for path in group['paths'])
        weights.update(_split(blob, group['weights'], folder))
    return weights


def _split(blob: bytes, entries: list, folder: str) -> dict[str, np.ndarray]:
    """Cut the bytes of a group into its weights."""
    weights, start = {}, 0
    for entry in entries:
        how = entry.get('quantization')
        kind = np.dtype(how['dtype'] if how else entry['dtype'])
        count = int(np.prod(entry['shape']))
        if start + count * kind.itemsize > len(blob):
            break
        values = np.frombuffer(blob, kind, count, start)
        start += count * kind.itemsize
        if entry['dtype'] != 'float32':
            continue
        if how and 'scale' in how:
            values = values.astype('f4') * np.float32(how['scale']) + np.float32(how['min'])
        weights[entry['name']] = values.astype('f4').reshape(entry['shape'])
    else:
        if start == len(blob):
            return weights
    raise FetchError(
        f'the weights of {folder} have {len(blob)} bytes, which is not what its {_MODEL} describes'
    )
