"""Faults of a config, all found together before anything is built.

A fault is one line, ``model.generator.base_channels: got -3, expected a whole
number of at least 1``. What a registered class takes is read from its
signature: names, kinds, and by the default how small a number may be. A table
has the few values for which that is not enough. What a class or mmengine
refuses in plain words when it is built has no second check here.
"""

import inspect
import logging
import math
from collections import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import chain
from types import NoneType, UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin

import torch.nn as nn
from mmagic import registry as mmagic_registry
from mmengine.config import Config
from mmengine.registry import DefaultScope, Registry
from mmengine.runner import Runner, set_random_seed
from torch.utils.data import DataLoader

from .. import registry
from ..core.channels import input_shape
from ..core.configs import did_you_mean, walk_paths
from ..core.domains import are_names
from ..core.inputs import is_noise
from ..core.layers import shape_pass
from ..core.messages import message_of
from ..core.schedule import TrainSchedule
from ..evaluation.reference import Reference
from ..models.student_config import build_generator
from .input_files import data_faults, file_faults

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
TRAINS = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper')
TESTS = ('model', 'test_dataloader', 'test_cfg', 'test_evaluator')

# which registry builds what, by the nearest name on the way to it
_REGISTRIES = dict(
    model=registry.MODELS,
    distiller=registry.DISTILLERS,
    pruner=registry.PRUNERS,
    dataset=registry.DATASETS,
    sampler=registry.DATA_SAMPLERS,
    pipeline=registry.TRANSFORMS,
    metrics=registry.METRICS,
    model_wrapper_cfg=registry.MODEL_WRAPPERS,
    optim_wrapper=mmagic_registry.OPTIM_WRAPPERS,
    optimizer=mmagic_registry.OPTIMIZERS,
    visualizer=mmagic_registry.VISUALIZERS,
    vis_backends=mmagic_registry.VISBACKENDS,
    log_processor=mmagic_registry.LOG_PROCESSORS,
    **dict.fromkeys(('evaluator', 'val_evaluator', 'test_evaluator'), registry.EVALUATORS),
    **dict.fromkeys(('default_hooks', 'custom_hooks'), registry.HOOKS),
    **dict.fromkeys(('train_cfg', 'val_cfg', 'test_cfg'), registry.LOOPS),
)
# dicts without a type, and what takes their entries
_UNTYPED = dict(
    schedule=TrainSchedule,
    reference=Reference,
    randomness=set_random_seed,
    **dict.fromkeys(LOADERS, DataLoader),
)
_MUST_HAVE_TYPE = ('model', 'distiller', 'dataset', 'sampler', 'optimizer', 'train_cfg')
# of a layer's config the rest goes to torch, by way of mmcv
_LAYERS = ('norm_cfg', 'act_cfg', 'conv_cfg', 'padding_cfg', 'upsample_cfg')
# what builders read beside the arguments
_OF_BUILDERS = {'type', '_scope_', 'priority', '_delete_', 'num_batch_per_epoch'}
_OF_BUILDERS |= {'modules', 'paramwise_cfg', 'constructor'}  # of optimizers
# keys at the top that Runner reads beside its arguments
OF_RUNNER = {
    *inspect.signature(Runner).parameters,
    'custom_imports',
    'model_wrapper_cfg',
    'sync_bn',
    'find_unused_parameters',
    'activation_checkpointing',
    'efficient_conv_bn_eval',
    'compile',
}
# what other loops take for the length of the training
_LENGTHS = {'max_iters', 'max_epochs', 'val_interval'}
_LENGTH = '; model.distiller.schedule sets the length of the training and the moments of validation'
# where real images are named, and whose images they are compared with
_SCORES = dict(val_evaluator='val', test_evaluator='test', custom_hooks='val')
# what the command line sets after --cfg-options, or by an option of its own
_BY_OPTIONS = dict(
    work_dir='--work-dir', launcher='--launcher', resume='--resume', custom_imports='--import'
)
_VARIABLES = dict(image_size='--size', load_size='--size', data_root='--data-root')


# --- values -----------------------------------------------------------------
class _Bound(NamedTuple):
    """What a value must be, in code and in words."""

    holds: Callable[[Any], bool]
    words: str


def _is_number(value: Any, kind: type | tuple[type, ...] = (int, float)) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)


def _whole(least: int) -> _Bound:
    return _Bound(
        lambda v: _is_number(v, int) and v >= least, f'a whole number of at least {least}'
    )


# by name, or by the name of the dict and the name
_BOUNDS = {
    **dict.fromkeys(('batch_size', 'epochs', 'block'), _whole(1)),
    'num_down': _whole(5),  # mmagic's U-Net has five levels or more
    'checkpoint.interval': _Bound(
        lambda v: _is_number(v, int) and (v >= 1 or v == -1), 'a whole number of at least 1, or -1'
    ),
    'betas': _Bound(
        lambda v: (
            isinstance(v, (list, tuple))
            and len(v) == 2
            and all(_is_number(beta) and 0 <= beta < 1 for beta in v)
        ),
        'two numbers from 0 to below 1',
    ),
    'log_level': _Bound(
        lambda v: isinstance(v, str) and v in logging.getLevelNamesMapping(),
        "the name of a level, such as 'INFO'",
    ),
}
_WORDS = {bool: 'True or False', str: 'text', dict: 'a dict', list: 'a list'}
_NUMBERS = {int: 'a whole number', float: 'a finite number'}
_SAME = {tuple: list, abc.Sequence: list, abc.Mapping: dict}


def _fault(path: str, value: Any, expected: str) -> str:
    shown = repr(value)
    if len(shown) > 60:
        shown = f'{shown[:57]}...'
    return f'{path}: got {shown}, expected {expected}'


def _expected(path: str, value: Any, parameter: inspect.Parameter | None) -> str:
    """Return in words what a value should be; '' if it may be so."""
    parent, _, key = path.rpartition('.')
    bound = _BOUNDS.get(f'{parent.rpartition(".")[2]}.{key}') or _BOUNDS.get(key)
    if bound or parameter is None:
        return '' if bound is None or bound.holds(value) else bound.words
    default, annotation = parameter.default, parameter.annotation
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    named = [_SAME.get(own := get_origin(part) or part, own) for part in parts]
    kinds = [kind for kind in named if kind in _WORDS or kind in _NUMBERS]
    if not kinds and (_is_number(default) or isinstance(default, dict)):
        kinds = [dict if isinstance(default, dict) else type(default)]  # mmagic annotates nothing
    optional = NoneType in named or default is None or annotation is parameter.empty
    other = set(named) - {*kinds, NoneType, parameter.empty}
    if not kinds or value is None and optional or other and not {dict, int, float} & {*kinds}:
        return ''  # objects that are no dict are not written in a config
    least = None if _is_number(default) and default < 0 else 0
    if int in kinds and _is_number(default) and default >= 1 and 'padding' not in key:
        least = 1
    for kind in kinds:
        if kind in _NUMBERS:
            good = _is_number(value, (int, kind)) and (least is None or value >= least)
        else:
            good = isinstance(value, abc.Sequence if kind is list else kind)
        if good:
            return ''
    least_words = '' if least is None else f' of at least {least}'
    words = [_WORDS.get(kind) or _NUMBERS[kind] + least_words for kind in kinds]
    return ' or '.join([*words, 'None'] if optional else words)


# --- types and their arguments ----------------------------------------------
def _find(found: Registry, name: str, scope: str) -> type | None:
    """Return what a name stands for, as a builder in a scope sees it."""
    if isinstance(found, registry.OwnRegistry):
        return found.get(name)
    wanted, _, short = name.rpartition('.')
    while found is not None:
        found.import_from_location()
        if short in found.module_dict and (
            wanted == found.scope or not wanted and found.scope in (scope, 'mmengine')
        ):
            return found.module_dict[short]
        found = found.parent
    return None


def _unknown(name: str, found: Registry) -> str:
    """Say that a name is not registered, and which ones are like it,
    whatever the scope before them.
    """
    said, names = f'no {found.name} is called {name!r}', {}
    while found is not None:
        ours = found.scope == 'mmgan_compress' and not isinstance(found, registry.OwnRegistry)
        for short in found.module_dict:
            names[short] = f'{found.scope}.{short}' if ours else short
        found = found.parent
    near = get_close_matches(name.rpartition('.')[2], names)
    return said + did_you_mean([names[short] for short in near])


def arguments_of(kind: Callable) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return the arguments that a class or function takes.

    Args:
        kind (Callable): A class: also those which ``**kwargs`` hand on to its
            bases.

    Returns:
        tuple[dict, bool]: Parameters by name, and whether it may take others.
    """
    found: dict[str, inspect.Parameter] = {}
    for base in kind.__mro__ if inspect.isclass(kind) else (kind,):
        if base in (nn.Module, object):
            break
        init = vars(base).get('__init__') if inspect.isclass(base) else base
        if init is None:
            continue
        try:
            own = inspect.signature(init).parameters
        except ValueError:  # of compiled code
            break
        for name, parameter in own.items():
            found.setdefault(name, parameter)
        if all(p.kind is not p.VAR_KEYWORD for p in own.values()):
            return found, False
    return found, True


def _kind_of(
    path: str, value: Mapping, found: Registry | None, scope: str
) -> tuple[Callable | None, str]:
    """Return what takes the entries of a dict, and a fault of its type."""
    key, name = path.rpartition('.')[2], value.get('type')
    if name is None and path.startswith('optim_wrapper.') and 'optimizer' in value:
        name = 'OptimWrapper'
    if name is None and key in _MUST_HAVE_TYPE:
        return None, f'{path}.type: missing'
    if name is None or found is None and isinstance(name, str):
        return _UNTYPED.get(key), ''
    if not isinstance(name, str):
        return (
            (name, '')
            if callable(name)
            else (None, _fault(f'{path}.type', name, 'the name of what is built'))
        )
    kind = _find(found, name, scope)
    known = ('', scope, 'mmgan_compress', 'mmengine')
    if kind is None and name.rpartition('.')[0] in known:
        return None, f'{path}.type: {_unknown(name, found)}'
    return (None if key in _LAYERS else kind), ''


def _faults(path: str, value: Any, found: Registry | None, scope: str) -> Iterator[str]:
    """Yield what is wrong in a dict, or in the dicts of a list."""
    if isinstance(value, (list, tuple)):
        # of the lists in a typed dict nothing is known
        built = path.rpartition('.')[2] in _REGISTRIES
        for index, child in enumerate(value):
            if isinstance(child, (Mapping, list, tuple)):
                yield from _faults(f'{path}.{index}', child, found, scope)
            elif built:
                yield _fault(f'{path}.{index}', child, 'a dict')
        return
    kind, fault = _kind_of(path, value, found, scope)
    if fault:
        yield fault
    taken, more = (Runner, True) if not path else (kind, False)
    taken, takes_more = arguments_of(taken) if taken else ({}, True)
    if 'type' in value:  # of its parts nothing is known but by name
        found = registry.MODELS if found in (registry.MODELS, registry.DISTILLERS) else None
    for key, child in value.items():
        place = f'{path}.{key}' if path else key
        expected = _expected(place, child, taken.get(key))
        plain = child is not None and not isinstance(child, (Mapping, list, tuple))
        if not expected and plain:
            if key in _REGISTRIES or key in _UNTYPED:
                expected = 'a dict, or a list of dicts'
            elif path in ('default_hooks', 'optim_wrapper') and key not in _OF_BUILDERS:
                expected = 'a dict'
        if expected:
            yield _fault(place, child, expected)
        elif not (key in taken or takes_more or more or key in _OF_BUILDERS):
            near = did_you_mean(get_close_matches(str(key), taken))
            yield f'{place}: {kind.__name__} takes no such argument' + (
                _LENGTH if key in _LENGTHS else near
            )
        if not plain and child is not None and key != 'init_cfg':
            yield from _faults(place, child, _REGISTRIES.get(key, found), scope)


def value_faults(cfg: Mapping) -> list[str]:
    """Return what the types of a config do not take, and values that cannot
    be.
    """
    scope = cfg.get('default_scope') or 'mmengine'
    faults = [*_faults('', {key: cfg[key] for key in cfg if key in OF_RUNNER}, None, scope)]
    constructor = _part(cfg, 'optim_wrapper').get('constructor')
    known = mmagic_registry.OPTIM_WRAPPER_CONSTRUCTORS
    if isinstance(constructor, str) and not _find(known, constructor, scope):
        faults.append(f'optim_wrapper.constructor: {_unknown(constructor, known)}')
    return faults


# --- keys of the command line -----------------------------------------------
def option_faults(cfg: Config, options: Mapping[str, Any]) -> dict[str, str]:
    """Return which keys of ``--cfg-options`` a config does not have.

    Args:
        cfg (Config): Not yet changed.
        options (dict): Of ``core.configs.read_options``.

    Returns:
        dict[str, str]: Fault by key.
    """
    return {
        key: f'--cfg-options {key}: {fault}'
        for key in options
        if (fault := _key_fault(cfg._cfg_dict, key))
    }


def _key_fault(cfg: Mapping, dotted: str) -> str:
    """Say why a key cannot be set; empty if it can."""
    first, *rest = dotted.split('.')
    if first in _BY_OPTIONS:
        return f'use {_BY_OPTIONS[first]}'
    if first in cfg and first not in OF_RUNNER:
        how = f'use {_VARIABLES[first]}' if first in _VARIABLES else 'set the keys that it is for'
        return f'a variable of the recipe, whose value is used already: {how}'
    if first not in OF_RUNNER or rest and first not in cfg:
        near = get_close_matches(first, OF_RUNNER & cfg.keys())
        return 'the config has no such key' + did_you_mean(near)
    node, path = cfg, ''
    for key in (first, *rest):
        if isinstance(node, (list, tuple)):
            if not key.isdigit() or int(key) >= len(node):
                return f'{path} has {len(node)} entries, from 0 on'
            node = node[int(key)]
        elif not isinstance(node, Mapping):
            return f'{path} is {node!r}, which has no parts'
        elif key in node:
            node = node[key]
        elif (
            not path
            or 'type' in node
            or path.rpartition('.')[2] in _UNTYPED
            or path.startswith(('model.', 'optim_wrapper.', 'env_cfg'))
        ):
            return ''  # a new argument: its type says whether it takes it
        else:
            near = get_close_matches(key, node)
            return f'{path} has no {key!r}' + (did_you_mean(near) or f', only {", ".join(node)}')
        path = f'{path}.{key}' if path else key
    return ''


# --- what must fit together -------------------------------------------------
def missing_parts(cfg: Mapping, needed: Sequence[str]) -> list[str]:
    """Return which parts a config lacks, or has as something else."""
    faults = {}
    places = [*needed, *(f'{loader}.dataset' for loader in LOADERS if cfg.get(loader))]
    for place in [*places, *(['model.distiller'] if 'train_cfg' in needed else [])]:
        part, path = cfg, ''
        for key in place.split('.'):
            part, path = part.get(key), f'{path}.{key}' if path else key
            if not isinstance(part, Mapping):
                faults[path] = (
                    _fault(path, part, 'a dict')
                    if part
                    else f'{path}: missing; a config needs it to do this, as those in configs/ do'
                )
                break
    return list(faults.values())


def _part(cfg: Mapping, path: str) -> Mapping:
    """Return a dict inside a config; an empty one if there is none."""
    for key in path.split('.'):
        cfg = cfg.get(key)
        if not isinstance(cfg, Mapping):
            return {}
    return cfg


def domain_faults(cfg: Mapping) -> list[str]:
    """Return where the names of domains do not agree."""
    model = cfg['model']
    related, reachable = model.get('related_domains'), model.get('reachable_domains')
    if related is None:
        return []  # of another package
    if not are_names(related) or len(set(related)) != 2:
        return [_fault('model.related_domains', related, 'two domains')]
    related, faults = list(related), []
    if not are_names(reachable) or not reachable or not set(reachable) <= set(related):
        faults.append(_fault('model.reachable_domains', reachable, f'one or both of {related}'))
        reachable = related
    if model.get('default_domain') not in reachable:
        words = f'one of {list(reachable)}'
        faults.append(_fault('model.default_domain', model.get('default_domain'), words))
    for key in (*LOADERS, *_SCORES):
        allowed = reachable if key.endswith('evaluator') else related
        for path, node in walk_paths(cfg.get(key), key):
            own = node.get('domains') if path.endswith('.dataset') else None
            if own is not None and not (are_names(own) and set(own) == set(related)):
                faults.append(_fault(f'{path}.domains', own, f'{related}, in any order'))
            if 'domain' in node and node['domain'] not in allowed:
                words = f'one of {list(allowed)}'
                faults.append(_fault(f'{path}.domain', node['domain'], words))
    return faults


def generators_of(model: Mapping) -> Iterator[tuple[str, Mapping]]:
    """Yield the generators of a model, the teachers' too."""
    for path in (
        'generator',
        'distiller.teacher.generator',
        'distiller.teacher.generators',
        'distiller.teachers',
    ):
        part = _part(model, path)
        if 'type' in part:
            yield f'model.{path}', part
        else:
            for name, config in part.items():
                yield f'model.{path}.{name}', config


def network_faults(cfg: Mapping) -> list[str]:
    """Return which generators cannot be built, or not translate images of
    the size that the data sets give; nothing is computed.
    """
    faults = []
    loader = next(filter(cfg.get, LOADERS), LOADERS[0])
    size = _part(cfg, f'{loader}.dataset').get('size')
    for path, config in generators_of(cfg['model']):
        try:
            with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
                network = build_generator(config, 'meta')
        except Exception as error:  # whatever a class raises
            faults.append(f'{path}: {message_of(error)}')
            continue
        if not _is_number(size, int) or size < 1 or getattr(network, 'image_only', False):
            continue
        sides = (size, *(side for side in (16, 32, 64, 128, 256, 512, 1024) if side > size))
        fits = next((side for side in sides if _translates(network, side)), size)
        if fits != size:
            faults.append(
                f'{path}: {network.__class__.__name__} cannot translate images of {size} pixels, '
                f'but of {fits}: set --size {fits}, or make it less deep'
            )
    return faults


def _translates(network: nn.Module, size: int) -> bool:
    """Tell whether images come out as large as they went in, or a whole
    number of times as large; those from noise as large as real ones.
    """
    try:
        height, width = shape_pass(network, *input_shape(network, size, 2)).shape[-2:]
        fits = height == size if is_noise(network) else height % size == 0
        return height == width and fits
    except Exception:  # of any layer
        return False


def choice_faults(cfg: Mapping) -> list[str]:
    """Return figures that a hook chooses by and no metric computes, and a first
    epoch behind the last.

    With a metric of another package, which does not say what it computes,
    every figure is accepted.
    """
    scope = cfg.get('default_scope') or 'mmengine'
    epochs, faults = _part(cfg, 'model.distiller.schedule').get('epochs'), []
    hooks = [walk_paths(cfg.get(place), place) for place in ('default_hooks', 'custom_hooks')]
    for path, hook in chain(*hooks) if cfg.get('val_dataloader') else ():
        since = hook.get('since')
        if _is_number(since) and _is_number(epochs) and since > epochs:
            faults.append(_fault(f'{path}.since', since, f'at most {epochs}, the last epoch'))
        figures = {f'{path}.metric': [hook.get('metric')]}
        figures |= {f'{path}.metrics.{key}': v for key, v in _part(hook, 'metrics').items()}
        metrics = [
            (kind, node)
            for _, node in walk_paths(hook.get('evaluator') or cfg.get('val_evaluator'), '')
            if (kind := _find(registry.METRICS, str(node.get('type')), scope))
        ]
        if not metrics or not all(hasattr(kind, 'names_of') for kind, _ in metrics):
            continue
        known = [name for kind, node in metrics for name in kind.names_of(**node)]
        faults += [
            _fault(place, name, f'one of {known}')
            for place, names in figures.items()
            for name in (names if are_names(names) else ())
            if name not in known
        ]
    return faults


def size_faults(cfg: Mapping) -> list[str]:
    """Return where real images are read at another size than fakes have."""
    return [
        _fault(
            f'{path}.size',
            node.get('size', 256),
            f'{size}, the size of the images that are compared with it; --size sets both',
        )
        for key, split in _SCORES.items()
        if (size := _part(cfg, f'{split}_dataloader.dataset').get('size'))
        for path, node in walk_paths(cfg.get(key), key)
        if path.endswith('.reference') and node.get('size', 256) != size
    ]


def check_inputs(
    cfg: Config,
    loaders: Sequence[str] = LOADERS,
    needed: Sequence[str] = (),
    found: Sequence[str] = (),
):
    """Refuse a config with whatever keeps it from being built and run.

    Args:
        cfg (Config): Of a recipe.
        loaders (Sequence[str]): Those whose data are needed.
        needed (Sequence[str]): Parts that it must have, such as ``TRAINS``.
        found (Sequence[str]): Faults that are known already.

    Raises:
        FileNotFoundError: If all that is missing is one file or folder; says
            what makes it.
        ValueError: With a line for each fault.
    """
    own = cfg._cfg_dict
    faults: list = [*found, *(missing := missing_parts(own, needed))]
    if isinstance(own.get('model'), Mapping) and not missing:
        static = [*value_faults(own), *domain_faults(own), *size_faults(own)]
        if not any(fault.startswith('val_evaluator') for fault in static):
            static += choice_faults(own)
        if not any(fault.startswith('model.') for fault in static):
            static += network_faults(own)
        faults += static
        sound = [
            loader
            for loader in loaders
            if not any(fault.startswith((loader.partition('_')[0], 'model.')) for fault in static)
        ]
        faults += [*data_faults(cfg, sound), *file_faults(cfg)]
    faults = list({str(fault): fault for fault in faults}.values())
    if len(faults) == 1 and isinstance(faults[0], Exception):
        raise faults[0]
    if faults:
        lines = '\n'.join(map(str, faults)).splitlines()
        raise ValueError(
            '\n'.join(
                line
                for i, line in enumerate(lines)  # advice once, at the end
                if not line.startswith('  ') or line not in lines[i + 1 :]
            )
        )
