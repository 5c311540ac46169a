"""The student artefact: one file that is a compressed generator.

The file holds all that is needed to run it::

    {'meta': {
        'mmgan_compress': {
            'format': 1, 'version': '0.1.0', 'source': 'OMGDCycleGAN',
            'domains': ['horse', 'zebra'],      # source first
            'default_domain': 'zebra',
            'generator': {'type': 'ResnetGenerator', ...},
            'module': 'mmagic.models.editors.cyclegan.cyclegan_generator',
            'image_size': 256, 'size_multiple': 4,
            'channels': {'horse': 3, 'zebra': 3},  # of the images
            'sha256': '9c1d...',                # of the tensors
            'resources': {'params': 137312, ...},
            # of super-nets, whose search must not see what they learnt from:
            'data': {'folder': 'horse2zebra', 'hold_out': 120},
            # where the directions differ:
            'generators': {'horse': {...}, 'zebra': {...}}},
        'cfg': '<test config for mmengine>'},
     'state_dict': {'generators.zebra.model.0.conv.weight': tensor, ...}}

All of it is plain (text, numbers, lists, dicts, tensors): ``torch.load``
reads it with ``weights_only=True``, and the ``type`` of a layer is a name that
is registered here, so that a file from elsewhere runs nothing. ``'cfg'`` is
for mmengine's own tools, which execute it as Python: here it is never read
(:func:`read_test_config` makes one). The keys are those of the whole model,
so mmengine's ``load_checkpoint`` and ``init_cfg=dict(type='Pretrained',
checkpoint='student.pth', prefix='generators.zebra')`` read it too.
"""
import math
import os
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

import torch
import torch.nn as nn
from mmengine import Config
from torch import Tensor

from .. import __version__
from ..core.domains import per_domain
from ..core.extensions import import_modules
from ..core.files import write_tensors
from ..core.tensor_files import load_tensors, state_digest
from .student_config import (LARGEST_SIDE, build_generator,
                             channels_by_domain, check_generator, check_info,
                             check_twin, domain_config, generator_config,
                             make_test_config, plain, size_multiple)

FORMAT = 1
StrPath = Union[str, Path]
_DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64,
           torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32,
           torch.int64}


def save_student(path: StrPath,
                 model: nn.Module,
                 *,
                 source: str,
                 image_size: int,
                 resources: Optional[dict] = None,
                 data: Optional[dict] = None) -> str:
    """Write the generators of a translation model as a student file.

    The file appears whole or not at all; the same weights make the same
    bytes. No random number is drawn.

    Args:
        path (str | Path): File to write; its folder is made.
        model (nn.Module): ``DistillationModel`` or any other translation
            model of mmagic.
        source (str): What made it, such as ``'OMGDCycleGAN'``.
        image_size (int): Side of the images that it was trained with.
        resources (dict | None): Plain figures to keep (parameters, MACs).
        data (dict | None): Plain facts about its training images.

    Returns:
        str: The path.

    Raises:
        ValueError: If the model's config does not rebuild its generators, a
            weight is not finite, its images are neither grey, RGB nor RGBA,
            or the file could not be loaded: a type that is not registered,
            a path in the config.
        TypeError: If config or resources hold more than plain values.
    """
    generators = model.get_module(model.generators)
    configs = _configs(model)
    twins, state = _checked_state(generators, configs)
    default = model._default_domain
    kinds = [domain for domain in configs
             if domain == default or configs[domain] != configs[default]]
    info = dict(
        format=FORMAT,
        version=__version__,
        source=source,
        domains=list(model._related_domains),
        default_domain=default,
        generator=configs[default],
        module=type(twins[default]).__module__,
        image_size=image_size,
        size_multiple=math.lcm(*(size_multiple(twins[kind], image_size)
                                 for kind in kinds)),
        channels=channels_by_domain(twins, model._related_domains,
                                    image_size),
        resources=plain(resources or {}, 'resources'),
        sha256=state_digest(state))
    if data:
        info['data'] = plain(data, 'data')
    if len(kinds) > 1:
        info['generators'] = configs
    _check(info, state)
    own = info['module'].split('.')[0] in ('mmagic', 'mmgan_compress')
    config = make_test_config(info, [] if own else [info['module']])
    meta = dict(mmgan_compress=info, cfg=config.pretty_text)
    write_tensors(path, dict(meta=meta, state_dict=state))
    return str(path)


def check_model(model: nn.Module) -> None:
    """Refuse a model whose student could not be saved, before it is trained.

    Args:
        model (nn.Module): As of :func:`save_student`.

    Raises:
        ValueError: If a type in its config is not registered, or a value
            could be a path or an address.
        TypeError: If the config holds more than plain values.
    """
    for config in _configs(model).values():
        check_generator(config, LARGEST_SIDE)


def _configs(model: nn.Module) -> dict[str, dict]:
    """Return the configs of a model's generators as they go into a file."""
    domains = list(model.get_module(model.generators))
    return {domain: generator_config(config) for domain, config in
            per_domain(model._gen_cfg, domains).items()}


def _checked_state(generators: nn.ModuleDict,
                   configs: dict[str, dict]) -> tuple[dict, dict]:
    """Return what the configs rebuild, without weights, and the weights."""
    twins, state = {}, {}
    for domain, generator in generators.items():
        twins[domain] = check_twin(configs[domain], generator.state_dict(),
                                   domain)
        for key, value in generator.state_dict().items():
            state[f'generators.{domain}.{key}'] = value.detach().cpu().clone()
    return twins, state


def student_info(path: StrPath, imports: Sequence[str] = ()
                 ) -> dict[str, Any]:
    """Read what a student file says of itself.

    Args:
        path (str | Path): Student file.
        imports (Sequence[str]): As of :func:`load_student`.

    Returns:
        dict: The entries under ``'mmgan_compress'`` (see the head of this
        module), and ``'reachable'``, the domains that it has a generator
        for.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: As of :func:`load_student`.
    """
    return _read(path, imports)[0]


def read_test_config(path: StrPath, imports: Sequence[str] = ()) -> Config:
    """Make the config that tests a student file with mmengine's Runner.

    It is made of the file's checked values; nothing in the file is executed.

    Args:
        path (str | Path): Student file.
        imports (Sequence[str]): As of :func:`load_student`.

    Returns:
        Config: It translates the images in its ``data_root`` to the default
        domain. Set ``load_from`` to the path.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: As of :func:`load_student`.
    """
    return make_test_config(student_info(path, imports), imports)


def load_student(path: StrPath, domain: Optional[str] = None,
                 imports: Sequence[str] = ()) -> nn.Module:
    """Rebuild the generator of a student file, in eval mode, on the CPU.

    The file is data: nothing in it is run or imported, and no more memory is
    taken than its weights need.

    Args:
        path (str | Path): Student file.
        domain (str | None): Domain to generate; the default one if None.
        imports (Sequence[str]): Modules that register the generator or
            layers of it, where they are neither mmagic's nor of this
            package; they are imported first.

    Returns:
        nn.Module: Maps images (N, C, H, W) in [-1, 1] (grey, RGB or RGBA:
        ``net.meta['channels']`` by domain) to the same range; H and W are
        multiples of ``net.meta['size_multiple']``.
        ``net.meta`` is :func:`student_info` with the ``'domain'`` added.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no student file, of a newer format, incomplete,
            damaged, holds values that no student has, or no generator for
            the domain.
    """
    info, state = _read(path, imports)
    domain = domain or info['default_domain']
    if domain not in info['reachable']:
        raise ValueError(f'{path} has no generator for {domain!r}, choose '
                         f'one of {info["reachable"]}')
    net = build_generator(domain_config(info, domain))
    net.load_state_dict(_weights(state, domain))
    net.meta = dict(info, domain=domain)
    return net.eval()


def _read(path: StrPath, imports: Sequence[str]) -> tuple[dict, dict]:
    """Return a student file's facts and its weights, or refuse it."""
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f'no student file at {os.path.abspath(path)}. A run writes it '
            'into its work dir when it ends')
    import_modules(imports)
    content = _load(path)
    meta = content.get('meta') if isinstance(content, dict) else None
    info = meta.get('mmgan_compress') if isinstance(meta, dict) else None
    if not isinstance(info, dict) or not {
            'format', 'default_domain', 'domains'} <= info.keys() \
            or 'state_dict' not in content:
        raise ValueError(f'{path} is no student file but '
                         f'{_describe(content)}. {_HOW}')
    if type(info['format']) is not int or info['format'] > FORMAT:
        raise ValueError(
            f'{path} has format {info["format"]!r:.20}, written by version '
            f'{info.get("version")!s:.20}; this is version {__version__}, '
            f'which reads up to {FORMAT}. Run: pip install -U mmgan_compress')
    state = content['state_dict']
    try:
        _check(info, state, os.path.getsize(path))
        if info.get('sha256', digest := state_digest(state)) != digest:
            raise ValueError('its weights are not those that were saved')
        reachable = sorted({key.split('.')[1] for key in state})
        for domain in reachable:
            check_twin(domain_config(info, domain), _weights(state, domain),
                       domain)
    except ValueError as error:
        raise ValueError(f'{path} {_CHANGED}: {error}') from error
    return dict(info, reachable=reachable), state


def _weights(state: dict[str, Tensor], domain: str) -> dict[str, Tensor]:
    """Return the weights of one generator."""
    prefix = f'generators.{domain}.'
    return {key.removeprefix(prefix): value for key, value in state.items()
            if key.startswith(prefix)}


def _check(info: dict, state: Any, size: float = math.inf) -> None:
    """Refuse facts or weights that are not those of a student.

    Args:
        info (dict): What is said of the generators.
        state (Any): Weights by name.
        size (float): Of the file, in bytes.

    Raises:
        ValueError: With what is wrong.
    """
    if not isinstance(state, dict) or not state:
        raise ValueError(f'state_dict is a {type(state).__name__}, expected '
                         'weights by name')
    for key, value in state.items():
        if not isinstance(key, str) or \
                not re.fullmatch(r'generators\.[^.]+\..+', key):
            raise ValueError(f'unexpected {key!r}, a student has '
                             'generators.* only')
        if not torch.is_tensor(value) or value.dtype not in _DTYPES or \
                value.layout != torch.strided or value.device.type != 'cpu':
            raise ValueError(f'{key} is no plain tensor')
        size -= value.nbytes
        if size < 0:  # a number that stands for a large tensor
            raise ValueError(f'{key} has the shape {tuple(value.shape)}, '
                             'which the file does not hold')
        if not value.isfinite().all():
            raise ValueError(f'{key} holds values that are not finite (NaN '
                             'or infinity): the training diverged')
    check_info(info, state)


def _load(path: StrPath) -> Any:
    if not zipfile.is_zipfile(path):
        raise ValueError(f'{path} is no student file: torch did not write '
                         f'it, or it is a part of one. {_HOW}')
    try:
        return load_tensors(path)
    except ValueError as error:
        raise ValueError(
            f'{error}. It is no student file, as a training checkpoint or a '
            f'pickled model is none. {_HOW}') from error


_CHANGED = 'is damaged or was changed'
_HOW = ('A run writes its student (student*.pth) into its work dir. From a '
        'checkpoint: load it into the model of its config with '
        "mmengine.runner.load_checkpoint(model, 'iter_N.pth'), then call "
        "mmgan_compress.save_student('student.pth', model, source='NAME', "
        'image_size=256)')


def _describe(content: Any) -> str:
    """Say what a file holds that is no student."""
    if not isinstance(content, dict):
        return f'a {type(content).__name__}'
    if 'state_dict' in content:
        meta = content.get('meta')
        steps = meta.get('iter', '?') if isinstance(meta, dict) else '?'
        return f'a training checkpoint (iteration {steps})'
    if content and all(torch.is_tensor(v) for v in content.values()):
        return 'bare weights, without the network that they belong to'
    return f'a dict with {sorted(map(str, content))[:5]}'
