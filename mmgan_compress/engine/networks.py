"""The networks of a recipe, and what they cost."""

import dataclasses
from pathlib import Path

import torch.nn as nn
from mmengine.registry import init_default_scope

from ..core.channels import input_shape
from ..core.complexity import count_macs, count_params
from ..core.configs import find_config, read_config
from ..core.domains import per_domain
from ..models.from_student import resolve_students
from ..models.student import load_student
from ..registry import MODELS
from .channels import fit_channels

# teachers that only give images have neither layers nor costs
_IMAGE_TEACHERS = ('StoredTeacher', 'TruthTeacher', 'OnnxTeacher', 'CallableTeacher')


def generator_configs(source: str) -> tuple[dict[str, dict], int]:
    """Return the generators of a recipe and its size.

    Args:
        source (str): Recipe. ``cfg.model.generator`` is the student,
            ``distiller.teacher`` or ``distiller.teachers`` the teachers, each
            a generator or a model that has one.

    Returns:
        tuple[dict, int]: Configs by name, ``'student'`` first: that of the
        default domain, where they differ. And the side of the training
        images in pixels.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the config is not that of a model.
    """
    cfg = read_config(find_config(source))
    resolve_students(cfg)
    fit_channels(cfg)
    init_default_scope(cfg.get('default_scope', 'mmagic'))
    model = cfg.get('model') or {}
    if 'generator' not in model:
        raise ValueError(
            f'cfg.model of {source} has no generator, got {list(model)}: expected the config of '
            'a model'
        )
    model = model.to_dict()
    own = per_domain(model['generator'], model.get('reachable_domains') or [''])
    found = {'student': own.pop(model.get('default_domain', ''), model['generator'])}
    if 'type' not in model['generator']:
        found.update({f'student, {domain}': each for domain, each in own.items()})
    distiller = model.get('distiller') or {}
    teachers = dict(distiller.get('teachers') or {})
    if distiller.get('teacher'):
        teachers['teacher'] = distiller['teacher']
    for name, each in teachers.items():
        if not each['type'].endswith(_IMAGE_TEACHERS):
            found[name] = each.get('generator', each)
    data = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    return found, data.get('size', 256)


def load_networks(source: str) -> tuple[dict[str, nn.Module], int]:
    """Return the networks of a recipe, without weights, or of a student file,
    and the side of the training images in pixels.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no recipe of a model and no student.
    """
    if Path(source).suffix != '.py':
        student = load_student(source)
        return {'student': student}, student.meta['image_size']
    configs, size = generator_configs(source)
    networks = {}
    for name, config in configs.items():
        config.pop('init_cfg', None)  # it may name a file
        networks[name] = MODELS.build(config)
    return networks, size


def costs_of(network: nn.Module, size: int, layers: bool = False) -> dict:
    """Return what a network costs for one square image.

    Args:
        network (nn.Module): Generator.
        size (int): Side of the image in pixels.
        layers (bool): Whether to list the layers, too.

    Returns:
        dict: ``params``, ``macs``, ``macs_paper`` and maybe ``layers``.
    """
    macs = count_macs(network, input_shape(network, size))
    costs = dict(params=count_params(network), macs=macs.macs, macs_paper=macs.macs_paper)
    if layers:
        costs['layers'] = [dataclasses.asdict(row) for row in macs.layers]
    return costs
