"""What pruners have in common."""
import logging
from typing import NamedTuple

import torch.nn as nn
from mmengine.logging import MMLogger


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
    """Initialise a network of mmengine without its line per parameter."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        network.init_weights()
    finally:
        logger.setLevel(level)
