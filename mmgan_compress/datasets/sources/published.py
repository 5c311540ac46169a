"""The data sets of the papers, from their public homes."""

import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from ..archive import extract, members
from ..fetch import cache_dir, download
from ..images import list_images
from ..layout import DataError, Sample

HOME = 'efrosgans.eecs.berkeley.edu'
UNPAIRED_FOLDERS = ('trainA', 'trainB', 'testA', 'testB')
PAIRED_FOLDERS = ('train', 'val', 'test')


def fetch_published(family: str, filename: str, sha256: str | None) -> list[Path]:
    """Download the archive of one of the papers' data sets.

    Args:
        family: 'cyclegan' or 'pix2pix'.
        filename: The archive's name there.
        sha256: Its digest, where it is known.

    Returns:
        list: The one archive, kept in the cache.
    """
    urls = [f'{scheme}://{HOME}/{family}/datasets/{filename}' for scheme in ('https', 'http')]
    return [download(urls, cache_dir() / 'archives' / filename, sha256)]


def unpack_published(archives: Sequence[Path], root: Path, paired: bool, size: int | None) -> None:
    """Lay out an archive of the papers' data sets.

    Args:
        archives: The one archive.
        root: The folder to fill.
        paired: Side-by-side pairs in train, val and test; else a folder for
            each split and domain.
        size: Side length to resize to; None keeps the published files.
    """
    if len(archives) != 1:
        raise DataError(f'Got {len(archives)} archives, expected one.')
    wanted = PAIRED_FOLDERS if paired else UNPAIRED_FOLDERS
    # Beside the target, so that files are moved and not copied.
    with tempfile.TemporaryDirectory(dir=root.parent) as temporary:
        extract(archives[0], temporary)
        source = _find_folders(Path(temporary), wanted, archives[0])
        for folder in wanted:
            if not (source / folder).is_dir():
                continue
            (root / folder).mkdir()
            for file in list_images(source / folder):
                os.replace(file, root / folder / Path(file).name)
    if paired and not (root / 'test').exists():
        # edges2shoes and maps hold train and val; papers score on that val,
        # so it is the test split and must not select checkpoints
        (root / 'val').rename(root / 'test')
    if size:
        wanted = (2 * size if paired else size, size)
        for file in tqdm(sorted(root.rglob('*.*')), unit='image', disable=None):
            with Image.open(file) as image:
                resized = image.convert('RGB').resize(wanted, Image.LANCZOS)
            if image.size != wanted:
                resized.save(file, quality=95)


def _find_folders(top: Path, wanted: Sequence[str], archive: Path) -> Path:
    """Find the folder that holds the splits, however deep it lies."""
    for first in sorted(top.rglob(wanted[0]), key=lambda p: len(p.parts)):
        if first.is_dir() and '__MACOSX' not in first.parts:
            return first.parent
    raise DataError(
        f'{archive} holds no folder {wanted[0]}/, expected '
        f'{", ".join(wanted)}. Is it the archive of this data '
        'set?'
    )


def no_cityscapes() -> list[Path]:
    """Say how to get Cityscapes, which may not be fetched for the user."""
    raise DataError(
        'Cityscapes is given to registered users only. Log in at '
        'https://www.cityscapes-dataset.com, download '
        'gtFine_trainvaltest.zip and leftImg8bit_trainvaltest.zip, and run '
        'again with --archive gtFine_trainvaltest.zip '
        'leftImg8bit_trainvaltest.zip'
    )


def cityscapes_labels(archives: Sequence[Path], size: int) -> Iterator[Sample]:
    """Pair the classes and instances of street scenes with photographs, as
    GauGAN is trained.

    Args:
        archives: As of :func:`cityscapes`.
        size: Height of the images, which are twice as wide.

    Yields:
        Sample: A is the class of each pixel (0 to 33), I the number of its
        object, B the photograph.
    """
    kinds = dict(A='_gtFine_labelIds.png', I='_gtFine_instanceIds.png', B='_leftImg8bit.png')
    waiting: dict[tuple, dict] = {}
    for side, ending in kinds.items():
        for key, image in _cityscapes_files(archives, ending, (2 * size, size), side == 'B'):
            images = waiting.setdefault(key, {})
            images[side] = image
            if images.keys() == kinds.keys():
                yield Sample(*key, waiting.pop(key))
    if waiting:
        raise DataError(
            f'{min(waiting)[1]} lacks its photograph, classes or instances: are both archives '
            'complete?'
        )


def cityscapes(archives: Sequence[Path], size: int) -> Iterator[Sample]:
    """Pair street photographs with their coloured label maps.

    The official test labels are not public, so there are train and val.

    Args:
        archives: The archives of the photographs and of the labels.
        size: Side length of the images (published: 2048 x 1024).

    Yields:
        Sample: A is the photograph, B its label map.
    """
    labels = {}
    for key, data in _cityscapes_files(archives, '_gtFine_color.png', (size, size)):
        # small label maps are kept while the photographs pass by
        labels[key] = data
    photos = 0
    for key, photo in _cityscapes_files(archives, '_leftImg8bit.png', (size, size)):
        if key not in labels:
            raise DataError(
                f'{key[1]} has a photograph but no label map: are both archives complete?'
            )
        photos += 1
        yield Sample(*key, {'A': photo, 'B': labels[key]})
    if photos != len(labels) or not photos:
        raise DataError(
            f'Got {photos} photographs and {len(labels)} label maps, expected '
            'as many of both: give gtFine_trainvaltest.zip and '
            'leftImg8bit_trainvaltest.zip.'
        )


def _cityscapes_files(
    archives: Sequence[Path], ending: str, size: tuple[int, int], coloured: bool = True
) -> Iterator:
    """Go through the images of one kind: (split, stem), image.

    Colours are resized by PIL's default filter, those of labels too: Pix2Pix's
    labels have mixed colours at their edges (prepare_cityscapes_dataset.py of
    pytorch-CycleGAN-and-pix2pix). Numbers are by nearest neighbours.
    """
    method = Image.Resampling.BICUBIC if coloured else Image.Resampling.NEAREST
    for archive in archives:
        for name, stream in tqdm(
            members(archive), desc=Path(archive).name, unit='file', disable=None
        ):
            # <kind>/<split>/<city>/<city>_<sequence>_<frame><ending>
            parts = name.split('/')
            if name.endswith(ending) and parts[-3] in ('train', 'val'):
                image = Image.open(io.BytesIO(stream.read()))
                image = image.convert('RGB') if coloured else image
                yield (parts[-3], parts[-1][: -len(ending)]), image.resize(size, method)
