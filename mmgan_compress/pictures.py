"""From image files to the tensors of a generator and back."""
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from .data.images import EXTENSIONS, MIN_SIDE, check_images, list_images


class Job(NamedTuple):
    """An image to translate.

    Args:
        image (str | Image): File or open image.
        name (str): What the result is called, without an extension; with
            the sub-folder for an image of a folder.
        folder (str | None): Folder that was given, if one was.
    """
    image: Union[str, Image.Image]
    name: str
    folder: Optional[str] = None


def collect(images: Any) -> list[Job]:
    """List the images that a caller means, and check the files.

    Args:
        images (str | Path | Image | Sequence): A file, a folder, an open
            image, or a sequence of files and open images.

    Returns:
        list[Job]: In the order given; a folder's in alphabetical order.

    Raises:
        FileNotFoundError: If a file is missing or a folder has no image.
        ValueError: If a file is corrupt or tiny, with its name, or the
            sequence is empty.
        TypeError: If it is something else.
    """
    if isinstance(images, (str, Path)) and os.path.isdir(images):
        jobs = _of_folder(str(images))
    elif isinstance(images, Sequence) and not isinstance(images, str):
        jobs = [_job(image, index) for index, image in enumerate(images)]
    else:
        jobs = [_job(images, 0)]
    if not jobs:
        raise ValueError('no image given: expected at least one')
    check_images([job.image for job in jobs if isinstance(job.image, str)])
    return jobs


def _of_folder(folder: str) -> list[Job]:
    files = list_images(folder, '')
    if not files:
        raise FileNotFoundError(f'no image in {os.path.abspath(folder)}: '
                                f'expected {", ".join(EXTENSIONS)}')
    return [
        Job(file, os.path.splitext(os.path.relpath(file, folder))[0], folder)
        for file in files
    ]


def _job(image: Any, index: int) -> Job:
    if isinstance(image, Image.Image):
        return Job(image, f'{index:05d}')
    if not isinstance(image, (str, Path)):
        raise TypeError(f'expected an image file, a folder or a PIL image, '
                        f'got a {type(image).__name__}')
    if not os.path.isfile(image):
        raise FileNotFoundError(f'no image at {os.path.abspath(image)}')
    return Job(str(image), Path(image).stem)


def destinations(jobs: Sequence[Job], out: Union[str, Path]) -> list[Path]:
    """Choose the PNG file that each result goes to.

    Args:
        jobs (Sequence[Job]): The images.
        out (str | Path): Folder of the results.

    Returns:
        list[Path]: One per job.

    Raises:
        ValueError: If a result would replace an input, two results would
            have one name, or a second call would find the results among its
            inputs.
    """
    root = Path(out).resolve()
    folder = jobs[0].folder
    if folder and root.is_relative_to(Path(folder).resolve()):
        raise ValueError(f'out is {out}, which lies in the folder of the '
                         f'inputs, {folder}: choose a folder beside it')
    inputs = {Path(job.image).resolve(): job.image
              for job in jobs if isinstance(job.image, str)}
    taken: dict[Path, Job] = {}
    for job in jobs:
        target = root / f'{job.name}.png'
        if target in inputs:
            raise ValueError(f'the result would replace the input '
                             f'{inputs[target]}: choose another out folder')
        if target in taken:
            raise ValueError(f'{taken[target].image} and {job.image} would '
                             f'both become {target}: rename one')
        taken[target] = job
    return list(taken)


def as_rgb(image: Union[str, Image.Image]) -> Image.Image:
    """Open an image as 8-bit RGB, upright, transparency laid on white."""
    if isinstance(image, str):
        with Image.open(image) as file:
            file.load()
            return as_rgb(file)
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith('I'):  # 16 bits, which Pillow would clip
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert('RGBA')
        white = Image.new('RGBA', image.size, 'white')
        image = Image.alpha_composite(white, image)
    return image.convert('RGB')


def to_tensor(image: Image.Image) -> Tensor:
    """Turn an RGB image into (1, 3, H, W) in [-1, 1]."""
    array = np.array(image).transpose(2, 0, 1)[None]
    # mean and deviation of mmagic's DataPreprocessor, in its order
    return (torch.from_numpy(array).float() - 127.5) / 127.5


def to_picture(x: Tensor) -> Image.Image:
    """Turn (1, 3, H, W) in [-1, 1] into an RGB image."""
    pixels = ((x[0].float() + 1) * 127.5).clamp(0, 255).round()
    array = pixels.byte().permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(array)


def run(net: nn.Module, x: Tensor, meta: dict) -> Tensor:
    """Run a generator on an image of any size.

    Args:
        net (nn.Module): Generator in eval mode.
        x (Tensor): (N, 3, H, W) in [-1, 1].
        meta (dict): ``size_multiple`` and ``image_size`` of the student.

    Returns:
        Tensor: (N, 3, H, W) in [-1, 1].
    """
    multiple, trained = meta['size_multiple'], meta['image_size']
    height, width = x.shape[-2:]
    right, below = -width % multiple, -height % multiple
    large = min(height, width) >= max(MIN_SIDE, multiple)
    if large and not (right or below):
        return net(x)
    if large and 8 * multiple <= trained:
        padded = F.pad(x, (0, right, 0, below), mode='reflect')
        return net(padded)[..., :height, :width]
    square = F.interpolate(x, (trained, trained), mode='bicubic',
                           antialias=True).clamp(-1, 1)
    return F.interpolate(net(square), (height, width), mode='bicubic',
                         antialias=True).clamp(-1, 1)
