"""Networks and images of the golden fixtures of GCC's SRGAN."""

import numpy as np
import torch

from golden import build, load_json, load_npz
from mmgan_compress.core.channels import channel_map, resize
from mmgan_compress.models.topology import free_channels

GENERATOR = 'mmgan_compress.SRResNet'
DISCRIMINATOR = 'mmgan_compress.SRGANDiscriminator'
GATED = dict(type='mmgan_compress.GatedPatchDiscriminator', before_activation=True)
MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
DEVIATION = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def low(seed):
    """Return images that ours normalises to the fixture's input."""
    noise = np.random.RandomState(seed).standard_normal((2, 3, 12, 12))
    return 2 * (torch.from_numpy(noise).float() * DEVIATION + MEAN) - 1


def high(seed):
    noise = np.random.RandomState(seed).standard_normal((2, 3, 48, 48))
    return torch.tanh(torch.from_numpy(noise)).float()


def in_order(net, state):
    """Give a network the tensors of another one, layer by layer."""
    own = {k: v for k, v in net.state_dict().items() if not k.endswith('num_batches_tracked')}
    assert len(own) == len(state)
    shaped = {k: v.reshape(own[k].shape) for k, v in zip(own, state.values())}
    net.load_state_dict(shaped, strict=False)
    return net


def load_generator(net, name):
    """Fill a generator of the fixture's base channels; 's_G' is narrow."""
    if name == 's_G':
        channels = channel_map(net)
        for place, width in zip(free_channels(net), load_json('srgan')['nets']['filter_cfgs']):
            channels[place.writer][1] = channels[place.reader][0] = width
            channels[place.norm][0] = width
        resize(net, channels)
    return in_order(net, load_npz('srgan', f'{name}/'))


def generator(name):
    return load_generator(build(GENERATOR, base_channels=dict(t_G=6, s_G=4)[name]), name)


def load_discriminator(net, name):
    """Fill a discriminator, with its gates if it has some."""
    state = load_npz('srgan', f'{name}/')
    gates = [state.pop(key) for key in list(state) if key.endswith('.alpha')]
    in_order(getattr(net, 'body', net), state)
    for gate, alpha in zip(getattr(net, 'gates', []), gates, strict=True):
        gate.alpha.data = alpha
    return net


def plain_discriminator(name):
    return load_discriminator(build(DISCRIMINATOR, base_channels=3), name)


def gated(name):
    body = dict(type=DISCRIMINATOR, base_channels=4)
    return load_discriminator(build(**GATED, discriminator=body), name)
