"""Use of a student, whatever it was exported to."""

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn as nn
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ..core.files import atomic_write
from ..core.image_modes import check_image_channels
from ..core.inputs import LabelMap, Noise, StyledImage, read_input
from ..core.messages import check_range
from ..core.zoo import find_student
from ..datasets import pictures
from ..datasets.images import MIN_SIDE, of_array, read_as, read_image, resized, to_array
from ..deploy.formats import entry_of, on_arrays, open_model
from ..models.student import load_student
from ..models.student_config import LARGEST_SCALE, LARGEST_SIDE, channels_of, kind_of_input
from . import video
from .tiles import Tiles

StrPath = str | Path
STUDENT_SUFFIX = '.pth'
EAGER = 'eager'


class Translator:
    """Translates images, folders and videos, in any runtime.

    An image whose sides are not multiples of the network's size multiple is
    mirrored at its right and lower edge and cropped back where that is a
    small part of it (ResNets: at most 3 pixels). Where it is not (U-Nets,
    images below 16 pixels) the image is resized to the size of the training
    images and back; for a file that takes one size only, to that size. How
    files become grey, RGB or RGBA, as the model takes them, says
    :func:`~mmgan_compress.datasets.images.read_image`; how they become label
    maps, :func:`~mmgan_compress.datasets.images.read_label_map`.

    Args:
        model (str | Path | nn.Module): Student file (``.pth``), exported
            model (``.onnx``, ``.xml``, ``.param``, ``.tflite``, ``.pt2``, ``.aoti.pt2``,
            ``.pt``), the folder of an export, or what ``load_student``
            returned, on any device.
        domain (str | None): Domain to generate, of a student that has two.
        runtime (str | None): Of ``deploy.formats.RUNTIMES``; by the suffix
            if None. ``'openvino'`` reads ``.onnx`` too.
        threads (int | None): How many it may use; the runtime's own choice
            if None.
        trust (bool): Whether to open ``.pt2``, ``.aoti.pt2`` and ``.pt``,
            which are programs: whoever made one can run anything here.
        tile (int | None): Side in pixels above which a picture goes through
            in tiles, so that memory is bounded (see :class:`.tiles.Tiles`);
            a picture goes through whole if None.

    Attributes:
        runtime (str): Name of the runtime.
        domain (str): What it generates.
        channels (tuple[int, int]): Of what it takes, and of what it gives:
            1 (grey), 3 (RGB) or 4 (RGBA); of a label map 1, or 2 with edges.
        kind (int | LabelMap): What it takes: an image of so many channels, or
            a label map.
        style_size (int): Numbers of the style that it takes beside the image;
            0 if it takes none.
        scale (int): How many times as large as its input a picture is.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, has no generator for the domain,
            was not made by this package, or is a program that is not
            trusted.
        ImportError: If the runtime is not installed.
    """

    def __init__(
        self,
        model: StrPath | nn.Module,
        domain: str | None = None,
        runtime: str | None = None,
        threads: int | None = None,
        trust: bool = False,
        tile: int | None = None,
    ):
        check_range('threads', 1 if threads is None else threads, 1)
        net = network_of(model, domain, runtime)
        if net is not None:
            self.runtime, self._meta, layout = EAGER, net.meta, 'NCHW'
            device, call = next(net.parameters()).device, entry_of(net)
            self._run = on_arrays(lambda *xs: call(*(x.to(device) for x in xs)).cpu(), threads)
        else:
            opened = open_model(model, runtime, threads, trust)
            self.runtime, self._run = opened.runtime, opened.run
            self._meta = _meta(opened.facts, model)
            layout = opened.facts['layout']
        if isinstance(kind_of_input(self._meta), Noise):
            raise ValueError(f'{model} makes images from noise: mmgan-compress sample')
        self.domain = self._meta['domain']
        if domain not in (None, self.domain):
            raise ValueError(
                f'the model generates {self.domain!r}, not {domain!r}: give the student file, or '
                'an export of that domain'
            )
        self.channels, self.scale = channels_of(self._meta), self._meta.get('scale', 1)
        self.kind = kind_of_input(self._meta)
        takes = read_input(self._meta.get('takes'))
        self.style_size = takes.style if isinstance(takes, StyledImage) else 0
        self._net, self._takes_pixels = net, layout == 'NHWC'
        self._largest = LARGEST_SIDE if tile is None else tile
        if tile is not None:
            least = max(MIN_SIDE, self._meta['size_multiple'])
            check_range('tile', tile, least)
            if not isinstance(self.kind, int):
                raise ValueError(f'{model} takes label maps, which have no tiles: leave tile out')
            if self.style_size:
                raise ValueError(
                    f'{model} takes a style, and has norms that look at the whole picture: '
                    'leave tile out'
                )
            if self._meta.get('fixed_size'):
                raise ValueError(
                    f'{model} takes pictures of one size, to which all are resized: leave tile '
                    'out, or give the student file or a dynamic export'
                )
            self._network = Tiles(self._network, tile, self._meta['size_multiple'], net)

    def __call__(
        self,
        images: Any,
        out: StrPath | None = None,
        batch_size: int = 1,
        overwrite: bool = False,
        seed: int | None = None,
        styles: int | None = None,
        style_from: StrPath | Image.Image | None = None,
    ) -> list[Image.Image] | list[str]:
        """Translate images or a video; a progress bar shows how far it is.

        Args:
            images (str | Path | Image | ndarray | list): An image file, a
                folder (with its sub-folders), an open image, an array (H,
                W) or (H, W, channels) of uint8, a list of them, or, for a
                model of RGB images, a video file.
            out (str | Path | None): Folder for PNG files that keep the names
                of their inputs, sub-folders included; a video becomes
                ``NAME.mp4`` with its size and frame rate, and with its
                sound where ffmpeg is installed. A video needs it.
            batch_size (int): Images of one size that go through the network
                at once, where the file takes more than one.
            overwrite (bool): Whether files in ``out`` may be replaced, such
                as those of an earlier call; inputs never are.
            seed (int | None): As of :meth:`styles_of`, like those below.
            styles (int | None): How many styles of each image stand in one
                picture, in rows.
            style_from (str | Path | Image | None): Picture whose style all
                images get.

        Returns:
            list: Pictures (``PIL.Image``, of mode L, RGB or RGBA, in the
            sizes of the inputs times ``scale``) or, with ``out``, the paths of the files.

        Raises:
            FileNotFoundError: If a file is missing or a folder has no image.
            FileExistsError: If a result would replace a file.
            ValueError: If a file cannot be read, if it is a video and the
                model not of RGB images, if two inputs would make one file,
                or if ``out`` lies in the folder of the inputs.
            TypeError: If an input is neither a file nor an image.
        """
        if batch_size < 1:
            raise ValueError(f'batch_size is {batch_size}: expected at least 1')
        chosen = self.styles_of(seed, styles, style_from)
        if video.is_video(images):
            if self.channels != (3, 3):
                raise ValueError(
                    f'{images} is a video, whose frames have 3 channels: this model maps '
                    f'{self.channels[0]} to {self.channels[1]}, give it images'
                )
            if len(chosen) > 1:
                raise ValueError(f'{images} is a video, which has one style: leave styles out')
            target = video.destination(Path(images), out, overwrite)
            return [self._video(Path(images), target, batch_size, chosen)]
        jobs = pictures.collect(images)
        targets = pictures.destinations(jobs, out, overwrite) if out else None
        frames = (to_array(read_as(job.image, self.kind)) for job in jobs)
        shown = tqdm(
            self.stream(frames, batch_size, chosen), total=len(jobs), disable=len(jobs) == 1
        )
        translated = map(of_array, shown)
        if targets is None:
            return list(translated)
        for picture, target in zip(translated, targets):
            with atomic_write(target) as part:
                picture.save(part)
        return list(map(str, targets))

    def styles_of(
        self,
        seed: int | None = None,
        count: int | None = None,
        picture: StrPath | Image.Image | None = None,
    ) -> np.ndarray:
        """Choose styles. Those of a seed are the same in every runtime.

        Args:
            seed (int | None): Of random styles, at least 0; 0 if None.
            count (int | None): How many; one if None.
            picture (str | Path | Image | None): One of the generated domain,
                whose style is taken in place of a random one. Exports have no
                style encoder: it needs the student file.

        Returns:
            ndarray: (count, style_size), float32; (1, 0) where the model takes
            no style.

        Raises:
            ValueError: If the model takes no style, or cannot read one from a
                picture, or a number is out of range.
        """
        if not self.style_size:
            if any(value is not None for value in (seed, count, picture)):
                raise ValueError('the model takes no style: leave seed, styles and style_from out')
            return np.zeros((1, 0), np.float32)
        if picture is None:
            seed, count = seed or 0, 1 if count is None else count
            check_range('seed', seed, 0)
            check_range('styles', count, 1, pictures.MOST_IN_GRID)
            noise = Noise(self.style_size)
            return torch.stack([noise.draw(seed, at) for at in range(count)]).numpy()
        if seed is not None or count is not None:
            raise ValueError('style_from names the one style: leave seed and styles out')
        if self._net is None:
            raise ValueError(
                'an export has no style encoder, so it cannot take the style of a picture: give '
                'the student file, or leave style_from out'
            )
        side = self._meta['image_size']
        image = resized(read_image(picture, self.channels[1]), (side, side), self.channels[1])
        with torch.inference_mode():
            net = getattr(self._net, 'network', self._net)  # of a super-net
            device = next(net.parameters()).device
            return net.style_of(pictures.to_tensor(image).to(device)).cpu().numpy()

    def stream(
        self, frames: Iterable[np.ndarray], batch_size: int = 1, styles: np.ndarray | None = None
    ) -> Iterator[np.ndarray]:
        """Translate pictures one after the other, as they come.

        Args:
            frames (Iterable[ndarray]): (H, W, channels), uint8.
            batch_size (int): How many of one size are taken at once.
            styles (ndarray | None): As of :meth:`run`.

        Yields:
            ndarray: (H, W, channels), uint8, in the order of the frames; H
            and W times ``scale``.
        """
        for _, same in itertools.groupby(frames, key=np.shape):
            while batch := list(itertools.islice(same, batch_size)):
                yield from self.run(np.stack(batch), styles)

    def run(self, pixels: np.ndarray, styles: np.ndarray | None = None) -> np.ndarray:
        """Translate a batch.

        Args:
            pixels (ndarray): (N, H, W, channels), uint8, of any size.
            styles (ndarray | None): Of :meth:`styles_of`; the first one of
                seed 0 if None.

        Returns:
            ndarray: (N, H, W, channels), uint8; H and W times ``scale``. Of
            several styles, the pictures of an image are laid in rows.

        Raises:
            ValueError: If the model takes another number of channels.
        """
        if pixels.shape[-1] != self.channels[0]:
            raise ValueError(
                f'got pixels of shape {pixels.shape}: this model '
                f'takes {self.channels[0]} channels, at the end'
            )
        if not self.style_size:
            return self._styled(pixels)
        styles = self.styles_of() if styles is None else styles
        made = [self._styled(pixels, style[None].repeat(len(pixels), 0)) for style in styles]
        return made[0] if len(made) == 1 else np.stack([pictures.grid(own) for own in zip(*made)])

    def _styled(self, pixels: np.ndarray, *style: np.ndarray) -> np.ndarray:
        """Translate a batch, in the style of each of its images if there is one."""
        small = max(pixels.shape[1:3]) <= self._largest
        if self._takes_pixels and small and pictures.fits(*pixels.shape[1:3], self._meta):
            return self._run(pixels, *style)
        made = pictures.run(
            lambda x: self._network(x, *style), pictures.to_values(pixels), self._meta
        )
        return pictures.to_pixels(made)

    def _network(self, x: Tensor, *style: np.ndarray) -> Tensor:
        """Run the model on (N, C, H, W) in [-1, 1], whatever it takes."""
        if self._takes_pixels:
            return pictures.to_values(self._run(pictures.to_pixels(x), *style))
        return torch.from_numpy(self._run(x.numpy(), *style))

    def _video(self, source: Path, target: Path, batch_size: int, styles: np.ndarray) -> str:
        about = video.probe(source)
        width, height = self.scale * about.width, self.scale * about.height
        with video.writing(target, about._replace(width=width, height=height), source) as write:
            frames = self.stream(video.frames(source), batch_size, styles)
            for frame in tqdm(frames, total=about.frames, unit='frame'):
                write(frame)
        return str(target)


def translate(
    student: StrPath | nn.Module,
    images: Any,
    out: StrPath | None = None,
    overwrite: bool = False,
    trust: bool = False,
    **style: Any,
) -> list[Image.Image] | list[str]:
    """Translate images with a student or an exported model.

    Args:
        student (str | Path | nn.Module): As for :class:`Translator`, which
            is opened for this one call.
        images (Any): As for ``Translator.__call__``.
        out (str | Path | None): Likewise.
        overwrite (bool): Likewise.
        trust (bool): As for :class:`Translator`.
        **style: ``seed``, ``styles`` and ``style_from`` of
            ``Translator.__call__``.

    Returns:
        list: Pictures (``PIL.Image``, in the sizes of the inputs times the
        model's scale) or, with ``out``, the paths of the files.
    """
    return Translator(student, trust=trust)(images, out, overwrite=overwrite, **style)


def network_of(
    model: StrPath | nn.Module, domain: str | None, runtime: str | None
) -> nn.Module | None:
    """Return the network of a student; None for an exported model."""
    is_network = isinstance(model, nn.Module)
    is_student = is_network or Path(find_student(model)).suffix == STUDENT_SUFFIX
    if is_student and runtime not in (None, EAGER):
        raise ValueError(
            f'a student runs in torch only, not in {runtime}: export it first '
            '(mmgan-compress export)'
        )
    if is_network:
        return model
    return load_student(model, domain) if is_student or runtime == EAGER else None


def _meta(facts: dict[str, str], model: StrPath) -> dict:
    """Return what ``pictures.run`` has to know of an exported model."""
    if 'size_multiple' not in facts:
        raise ValueError(
            f'{model} does not say what it takes: expected a file that '
            'mmgan-compress export made, with the ones beside it'
        )
    if facts.get('layout') == 'NC':
        return dict(takes=json.loads(facts['takes']))
    try:
        shape = json.loads(facts['input_shape'])
        side = shape[1:3] if facts['layout'] == 'NHWC' else shape[2:]
        domains = json.loads(facts['domains'])
        meta = dict(
            size_multiple=int(facts['size_multiple']),
            image_size=int(facts['image_size']),
            fixed_size=None if None in side else tuple(side),
            channels=dict(zip(domains, json.loads(facts.get('channels', '[3, 3]')))),
            domain=domains[-1],
            scale=int(facts.get('scale', 1)),
            takes=json.loads(facts.get('takes', 'null')),
        )
        taken, given = channels_of(meta)
        takes = read_input(meta['takes'])
        if (takes.channels if takes else taken) != taken:
            raise ValueError(f'{taken} channels of {takes}')
        check_image_channels(given, *[taken] * (not isinstance(takes, LabelMap)))
        sides = (meta['size_multiple'], meta['image_size'], *(meta['fixed_size'] or (1, 1)))
        if len(sides) != 4 or not all(type(n) is int and 1 <= n <= LARGEST_SIDE for n in sides):
            raise ValueError(f'sides of {sides} pixels')
        check_range('scale', meta['scale'], 1, LARGEST_SCALE)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f'{model} is damaged or was changed: what it says '
            f'of its images cannot be used ({error})'
        ) from error
    return meta
