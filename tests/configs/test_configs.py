"""Every recipe of configs/ builds, reads its data and has a demo."""

import shutil
from pathlib import Path

import pytest
from mmengine import DefaultScope
from PIL import Image

from mmgan_compress.core.configs import read_config
from mmgan_compress.datasets.translation import UnpairedImages
from mmgan_compress.demo import apply_demo
from mmgan_compress.engine.check_config import domain_faults, network_faults, value_faults
from mmgan_compress.engine.runner_builder import set_everywhere, walk
from mmgan_compress.evaluation.reference import Reference
from mmgan_compress.registry import DATASETS
from recipes import CONFIGS, RECIPES, TRANSLATIONS, check_optimizers, load, model_of

ADAM = dict(type='Adam', lr=2e-4, betas=(0.5, 0.999), fused=True)
OTHERS = dict(gates=dict(type='Adam', lr=1e-4))
# the students' rates in recipes that are not published but tuned here
TUNED = dict(offline_cyclegan=1e-3, offline_pix2pix=1e-3)
# GAN Slimming's, at any stage; its figures are in test_configs_slimming.py
SLIMMING = 'gan_slimming'
# Folders as mmgan-compress data leaves them; val is optional elsewhere.
FOLDERS = {
    'UnpairedImages': ['trainA', 'trainB', 'testA', 'testB'],
    'PairedImages': ['train', 'test'],
    'cityscapes': ['train', 'val'],
}


def layers_in(cfg, key='layers'):
    """Return the layers that a recipe names, each once."""
    losses = cfg.model.distiller.get('losses') or []
    return list(
        dict.fromkeys(layer for loss in losses for layer in loss.get(key) or loss.get('layers', []))
    )


@pytest.mark.parametrize('name', RECIPES)
def test_recipe_builds(name):
    """Unknown layers, teachers and domains are refused by building."""
    cfg = load(name)
    assert cfg.default_scope == 'mmagic'
    model = model_of(name)
    domain = cfg.model.default_domain
    assert domain in model.domains
    assert model.source_of(domain) == cfg.model.related_domains[0]
    check_optimizers(cfg, model)
    distiller = model.distiller
    assert distiller.layers_of(domain) == layers_in(cfg)
    for teacher in list(distiller.reported_teachers)[:1]:
        assert distiller.layers_of(domain, teacher) == layers_in(cfg, 'target_layers')


def optimizers_in(cfg):
    """Return who learns, by what the recipe has."""
    distiller = cfg.model.distiller
    names = ['student']
    if 'student_discriminator' in distiller:
        names.append('student_discriminators')
        if 'slimming' in cfg.default_hooks:
            names.append('scales')
        if 'threshold' in distiller.student_discriminator:
            names.append('gates')
    if not distiller.get('offline') and (distiller.get('teacher') or distiller.get('teachers')):
        names += ['teachers', 'discriminators']
    return names


@pytest.mark.parametrize('name', TRANSLATIONS)
def test_common_figures(name):
    cfg = load(name)
    assert cfg.randomness.seed == 233
    optimizers = dict(cfg.optim_wrapper)
    assert optimizers.pop('constructor') == 'MultiOptimWrapperConstructor'
    assert sorted(optimizers) == sorted(optimizers_in(cfg))
    slimming = name.startswith(SLIMMING)
    for part, wrapper in optimizers.items():
        rate = TUNED.get(name) if part == 'student' else None
        wanted = OTHERS.get(part, dict(ADAM, lr=rate or ADAM['lr']))
        assert slimming or wrapper.optimizer == wanted
    images = cfg.train_dataloader.dataset
    plain = name.startswith('gcc_pix2pix')  # its images are as they are
    whole = plain or slimming and images.type.endswith('UnpairedImages')
    assert (images.size, images.load_size) == (256, 256 if whole else 286)
    assert images.get('flip', True) != plain
    assert images.get('split') in (None, 'train')
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.data_root == images.data_root
        assert loader.dataset.domains == images.domains
        assert loader.dataset.size == 256
    assert set(images.domains) == set(cfg.model.related_domains)


@pytest.mark.parametrize('name', TRANSLATIONS)
def test_what_selects_is_computed(name):
    """What the hooks read is there, on the val split."""
    cfg = load(name)
    images = cfg.train_dataloader.dataset
    metric = cfg.default_hooks.student.metric
    assert metric == f'{cfg.model.default_domain}/FID'
    scored = {f'{m.domain}/FID' for m in cfg.val_evaluator.metrics}
    assert metric in scored
    for hook in cfg.get('custom_hooks', []):
        if 'metrics' not in hook:
            continue
        own = hook.get('evaluator', cfg.val_evaluator).metrics
        used = {name for names in hook.metrics.values() for name in names}
        assert {f'{m.domain}/FID' for m in own} == used
        assert metric in used
    for node in walk([value for key, value in cfg.items() if not key.startswith('demo')]):
        if 'reference' in node and 'domain' in node:
            side = node.reference.side
            assert images.domains['AB'.index(side)] == node.domain
            assert node.reference.data_root == images.data_root
    # a plain CycleGAN's other student is there for the cycle only
    if not name.startswith('plain_'):
        assert scored == {f'{d}/FID' for d in cfg.model.reachable_domains}


def make_images(root, kind):
    width = 64 if kind.startswith('Unpaired') else 128
    for folder in FOLDERS[kind]:
        (root / folder).mkdir(parents=True)
        for index in range(3):
            Image.new('RGB', (width, 64), (index, 0, 0)).save(root / folder / f'{index}.png')


def all_files(dataset):
    files = dataset.files
    return set(sum(files, []) if isinstance(dataset, UnpairedImages) else files)


@pytest.mark.parametrize('name', TRANSLATIONS)
def test_recipe_reads_its_layout(name, tmp_path):
    """All splits are found, and selection never sees a test image."""
    cfg = load(name)
    images = cfg.train_dataloader.dataset
    kind = images.type.split('.')[-1]
    make_images(tmp_path / 'set', 'cityscapes' if 'cityscapes' in images.data_root else kind)
    set_everywhere(cfg._cfg_dict, 'data_root', str(tmp_path / 'set'))
    set_everywhere(cfg._cfg_dict, 'hold_out', 1)  # as small as the set
    for domain in images.get('teacher_images') or {}:
        shutil.copytree(tmp_path / 'set/trainA', tmp_path / domain)
        images.teacher_images[domain] = str(tmp_path / domain)
    with DefaultScope.overwrite_default_scope('mmagic'):
        train, val, test = (
            DATASETS.build(cfg[f'{split}_dataloader'].dataset) for split in ('train', 'val', 'test')
        )
    assert not all_files(test) & (all_files(train) | all_files(val))
    learnt = all_files(train) & all_files(val)
    assert bool(learnt) != bool(images.get('hold_out'))
    for dataset in (val, test):
        steps = {type(t).__name__ for t in dataset.pipeline.transforms}
        assert not steps & {'Crop', 'FixedCrop', 'Flip'}
        first = dataset[0]['inputs'][f'img_{dataset.domains[0]}']
        assert tuple(first.shape) == (3, 256, 256)
    keys = {f'img_{d}' for d in images.domains} | {
        f'img_teacher_{d}' for d in images.get('teacher_images') or {}
    }
    assert set(train[0]['inputs']) == keys
    chosen_by = [cfg.val_evaluator, *cfg.get('custom_hooks', [])]
    used = [Reference(**node.reference) for node in walk(chosen_by) if 'reference' in node]
    assert used
    for reference in used:
        assert not set(reference.files()) & all_files(test)
    for node in walk(cfg.test_evaluator):
        # GAN Slimming compares with training images, as published
        if 'reference' in node and node.reference.split != 'train':
            assert set(Reference(**node.reference).files()) & all_files(test)


@pytest.mark.parametrize('name', TRANSLATIONS)
def test_recipe_has_a_demo(name):
    """With data and teachers that are shipped; test_demo.py trains it."""
    cfg = load(name)
    method, schedule = cfg.model.distiller.type, cfg.model.distiller.schedule
    apply_demo(cfg)
    assert cfg.model.distiller.type == method
    assert cfg.model.distiller.schedule != schedule
    assert cfg.model.default_domain == 'emoji'
    assert set(cfg.model.related_domains) in ({'edges', 'emoji'}, {'flat', 'emoji'})
    with DefaultScope.overwrite_default_scope('mmagic'):
        for split in ('train', 'val', 'test'):
            dataset = DATASETS.build(cfg[f'{split}_dataloader'].dataset)
            assert dataset.split == split
            assert dataset.size == 64 and len(dataset) > 10
    for node in walk([cfg.val_evaluator, cfg.test_evaluator, cfg.get('custom_hooks', [])]):
        if 'reference' in node:  # a hook may have metrics of its own
            assert Reference(**node.reference).files()
    for checkpoint in cfg.model.distiller.get('teacher_checkpoints', []):
        assert Path(checkpoint).is_file()


@pytest.mark.parametrize(
    'path', sorted((CONFIGS / 'demo').glob('*.py')), ids=lambda path: path.stem
)
def test_recipe_of_a_demo_teacher_has_no_fault(path):
    cfg = read_config(path)
    assert value_faults(cfg) + domain_faults(cfg) + network_faults(cfg) == []
