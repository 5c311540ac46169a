"""Networks whose layers have widths of their own."""

import functools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn as nn
from mmengine.model import BaseModule, initialize

from ..core.channels import changed, channel_map, resize
from ..core.search_space import read_configuration
from ..registry import MODELS
from .topology import filters_for, widths_for

SLIM = 'SlimNetwork'


@MODELS.register_module(name=SLIM)
def slim_network(
    arch: dict,
    channels: dict[str, list[int]] | None = None,
    widths: Sequence[int] | None = None,
    configuration: str | Sequence[int] | None = None,
    init_cfg: dict | None = None,
) -> nn.Module:
    """Build a network and give some of its layers other widths.

    The result is the network of ``arch`` itself: its class, its forward and
    its layer names, so that whatever reads its features by name still does.

    Args:
        arch (dict): Config of the network.
        channels (dict[str, list[int]] | None): Channel map of the layers
            that differ from it (see ``core/channels.py``).
        widths (Sequence[int] | None): In its place, for a ResNet or U-Net
            generator: the filters of each layer, such as GCC's lists (see
            :func:`~mmgan_compress.models.topology.widths_for`).
        configuration (str | Sequence[int] | None): In their place, of a
            ResNet or U-Net generator: base channels by part, such as GAN
            Compression's ``'16_16_32_16_32_32_16_16'`` (see
            ``models/topology.py``).
        init_cfg (dict | None): In place of that of ``arch``. With
            ``dict(type='Pretrained', checkpoint=..., prefix=...)`` the
            weights of a student file stay, however often Runner
            initialises, also of a class that takes no ``init_cfg``.

    Returns:
        nn.Module: The network, its weights not initialised.

    Raises:
        KeyError: If the type of ``arch`` is not registered, or if it has no
            such layer.
        ValueError: If numbers of channels are impossible.
        TypeError: If ``widths`` or a ``configuration`` is given for another
            network.

    Example:
        >>> net = MODELS.build(dict(
        ...     type='SlimNetwork',
        ...     arch=dict(type='SeparableResnetGenerator', base_channels=8),
        ...     channels={'model.1': [3, 5], 'model.2': [5],
        ...               'model.4': [5, 16]}))
        >>> net.model[1].out_channels
        5
    """
    pretrained = is_pretrained(init_cfg)
    if init_cfg is not None and not pretrained:
        arch = dict(arch, init_cfg=init_cfg)
    with MODELS.switch_scope_and_registry('mmgan_compress') as registry:
        net = registry.build(arch)
    if widths is None and configuration is not None:
        widths = filters_for(net, read_configuration(configuration))
    if widths is not None:
        channels = widths_for(net, widths)
    if pretrained:
        net.init_cfg = init_cfg
        if not isinstance(net, BaseModule):  # it does not read it
            net.init_weights = functools.partial(initialize, net, init_cfg)
    return resize(net, channels or {})


def is_pretrained(init_cfg: Any) -> bool:
    """Tell whether an ``init_cfg`` names weights."""
    return isinstance(init_cfg, dict) and init_cfg.get('type') == 'Pretrained'


def architecture(config: dict) -> dict:
    """Return what a generator's widths differ from.

    Args:
        config (dict): Config of any generator.

    Returns:
        dict: ``arch`` of a ``SlimNetwork``, else a copy of the config;
        without pretrained weights, which fit one set of widths only.
    """
    slim = config['type'].split('.')[-1] == SLIM
    arch = dict(config['arch'] if slim else config)
    if is_pretrained(arch.get('init_cfg')):
        del arch['init_cfg']
    return arch


def slim_config(network: nn.Module, config: dict) -> dict[str, Any]:
    """Describe a network whose layers were resized.

    Args:
        network (nn.Module): As it is now; on the meta device too.
        config (dict): What it was made from; may be a ``SlimNetwork``.

    Returns:
        dict: Config that rebuilds it; the architecture's own where no
        layer differs.
    """
    arch = architecture(config)
    with torch.device('meta'):
        base = channel_map(slim_network(arch))
    channels = changed(channel_map(network), base)
    if not channels:
        return arch
    return dict(type=f'mmgan_compress.{SLIM}', arch=arch, channels=channels)
