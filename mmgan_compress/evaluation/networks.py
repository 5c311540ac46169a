"""Networks whose features the distribution and LPIPS metrics compare."""

import functools
import hashlib
import warnings

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..core.messages import check_choice
from ..core.tensor_files import load_tensors
from ..datasets.weights import weights_path
from ..models.perceptual import VGG16Features


class InceptionFeatures(nn.Module):
    """Compute the 2048 pooled features of the FID Inception network.

    It is the network of 2015-12-05 that FID was defined with (TorchScript,
    fp32), prepared by ``mmgan-compress weights inception``.

    Raises:
        FileNotFoundError: If the weights are not prepared; names the command.
    """

    name = 'inception'
    num_features = 2048
    protocol = (
        'FID Inception 2015-12-05, 2048 pooled features, bilinear to '
        '299x299 (align_corners=False, no antialias)'
    )

    def __init__(self):
        super().__init__()
        with warnings.catch_warnings():
            # The authors' file exists as TorchScript only, which torch still
            # reads but announces as deprecated.
            warnings.simplefilter('ignore', DeprecationWarning)
            self.net = torch.jit.load(str(weights_path('inception')), map_location='cpu')
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> 'InceptionFeatures':
        """Stay in eval mode."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, 2048) of RGB images (N, 3, H, W), 0..255."""
        images = F.interpolate(images / 255, (299, 299), mode='bilinear', align_corners=False)
        return self.net(images * 2 - 1)


class VGG16MeanFeatures(nn.Module):
    """Compute the spatial mean of VGG-16's relu4_3, for quick runs.

    Some ten times cheaper than Inception at 64 px. Its distance is no FID
    and is never called so.

    Raises:
        FileNotFoundError: If the weights are not prepared; names the command.
    """

    name = 'vgg16'
    num_features = 512
    protocol = 'ImageNet VGG-16, spatial mean of relu4_3 (512 features), no resize'

    def __init__(self):
        super().__init__()
        self.net = VGG16Features()

    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, 512) of RGB images (N, 3, H, W), 0..255."""
        return self.net(images / 127.5 - 1)[-1].mean(dim=(2, 3))


NETWORKS = {cls.name: cls for cls in (InceptionFeatures, VGG16MeanFeatures)}


@functools.lru_cache(None)
def shared_network(name: str) -> nn.Module:
    """Build a feature network once for all metrics that use it.

    Args:
        name (str): ``'inception'`` or ``'vgg16'``.

    Returns:
        nn.Module: Frozen, in eval mode, with ``name`` (str),
            ``num_features`` (int) and ``protocol`` (str).

    Raises:
        ValueError: If the name is unknown.
        FileNotFoundError: If its weights are not prepared.
    """
    check_choice('network', name, NETWORKS)
    return NETWORKS[name]()


@functools.lru_cache(None)
def shared_lpips() -> nn.Module:
    """Build LPIPS (VGG-16, version 0.1) on the prepared convolutions.

    Network and linear heads are torchmetrics' own; only its download of
    torchvision's weights is replaced by the file that
    ``mmgan-compress weights vgg16`` made.

    Returns:
        nn.Module: ``net(a, b)`` of two (N, 3, H, W) in [-1, 1] gives
            (N, 1, 1, 1). Frozen, in eval mode.

    Raises:
        FileNotFoundError: If the weights are not prepared.
        RuntimeError: If the file does not hold all 13 convolutions.
    """
    # torchmetrics' public classes download the weights in their constructor.
    from torchmetrics.functional.image.lpips import _NoTrainLpips

    path = weights_path('vgg16')
    state = load_tensors(path)
    with torch.random.fork_rng(devices=[]):  # it draws random weights first
        lpips = _NoTrainLpips(net='vgg', pnet_rand=True)
    # slice3.10.weight is features.10.weight
    names = {key: f'features.{key.split(".", 1)[1]}' for key in lpips.net.state_dict()}
    missing = [name for name in names.values() if name not in state]
    if missing:
        raise RuntimeError(
            f'{path} lacks {missing}: not a whole VGG-16. Run: mmgan-compress weights vgg16'
        )
    lpips.net.load_state_dict({key: state[name] for key, name in names.items()})
    return lpips


def fingerprint(network: nn.Module) -> str:
    """Return the sha256 (hex) of a network's name, parameters and buffers."""
    digest = hashlib.sha256(network.name.encode())
    for key, value in sorted(network.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
