"""Every recipe of configs/ builds and holds the figures of its paper."""
import copy
from pathlib import Path

import pytest
import torch
from mmengine import Config, DefaultScope
from mmengine.optim import build_optim_wrapper
from PIL import Image

from mmgan_compress.data.datasets import UnpairedImages
from mmgan_compress.demo import apply_demo
from mmgan_compress.engine.launch import set_everywhere, walk
from mmgan_compress.evaluation.reference import Reference
from mmgan_compress.registry import DATASETS, MODELS

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / 'configs'
RECIPES = {
    path.stem: path
    for path in sorted(CONFIGS.rglob('*.py'))
    if not {'_base_', 'demo'} & set(path.relative_to(CONFIGS).parts)
}
MOBILE_TAPS = ['model.9', 'model.12', 'model.15', 'model.18']
UNET_TAPS = [
    'model.model.1.model.1.model.0.activate',
    'model.model.1.model.1.model.1.model.1.model.0.activate',
    'model.model.1.model.1.model.1.model.2.activate',
    'model.model.1.model.2.activate'
]
# The published scripts: teacher, student, ndf, lambda_CD, save_epoch_freq.
# All: batch 1, 100 + 100 epochs, n_dis 4.
CYCLEGAN = {
    'omgd_cyclegan': (64, 16, 64, 500, 10),
    'omgd_cyclegan-mobile12_1xb1-200e_horse2zebra': (48, 12, 64, 500, 12),
    'omgd_cyclegan-mobile8_1xb1-200e_horse2zebra': (48, 8, 64, 500, 8),
    'omgd_cyclegan-mobile16_1xb1-200e_summer2winter': (64, 16, 64, 100, 6),
    'omgd_cyclegan-mobile12_1xb1-200e_summer2winter': (48, 12, 64, 100, 6),
    'omgd_cyclegan-mobile8_1xb1-200e_summer2winter': (48, 8, 64, 100, 6),
    # not published: other data, other directions, another rule
    'omgd_cyclegan-mobile16_1xb1-200e_elpv': (64, 16, 64, 500, 10),
    'omgd_cyclegan-mobile16-both_1xb1-200e_horse2zebra':
    (64, 16, 64, 500, 10),
    'omgd_cyclegan-mobile16-either_1xb1-200e_horse2zebra':
    (64, 16, 64, 500, 10)
}
# wide and deep teacher, student, ndf, n_share, batch, lambda_CD, epochs
# (all and constant), n_dis, save_epoch_freq
SHOES, CITY = (200, 100, 1, 5), (750, 300, 3, 25)
PIX2PIX = {
    'omgd_pix2pix': (64, 16, 16, 128, 5, 4, 10, *SHOES),
    'omgd_pix2pix-unet12_1xb4-200e_edges2shoes':
    (48, 12, 12, 96, 5, 4, 10, *SHOES),
    'omgd_pix2pix-unet8_1xb4-200e_edges2shoes':
    (48, 12, 8, 96, 5, 4, 10, *SHOES),
    'omgd_pix2pix-unet16_1xb4-750e_cityscapes':
    (64, 16, 16, 128, 5, 4, 50, *CITY),
    'omgd_pix2pix-unet12_1xb4-750e_cityscapes':
    (48, 12, 12, 96, 5, 4, 50, *CITY),
    'omgd_pix2pix-unet8_1xb4-750e_cityscapes':
    (48, 12, 8, 96, 3, 4, 50, *CITY),
    'omgd_pix2pix-mobile16_1xb4-200e_edges2shoes':
    (64, 16, 16, 128, 3, 4, 100, *SHOES),
    'omgd_pix2pix-mobile12_1xb4-200e_edges2shoes':
    (48, 12, 12, 96, 3, 4, 1000, *SHOES),
    'omgd_pix2pix-mobile8_1xb4-200e_edges2shoes':
    (48, 12, 8, 96, 3, 4, 1000, *SHOES),
    'omgd_pix2pix-mobile24_1xb4-200e_edges2shoes':
    (96, 24, 24, 128, 3, 4, 100, *SHOES),
    'omgd_pix2pix-mobile16_1xb1-750e_cityscapes':
    (64, 16, 16, 128, 4, 1, 0, *CITY),
    'omgd_pix2pix-mobile12_1xb1-750e_cityscapes':
    (48, 12, 12, 96, 3, 1, 0, *CITY),
    'omgd_pix2pix-mobile8_1xb1-750e_cityscapes':
    (48, 12, 8, 96, 3, 1, 0, *CITY),
    'omgd_pix2pix-mobile24_1xb1-750e_cityscapes':
    (96, 24, 24, 128, 3, 1, 0, *CITY)
}
MOBILE, UNET = 'mmgan_compress.SeparableResnetGenerator', 'UnetGenerator'
DEEP = {
    MOBILE: 'mmgan_compress.DeepSeparableResnetGenerator',
    UNET: 'mmgan_compress.DeepUnetGenerator'
}
# Folders as tools/prepare_data.py leaves them; val is optional elsewhere.
FOLDERS = {
    'UnpairedImages': ['trainA', 'trainB', 'testA', 'testB'],
    'PairedImages': ['train', 'test'],
    'cityscapes': ['train', 'val']
}


def load(name):
    """Load a recipe; the perceptual network needs no weights then."""
    cfg = Config.fromfile(RECIPES[name])
    cfg.model.distiller.perceptual = dict(
        type='mmgan_compress.VGG16Features', weights='random')
    return cfg


def build_host(cfg, device='meta'):
    """Build the model as Runner does, on 'meta' in a fraction of a second."""
    with DefaultScope.overwrite_default_scope('mmagic'), torch.device(device):
        return MODELS.build(copy.deepcopy(cfg.model))


def build_optimizers(cfg, host):
    with DefaultScope.overwrite_default_scope('mmagic'):
        return build_optim_wrapper(host, copy.deepcopy(cfg.optim_wrapper))


def check_optimizers(cfg, host):
    """Everything that can learn is in exactly one optimizer."""
    wrappers = build_optimizers(cfg, host)
    held = [id(p) for wrapper in wrappers.values()
            for group in wrapper.param_groups for p in group['params']]
    free = [id(p) for p in host.parameters() if p.requires_grad]
    assert sorted(held) == sorted(free)


@pytest.mark.parametrize('name', RECIPES)
def test_recipe_builds(name):
    """Unknown layers, teachers and domains are refused by building."""
    cfg = load(name)
    assert cfg.default_scope == 'mmagic'
    host = build_host(cfg)
    domain = cfg.model.default_domain
    assert domain in host.domains
    assert host.source_of(domain) == cfg.model.related_domains[0]
    check_optimizers(cfg, host)
    taps = cfg.model.distiller.get('channel')
    tapped = next(iter(host.distiller.reported_teachers))
    assert host.distiller.layers_of(domain) == (taps.layers if taps else [])
    assert host.distiller.layers_of(domain, tapped) == \
        host.distiller.layers_of(domain)


def test_every_recipe_is_in_a_table():
    assert sorted([*CYCLEGAN, *PIX2PIX]) == sorted(RECIPES)


@pytest.mark.parametrize('name', RECIPES)
def test_common_figures(name):
    cfg = load(name)
    assert cfg.randomness.seed == 233
    assert {k for k in cfg.optim_wrapper} == {
        'constructor', 'student', 'teachers', 'discriminators'}
    for part in ('student', 'teachers', 'discriminators'):
        assert cfg.optim_wrapper[part].optimizer == dict(
            type='Adam', lr=2e-4, betas=(0.5, 0.999))
    images = cfg.train_dataloader.dataset
    assert (images.size, images.load_size) == (256, 286)
    assert images.get('flip', True) and images.get('split') in (None, 'train')
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.data_root == images.data_root
        assert loader.dataset.domains == images.domains
        assert loader.dataset.size == 256
    assert set(images.domains) == set(cfg.model.related_domains)
    # what the hooks read is computed, on the val split
    metric = cfg.default_hooks.student.metric
    assert metric == f'{cfg.model.default_domain}/FID'
    scored = {f'{m.domain}/FID' for m in cfg.val_evaluator.metrics}
    assert scored == {f'{d}/FID' for d in cfg.model.reachable_domains}
    for hook in cfg.get('custom_hooks', []):
        own = hook.get('evaluator', cfg.val_evaluator).metrics
        used = {name for names in hook.metrics.values() for name in names}
        assert {f'{m.domain}/FID' for m in own} == used
        assert metric in used
    for node in walk(cfg._cfg_dict):
        if 'reference' in node and 'domain' in node:
            side = node.reference.side
            assert images.domains['AB'.index(side)] == node.domain
            assert node.reference.data_root == images.data_root


@pytest.mark.parametrize('name', CYCLEGAN)
def test_cyclegan_figures(name):
    wide, student, ndf, weight, block = CYCLEGAN[name]
    cfg = load(name)
    model, distiller = cfg.model, cfg.model.distiller
    teacher = distiller.teacher
    norm = dict(type='IN')
    assert model.generator == dict(
        type=MOBILE, norm_cfg=norm, base_channels=student)
    assert teacher.generator == dict(
        type=MOBILE, norm_cfg=norm, base_channels=wide)
    assert teacher.discriminator.base_channels == ndf
    assert teacher.discriminator.norm_cfg == norm
    assert teacher.buffer_size == 50
    assert teacher.loss_config == dict(
        cycle_loss_weight=10, id_loss_weight=5)
    assert set(teacher.reachable_domains) == set(model.related_domains)
    assert distiller.channel == dict(weight=weight, layers=MOBILE_TAPS)
    assert distiller.schedule == dict(
        epochs=200, constant=100, block=block, student_epochs=4 * block)
    assert cfg.train_dataloader.batch_size == 1
    assert len(model.reachable_domains) == (2 if '-both' in name else 1)
    assert model.default_domain == cfg.train_dataloader.dataset.domains[1]


@pytest.mark.parametrize('name', PIX2PIX)
def test_pix2pix_figures(name):
    (wide, deep, student, ndf, shared, batch, weight, epochs, constant,
     n_dis, block) = PIX2PIX[name]
    cfg = load(name)
    model, distiller = cfg.model, cfg.model.distiller
    kind = MOBILE if '-mobile' in name else UNET
    norm = dict(type='IN' if kind == MOBILE else 'BN')
    networks = [(model.generator, kind, student),
                (distiller.teachers.wide, kind, wide),
                (distiller.teachers.deep, DEEP[kind], deep)]
    for network, its_type, width in networks:
        assert (network.type, network.base_channels, network.norm_cfg) == (
            its_type, width, norm)
        assert not network.get('use_dropout')
    assert distiller.discriminator == dict(
        type='mmgan_compress.MultiHeadPatchDiscriminator', in_channels=6,
        base_channels=ndf, norm_cfg=norm, num_heads=2, shared=shared)
    taps = MOBILE_TAPS if kind == MOBILE else UNET_TAPS
    assert distiller.channel == (
        dict(weight=weight, layers=taps, teachers=['wide']) if weight
        else None)
    assert distiller.gan_type == 'hinge'
    assert distiller.pixel_loss_weight == 100
    assert distiller.teacher_interval == n_dis
    assert distiller.schedule == dict(
        epochs=epochs, constant=constant, block=block)
    assert cfg.train_dataloader.batch_size == batch
    # cityscapes in direction BtoA: from the right half to the left
    domains = list(cfg.train_dataloader.dataset.domains)
    target = domains[0] if 'cityscapes' in name else domains[1]
    assert (model.default_domain, model.reachable_domains) == (
        target, [target])
    assert f'_1xb{batch}-' in name or name == 'omgd_pix2pix'


def make_images(root, kind):
    width = 64 if kind.startswith('Unpaired') else 128
    for folder in FOLDERS[kind]:
        (root / folder).mkdir(parents=True)
        for index in range(3):
            Image.new('RGB', (width, 64), (index, 0, 0)).save(
                root / folder / f'{index}.png')


def all_files(dataset):
    files = dataset.files
    return set(sum(files, []) if isinstance(dataset, UnpairedImages)
               else files)


@pytest.mark.parametrize('name', RECIPES)
def test_recipe_reads_its_layout(name, tmp_path):
    """All splits are found, and selection never sees a test image."""
    cfg = load(name)
    kind = cfg.train_dataloader.dataset.type.split('.')[-1]
    make_images(tmp_path / 'set',
                'cityscapes' if 'cityscapes' in name else kind)
    set_everywhere(cfg._cfg_dict, 'data_root', str(tmp_path / 'set'))
    with DefaultScope.overwrite_default_scope('mmagic'):
        train, val, test = (
            DATASETS.build(cfg[f'{split}_dataloader'].dataset)
            for split in ('train', 'val', 'test'))
    assert not all_files(test) & (all_files(train) | all_files(val))
    for dataset in (val, test):
        steps = {type(t).__name__ for t in dataset.pipeline.transforms}
        assert not steps & {'Crop', 'Flip'}
        first = dataset[0]['inputs'][f'img_{dataset.domains[0]}']
        assert tuple(first.shape) == (3, 256, 256)
    chosen_by = [cfg.val_evaluator, *cfg.get('custom_hooks', [])]
    used = [Reference(**node.reference) for node in walk(chosen_by)
            if 'reference' in node]
    assert used
    for reference in used:
        assert not set(reference.files()) & all_files(test)
    for node in walk(cfg.test_evaluator):
        if 'reference' in node:
            assert set(Reference(**node.reference).files()) & all_files(test)


@pytest.mark.parametrize('name', RECIPES)
def test_recipe_has_a_demo(name):
    cfg = load(name)
    apply_demo(cfg)
    host = build_host(cfg)
    check_optimizers(cfg, host)
    assert host._default_domain == 'emoji'
    assert host.source_of('emoji') in ('edges', 'flat')
    with DefaultScope.overwrite_default_scope('mmagic'):
        for split in ('train', 'val', 'test'):
            dataset = DATASETS.build(cfg[f'{split}_dataloader'].dataset)
            assert dataset.split == split
            assert dataset.size == 64 and len(dataset) > 10
    for node in walk([cfg.val_evaluator, cfg.test_evaluator,
                      cfg.get('custom_hooks', [])]):
        if 'reference' in node:  # a hook may have metrics of its own
            assert Reference(**node.reference).files()
    for checkpoint in cfg.model.distiller.teacher_checkpoints:
        assert Path(checkpoint).is_file()


# --- what stands beside the recipes ---------------------------------------
