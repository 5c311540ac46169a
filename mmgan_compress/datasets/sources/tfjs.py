"""Weights that a TensorFlow.js model is shipped with."""

import json

import numpy as np

from ..archive import members
from ..fetch import PathLike


def read_tfjs(archive: PathLike, folder: str) -> dict[str, np.ndarray]:
    """Read the float weights of a model out of an archive.

    The format (``weightsManifest`` of TensorFlow.js' converter): the files
    of a group, put together, hold its weights one behind the other; a
    quantized one is integers, of which each stands for q * scale + min.

    Args:
        archive: A .tgz, .tar or .zip file whose content is known.
        folder: Folder in it that holds ``model.json`` and the weights.

    Returns:
        dict: float32 arrays by name; constants of other types are left out.
    """
    files = {
        name.rpartition('/')[2]: stream.read()
        for name, stream in members(archive)
        if name.rpartition('/')[0].endswith(folder)
    }
    weights = {}
    for group in json.loads(files['model.json'])['weightsManifest']:
        blob, start = b''.join(files[path] for path in group['paths']), 0
        for entry in group['weights']:
            how = entry.get('quantization')
            kind = np.dtype(how['dtype'] if how else entry['dtype'])
            count = int(np.prod(entry['shape']))
            values = np.frombuffer(blob, kind, count, start)
            start += count * kind.itemsize
            if entry['dtype'] != 'float32':
                continue
            if how and 'scale' in how:
                values = values.astype('f4') * np.float32(how['scale']) + np.float32(how['min'])
            weights[entry['name']] = values.astype('f4').reshape(entry['shape'])
    return weights
