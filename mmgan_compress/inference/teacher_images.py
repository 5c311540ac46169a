"""Run a teacher once over the training images and keep what it gives."""

import os
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ..core.files import atomic_folder, refuse_filled
from ..core.inputs import LabelMap, StyledImage, input_of
from ..datasets import pictures
from ..datasets.images import check_images, half_of, read_as, resized
from ..models.image_teachers import CallableTeacher, OnnxTeacher
from ..models.student import load_student
from ..models.student_config import kind_of_input

StrPath = str | Path
SIZE = 256  # of the recipes, where a teacher has no size of its own


def make_teacher_images(
    teacher: str,
    folder: StrPath,
    out: StrPath,
    size: int | None = None,
    paired_side: str | None = None,
    domain: str | None = None,
) -> list[str]:
    """Write a teacher's image of every image in a folder.

    The files keep the names of their sources, sub-folders included, so that
    a data set finds them (``teacher_images`` of ``TranslationImages``).

    Args:
        teacher (str): Student file, ONNX file (``*.onnx``), or
            ``'package.module:function'`` as for ``CallableTeacher``.
        folder (str | Path): Training images of the source domain, or pairs.
        out (str | Path): Empty or new folder for the PNG files.
        size (int | None): Sources are resized to squares of this side, as
            in training. That of the teacher, else 256, by default; the
            ``load_size`` of the data set spares a second resizing.
        paired_side (str | None): ``'A'`` (left) or ``'B'``: the half of
            each pair that is the source.
        domain (str | None): What a student that has two domains generates.

    Returns:
        list[str]: Paths of the files.

    Raises:
        FileNotFoundError: If the teacher or an image is missing.
        FileExistsError: If ``out`` holds something.
        ValueError: If an image, the teacher or what it gives is unusable.
    """
    jobs = pictures.collect(folder)
    refuse_filled(out)  # images of other teachers would mix with it
    targets = pictures.destinations(jobs, out)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    run, own_size, kind = open_teacher(teacher, domain, device)
    check_images([job.image for job in jobs], paired_side is not None, channels=kind)
    with atomic_folder(out) as part:
        for job, target in zip(tqdm(jobs), targets):
            source = _source(job.image, size or own_size, paired_side, kind)
            with torch.no_grad():
                image = run(pictures.to_tensor(source).to(device))
            file = part / target.relative_to(Path(out).resolve())
            file.parent.mkdir(parents=True, exist_ok=True)
            pictures.to_picture(image).save(file)
    return [str(target) for target in targets]


def open_teacher(teacher: str, domain: str | None = None, device: str = 'cpu') -> tuple:
    """Open whatever a teacher is given as.

    Args:
        teacher (str): As for :func:`make_teacher_images`.
        domain (str | None): As there.
        device (str): Where a student runs.

    Returns:
        tuple[Callable, int, int | LabelMap]: Maps (1, C, H, W) in [-1, 1] to
        an image; side of the images that suit it, and their channels or the
        label maps that it takes.

    Raises:
        ValueError: If it is unusable, or has no domain to choose.
    """
    is_onnx = teacher.endswith('.onnx')
    if not is_onnx and (os.path.isfile(teacher) or ':' not in teacher):
        net = load_student(teacher, domain).to(device)
        if isinstance(input_of(net), StyledImage):
            raise ValueError(
                f'{teacher} takes a style beside each image, which no folder of pictures keeps: '
                'name it as a teacher in the recipe'
            )
        return partial(_run, net), net.meta['image_size'], kind_of_input(net.meta)
    if domain:
        raise ValueError(f'only a student file has domains: leave out {domain!r} for {teacher}')
    if not is_onnx:
        return CallableTeacher(teacher), SIZE, 3
    network = OnnxTeacher(teacher)
    return network, network.size[0] or SIZE, network.channels or 3


def _run(net, x: Tensor) -> Tensor:
    return pictures.run(net, x, net.meta)


def _source(path: str, size: int, paired_side: str | None, kind: int | LabelMap) -> Image.Image:
    """Open an image as a training step would see it."""
    image = read_as(path, kind)
    if paired_side:
        image = half_of(image, paired_side)
    return resized(image, (size, size), kind)
