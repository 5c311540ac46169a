"""From image files to the tensors of a generator and back."""

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..core.files import refuse_taken
from ..core.image_modes import IMAGE_MODES, LABELS_WITH_EDGES
from ..core.inputs import LabelMap
from .images import MIN_SIDE, check_images, of_array, some_images, to_array

MOST_IN_GRID = 100
_GAP = 2  # pixels between the pictures of a grid
_CHANNELS = {LABELS_WITH_EDGES, *IMAGE_MODES}


class Job(NamedTuple):
    """An image to translate.

    Args:
        image (str | Image): File or open image.
        name (str): What the result is called, without an extension; with
            the sub-folder for an image of a folder.
        folder (str | None): Folder that was given, if one was.
    """

    image: str | Image.Image
    name: str
    folder: str | None = None


def collect(images: Any) -> list[Job]:
    """List the images that a caller means, and check the files.

    Args:
        images (str | Path | Image | ndarray | Sequence): A file, a folder,
            an open image, an array (H, W) or (H, W, channels) of uint8, or a
            sequence of files, open images and arrays.

    Returns:
        list[Job]: In the order given; a folder's in alphabetical order.

    Raises:
        FileNotFoundError: If a file is missing or a folder has no image.
        ValueError: If a file cannot be read, with its name, or the
            sequence is empty.
        TypeError: If it is something else.
    """
    if isinstance(images, (str, Path)) and os.path.isdir(images):
        folder = str(images)
        names = ((file, os.path.relpath(file, folder)) for file in some_images(folder))
        jobs = [Job(file, os.path.splitext(name)[0], folder) for file, name in names]
    elif isinstance(images, Sequence) and not isinstance(images, str):
        jobs = [_job(image, index) for index, image in enumerate(images)]
    else:
        jobs = [_job(images, 0)]
    if not jobs:
        raise ValueError('no image given: expected at least one')
    check_images([job.image for job in jobs if isinstance(job.image, str)], trains=False)
    return jobs


def _job(image: Any, index: int) -> Job:
    if isinstance(image, np.ndarray):
        pixels = image[..., None] if image.ndim == 2 else image
        if image.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in _CHANNELS:
            raise TypeError(
                f'got an array of {image.dtype}, {image.shape}: expected uint8 and (H, W), or '
                '(H, W, 1), (H, W, 3) or (H, W, 4)'
            )
        image = of_array(pixels)
    if isinstance(image, Image.Image):
        return Job(image, f'{index:05d}')
    if not isinstance(image, (str, Path)):
        expected = 'expected an image file, a folder, a PIL image or an array'
        raise TypeError(f'{expected}, got a {type(image).__name__}')
    if not os.path.isfile(image):
        raise FileNotFoundError(f'no image at {os.path.abspath(image)}')
    return Job(str(image), Path(image).stem)


def destinations(jobs: Sequence[Job], out: str | Path, overwrite: bool = False) -> list[Path]:
    """Choose the PNG file that each result goes to.

    Args:
        jobs (Sequence[Job]): The images.
        out (str | Path): Folder of the results.
        overwrite (bool): Whether files that are there may be replaced;
            inputs never are.

    Returns:
        list[Path]: One per job.

    Raises:
        FileExistsError: If a file is there.
        ValueError: If a result would replace an input, two results would
            have one name, or a second call would find the results among its
            inputs.
    """
    root = Path(out).resolve()
    folder = jobs[0].folder
    if folder and root.is_relative_to(Path(folder).resolve()):
        raise ValueError(
            f'out is {out}, which lies in the folder of the '
            f'inputs, {folder}: choose a folder beside it'
        )
    taken: dict[Path, Job] = {}
    for job in jobs:
        target = root / f'{job.name}.png'
        if target in taken:
            raise ValueError(
                f'{taken[target].image} and {job.image} would both become {target}: rename one'
            )
        taken[target] = job
    refuse_taken(taken, [job.image for job in jobs if isinstance(job.image, str)], overwrite)
    return list(taken)


def to_tensor(image: Image.Image) -> Tensor:
    """Turn an image, as ``read_image`` gives it, into (1, C, H, W) in
    [-1, 1].
    """
    return to_values(to_array(image)[None])


def to_picture(x: Tensor) -> Image.Image:
    """Turn (1, C, H, W) in [-1, 1] into an image: L, RGB or RGBA."""
    return of_array(to_pixels(x)[0])


def to_values(pixels: np.ndarray) -> Tensor:
    """Turn (N, H, W, C), uint8 into (N, C, H, W), float32 in [-1, 1]."""
    x = torch.from_numpy(pixels.transpose(0, 3, 1, 2))
    # mean and deviation of mmagic's DataPreprocessor, in its order
    return (x.float() - 127.5) / 127.5


def to_pixels(x: Tensor) -> np.ndarray:
    """Turn (N, C, H, W) in [-1, 1] into (N, H, W, C), uint8."""
    levels = ((x.float() + 1) * 127.5).clamp(0, 255).round().byte()
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def grid(images: list[np.ndarray]) -> np.ndarray:
    """Lay pictures of one size, (H, W, channels), uint8, on white in rows."""
    height, width, channels = images[0].shape
    columns = math.ceil(math.sqrt(len(images)))
    rows = -(-len(images) // columns)
    down, right = height + _GAP, width + _GAP
    sheet = np.full((rows * down - _GAP, columns * right - _GAP, channels), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * down, index % columns * right
        sheet[top : top + height, left : left + width] = image
    return sheet


def fits(height: int, width: int, meta: dict) -> bool:
    """Tell whether a generator takes images of a size as they are.

    Args:
        height (int): Of the image.
        width (int): Of the image.
        meta (dict): As for :func:`run`.
    """
    if meta.get('fixed_size'):
        return (height, width) == tuple(meta['fixed_size'])
    multiple = meta['size_multiple']
    return not (height % multiple or width % multiple) and _large(height, width, multiple)


def _large(height: int, width: int, multiple: int) -> bool:
    return min(height, width) >= max(MIN_SIDE, multiple)


def run(net: Callable[[Tensor], Tensor], x: Tensor, meta: dict) -> Tensor:
    """Run a generator on images of any size.

    Args:
        net (Callable): Generator in eval mode, or what stands for one.
        x (Tensor): (N, C, H, W) in [-1, 1].
        meta (dict): ``size_multiple`` and ``image_size`` of the student;
            ``fixed_size``, height and width, where it takes one size only;
            ``scale``, 1 if it is not there, of super-resolution; ``takes``,
            None if it is not there, where the input is no image.

    Returns:
        Tensor: (N, C, scale H, scale W) in [-1, 1]; C may be another one.
    """
    height, width = x.shape[-2:]
    if fits(height, width, meta):
        return net(x)
    multiple, trained = meta['size_multiple'], meta['image_size']
    fixed, scale = meta.get('fixed_size'), meta.get('scale', 1)
    size = scale * height, scale * width
    if not fixed and _large(height, width, multiple) and 8 * multiple <= trained:
        padded = F.pad(x, (0, -width % multiple, 0, -height % multiple), mode='reflect')
        return net(padded)[..., : size[0], : size[1]]
    inner = fixed or (trained, trained)
    if (meta.get('takes') or {}).get('kind') == LabelMap.kind:  # numbers have no mean
        return _resized(net(F.interpolate(x, inner, mode='nearest')), size)
    return _resized(net(_resized(x, inner)), size)


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size, mode='bicubic', antialias=True).clamp(-1, 1)
