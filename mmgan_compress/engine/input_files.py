"""Files that a recipe reads: images, weights and where networks start."""

import os
from collections.abc import Iterator, Sequence

from mmengine.config import Config, ConfigDict
from torch.utils.data import Dataset

from ..core.configs import walk
from ..datasets.translation import TranslationImages
from ..datasets.weights import weights_path
from ..evaluation.distances import MIN_IMAGES
from ..evaluation.reference import Reference
from ..registry import DATASETS, MODELS

Fault = FileNotFoundError | ValueError | TypeError


def data_faults(cfg: Config, loaders: Sequence[str]) -> list[Fault]:
    """Return why images cannot be used, or are too few.

    Args:
        cfg (Config): Of a recipe.
        loaders (Sequence[str]): Those whose images are read.
    """
    faults, missing = [], set()
    for loader in filter(cfg.get, loaders):
        root = cfg[loader].dataset.get('data_root')
        if root in missing:
            continue  # said once
        try:
            dataset = DATASETS.build(cfg[loader].dataset)
            faults += _number_faults(cfg, loader, dataset, missing)
        except (FileNotFoundError, ValueError, TypeError) as error:
            faults.append(error)
            if root and not os.path.isdir(root):
                missing.add(root)
    held = [
        cfg[f'{split}_dataloader'].dataset.get('hold_out', 0)
        for split in ('train', 'val')
        if cfg.get(f'{split}_dataloader')
    ]
    if len(set(held)) > 1:
        faults.append(
            ValueError(
                f'hold_out is {held[0]} for training and {held[1]} for val: give '
                'both data sets the same'
            )
        )
    return faults


def _number_faults(cfg: Config, loader: str, dataset: Dataset, missing: set) -> Iterator[Fault]:
    """Yield where images are too few for a batch, or for a figure."""
    if not isinstance(dataset, TranslationImages):
        return  # of another package
    split = loader.removesuffix('_dataloader')
    if split == 'train':
        count = dataset.sources(cfg.model.default_domain)
        if cfg[loader].get('drop_last') and count < cfg[loader].batch_size:
            yield ValueError(
                f'{count} training images make no batch of '
                f'{cfg[loader].batch_size}: add images to '
                f'{dataset.data_root}, or lower train_dataloader.batch_size'
            )
    users = [cfg.get(f'{split}_evaluator')]
    if split == 'val':
        users.append(cfg.get('custom_hooks'))
    for node in walk(users):
        if 'domain' in node and dataset.sources(node.domain) < MIN_IMAGES:
            yield ValueError(
                f'{node.type} of {node.domain!r} needs at least {MIN_IMAGES} '
                f'images, and the {split} split has '
                f'{dataset.sources(node.domain)} in {dataset.data_root}: add '
                'images, or raise max_images or hold_out of the data set'
            )
        if 'reference' in node and node.reference.data_root not in missing:
            try:
                Reference(**node.reference).check()
            except (FileNotFoundError, ValueError) as error:
                yield error
                if not os.path.isdir(node.reference.data_root):
                    missing.add(node.reference.data_root)


def file_faults(cfg: Config) -> list[Fault]:
    """Return which files of weights are missing, or damaged."""
    faults = []
    for name in needed_weights(cfg):
        try:
            weights_path(name)
        except (FileNotFoundError, ValueError) as error:
            faults.append(error)
    missing = [file for file in starting_files(cfg) if not os.path.isfile(file)]
    if missing:
        faults.append(
            FileNotFoundError(
                f'no weights {", ".join(map(repr, dict.fromkeys(missing)))}, '
                'which the student or a teacher starts from'
            )
        )
    faults += [
        FileNotFoundError(f'{key}: no file {value!r}')
        for key, value in _other_files(cfg)
        if not os.path.isfile(value)
    ]
    return faults


def _other_files(cfg: Config) -> Iterator[tuple[str, str]]:
    """Yield further files that a config names, by key."""
    if cfg.get('load_from') and '://' not in str(cfg.load_from):
        yield 'load_from', str(cfg.load_from)
    perceptual = (cfg.model.get('distiller') or {}).get('perceptual')
    weights = perceptual.get('weights') if isinstance(perceptual, dict) else None
    if isinstance(weights, str) and weights not in ('imagenet', 'random'):
        yield 'model.distiller.perceptual.weights', weights


def starting_files(cfg: Config) -> list[str]:
    """Return the files that a config's networks take their weights from."""
    distiller = cfg.model.get('distiller') or {}
    files = [node.get('checkpoint') for node in walk(cfg.model) if node.get('type') == 'Pretrained']
    return [
        str(file)
        for file in (
            *files,
            *(distiller.get('teacher_checkpoints') or ()),
            distiller.get('discriminator_checkpoint'),
        )
        if file
    ]


def needed_weights(cfg: Config) -> list[str]:
    """Return which prepared networks a config makes use of."""
    distiller, needed = cfg.model.get('distiller'), set()
    users = [cfg.get(key) for key in ('val_evaluator', 'test_evaluator', 'custom_hooks')]
    for node in walk(users):
        kind = str(node.get('type', '')).rsplit('.', 1)[-1]
        if kind == 'FrechetDistance':
            needed.add(node.get('network', 'inception'))
        elif kind == 'PairedQuality' and node.get('lpips', True):
            needed.add('vgg16')
    if distiller is not None and _asks_perceptual(distiller):
        perceptual = distiller.get('perceptual') or {}
        if isinstance(perceptual, dict) and perceptual.get('weights', 'imagenet') == 'imagenet':
            needed.add('vgg16')
    return sorted(needed)


def _asks_perceptual(distiller: ConfigDict) -> bool:
    """Tell whether a loss uses the perceptual network."""
    kinds = [MODELS.get(str(node.get('type'))) for node in walk(distiller.get('losses'))]
    return any(getattr(kind, 'uses_perceptual', False) for kind in kinds)
