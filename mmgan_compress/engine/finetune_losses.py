"""Losses of a recipe, made to fit a pruned student and its teacher."""
import copy
from typing import Optional

import torch
import torch.nn as nn
from mmengine.config import Config, ConfigDict

from ..core.layers import find_layer
from ..models.topology import is_unet, resnet_chain, unet_convs
from ..registry import MODELS


def leave_out_taps(cfg: Config):
    """Leave out of a recipe the losses that compare layers."""
    distiller = cfg.model.distiller
    distiller.losses = [loss for loss in distiller.get('losses') or []
                        if not loss.get('layers')]


def leave_out_judged(cfg: Config) -> list[str]:
    """Leave out of a recipe what asks the teacher's discriminator.

    A student file has none. Of a loss that compares layers of the generators
    as well, these stay.

    Args:
        cfg (Config): With the teacher in it; changed in place.

    Returns:
        list[str]: What was left out, for people.
    """
    losses = cfg.model.distiller.get('losses') or []
    kept, notes = [], []
    with torch.device('meta'):
        asking = [MODELS.build(copy.deepcopy(loss)).uses_discriminator
                  for loss in losses]
    for loss, asks in zip(map(copy.deepcopy, losses), asking):
        name = loss['type'].split('.')[-1]
        if not asks:
            kept.append(loss)
        elif loss.get('layers') and loss.pop('discriminator_layers', None):
            kept.append(loss)
            notes.append(f"{name} compares no layers of the teacher's "
                         'discriminator, which is not there')
        else:
            notes.append(f"{name} is left out: it asks the teacher's "
                         'discriminator, which is not there')
    if notes:
        cfg.model.distiller.losses = kept
    return notes


def fit_taps(node: ConfigDict, student: nn.Module, teacher: nn.Module):
    """Name layers that the networks have.

    Args:
        node (ConfigDict): Of a loss, or arguments of one; changed in place.
        student (nn.Module): Pruned network.
        teacher (nn.Module): The dense one.

    Raises:
        KeyError: If it names others, and the networks are of no kind whose
            layers are known.
    """
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
