"""Small networks gain nothing from threads; barriers cost them much."""

import os

import pytest
import torch
from mmengine.registry import DefaultScope

# make test-portable asks for two; it is for the commands that tests run, too
os.environ.setdefault('OMP_NUM_THREADS', '1')
torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))


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


@pytest.fixture
def recipe(tmp_path, vgg_file):
    """Return a maker of toy recipes without a report.

    By method, model, hooks of this package and arguments of the distiller.
    """
    from toy import toy_config, without_report

    def make(method, model, hooks=(), **distiller):
        cfg = toy_config(model, tmp_path / f'data_{model}', vgg_file, method=method)
        cfg.model.distiller.update(distiller)
        cfg.custom_hooks = [dict(hook, type=f'mmgan_compress.{hook["type"]}') for hook in hooks]
        return without_report(cfg)

    return make
