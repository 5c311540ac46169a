"""Transforms that read images, for mmagic's pipelines."""

from collections.abc import Mapping

import numpy as np
from mmcv.transforms import BaseTransform

from ..core.image_modes import check_image_channels
from ..registry import TRANSFORMS
from .images import open_image, read_image, with_channels


@TRANSFORMS.register_module()
class ReadImage(BaseTransform):
    """Read ``<key>_path`` as ``datasets.images.read_image`` does.

    Adds ``<key>``, uint8, (H, W, channels); (H, W) of grey images, to which
    ``Resize`` and ``PackInputs`` add the last dimension.

    Args:
        key (str): Name of the image.
        channels (int): 1 (grey), 3 (RGB) or 4 (RGBA).
    """

    def __init__(self, key: str, channels: int = 3):
        check_image_channels(channels)
        self.key, self.channels = key, channels

    def transform(self, results: dict) -> dict:
        """Add the image."""
        image = read_image(results[f'{self.key}_path'], self.channels)
        results[self.key] = np.array(image)
        return results


@TRANSFORMS.register_module()
class ReadPair(BaseTransform):
    """Read the halves of ``pair_path`` as ``img_<domain>``.

    Args:
        channels (dict[str, int]): Of the left and of the right half, by
            domain.
    """

    def __init__(self, channels: Mapping[str, int]):
        check_image_channels(*channels.values())
        self.channels = dict(channels)

    def transform(self, results: dict) -> dict:
        """Add both images, as :class:`ReadImage` adds one."""
        pair = open_image(results['pair_path'])
        half = pair.width // 2
        for left, (domain, channels) in zip((0, half), self.channels.items()):
            image = pair.crop((left, 0, left + half, pair.height))
            results[f'img_{domain}'] = np.array(with_channels(image, channels))
        return results
