"""Data sets of the emoji in the npm registry, from which the demo's are cut.

They are known by name where this module is imported::

    mmgan-compress data edges2emoji --import projects.demo_data.emoji
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from mmgan_compress.compat import require
from mmgan_compress.datasets.archive import members
from mmgan_compress.datasets.fetch import fetch_package
from mmgan_compress.datasets.layout import DataError, Sample, side_by_side, split_of
from mmgan_compress.datasets.prepare import RECIPES, Recipe

# The size at which the 3-D emoji are published.
SOURCE_SIZE = 256
SKIN_TONE = re.compile('-?1f3f[b-f]')

FLUENT_3D = (
    'npm',
    '@lobehub/fluent-emoji-3d@1.1.0',
    'lobehub-fluent-emoji-3d-1.1.0.tgz',
    'c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58',
)
FLUENT_FLAT = (
    'npm',
    '@lobehub/fluent-emoji-flat@1.1.0',
    'lobehub-fluent-emoji-flat-1.1.0.tgz',
    '8f9113c027c7c20eced0070354715a4093a459b8bef6332b91d45f38c9bdb147',
)
OPENMOJI = (
    'npm',
    'openmoji@17.0.0',
    'openmoji-17.0.0.tgz',
    '55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68',
)
_DRAWING = 'Drawing SVG files'  # what needs resvg_py


def fetch_fluent_3d() -> list[Path]:
    """Fetch what ``edges2emoji`` is made of."""
    return [fetch_package(*FLUENT_3D)]


def fetch_fluent() -> list[Path]:
    """Fetch what ``flat2emoji`` is made of."""
    require('resvg_py', _DRAWING)  # before the download, not after
    return [fetch_package(*FLUENT_FLAT), fetch_package(*FLUENT_3D)]


def fetch_openmoji() -> list[Path]:
    """Fetch what ``outline2emoji`` is made of."""
    require('resvg_py', _DRAWING)
    return [fetch_package(*OPENMOJI)]


def edges2emoji(archives: Sequence[Path], size: int) -> Iterator[Sample]:
    """Make pairs of an edge drawing and a 3-D emoji.

    Args:
        archives: The archive of the 3-D set.
        size: Side length of the images.

    Yields:
        Sample: A is the drawing, B the emoji.
    """
    seen: set[bytes] = set()
    for stem, data in _progress(_read(archives, '/assets/', '.webp')):
        emoji = render_webp(data)
        if _is_new(emoji, seen):
            yield Sample(
                split_of(base_of(stem)),
                stem,
                {'A': draw_edges(emoji, size), 'B': shrink(emoji, size)},
            )


def flat2emoji(archives: Sequence[Path], size: int) -> Iterator[Sample]:
    """Make the flat and the 3-D drawing of the same emoji.

    To be used unpaired: shapes and positions differ somewhat. As both files
    have the same name, a translated test image can still be put beside its
    counterpart.

    Args:
        archives: The archives of the flat and of the 3-D set.
        size: Side length of the images.

    Yields:
        Sample: A is the flat emoji, B the 3-D one.
    """
    flat = _read(archives, '/assets/', '.svg')
    solid = _read(archives, '/assets/', '.webp')
    seen: dict[str, set[bytes]] = {'A': set(), 'B': set()}
    for stem, data in _progress({s: flat[s] for s in flat if s in solid}):
        images = {'A': render_svg(data), 'B': render_webp(solid[stem])}
        # A list, not a generator: each domain has to note what it has seen.
        if all([_is_new(images[k], seen[k]) for k in images]):
            yield Sample(
                split_of(base_of(stem)),
                stem,
                {k: shrink(image, size) for k, image in images.items()},
            )


def outline2emoji(archives: Sequence[Path], size: int) -> Iterator[Sample]:
    """Make pairs of a black outline and the coloured emoji (OpenMoji).

    Args:
        archives: The archive of OpenMoji.
        size: Side length of the images.

    Yields:
        Sample: A is the outline, B the coloured emoji.
    """
    black = _read(archives, '/black/svg/', '.svg')
    color = _read(archives, '/color/svg/', '.svg')
    table = _read(archives, '/data/', '.csv')['openmoji'].decode()
    bases = {
        row['hexcode']: row['skintone_base_hexcode'] for row in csv.DictReader(io.StringIO(table))
    }
    seen: set[bytes] = set()
    # Never smaller, so that what is a repetition does not depend on the size.
    drawn = max(size, SOURCE_SIZE)
    for stem, data in _progress({s: black[s] for s in black if s in color}):
        left, right = render_svg(data, drawn), render_svg(color[stem], drawn)
        # Compared as a pair: all flags share one outline.
        if _is_new(side_by_side(left, right), seen):
            # All skin tones of an emoji go to one split.
            yield Sample(
                split_of(bases.get(stem) or stem),
                stem,
                {'A': shrink(left, size), 'B': shrink(right, size)},
            )


def base_of(stem: str) -> str:
    """Strip skin tone and presentation mark, which do not change the motif."""
    return SKIN_TONE.sub('', stem).replace('-fe0f', '')


def render_webp(data: bytes) -> Image.Image:
    """Decode an emoji with transparency onto white.

    A few are 256 x 264; they are padded to a square, not squeezed.
    """
    image = Image.open(io.BytesIO(data)).convert('RGBA')
    side = max(image.size)
    canvas = Image.new('RGBA', (side, side), 'white')
    canvas.alpha_composite(image, ((side - image.width) // 2, (side - image.height) // 2))
    return shrink(canvas.convert('RGB'), SOURCE_SIZE)


def render_svg(data: bytes, size: int = SOURCE_SIZE) -> Image.Image:
    """Render a vector emoji onto white."""
    png = require('resvg_py', _DRAWING).svg_to_bytes(
        svg_string=data.decode(),
        background='white',
        width=size,
        height=size,
        skip_system_fonts=True,
    )
    return Image.open(io.BytesIO(bytes(png))).convert('RGB')


def shrink(image: Image.Image, size: int) -> Image.Image:
    """Resize to a square, unless the image has the size already."""
    if image.size == (size, size):
        return image
    return image.resize((size, size), Image.LANCZOS)


def draw_edges(image: Image.Image, size: int) -> Image.Image:
    """Draw the edges of an image, black on white.

    Edges are found at full resolution: at 64 px Canny breaks up at small
    parts and draws shading as noise. A one-pixel line would fade to light
    grey when shrunk, so it is first made as wide as about 0.75 px of the
    result: black lines, still thin enough to keep eyes and mouths apart.
    At full resolution the line stays one pixel wide.

    Args:
        image: A colour image.
        size: Side length of the drawing.

    Returns:
        Image.Image: The drawing, RGB.
    """
    import cv2

    lab = cv2.cvtColor(np.array(image), cv2.COLOR_RGB2LAB)
    lab = cv2.GaussianBlur(lab, (0, 0), 1.2)
    edges = np.zeros(lab.shape[:2], np.uint8)
    # Colour edges (a, b) are weaker than those of lightness (L).
    for channel, (low, high) in zip(cv2.split(lab), ((25, 60), (12, 30), (12, 30))):
        edges |= cv2.Canny(channel, low, high)
    width = round(0.75 * image.width / size)
    if width > 1:
        brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
        edges = cv2.dilate(edges, brush)
    return shrink(Image.fromarray(255 - edges), size).convert('RGB')


def _read(archives: Sequence[Path], folder: str, suffix: str) -> dict[str, bytes]:
    """Read the files of one kind, by stem in sorted order."""
    found = {}
    for archive in archives:
        for name, stream in members(archive):
            if folder in name and name.endswith(suffix):
                found[Path(name).stem] = stream.read()
    if not found:
        raise DataError(
            f'No {suffix} file in a folder {folder} of '
            f'{", ".join(map(str, archives))}. Give all archives of this '
            'data set, or none to have them fetched.'
        )
    return dict(sorted(found.items()))


def _progress(items: dict[str, bytes]) -> Iterator:
    """Show how far we are."""
    return tqdm(items.items(), unit='image', disable=None)


def _is_new(image: Image.Image, seen: set[bytes]) -> bool:
    """Tell exact repetitions (aliases of one emoji) from new images."""
    key = hashlib.md5(image.tobytes()).digest()
    new = key not in seen
    seen.add(key)
    return new


_FLUENT = 'MIT (Fluent emoji, (c) Microsoft Corporation)'
RECIPES.update(
    edges2emoji=Recipe(_FLUENT, True, fetch_fluent_3d, edges2emoji),
    flat2emoji=Recipe(_FLUENT, False, fetch_fluent, flat2emoji),
    outline2emoji=Recipe('CC BY-SA 4.0 (OpenMoji)', True, fetch_openmoji, outline2emoji),
)
