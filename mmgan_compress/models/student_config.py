"""What a student file says of its generator, in plain values.

The file may be anybody's: :func:`check_info` looks at every value before
anything is built from it.
"""

import contextlib
import dataclasses
import inspect
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn as nn
from mmengine import Config
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import Tensor

from ..core.channels import image_channels, input_shape, output_channels
from ..core.image_modes import LABELS_WITH_EDGES, check_image_channels
from ..core.inputs import LabelMap, Noise, StyledImage, input_of, is_noise, read_input
from ..core.layers import shape_pass
from ..core.logging import silence_meaningless
from ..core.messages import message_of
from ..registry import MODELS
from .quantization import KEY
from .slim import slim_network

LARGEST_MULTIPLE = 512  # U-Nets of nine levels
LARGEST_SIDE = 1 << 16  # of an image, in pixels
LARGEST_SCALE = 16  # of super-resolution
MOST_VALUES, MOST_LEVELS = 100_000, 20  # of what the file says of itself
# A number in a generator's config counts what the file has: layers, or the
# channels of one. Small ones need no proof.
SMALL = 1024
# Of the network before it was pruned, which is built in full; the papers'
# largest, Pix2Pix's U-Net, has 54 million.
MOST_WEIGHTS = 1 << 29
# mmagic's generation_init_weights knows these, beside mmengine's
DRAWS = ('normal', 'xavier', 'kaiming', 'orthogonal')
# Fields of a file beside its domains and configs: what fits, what to say
# of others, and what a file means that lacks the field.
_FIELDS: dict[str, tuple[Callable[[Any], bool], str, Any]] = {
    **dict.fromkeys(
        ('version', 'source', 'module'), (lambda value: isinstance(value, str), 'text', None)
    ),
    **dict.fromkeys(
        ('image_size', 'size_multiple'),
        (
            lambda value: type(value) is int and 1 <= value <= LARGEST_SIDE,
            f'a number of pixels, 1 to {LARGEST_SIDE}',
            None,
        ),
    ),
    **dict.fromkeys(
        ('resources', 'data', 'generators', 'channels', 'scales', KEY),
        (lambda value: isinstance(value, dict), 'a dict', {}),
    ),
}
_DOMAIN = re.compile(r'[^./\\\x00-\x1f]{1,64}')
_NAME = re.compile(r'(?!_)[\w.+-]{1,200}')  # no `_scope_`: mmengine imports it
# No path, address or name of a function: nothing else may be opened
_WORD = re.compile(r'[\w +-]{0,200}')


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
    with (
        MODELS.switch_scope_and_registry('mmgan_compress') as registry,
        torch.device(device),
        warnings.catch_warnings(),
    ):
        silence_meaningless()
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
        if isinstance(init_cfg, dict) and init_cfg.get('type') == 'Pretrained':
            del part['init_cfg']
    return config


def domain_config(info: dict, domain: str) -> dict:
    """Return the config of the generator of one domain.

    Args:
        info (dict): What the student file says of itself.
        domain (str): A domain that it has a generator for.
    """
    return info.get('generators', {}).get(domain, info['generator'])


def check_info(info: dict, state: Mapping[str, Tensor]) -> None:
    """Refuse what a student of this package does not say of itself.

    Types must be registered, and values have bounds; nothing is built, and
    nothing imported.

    Args:
        info (dict): What the file says of itself.
        state (Mapping[str, Tensor]): All weights in it.

    Raises:
        ValueError: If a value is missing, or none that can be used.
    """
    for place, value in _walk(info, 'meta'):
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f'{place} is {value}, expected a finite number')
    domains, held = info['domains'], {key.split('.')[1] for key in state}
    if (
        not isinstance(domains, list)
        or len(domains) < 2
        or len(set(map(str, domains))) < len(domains)
        or not all(_fits(_DOMAIN, domain) for domain in domains)
    ):
        raise ValueError(f'domains is {_short(domains)}, expected the names of two domains')
    if not held <= set(domains) or info['default_domain'] not in sorted(held):
        raise ValueError(
            f'it has generators for {sorted(held)} and generates '
            f'{_short(info["default_domain"])} of the domains {domains}'
        )
    for key, (fits, expected, default) in _FIELDS.items():
        if not fits(value := info.get(key, default)):
            raise ValueError(f'{key} is {_short(value)}, expected {expected}')
    counts = info.get('channels', {}).values()
    check_image_channels(*(count for count in counts if count != LABELS_WITH_EDGES))
    for domain, scale in info.get('scales', {}).items():
        if type(scale) is not int or not 1 <= scale <= LARGEST_SCALE:
            raise ValueError(
                f'scales.{domain} is {_short(scale)}, expected a whole number, 1 to {LARGEST_SCALE}'
            )
    sides = [side for value in state.values() for side in value.shape]
    for domain in held:
        check_generator(
            domain_config(info, domain),
            min(max(SMALL, len(state), *sides), LARGEST_SIDE),
            f'(defined in {_short(info["module"])}) ',
        )
    for domain, scales in info.get(KEY, {}).items():
        _check_scales(scales, f'{KEY}.{domain}')


def check_generator(config: Any, largest: int, note: str = '') -> None:
    """Refuse a config that would do more than to build a network.

    Args:
        config (Any): Of a generator, in plain values.
        largest (int): Bound of its whole numbers.
        note (str): For the message of a type that is not registered.

    Raises:
        ValueError: If a type in it is not registered here or no module of
            torch, or a value could name a file, a module or a function, or
            is out of bounds.
    """
    if not isinstance(config, dict) or 'type' not in config:
        raise ValueError(f"generator is {_short(config)}, expected a dict with its 'type'")
    for place, value in _walk(config, 'generator'):
        name = place.rpartition('.')[2]
        if name == 'type':
            _check_type(value, place, note)
        elif isinstance(value, dict):
            for key in value:
                if not _fits(_NAME, key) or 'pretrained' in key.lower() and value[key] is not None:
                    raise ValueError(
                        f'{place} has the key {_short(key)}, expected the name of a parameter'
                    )
        elif isinstance(value, str) and not _WORD.fullmatch(value):
            raise ValueError(f'{place} is {_short(value)}, expected a word')
        elif type(value) is int and abs(value) > largest:
            raise ValueError(
                f'{place} is {value}, expected at most {largest}: the file '
                'holds no weights of that size'
            )


class UnknownTypeError(ValueError):
    """A student file names a type that no imported module registers."""


def _check_type(name: Any, place: str, note: str) -> None:
    """Refuse a type that is not known, or would not make a module."""
    if 'init_cfg' in place.split('.'):
        known = {*WEIGHT_INITIALIZERS.module_dict, *DRAWS} - {'Pretrained'}
        if not _fits(_NAME, name) or name not in known:
            raise ValueError(
                f'{place} is {_short(name)}, expected one of '
                f'{sorted(known)}: the weights are in the file'
            )
        return
    kind = MODELS.get(name) if _fits(_NAME, name) else None
    if kind is None:
        raise UnknownTypeError(
            f'{place} is {_short(name)}, which is not registered here. '
            f'Import the module {note}that registers it, if you trust it: '
            '--import MODULE, or load_student(..., imports=[MODULE])'
        )
    if kind is not slim_network and not (inspect.isclass(kind) and issubclass(kind, nn.Module)):
        raise ValueError(f'{place} is {_short(name)}, which is no module of torch')


def _check_scales(scales: Any, place: str) -> None:
    """Refuse scales that are not as in ``models/quantization.py``."""
    try:
        layers = scales['layers'].values()
        for values in (
            [value] if key == 'weight_top' else list(value)
            for layer in layers
            for key, value in layer.items()
        ):
            if not values or not all(type(v) in (int, float) and v >= 0 for v in values):
                raise ValueError
        str.strip(scales['made_by'])
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(
            f'{place} holds no scales of layers: quantize the student again'
        ) from error


def _walk(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield all values inside plain ones, with their places."""
    todo, seen = [(place, value, 0)], 0
    while todo:
        place, value, level = todo.pop()
        yield place, value
        seen += 1
        inside: Sequence = ()
        if type(value) is dict:
            inside = [(f'{place}.{k}', v) for k, v in value.items()]
        elif type(value) is list:
            inside = [(f'{place}[{i}]', v) for i, v in enumerate(value)]
        elif value is not None and type(value) not in (str, bool, int, float):
            raise ValueError(
                f'{place} is a {type(value).__name__}, expected text, a number, a list or a dict'
            )
        if inside and level == MOST_LEVELS or seen + len(todo) > MOST_VALUES:
            raise ValueError(
                f'{place[:80]}... holds too much: at most '
                f'{MOST_LEVELS} levels and {MOST_VALUES} values'
            )
        todo += [(where, child, level + 1) for where, child in inside[::-1]]


def _fits(pattern: re.Pattern, value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _short(value: Any) -> str:
    """Return a value for a message: one line, not a whole file."""
    text = (
        repr(value)
        if value is None or isinstance(value, (str, int, float))
        else f'a {type(value).__name__}'
    )
    return text if len(text) < 80 else f'{text[:76]}...'


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
    raise TypeError(
        f'{name} is a {type(value).__name__}, expected text, a '
        'number, list or dict: a student file holds plain values'
    )


def check_twin(config: dict, state: Mapping[str, Tensor], domain: str) -> nn.Module:
    """Refuse weights that the config would not rebuild.

    Nothing is allocated: the layers are made without weights.

    Args:
        config (dict): Of :func:`check_generator`.
        state (Mapping[str, Tensor]): Weights that there are.
        domain (str): Their domain, for the message.

    Returns:
        nn.Module: What the config makes, on the meta device, in eval mode.

    Raises:
        ValueError: If names or shapes of their tensors differ, or the
            config makes no network.
    """
    try:
        full = config
        while 'arch' in full:  # of a SlimNetwork, in all its width
            full = full['arch']
            if sum(p.numel() for p in build_generator(full, 'meta').parameters()) > MOST_WEIGHTS:
                raise ValueError(f'arch has more than {MOST_WEIGHTS} weights')
        twin = build_generator(config, 'meta').eval()
        built = {k: tuple(v.shape) for k, v in twin.state_dict().items()}
    # the class may be anybody's, and the values may not suit it
    except Exception as error:
        raise ValueError(
            f'the config of the generator of {domain!r} makes no network: {message_of(error)}'
        ) from error
    held = {key: tuple(value.shape) for key, value in state.items()}
    wrong = sorted(key for key in built.keys() | held.keys() if built.get(key) != held.get(key))
    if wrong:
        key = wrong[0]
        raise ValueError(
            f'the config of the generator of {domain!r} does not rebuild it: '
            f'{len(wrong)} tensors differ, the first is {key} (config: '
            f'{built.get(key)}, weights: {held.get(key)})'
        )
    return twin


def scale_of(twin: nn.Module, side: int) -> int:
    """Return how many times as large as its input a network's image is.

    Args:
        twin (nn.Module): As of :func:`size_multiple`.
        side (int): Side of an image that it takes, in pixels.

    Returns:
        int: 1 where the network cannot be tried so, or gives sides that are
        no multiples.
    """
    with contextlib.suppress(RuntimeError, ValueError):
        height, width = shape_pass(twin, *input_shape(twin, side)).shape[-2:]
        if height == width and height % side == 0:
            return height // side
    return 1


def size_multiple(twin: nn.Module, image_size: int) -> int:
    """Find the step in which the sides of images may grow.

    Args:
        twin (nn.Module): The network on the meta device, in eval mode:
            nothing is computed.
        image_size (int): The answer where the network cannot be tried so:
            the one size that is known to work.

    Returns:
        int: The smallest power of two for which the output has the size of
        the input, times the network's scale.
    """
    scale = scale_of(twin, image_size)
    for level in range(LARGEST_MULTIPLE.bit_length()):
        # divisible by 2 ** level but by no larger power of two, and large
        # enough for every reflection padding
        side = 2 * LARGEST_MULTIPLE + 2**level
        # the skip connections of a U-Net may not meet
        with contextlib.suppress(RuntimeError, ValueError):
            height, width = shape_pass(twin, *input_shape(twin, side)).shape[-2:]
            if height == width == scale * side:
                return 2**level
    return image_size


def channels_by_domain(
    twins: dict[str, nn.Module], domains: Sequence[str], side: int
) -> dict[str, int]:
    """Return the channels of a translation model's images.

    Args:
        twins (dict[str, nn.Module]): Generators by the domain that they
            generate, on the meta device.
        domains (Sequence[str]): Both domains.
        side (int): Side of an image that they take, in pixels.

    Returns:
        dict[str, int]: 1, 3 or 4 by domain; of a label map 1 or 2, of noise
        none.

    Raises:
        ValueError: If it is another number, or two generators disagree.
    """
    found: dict[str, int] = {}
    for target, twin in twins.items():
        source = next(d for d in domains if d != target)
        own = {} if is_noise(twin) else {source: (image_channels(twin), input_of(twin))}
        own[target] = (output_channels(twin, side), None)
        for domain, (count, takes) in own.items():
            if takes is None:
                check_image_channels(count)
            if found.setdefault(domain, count) != count:
                raise ValueError(
                    f'one generator is for {domain} images of '
                    f'{found[domain]} channels, the other for {count}: give '
                    'them the same number'
                )
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


def kind_of_input(meta: dict) -> int | LabelMap | Noise:
    """Return what a student takes: an image of so many channels, also where it
    has a style, a label map or noise.

    Args:
        meta (dict): As of :func:`channels_of`.

    Raises:
        ValueError: If it is something else.
    """
    takes = read_input(meta.get('takes'))
    return channels_of(meta)[0] if takes is None or isinstance(takes, StyledImage) else takes


def make_test_config(info: dict, imports: Sequence[str] = ()) -> Config:
    """Make the config that tests a student with mmengine's Runner.

    The model is our model and not mmagic's ``Pix2Pix`` or ``CycleGAN``: those
    run the generator in train mode at test time (dropout, batch statistics),
    which is another network than the one that was scored and exported.

    Args:
        info (dict): What the student file says of itself.
        imports (Sequence[str]): Modules that register its generator.

    Returns:
        Config: It translates the images in ``data_root`` to the default
        domain and writes source and result side by side into the work dir;
        from noise it makes 8 images.
    """
    target = info['default_domain']
    source = next(d for d in info['domains'] if d != target)
    key, size = f'img_{source}', info['image_size']
    takes = input_of(build_generator(domain_config(info, target), 'meta'))
    if isinstance(takes, Noise):
        dataset: dict = dict(
            type='mmgan_compress.NoiseImages',
            data_root='.',
            domains=info['domains'],
            split='test',
            size=size,
            noise_size=takes.size,
            samples=8,
        )
        return _test_config(info, dataset, [], imports)
    image = [
        dict(type='mmgan_compress.ReadImage', key=key, channels=info['channels'][source]),
        dict(
            type='Resize', keys=[key], scale=(size, size), interpolation='bicubic', backend='pillow'
        ),
    ]
    labels = dict(type='mmgan_compress.ReadLabels', key=key, size=(size, size))
    if isinstance(takes, LabelMap):
        image = [dict(labels, labels=dataclasses.asdict(takes))]
    keys = [key, 'img']
    if isinstance(takes, StyledImage):
        image.append(dict(type='mmgan_compress.AddNoise', size=takes.style, seed=0))
        keys.append('noise')
    pipeline = [
        *image,
        # PackInputs would take a single image out of its dict
        dict(type='CopyValues', src_keys=[key], dst_keys=['img']),
        dict(type='PackInputs', keys=keys, data_keys=[], meta_keys=[f'{key}_path']),
    ]
    dataset = dict(
        type='BasicImageDataset', data_root='data/images', data_prefix={key: ''}, pipeline=pipeline
    )
    return _test_config(info, dataset, [key], imports)


def _test_config(info: dict, dataset: dict, shown: list[str], imports: Sequence[str]) -> Config:
    """Make the config that generates from a data set; ``shown`` are inputs
    beside the results.
    """
    target = info['default_domain']
    source = next(d for d in info['domains'] if d != target)
    return Config(
        dict(
            default_scope='mmagic',
            custom_imports=dict(imports=['mmgan_compress.registry', *imports]),
            model=dict(
                type='mmgan_compress.DistillationModel',
                generator=info['generator'],
                default_domain=target,
                reachable_domains=[target],
                related_domains=info['domains'],
            ),
            work_dir='work_dirs/student',
            test_dataloader=dict(
                num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False), dataset=dataset
            ),
            test_cfg=dict(),
            test_evaluator=[],
            visualizer=dict(
                type='ConcatImageVisualizer',
                fn_key=f'img_{source}_path',
                img_keys=[*shown, f'fake_{target}'],
                vis_backends=[dict(type='LocalVisBackend')],
            ),
            custom_hooks=[dict(type='BasicVisualizationHook', interval=1)],
        )
    )
