"""Networks, images and styles of the golden fixtures of MUNIT."""

import numpy as np
import torch

from golden import build, load_json, load_npz
from mmgan_compress.models.original import load_original

GENERATOR = 'mmgan_compress.MUNITGenerator'
DISCRIMINATOR = 'mmgan_compress.MUNITDiscriminator'
GOLDEN = load_json('munit')
TINY = dict(type=GENERATOR, mlp_channels=16)


def normal(seed, shape):
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape)).float()


def image(seed):
    return torch.tanh(normal(seed, (2, 3, 64, 64)))


def load(net, prefix):
    """Give a network the tensors of a fixture, whose names are the published ones."""
    load_original(net, load_npz('munit', f'{prefix}/'))
    return net


def assembled(net, content, rest):
    """Give a generator the content encoder of one auto-encoder, all else of another."""
    load(net, content)
    first = {key: t.clone() for key, t in net.state_dict().items() if 'content' in key}
    load(net, rest).load_state_dict(first, strict=False)
    return net


def generator():
    return load(build(**TINY, base_channels=3), 'T')


def discriminator(prefix='D'):
    return load(build(DISCRIMINATOR, base_channels=2), prefix)
