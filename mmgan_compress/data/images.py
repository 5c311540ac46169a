"""Finding and checking image files."""
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Optional

import numpy as np
from PIL import Image

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.ppm',
              '.webp')
_CHECKED: set[tuple] = set()  # a process reads each file once
MIN_SIDE = 16  # two stride-2 layers and a 7x7 kernel need no less
LENT = 100  # training images that stand for val where nothing is held out


def list_images(root: str, split: str, side: str = '') -> Optional[list[str]]:
    """Return the sorted image files of ``root/<split><side>``.

    Args:
        root (str): Folder of the data set.
        split (str): ``'train'``, ``'val'`` or ``'test'``.
        side (str): ``'A'`` or ``'B'``; ``''`` for side-by-side pairs.

    Returns:
        list[str] | None: Paths, or None if there is no such folder.
    """
    folder = os.path.join(root, split + side)
    if not os.path.isdir(folder):
        return None
    return sorted(
        os.path.join(base, name) for base, _, names in os.walk(folder)
        for name in names if name.lower().endswith(EXTENSIONS))


def missing_data(root: str, folder: str) -> FileNotFoundError:
    """Return the error for a data set that is not there."""
    name = os.path.basename(os.path.normpath(root))
    looked = os.path.abspath(os.path.join(root, folder))
    from .recipes import RECIPES
    known = name if name in RECIPES else '-h'
    return FileNotFoundError(
        f'no images in {looked}\n'
        f'  prepare the set:   python tools/prepare_data.py {known}\n'
        '  or use your own:   --data-root FOLDER  (trainA/ trainB/ testA/ '
        'testB/, or train/ test/ of side-by-side pairs)\n'
        '  or just try it:    add --demo, which uses the data shipped here')


def origin_of(metainfo: dict) -> dict:
    """Return which images a run has learnt from, wherever they lie.

    Args:
        metainfo (dict): Of a training set, as checkpoints have it.
    """
    return dict(folder=os.path.basename(os.path.normpath(
        metainfo.get('data_root') or '')), hold_out=metainfo.get(
            'hold_out', 0))


def evenly_spaced(files: Sequence[str], count: int) -> list[str]:
    """Return ``count`` of the files, from the first to the last one."""
    return [files[i] for i in
            np.linspace(0, len(files) - 1, count).astype(int)]


def split_images(root: str, split: str, side: str = '', hold_out: int = 0,
                 val_folder: bool = True,
                 most: Optional[int] = None) -> list[str]:
    """Return the checked image files of a split; val may be a part of train.

    Args:
        root (str): Folder of the data set.
        split (str): As of :func:`list_images`.
        side (str): As there.
        hold_out (int): Training images that are the val split in place of a
            folder, and are not in the train split. 0: ``LENT`` of them
            stand for val, and are in both.
        val_folder (bool): Whether a val folder, if there is one, is the val
            split. Nothing is held out then.
        most (int | None): Return at most so many, evenly spaced.

    Raises:
        FileNotFoundError: If there are none; names the folder.
        ValueError: If more than the half would be held out, or an image is
            unusable.
    """
    has_val = val_folder and os.path.isdir(os.path.join(root, 'val' + side))
    lent = split == 'val' and not has_val
    folder = 'train' if lent else split
    files = list_images(root, folder, side)
    if not files:
        raise missing_data(root, folder + side)
    if hold_out and folder == 'train' and not has_val:
        if hold_out > len(files) // 2:
            raise ValueError(
                f'hold_out {hold_out} is more than the half of the '
                f'{len(files)} images in '
                f'{os.path.abspath(os.path.join(root, folder + side))}: give '
                'the data sets of train and val the same smaller one, or '
                f'make a folder val{side}')
        held = evenly_spaced(files, hold_out)
        files = held if lent else sorted(set(files).difference(held))
    elif lent:
        most = most or LENT
    if most and len(files) > most:
        files = evenly_spaced(files, most)
    return _checked(files, paired=not side)


def extra_images(folder: str) -> list[str]:
    """Return the checked image files of a folder that is no split.

    Raises:
        FileNotFoundError: If there are none.
        ValueError: If one is unusable.
    """
    files = list_images(folder, '')
    if not files:
        raise FileNotFoundError(f'no images in {os.path.abspath(folder)}, '
                                'which extra_images names')
    return _checked(files)


def _problem(path: str, paired: bool, trains: bool) -> Optional[str]:
    try:
        with Image.open(path) as image:
            width, height = image.size
            image.draft('RGB', (8, 8))  # JPEG: read all, decode little
            image.load()
            if trains and image.has_transparency_data and \
                    image.convert('RGBA').getextrema()[3][0] < 255:
                return 'is transparent: lay it onto a background first'
    except Exception as error:
        return f'cannot be read ({error})'
    if not trains:
        return None
    if paired and width % 2:
        return f'is {width}x{height}: a pair is two images of one width'
    if min(width // (2 if paired else 1), height) < MIN_SIDE:
        return f'is {width}x{height}: expected at least {MIN_SIDE} pixels'
    return None


def check_images(paths: Sequence[str], paired: bool = False,
                 map_: Callable = map, trains: bool = True):
    """Refuse corrupt, tiny or unpaired images, naming the files.

    Args:
        paths (Sequence[str]): Image files.
        paired (bool): Whether each holds two images side by side.
        map_ (Callable): ``map``, or that of a thread pool.
        trains (bool): Whether networks learn from them; else it is enough
            that they can be read.

    Raises:
        ValueError: With up to five files and what is wrong with each.
    """
    kind = (paired, trains)
    paths = [path for path in paths if (path, *kind) not in _CHECKED]
    found = map_(lambda path: (path, _problem(path, *kind)), paths)
    bad = [f'{path} {problem}' for path, problem in found if problem]
    if bad:
        more = f'\n  and {len(bad) - 5} more' if len(bad) > 5 else ''
        raise ValueError('unusable images, mend or remove them:\n  '
                         + '\n  '.join(bad[:5]) + more)
    _CHECKED.update((path, *kind) for path in paths)


def _checked(files: Sequence[str], paired: bool = False) -> list[str]:
    with ThreadPoolExecutor(4) as pool:
        check_images(files, paired, pool.map)
    return list(files)


def _by_name(folder: str, files: Sequence[str]) -> dict[str, str]:
    """Index files of a folder by their name in it, without extension."""
    named: dict[str, str] = {}
    for file in files:
        name = os.path.splitext(os.path.relpath(file, folder))[0]
        if name in named:
            raise ValueError(f'{named[name]} and {file} have the same name '
                             'but for the extension, which does not tell '
                             "whose teacher's image is whose: rename one")
        named[name] = file
    return named


def match_teacher_images(root: str, files: Sequence[str], folder: str,
                         command: str) -> dict[str, str]:
    """Find and check a teacher's image of every training image.

    Args:
        root (str): Folder of the training images.
        files (Sequence[str]): Those in use, sub-folders included.
        folder (str): Folder of the teacher's images: the same names and
            sub-folders, any supported extension.
        command (str): What makes them, for the message.

    Returns:
        dict[str, str]: Path of the teacher's image by training image.

    Raises:
        FileNotFoundError: If any is missing.
        ValueError: If one is corrupt, or names are ambiguous.
    """
    made = _by_name(folder, list_images(folder, '') or [])
    sources = _by_name(root, files)
    missing = [file for name, file in sources.items() if name not in made]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(files)} training images have no "
            f"teacher's image in {os.path.abspath(folder)}, the first is "
            f'{missing[0]}\n  make them, into an empty folder:   {command}')
    _checked([made[name] for name in sources])
    return {file: made[name] for name, file in sources.items()}
