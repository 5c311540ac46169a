"""The channels that stay, cut out of a network, and the proof of it.

A map of kept channels has the form of a channel map (``core/channels.py``)
with lists of channels for their numbers: ``[inputs, outputs]`` of each
convolution and linear layer that changes, ``[channels]`` of each norm. If
``Sequential(Conv2d(3, 4, 3), BatchNorm2d(4), ReLU(), Conv2d(4, 3, 3))``
loses the second channel::

    {'0': [[0, 1, 2], [0, 2, 3]], '1': [[0, 2, 3]],
     '3': [[0, 2, 3], [0, 1, 2]]}

**What equality means.** A removed channel gives nothing to any layer that
would read it. The dense network says the same if that channel is zero where
it is read: *behind* its norm and its activation, for the shift of a norm, or
its mean, makes another number of a zero in front of it. So :func:`masked`
sets the removed inputs of every convolution and linear layer to zero, and
touches nothing else. A channel that goes two ways (the trunk of a ResNet,
the skip of a U-Net) is zero at each of its readers: what stands between
(padding, dropout, sum, concatenation, leaky ReLU) leaves zeros as they are.
The channels that stay do not notice, since batch and instance norms work on
each channel alone. ``slice_channels`` must then give the same image but
for the order of its sums: it does only if each tensor of each layer lost the
channels that its neighbours lost.
"""

import contextlib
import copy

import torch
import torch.nn as nn
from torch import Tensor

from ..core.base_layers import NormBase
from ..core.channels import Kept, channel_map
from ..core.layers import find_layer, meta_copy, shape_pass

# how far single precision may lie apart, relative to the largest output
_ROUNDING = 1e-3


def masked(module: nn.Module, kept: Kept) -> nn.Module:
    """Copy a network and let its layers read zeros for removed channels.

    Args:
        module (nn.Module): The dense network; it is left as it is.
        kept (dict[str, list[list[int]]]): What a pruner kept of it.

    Returns:
        nn.Module: A network of the same widths that gives the image of the
        smaller one (see the head of this module).
    """
    dense = copy.deepcopy(module)
    for name, sides in kept.items():
        layer = find_layer(dense, name)
        if isinstance(layer, NormBase):
            continue  # reads what it is given, channel by channel
        shape = [-1] + [1] * (layer.weight.dim() - 2)
        mask = torch.zeros(channel_map(layer)[''][0], device=layer.weight.device)
        mask[sides[0]] = 1.0
        mask = mask.view(shape)
        layer.register_forward_pre_hook(lambda _, args, mask=mask: (args[0] * mask, *args[1:]))
    return dense


@torch.no_grad()
def difference(one: nn.Module, other: nn.Module, image: Tensor) -> float:
    """Return the largest difference of two networks in eval mode.

    Args:
        one (nn.Module): Network of one image; its mode is restored.
        other (nn.Module): Another.
        image (Tensor): (N, C, H, W).

    Returns:
        float: Largest absolute difference of their outputs.
    """
    outputs = [copy.deepcopy(net).eval()(image) for net in (one, other)]
    return float((outputs[0] - outputs[1]).abs().max())


@torch.no_grad()
def random_image(module: nn.Module, image: Tensor) -> Tensor:
    """Return the same random image each time.

    Args:
        module (nn.Module): Network of one image.
        image (Tensor): Example of it, whose shape counts. A quarter of each
            side is enough where the network runs on that.

    Returns:
        Tensor: (1, C, H, W) in [-1, 1], where the network is.
    """
    shape = [1, *image.shape[1:]]
    small = shape[:2] + [side // 4 for side in shape[2:]]
    with contextlib.suppress(RuntimeError, ValueError):
        shape_pass(meta_copy(module), *small)
        shape = small
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    return (x * 2 - 1).to(next(module.parameters()).device)


@torch.no_grad()
def check_equal(module: nn.Module, small: nn.Module, kept: Kept, image: Tensor) -> None:
    """Refuse a network that mixes channels where no layer shows it.

    A norm over channels that is a function (``F.group_norm``, softmax) sees
    fewer of them now, so that what stays is no longer what it was.

    Args:
        module (nn.Module): The dense network.
        small (nn.Module): What ``slice_channels`` made of it.
        kept (dict[str, list[list[int]]]): What it kept.
        image (Tensor): Example of the input, whose shape counts.

    Raises:
        ValueError: If the two differ by more than the order of sums makes.
    """
    x = random_image(module, image)
    size = float(copy.deepcopy(module).eval()(x).abs().max())
    gap = difference(masked(module, kept), small, x)
    if not gap <= _ROUNDING * max(size, 1.0):
        raise ValueError(
            f'{type(module).__name__} without the channels differs by '
            f'{gap:.2g} from one that reads zeros for them: something '
            'outside its layers mixes channels, such as F.group_norm or a '
            'softmax over them. Make a layer of it (nn.GroupNorm), whose '
            'channels stay'
        )
