"""Layers of generators by the part that they play."""

import pytest
import torch
from mmengine.config import Config

from mmgan_compress.models.student_config import build_generator
from mmgan_compress.models.topology import feature_layers
from recipes import CONFIGS

LAYERS = Config.fromfile(CONFIGS / '_base_/layers.py')


@pytest.mark.parametrize(
    'config, layers',
    [
        (dict(type='mmgan_compress.SeparableResnetGenerator'), 'separable'),
        (dict(type='ResnetGenerator', in_channels=3, out_channels=3), 'resnet'),
        (dict(type='UnetGenerator', in_channels=3, out_channels=3), 'unet'),
    ],
)
def test_layers_to_compare_are_the_papers(config, layers):
    net = build_generator(dict(config, base_channels=4), 'meta')
    assert feature_layers(net) == LAYERS[f'{layers}_layers']


def test_layers_of_other_networks_are_not_known():
    with pytest.raises(ValueError, match="'auto' does not work for Conv2d"):
        feature_layers(torch.nn.Conv2d(3, 3, 1))
