"""Fixtures of the tests of metrics."""

import pytest
import torch

from mmgan_compress.evaluation import networks
from scoring import pictures, random_vgg16, write


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty cache."""
    path = tmp_path / 'home'
    monkeypatch.setenv('MMGAN_COMPRESS_HOME', str(path))
    networks.shared_network.cache_clear()
    networks.shared_lpips.cache_clear()
    yield path
    networks.shared_network.cache_clear()
    networks.shared_lpips.cache_clear()


@pytest.fixture
def zebras(tmp_path):
    """Folder with 12 test and 5 training images of side B."""
    root = tmp_path / 'horse2zebra'
    write(root / 'testB', pictures(12))
    write(root / 'trainB', pictures(5, seed=1))
    return root


@pytest.fixture
def vgg16(home):
    """A prepared VGG-16 of random weights."""
    state = random_vgg16()
    (home / 'weights').mkdir(parents=True)
    torch.save(state, home / 'weights' / 'vgg16.pth')
    return state
