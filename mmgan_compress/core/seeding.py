"""Random draws that depend on nothing but their place in the run."""

import contextlib
import random

import numpy as np
import torch


@contextlib.contextmanager
def seeded(*entropy: int):
    """Seed Python's, NumPy's and torch's generators for a block.

    mmcv's transforms draw from the global generators; the state of the
    caller is put back, as the image buffers draw from the same ones.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)  # a GPU's is left alone
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
