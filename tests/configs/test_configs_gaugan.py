"""Recipes of label maps: the authors' figures, their data and demos."""

import copy
from pathlib import Path

import pytest
from mmengine import DefaultScope
from mmengine.config import Config

from golden import build
from mmgan_compress.core.search_space import SPACES, ConfigurationSpace, read_configuration
from mmgan_compress.demo import apply_demo
from mmgan_compress.engine.channels import fit_channels
from mmgan_compress.engine.check_config import domain_faults, network_faults, value_faults
from mmgan_compress.engine.runner_builder import set_everywhere
from mmgan_compress.registry import DATASETS
from recipes import CONFIGS, RECIPES, load, parsed
from test_labelled_images import write

NAMES = sorted(name for name in RECIPES if 'gaugan' in name)
KERNEL = 'gan_compression_gaugan-mobile48-kernel_8xb2-200e_cityscapes'
STAGES = [name for name in NAMES if name.startswith('gan_compression') and name != KERNEL]


@pytest.mark.parametrize('name', STAGES)
def test_common_figures(name):
    cfg = parsed(RECIPES[name])
    for part, rate in dict(student=1e-4, student_discriminators=4e-4).items():
        adam = cfg.optim_wrapper[part].optimizer
        assert (adam.type, adam.lr, tuple(adam.betas)) == ('Adam', rate, (0.0, 0.9))
    distiller, coco = cfg.model.distiller, 'coco' in name
    assert distiller.perceptual.tapped == [0, 5, 10, 19, 28]
    weights = [10 * factor for factor in (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1)]
    assert distiller.perceptual_loss_weights == weights
    assert (distiller.gan_loss_weight, distiller.feature_loss_weight) == (1, 10)
    assert cfg.train_dataloader.batch_size == (32 if coco else 16)
    epochs = int(name.split('e_')[-2].rsplit('-')[-1]) if 'e_' in name else 200
    assert distiller.schedule.epochs == epochs
    assert distiller.schedule.constant == (100 if coco else epochs // 2)
    labels = dict(classes=182, dont_care=True) if coco else dict(classes=35)
    students = [cfg.model.generator.get('arch', cfg.model.generator)]
    others = [distiller.student_discriminator, *distiller.get('teachers', {}).values()]
    for network in students + others:
        assert network.labels == labels
        assert network.get('upsampling', 'more') == ('normal' if coco else 'more') or (
            'Discriminator' in network.type
        )
    for loss in distiller.get('losses', []):
        assert (loss.weight, loss.layers) == (10.0, ['head_0', 'G_middle_1', 'up_1'])
    # spectral norms are the originals' alone
    assert all(bool(net.get('spectral_norm')) == ('teacher_8' in name) for net in students)


def test_stages():
    model = parsed(RECIPES['gan_compression_gaugan']).model
    assert model.generator.space in SPACES and model.generator.arch.base_channels == 48
    finetune = parsed(RECIPES['gan_compression_gaugan-mobile48-finetune_8xb2-200e_cityscapes'])
    configuration = read_configuration(finetune.model.generator.configuration)
    assert configuration in ConfigurationSpace.of('spade-channels-48')
    fast = parsed(RECIPES['gan_compression_gaugan-mobile64-fast_8xb2-400e_cityscapes']).model
    assert fast.generator.space == 'spade-channels-64'
    assert not fast.distiller.teachers.wide.get('separable')
    pipeline = Config.fromfile(CONFIGS / 'gan_compression/gan_compression_gaugan-pipeline.py')
    assert [stage.name for stage in pipeline.stages] == [
        'distill',
        'supernet',
        'subnet',
        'finetune',
        'export',
    ]


def test_kernel_alignment_replaces_the_loss_of_features():
    own = parsed(RECIPES[KERNEL]).to_dict()
    main = parsed(RECIPES[KERNEL.replace('kernel', 'distill')]).to_dict()
    (loss,), (other,) = (cfg['model']['distiller'].pop('losses') for cfg in (own, main))
    assert own['model'] == main['model'] and own['optim_wrapper'] == main['optim_wrapper']
    assert loss.pop('type').endswith('KernelAlignmentLoss')
    assert loss == dict(weight=1.0, layers=other['layers'])


@pytest.mark.parametrize('name', NAMES)
def test_recipe_reads_its_layout(name, tmp_path):
    """Val and training share no image, and neither do they with the test."""
    cfg = load(name)
    write(tmp_path, count=4, sides='ABI', size=(64, 32))
    (tmp_path / 'testA').rename(tmp_path / 'valA')
    (tmp_path / 'testB').rename(tmp_path / 'valB')
    (tmp_path / 'testI').rename(tmp_path / 'valI')
    set_everywhere(cfg._cfg_dict, 'data_root', str(tmp_path))
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.hold_out = 2
    fit_channels(cfg)
    with DefaultScope.overwrite_default_scope('mmagic'):
        sets = [DATASETS.build(cfg[f'{s}_dataloader'].dataset) for s in ('train', 'val', 'test')]
    files = [set(data.files) for data in sets]
    assert [len(part) for part in files] == [2, 2, 4] and len(set.union(*files)) == 8
    for data in sets:
        inputs = data[0]['inputs']
        height, width = inputs['img_labels'].shape[1:]
        assert (height, width) == (256, 256 if 'coco' in name else 512)
        assert inputs['img_photo'].shape[1:] == (height, width)
        assert data.instances


@pytest.mark.parametrize('name', NAMES)
def test_demo(name):
    """With data and a teacher that are shipped; no fault is left."""
    cfg = copy.deepcopy(parsed(RECIPES[name]))
    method = cfg.model.distiller.type
    apply_demo(cfg)
    fit_channels(cfg)
    assert value_faults(cfg) + domain_faults(cfg) + network_faults(cfg) == []
    assert cfg.model.distiller.type == method
    assert cfg.model.related_domains == ['labels', 'emoji']
    for checkpoint in cfg.model.distiller.get('teacher_checkpoints', []):
        assert Path(checkpoint).is_file()
    net = build(**cfg.model.generator)
    assert net.takes.classes == 16
    with DefaultScope.overwrite_default_scope('mmagic'):
        for split in ('train', 'val', 'test'):
            dataset = DATASETS.build(cfg[f'{split}_dataloader'].dataset)
            assert dataset.split == split and len(dataset) > 10
            assert dataset[0]['inputs']['img_labels'].shape == (2, 64, 64)
