"""A recipe that trains a pruned student; the dense network teaches it.

Any recipe with a distiller will do: what it trains is replaced by the pruned
student, its teachers by the dense network, which does not train
(``offline``), and what belongs to other teachers goes.
"""
import inspect
import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

import torch.nn as nn
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

from ..core.layers import find_layer
from ..demo import domains_of, rename_domains
from ..models.frozen_teacher import FrozenTeacher
from ..models.roles import is_unet, resnet_chain, unet_convs
from ..registry import MODELS
from .launch import load_config, set_everywhere, walk

NAME = 'finetune.py'
# OMGD's losses need neither pairs nor a discriminator
UNPAIRED = 'omgd_cyclegan-mobile16-offline_1xb1-200e_horse2zebra.py'
PAIRED = 'omgd_pix2pix.py'
# parts of a distiller that only teachers have which train
_TEACHING = ('distiller.teacher', 'distiller.discriminator')


def default_recipe(made_by: Sequence[str], network: nn.Module) -> str:
    """Return the recipe for a student, by what is known of it.

    Args:
        made_by (Sequence[str]): Methods that made it.
        network (nn.Module): Its generator.
    """
    paired = any('Pix2Pix' in name for name in made_by)
    unpaired = any('CycleGAN' in name for name in made_by)
    return PAIRED if paired or not unpaired and is_unet(network) else UNPAIRED


def read_recipe(recipe: str, domains: Sequence[str],
                reachable: Sequence[str], size: int, demo: bool = False,
                data_root: Optional[str] = None) -> Config:
    """Read a recipe for a student of certain domains.

    Args:
        recipe (str): Path or name.
        domains (Sequence[str]): Both domains, source first.
        reachable (Sequence[str]): Those that the student generates.
        size (int): Side of its images.
        demo (bool): Take the recipe's demo: its data and schedule.
        data_root (str | None): Images in place of the recipe's. By default
            they are in ``data/<source>2<target>``, as
            ``tools/prepare_data.py`` names them.

    Raises:
        FileNotFoundError: If there is no such recipe.
        ValueError: If it has no distiller, or its demo other domains.
    """
    cfg = load_config(Namespace(config=recipe, demo=demo, data_root=data_root,
                                cfg_options=None))
    if not (cfg.get('model') or {}).get('distiller'):
        raise ValueError(f'{recipe} has no model.distiller: expected a '
                         'recipe that distils')
    old = domains_of(cfg)
    if old != list(domains):
        if demo:
            raise ValueError(f'the demo is of {old}, this student of '
                             f'{list(domains)}: leave out --demo')
        rename_domains(cfg._cfg_dict, dict(zip(old, domains)))
        if not data_root:
            set_everywhere(cfg._cfg_dict, 'data_root',
                           'data/' + '2'.join(domains))
    default = cfg.model.default_domain
    if default not in reachable:
        default = reachable[0]
    cfg.model.update(reachable_domains=list(reachable),
                     related_domains=list(domains), default_domain=default)
    _score_only(cfg, reachable, default)
    for key in ('val_evaluator', 'test_evaluator'):
        set_everywhere(cfg.get(key), 'size', size)  # of real images
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if loader:
            loader.dataset.pop('teacher_images', None)
        if loader and loader.dataset.size != size:
            scale = loader.dataset.load_size / loader.dataset.size
            loader.dataset.update(size=size, load_size=round(size * scale))
    _go_offline(cfg)
    return cfg


def _score_only(cfg: Config, reachable: Sequence[str], default: str):
    """Score what the student generates."""
    evaluators = [cfg[key] for key in ('val_evaluator', 'test_evaluator')
                  if cfg.get(key)]
    for evaluator in evaluators:
        kept = [m for m in evaluator.metrics if m.domain in reachable]
        if not kept:  # the recipe's is the other direction
            kept = evaluator.metrics
            for node in walk(kept):
                if 'side' in node:
                    node.side = dict(A='B', B='A')[node.side]
            for metric in kept:
                metric.domain = default
        evaluator.metrics = kept
    hook = cfg.default_hooks.get('student') or {}
    if hook.get('metric'):
        domain, _, name = hook.metric.partition('/')
        hook.metric = f'{domain if domain in reachable else default}/{name}'


def _go_offline(cfg: Config):
    """Leave out what trains teachers."""
    distiller = cfg.model.distiller
    distiller.offline = True
    distiller.pop('teacher_checkpoints', None)
    distiller.pop('stand_ins', None)
    if 'discriminator' in distiller:
        distiller.discriminator = None
    schedule = distiller.schedule
    rounds = schedule.pop('student_epochs', 0)
    if rounds:  # as many epochs as the student has beside the teacher
        blocks = -(-schedule.epochs // schedule.block)
        constant = schedule.constant / schedule.epochs
        schedule.update(epochs=blocks * rounds, block=rounds,
                        constant=round(constant * blocks * rounds))
    for name, wrapper in list(cfg.optim_wrapper.items()):
        if isinstance(wrapper, dict) and all(
                module.startswith(_TEACHING) for module in wrapper.modules):
            del cfg.optim_wrapper[name]
    cfg.custom_hooks = [
        hook for hook in cfg.get('custom_hooks') or []
        if not hook.type.endswith(('TeacherSelectionHook', 'EMATeacherHook'))]
    rate = cfg.default_hooks.get('rate') or {}
    for key in ('constant', 'steps'):
        if key in rate:
            kept = [name for name in rate[key] if name in cfg.optim_wrapper]
            rate[key] = {name: rate[key][name] for name in kept} \
                if isinstance(rate[key], dict) else kept


def fit_networks(cfg: Config, students: Mapping[str, tuple[nn.Module, dict]],
                 teachers: Mapping[str, tuple[nn.Module, dict]],
                 student_file: str, teacher_file: str):
    """Put the networks of two student files into a recipe.

    Args:
        cfg (Config): Of :func:`read_recipe`; changed in place.
        students (dict[str, tuple]): Pruned network and its config, by
            domain.
        teachers (dict[str, tuple]): The same of the dense networks.
        student_file (str): Where the student's weights are.
        teacher_file (str): Where the teacher's are.

    Raises:
        KeyError: If a term compares layers that the networks do not have,
            and these are neither ResNets nor U-Nets, whose layers are known.
    """
    distiller = cfg.model.distiller
    cfg.model.generator = ConfigDict({
        domain: _with_weights(config, student_file, domain)
        for domain, (_, config) in students.items()})
    dense = {domain: _with_weights(teachers[domain][1], teacher_file, domain)
             for domain in students}
    for node in list(walk(distiller)):
        if isinstance(node.get('teachers'), (list, tuple)):
            del node['teachers']  # of a term: there is one teacher now
    if _takes(distiller.type, 'teachers'):
        distiller.teachers = ConfigDict(teacher=next(iter(dense.values())))
    else:
        distiller.teacher = ConfigDict(
            type=f'mmgan_compress.{FrozenTeacher.__name__}',
            generators=dense)
    domain = next(iter(students))
    for node in walk(distiller):
        if node.get('layers'):
            _fit_taps(node, students[domain][0], teachers[domain][0])


def leave_out_taps(cfg: Config):
    """Leave out of a recipe the terms that compare layers."""
    distiller = cfg.model.distiller
    distiller.pop('channel', None)
    if distiller.get('terms'):
        distiller.terms = [term for term in distiller.terms
                           if not term.get('layers')]


def _takes(kind: str, name: str) -> bool:
    """Tell whether a registered class has an argument of that name."""
    return any(name in inspect.signature(base.__init__).parameters
               for base in MODELS.get(kind).__mro__)


def _with_weights(config: dict, path: str, domain: str) -> ConfigDict:
    return ConfigDict(dict(config, init_cfg=dict(
        type='Pretrained', checkpoint=path, prefix=f'generators.{domain}')))


def _fit_taps(node: ConfigDict, student: nn.Module, teacher: nn.Module):
    """Name layers that the networks have."""
    node.pop('target_layers', None)
    try:
        for network in (student, teacher):
            for layer in node.layers:
                find_layer(network, layer)
    except KeyError as error:
        taps = [feature_taps(network) for network in (student, teacher)]
        if None in taps:
            raise error
        node.layers, node.target_layers = taps


def feature_taps(network: nn.Module) -> Optional[list[str]]:
    """Return four layers to compare, in the order in which they run.

    Of a ResNet generator these are where OMGD taps it: behind the second
    down-sampling and behind a third, two thirds and all of the residual
    blocks. Of a U-Net the convolutions of the levels that OMGD taps: down at
    2 and 4, up at 3 and 1.

    Args:
        network (nn.Module): Any network.

    Returns:
        list[str] | None: Their names; None if it is neither.
    """
    if is_unet(network):
        convs = [name for name, _ in unet_convs(network)]
        return [convs[1], convs[3], convs[-4], convs[-2]]
    try:
        chain = resnet_chain(network)
    except TypeError:
        return None
    trunk = max(chain.values(), key=list(chain.values()).count)
    inside = [name.split('.')[1] for name, first in chain.items()
              if first == trunk][1:]  # of "model", one child for each block
    children, count = [*dict(network.model.named_children())], len(inside)
    return [f'model.{child}' for child in (
        children[children.index(inside[0]) - 1], inside[count // 3 - 1],
        inside[2 * count // 3 - 1], inside[-1])]


def write_finetune(out: Path, cfg: Config, title: str):
    """Write the recipe beside the student.

    Args:
        out (Path): Folder of the student.
        cfg (Config): Complete.
        title (str): Comment on top: what made it.
    """
    known = {*inspect.signature(Runner).parameters, 'custom_imports',
             'model_wrapper_cfg'}
    cfg = Config({key: value for key, value in cfg.to_dict().items()
                  if key in known})  # without what its bases are made of
    for node in walk(cfg._cfg_dict):
        root = Path(node.get('data_root') or '')
        if root.is_relative_to(Path.cwd()):
            node.data_root = str(root.relative_to(Path.cwd()))
    (out / NAME).write_text(
        f'# {title}\n# Run: python tools/train.py {out / NAME}\n'
        f'{cfg.pretty_text}')


def beside(out: Path, path: str) -> str:
    """Return how a recipe in a folder names a file.

    A relative path is counted from the folder of the recipe, so that both
    can be moved together; an absolute one stays.
    """
    if os.path.isabs(path):
        return path
    return '{{ fileDirname }}/' + Path(os.path.relpath(path, out)).as_posix()
