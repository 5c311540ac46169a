"""Recipes of MUNIT: the authors' figures, their data and demos."""

import copy
from pathlib import Path

import pytest
from mmengine import DefaultScope
from PIL import Image

from golden import build
from mmgan_compress.core.search_space import ConfigurationSpace, read_configuration
from mmgan_compress.demo import apply_demo
from mmgan_compress.engine.check_config import domain_faults, network_faults, value_faults
from mmgan_compress.engine.runner_builder import set_everywhere
from mmgan_compress.registry import DATASETS
from pipelines import read
from recipes import CONFIGS, RECIPES, load, parsed

NAMES = sorted(name for name in RECIPES if 'munit' in name)


@pytest.mark.parametrize('name', NAMES)
def test_figures(name):
    cfg = parsed(RECIPES[name])
    for part in ('student', 'student_discriminators'):
        adam = cfg.optim_wrapper[part].optimizer
        assert (adam.lr, adam.betas, adam.weight_decay) == (1e-4, (0.5, 0.999), 1e-4)
    distiller, alone = cfg.model.distiller, 'teacher_1xb1' in name
    schedule, data = distiller.schedule, cfg.train_dataloader.dataset
    assert schedule.iters_per_epoch == 1
    assert schedule.epochs == schedule.constant == 10 * schedule.halving
    assert schedule.halving == (100_000 if alone else 200_000)
    assert (data.size, data.load_size, cfg.train_dataloader.batch_size) == (256, 256, 1)
    assert data.noise_size == (32 if alone else 8)
    assert data.hold_out == (0 if alone else 2048)
    assert cfg.val_dataloader.dataset.noise_size == cfg.test_dataloader.dataset.noise_size == 16
    assert distiller.student_discriminator.base_channels == 64
    if alone:
        weights = [distiller[f'{part}_loss_weight'] for part in ('image', 'style', 'content')]
        assert weights == [10, 1, 1] and distiller.gan_loss_weight == 1
    else:
        assert (distiller.pixel_loss_weight, distiller.style_loss_weight) == (10, 1)
        (loss,) = distiller.losses
        assert (loss.weight, loss.layers, loss.distance) == (1, ['enc_content'], 'l1')
        assert not distiller.teachers.wide.get('separable')


def test_published_subnetwork_is_in_the_space():
    part = parsed(RECIPES['gan_compression_munit-mobile64-finetune_1xb1-42e_edges2shoes'])
    space = ConfigurationSpace.of(parsed(RECIPES['gan_compression_munit']).model.generator.space)
    assert read_configuration(part.model.generator.configuration) in space
    assert len(space) == 7**10


@pytest.mark.parametrize('name', NAMES)
def test_pairs_are_read_apart(name, tmp_path):
    """Red and green halves; A and B are drawn by themselves."""
    for split in ('train', 'test'):
        (tmp_path / split).mkdir()
        for index in range(6):
            pair = Image.new('RGB', (128, 64), (0, 40 * index, 0))
            pair.paste((40 * index, 0, 255), (0, 0, 64, 64))
            pair.save(tmp_path / split / f'{index}.png')
    cfg = load(name)
    set_everywhere(cfg._cfg_dict, 'data_root', str(tmp_path))
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.hold_out = min(loader.dataset.hold_out, 2)
    sets = {s: DATASETS.build(cfg[f'{s}_dataloader'].dataset) for s in ('train', 'val', 'test')}
    files = {split: set(sum(data.files, [])) for split, data in sets.items()}
    assert not files['test'] & (files['train'] | files['val'])
    drawn = [sets['train'][position]['inputs'] for position in range(6)]
    assert all(int(each['img_edges'][2, 0, 0]) == 255 for each in drawn)
    assert all(int(each['img_shoes'][2, 0, 0]) == 0 for each in drawn)
    pairs = {(int(x['img_edges'][0, 0, 0]), int(x['img_shoes'][1, 0, 0])) for x in drawn}
    assert any(a != b for a, b in pairs)
    assert drawn[0]['noise'].shape == (cfg.train_dataloader.dataset.noise_size,)


def test_folders_of_both_sides_are_read_as_well(tmp_path):
    for folder, count in dict(trainA=2, trainB=3).items():
        (tmp_path / folder).mkdir()
        for index in range(count):
            Image.new('RGB', (64, 64)).save(tmp_path / folder / f'{index}.png')
    options = load('gan_compression_munit').train_dataloader.dataset
    data = DATASETS.build(dict(options, data_root=str(tmp_path), hold_out=0))
    assert [len(side) for side in data.files] == [2, 3]


@pytest.mark.parametrize('name', NAMES)
def test_demo(name):
    """With data and a teacher that are shipped; no fault is left."""
    cfg = copy.deepcopy(parsed(RECIPES[name]))
    apply_demo(cfg)
    assert value_faults(cfg) + domain_faults(cfg) + network_faults(cfg) == []
    for checkpoint in cfg.model.distiller.get('teacher_checkpoints', []):
        assert Path(checkpoint).is_file()
    with DefaultScope.overwrite_default_scope('mmagic'):
        for split in ('train', 'val', 'test'):
            data = DATASETS.build(cfg[f'{split}_dataloader'].dataset)
            assert len(data) > 10 and data[0]['inputs']['img_emoji'].shape == (3, 64, 64)
    assert build(**cfg.model.generator).takes.style == 8


@pytest.mark.parametrize('demo', [False, True])
def test_pipeline(demo, tmp_path):
    steps = read(CONFIGS / 'gan_compression/gan_compression_munit-pipeline.py', tmp_path, demo=demo)
    assert list(steps) == ['supernet', 'subnet', 'export']
    assert list(steps['subnet'].files) == ['{supernet}/student.pth']
