"""Distances between two sets of features, by torchmetrics."""

import warnings

import torch
import torch.nn as nn
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

KID_SUBSETS = 100
MIN_IMAGES = 2  # a covariance and an unbiased kernel distance need no less


class _Identity(nn.Module):
    """Stands for torchmetrics' network where features are at hand."""

    def __init__(self, num_features: int):
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        """Return the features."""
        return features


def _fed(metric: Metric, real: Tensor, fake: Tensor):
    metric.update(real.double(), real=True)
    metric.update(fake.double(), real=False)
    return metric.compute()


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Return torchmetrics' FID of two sets of features (n, D)."""
    identity = _Identity(real.shape[1])
    return _fed(FrechetInceptionDistance(identity), real, fake).item()


def kernel_distance(real: Tensor, fake: Tensor, subset_size: int) -> tuple[float, float]:
    """Return torchmetrics' KID of two sets of features (n, D).

    Args:
        real (Tensor): Features of real images.
        fake (Tensor): Features of generated images.
        subset_size (int): At most the smaller number of the two.

    Returns:
        tuple[float, float]: Mean and deviation over 100 random subsets,
            always the same ones.
    """
    with warnings.catch_warnings():
        # "will save all extracted features in buffer": a few MB here
        warnings.simplefilter('ignore', UserWarning)
        kid = KernelInceptionDistance(
            _Identity(real.shape[1]), subsets=KID_SUBSETS, subset_size=subset_size
        )
    # Scoring must not move the random numbers of the training run.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        mean, deviation = _fed(kid, real, fake)
    return mean.item(), deviation.item()
