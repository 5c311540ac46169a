"""Faults of a config, all found together before anything is built.

A fault is one line, ``model.generator.base_channels: got -3, expected a whole
number of at least 1``. What a registered class takes is read from its
signature; for values that a signature cannot tell there is a table by name.
"""

import inspect
import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin

import torch
import torch.nn as nn
from mmagic import registry as mmagic_registry
from mmengine.config import Config
from mmengine.registry import DefaultScope, Registry
from mmengine.runner import Runner, set_random_seed
from torch.utils.data import DataLoader

from .. import registry
from ..core.channels import image_channels
from ..core.configs import did_you_mean
from ..core.domains import are_names, per_domain
from ..core.messages import message_of
from ..core.schedule import TrainSchedule
from ..evaluation.reference import Reference
from ..models.student_config import build_generator
from .input_files import data_faults, file_faults

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
TRAINS = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper')
TESTS = ('model', 'test_dataloader', 'test_cfg', 'test_evaluator')

# --- which registry builds what, by the nearest name on the way to it -------
_REGISTRIES = dict(
    model=registry.MODELS,
    distiller=registry.DISTILLERS,
    pruner=registry.PRUNERS,
    dataset=registry.DATASETS,
    sampler=registry.DATA_SAMPLERS,
    pipeline=registry.TRANSFORMS,
    evaluator=registry.EVALUATORS,
    val_evaluator=registry.EVALUATORS,
    test_evaluator=registry.EVALUATORS,
    metrics=registry.METRICS,
    default_hooks=registry.HOOKS,
    custom_hooks=registry.HOOKS,
    train_cfg=registry.LOOPS,
    val_cfg=registry.LOOPS,
    test_cfg=registry.LOOPS,
    model_wrapper_cfg=registry.MODEL_WRAPPERS,
    optim_wrapper=mmagic_registry.OPTIM_WRAPPERS,
    optimizer=mmagic_registry.OPTIMIZERS,
    visualizer=mmagic_registry.VISUALIZERS,
    vis_backends=mmagic_registry.VISBACKENDS,
    log_processor=mmagic_registry.LOG_PROCESSORS,
)
# dicts without a type, and what takes their entries
_UNTYPED = dict(
    schedule=TrainSchedule,
    reference=Reference,
    randomness=set_random_seed,
    **dict.fromkeys(LOADERS, DataLoader),
)
# of a layer's config the rest goes to torch, by way of mmcv
_LAYERS = ('norm_cfg', 'act_cfg', 'conv_cfg', 'padding_cfg', 'upsample_cfg')
# what the builder adds, not the config
_GIVEN = {
    'self',
    'runner',
    'dataloader',
    'evaluator',
    'params',
    'module',
    'optimizer',
    'name',
    'save_dir',
}
# what else the builder reads
_ALSO = dict(
    optim_wrapper={'modules', 'paramwise_cfg', 'constructor'}, dataloader={'num_batch_per_epoch'}
)
# what other loops take for the length of the training
_LENGTHS = {'max_iters', 'max_epochs', 'val_interval'}
_LENGTH = '; model.distiller.schedule sets the length of the training and the moments of validation'
_WHOLE_OF = ('sampler', *LOADERS)  # the data set is another part of it
_OF_BUILDERS = {'type', '_scope_', 'priority', '_delete_'}
# keys at the top that Runner reads beside its arguments
_OF_RUNNER = {
    *inspect.signature(Runner).parameters,
    'custom_imports',
    'model_wrapper_cfg',
    'sync_bn',
    'find_unused_parameters',
    'activation_checkpointing',
    'efficient_conv_bn_eval',
    'compile',
}


# what the command line sets after --cfg-options
_BY_OPTIONS = dict(
    work_dir='--work-dir', launcher='--launcher', resume='--resume', custom_imports='--import'
)


# --- values by name ---------------------------------------------------------
class _Bound(NamedTuple):
    """What a value must be, in code and in words."""

    holds: Callable[[Any], bool]
    words: str


def _is_number(value: Any, kind: type | tuple[type, ...] = (int, float)) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)


def _whole(least: int, empty: bool = False) -> _Bound:
    more = ' or None' * empty
    return _Bound(
        lambda v: v is None and empty or _is_number(v, int) and v >= least,
        f'a whole number of at least {least}{more}',
    )


_POSITIVE = _Bound(lambda v: _is_number(v) and v >= 0, 'a finite number of at least 0')
_SHARE = _Bound(lambda v: _is_number(v) and 0 <= v < 1, 'a number from 0 to below 1')
_DICTS = (
    'model',
    'generator',
    'distiller',
    'schedule',
    'perceptual',
    'dataset',
    'sampler',
    'optimizer',
    'optim_wrapper',
    'reference',
    'train_cfg',
    'val_cfg',
    'test_cfg',
    'default_hooks',
    'randomness',
    'env_cfg',
    'model_wrapper_cfg',
    'log_processor',
    *LOADERS,
)
# values at the top that are no dicts of parts
_TOP = ('custom_hooks', 'log_level', 'default_scope', 'val_evaluator', 'test_evaluator')
# dicts that say by their type what is built
_TYPED = (
    'model',
    'distiller',
    'dataset',
    'sampler',
    'optimizer',
    'train_cfg',
    'val_cfg',
    'test_cfg',
)
_BOUNDS = {
    **dict.fromkeys(
        (
            'batch_size',
            'base_channels',
            'num_blocks',
            'patch_size',
            'teacher_interval',
            'accumulative_counts',
            'num_heads',
            'since',
            'in_channels',
            'out_channels',
            'window_size',
            'dataset.size',
            'reference.size',
            'logger.interval',
            'schedule.epochs',
            'schedule.block',
            'schedule.iters_per_epoch',
            'num_conv',
        ),
        _whole(1),
    ),
    **dict.fromkeys(
        ('num_workers', 'buffer_size', 'hold_out', 'schedule.constant', 'schedule.student_epochs'),
        _whole(0),
    ),
    **dict.fromkeys(('load_size', 'max_images'), _whole(1, empty=True)),
    **dict.fromkeys(('lr', 'weight', 'weight_decay', 'rho'), _POSITIVE),
    'momentum': _SHARE,
    'threshold': _POSITIVE,
    'num_down': _whole(5),  # mmagic's U-Net has five levels or more
    'seed': _whole(0, empty=True),
    'checkpoint.interval': _Bound(
        lambda v: _is_number(v, int) and (v >= 1 or v == -1), 'a whole number of at least 1, or -1'
    ),
    **dict.fromkeys(_DICTS, _Bound(lambda v: v is None or isinstance(v, Mapping), 'a dict')),
    'domains': _Bound(are_names, 'a list of names'),
    **dict.fromkeys(
        ('val_evaluator', 'test_evaluator'),
        _Bound(lambda v: v is None or isinstance(v, (list, Mapping)), 'a dict or a list of dicts'),
    ),
    **dict.fromkeys(
        ('custom_hooks', 'losses', 'metrics'),
        _Bound(
            lambda v: (
                v is None
                or isinstance(v, (list, tuple, Mapping))
                and all(
                    isinstance(each, (Mapping, list))
                    for each in (v.values() if isinstance(v, Mapping) else v)
                )
            ),
            'a list of dicts',
        ),
    ),
    'log_level': _Bound(
        lambda v: isinstance(v, str) and v in logging.getLevelNamesMapping(),
        "the name of a level, such as 'INFO'",
    ),
    'default_scope': _Bound(
        lambda v: v is None or v in list(_scopes()), "the scope of a registry, such as 'mmagic'"
    ),
    'betas': _Bound(
        lambda v: isinstance(v, (list, tuple)) and len(v) == 2 and all(map(_SHARE.holds, v)),
        'two numbers from 0 to below 1',
    ),
}


def _scopes() -> set[str]:
    """Return the scopes that types may be looked for in."""
    found, scopes = registry.MODELS, set()
    while found is not None:
        scopes.add(found.scope)
        found = found.parent
    return scopes | {child for child in registry.MODELS.root.children}


_WORDS = {
    int: 'a whole number',
    float: 'a number',
    bool: 'True or False',
    str: 'text',
    dict: 'a dict',
    list: 'a list',
}


def _fault(path: str, value: Any, expected: str) -> str:
    shown = repr(value)
    if len(shown) > 60:
        shown = f'{shown[:57]}...'
    return f'{path}: got {shown}, expected {expected}'


def _bound_of(path: str) -> _Bound | None:
    parent, _, key = path.rpartition('.')
    found = _BOUNDS.get(f'{parent.rpartition(".")[2]}.{key}')
    if found is None and key.endswith('_weight'):
        return _POSITIVE
    return found or _BOUNDS.get(key)


def _expected_kind(value: Any, parameter: inspect.Parameter) -> str:
    """Return in words what a value should be by a signature; '' if it may
    be so.
    """
    kinds = (
        get_args(parameter.annotation)
        if get_origin(parameter.annotation) in (Union, UnionType)
        else (parameter.annotation,)
    )
    if parameter.annotation is parameter.empty:  # mmagic: by the default
        if not _is_number(parameter.default) or not isinstance(value, str):
            return ''
        kinds = (type(parameter.default),)
    if not set(kinds) <= {*_WORDS, type(None)}:
        return ''
    good = {int: partial(_is_number, kind=int), float: _is_number}
    for kind in kinds:
        same = (list, tuple) if kind is list else kind
        if good[kind](value) if kind in good else isinstance(value, same):
            return ''
    return ' or '.join(_WORDS.get(kind, 'None') for kind in kinds)


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


def _names(found: Registry | None) -> list[str]:
    names = []
    while found is not None:
        ours = found.scope == 'mmgan_compress' and not isinstance(found, registry.OwnRegistry)
        names += [f'{found.scope}.{name}' if ours else name for name in found.module_dict]
        found = found.parent
    return names


def _near_types(name: str, found: Registry) -> list[str]:
    """Return registered names like one, whatever the scope before them."""
    short = {full.rpartition('.')[2]: full for full in _names(found)}
    return [short[near] for near in get_close_matches(name.rpartition('.')[2], short)]


def arguments_of(kind: Callable) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return the arguments that a class or function takes.

    Args:
        kind (Callable): A class: also those which ``**kwargs`` hand on to its
            bases.

    Returns:
        tuple[dict, bool]: Parameters by name, and whether it may take others.
    """
    found: dict[str, inspect.Parameter] = {}
    bases = kind.__mro__ if inspect.isclass(kind) else (kind,)
    for base in bases:
        if base in (nn.Module, object):
            return found, True
        init = vars(base).get('__init__') if inspect.isclass(base) else base
        if init is None:
            continue
        try:
            own = inspect.signature(init).parameters
        except ValueError:  # of compiled code
            return found, True
        for name, parameter in own.items():
            found.setdefault(name, parameter)
        if all(p.kind is not p.VAR_KEYWORD for p in own.values()):
            return found, False
    return found, True


class _Node(NamedTuple):
    """A dict of a config, where it is, and what builds it."""

    path: str
    value: Mapping
    registry: Registry | None


def _nodes(value: Any, path: str, found: Registry | None) -> Iterator[_Node]:
    """Yield the dicts of a part of a config."""
    if isinstance(value, Mapping):
        yield _Node(path, value, found)
        inner = found
        if 'type' in value:  # of its parts nothing is known but by name
            inner = registry.MODELS if found in (registry.MODELS, registry.DISTILLERS) else None
        items = value.items()
    elif isinstance(value, (list, tuple)):
        inner, items = found, enumerate(value)
    else:
        return
    for key, child in items:
        if key != 'init_cfg':
            yield from _nodes(child, f'{path}.{key}', _REGISTRIES.get(key, inner))


def _all_nodes(cfg: Mapping) -> Iterator[_Node]:
    for key in cfg:
        if key in _OF_RUNNER:
            yield from _nodes(cfg[key], key, _REGISTRIES.get(key))


def _kind_of(node: _Node, scope: str) -> tuple[Callable | None, str]:
    """Return what takes the entries of a dict, and a fault of its type."""
    key, name = node.path.rpartition('.')[2], node.value.get('type')
    if 'type' in node.value if name is None else not isinstance(name, str) and not callable(name):
        return None, _fault(f'{node.path}.type', name, 'the name of what is built')
    if name is None and key in _TYPED:
        return None, f'{node.path}.type: missing'
    if name is None and node.path.startswith('optim_wrapper.') and 'optimizer' in node.value:
        name = 'OptimWrapper'
    if name is None:
        return _UNTYPED.get(key), ''
    if not isinstance(name, str):
        return name, ''
    if node.registry is None:
        return None, ''
    kind = _find(node.registry, name, scope)
    known = ('', scope, 'mmgan_compress', 'mmengine')
    if kind is None and name.rpartition('.')[0] in known:
        near = _near_types(name, node.registry)
        return None, (
            f'{node.path}.type: no {node.registry.name} is called {name!r}{did_you_mean(near)}'
        )
    return (None if key in _LAYERS else kind), ''


def _type_faults(node: _Node, scope: str) -> list[str]:
    """Return what a dict has that its type does not take, or lacks."""
    kind, fault = _kind_of(node, scope)
    if fault or kind is None:
        return [fault] if fault else []
    taken, more = arguments_of(kind)
    also = (
        _ALSO['optim_wrapper']
        if node.path.startswith('optim_wrapper')
        else _ALSO['dataloader']
        if kind is DataLoader
        else set()
    )
    faults = []
    for key, value in node.value.items():
        path = f'{node.path}.{key}'
        if key in _OF_BUILDERS or key in also:
            continue
        if key in taken:
            expected = _expected_kind(value, taken[key])
            if expected and not _bound_of(path):
                faults.append(_fault(path, value, expected))
        elif not more:
            faults.append(
                f'{path}: {kind.__name__} takes no such argument'
                + (_LENGTH if key in _LENGTHS else did_you_mean(get_close_matches(str(key), taken)))
            )
    if not any(p.kind is p.VAR_KEYWORD for p in taken.values()):
        faults += [
            f'{node.path}.{name}: missing, {kind.__name__} needs it'
            for name, p in taken.items()
            if p.default is p.empty
            and p.kind is not p.VAR_POSITIONAL
            and name not in _GIVEN
            and name not in node.value
            and node.path.rpartition('.')[2] not in _WHOLE_OF
        ]
    return faults


def value_faults(cfg: Mapping) -> list[str]:
    """Return what the types of a config do not take, and values that cannot
    be.
    """
    faults, scope = [], cfg.get('default_scope') or 'mmengine'
    values = [(key, cfg[key]) for key in cfg if key in (*_DICTS, *_TOP)]
    for node in _all_nodes(cfg):
        faults += _type_faults(node, scope)
        values += [(f'{node.path}.{key}', value) for key, value in node.value.items()]
    for path, value in values:
        bound = _bound_of(path)
        if bound and not bound.holds(value):
            faults.append(_fault(path, value, bound.words))
    wrappers = _part(cfg, 'optim_wrapper')
    constructor = wrappers.get('constructor')
    if str(constructor).endswith('MultiOptimWrapperConstructor'):
        faults += [
            _fault(f'optim_wrapper.{name}', value, 'a dict')
            for name, value in wrappers.items()
            if name != 'constructor' and not isinstance(value, Mapping)
        ]
    known = mmagic_registry.OPTIM_WRAPPER_CONSTRUCTORS
    if isinstance(constructor, str) and not _find(known, constructor, scope):
        faults.append(
            f'optim_wrapper.constructor: no {known.name} is called '
            f'{constructor!r}{did_you_mean(_near_types(constructor, known))}'
        )
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
    if first not in _OF_RUNNER or rest and first not in cfg:
        return _variable_fault(cfg, first)
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
        elif path and not _takes_more(node, path):
            near = get_close_matches(key, node)
            return f'{path} has no {key!r}' + (did_you_mean(near) or f', only {", ".join(node)}')
        else:
            return ''  # a new argument: its type says whether it takes it
        path = f'{path}.{key}' if path else key
    return ''


def _takes_more(node: Mapping, path: str) -> bool:
    """Tell whether a dict may get a new entry: what checks types looks at
    it, or it holds arguments that nothing tells.
    """
    return (
        'type' in node
        or path.rpartition('.')[2] in _UNTYPED
        or path.startswith(('model.', 'optim_wrapper.', 'env_cfg'))
    )


def _variable_fault(cfg: Mapping, name: str) -> str:
    """Say why a key at the top that Runner does not read is no option."""
    if name not in cfg:
        near = get_close_matches(name, _OF_RUNNER & cfg.keys())
        return 'the config has no such key' + did_you_mean(near)
    options = dict(image_size='--size', load_size='--size', data_root='--data-root')
    places = (
        [
            f'{node.path}.{key}'
            for node in _all_nodes(cfg)
            for key, value in node.value.items()
            if type(value) is type(cfg[name]) and value == cfg[name]
        ]
        if isinstance(cfg[name], (int, str))
        else []
    )
    how = (
        f'use {options[name]}'
        if name in options
        else f'set {" or ".join(places[:3])}'
        if places
        else 'set the key that it is used in'
    )
    return f'a variable of the recipe, whose value is used already: {how}'


# --- what must fit together -------------------------------------------------
def missing_parts(cfg: Mapping, needed: Sequence[str]) -> list[str]:
    """Return which parts a config lacks, or has as something else."""
    faults = [
        f'{key}: missing; a config needs it to do this, as those in configs/ do'
        for key in needed
        if not cfg.get(key)
    ]
    for key in (*needed, *LOADERS):
        if cfg.get(key) and not isinstance(cfg[key], Mapping):
            faults.append(_fault(key, cfg[key], 'a dict'))
        elif key in LOADERS and cfg.get(key) and not isinstance(cfg[key].get('dataset'), Mapping):
            faults.append(_lacks(cfg[key], f'{key}.dataset'))
    if (
        'train_cfg' in needed
        and isinstance(cfg.get('model'), Mapping)
        and not isinstance(cfg['model'].get('distiller'), Mapping)
    ):
        faults.append(_lacks(cfg['model'], 'model.distiller', '; it says how the model trains'))
    return list(dict.fromkeys(faults))


def _lacks(node: Mapping, path: str, why: str = '') -> str:
    """Say that an entry is missing, or is no dict."""
    value = node.get(path.rpartition('.')[2])
    return f'{path}: missing{why}' if value is None else _fault(path, value, 'a dict')


def domain_faults(cfg: Mapping) -> list[str]:
    """Return where the names of domains do not agree."""
    model = cfg['model']
    related = model.get('related_domains')
    if related is None:
        return []  # of another package
    if not are_names(related) or len(set(related)) != 2:
        return [_fault('model.related_domains', related, 'two domains')]
    related, faults = list(related), []
    reachable = model.get('reachable_domains')
    if not are_names(reachable) or not reachable or not set(reachable) <= set(related):
        faults.append(_fault('model.reachable_domains', reachable, f'one or both of {related}'))
        reachable = related
    allowed = f'one of {list(reachable)}'
    if model.get('default_domain') not in reachable:
        faults.append(_fault('model.default_domain', model.get('default_domain'), allowed))
    for node in _all_nodes(cfg):
        value, scored = node.value, node.path.startswith(('val_evaluator', 'test_evaluator'))
        if (
            node.path.endswith('.dataset')
            and are_names(value.get('domains'))
            and set(value['domains']) != set(related)
        ):
            faults.append(
                _fault(f'{node.path}.domains', value['domains'], f'{related}, in any order')
            )
        if 'domain' in value and value['domain'] not in (reachable if scored else related):
            faults.append(
                _fault(
                    f'{node.path}.domain',
                    value['domain'],
                    allowed if scored else f'one of {related}',
                )
            )
        if node.path.endswith(('teacher_images', 'extra_images')):
            faults += [
                f'{node.path}: names the domain {domain!r}, expected one of {related}'
                for domain in value
                if domain not in related
            ]
        metric = value.get('metric') if 'type' in value else None
        if isinstance(metric, str) and '/' in metric and metric.partition('/')[0] not in reachable:
            faults.append(_fault(f'{node.path}.metric', metric, f'a figure of {allowed}'))
        if str(value.get('type')).endswith('TeacherSelectionHook') and (
            not isinstance(value.get('metrics'), Mapping) or set(value['metrics']) != set(reachable)
        ):
            faults.append(
                _fault(
                    f'{node.path}.metrics', value.get('metrics'), f'figures for {list(reachable)}'
                )
            )
    return faults


def _part(cfg: Mapping, path: str) -> Mapping:
    """Return a dict inside a config; an empty one if there is none."""
    for key in path.split('.'):
        cfg = cfg.get(key)
        if not isinstance(cfg, Mapping):
            return {}
    return cfg


def schedule_faults(cfg: Mapping) -> list[str]:
    """Return what of a schedule does not fit its length."""
    schedule = _part(cfg, 'model.distiller.schedule')
    epochs = schedule.get('epochs')
    if not _is_number(epochs, int) or epochs < 1:
        return []
    student = _part(cfg, 'default_hooks.student')
    path = 'model.distiller.schedule'
    return [
        _fault(where, value, f'at most {epochs}, the epochs of the schedule')
        for where, value in (
            (f'{path}.constant', schedule.get('constant')),
            ('default_hooks.student.since', student.get('since')),
        )
        if _is_number(value) and value > epochs
    ]


def generators_of(model: Mapping) -> Iterator[tuple[str, Mapping]]:
    """Yield the generators of a model, the teachers' too."""
    domains = model.get('reachable_domains') or []
    distiller = _part(model, 'distiller')
    teacher = _part(model, 'distiller.teacher')
    for path, part in (
        ('model.generator', model.get('generator')),
        ('model.distiller.teacher.generator', teacher.get('generator')),
        ('model.distiller.teacher.generators', teacher.get('generators')),
        ('model.distiller.teachers', distiller.get('teachers')),
    ):
        if isinstance(part, Mapping) and 'type' in part:
            yield path, part
        elif isinstance(part, Mapping):
            for name, config in part.items():
                yield f'{path}.{name}', config
    if isinstance(model.get('generator'), Mapping):
        per_domain(model['generator'], domains)  # refuses other domains


def network_faults(cfg: Mapping) -> list[str]:
    """Return which generators cannot be built, or not translate images of
    the size that the data sets give; nothing is computed.
    """
    loader = next(filter(cfg.get, LOADERS), LOADERS[0])
    size = _part(cfg, f'{loader}.dataset').get('size')
    size = size if _is_number(size, int) and size > 0 else None
    faults = []
    try:
        for path, config in generators_of(cfg['model']):
            try:
                with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
                    network = build_generator(config, 'meta')
            except Exception as error:  # whatever a class raises
                faults.append(f'{path}: {message_of(error)}')
                continue
            if (
                size
                and not getattr(network, 'image_only', False)
                and not _translates(network, size)
            ):
                fits = next(
                    (
                        side
                        for side in (16, 32, 64, 128, 256, 512, 1024)
                        if side > size and _translates(network, side)
                    ),
                    None,
                )
                if fits:
                    faults.append(
                        f'{path}: {network.__class__.__name__} cannot '
                        f'translate images of {size} pixels, but of {fits}: '
                        f'set --size {fits}, or make it less deep'
                    )
    except ValueError as error:
        faults.append(f'model.{error}')
    return faults


def _translates(network: nn.Module, size: int) -> bool:
    """Tell whether images come out as large as they went in."""
    try:
        shape = (2, image_channels(network), size, size)
        with torch.no_grad():
            return network(torch.empty(shape, device='meta')).shape[-2:] == shape[-2:]
    except Exception:  # of any layer
        return False


def size_faults(cfg: Mapping) -> list[str]:
    """Return where real images are read at another size than fakes have."""
    faults = []
    for split in ('val', 'test'):
        size = _part(cfg, f'{split}_dataloader.dataset').get('size')
        for node in _nodes(cfg.get(f'{split}_evaluator'), f'{split}_evaluator', None):
            if size and node.path.endswith('.reference') and node.value.get('size', 256) != size:
                faults.append(
                    _fault(
                        f'{node.path}.size',
                        node.value.get('size', 256),
                        f'{size}, the size of the images that are compared '
                        'with it; --size sets both',
                    )
                )
    return faults


# --- files ------------------------------------------------------------------
def work_dir_faults(folder: str) -> list[str]:
    """Return why nothing can be written to a folder."""
    place = Path(folder).absolute()
    there = next(path for path in (place, *place.parents) if path.exists())
    if not there.is_dir():
        return [f'work_dir: {there} is a file, expected a folder']
    if not os.access(there, os.W_OK | os.X_OK):
        return [f'work_dir: no permission to write to {there}']
    return []


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
        static = [*value_faults(own), *domain_faults(own), *schedule_faults(own), *size_faults(own)]
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
