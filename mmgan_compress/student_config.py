"""What a student file says of its generator, in plain values."""
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn as nn
from mmengine import Config

from .core.channels import (check_image_channels, image_channels,
                            output_channels)
from .registry import MODELS

LARGEST_MULTIPLE = 512  # U-Nets of nine levels


def build_generator(config: dict, device: str = 'cpu') -> nn.Module:
    """Build a generator of mmagic, of ours or of the caller's.

    Args:
        config (dict): Config with the registered ``type``.
        device (str): ``'meta'`` makes the layers only, without weights.

    Returns:
        nn.Module: The network, its weights not initialised.

    Raises:
        KeyError: If its type is not registered.
    """
    # mmagic's generators look up their layers in the current scope
    with MODELS.switch_scope_and_registry('mmgan_compress') as registry, \
            torch.device(device), warnings.catch_warnings():
        # mmcv's opinion of every ResNet generator of mmagic
        warnings.filterwarnings('ignore', 'Unnecessary conv bias')
        return registry.build(config)


def generator_config(config: dict) -> dict:
    """Return a generator's config as it goes into the file.

    Args:
        config (dict): As the model has it; a mmengine ``ConfigDict`` too.

    Returns:
        dict: Plain values; the type is found from every default scope.

    Raises:
        TypeError: If a value cannot be made plain.
    """
    config = plain(config, 'generator')
    if config['type'] in MODELS.module_dict:
        config['type'] = f'mmgan_compress.{config["type"]}'
    # The weights are in the file; the path that they once came from need
    # not exist where the file goes.
    for part in (config, config.get('arch') or {}):  # of a SlimNetwork
        init_cfg = part.get('init_cfg')
        if isinstance(init_cfg, dict) and \
                init_cfg.get('type') == 'Pretrained':
            del part['init_cfg']
    return config


def domain_config(info: dict, domain: str) -> dict:
    """Return the config of the generator of one domain.

    Args:
        info (dict): What the student file says of itself.
        domain (str): A domain that it has a generator for.
    """
    return info.get('generators', {}).get(domain, info['generator'])


def foreign_modules(info: dict) -> list[str]:
    """Return the module of a generator that must be imported by name.

    Args:
        info (dict): What the student file says of itself.
    """
    own = info['module'].split('.')[0] in ('mmagic', 'mmgan_compress')
    return [] if own else [info['module']]


def plain(value: Any, name: str) -> Any:
    """Copy a value with the types only that ``weights_only`` lets through.

    Args:
        value (Any): A number, text, list or dict, also of NumPy or mmengine;
            a class becomes its name.
        name (str): Where it stands, for the message.

    Returns:
        Any: None, str, bool, int, float, and lists and dicts of these.

    Raises:
        TypeError: If it holds anything else.
    """
    if isinstance(value, dict):
        return {str(k): plain(v, f'{name}.{k}') for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v, f'{name}[{i}]') for i, v in enumerate(value)]
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (str, bool, int, float):
        return value
    raise TypeError(f'{name} is a {type(value).__name__}, expected text, a '
                    'number, list or dict: a student file holds plain values')


def check_twin(twin: nn.Module, generator: nn.Module, domain: str) -> None:
    """Refuse weights that the config would not rebuild.

    Args:
        twin (nn.Module): What the config makes.
        generator (nn.Module): What is to be saved.
        domain (str): Its domain, for the message.

    Raises:
        ValueError: If names or shapes of their tensors differ.
    """
    built, held = ({key: tuple(value.shape)
                    for key, value in net.state_dict().items()}
                   for net in (twin, generator))
    wrong = sorted(key for key in built.keys() | held.keys()
                   if built.get(key) != held.get(key))
    if wrong:
        key = wrong[0]
        raise ValueError(
            f'the config of the generator of {domain!r} does not rebuild it: '
            f'{len(wrong)} tensors differ, the first is {key} (config: '
            f'{built.get(key)}, network: {held.get(key)}). Give the model '
            'the config of the network that it holds now')


def size_multiple(twin: nn.Module, image_size: int) -> int:
    """Find the step in which the sides of images may grow.

    Args:
        twin (nn.Module): The network on the meta device, in eval mode:
            nothing is computed.
        image_size (int): The answer where the network cannot be tried so:
            the one size that is known to work.

    Returns:
        int: The smallest power of two for which the output has the size of
        the input.
    """
    multiple = 1
    while multiple <= LARGEST_MULTIPLE:
        # divisible by `multiple` but by no larger power of two, and large
        # enough for every reflection padding
        side = 2 * LARGEST_MULTIPLE + multiple
        image = torch.empty(1, image_channels(twin), side, side,
                            device='meta')
        try:
            with torch.no_grad():
                if twin(image).shape[-2:] == image.shape[-2:]:
                    return multiple
        except (RuntimeError, ValueError):
            pass  # the skip connections of a U-Net do not meet
        multiple *= 2
    return image_size


def channels_by_domain(twins: dict[str, nn.Module], domains: Sequence[str],
                       side: int) -> dict[str, int]:
    """Return the channels of a translation model's images.

    Args:
        twins (dict[str, nn.Module]): Generators by the domain that they
            generate, on the meta device.
        domains (Sequence[str]): Both domains.
        side (int): Side of an image that they take, in pixels.

    Returns:
        dict[str, int]: 1, 3 or 4 by domain.

    Raises:
        ValueError: If it is another number, or two generators disagree.
    """
    found: dict[str, int] = {}
    for target, twin in twins.items():
        source = next(d for d in domains if d != target)
        for domain, count in ((source, image_channels(twin)),
                              (target, output_channels(twin, side))):
            check_image_channels(count)
            if found.setdefault(domain, count) != count:
                raise ValueError(
                    f'one generator is for {domain} images of '
                    f'{found[domain]} channels, the other for {count}: give '
                    'them the same number')
    return found


def channels_of(meta: dict) -> tuple[int, int]:
    """Return the channels of what a student takes and of what it gives.

    Args:
        meta (dict): ``net.meta`` of ``load_student``. Files of older
            versions do not say it: they are of RGB images.
    """
    known, target = meta.get('channels', {}), meta['domain']
    source = next((d for d in known if d != target), None)
    return known.get(source, 3), known.get(target, 3)


def config_text(info: dict) -> str:
    """Write the config that tests a student with mmengine's Runner.

    The model is our host and not mmagic's ``Pix2Pix`` or ``CycleGAN``: those
    run the generator in train mode at test time (dropout, batch statistics),
    which is another network than the one that was scored and exported.

    Args:
        info (dict): What the student file says of itself.

    Returns:
        str: Python text for ``mmengine.Config.fromstring(text, '.py')``. It
        translates the images in ``data_root`` to the default domain and
        writes source and result side by side into the work dir.
    """
    target = info['default_domain']
    source = next(d for d in info['domains'] if d != target)
    key = f'img_{source}'
    imports = ['mmgan_compress.registry', *foreign_modules(info)]
    return Config(dict(
        default_scope='mmagic',
        custom_imports=dict(imports=imports),
        model=dict(
            type='mmgan_compress.DistilledTranslator',
            generator=info['generator'],
            default_domain=target,
            reachable_domains=[target],
            related_domains=info['domains']),
        work_dir='work_dirs/student',
        test_dataloader=dict(
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=_dataset(key, info['image_size'],
                             info['channels'][source])),
        test_cfg=dict(),
        test_evaluator=[],
        visualizer=dict(
            type='ConcatImageVisualizer',
            fn_key=f'{key}_path',
            img_keys=[key, f'fake_{target}'],
            vis_backends=[dict(type='LocalVisBackend')]),
        custom_hooks=[dict(type='BasicVisualizationHook', interval=1)],
    )).pretty_text


def _dataset(key: str, size: int, channels: int) -> dict:
    return dict(
        type='BasicImageDataset',
        data_root='data/images',
        data_prefix={key: ''},
        pipeline=[
            dict(type='mmgan_compress.ReadImage', key=key,
                 channels=channels),
            dict(type='Resize', keys=[key], scale=(size, size),
                 interpolation='bicubic', backend='pillow'),
            # PackInputs would take a single image out of its dict
            dict(type='CopyValues', src_keys=[key], dst_keys=['img']),
            dict(type='PackInputs', keys=[key, 'img'], data_keys=[],
                 meta_keys=[f'{key}_path'])
        ])
