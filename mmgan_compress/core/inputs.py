"""What a generator takes, where it is no image: a label map, noise, or an image with a style.

A generator says it by its attribute ``takes``, an object with

- ``kind``, the word for it: ``'labels'``, ``'noise'`` or ``'styled'``;
- ``shape(side)``, of one, without the batch. Of a picture these are its channels in a
  file, in a batch of the data set and in an exported model, and twice the side; its
  values are in [-1, 1], as those of images are;
- ``resize``, how such a picture is brought to another size; noise has none;
- ``plain()``, all of it in plain values, for an exported model.

Without ``takes`` it is an image: what it has of channels is what its first layer reads.
What a network needs beyond that it computes of the picture itself, so that training,
``Translator`` and exports do not differ.
"""

import dataclasses
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn as nn
from torch import Tensor

from .image_modes import DONT_CARE
from .seeding import seeded

MOST_NOISE = 1 << 16  # numbers


@dataclasses.dataclass(frozen=True)
class _Plain:
    """What all kinds share."""

    kind: ClassVar[str]

    def plain(self) -> dict[str, Any]:
        """Return it in plain values; ``kind`` among them."""
        return dict(dataclasses.asdict(self), kind=self.kind)


@dataclasses.dataclass(frozen=True)
class LabelMap(_Plain):
    """A class for each pixel and, beside it, where objects end.

    As a picture its first channel is the number of the class. The second is
    0, and above 127 at the border of two objects (both of their pixels).

    Args:
        classes (int): Number of classes, 0 to ``classes - 1``.
        dont_care (bool): Whether 255 is a class of its own, the last one.
        edges (bool): Whether there is a second channel.

    Raises:
        ValueError: If there is no class, or more than 255, or another
            argument is neither True nor False.

    Example:
        >>> x = torch.tensor([0., 2.]).view(1, 1, 1, 2) / 127.5 - 1
        >>> LabelMap(3, edges=False).one_hot(x).flatten(2)
        tensor([[[1., 0.],
                 [0., 0.],
                 [0., 1.]]])
    """

    classes: int
    dont_care: bool = False
    edges: bool = True
    kind: ClassVar[str] = 'labels'
    resize: ClassVar[str] = 'nearest'

    def __post_init__(self):
        if type(self.classes) is not int or not 1 <= self.classes <= DONT_CARE:
            raise ValueError(f'{self.classes!r} classes: expected 1 to {DONT_CARE}')
        if not all(isinstance(value, bool) for value in (self.dont_care, self.edges)):
            raise ValueError(f'{self}: dont_care and edges are True or False')

    @property
    def channels(self) -> int:
        """Channels of the picture that holds it."""
        return 1 + self.edges

    @property
    def planes(self) -> int:
        """Channels of :meth:`one_hot`."""
        return self.classes + self.dont_care + self.edges

    @property
    def labels(self) -> list[int]:
        """The classes in the order of their planes."""
        return [*range(self.classes), *[DONT_CARE] * self.dont_care]

    def shape(self, side: int) -> tuple[int, ...]:
        """Return the shape of one, (channels, side, side)."""
        return self.channels, side, side

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Draw label maps, to compare networks on.

        Args:
            shape (tuple[int]): (N, channels, H, W).
            rng (Generator): Where the numbers are from.

        Returns:
            ndarray: float32 in [-1, 1].
        """
        levels = rng.choice([0.0, DONT_CARE], shape)
        levels[:, 0] = rng.choice(self.labels, levels[:, 0].shape)
        return (levels.astype(np.float32) - 127.5) / 127.5

    def one_hot(self, picture: Tensor) -> Tensor:
        """Return a plane of 0 and 1 for each class, and that of the edges.

        Args:
            picture (Tensor): (N, channels, H, W) in [-1, 1].

        Returns:
            Tensor: (N, planes, H, W). A label that is none has no plane.
        """
        labels = picture.new_tensor(self.labels)[:, None, None]
        planes = ((picture[:, :1] + 1) * 127.5 - labels).abs() < 0.5
        if self.edges:
            planes = torch.cat([planes, picture[:, 1:] > 0], 1)
        return planes.to(picture.dtype)


@dataclasses.dataclass(frozen=True)
class Noise(_Plain):
    """Numbers from a standard normal distribution.

    Args:
        size (int): How many an image is made from.

    Raises:
        ValueError: If it is below 1, or no whole number.
    """

    size: int
    kind: ClassVar[str] = 'noise'

    def __post_init__(self):
        if type(self.size) is not int or not 1 <= self.size <= MOST_NOISE:
            raise ValueError(f'noise of {self.size!r} numbers: expected 1 to {MOST_NOISE}')

    def shape(self, side: int) -> tuple[int, ...]:
        """Return the shape of one, (size,), whatever the side of the image."""
        return (self.size,)

    def draw(self, seed: int, position: int) -> Tensor:
        """Return noise (size,) that depends on seed and position alone."""
        with seeded(seed, position):
            return torch.randn(self.size)


@dataclasses.dataclass(frozen=True)
class StyledImage(_Plain):
    """An image and the numbers of a style, in one tensor.

    Behind the channels of the image there is a plane of one value for each
    number of the style.

    Args:
        channels (int): Of the image.
        style (int): Numbers of a style. They are standard normal where they
            are drawn.

    Raises:
        ValueError: If one of them is below 1, or no whole number.

    Example:
        >>> takes = StyledImage(1, style=2)
        >>> packed = takes.pack(torch.zeros(1, 1, 2, 2), torch.tensor([[3., 4.]]))
        >>> packed.shape, takes.split(packed)[1]
        (torch.Size([1, 3, 2, 2]), tensor([[3., 4.]]))
    """

    channels: int = 3
    style: int = 8
    kind: ClassVar[str] = 'styled'
    resize: ClassVar[str] = 'bicubic'

    def __post_init__(self):
        for count in (self.channels, self.style):
            if type(count) is not int or not 1 <= count <= MOST_NOISE:
                raise ValueError(f'{self}: expected 1 to {MOST_NOISE} channels and numbers')

    def shape(self, side: int) -> tuple[int, ...]:
        """Return the shape of one, (channels + style, side, side)."""
        return self.channels + self.style, side, side

    def pack(self, image: Tensor, style: Tensor) -> Tensor:
        """Return both as one tensor.

        Args:
            image (Tensor): (N, channels, H, W).
            style (Tensor): (N, style), or of that many numbers for each image.

        Returns:
            Tensor: (N, channels + style, H, W).
        """
        planes = style.flatten(1)[:, :, None, None].expand(-1, -1, *image.shape[2:])
        return torch.cat([image, planes.to(image.dtype)], 1)

    def split(self, packed: Tensor) -> tuple[Tensor, Tensor]:
        """Return image (N, channels, H, W) and style (N, style)."""
        return packed[:, : self.channels], packed[:, self.channels :, 0, 0]

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Draw images and styles, to compare networks on.

        Args:
            shape (tuple[int]): (N, channels + style, H, W).
            rng (Generator): Where the numbers are from.

        Returns:
            ndarray: float32; images in [-1, 1], styles standard normal.
        """
        count, _, *size = shape
        image = torch.from_numpy(rng.uniform(-1, 1, (count, self.channels, *size)))
        style = torch.from_numpy(rng.standard_normal((count, self.style)))
        return self.pack(image.float(), style).numpy()


KINDS: dict[str, Any] = {kind.kind: kind for kind in (LabelMap, Noise, StyledImage)}


def input_of(network: nn.Module) -> LabelMap | Noise | StyledImage | None:
    """Return what a network takes; None for an image."""
    return getattr(network, 'takes', None)


def is_noise(network: nn.Module) -> bool:
    """Tell whether a network makes images from noise."""
    return isinstance(input_of(network), Noise)


def is_styled(network: nn.Module) -> bool:
    """Tell whether a network takes a style beside an image."""
    return isinstance(input_of(network), StyledImage)


def read_input(plain: dict | None) -> LabelMap | Noise | StyledImage | None:
    """Take back ``plain()``; None for an image.

    Raises:
        ValueError: If it is nothing that is known.
    """
    if plain is None:
        return None
    try:
        return KINDS[plain['kind']](**{k: v for k, v in plain.items() if k != 'kind'})
    except (KeyError, TypeError) as error:
        raise ValueError(f'an input of {plain!r} is not known here') from error
