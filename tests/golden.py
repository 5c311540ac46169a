"""Golden fixtures: outputs of the papers' own code (see README there)."""

import json
from pathlib import Path

import numpy as np
import torch
from mmengine.registry import init_default_scope

from mmgan_compress.registry import MODELS

DATA = Path(__file__).with_name('data')


def load_json(name: str) -> dict:
    """Read ``tests/data/<name>.json``."""
    return json.loads((DATA / f'{name}.json').read_text())


def load_npz(name: str, prefix: str = '') -> dict:
    """Read the tensors of ``tests/data/<name>.npz``.

    Args:
        name (str): File without suffix.
        prefix (str): Only tensors whose name begins so, without it.
    """
    with np.load(DATA / f'{name}.npz') as arrays:
        return {
            key.removeprefix(prefix): torch.from_numpy(arrays[key])
            for key in arrays.files
            if key.startswith(prefix)
        }


def relative_error(got, want) -> float:
    """Return the largest error relative to the largest expected value."""
    got = torch.as_tensor(got, dtype=torch.float64)
    want = torch.as_tensor(want, dtype=torch.float64)
    assert got.shape == want.shape, (got.shape, want.shape)
    return float((got - want).abs().max() / want.abs().max())


def assert_close_rel(got, want, tol: float = 1e-4) -> None:
    """Compare, relative to the largest expected value."""
    error = relative_error(got, want)
    assert error <= tol, f'relative error {error:.2e}, tolerance {tol:.0e}'


def build(type: str, **kwargs) -> torch.nn.Module:
    """Build a registered module in the scope of a mmagic config."""
    init_default_scope('mmagic')
    return MODELS.build(dict(type=type, **kwargs))


# Filters that GCC trains CycleGAN horse2zebra with, from 24 base channels:
# hard-coded behind its search (utils/prune_util.py). Parameters and the
# papers' MACs at 256 pixels.
GCC_WIDTHS = {
    'zebra': (
        (
            24,
            48,
            86,
            72,
            86,
            47,
            86,
            44,
            86,
            43,
            86,
            43,
            86,
            29,
            86,
            30,
            86,
            37,
            86,
            36,
            86,
            48,
            24,
        ),
        180566,
        2383638528,
    ),
    'horse': (
        (
            24,
            48,
            96,
            91,
            96,
            73,
            96,
            62,
            96,
            61,
            96,
            74,
            96,
            54,
            96,
            51,
            96,
            58,
            96,
            81,
            96,
            48,
            24,
        ),
        243298,
        2691059712,
    ),
}
