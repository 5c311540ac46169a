"""Networks and label maps of the golden fixtures of GauGAN."""

import numpy as np
import torch

from golden import build, load_json, load_npz

GENERATOR = 'mmgan_compress.SPADEGenerator'
DISCRIMINATOR = 'mmgan_compress.MultiScaleDiscriminator'
LABELS = dict(classes=4, dont_care=True)
CITYSCAPES, COCO = dict(classes=35), dict(classes=182, dont_care=True)
CASES = dict(  # by their names in the fixtures
    spade=dict(base_channels=1, upsampling='more', spectral_norm=True),
    mobile=dict(base_channels=1, upsampling='more', separable=True),
    mobile_normal=dict(base_channels=1, separable=True),
)


def picture_of(labels, instances):
    """Return the picture of a label map, (N, 2, H, W) in [-1, 1].

    Args:
        labels (ndarray): (N, 1, H / 8, W / 8), 4 is what has no class.
        instances (ndarray): (N, 1, H / 4, W / 4).
    """
    labels = np.repeat(np.repeat(labels, 8, 2), 8, 3)
    instances = np.repeat(np.repeat(instances, 4, 2), 4, 3)
    edges = np.zeros(instances.shape, bool)
    for axis in (2, 3):
        near = np.diff(instances, axis=axis) != 0
        ahead = np.insert(near, 0, False, axis)
        edges |= ahead | np.insert(near, near.shape[axis], False, axis)
    levels = np.concatenate([np.where(labels == 4, 255, labels), 255 * edges], 1)
    return torch.from_numpy((levels.astype('float32') - 127.5) / 127.5)


def label_map():
    arrays = load_npz('gaugan', 'in/')
    return picture_of(arrays['label'].numpy(), arrays['instance'].numpy())


def photo(seed=302, size=(2, 3, 64, 128)):
    return torch.tanh(torch.from_numpy(np.random.RandomState(seed).standard_normal(size))).float()


def load(net, prefix, file='gaugan'):
    """Give a network the tensors of a fixture, by the same names."""
    state = load_npz(file, f'{prefix}/')
    own = {k for k in net.state_dict() if not k.endswith('num_batches_tracked')}
    assert own == state.keys(), own ^ state.keys()
    net.load_state_dict(state, strict=False)
    return net


def generator(name):
    return load(build(GENERATOR, labels=LABELS, **CASES[name]), f'gen/{name}')


def discriminator():
    return load(build(DISCRIMINATOR, labels=LABELS, base_channels=2), 'D')


def transfer_weights_of(names, seed=7000):
    """Return the wide network's tensors of the transfer's recipe."""
    state = {}
    for index, (name, shape) in enumerate(names):
        values = np.random.RandomState(seed + index).standard_normal(shape).astype('float32')
        values = np.abs(values) if 'running_var' in name else values
        state[name] = torch.from_numpy(values)
    return state


GOLDEN = load_json('gaugan')
