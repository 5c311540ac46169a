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
            'resources': {'params': 137312, ...},
            # of super-nets, whose search must not see what they learnt from:
            'data': {'folder': 'horse2zebra', 'hold_out': 120},
            # where the directions differ:
            'generators': {'horse': {...}, 'zebra': {...}}},
        'cfg': '<test config for mmengine>'},
     'state_dict': {'generators.zebra.model.0.conv.weight': tensor, ...}}

All of it is plain (text, numbers, lists, dicts, tensors): ``torch.load``
reads it with ``weights_only=True``. The keys are those of the whole model,
so mmengine's ``load_checkpoint`` and ``init_cfg=dict(type='Pretrained',
checkpoint='student.pth', prefix='generators.zebra')`` read it too.
"""
import math
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any, Optional, Union

import torch
import torch.nn as nn

from . import __version__
from .core.channels import check_image_channels
from .core.domains import per_domain
from .student_config import (build_generator, channels_by_domain, check_twin,
                             config_text, domain_config, generator_config,
                             plain, size_multiple)

FORMAT = 1
StrPath = Union[str, Path]


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
        model (nn.Module): ``DistilledTranslator`` or any other translation
            model of mmagic.
        source (str): What made it, such as ``'OMGDCycleGAN'``.
        image_size (int): Side of the images that it was trained with.
        resources (dict | None): Plain figures to keep (parameters, MACs).
        data (dict | None): Plain facts about its training images.

    Returns:
        str: The path.

    Raises:
        ValueError: If the model's config does not rebuild its generators,
            or its images are neither grey, RGB nor RGBA.
        TypeError: If config or resources hold more than plain values.
    """
    generators = model.get_module(model.generators)
    configs = {
        domain: generator_config(config) for domain, config in per_domain(
            model._gen_cfg, list(generators)).items()
    }
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
        resources=plain(resources or {}, 'resources'))
    if data:
        info['data'] = plain(data, 'data')
    if len(kinds) > 1:
        info['generators'] = configs
    meta = dict(mmgan_compress=info, cfg=config_text(info))
    write_plain(Path(path), dict(meta=meta, state_dict=state))
    return str(path)


def _checked_state(generators: nn.ModuleDict,
                   configs: dict[str, dict]) -> tuple[dict, dict]:
    """Return what the configs rebuild, without weights, and the weights."""
    twins, state = {}, {}
    for domain, generator in generators.items():
        twins[domain] = build_generator(configs[domain], 'meta').eval()
        check_twin(twins[domain], generator, domain)
        for key, value in generator.state_dict().items():
            state[f'generators.{domain}.{key}'] = value.detach().cpu().clone()
    return twins, state


def student_info(path: StrPath) -> dict[str, Any]:
    """Read what a student file says of itself.

    Args:
        path (str | Path): Student file.

    Returns:
        dict: The entries under ``'mmgan_compress'`` (see the head of this
        module), ``'cfg'``, a config for mmengine's
        ``Config.fromstring(cfg, '.py')``, and ``'reachable'``, the domains
        that it has a generator for.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no student file or of a newer format.
    """
    return _read(path)[0]


def load_student(path: StrPath, domain: Optional[str] = None) -> nn.Module:
    """Rebuild the generator of a student file, in eval mode, on the CPU.

    Args:
        path (str | Path): Student file.
        domain (str | None): Domain to generate; the default one if None.

    Returns:
        nn.Module: Maps images (N, C, H, W) in [-1, 1] (grey, RGB or RGBA:
        ``net.meta['channels']`` by domain) to the same range; H and W are
        multiples of ``net.meta['size_multiple']``.
        ``net.meta`` is :func:`student_info` with the ``'domain'`` added.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no student file, of a newer format, incomplete,
            or holds no generator for the domain.
    """
    info, state = _read(path)
    domain = domain or info['default_domain']
    prefix = f'generators.{domain}.'
    if domain not in info['reachable']:
        raise ValueError(f'{path} has no generator for {domain!r}, choose '
                         f'one of {info["reachable"]}')
    config = domain_config(info, domain)
    try:
        net = build_generator(config)
    except KeyError as error:
        raise ValueError(
            f'{path} holds a {config["type"]}, which is not '
            f'registered here. Import {info["module"]} first, where it was '
            'defined (tools/compress.py: --import)') from error
    own = {k[len(prefix):]: v for k, v in state.items()
           if k.startswith(prefix)}
    try:
        net.load_state_dict(own, strict=True)
    except RuntimeError as error:
        raise ValueError(f'{path} is damaged or was changed, write it again '
                         f'with save_student. {error}') from error
    check_image_channels(*info.get('channels', {}).values())
    net.meta = dict(info, domain=domain)
    return net.eval()


def write_plain(path: Path, content: dict) -> None:
    """Write plain values and tensors; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'{path.name}.{os.getpid()}.part')
    try:
        with open(part, 'wb') as file:  # a name would go into the bytes
            torch.save(content, file)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _read(path: StrPath) -> tuple[dict, dict]:
    """Return a student file's facts and its weights, or refuse it."""
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f'no student file at {os.path.abspath(path)}. A run writes it '
            'into its work dir when it ends')
    content = _load(path)
    meta = content.get('meta') if isinstance(content, dict) else None
    info = meta.get('mmgan_compress') if isinstance(meta, dict) else None
    if not isinstance(info, dict) or not {
            'format', 'default_domain', 'domains'} <= info.keys() \
            or 'state_dict' not in content:
        raise ValueError(f'{path} is no student file but '
                         f'{_describe(content)}. {_HOW}')
    if info['format'] > FORMAT:
        raise ValueError(
            f'{path} has format {info["format"]}, written by version '
            f'{info["version"]}; this is version {__version__}, which reads '
            f'up to {FORMAT}. Run: pip install -U mmgan_compress')
    state = content['state_dict']
    strays = [key for key in state if not key.startswith('generators.')]
    if strays:
        raise ValueError(f'{path} is damaged or was changed: unexpected '
                         f'{strays[0]!r}, a student has generators.* only')
    reachable = sorted({key.split('.')[1] for key in state})
    return dict(info, cfg=meta['cfg'], reachable=reachable), state


def _load(path: StrPath) -> Any:
    reason = None
    if zipfile.is_zipfile(path):  # torch.load trips over others in any way
        try:
            return torch.load(path, map_location='cpu', weights_only=True)
        except (pickle.UnpicklingError, RuntimeError) as error:
            reason = error
    raise ValueError(
        f'{path} is no student file: torch cannot read it as plain weights. '
        'A training checkpoint, a pickled model, an ONNX file or a part of '
        f'a file is not one. {_HOW}') from reason


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
        steps = (content.get('meta') or {}).get('iter', '?')
        return f'a training checkpoint (iteration {steps})'
    if content and all(torch.is_tensor(v) for v in content.values()):
        return 'bare weights, without the network that they belong to'
    return f'a dict with {sorted(map(str, content))[:5]}'
