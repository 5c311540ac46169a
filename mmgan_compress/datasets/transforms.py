"""Transforms that read images, for mmagic's pipelines."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from PIL import Image

from ..core.inputs import LabelMap, Noise
from ..registry import TRANSFORMS
from .images import half_of, open_image, read_image, read_label_map, to_array, with_channels


@TRANSFORMS.register_module()
class ReadImage(BaseTransform):
    """Read ``<key>_path`` as ``datasets.images.read_image`` does.

    Adds ``<key>``, uint8, (H, W, channels); (H, W) of grey images, to which
    ``Resize`` and ``PackInputs`` add the last dimension.

    Args:
        key (str): Name of the image.
        channels (int): 1 (grey), 3 (RGB) or 4 (RGBA).
        half (str | None): ``'A'`` or ``'B'``, which half of the file it is;
            all of it if None.
    """

    def __init__(self, key: str, channels: int = 3, half: str | None = None):
        self.key, self.channels, self.half = key, channels, half

    def transform(self, results: dict) -> dict:
        """Add the image."""
        path = results[f'{self.key}_path']
        if self.half is None:
            image = read_image(path, self.channels)
        else:
            image = with_channels(half_of(open_image(path), self.half), self.channels)
        results[self.key] = np.array(image)
        return results


@TRANSFORMS.register_module()
class ShuffleColours(BaseTransform):
    """Put red, green and blue of an image into a random order.

    Args:
        key (str): Name of the image, (H, W, channels).
    """

    def __init__(self, key: str):
        self.key = key

    def transform(self, results: dict) -> dict:
        """Change the image; a grey one, and alpha, stay as they are."""
        image = results[self.key]
        if image.ndim == 3 and image.shape[2] >= 3:
            order = [*np.random.permutation(3), *range(3, image.shape[2])]
            results[self.key] = image[..., order]
        return results


@TRANSFORMS.register_module()
class ReadPair(BaseTransform):
    """Read the halves of ``pair_path`` as ``img_<domain>``.

    Args:
        channels (dict[str, int]): Of the left and of the right half, by
            domain.
    """

    def __init__(self, channels: Mapping[str, int]):
        self.channels = dict(channels)

    def transform(self, results: dict) -> dict:
        """Add both images, as :class:`ReadImage` adds one."""
        pair = open_image(results['pair_path'])
        for side, (domain, channels) in zip('AB', self.channels.items()):
            image = with_channels(half_of(pair, side), channels)
            results[f'img_{domain}'] = np.array(image)
        return results


@TRANSFORMS.register_module()
class ReadLabels(BaseTransform):
    """Read ``<key>_path`` as ``datasets.images.read_label_map`` does.

    Adds ``<key>``, uint8, (H, W, channels). Objects are those of the image
    ``<key>_instances_path``, where there is one.

    Args:
        key (str): Name of the label map.
        labels (dict): Arguments of :class:`~mmgan_compress.core.inputs.LabelMap`.
        size (tuple[int, int]): Width and height.
    """

    def __init__(self, key: str, labels: Mapping, size: Sequence[int]):
        self.key, self.takes, self.size = key, LabelMap(**labels), tuple(size)

    def transform(self, results: dict) -> dict:
        """Add the label map."""
        instances = results.get(f'{self.key}_instances_path')
        image = read_label_map(results[f'{self.key}_path'], self.takes, instances, self.size)
        results[self.key] = to_array(image)
        return results


@TRANSFORMS.register_module()
class ShrinkImage(BaseTransform):
    """Add a smaller copy of an image, by Pillow's bicubic.

    The image itself is cut, around its centre, to sides that are multiples of
    the scale.

    Args:
        key (str): Name of the image.
        small (str): Name of the copy.
        scale (int): How many times as small it is.
    """

    def __init__(self, key: str, small: str, scale: int):
        self.key, self.small, self.scale = key, small, scale

    def transform(self, results: dict) -> dict:
        """Cut the image and add the copy, uint8."""
        image, scale = results[self.key], self.scale
        rest = [side % scale for side in image.shape[:2]]
        top, left = (part // 2 for part in rest)
        height, width = (side - part for side, part in zip(image.shape, rest))
        results[self.key] = image = image[top : top + height, left : left + width]
        small = Image.fromarray(np.ascontiguousarray(image)).resize(
            (width // scale, height // scale), Image.Resampling.BICUBIC
        )
        results[self.small] = np.array(small)
        return results


@TRANSFORMS.register_module()
class AddNoise(BaseTransform):
    """Add ``noise``, (size,), float32: numbers from a standard normal distribution.

    Args:
        size (int): How many.
        seed (int | None): They depend on it and on ``sample_idx`` alone. None
            draws them as torch does: a training data set seeds that by its
            seed and the position.
    """

    def __init__(self, size: int, seed: int | None = None):
        self.noise, self.seed = Noise(size), seed

    def transform(self, results: dict) -> dict:
        """Add the noise."""
        if self.seed is None:
            results['noise'] = torch.randn(self.noise.size)
        else:
            results['noise'] = self.noise.draw(self.seed, results['sample_idx'])
        return results
