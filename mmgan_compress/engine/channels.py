"""Grey, RGB or RGBA: what a recipe derives from its generator."""

import inspect
from collections.abc import Iterator, Mapping

from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope

from ..core.configs import walk
from ..core.domains import are_names, per_domain
from ..models.student_config import build_generator, channels_by_domain
from ..registry import MODELS

_PROBE_SIDE = 512  # suits U-Nets of nine levels; nothing is computed


def fit_channels(cfg: Config):
    """Let all of a recipe follow the channels of the student's images.

    These are what its generator takes and gives (``in_channels`` and
    ``out_channels``). Teachers and discriminators get the same, data sets
    and real images of metrics are read so.

    Args:
        cfg (Config): Of a recipe; changed in place.

    Raises:
        ValueError: If the images are neither grey, RGB nor RGBA, or if an
            unpaired recipe maps images of one kind to another.
    """
    model = cfg.get('model') or {}
    domains = model.get('related_domains')
    target = model.get('default_domain')
    sound = 'generator' in model and are_names(domains) and len(set(domains)) == 2
    if not sound or target not in domains:
        return
    channels = _channels_of(model)
    if set(channels.values()) <= {3}:
        return
    loader = cfg.get('train_dataloader') or cfg.get('test_dataloader') or {}
    unpaired = 'Unpaired' in str(loader.get('dataset', {}).get('type'))
    if unpaired and len(set(channels.values())) > 1:
        raise ValueError(
            f'the generator is for images of {channels} channels: unpaired '
            'training needs one number for both domains, since a CycleGAN '
            "maps each to the other and to itself. Set the generator's "
            'in_channels and out_channels to the same, or train on pairs'
        )
    source = next(domain for domain in domains if domain != target)
    taken, given = channels[source], channels[target]
    for key, node in _networks(model.get('distiller')):
        if key == 'discriminator':
            seen = {1: given, 2: taken + given}  # by images of 3 channels
            before = _argument(node, 'in_channels')
            if before not in (None, *seen.values()):
                node.in_channels = seen.get(before // 3, before)
        else:
            for name, count in (('in_channels', taken), ('out_channels', given)):
                if _argument(node, name) is not None:
                    node[name] = count
    set_channels(cfg, channels)


def set_channels(cfg: Config, channels: Mapping[str, int]):
    """Let data sets and real images of a recipe have so many channels.

    Args:
        cfg (Config): Of a recipe; changed in place.
        channels (dict[str, int]): By domain.
    """
    for node in walk(cfg._cfg_dict):
        kind = str(node.get('type')).rsplit('.', 1)[-1]
        domain = str(node.get('key', '')).removeprefix('img_')
        if 'data_root' in node and 'domains' in node:
            node.channels = dict(channels)
        elif 'reference' in node and node.get('domain') in channels:
            node.reference.channels = channels[node.domain]
        elif kind == 'ReadImage' and domain in channels:
            node.channels = channels[domain]


def _channels_of(model: Mapping) -> dict[str, int]:
    """Return the channels of a model's images by domain."""
    domains = list(model['related_domains'])
    try:
        configs = per_domain(model['generator'], model.get('reachable_domains') or domains)
        with DefaultScope.overwrite_default_scope('mmagic'):
            twins = {
                domain: build_generator(config, 'meta').eval() for domain, config in configs.items()
            }
    except Exception:  # what cannot be built says so where it is checked
        return {}
    return channels_by_domain(twins, domains, _PROBE_SIDE)


def _networks(node) -> Iterator[tuple[str, ConfigDict]]:
    """Yield the configs of teachers and discriminators in a distiller's."""
    for part in walk(node):
        for key, value in part.items():
            if key in ('teachers', 'generators') and isinstance(value, dict):
                yield from ((key, own) for own in value.values())
            elif key in ('generator', 'arch', 'discriminator') or str(key).endswith(
                '_discriminator'
            ):
                yield key.rsplit('_', 1)[-1], value


def _argument(config, name: str):
    """Return what a network's config gives for an argument, or its class by
    default; None if there is no such argument.
    """
    if not isinstance(config, dict) or 'type' not in config:
        return None
    kind = MODELS.get(config.type)
    parameter = inspect.signature(kind).parameters.get(name) if kind else None
    return parameter and config.get(name, parameter.default)
