"""Features of the real images that generated ones are compared with."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn as nn
from mmengine.device import get_device
from mmengine.logging import MMLogger
from PIL import Image
from torch import Tensor

from ..core.files import write_tensors
from ..core.messages import check_choice
from ..core.tensor_files import load_tensors
from ..datasets.fetch import cache_dir
from ..datasets.images import (
    check_images,
    half_of,
    has_halves,
    list_images,
    missing_data,
    read_image,
    side_folder,
    to_array,
)
from .distances import MIN_IMAGES
from .networks import fingerprint
from .pixels import to_rgb

BATCH_SIZE = 16


@dataclass(frozen=True)
class Reference:
    """Real images of one domain.

    Args:
        data_root (str): Folder of the data set.
        side (str): ``'A'`` or ``'B'``: which domain of the data set; ``''``
            where it has images of one (``train/``).
        split (str): ``'train'``, ``'val'`` or ``'test'``, or several joined
            by ``+``. The papers on unpaired translation take
            ``'train+test'``, mmagic ``'test'``.
        layout (str): ``'unpaired'`` (``testA/ testB/``) or ``'paired'``
            (``test/`` of side-by-side images, or A and B in two folders).
        size (int): Side in pixels to which images are resized, as the
            generator's are (PIL bicubic).
        channels (int): 1, 3 or 4, as the generator's images have.
        crop (int | None): Side in pixels of the square in the middle of an
            image that is used; all of it if None.

    Raises:
        ValueError: If side, split or layout is none of these, or there are
            too few images.
        FileNotFoundError: If there is no image; names the folder.
    """

    data_root: str
    side: str
    split: str = 'test'
    layout: str = 'unpaired'
    size: int = 256
    channels: int = 3
    crop: int | None = None

    def __post_init__(self):
        check_choice('reference.side', self.side, ('A', 'B', ''))
        check_choice('reference.layout', self.layout, ('unpaired', 'paired'))
        for split in self.split.split('+'):
            check_choice('reference.split', split, ('train', 'val', 'test'))
        count = len(self.files())
        if count < MIN_IMAGES:
            raise ValueError(
                f'reference: {self.describe(count)}, expected at least '
                f'{MIN_IMAGES}: add images to {self.data_root}, or name '
                "another split, such as 'train'"
            )

    def files(self) -> list[str]:
        """Return the image files, split by split, sorted within each."""
        side = '' if self._halved() else self.side
        found = []
        for split in self.split.split('+'):
            folder = side_folder(self.data_root, split, side)
            files = list_images(folder)
            if not files:
                raise missing_data(self.data_root, folder)
            found += files
        return found

    def _halved(self) -> bool:
        return self.layout == 'paired' and has_halves(self.data_root, self.split.split('+')[0])

    def load(self, path: str) -> Tensor:
        """Read one image as the data sets of this package do.

        Args:
            path (str): Image file; of a pair, the half of ``side`` is taken.

        Returns:
            Tensor: (3, size, size), RGB, float, whole numbers 0..255; grey
            and RGBA as `pixels.to_rgb` turns them.
        """
        image = read_image(path, self.channels)
        if self._halved():
            image = half_of(image, self.side)
        if self.crop:
            left, top = ((length - self.crop) // 2 for length in image.size)
            image = image.crop((left, top, left + self.crop, top + self.crop))
        image = image.resize((self.size, self.size), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(to_array(image)).permute(2, 0, 1)
        return to_rgb(pixels.float())

    def describe(self, count: int) -> str:
        """Say in words what the reference is."""
        side = self.side and f', side {self.side}'
        crop = f'the middle {self.crop}x{self.crop}, ' if self.crop else ''
        return (
            f'{count} real images ({self.split}{side} of {Path(self.data_root).name}, '
            f'{crop}PIL bicubic to {self.size}x{self.size})'
        )

    def _cache_file(self, files: list[str], network: nn.Module) -> Path:
        """Return the cache's file, named by all that features depend on."""
        stats = [os.stat(path) for path in files]
        key = json.dumps(
            [
                self._halved(),
                self.side,
                self.size,
                self.channels,
                'PIL',
                *([self.crop] if self.crop else []),
                fingerprint(network),
                [
                    (os.path.abspath(path), stat.st_size, stat.st_mtime_ns)
                    for path, stat in zip(files, stats)
                ],
            ]
        )
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        return cache_dir() / 'stats' / f'{network.name}-{name}.pt'

    def features(self, network: nn.Module) -> Tensor:
        """Return the features of all images, computed once and cached.

        Args:
            network (nn.Module): See `networks.shared_network`.

        Returns:
            Tensor: (n, network.num_features), float32, on the CPU.

        Raises:
            ValueError: If an image is corrupt or tiny; names the files.
        """
        files = self.files()
        path = self._cache_file(files, network)
        shape = (len(files), network.num_features)
        features = _read(path, shape)
        if features is None:
            MMLogger.get_current_instance().info(
                'computing %s features of %s', network.name, self.describe(len(files))
            )
            features = self._compute(files, network)
            write_tensors(path, features.clone())
        return features

    def check(self):
        """Read each image once in a process.

        Raises:
            ValueError: If one is corrupt or tiny; names the files.
        """
        check_images(self.files(), self._halved(), channels=self.channels)

    @torch.no_grad()
    def _compute(self, files: list[str], network: nn.Module) -> Tensor:
        self.check()
        device = get_device()
        network = network.to(device)
        parts = []
        for start in range(0, len(files), BATCH_SIZE):
            batch = files[start : start + BATCH_SIZE]
            images = torch.stack([self.load(path) for path in batch])
            parts.append(network(images.to(device)).float().cpu())
        return torch.cat(parts)


def _read(path: Path, shape: tuple) -> Tensor | None:
    if not path.exists():
        return None
    try:
        features = load_tensors(path)
        if tuple(features.shape) != shape or not features.isfinite().all():
            raise ValueError(f'shape {tuple(features.shape)}, expected {shape} finite numbers')
    except (AttributeError, OSError, ValueError) as error:
        MMLogger.get_current_instance().warning(
            '%s is damaged (%s): computing it again', path, error
        )
        return None
    return features
