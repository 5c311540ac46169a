"""The data sets that can be prepared by name."""
import difflib
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence

from PIL import UnidentifiedImageError

from .sources import elpv, emoji, published
from .fetch import PathLike, sha256_of
from .layout import (MANIFEST, DataError, Sample, building, count_images,
                     read_manifest, write_samples)

DEFAULT_SIZE = 256
# What reading a broken archive, or a broken image in one, raises.
DAMAGED = (EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error,
           UnidentifiedImageError)


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
    fetch: Callable[[], List[Path]]
    samples: Optional[Callable[[Sequence[Path], int],
                               Iterator[Sample]]] = None
    suffix: str = '.png'


def _published(licence: str, family: str, filename: str,
               sha256: Optional[str] = None) -> Recipe:
    """Describe a data set of the CycleGAN or the Pix2Pix paper."""
    fetch = partial(published.fetch_published, family, filename, sha256)
    return Recipe(licence, family == 'pix2pix', fetch)


FLUENT = 'MIT (Fluent emoji, (c) Microsoft Corporation)'

# The digests of the CycleGAN archives are those that TensorFlow Datasets
# records; for the Pix2Pix ones none is published.
RECIPES: Dict[str, Recipe] = {
    'horse2zebra': _published(
        'ImageNet photographs, for research only', 'cyclegan',
        'horse2zebra.zip',
        'a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1'),
    'summer2winter': _published(
        'Flickr photographs, for research only', 'cyclegan',
        'summer2winter_yosemite.zip',
        '167fe1726807a9d22bd106b4a6c0bd7953b688af924ac1bf967439c4961e49f9'),
    'edges2shoes': _published(
        'UT Zappos50K photographs, for non-commercial research',
        'pix2pix', 'edges2shoes.tar.gz'),
    'facades': _published('CMP Facade Database, CC BY-SA', 'pix2pix',
                          'facades.tar.gz'),
    'maps': _published('Google Maps images, for research only', 'pix2pix',
                       'maps.tar.gz'),
    'cityscapes': Recipe(
        'Cityscapes licence: non-commercial, may not be passed on', True,
        published.no_cityscapes, published.cityscapes, '.jpg'),
    'edges2emoji': Recipe(FLUENT, True, emoji.fetch_fluent_3d,
                          emoji.edges2emoji),
    'flat2emoji': Recipe(FLUENT, False, emoji.fetch_fluent,
                         emoji.flat2emoji),
    'outline2emoji': Recipe('CC BY-SA 4.0 (OpenMoji)', True,
                            emoji.fetch_openmoji, emoji.outline2emoji),
    'elpv': Recipe('CC BY-NC-SA 4.0 (ELPV): non-commercial, not shipped',
                   False, elpv.fetch_elpv, elpv.elpv),
}


def get_recipe(name: str) -> Recipe:
    """Look up a data set by name.

    Raises:
        DataError: If there is none of that name.
    """
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES)
        hint = f' Did you mean {" or ".join(near)}?' if near else ''
        raise DataError(f'No data set is called {name!r}.{hint} Known: '
                        f'{", ".join(sorted(RECIPES))}.')
    return RECIPES[name]


def prepare_data(name: str,
                 out: Optional[PathLike] = None,
                 size: Optional[int] = None,
                 archives: Sequence[PathLike] = ()) -> Dict:
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
    if size is not None and size < 1:
        raise DataError(f'The size is {size}, expected at least 1.')
    if recipe.samples is not None:
        size = size or DEFAULT_SIZE
    known = _check_target(out, name, size)
    if known:
        print(f'{name} is already prepared in {out}.')
        return known
    sources = [Path(a) for a in archives] or recipe.fetch()
    for source in sources:
        if not source.is_file():
            raise DataError(f'The archive {source} does not exist.')
    print(f'Preparing {name} in {out} ...', flush=True)
    manifest = {
        'name': name,
        'size': size,
        'licence': recipe.licence,
        'sources': {s.name: sha256_of(s) for s in sources}
    }
    _build(recipe, sources, out, size, manifest)
    return manifest


def _build(recipe: Recipe, sources: Sequence[Path], out: Path,
           size: Optional[int], manifest: Dict) -> None:
    """Fill the data set's folder; complete the manifest."""
    try:
        with building(out, manifest) as work:
            if recipe.samples is None:
                published.unpack_published(sources, work, recipe.paired, size)
            else:
                write_samples(recipe.samples(sources, size), work,
                              recipe.paired, recipe.suffix)
    except DAMAGED as error:
        raise DataError(f'An archive is damaged ({error}): '
                        f'{", ".join(map(str, sources))}. Delete it and run '
                        'again.') from error


def _check_target(out: Path, name: str, size: Optional[int]) -> Dict:
    """Return the manifest of what is there; refuse anything unexpected."""
    if out.exists() and not out.is_dir():
        raise DataError(f'{out} is a file, expected a folder. Choose another '
                        'place with --out.')
    if not out.exists() or not any(out.iterdir()):
        return {}
    known = read_manifest(out)
    advice = 'Choose another place with --out, or remove the folder.'
    if not known:
        raise DataError(f'{out} is not empty and was not prepared by this '
                        f'tool (no {MANIFEST}). {advice}')
    if (known['name'], known['size']) != (name, size):
        raise DataError(
            f'{out} holds {known["name"]} at size {known["size"]}, asked was '
            f'{name} at size {size}. {advice}')
    if count_images(out) != known['counts']:
        raise DataError(
            f'{out} is incomplete: it holds {count_images(out)}, expected '
            f'{known["counts"]}. Remove the folder and run again.')
    return known
