"""Files of torch as data: tensors and plain values, nothing that runs."""

import hashlib
import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def load_tensors(path: str | Path) -> Any:
    """Read a file of ``torch.save``; no code in it is run.

    torch does not compare the checksums that its files hold; this does, so
    a flipped byte is noticed.

    Args:
        path (str | Path): File that holds tensors and plain values.

    Returns:
        Any: What was saved, on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or holds more than that.
    """
    try:
        if zipfile.is_zipfile(path):  # torch's older form is none
            _check_records(path)
        return torch.load(path, map_location='cpu', weights_only=True)
    except FileNotFoundError:
        raise
    # a file from elsewhere may break the reader in any way
    except Exception as error:
        reason = str(error).partition('\n')[0]
        if isinstance(error, pickle.UnpicklingError):
            reason = 'what is in it could run code, or is not of torch'
        raise ValueError(
            f'{path} is damaged, or holds more than tensors and plain values: {reason}'
        ) from error


def _check_records(path: str | Path):
    with zipfile.ZipFile(path) as file:
        # torch compresses nothing: 1 MB may not become 1 GB in memory
        if sum(record.file_size for record in file.infolist()) > os.path.getsize(path):
            raise ValueError('its records are larger than the file')
        damaged = file.testzip()
    if damaged is not None:
        raise ValueError(f'the checksum of its record {damaged} is wrong')


def state_digest(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 (hex) of names, shapes and values of tensors.

    Args:
        state (Mapping[str, Tensor]): By name, in any order, on the CPU. The
            container that they are saved in does not matter.
    """
    digest = hashlib.sha256()
    for key in sorted(state):
        digest.update(f'{key}{tuple(state[key].shape)}'.encode())
        # as bytes: NumPy does not know all types of torch
        digest.update(
            state[key].detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        )
    return digest.hexdigest()
