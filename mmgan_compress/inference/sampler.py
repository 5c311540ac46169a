"""Images from noise, whatever the student was exported to."""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from PIL import Image

from ..core.files import atomic_write, refuse_taken
from ..core.inputs import Noise, input_of
from ..core.messages import check_range
from ..datasets import pictures
from ..datasets.images import of_array
from ..deploy.formats import on_arrays, open_model
from ..deploy.metadata import takes_of
from .translator import EAGER, StrPath, network_of

GRID = 'grid.png'


class Sampler:
    """Makes images from noise, in any runtime.

    Image ``i`` of a seed is always the same, whatever the runtime and how
    many are made; those of seed 1 are the ones that a recipe scores.

    Args:
        model (str | Path | nn.Module): As for
            :class:`~mmgan_compress.inference.translator.Translator`.
        domain (str | None): Domain to generate; that of the file if None.
        runtime (str | None): Likewise.
        threads (int | None): Likewise.
        trust (bool): Likewise.

    Attributes:
        runtime (str): Name of the runtime.
        domain (str): What it generates.
        noise (Noise): What an image is made from.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, takes images, or is a program that
            is not trusted.
        ImportError: If the runtime is not installed.

    Example:
        >>> sample = Sampler('student.pth')
        >>> sample(4, seed=3)[0].size
        (64, 64)
    """

    def __init__(
        self,
        model: StrPath | nn.Module,
        domain: str | None = None,
        runtime: str | None = None,
        threads: int | None = None,
        trust: bool = False,
    ):
        check_range('threads', 1 if threads is None else threads, 1)
        net = network_of(model, domain, runtime)
        if net is not None:
            takes, self.runtime, self.domain = input_of(net), EAGER, net.meta['domain']
            device = next(net.parameters()).device
            self._run = on_arrays(lambda x: net(x.to(device)).cpu(), threads)
        else:
            opened = open_model(model, runtime, threads, trust)
            takes, self.runtime = takes_of(opened.facts, model), opened.runtime
            self.domain, self._run = json.loads(opened.facts['domains'])[-1], opened.run
        if not isinstance(takes, Noise):
            raise ValueError(
                f'{model} does not make images from noise: give it images, mmgan-compress translate'
            )
        if domain not in (None, self.domain):
            raise ValueError(f'the model generates {self.domain!r}, not {domain!r}')
        self.noise = takes

    def __call__(
        self,
        count: int = 16,
        seed: int = 0,
        out: StrPath | None = None,
        batch_size: int = 16,
        overwrite: bool = False,
    ) -> list[Image.Image] | list[str]:
        """Make images.

        Args:
            count (int): How many.
            seed (int): Of the noise, at least 0.
            out (str | Path | None): Folder for ``00000.png`` and so on, and
                for ``grid.png``, the first hundred in one picture.
            batch_size (int): Images that go through the network at once.
            overwrite (bool): Whether files in ``out`` may be replaced.

        Returns:
            list: Pictures or, with ``out``, the paths of the files, that of
            the grid last.

        Raises:
            ValueError: If a number is out of range.
            FileExistsError: If a result would replace a file.
        """
        for name, value, least in (
            ('count', count, 1),
            ('seed', seed, 0),
            ('batch', batch_size, 1),
        ):
            check_range(name, value, least)
        targets = [Path(out, f'{index:05}.png') for index in range(count)] if out else []
        if out:
            targets.append(Path(out, GRID))
            refuse_taken(targets, overwrite=overwrite)
        made = []
        for first in range(0, count, batch_size):
            places = range(first, min(first + batch_size, count))
            made.extend(self.run(torch.stack([self.noise.draw(seed, at) for at in places]).numpy()))
        images = list(map(of_array, made))
        if not out:
            return images
        images.append(of_array(pictures.grid(made[: pictures.MOST_IN_GRID])))
        for image, target in zip(images, targets):
            with atomic_write(target) as part:
                image.save(part)
        return list(map(str, targets))

    def run(self, noise: np.ndarray) -> np.ndarray:
        """Make a batch.

        Args:
            noise (ndarray): (N, size), float32.

        Returns:
            ndarray: (N, H, W, channels), uint8.

        Raises:
            ValueError: If it has another shape.
        """
        if noise.ndim != 2 or noise.shape[1] != self.noise.size:
            raise ValueError(f'got noise of {noise.shape}: expected (N, {self.noise.size})')
        return pictures.to_pixels(torch.from_numpy(self._run(noise.astype(np.float32))))
