"""``--size`` and ``--quick``: a recipe at another size, or for a first try."""

from collections.abc import Sequence
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope

from ..core.channels import input_shape
from ..core.complexity import count_macs
from ..core.configs import walk_paths
from ..models.student_config import build_generator
from .check_config import LOADERS, generators_of
from .input_files import needed_weights

QUICK_SIZE = 64
_WIDTH, _TEACHER_WIDTH, _BATCH = 12, 16, 4
# Multiply-adds that 2 cores compute in about 7 minutes, in the small layers
# of such a run (the demo of OMGD has 1.7e13 and takes 4 to 12 minutes)
_BUDGET = 1.5e13
_FEWEST, _MOST = 100, 1200  # steps
_VGG = 1.25e9 / 64**2  # multiply-adds per pixel of an image
# passes of each generator in a step; a backward pass counts twice
_STUDENT, _PAIRED, _CYCLE, _FROZEN, _PERCEPTUAL = 3, 3, 18, 1, 4


class _Changes(list):
    """Sets values of a config; a line for each that is another one now."""

    def set(self, node: ConfigDict, key: str, value: Any, path: str):
        """Set the value of a key in a dict that lies at a path."""
        before = node.get(key)
        if before != value:
            node[key] = value
            shown = 'default' if before is None else before
            self.append(f'{path}.{key}: {shown} -> {value}')


def by_part(changes: Sequence[str]) -> list[str]:
    """Put the changes of a part of a recipe into one line.

    Parts that change alike, such as the data loaders, share it.

    Args:
        changes (Sequence[str]): ``part.path: old -> new`` each.

    Returns:
        list[str]: ``part, part: path old -> new, path old -> new``.
    """
    parts: dict[str, list[str]] = {}
    for change in changes:
        part, _, rest = change.partition('.')
        parts.setdefault(rest.replace(': ', ' ', 1), []).append(part)
    lines: dict[str, list[str]] = {}
    for change, names in parts.items():
        lines.setdefault(', '.join(names), []).append(change)
    return [f'{names}: {", ".join(found)}' for names, found in lines.items()]


def set_size(cfg: Config, size: int) -> list[str]:
    """Let a recipe train and score at another size of images.

    Data sets, real images of metrics and the patches of relations follow;
    a U-Net gets as many levels as the size can be halved, at least five.
    Networks whose weights come from files stay as they are.

    Args:
        cfg (Config): Of a recipe; changed in place.
        size (int): Side of the images in pixels.

    Returns:
        list[str]: What changed, ``path: old -> new``.
    """
    changes = _Changes()
    before = size
    for loader in filter(cfg.get, LOADERS):
        data, path = cfg[loader].dataset, f'{loader}.dataset'
        before = data.get('size', 256)
        if data.get('load_size'):
            changes.set(data, 'load_size', round(data.load_size * size / before), path)
        changes.set(data, 'size', size, path)
    for key in ('val_evaluator', 'test_evaluator', 'custom_hooks'):
        for path, node in walk_paths(cfg.get(key), key):
            if path.endswith('.reference'):
                changes.set(node, 'size', size, path)
    for path, node in walk_paths(cfg.model, 'model'):
        kind = str(node.get('type'))
        if kind.endswith('RelationLoss'):
            changes.set(node, 'patch_size', round(node.get('patch_size', 32) * size / before), path)
        elif kind.endswith('UnetGenerator') and not _has_weights(cfg, path):
            levels = node.get('num_down', 8)
            while levels > 5 and size % 2**levels:
                levels -= 1
            if levels != node.get('num_down', 8):
                changes.set(node, 'num_down', levels, path)
    return changes


def _has_weights(cfg: Config, path: str) -> bool:
    """Tell whether the network at a path starts from a file."""
    distiller = cfg.model.get('distiller') or {}
    taught = path.startswith(('model.distiller.teacher', 'model.distiller.discriminator'))
    if distiller.get('start_from_teacher') and path == 'model.generator':
        taught = True  # what the teacher has, it takes
    if taught and distiller.get('teacher_checkpoints'):
        return True
    return any(
        node.get('type') == 'Pretrained' and where.startswith(path)
        for where, node in walk_paths(cfg.model, 'model')
    )


def make_quick(cfg: Config, size: int | None = None) -> list[str]:
    """Make a recipe small, so that a first try ends within 10 minutes on two
    cores.

    Images, networks, batch and schedule shrink; the method and its losses
    stay. Networks whose weights come from files stay as they are, and what
    is smaller already.

    Args:
        cfg (Config): Of a recipe that distils; changed in place.
        size (int | None): Side of the images; if None at most 64, or what the
            recipe calls its ``least_size``.

    Returns:
        list[str]: What changed, ``path: old -> new``.
    """
    own = cfg.train_dataloader.dataset.get('size', QUICK_SIZE)
    changes = _Changes(set_size(cfg, size or min(own, cfg.get('least_size', QUICK_SIZE))))
    for path, node in walk_paths(cfg.model, 'model'):
        # widths of a super-net or a slim network belong together
        alone = '.arch' not in path and isinstance(node.get('base_channels'), int)
        if alone and not _has_weights(cfg, path):
            most = _WIDTH if path.startswith('model.generator') else _TEACHER_WIDTH
            changes.set(node, 'base_channels', min(node.base_channels, most), path)
    for loader in filter(cfg.get, LOADERS):
        changes.set(cfg[loader], 'num_workers', min(cfg[loader].get('num_workers', 0), 2), loader)
    loader = cfg.train_dataloader
    changes.set(loader, 'batch_size', min(loader.batch_size, _BATCH), 'train_dataloader')
    _score_by_vgg(cfg, changes)
    _shorten(cfg, changes)
    return changes


def _score_by_vgg(cfg: Config, changes: _Changes):
    """Compare features of VGG-16: FID's Inception would take most of the
    time, and says little about such small images.
    """

    def renamed(name: str) -> str:
        return name.replace('/FID', '/FD-VGG16').replace('/KID', '/KD-VGG16')

    for key in ('val_evaluator', 'test_evaluator', 'default_hooks', 'custom_hooks'):
        for path, node in walk_paths(cfg.get(key), key):
            if str(node.get('type')).endswith('FrechetDistance'):
                changes.set(node, 'network', 'vgg16', path)
            elif isinstance(node.get('metric'), str):
                changes.set(node, 'metric', renamed(node.metric), path)
            elif path.endswith('.metrics'):  # of a hook, by domain
                for domain, figures in node.items():
                    changes.set(node, domain, list(map(renamed, figures)), path)


def _shorten(cfg: Config, changes: _Changes):
    """Count the schedule in steps, as many as there is time for."""
    schedule, path = cfg.model.distiller.schedule, 'model.distiller.schedule'
    own = schedule.epochs * schedule.get('iters_per_epoch', _MOST)
    steps = round(min(own, _MOST, max(_FEWEST, _BUDGET / step_cost(cfg))))
    rounds = schedule.get('student_epochs', 0)
    block = steps // 2 * schedule.block // (schedule.block + rounds)
    share = schedule.constant / schedule.epochs
    epochs = dict(iters_per_epoch=1, epochs=2 * block, block=block)
    epochs['constant'] = round(share * 2 * block)
    if rounds:
        epochs['student_epochs'] = steps // 2 - block
    for key, value in epochs.items():
        changes.set(schedule, key, value, path)
    hooks = cfg.default_hooks
    changes.set(hooks.logger, 'interval', max(1, steps // 20), 'default_hooks.logger')
    changes.set(hooks.checkpoint, 'interval', max(1, steps // 10), 'default_hooks.checkpoint')
    if 'since' in (hooks.get('student') or {}):
        changes.set(hooks.student, 'since', 1, 'default_hooks.student')


def step_cost(cfg: Config) -> float:
    """Estimate the multiply-adds of a step of training.

    Args:
        cfg (Config): Of a recipe that distils.
    """
    data, cost = cfg.train_dataloader, 0.0
    distiller, size = cfg.model.distiller, data.dataset.size
    teaches = (
        _FROZEN if distiller.get('offline') else _CYCLE if distiller.get('teacher') else _PAIRED
    )
    for path, config in generators_of(cfg.model):
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            network = build_generator(config, 'meta').eval()
        if not getattr(network, 'image_only', False):
            passes = _STUDENT if path.startswith('model.generator') else teaches
            macs = count_macs(network, input_shape(network, size)).macs
            cost += passes * macs
    if 'vgg16' in needed_weights(Config(dict(model=cfg.model))):
        cost += _PERCEPTUAL * _VGG * size**2
    return cost * data.batch_size
