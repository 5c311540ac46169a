"""How a prepared data set lies on disk, and how it gets there unbroken.

Paired sets hold side-by-side images A|B in ``train/ val/ test/``, unpaired
ones a folder per split and domain: ``trainA/ trainB/ ...``. This is what
mmagic's data sets read. ``.prepared.json`` says where the images are from.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..core.files import atomic_folder, write_text
from .images import list_images

MANIFEST = '.prepared.json'


class DataError(ValueError):
    """A data set cannot be prepared as asked."""


@dataclass
class Sample:
    """One entry of a data set: an image in domain A, in B, or in both; ``I``
    is of the instances in A.
    """

    split: str
    stem: str
    images: dict[str, Image.Image]


def split_of(key: str) -> str:
    """Assign a key to a split, the same one on every machine.

    Args:
        key: What must stay together: all entries of one key share a split.

    Returns:
        str: 'test' (about 10 %), 'val' (10 %) or 'train' (80 %).
    """
    digit = int(hashlib.md5(key.encode()).hexdigest(), 16) % 10
    return {0: 'test', 1: 'val'}.get(digit, 'train')


def side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    """Join two images of one size into a pair A|B."""
    width, height = left.size
    pair = Image.new('RGB', (2 * width, height))
    pair.paste(left, (0, 0))
    pair.paste(right, (width, 0))
    return pair


def write_samples(samples: Iterable[Sample], root: Path, paired: bool, suffix: str) -> None:
    """Write samples in the layout of the data set.

    Args:
        samples: What to write.
        root: The data set's folder.
        paired: Side-by-side pairs, else a folder per domain.
        suffix: Format of the files, such as '.png'; numbers of classes are
            PNG always.
    """
    for sample in samples:
        images = {'': side_by_side(*map(sample.images.get, 'AB'))} if paired else sample.images
        for domain, image in images.items():
            folder = root / f'{sample.split}{domain}'
            folder.mkdir(exist_ok=True)
            ending = suffix if image.mode == 'RGB' else '.png'
            # of JPEG, as prepare_cityscapes_dataset.py has it
            image.save(folder / f'{sample.stem}{ending}', quality=100, subsampling=0)


def count_images(root: Path) -> dict[str, int]:
    """Count the images in each folder of a data set."""
    return {
        folder.name: len(list_images(folder))
        for folder in sorted(root.iterdir())
        if folder.is_dir()
    }


def read_manifest(root: Path) -> dict:
    """Read what is known of a prepared data set; empty if not ours."""
    path = root / MANIFEST
    return json.loads(path.read_text()) if path.exists() else {}


@contextmanager
def building(out: Path, manifest: dict) -> Iterator[Path]:
    """Build a data set beside its place; move it there when complete.

    A run that is interrupted leaves no half-filled folder that training
    would take for a data set.

    Args:
        out: The data set's place, absent or empty.
        manifest: What to write into ``.prepared.json``; the counts are
            added.

    Yields:
        Path: The empty folder to fill.
    """
    with atomic_folder(out) as work:
        yield work
        manifest['counts'] = count_images(work)
        if not any(manifest['counts'].values()):
            raise DataError(
                f'No image came out for {out}: the archives do not hold what this recipe reads.'
            )
        write_text(work / MANIFEST, json.dumps(manifest, indent=2) + '\n')
