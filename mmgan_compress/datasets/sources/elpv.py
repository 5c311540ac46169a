"""Photographs of solar cells, monocrystalline and polycrystalline."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from ..archive import members
from ..fetch import fetch_package
from ..layout import DataError, Sample, split_of

ELPV = (
    'pip',
    'elpv-dataset==1.0.0.post1',
    'elpv_dataset-1.0.0.post1-py3-none-any.whl',
    '85e31c1126ee9b48e62d3a0232c58f58b2d189b0814a45c13642fa0415af4a4c',
)
DOMAINS = {'mono': 'A', 'poly': 'B'}


def fetch_elpv() -> list[Path]:
    """Fetch what ``elpv`` is made of."""
    return [fetch_package(*ELPV)]


def elpv(archives: Sequence[Path], size: int) -> Iterator[Sample]:
    """Sort the cells by their kind of silicon.

    Args:
        archives: The wheel of elpv-dataset.
        size: Side length of the images (published: 300, grey).

    Yields:
        Sample: A is a monocrystalline cell or B a polycrystalline one.
    """
    files = {}
    for archive in archives:
        for name, stream in members(archive):
            if name.endswith(('.png', 'labels.csv')):
                files[name.rpartition('/data/')[2]] = stream.read()
    if 'labels.csv' not in files:
        raise DataError(
            'No data/labels.csv in '
            f'{", ".join(map(str, archives))}: give the wheel '
            'of elpv-dataset, or nothing to have it fetched.'
        )
    # A row: path, probability of a defect, kind of silicon.
    rows = [line.split() for line in files['labels.csv'].decode().splitlines()]
    for path, _, kind in tqdm(rows, unit='image', disable=None):
        if path not in files:
            raise DataError(
                f'labels.csv names {path}, which the archive does '
                'not hold. Fetch the archive again.'
            )
        image = Image.open(io.BytesIO(files[path])).convert('RGB')
        image = image.resize((size, size), Image.LANCZOS)
        stem = Path(path).stem
        yield Sample(split_of(stem), stem, {DOMAINS[kind]: image})
