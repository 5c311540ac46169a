"""Layers of a network by name, and what they give out."""

import copy
import difflib
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.logging import MMLogger
from torch.overrides import TorchFunctionMode

from .checkpoints import pretrained_faults, refuse
from .logging import quiet


def init_weights(network: nn.Module) -> None:
    """Initialise a network of mmengine without its line per parameter.

    Any other module keeps the weights that its class drew.

    Args:
        network (nn.Module): Changed in place.

    Raises:
        ValueError: If a file of weights does not fit the network.
    """
    refuse(pretrained_faults(network))
    init_weights = getattr(network, 'init_weights', None)
    if init_weights is not None:
        with quiet(MMLogger.get_current_instance()):
            init_weights()


def find_layer(module: nn.Module, name: str, whose: str = '') -> nn.Module:
    """Return the layer called ``name``.

    Args:
        module (nn.Module): Any network.
        name (str): Name as in ``named_modules``, e.g. ``'model.9'``.
        whose (str): What the network is, and the setting that names the
            layer, for the message.

    Returns:
        nn.Module: The layer.

    Raises:
        KeyError: If there is none; names the nearest ones.
    """
    layers = dict(module.named_modules())
    if name and name in layers:
        return layers[name]
    near = difflib.get_close_matches(name, filter(None, layers), cutoff=0.0)
    kind = type(module).__name__ + (f', {whose}' if whose else '')
    raise KeyError(f'no layer {name!r} in {kind}; nearest: ' + ', '.join(map(repr, near)))


def replace_layers(module: nn.Module, others: Mapping[nn.Module, nn.Module]) -> None:
    """Put other layers in the place of some, in place.

    Args:
        module (nn.Module): Any network.
        others (Mapping[nn.Module, nn.Module]): By the layer of the network.
    """
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if child in others:
                setattr(parent, name, others[child])


def meta_copy(module: nn.Module) -> nn.Module:
    """Return a copy in eval mode on the meta device, without any hook.

    No weight is copied, and a forward pass of the result computes shapes
    only: it costs milliseconds whatever the size of network and image.

    Args:
        module (nn.Module): Any network; it is left as it is.

    Returns:
        nn.Module: The copy.
    """
    memo = {}  # deepcopy takes these instead of copying the weights
    for tensor in [*module.parameters(), *module.buffers()]:
        meta = torch.empty_like(tensor, device='meta')
        memo[id(tensor)] = (
            nn.Parameter(meta, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else meta
        )
    clone = copy.deepcopy(module, memo).eval()
    for layer in clone.modules():
        layer._forward_hooks.clear()
        layer._forward_pre_hooks.clear()
    return clone


class ShapesOnly(TorchFunctionMode):
    """Norms and activations of a pass on the meta device do nothing.

    torch computes their shapes, which are those of their inputs, in Python:
    that takes most of a pass, and the first time loads torch's compiler for
    two seconds.
    """

    _KEEP_SHAPE = (F.instance_norm, F.batch_norm, F.relu, F.leaky_relu, torch.relu)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        # a norm refuses a single pixel
        if func in self._KEEP_SHAPE and args[0].is_meta and args[0].shape[2:].numel() > 1:
            return args[0]
        return func(*args, **(kwargs or {}))


@torch.no_grad()
def shape_pass(twin: nn.Module, *shape: int, **kwargs) -> Any:
    """Run a network for the shapes alone.

    Args:
        twin (nn.Module): A network of one image, on the meta device.
        shape (int): Of the image, N, C, H, W.
        kwargs: Further arguments of its forward pass.

    Returns:
        Any: Its output, on the meta device.
    """
    with ShapesOnly():
        return twin(torch.empty(shape, device='meta'), **kwargs)
