"""Preparation of a network for export to any runtime."""

import copy
import keyword
from collections import Counter
from collections.abc import Sequence

import torch
import torch.nn as nn
from torch import Tensor
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..core.base_layers import BatchNormBase, ConvBase, DropoutBase
from ..core.channels import input_shape
from ..core.inputs import StyledImage, input_of
from ..core.layers import replace_layers
from ..models.spectral_norm import without_spectral_norm
from .rewrites import rewrite


def prepare(
    net: nn.Module, side: int, rewrites: Sequence[str] = (), step: int | None = None
) -> nn.Module:
    """Copy a network for export: norms of weights and batch norms folded, no
    dropout, no style encoder, plain names.

    Args:
        net (nn.Module): Generator in eval mode, on the CPU; it stays as it
            is.
        side (int): Side of images that it takes.
        rewrites (Sequence[str]): Other forms of layers, of
            ``rewrites.REWRITES``.
        step (int | None): What the sides of all its images are multiples of;
            ``side`` if None.

    Returns:
        nn.Module: The same function, in eval mode.

    Raises:
        ValueError: If a part of the network is in train mode.
    """
    # ONNX Runtime ignores dropout in train mode, and the exporter writes
    # every batch norm in eval mode: the comparison with torch would not show
    # the fault, other runtimes would
    if any(module.training for module in net.modules()):
        raise ValueError(
            'the network is in train mode, or a part of it: '
            'expected eval mode, call net.eval() first'
        )
    net = without_spectral_norm(copy.deepcopy(net))
    if isinstance(input_of(net), StyledImage):
        del net.enc_style  # a given style does not run it
    _fold_batch_norms(net, side)
    replace_layers(
        net, {module: nn.Identity() for module in net.modules() if isinstance(module, DropoutBase)}
    )
    rewrite(net, rewrites, side, step or side)
    _rename_keywords(net)
    return net.eval()


def _fold_batch_norms(net: nn.Module, side: int) -> None:
    """Fold each batch norm into the convolution whose output it alone takes."""
    outputs, pairs = {}, []

    def after_conv(conv, args, output):
        outputs[id(output)] = (conv, output)  # kept: its id stays its own

    def before_norm(norm, args):
        conv, _ = outputs.get(id(args[0]), (None, None))
        if conv is not None and norm.running_mean is not None:
            pairs.append((conv, norm))

    handles = [
        module.register_forward_hook(after_conv)
        for module in net.modules()
        if isinstance(module, ConvBase)
    ]
    handles += [
        module.register_forward_pre_hook(before_norm)
        for module in net.modules()
        if isinstance(module, BatchNormBase)
    ]
    with torch.enable_grad():
        # what needs a gradient has a graph, which tells who reads what
        image = torch.zeros(input_shape(net, side), requires_grad=True)
        readers = _readers(net(image.clone()))  # a first layer may be in-place
    for handle in handles:
        handle.remove()
    alone = {conv for conv, output in outputs.values() if readers[output.grad_fn] == 1}
    folded = {}
    for conv, norm in pairs:
        if conv not in alone:  # a skip connection reads it as it is
            continue
        folded[conv] = fuse_conv_bn_eval(conv, norm, conv.transposed)
        folded[norm] = nn.Identity()
    replace_layers(net, folded)


def _readers(output: Tensor) -> Counter:
    """Count in a graph of torch how many operations read each one's result."""
    counts: Counter = Counter()
    todo, seen = [output.grad_fn], {output.grad_fn}
    while todo:
        for operation, _ in todo.pop().next_functions:
            if operation is not None:
                counts[operation] += 1
                if operation not in seen:
                    seen.add(operation)
                    todo.append(operation)
    return counts


def _rename_keywords(net: nn.Module) -> None:
    """Rename children whose name is a keyword of Python.

    The exporter writes names into Python code that it runs; mmcv calls its
    instance norms ``in``, and keeps the name in an attribute.
    """
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if not keyword.iskeyword(name):
                continue
            delattr(parent, name)
            setattr(parent, f'{name}_', child)
            for key, value in vars(parent).items():
                if value == name and isinstance(value, str):
                    vars(parent)[key] = f'{name}_'


class FileForm(nn.Module):
    """A generator with the inputs and the output of its file.

    Args:
        net (nn.Module): Generator of images in [-1, 1].
        uint8 (bool): Take and give 8-bit pictures, as files hold them.
    """

    def __init__(self, net: nn.Module, uint8: bool):
        super().__init__()
        self.net, self.uint8 = net, uint8

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """Map an image, and the style that it gets, to an image.

        The formulas are those of ``pictures.to_tensor`` and
        ``pictures.to_picture``.

        Args:
            x (Tensor): (N, C, H, W) in [-1, 1]; (N, H, W, C), uint8, of 8-bit
                pictures.
            style (Tensor | None): (N, style), where the generator takes one.
        """
        if self.uint8:
            x = (x.permute(0, 3, 1, 2).float() - 127.5) / 127.5
        y = self.net(x) if style is None else self.net.paint(x, style)
        if not self.uint8:
            return y
        y = ((y + 1) * 127.5).clamp(0, 255).round()
        return y.to(torch.uint8).permute(0, 2, 3, 1)
