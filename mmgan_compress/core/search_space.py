"""Spaces of sub-networks: how wide each part of a super-net may be.

A configuration is one number per part, such as ``(16, 16, 32, 16, 32, 32, 16,
16)``, written ``'16_16_32_16_32_32_16_16'``: base channels, of which a part
has as many times more as it has in a network of one width (see
``models/topology.py`` for the parts). A space holds the candidates
of each.
"""

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from typing import cast

Configuration = tuple[int, ...]

_48, _64 = (48, 40, 32), (64, 56, 48, 40, 32, 24, 16)
_COCO = (64, 48, 40, 32, 24)
# GAN-Compression/configs: resnet_configs.py and, with 'spade-' or 'munit-'
# before them, spade_configs.py and munit_configs.py, by their names
SPACES: dict[str, tuple[tuple[int, ...], ...]] = {
    'channels-32': ((32, 24, 16),) * 8,
    'channels-48': ((48, 32),) * 2 + (_48,) * 4 + ((48, 32, 24, 16),) * 2,
    'channels-64-cycleGAN': ((64, 48, 32, 24, 16),) * 8,
    'channels-64-pix2pix': (_64,) * 8,
    'munit-channels-64': (_64,) * 10,
    'spade-channels-48': (_48,) * 5 + ((48, 40, 32, 24),) * 3,
    'spade-channels-64': ((64, 48, 40, 32),) * 5 + (_COCO,) * 3,
    'spade-channels-64-coco': (_COCO,) * 8,
    'spade-channels-64_2': (_64,) * 8,
}
RULES = ('uniform', 'sandwich')


def read_configuration(value: str | Sequence[int]) -> Configuration:
    """Read a configuration in any form.

    Args:
        value (str | Sequence[int]): ``'16_16_32'``, ``'16-16-32'`` or
            ``[16, 16, 32]``.

    Raises:
        ValueError: If it holds anything but whole numbers above 0.

    Example:
        >>> read_configuration('16_8')
        (16, 8)
    """
    words = value.replace('-', '_').split('_') if isinstance(value, str) else value
    try:
        numbers = tuple(int(word) for word in words)
    except (TypeError, ValueError):
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise ValueError(
            f'{value!r} is no configuration: expected whole numbers above 0, '
            "as '16-16-32' or [16, 16, 32] (a bare 16_16_32 is one number to "
            'Python, 161632)'
        )
    return numbers


def name_of(configuration: Sequence[int]) -> str:
    """Return the short name of a configuration, ``'16_16_32'``."""
    return '_'.join(map(str, configuration))


def favouring_last(count: int, ratio: float, growth: str) -> list[float]:
    """Return weights of candidates that rise along their list.

    Args:
        count (int): Number of candidates.
        ratio (float): ``'arithmetic'``: of the last weight to the first,
            which grow by 1; ``'geometric'``: of each to the one before.
        growth (str): Either.

    Raises:
        ValueError: If ``growth`` is another word, or the ratio not above 1.
    """
    if growth not in ('arithmetic', 'geometric') or ratio <= 1:
        raise ValueError(
            "weights grow 'arithmetic' or 'geometric' by a ratio "
            f'above 1, got {growth!r} by {ratio}'
        )
    if growth == 'geometric':
        return [ratio**i for i in range(count)]
    return [(count - 1) / (ratio - 1) + i for i in range(count)]


class ConfigurationSpace:
    """All configurations that candidates per part make.

    Iterating yields them from the largest to the smallest, the last part
    changing fastest.

    Args:
        candidates (Sequence[Sequence[int]]): Of each part, in falling order.

    Raises:
        ValueError: If a part has none, or they do not fall.

    Example:
        >>> space = ConfigurationSpace([[8], [8, 4]])
        >>> len(space), list(space)
        (2, [(8, 8), (8, 4)])
    """

    def __init__(self, candidates: Sequence[Sequence[int]]):
        self.candidates = tuple(map(read_configuration, candidates))
        for part in self.candidates:
            if list(part) != sorted(set(part), reverse=True):
                raise ValueError(
                    f'the candidates {part} of a space do not '
                    'fall: write the largest first, each once'
                )

    @classmethod
    def of(cls, spec: str | Sequence) -> 'ConfigurationSpace':
        """Read what configs have: a name of ``SPACES``, or candidates.

        Raises:
            ValueError: If there is no such space.
        """
        if not isinstance(spec, str):
            return cls(cast(Sequence[Sequence[int]], spec))
        if spec not in SPACES:
            raise ValueError(
                f'no space {spec!r}; known are {list(SPACES)}, '
                'or give a list of candidates for each part'
            )
        return cls(SPACES[spec])

    @property
    def largest(self) -> Configuration:
        """The widest configuration."""
        return tuple(part[0] for part in self.candidates)

    @property
    def smallest(self) -> Configuration:
        """The narrowest configuration."""
        return tuple(part[-1] for part in self.candidates)

    def __len__(self) -> int:
        return math.prod(map(len, self.candidates))

    def __iter__(self) -> Iterator[Configuration]:
        return itertools.product(*self.candidates)

    def __contains__(self, configuration: Sequence[int]) -> bool:
        return len(configuration) == len(self.candidates) and all(
            n in part for n, part in zip(configuration, self.candidates)
        )

    def sample(self, rng: random.Random) -> Configuration:
        """Draw a configuration, each part by itself."""
        return tuple(rng.choices(part)[0] for part in self.candidates)

    def draw(self, rule: str, seed: int, iteration: int) -> list[Configuration]:
        """Return what to train in an iteration.

        A function of its arguments alone: equal on all processes, and behind
        a resume.

        Args:
            rule (str): Of ``RULES``. ``'uniform'``: one at random (GAN
                Compression);
                ``'sandwich'``: the largest, the smallest and one at random
                (US-Nets, ICCV 2019, arXiv 1903.05134).
            seed (int): Of the run.
            iteration (int): From 0.
        """
        drawn = self.sample(random.Random(f'{seed}:{iteration}'))
        ends = [self.largest, self.smallest] if rule == 'sandwich' else []
        return [*ends, drawn]
