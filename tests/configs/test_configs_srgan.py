"""Recipes of super-resolution: GCC's figures, their data and demos."""

import copy

import pytest
import torch
from mmengine.config import Config
from PIL import Image

from golden import build
from mmgan_compress.core.complexity import count_macs
from mmgan_compress.core.schedule import TrainSchedule
from mmgan_compress.demo import apply_demo
from mmgan_compress.engine.check_config import domain_faults, network_faults, value_faults
from mmgan_compress.engine.hooks.schedule import ScheduledLRHook
from mmgan_compress.engine.runner_builder import set_everywhere
from mmgan_compress.registry import DATASETS, HOOKS
from recipes import CONFIGS, RECIPES, load, parsed

NAMES = sorted(name for name in RECIPES if 'srgan' in name)


@pytest.mark.parametrize('name', NAMES)
def test_common_figures(name):
    cfg = load(name)
    for part, wrapper in cfg.optim_wrapper.items():
        if part != 'constructor':  # torch's betas
            assert wrapper.optimizer == dict(type='Adam', lr=1e-4, fused=True)
    data = cfg.train_dataloader.dataset
    assert (data.size, data.scale, data.flip, cfg.train_dataloader.batch_size) == (24, 4, False, 16)
    assert cfg.val_dataloader.batch_size == cfg.test_dataloader.batch_size == 1
    assert cfg.val_evaluator.metrics[0].border == 4
    cfg = parsed(RECIPES[name])
    assert value_faults(cfg) + domain_faults(cfg) + network_faults(cfg) == []


def test_rates_of_the_cooperative_stage():
    cfg = load('gcc_srgan')
    hook = HOOKS.build(cfg.default_hooks.rate)
    assert isinstance(hook, ScheduledLRHook)
    schedule = TrainSchedule(**cfg.model.distiller.schedule, iters_per_epoch=1)
    for name in ('student', 'student_discriminators', 'gates'):
        rates = [hook.factor(name, schedule, epoch) for epoch in (0, 14, 15, 29)]
        assert rates == pytest.approx([1, 1, 0.1, 0.1])
    assert hook.factor('teachers', schedule, 29) == 1


def test_budget_is_the_papers():
    """0.20 G of thop's MACs, by the ratio of both counts for 24 channels."""
    stages = Config.fromfile(CONFIGS / 'gcc/gcc_srgan-pipeline.py').stages
    (prune,) = [stage for stage in stages if stage['run'] == 'prune']
    with torch.device('meta'):
        net = build('mmgan_compress.SRResNet', base_channels=24)
    true = count_macs(net, (1, 3, 24, 24)).macs
    budget = float(prune['budget'][0].partition('=')[2])
    assert budget == pytest.approx(0.2e9 * true / 217_700_352, rel=1e-3)
    assert prune['size'] == 24


@pytest.mark.parametrize('name', NAMES)
def test_data_and_demo(name, tmp_path):
    for split, sizes in dict(train=[(100, 120)] * 3, test=[(90, 70), (64, 64)]).items():
        (tmp_path / split).mkdir()
        for index, size in enumerate(sizes):
            Image.new('RGB', size).save(tmp_path / split / f'{index}.png')
    cfg = load(name)
    set_everywhere(cfg._cfg_dict, 'data_root', str(tmp_path))
    train, test = (
        DATASETS.build(cfg[f'{split}_dataloader'].dataset) for split in ('train', 'test')
    )
    assert train[0]['inputs']['img_high'].shape == (3, 96, 96)
    assert test[0]['inputs']['img_low'].shape == (3, 17, 22)
    cfg = copy.deepcopy(load(name))
    apply_demo(cfg)
    for split in ('train', 'val', 'test'):
        data = DATASETS.build(cfg[f'{split}_dataloader'].dataset)
        assert len(data) > 10
        assert {k: v.shape[-1] for k, v in data[0]['inputs'].items()} == dict(
            img_low=16, img_high=64
        )
    assert value_faults(cfg) + domain_faults(cfg) + network_faults(cfg) == []
