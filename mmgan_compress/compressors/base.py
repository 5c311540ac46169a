"""What pruners have in common."""
from typing import NamedTuple

import torch.nn as nn
from mmengine.logging import MMLogger

from ..core.logs import quiet


class Compressed(NamedTuple):
    """What a pruner's ``compress(generator, config)`` returns.

    Args:
        network (nn.Module): The smaller network, on the CPU.
        config (dict): Config that rebuilds its layers.
        summary (dict): How it was found, in plain values.
    """
    network: nn.Module
    config: dict
    summary: dict


def init_weights(network: nn.Module) -> None:
    """Initialise a network of mmengine without its line per parameter.

    Another has the weights that its class drew.
    """
    if not hasattr(network, 'init_weights'):
        return
    with quiet(MMLogger.get_current_instance()):
        network.init_weights()
