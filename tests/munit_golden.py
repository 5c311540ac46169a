"""Networks, images and styles of the golden fixtures of MUNIT."""

import numpy as np
import torch

from golden import build, load_json, load_npz

GENERATOR = 'mmgan_compress.MUNITGenerator'
DISCRIMINATOR = 'mmgan_compress.MUNITDiscriminator'
GOLDEN = load_json('munit')
TINY = dict(type=GENERATOR, mlp_channels=16)


def normal(seed, shape):
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape)).float()


def image(seed):
    return torch.tanh(normal(seed, (2, 3, 64, 64)))


def published(prefix):
    """Return the tensors of a network of the fixtures as ours has them."""
    return {
        name.replace('gamma', 'weight').replace('beta', 'bias'): tensor
        for name, tensor in load_npz('munit', f'{prefix}/').items()
    }


def load(net, prefix):
    net.load_state_dict(published(prefix))
    return net


def generator():
    return load(build(**TINY, base_channels=3), 'T')


def discriminator(prefix='D'):
    return load(build(DISCRIMINATOR, base_channels=2), prefix)
