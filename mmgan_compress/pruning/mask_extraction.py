"""Channels that a training has set to zero are cut out."""
import torch.nn as nn

from ..models.slim import slim_config
from ..registry import PRUNERS
from .base import Compressed
from .zero_channels import cut_zeros


@PRUNERS.register_module()
class MaskExtraction:
    """Cut out the channels that are zero for whoever reads them.

    Those are dead for which all that makes and passes them is zero: filters
    and their biases, scales and shifts of norms. ``GradualPruningHook``
    leaves such channels. The image stays the same where a filter of zeros
    gives zero for whoever reads it: behind ReLU and tanh, not behind a
    sigmoid, nor behind a norm without scales that has a running mean.
    """

    def compress(self, generator: nn.Module, config: dict) -> Compressed:
        """Make a narrower generator with the weights of this one.

        Args:
            generator (nn.Module): Trained network; it is left as it is.
            config (dict): Config that builds it.

        Returns:
            Compressed: ``summary`` has ``removed`` and ``removable``,
            numbers of channels, and ``gap``, the largest difference of both
            on one random image.

        Raises:
            TypeError: If it is quantized.
            ValueError: If no channel is dead, or if something outside of
                layers mixes channels.
            ImportError: If Torch-Pruning is not installed.
        """
        small, summary = cut_zeros(generator, ('makes', 'norm', 'depthwise'))
        if not summary['removed']:
            raise ValueError('no channel is zero, so none can go: train with '
                             'GradualPruningHook')
        return Compressed(small, slim_config(small, config), summary)
