"""Files that a recipe reads: images, weights and where networks start."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from mmengine.config import Config

from ..core.configs import walk
from ..datasets.translation import TranslationImages
from ..datasets.weights import weights_path
from ..evaluation.distances import MIN_IMAGES
from ..evaluation.reference import Reference
from ..registry import DATASETS, DISTILLERS, MODELS

Fault = FileNotFoundError | ValueError | TypeError


def data_faults(cfg: Config, loaders: Sequence[str]) -> list[Fault]:
    """Return why images cannot be used, or are too few.

    Args:
        cfg (Config): Of a recipe.
        loaders (Sequence[str]): Those whose images are read.
    """
    faults: list[Fault] = []
    missing = set()  # folders, each said once

    def attempt(root: str | None, work: Callable[[], Any]) -> Any:
        try:
            return None if root in missing else work()
        except (FileNotFoundError, ValueError, TypeError) as error:
            faults.append(error)
            if root and not os.path.isdir(root):
                missing.add(root)

    for loader in filter(cfg.get, loaders):
        data, users = cfg[loader].dataset, [cfg.get(loader.replace('dataloader', 'evaluator'))]
        root = data.get('data_root')
        dataset = attempt(root, partial(DATASETS.build, data))
        if not isinstance(dataset, TranslationImages):
            continue  # of another package, or a fault
        if loader == 'val_dataloader':
            users.append(cfg.get('custom_hooks'))
        attempt(root, partial(faults.extend, _number_faults(cfg, loader, dataset, users)))
        for node in walk(users):
            if 'reference' in node:
                reference = node.reference
                attempt(reference.data_root, lambda own=reference: Reference(**own).check())
    held = [
        cfg[loader].dataset.get('hold_out', 0)
        for loader in ('train_dataloader', 'val_dataloader')
        if cfg.get(loader)
    ]
    if len(set(held)) > 1:
        said = f'hold_out is {held[0]} for training and {held[1]} for val'
        faults.append(ValueError(f'{said}: give both data sets the same'))
    return faults


def _number_faults(
    cfg: Config, loader: str, dataset: TranslationImages, users: list
) -> Iterator[Fault]:
    """Yield where images are too few for a batch, or for a figure."""
    if loader == 'train_dataloader':
        count, batch = dataset.sources(cfg.model.default_domain), cfg[loader].batch_size
        if cfg[loader].get('drop_last') and count < batch:
            yield ValueError(
                f'{count} training images make no batch of {batch}: add images to '
                f'{dataset.data_root}, or lower train_dataloader.batch_size'
            )
    for node in walk(users):
        if 'domain' in node and (count := dataset.sources(node.domain)) < MIN_IMAGES:
            yield ValueError(
                f'{node.type} of {node.domain!r} needs at least {MIN_IMAGES} images, and the '
                f'{dataset.split} split has {count} in {dataset.data_root}: add images, or raise '
                'max_images or hold_out of the data set'
            )


def file_faults(cfg: Config) -> list[Fault]:
    """Return which files of weights are missing, or damaged."""
    faults: list[Fault] = []
    for name in needed_weights(cfg):
        try:
            weights_path(name)
        except (FileNotFoundError, ValueError) as error:
            faults.append(error)
    perceptual = (cfg.model.get('distiller') or {}).get('perceptual')
    named = [
        *starting_files(cfg),
        cfg.get('load_from'),
        perceptual.get('weights') if isinstance(perceptual, dict) else None,
    ]
    missing = [
        file
        for file in dict.fromkeys(named)
        if isinstance(file, str)
        and file not in ('imagenet', 'random')
        and '://' not in file
        and not os.path.isfile(file)
    ]
    if missing:
        names = ', '.join(map(repr, missing))
        hint = (
            ''
            if set(missing).isdisjoint(starting_files(cfg))
            else '\n  mmgan-compress teachers cuts them out of a run, convert reads published '
            'ones: see docs/offline.md'
        )
        faults.append(FileNotFoundError(f'no weights {names}, which the recipe starts from{hint}'))
    return faults


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
    distiller, needed = cfg.model.get('distiller') or {}, set()
    for node in walk([cfg.get(key) for key in ('val_evaluator', 'test_evaluator', 'custom_hooks')]):
        kind = str(node.get('type', '')).rsplit('.', 1)[-1]
        if kind == 'FrechetDistance':
            needed.add(node.get('network', 'inception'))
        elif kind in ('PairedQuality', 'StyleDiversity') and node.get('lpips', True):
            needed.add('vgg16')
    perceptual = distiller.get('perceptual') or {}
    if not isinstance(perceptual, dict) or perceptual.get('weights', 'imagenet') != 'imagenet':
        return sorted(needed)
    kinds = [MODELS.get(str(node.get('type'))) for node in walk(distiller.get('losses'))]
    kinds.append(DISTILLERS.get(str(distiller.get('type'))))
    if any(getattr(kind, 'uses_perceptual', False) for kind in kinds):
        needed.add('vgg16')
    return sorted(needed)
