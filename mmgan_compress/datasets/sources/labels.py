"""Label maps of flat drawings: their colours are the classes."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ..images import list_images
from ..layout import Sample

CLASSES = 16  # the background, and 15 colours
_PIXELS = 50_000  # of the training images that choose the colours
_WHITE = 250  # least value of the background's channels


def background(image: Image.Image) -> np.ndarray:
    """Tell which white pixels are connected with the border.

    Args:
        image: A drawing on white, RGB.

    Returns:
        ndarray: (H, W), bool.
    """
    white = (np.array(image) >= _WHITE).all(2)
    # a border of one pixel joins all parts of the background
    mask = Image.fromarray(np.pad(white, 1, constant_values=True).astype(np.uint8))
    ImageDraw.floodfill(mask, (0, 0), 2)
    return np.array(mask)[1:-1, 1:-1] == 2


def choose_colours(images: Iterable[Image.Image], count: int = CLASSES - 1) -> np.ndarray:
    """Choose colours by k-means, the same ones on every run.

    Args:
        images: Drawings on white, RGB.
        count: How many.

    Returns:
        ndarray: (count, 3), uint8, the most frequent one first.
    """
    rng = np.random.default_rng(0)
    pixels = np.concatenate([np.array(image)[~background(image)] for image in images])
    pixels = rng.permutation(pixels)[:_PIXELS].astype(np.float32)
    centres = pixels[:1]
    while len(centres) < count:  # k-means++
        far = _distances(pixels, centres).min(1).astype(np.float64)
        centres = np.vstack([centres, pixels[rng.choice(len(pixels), p=far / far.sum())]])
    for _ in range(30):
        nearest = _distances(pixels, centres).argmin(1)
        centres = np.stack([pixels[nearest == k].mean(0) for k in range(count)])
    sizes = np.bincount(_distances(pixels, centres).argmin(1), minlength=count)
    return centres[np.argsort(-sizes)].round().astype(np.uint8)


def label_map(image: Image.Image, colours: np.ndarray) -> Image.Image:
    """Turn a drawing into the classes of its pixels.

    Args:
        image: A drawing on white, RGB.
        colours: Of :func:`choose_colours`.

    Returns:
        Image: With a palette; 0 is the background.
    """
    pixels = np.array(image).reshape(-1, 3).astype(np.float32)
    nearest = 1 + _distances(pixels, colours.astype(np.float32)).argmin(1)
    labels = np.where(background(image), 0, nearest.reshape(image.height, image.width))
    made = Image.fromarray(labels.astype(np.uint8), 'P')
    made.putpalette([255, 255, 255, *colours.flatten().tolist()])
    return made


def with_labels(samples: Iterable[Sample]) -> Iterator[Sample]:
    """Turn side A of all samples into label maps.

    Args:
        samples: Of flat drawings (A) and what they become (B).

    Yields:
        Sample: A is the label map; the training set chose the colours.
    """
    samples = list(samples)
    colours = choose_colours(s.images['A'] for s in samples if s.split == 'train')
    for sample in samples:
        images = dict(sample.images, A=label_map(sample.images['A'], colours))
        yield Sample(sample.split, sample.stem, images)


def emoji_in(root: Path = Path(__file__).parents[1] / 'demo/flat2emoji') -> list[Path]:
    """Return the files of flat and 3-D emoji, by default those that this
    package has.
    """
    return [
        Path(file)
        for split in ('train', 'val', 'test')
        for side in 'AB'
        for file in list_images(root / f'{split}{side}')
    ]


def labels2emoji(files: Sequence[Path], size: int) -> Iterator[Sample]:
    """Pair label maps of flat emoji with 3-D emoji.

    Args:
        files: Of :func:`emoji_in`, 64 pixels wide.
        size: Side length of the images.

    Yields:
        Sample: A is the label map, B the 3-D emoji.
    """
    by_name: dict[tuple, dict] = {}
    for file in files:
        with Image.open(file) as image:
            made = image.convert('RGB').resize((size, size), Image.Resampling.LANCZOS)
        split, side = file.parent.name[:-1], file.parent.name[-1]
        by_name.setdefault((split, file.stem), {})[side] = made
    return with_labels(Sample(*key, images) for key, images in by_name.items())


def _distances(pixels: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return squared distances, (pixels, centres)."""
    return ((pixels[:, None] - centres[None]) ** 2).sum(2)
