"""Recipes of images from noise: GCC's figures, data and demos."""

import copy

import pytest
import torch
from mmengine.config import Config
from PIL import Image

from golden import build, load_json
from mmgan_compress.core.complexity import count_macs
from mmgan_compress.demo import apply_demo
from mmgan_compress.engine.check_config import domain_faults, network_faults, value_faults
from mmgan_compress.engine.runner_builder import set_everywhere
from mmgan_compress.registry import DATASETS
from recipes import CONFIGS, RECIPES, load, parsed

NAMES = [name for name in RECIPES if 'sagan' in name]


@pytest.mark.parametrize('name', NAMES)
def test_common_figures(name):
    cfg = load(name)
    for part, wrapper in cfg.optim_wrapper.items():
        if part in ('student', 'teachers'):
            assert wrapper.optimizer == dict(type='Adam', lr=1e-4, betas=(0.0, 0.9), fused=True)
        elif part.endswith('discriminators'):
            assert wrapper.optimizer.lr == 4e-4 and wrapper.optimizer.betas == (0.0, 0.9)
    data = cfg.train_dataloader.dataset
    assert (data.size, data.noise_size, data.crop, data.flip) == (64, 128, 160, False)
    assert cfg.train_dataloader.batch_size == 64
    assert cfg.model.generator.base_channels == 48
    assert cfg.model.distiller.gan_type == 'hinge'
    for split in ('val', 'test'):
        (metric,) = cfg[f'{split}_evaluator'].metrics
        assert metric.reference.crop == 160 and metric.reference.split == 'train'
    assert cfg.test_dataloader.dataset.samples == 50000
    seeds = [cfg[f'{split}_dataloader'].dataset.get('seed', 0) for split in ('val', 'test')]
    assert seeds == [0, 1]
    cfg = parsed(RECIPES[name])
    assert value_faults(cfg) + domain_faults(cfg) + network_faults(cfg) == []


def test_another_size_is_refused():
    cfg = load('gcc_sagan')
    set_everywhere(cfg._cfg_dict, 'size', 32)
    assert 'cannot translate images of 32 pixels, but of 64' in network_faults(cfg)[0]


def test_budget_is_the_papers():
    """0.016 G of thop's MACs, by the ratio of both counts for 48 channels."""
    stages = Config.fromfile(CONFIGS / 'gcc/gcc_sagan-pipeline.py').stages
    (prune,) = [stage for stage in stages if stage['run'] == 'prune']
    with torch.device('meta'):
        net = build('mmgan_compress.SelfAttentionGenerator', base_channels=48)
    ratio = (
        count_macs(net, (1, 128)).macs / load_json('sagan')['macs']['sagan_G_ngf48']['macs_thop']
    )
    budget = float(prune['budget'][0].partition('=')[2])
    assert budget == pytest.approx(0.016e9 * ratio, rel=1e-3)


@pytest.mark.parametrize('name', NAMES)
def test_data_and_demo(name, tmp_path):
    (tmp_path / 'train').mkdir()
    for index in range(3):
        Image.new('RGB', (178, 218)).save(tmp_path / f'train/{index}.png')
    cfg = load(name)
    set_everywhere(cfg._cfg_dict, 'data_root', str(tmp_path))
    train, test = (DATASETS.build(cfg[f'{part}_dataloader'].dataset) for part in ('train', 'test'))
    assert train[0]['inputs']['img_face'].shape == (3, 64, 64)
    assert test[0]['inputs']['noise'].shape == (128,) and len(test) == 50000
    cfg = copy.deepcopy(load(name))
    apply_demo(cfg)
    data = DATASETS.build(cfg.train_dataloader.dataset)
    assert len(data) == 99 and data[0]['inputs']['img_emoji'].shape == (3, 64, 64)
    assert value_faults(cfg) + domain_faults(cfg) + network_faults(cfg) == []
