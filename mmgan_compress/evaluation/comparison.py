"""A picture of inputs, teachers, student and targets side by side."""

import os
from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..core.files import atomic_write
from .pixels import to_8_bit, to_rgb

PICTURE, VAL_PICTURE = 'comparison.png', 'comparison_val.png'
CELL = 192  # px at least: images of 64 px are too small to judge
GAP = 8
FONT_SIZE, SMALLEST_FONT = 17, 8
INK, PAPER = (30, 30, 30), (236, 236, 236)  # white pictures stand out


def save_comparison(
    path: str | os.PathLike,
    rows: Sequence[Sequence[Tensor]],
    columns: Sequence[str],
    shapes: Sequence[tuple[int, int]] | None = None,
):
    """Draw rows of pictures under column titles, as ``comparison.png``.

    Pictures smaller than 192 px are enlarged by a whole factor, bicubic.
    The others are kept as they are, pixel for pixel, unless ``shapes`` gives
    another aspect ratio.

    Args:
        path (str | PathLike): PNG file to write.
        rows (Sequence[Sequence[Tensor]]): Per row a picture per column, all
            (C, H, W), grey, RGB or RGBA in 0..255. The largest one of the
            first row gives the size of all. RGBA is laid on white.
        columns (Sequence[str]): Titles, such as input, teacher, student,
            target. A newline starts a further, smaller line.
        shapes (Sequence[tuple[int, int]] | None): Per row the width and the
            height of the original image, whose aspect ratio its pictures
            get; None keeps that of the pictures.
    """
    height, width = max((picture.shape[1:] for picture in rows[0]), key=min)
    factor = max(1, -(-CELL // max(height, width)))
    cell = width * factor, height * factor
    boxes = [_fit(shape, cell) for shape in shapes or [cell] * len(rows)]
    top = _title_height(columns)
    canvas = Image.new(
        'RGB',
        (len(columns) * (cell[0] + GAP) + GAP, top + sum(box[1] + GAP for box in boxes)),
        PAPER,
    )
    draw = ImageDraw.Draw(canvas)
    for at, title in enumerate(columns):
        left = GAP + at * (cell[0] + GAP)
        _draw_title(draw, title, left + cell[0] / 2, cell[0])
        y = top
        for box, row in zip(boxes, rows):
            picture = _picture(row[at])
            if picture.size != box:
                picture = picture.resize(box, Image.Resampling.BICUBIC)
            canvas.paste(picture, (left + (cell[0] - box[0]) // 2, y))
            y += box[1] + GAP
    with atomic_write(path) as part:
        canvas.save(part, format='PNG')


def _fit(shape: tuple[int, int], cell: tuple[int, int]) -> tuple[int, int]:
    """Return the largest size of a shape's aspect ratio inside a cell."""
    scale = min(cell[0] / shape[0], cell[1] / shape[1])
    return tuple(max(1, round(scale * side)) for side in shape)


def _picture(image: Tensor) -> Image.Image:
    pixels = to_rgb(to_8_bit(image.detach().cpu())).to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())


def _sizes(title: str) -> list[tuple[str, int]]:
    """Return the lines of a title with their font sizes."""
    return [(line, FONT_SIZE - 3 * bool(at)) for at, line in enumerate(title.split('\n'))]


def _title_height(columns: Sequence[str]) -> int:
    return max(sum(size + 4 for _, size in _sizes(c)) for c in columns) + GAP


def _draw_title(draw: ImageDraw.ImageDraw, title: str, centre: float, width: int):
    """Draw a title in a column; lines that are too wide are made smaller."""
    y = GAP
    for line, size in _sizes(title):
        font = ImageFont.load_default(size)
        wide = draw.textlength(line, font)
        if wide > width:
            font = ImageFont.load_default(max(SMALLEST_FONT, int(size * width / wide)))
        draw.text((centre, y), line, fill=INK, anchor='ma', font=font)
        y += size + 4
