"""Networks and batches of the golden fixtures of GCC's SAGAN."""

import re

import numpy as np
import torch

from golden import build, load_npz

GENERATOR = 'mmgan_compress.SelfAttentionGenerator'
DISCRIMINATOR = 'mmgan_compress.SelfAttentionDiscriminator'
WIDTHS = [20, 14, 10, 8]  # of the narrow one
PLACES = dict(l1=0, l2=1, l3=2, attn1=3, l4=4, attn2=5, last=6)


def noise(seed):
    drawn = np.random.RandomState(seed).standard_normal((4, 16))
    return torch.from_numpy(drawn.astype('float32'))


def images(seed):
    drawn = np.random.RandomState(seed).standard_normal((4, 3, 64, 64))
    return torch.tanh(torch.from_numpy(drawn)).float()


def own_name(name, conv):
    """Return what the original's tensor is called here."""
    place, rest = name.split('.', 1)
    rest = rest.replace('_conv.', '.').replace('weight_bar', 'weight')
    rest = re.sub(r'^0\.module', conv, rest)
    rest = rest.removeprefix('0.') if place == 'last' else rest
    return f'model.{PLACES[place]}.{rest}'


def load_generator(net, name):
    """Fill a generator; ``'s_G'`` is the narrow one."""
    state = {own_name(k, '0'): v for k, v in load_npz('sagan', f'{name}/').items()}
    missing, unknown = net.load_state_dict(state, strict=False)
    assert not unknown and all(key.endswith('num_batches_tracked') for key in missing)
    return net


def load_discriminator(net, name):
    """Fill a discriminator, with its gates if it has some."""
    state = load_npz('sagan', f'{name}/')
    alphas = {key: state.pop(key) for key in list(state) if key.endswith('.alpha')}
    getattr(net, 'body', net).load_state_dict({own_name(k, 'conv'): v for k, v in state.items()})
    for key, alpha in alphas.items():
        net.gates[int(key[1]) - 1].alpha.data = alpha
    return net


def generator(name):
    config = dict(base_channels=8) if name == 't_G' else dict(widths=WIDTHS)
    return load_generator(build(GENERATOR, noise_size=16, **config), name)


def discriminator(name):
    return load_discriminator(build(DISCRIMINATOR, base_channels=4), name)


def gated(name):
    net = build(
        'mmgan_compress.GatedPatchDiscriminator',
        discriminator=dict(type=DISCRIMINATOR, base_channels=4),
        before_activation=True,
    )
    return load_discriminator(net, name)
