"""Pictures, samples and a tiny network for the tests of metrics."""

import numpy as np
import torch
import torch.nn as nn
from mmengine.evaluator import Evaluator
from PIL import Image

from mmgan_compress.registry import METRICS


class TinyFeatures(nn.Module):
    """A random network of 8 features that counts the images it sees."""

    name = 'tiny'
    num_features = 8
    protocol = 'random network'

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer('weight', torch.randn(8, 3 * 16, generator=generator))
        self.images = 0

    def forward(self, images):
        self.images += len(images)
        pooled = nn.functional.adaptive_avg_pool2d(images / 255, 4)
        return pooled.flatten(1) @ self.weight.T


def pictures(count, seed=0, low=0, high=255, size=32):
    rng = np.random.default_rng(seed)
    return rng.integers(low, high, (count, size, size, 3), dtype=np.uint8)


def write(folder, images):
    folder.mkdir(parents=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f'{index:03d}.png')


def reference(root, **kwargs):
    return dict(data_root=str(root), side='B', size=32, **kwargs)


def frechet(root, network=None, **kwargs):
    return METRICS.build(
        dict(
            type='mmgan_compress.FrechetDistance',
            domain='zebra',
            reference=reference(root, **kwargs),
            network=network or TinyFeatures(),
        )
    )


def quality(**kwargs):
    return METRICS.build(dict(type='mmgan_compress.PairedQuality', domain='zebra', **kwargs))


def tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1).float()


def samples(images, paths=None, **extra):
    paths = paths or [f'horse{i}.png' for i in range(len(images))]
    return [
        dict(fake_zebra=tensor(image), img_horse_path=path, img_zebra_path='zebra.png', **extra)
        for image, path in zip(images, paths)
    ]


def score(metric, data_samples, batch=5):
    evaluator = Evaluator([metric])
    for start in range(0, len(data_samples), batch):
        evaluator.process(data_samples[start : start + batch])
    return evaluator.evaluate(len(data_samples))


def random_vgg16():
    """State dict of VGG-16's convolutions, random, torchvision's names."""
    generator = torch.Generator().manual_seed(1)
    state, channels = {}, 3
    plan = {
        0: 64,
        2: 64,
        5: 128,
        7: 128,
        10: 256,
        12: 256,
        14: 256,
        17: 512,
        19: 512,
        21: 512,
        24: 512,
        26: 512,
        28: 512,
    }
    for index, width in plan.items():
        weight = torch.randn(width, channels, 3, 3, generator=generator)
        state[f'features.{index}.weight'] = weight * (2 / channels / 9) ** 0.5
        state[f'features.{index}.bias'] = torch.zeros(width)
        channels = width
    return state


def pairs(fakes, reals, **extra):
    found = samples(fakes, **extra)
    for sample, real in zip(found, reals):
        sample['img_zebra'] = tensor(real)
    return found
