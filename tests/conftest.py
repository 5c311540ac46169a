"""Small networks gain nothing from threads; barriers cost them much."""
import os

import pytest
import torch
from mmengine.registry import DefaultScope

torch.set_num_threads(1)
os.environ['OMP_NUM_THREADS'] = '1'  # of the commands that tests run


@pytest.fixture(autouse=True)
def default_scope():
    """Run each test in the scope that the configs set."""
    with DefaultScope.overwrite_default_scope('mmagic'):
        yield


@pytest.fixture(scope='session')
def vgg_file(tmp_path_factory):
    """Return VGG-16 weights by the recipe of the golden fixtures."""
    from toy import seeded_vgg
    path = tmp_path_factory.mktemp('weights') / 'vgg16.pth'
    torch.save(seeded_vgg(), path)
    return str(path)
