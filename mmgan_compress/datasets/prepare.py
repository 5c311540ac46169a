"""The data sets that can be prepared by name.

``RECIPES`` takes others: a module that adds one is named by ``--import``, as
``projects/demo_data/emoji.py`` shows.
"""

import difflib
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import UnidentifiedImageError

from ..core.configs import did_you_mean
from .fetch import PathLike, sha256_of
from .layout import (
    MANIFEST,
    DataError,
    Sample,
    building,
    count_images,
    read_manifest,
    write_samples,
)
from .sources import elpv, labels, published

DEFAULT_SIZE = 256
# What reading a broken archive, or a broken image in one, raises.
DAMAGED = (EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, UnidentifiedImageError)


@dataclass(frozen=True)
class Recipe:
    """What is known of a data set.

    Attributes:
        licence: The licence of the images, in a sentence.
        paired: Side-by-side pairs, else a folder per domain.
        fetch: Gets the archives.
        samples: Makes images of the archives; None for an archive that
            already has the final layout.
        suffix: Format of the files that samples become.
    """

    licence: str
    paired: bool
    fetch: Callable[[], list[Path]]
    samples: Callable[[Sequence[Path], int], Iterator[Sample]] | None = None
    suffix: str = '.png'


def _published(licence: str, family: str, filename: str, sha256: str | None = None) -> Recipe:
    """Describe a data set of the CycleGAN or the Pix2Pix paper."""
    fetch = partial(published.fetch_published, family, filename, sha256)
    return Recipe(licence, family == 'pix2pix', fetch)


# The digests of the CycleGAN archives are those that TensorFlow Datasets
# records; for the Pix2Pix ones none is published.
RECIPES: dict[str, Recipe] = {
    'horse2zebra': _published(
        'ImageNet photographs, for research only',
        'cyclegan',
        'horse2zebra.zip',
        'a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1',
    ),
    'summer2winter': _published(
        'Flickr photographs, for research only',
        'cyclegan',
        'summer2winter_yosemite.zip',
        '167fe1726807a9d22bd106b4a6c0bd7953b688af924ac1bf967439c4961e49f9',
    ),
    'edges2shoes': _published(
        'UT Zappos50K photographs, for non-commercial research', 'pix2pix', 'edges2shoes.tar.gz'
    ),
    'facades': _published('CMP Facade Database, CC BY-SA', 'pix2pix', 'facades.tar.gz'),
    'maps': _published('Google Maps images, for research only', 'pix2pix', 'maps.tar.gz'),
    'cityscapes': Recipe(
        'Cityscapes licence: non-commercial, may not be passed on',
        True,
        published.no_cityscapes,
        published.cityscapes,
        '.jpg',
    ),
    'cityscapes_labels': Recipe(
        'Cityscapes licence: non-commercial, may not be passed on',
        False,
        published.no_cityscapes,
        published.cityscapes_labels,
        '.jpg',
    ),
    'labels2emoji': Recipe(
        'MIT (Fluent emoji, (c) Microsoft Corporation)', False, labels.emoji_in, labels.labels2emoji
    ),
    'elpv': Recipe(
        'CC BY-NC-SA 4.0 (ELPV): non-commercial, not shipped', False, elpv.fetch_elpv, elpv.elpv
    ),
}


def get_recipe(name: str) -> Recipe:
    """Return a data set by its name.

    Raises:
        DataError: If there is none of that name.
    """
    if name not in RECIPES:
        near = did_you_mean(difflib.get_close_matches(name, RECIPES))
        raise DataError(f'No data set is called {name!r}{near or "."} Known: {", ".join(RECIPES)}.')
    return RECIPES[name]


def prepare_data(
    name: str,
    out: PathLike | None = None,
    size: int | None = None,
    archives: Sequence[PathLike] = (),
) -> dict:
    """Fetch a data set and lay it out for mmagic's data sets.

    A data set that is there already is left alone; a folder that holds
    anything else is never written to.

    Args:
        name: A key of ``RECIPES``.
        out: Its folder; None means ``data/<name>``.
        size: Side length of the images. None keeps published images as they
            are and makes the others 256 x 256.
        archives: Local archives to use in place of fetching.

    Returns:
        dict: What was written to ``.prepared.json``.

    Raises:
        DataError: If the folder is in use or the archives do not fit.
        FetchError: If something cannot be fetched.
    """
    recipe = get_recipe(name)
    out = Path(out or Path('data') / name)
    if recipe.samples is not None:
        size = size or DEFAULT_SIZE
    known = _prepared(out, name, size)
    if known:
        print(f'{name} is already prepared in {out}.')
        return known
    sources = [Path(a) for a in archives] or recipe.fetch()
    if missing := [source for source in sources if not source.is_file()]:
        raise DataError(f'The archive {missing[0]} does not exist.')
    print(f'Preparing {name} in {out} ...', flush=True)
    digests = {source.name: sha256_of(source) for source in sources}
    manifest = dict(name=name, size=size, licence=recipe.licence, sources=digests)
    try:
        with building(out, manifest) as work:
            if recipe.samples is None:
                published.unpack_published(sources, work, recipe.paired, size)
            else:
                write_samples(recipe.samples(sources, size), work, recipe.paired, recipe.suffix)
    except DAMAGED as error:
        names = ', '.join(map(str, sources))
        raise DataError(
            f'An archive is damaged ({error}): {names}. Delete it and run again.'
        ) from error
    return manifest


def _prepared(out: Path, name: str, size: int | None) -> dict:
    """Return the manifest of what is there; refuse anything unexpected."""
    if not out.exists() or out.is_dir() and not any(out.iterdir()):
        return {}
    known, choose = read_manifest(out), 'Choose another place with --out, or remove it.'
    if not known:
        raise DataError(
            f'{out} is not empty and was not prepared by this tool (no {MANIFEST}). {choose}'
        )
    if (known['name'], known['size']) != (name, size):
        raise DataError(
            f'{out} holds {known["name"]} at size {known["size"]}, asked was {name} at size '
            f'{size}. {choose}'
        )
    there = count_images(out)
    if there != known['counts']:
        raise DataError(
            f'{out} is incomplete: it holds {there}, expected {known["counts"]}. Remove the '
            'folder and run again.'
        )
    return known
