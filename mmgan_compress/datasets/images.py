"""Finding, checking and reading image files."""

import functools
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image, ImageOps

from ..core.image_modes import DONT_CARE, IMAGE_MODES

if TYPE_CHECKING:  # it would load torch
    from ..core.inputs import LabelMap

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.ppm', '.webp')
_CHECKED: set[tuple] = set()  # a process reads each file once
MIN_SIDE = 16  # two stride-2 layers and a 7x7 kernel need no less
LENT = 100  # training images that stand for val where nothing is held out
LAYOUTS = (
    'trainA/ trainB/ testA/ testB/, or train/A/ train/B/ and so on, '
    'for a CycleGAN recipe (unpaired); the same with equal names in A '
    'and B, or train/ test/ of side-by-side images A|B, for a Pix2Pix '
    'recipe (paired)'
)
StrPath = str | os.PathLike
# 16 bits often hold 10, 12 or 14: below, nothing tells which
_FULL_RANGE = 2**14
# Pillow's error at twice this size is what refuses a file, in one line
warnings.filterwarnings('ignore', category=Image.DecompressionBombWarning)


class UnusableImage(ValueError):
    """An image that cannot be read rightly; its text says why."""


def read_image(image: str | os.PathLike | Image.Image, channels: int = 3) -> Image.Image:
    """Read an image, the same way for training, scoring and translating.

    8 bits are taken as they are; 16 bits without a sign by their upper
    byte, if the largest value shows that they are in use (16384 at least,
    or 0) or the format tells the range (PPM). The image is turned as its
    EXIF data say. Colours become grey by ITU-R 601, grey is repeated.

    Args:
        image (str | PathLike | Image): File, or open image.
        channels (int): 1 (grey), 3 (RGB) or 4 (RGBA). For 1 and 3,
            transparent parts are laid on white.

    Returns:
        Image: Mode L, RGB or RGBA.

    Raises:
        UnusableImage: If it has values of no known range (signed, 32-bit,
            floating-point), or is an animation or has several pages.
        OSError: If it cannot be decoded.
    """
    return with_channels(open_image(image), channels)


def open_image(image: str | os.PathLike | Image.Image) -> Image.Image:
    """Open an image upright, in 8 bits, its channels as they are.

    Args, Raises: As of :func:`read_image`.
    """
    if not isinstance(image, Image.Image):
        with Image.open(image) as file:
            return open_image(file)
    try:
        return ImageOps.exif_transpose(_in_8_bits(image))
    except UnusableImage as error:
        name = getattr(image, 'filename', '') or 'the image'
        raise UnusableImage(f'{name} {error}') from None


def with_channels(image: Image.Image, channels: int) -> Image.Image:
    """Convert what :func:`open_image` returned, as :func:`read_image` says."""
    if image.mode == 'LAB':  # Pillow converts it to colours only
        image = image.convert('RGB')
    if channels < 4 and image.has_transparency_data:
        image = image.convert('RGBA')
        white = Image.new('RGBA', image.size, 'white')
        image = Image.alpha_composite(white, image)
    return image.convert(IMAGE_MODES[channels])


def read_label_map(
    image: StrPath | Image.Image,
    takes: 'LabelMap',
    instances: StrPath | None = None,
    size: tuple[int, int] | None = None,
) -> Image.Image:
    """Read the classes of pixels, and where objects end.

    Args:
        image (str | PathLike | Image): Its numbers are the classes: a grey
            image, or one with a palette, whose colours do not count. Of two
            channels, the second says where objects end.
        takes (LabelMap): What labels there are.
        instances (str | PathLike | None): Image of one channel, with another
            number for each object. None: objects end where classes do.
        size (tuple[int, int] | None): Width and height to which both are
            brought, by nearest neighbours; edges are of this size.

    Returns:
        Image: Mode L or, with edges, LA; see :class:`.LabelMap`.

    Raises:
        UnusableImage: If it has colours, or a label that is none.
        OSError: If it cannot be decoded.
    """
    numbers = _numbers(image, size)
    labels, *given = np.split(numbers, numbers.shape[2], 2)
    unknown = sorted(set(np.unique(labels)) - set(takes.labels))
    if unknown:
        hint = '' if unknown[-1] != DONT_CARE else ', or set dont_care=True for 255, no class'
        raise UnusableImage(
            f'{_name(image)} has the label {unknown[0]}, expected 0 to {takes.classes - 1}{hint}'
        )
    planes = [labels]
    if takes.edges:
        objects = labels if instances is None else _numbers(instances, size)
        if objects.shape != labels.shape:
            raise UnusableImage(f'{_name(instances)} is no image of one channel of that size')
        ends = given[0] > 127 if given and instances is None else borders(objects)
        planes.append(255 * ends)
    return of_array(np.concatenate(planes, 2).astype(np.uint8))


def read_as(image: StrPath | Image.Image, kind: 'int | LabelMap') -> Image.Image:
    """Read what a network takes: an image of so many channels, or a label
    map.
    """
    return read_image(image, kind) if isinstance(kind, int) else read_label_map(image, kind)


def resized(image: Image.Image, size: tuple[int, int], kind: 'int | LabelMap') -> Image.Image:
    """Bring what :func:`read_as` returned to a width and a height."""
    return image.resize(size, method_of(kind))


def method_of(kind: 'int | LabelMap') -> Image.Resampling:
    """Return how such an input is made smaller: numbers have no mean."""
    return Image.Resampling.BICUBIC if isinstance(kind, int) else Image.Resampling.NEAREST


def borders(numbers: np.ndarray) -> np.ndarray:
    """Tell which pixels have a neighbour, at one of their four sides, with
    another number.

    Args:
        numbers (ndarray): (H, W, ...).
    """
    found = np.zeros(numbers.shape, bool)
    for axis in (0, 1):
        differ = np.diff(numbers, axis=axis) != 0
        before = np.insert(differ, 0, False, axis)
        found |= before | np.insert(differ, differ.shape[axis], False, axis)
    return found


def _numbers(image: StrPath | Image.Image, size: tuple[int, int] | None) -> np.ndarray:
    """Return the pixels of an image as whole numbers, (H, W, channels)."""
    if not isinstance(image, Image.Image):
        with Image.open(image) as file:
            return _numbers(file, size)
    if image.mode not in ('1', 'L', 'P', 'LA', 'I') and not image.mode.startswith('I;16'):
        raise UnusableImage(
            f'{_name(image)} has colours ({image.mode}): a label map has the number of a class '
            'for each pixel, as a grey image or as one with a palette'
        )
    pixels = np.atleast_3d(np.array(image)).astype(np.int32)
    if size and size != image.size:
        planes = [
            Image.fromarray(plane).resize(size, Image.Resampling.NEAREST)
            for plane in pixels.transpose(2, 0, 1)
        ]
        pixels = np.stack([np.array(plane) for plane in planes], 2)
    return pixels


def _name(image: StrPath | Image.Image | None) -> str:
    if isinstance(image, Image.Image):
        return getattr(image, 'filename', '') or 'the image'
    return str(image)


def coloured(image: StrPath | Image.Image) -> Image.Image:
    """Show a label map: with its palette, or a colour for each number.

    Args:
        image (str | PathLike | Image): Of one or two channels.

    Returns:
        Image: RGB.
    """
    if not isinstance(image, Image.Image):
        with Image.open(image) as file:
            return coloured(file)
    if image.mode == 'P':
        return image.convert('RGB')
    # hues that lie far apart for neighbouring numbers; 0 is white
    hue = (np.arange(256) * 0.618034 % 1 * 255).astype(np.uint8)
    hsv = np.stack([hue, np.full(256, 150), np.full(256, 230)], 1).astype(np.uint8)
    hsv[0] = 0, 0, 255
    labels = _numbers(image, None)[..., 0].astype(np.uint8)
    return Image.fromarray(hsv[labels], 'HSV').convert('RGB')


def to_array(image: Image.Image) -> np.ndarray:
    """Return the pixels of an image, (H, W, channels), uint8."""
    return np.atleast_3d(np.array(image))


def of_array(pixels: np.ndarray) -> Image.Image:
    """Make an image of pixels, (H, W, channels), uint8: also of two
    channels, for label maps.
    """
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _in_8_bits(image: Image.Image) -> Image.Image:
    """Decode an image; refuse what has no known range, and several."""
    count = getattr(image, 'n_frames', 1)
    if count > 1 and image.format != 'MPO':  # a photo with its preview
        raise UnusableImage(f'holds {count} pictures: save each as a file of its own')
    # the raw mode of an image that is not decoded yet, or its mode; Pillow
    # gives its decoders this, or this and more
    tiles = getattr(image, 'tile', None)
    stored = tiles[0][3] if tiles else image.mode
    stored = str(stored if isinstance(stored, str) or not stored else stored[0])
    deep = re.search(r'(?<!BGR);16[BLN]?$', stored)  # of BMP: 5 bits each
    convert = 'convert it to 8 bits, with the range that is meant'
    if image.mode == 'F':
        raise UnusableImage(f'holds floating-point values, whose range nothing tells: {convert}')
    if image.mode == 'I' and not deep and image.format != 'PPM':
        kind = 'signed' if stored.endswith('S') else '32-bit'
        raise UnusableImage(f'holds {kind} integers, whose range nothing tells: {convert}')
    image.load()
    if image.mode.startswith('I'):
        values = np.asarray(image)
        top = int(values.max()) or None  # black is black in any range
        exif = image.getexif()
        small = Image.fromarray((values >> 8).astype(np.uint8))
        small.getexif().update(exif)
    elif deep:  # Pillow has taken the upper bytes already
        small = image
        top = 256 * max(high for _, high in image.convert('RGB').getextrema())
    else:
        return image
    if top is not None and top < _FULL_RANGE and image.format != 'PPM':
        raise UnusableImage(
            f'has 16 bits, but no value above {top | 255} of 65535, so that '
            f'nothing tells its range: {convert}'
        )
    return small


def _is_shown(name: str) -> bool:
    """Tell a user's file or folder from a system's (thumbnails, forks)."""
    return not name.startswith(('.', '__MACOSX', '@eaDir'))


def _walk(folder: StrPath) -> Iterator[str]:
    """Yield the files below a folder; links are followed, each folder once.

    A link to nothing counts, so that whoever reads it says so; a pipe, which
    would wait forever, does not.
    """

    def refuse(error: OSError):
        raise ValueError(
            f'{error.filename} cannot be listed ({error.strerror}): make it readable'
        ) from error

    seen = {os.path.realpath(folder)}
    for base, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        found = sorted(filter(_is_shown, folders))
        folders.clear()
        for name in found:
            real = os.path.realpath(os.path.join(base, name))
            if real not in seen:
                seen.add(real)
                folders.append(name)
        for name in filter(_is_shown, names):
            path = os.path.join(base, name)
            if os.path.isfile(path) or not os.path.exists(path):
                yield path


def list_images(folder: StrPath) -> list[str]:
    """Return the sorted image files of a folder and its sub-folders.

    Regular files of the suffixes in ``EXTENSIONS``; what is hidden does not
    count. The same for training, scoring, translating and calibration.

    Args:
        folder (str | Path): Folder.

    Returns:
        list[str]: Paths; empty if there is no such folder.

    Raises:
        ValueError: If a folder in it cannot be listed; names it.
    """
    if not os.path.isdir(folder):
        return []
    return sorted(file for file in _walk(folder) if file.lower().endswith(EXTENSIONS))


def some_images(folder: StrPath) -> list[str]:
    """Return what :func:`list_images` does.

    Raises:
        FileNotFoundError: If that is nothing; says what there is.
    """
    files = list_images(folder)
    if not files:
        raise FileNotFoundError(no_images(folder))
    return files


def half_of(image: Image.Image, side: str) -> Image.Image:
    """Return the left half of an image for side A, the right one for B."""
    half = image.width // 2
    left = 0 if side == 'A' else half
    return image.crop((left, 0, left + half, image.height))


def no_images(folder: StrPath) -> str:
    """Say that a folder has no images, and what it has."""
    said = f'no images in {os.path.abspath(folder)}'
    if not os.path.isdir(folder):
        return f'{said}: there is no such folder'
    kinds = Counter(os.path.splitext(file)[1].lower() or 'unnamed' for file in _walk(folder))
    found = ', '.join(f'{count} {kind} files' for kind, count in kinds.most_common(5)) or 'no files'
    return f'{said}: found {found}, expected {", ".join(EXTENSIONS)}'


def side_folder(root: StrPath, split: str, side: str = '') -> str:
    """Return where a split's images of a side are, or would be.

    Args:
        root (str | Path): Folder of the data set.
        split (str): ``'train'``, ``'val'`` or ``'test'``.
        side (str): ``'A'`` or ``'B'``: ``trainA/``, or ``train/A/`` where
            there is one; ``''`` for side-by-side pairs, ``train/``.
    """
    nested = os.path.join(root, split, side)
    return nested if side and os.path.isdir(nested) else os.path.join(root, split + side)


def has_halves(root: StrPath, split: str) -> bool:
    """Tell whether a paired set has A and B side by side in one image.

    Otherwise they are in two folders: ``train/A/ train/B/``, or ``trainA/
    trainB/``. All splits are as the training images are.
    """
    for name in ('train', split):
        folder = os.path.join(root, name)
        if os.path.isdir(folder):
            return not os.path.isdir(os.path.join(folder, 'A'))
        if os.path.isdir(folder + 'A'):
            return False
    return True


def missing_data(root: StrPath, folder: str) -> FileNotFoundError:
    """Return the error for a data set that is not there."""
    name = os.path.basename(os.path.normpath(root))
    from .prepare import RECIPES

    known = name if name in RECIPES else '-h'
    entries = os.scandir(root) if os.path.isdir(root) else ()
    there = sorted(
        f'{entry.name}/' for entry in entries if entry.is_dir() and _is_shown(entry.name)
    )
    return FileNotFoundError(
        f'{no_images(folder)}'
        + (f'\n  {os.path.abspath(root)} has {" ".join(there[:9])}' if there else '')
        + f'\n  prepare the set:   mmgan-compress data {known}\n'
        f'  or use your own:   --data-root FOLDER, with {LAYOUTS}\n'
        '  or just try it:    add --demo, which uses the data shipped here'
    )


def origin_of(metainfo: dict) -> dict:
    """Return which images a run has learnt from, wherever they lie.

    Args:
        metainfo (dict): Of a training set, as checkpoints have it.
    """
    return dict(
        folder=os.path.basename(os.path.normpath(metainfo.get('data_root') or '')),
        hold_out=metainfo.get('hold_out', 0),
    )


def evenly_spaced(files: Sequence[str], count: int) -> list[str]:
    """Return ``count`` of the files, from the first to the last one."""
    return [files[i] for i in np.linspace(0, len(files) - 1, count).astype(int)]


def split_folder(root: StrPath, split: str, side: str = '', val_folder: bool = True) -> str:
    """Return the folder of a split's images: without val, the train one.

    Args:
        root (str | Path): Folder of the data set.
        split (str): As of :func:`side_folder`.
        side (str): As there.
        val_folder (bool): Whether a val folder, if there is one, is the val
            split.
    """
    folder = side_folder(root, split, side)
    if split == 'val' and not (val_folder and os.path.isdir(folder)):
        return side_folder(root, 'train', side)
    return folder


def split_images(
    root: str,
    split: str,
    side: str = '',
    hold_out: int = 0,
    val_folder: bool = True,
    most: int | None = None,
    channels: int = 3,
    halved: bool = False,
) -> list[str]:
    """Return the checked image files of a split; val may be a part of train.

    Args:
        root (str): Folder of the data set.
        split (str): As of :func:`side_folder`.
        side (str): As there.
        hold_out (int): Training images that are the val split in place of a
            folder, and are not in the train split. 0: ``LENT`` of them
            stand for val, and are in both.
        val_folder (bool): As of :func:`split_folder`. Nothing is held out
            where there is one.
        most (int | None): Return at most so many, evenly spaced.
        channels (int): As of :func:`check_images`.
        halved (bool): Whether a file holds A and B side by side.

    Raises:
        FileNotFoundError: If there are none; names the folder.
        ValueError: If more than the half would be held out, or an image is
            unusable.
    """
    folder = split_folder(root, split, side, val_folder)
    train = side_folder(root, 'train', side)
    lent = split == 'val' and folder == train
    files = list_images(folder)
    if not files:
        raise missing_data(root, folder)
    splits = lent or split_folder(root, 'val', side, val_folder) == train
    if hold_out and folder == train and splits:
        if hold_out > len(files) // 2:
            raise ValueError(
                f'hold_out {hold_out} is more than the half of the {len(files)} images in '
                f'{os.path.abspath(folder)}: give the data sets of train and val the same '
                f'smaller one, or make a folder val{side}'
            )
        held = evenly_spaced(files, hold_out)
        files = held if lent else sorted(set(files).difference(held))
    elif lent:
        most = most or LENT
    if most and len(files) > most:
        files = evenly_spaced(files, most)
    check_images(files, halved, channels=channels)
    return files


_TRANSPARENT = 'is transparent'
_KEEP_TRANSPARENCY = (
    '\n  Lay transparent images onto a background, or give the generator 4 '
    'channels: --cfg-options model.generator.in_channels=4 '
    'model.generator.out_channels=4'
)


def _problem(path: str, paired: bool, trains: bool, alpha: bool) -> str | None:
    try:
        with Image.open(path) as file:
            width, height = file.size
            file.draft('RGB', (8, 8))  # JPEG: read all, decode little
            image = _in_8_bits(file)
            if _turned(file):
                width, height = height, width
            learnt = trains and not alpha and image.has_transparency_data
            if learnt and image.convert('RGBA').getextrema()[3][0] < 255:
                return _TRANSPARENT
    except UnusableImage as error:
        return str(error)
    except Exception as error:
        return f'cannot be read ({error})'
    if not trains:
        return None
    if paired and width % 2:
        return f'is {width}x{height}: a pair is two images of one width'
    if min(width // (2 if paired else 1), height) < MIN_SIDE:
        return f'is {width}x{height}: expected at least {MIN_SIDE} pixels'
    return None


def check_images(
    paths: Sequence[str], paired: bool = False, trains: bool = True, channels: int = 3
):
    """Refuse corrupt, tiny or unpaired images, naming the files.

    Args:
        paths (Sequence[str]): Image files.
        paired (bool): Whether each holds two images side by side.
        trains (bool): Whether networks learn from them; else it is enough
            that they can be read.
        channels (int): That networks learn from; transparent images need 4.

    Raises:
        ValueError: With up to five files and what is wrong with each.
    """
    kind = (paired, trains, channels == 4)
    paths = [path for path in paths if (path, *kind) not in _CHECKED]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda path: _problem(path, *kind), paths)
    bad = [f'{path} {problem}' for path, problem in zip(paths, found) if problem]
    if bad:
        more = f'\n  and {len(bad) - 5} more' if len(bad) > 5 else ''
        if any(line.endswith(_TRANSPARENT) for line in bad):
            more += _KEEP_TRANSPARENCY
        raise ValueError('unusable images, mend or remove them:\n  ' + '\n  '.join(bad[:5]) + more)
    _CHECKED.update((path, *kind) for path in paths)


def _by_name(folder: StrPath, files: Sequence[str]) -> dict[str, str]:
    """Index files of a folder by their name in it, without extension."""
    named: dict[str, str] = {}
    for file in files:
        name = os.path.splitext(os.path.relpath(file, folder))[0]
        if name in named:
            raise ValueError(
                f'{named[name]} and {file} have the same name but for the extension, which does '
                'not tell whose counterpart is whose: rename one'
            )
        named[name] = file
    return named


def match_teacher_images(
    root: str, files: Sequence[str], folder: str, command: str, channels: int = 3
) -> dict[str, str]:
    """Find and check a teacher's image of every training image.

    Args:
        root (str): Folder of the training images.
        files (Sequence[str]): Those in use, sub-folders included.
        folder (str): Folder of the teacher's images: the same names and
            sub-folders, any supported extension.
        command (str): What makes them, for the message.
        channels (int): As of :func:`check_images`.

    Returns:
        dict[str, str]: Path of the teacher's image by training image.

    Raises:
        FileNotFoundError: If any is missing.
        ValueError: If one is corrupt, or names are ambiguous.
    """
    made = _by_name(folder, list_images(folder))
    sources = _by_name(root, files)
    missing = [file for name, file in sources.items() if name not in made]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(files)} training images have no '
            f"teacher's image in {os.path.abspath(folder)}, the first is "
            f'{missing[0]}\n  make them, into an empty folder:   {command}'
        )
    check_images([made[name] for name in sources], channels=channels)
    return {file: made[name] for name, file in sources.items()}


def check_sides(files: Sequence[str], least: int, setting: str = '--size'):
    """Refuse images of which a square crop cannot be taken.

    Args:
        files (Sequence[str]): Readable images.
        least (int): Side of the crop in pixels.
        setting (str): What sets it.

    Raises:
        ValueError: With how many, and the first.
    """
    small = [(file, size) for file in files if min(size := _size(file)) < least]
    if small:
        file, (width, height) = small[0]
        raise ValueError(
            f'{len(small)} of {len(files)} images are too small for a crop of {least} pixels, '
            f'the first is {file} ({width}x{height}): remove them, or set a smaller {setting}'
        )


def check_halves(files: Sequence[str]):
    """Refuse images whose shape is not that of A and B side by side.

    Those are about twice as wide as high, or wider. Less is a single image
    (16:9 is 1.78) or A above B; exactly 3 is a triptych.

    Args:
        files (Sequence[str]): Readable images.

    Raises:
        ValueError: With how many, and the first.
    """
    odd = [
        (file, width, height)
        for file in files
        for width, height in [_size(file)]
        if width < 1.8 * height or abs(width - 3 * height) < 0.02 * height
    ]
    if odd:
        file, width, height = odd[0]
        splits = ('train', 'val', 'test')
        options = ' '.join(f'{split}_dataloader.dataset.side_by_side=True' for split in splits)
        raise ValueError(
            f'{len(odd)} of {len(files)} images do not look like pairs A|B, the first is {file} '
            f'({width}x{height}): expected images about twice as wide as high, or wider, but not '
            '3 times, as single images, A above B or triptychs are\n'
            f'  if they are pairs:  --cfg-options {options}\n'
            f'  if they are not:    give the folder {LAYOUTS}'
        )


def match_sides(
    folder_a: str, folder_b: str, files: Sequence[str], channels: int | None = 3
) -> dict[str, str]:
    """Find and check B of every A of a paired set in two folders.

    Args:
        folder_a (str): Images of A.
        folder_b (str): Those of B: the same names and sub-folders but for
            the extension.
        files (Sequence[str]): Those of A that are in use, checked.
        channels (int | None): Of B, as of :func:`check_images`; None where B
            is of numbers.

    Returns:
        dict[str, str]: File of B by file of A.

    Raises:
        FileNotFoundError: If there is no image of B.
        ValueError: If an image has no counterpart, or one of another size,
            or is unusable.
    """
    a = _by_name(folder_a, list_images(folder_a))
    b = _by_name(folder_b, some_images(folder_b))
    lonely = [a.get(name) or b[name] for name in sorted(a.keys() ^ b.keys())]
    if lonely:
        raise ValueError(
            f'{len(lonely)} of {len(a) + len(b)} images in '
            f'{os.path.abspath(folder_a)} and {os.path.abspath(folder_b)} '
            f'have no counterpart of the same name, the first is {lonely[0]}: '
            'a pair has one name in A and B; unpaired images are for a '
            'CycleGAN recipe'
        )
    wanted = set(files)
    pairs = {a[name]: b[name] for name in a if a[name] in wanted}
    if channels:
        check_images(list(pairs.values()), channels=channels)
    unequal = [pair for pair in pairs.items() if _size(pair[0]) != _size(pair[1])]
    if unequal:
        first = ' and '.join('{} ({}x{})'.format(file, *_size(file)) for file in unequal[0])
        raise ValueError(
            f'A and B differ in size in {len(unequal)} of {len(pairs)} '
            f'pairs, the first is {first}: bring both to one size'
        )
    return pairs


@functools.cache
def _size(file: str) -> tuple[int, int]:
    """Return width and height as shown; nothing is decoded."""
    with Image.open(file) as image:
        return image.size[::-1] if _turned(image) else image.size


def _turned(image: Image.Image) -> bool:
    # Exif 2.32, Orientation: from 5 on, rows are shown as columns
    return image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
