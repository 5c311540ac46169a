"""A recipe that trains a pruned student; the dense network teaches it.

Any recipe with a distiller will do: what it trains is replaced by the pruned
student, its teachers by the dense network, which does not train
(``offline``), and what belongs to other teachers goes.
"""

import copy
import inspect
import logging
import os
import warnings
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn as nn
from mmengine.config import Config, ConfigDict
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope

from ..core.configs import map_texts
from ..core.files import write_text
from ..core.inputs import input_of
from ..core.layers import meta_copy
from ..core.logging import quiet, silence_meaningless
from ..core.messages import message_of
from ..losses.base import AUTO_LAYERS
from ..models.from_student import FROM_STUDENT, with_weights
from ..models.frozen_teacher import FrozenTeacher
from ..models.student_config import build_generator, scale_of
from ..models.topology import feature_layers, is_unet
from ..registry import DISTILLERS, MODELS
from .channels import fit_channels
from .check_config import LOADERS, OF_RUNNER, generators_of
from .quick import set_size
from .runner_builder import load_config, set_everywhere, walk

NAME = 'finetune.py'
# OMGD's losses need neither pairs nor a discriminator
UNPAIRED = 'omgd_cyclegan-mobile16-offline_1xb1-200e_horse2zebra.py'
PAIRED = 'omgd_pix2pix.py'
BY_FOUR = 'omgd_srgan-resnet24_1xb16-30e_coco.py'
# by the kind of an input that is no image; of noise there is none
BY_INPUT = dict(
    labels='omgd_gaugan-mobile24_8xb2-200e_cityscapes.py',
    styled='gan_compression_munit-mobile64-finetune_1xb1-42e_edges2shoes.py',
)
# parts of a distiller that only teachers have which train
_TEACHING = ('distiller.teacher', 'distiller.discriminator')


def default_recipe(made_by: Sequence[str], network: nn.Module, size: int) -> str | None:
    """Return the recipe for a student, by what is known of it.

    Args:
        made_by (Sequence[str]): Methods that made it.
        network (nn.Module): Its generator.
        size (int): Side of the images that it takes.

    Returns:
        str | None: None if there is none that needs a teacher alone.
    """
    if taken := input_of(network):
        return BY_INPUT.get(taken.kind)
    scale = scale_of(meta_copy(network), size)
    if scale != 1:
        return BY_FOUR if scale == 4 else None
    paired = any('Pix2Pix' in name for name in made_by)
    unpaired = any('CycleGAN' in name for name in made_by)
    return PAIRED if paired or not unpaired and is_unet(network) else UNPAIRED


def domains_of(cfg: Config) -> list[str]:
    """Return source and target domain of a recipe, in this order."""
    target = cfg.model.default_domain
    return [domain for domain in cfg.model.related_domains if domain != target] + [target]


def read_recipe(
    recipe: str,
    domains: Sequence[str],
    reachable: Sequence[str],
    size: int,
    demo: bool = False,
    data_root: str | None = None,
) -> Config:
    """Read a recipe for a student of certain domains.

    Args:
        recipe (str): Path or name.
        domains (Sequence[str]): Both domains, source first.
        reachable (Sequence[str]): Those that the student generates.
        size (int): Side of its images.
        demo (bool): Take the recipe's demo: its data and schedule.
        data_root (str | None): Images in place of the recipe's. By default
            they are in ``data/<source>2<target>``, as
            ``mmgan-compress data`` names them.

    Raises:
        FileNotFoundError: If there is no such recipe.
        ValueError: If it has no distiller, or its demo other domains.
    """
    cfg = load_config(Namespace(config=recipe, demo=demo, data_root=data_root))
    if not (cfg.get('model') or {}).get('distiller'):
        raise ValueError(f'{recipe} has no model.distiller: expected a recipe that distils')
    old = domains_of(cfg)
    if old != list(domains):
        if demo:
            raise ValueError(
                f'the demo is of {old}, this student of {list(domains)}: leave out --demo'
            )
        names = dict(zip(old, domains))

        def renamed(text: str) -> str:  # of a domain, or of a figure of one
            domain, slash, figure = text.partition('/')
            known = domain in names and (slash or text in names)
            return names[domain] + slash + figure if known else text

        cfg = Config(map_texts(renamed, cfg.to_dict()))
        if not data_root:
            set_everywhere(cfg._cfg_dict, 'data_root', 'data/' + '2'.join(domains))
    default = cfg.model.default_domain if cfg.model.default_domain in reachable else reachable[0]
    cfg.model.update(
        reachable_domains=list(reachable), related_domains=list(domains), default_domain=default
    )
    _score_only(cfg, reachable, default)
    for loader in filter(cfg.get, LOADERS):
        cfg[loader].dataset.pop('teacher_images', None)  # of another teacher
    set_size(cfg, size)
    _go_offline(cfg)
    return cfg


def _score_only(cfg: Config, reachable: Sequence[str], default: str):
    """Score what the student generates."""
    for evaluator in filter(None, map(cfg.get, ('val_evaluator', 'test_evaluator'))):
        kept = [metric for metric in evaluator.metrics if metric.domain in reachable]
        if not kept:  # the recipe's is the other direction
            kept = evaluator.metrics
            for node in walk(kept):
                if 'side' in node:
                    node.side = dict(A='B', B='A')[node.side]
                if 'domain' in node:
                    node.domain = default
        evaluator.metrics = kept
    hook = cfg.default_hooks.get('student') or {}
    if hook.get('metric'):
        domain, _, name = hook.metric.partition('/')
        hook.metric = f'{domain if domain in reachable else default}/{name}'


def _go_offline(cfg: Config):
    """Leave out what trains teachers."""
    distiller = cfg.model.distiller
    distiller.offline = True
    for key in ('teacher_checkpoints', 'teacher_snapshots'):
        distiller.pop(key, None)
    # the student has its own weights
    for key, value in (('discriminator', None), ('start_from_teacher', False)):
        if key in distiller:
            distiller[key] = value
    schedule = distiller.schedule
    rounds = schedule.pop('student_epochs', 0)
    if rounds:  # as many epochs as the student has beside the teacher
        epochs = -(-schedule.epochs // schedule.block) * rounds
        constant = round(schedule.constant / schedule.epochs * epochs)
        schedule.update(epochs=epochs, block=rounds, constant=constant)
    for name, wrapper in list(cfg.optim_wrapper.items()):
        if isinstance(wrapper, dict) and all(m.startswith(_TEACHING) for m in wrapper.modules):
            del cfg.optim_wrapper[name]
    teaching = ('TeacherSelectionHook', 'EMATeacherHook')
    hooks = cfg.get('custom_hooks') or []
    cfg.custom_hooks = [hook for hook in hooks if not hook.type.endswith(teaching)]
    rate = cfg.default_hooks.get('rate') or {}
    if 'constant' in rate:
        rate.constant = [name for name in rate.constant if name in cfg.optim_wrapper]
    for name in set(rate.get('steps', ())) - cfg.optim_wrapper.keys():
        del rate.steps[name]


def fit_networks(
    cfg: Config,
    teachers: Mapping[str, tuple[nn.Module, dict]],
    student_file: str,
    teacher_file: str,
) -> list[str]:
    """Put a student and its teacher into a recipe, before there is one.

    Args:
        cfg (Config): Of :func:`read_recipe`; changed in place.
        teachers (dict[str, tuple]): Network that will be pruned and its
            config, by domain.
        student_file (str): Where the student will be.
        teacher_file (str): Where the teacher will be.

    Returns:
        list[str]: What of the recipe is left out, for people.

    Raises:
        ValueError: If the recipe cannot train such networks.
    """
    network = next(iter(teachers.values()))[0]
    _check_input(cfg, network)
    notes = _fit_losses(cfg, network)
    # the files need not be there yet
    configs = {
        domain: with_weights(config, teacher_file, domain)
        for domain, (_, config) in teachers.items()
    }
    _put(cfg, ConfigDict(configs))
    fit_channels(cfg)
    _check(copy.deepcopy(cfg))
    _put(cfg, ConfigDict(type=FROM_STUDENT, file=teacher_file))
    cfg.model.generator.file = student_file
    return notes


def _check_input(cfg: Config, network: nn.Module):
    """Refuse a recipe whose networks take something else."""
    _, own = next(generators_of(cfg.model))
    with DefaultScope.overwrite_default_scope('mmagic'):
        wanted = input_of(build_generator(own, 'meta'))
    if type(wanted) is not type(input_of(network)):
        what = dict(
            labels='it takes label maps',
            noise='it makes images from noise',
            styled='it takes an image and a style',
        )
        kind = what.get(getattr(wanted, 'kind', ''), 'it takes images')
        raise ValueError(
            f'{cfg.model.distiller.type} cannot train this student: {kind}, '
            'and the student does not. Name another recipe with --finetune'
        )


def _put(cfg: Config, networks: ConfigDict):
    """Let networks, by domain or of a file, train and teach."""
    distiller = cfg.model.distiller
    from_file = 'file' in networks
    cfg.model.generator = copy.deepcopy(networks)
    if 'teachers' in inspect.signature(DISTILLERS.get(distiller.type)).parameters:
        one = networks if from_file else next(iter(networks.values()))
        distiller.teachers = ConfigDict(teacher=one)
    else:
        own = dict(file=networks.file) if from_file else dict(generators=networks)
        distiller.teacher = ConfigDict(type=f'mmgan_compress.{FrozenTeacher.__name__}', **own)


def _fit_losses(cfg: Config, network: nn.Module) -> list[str]:
    """Leave out of a recipe the losses that its networks have no layers for,
    and those that need the teacher's discriminator: a student file has none.

    Returns:
        list[str]: What was left out, for people.
    """
    kept, notes = [], []
    for loss in cfg.model.distiller.get('losses') or []:
        name, lacking = loss.type.split('.')[-1], 'a student file has none'
        loss.pop('teachers', None)  # there is one teacher now
        if not loss.get('layers'):
            if getattr(MODELS.get(loss.type), 'uses_discriminator', False):
                needs = "it needs the teacher's discriminator"
                notes.append(f'{name} is removed: {needs}, and {lacking}')
                continue
        else:
            if loss.pop('discriminator_layers', None):
                compares = "compares no layers of the teacher's discriminator"
                notes.append(f'{name} {compares}: {lacking}')
            loss.pop('target_layers', None)
            if not set(loss.layers) <= set(dict(network.named_modules())):
                loss.layers = AUTO_LAYERS
                try:
                    feature_layers(network)
                except ValueError as error:
                    notes.append(f'{name} is removed: {error}')
                    continue
        kept.append(loss)
    if 'losses' in cfg.model.distiller:
        cfg.model.distiller.losses = kept
    return notes


def _check(cfg: Config):
    """Build what the recipe trains, without weights, or say why not."""
    model = cfg.model
    model.distiller.perceptual = dict(  # its weights need not be here
        type='mmgan_compress.VGG16Features', weights='random'
    )
    try:
        with (
            DefaultScope.overwrite_default_scope('mmagic'),
            torch.device('meta'),
            warnings.catch_warnings(),
            quiet(MMLogger.get_current_instance(), logging.ERROR),
        ):
            silence_meaningless()
            build_optim_wrapper(MODELS.build(model), copy.deepcopy(cfg.optim_wrapper))
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(
            f'{model.distiller.type} cannot train this student: '
            f'{message_of(error)}. Name another recipe with --finetune'
        ) from error


def write_finetune(
    out: Path, cfg: Config, title: str, notes: Sequence[str] = (), imports: Sequence[str] = ()
):
    """Write the recipe beside the student.

    Args:
        out (Path): Folder of the student.
        cfg (Config): Complete.
        title (str): Comment on top: what made it.
        notes (Sequence[str]): Further comments.
        imports (Sequence[str]): Modules that register the networks in it.
    """
    # without what its bases are made of
    cfg = Config({key: value for key, value in cfg.to_dict().items() if key in OF_RUNNER})
    own = cfg.get('custom_imports') or {}
    if names := dict.fromkeys([*own.get('imports', []), *imports]):
        cfg.custom_imports = dict(own, imports=list(names))
    for node in walk(cfg._cfg_dict):
        root = Path(node.get('data_root') or '')
        if root.is_relative_to(Path.cwd()):
            node.data_root = str(root.relative_to(Path.cwd()))
    head = [title, f'Run: mmgan-compress train {out / NAME}', *notes]
    write_text(out / NAME, ''.join(f'# {line}\n' for line in head) + cfg.pretty_text)


def beside(out: Path, path: str) -> str:
    """Return how a recipe in a folder names a file.

    A relative path is counted from the folder of the recipe, so that both
    can be moved together; an absolute one stays.
    """
    if os.path.isabs(path):
        return path
    return '{{ fileDirname }}/' + Path(os.path.relpath(path, out)).as_posix()
