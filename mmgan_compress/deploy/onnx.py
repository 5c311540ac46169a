"""Writing of ONNX, and the example inputs that torch's exporters need."""

import contextlib
import io
import itertools
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn as nn

from ..core.channels import input_shape
from ..core.inputs import StyledImage, input_of, is_noise
from ..core.logging import quiet
from ..datasets.images import MIN_SIDE
from .graph import FileForm, prepare
from .scales import to_integers

STYLED = ['image', 'style']  # names of the inputs
OPSET = 18  # the lowest that torch's exporter writes without a conversion

_LOUD = (
    'torch.onnx',
    'torch.export',
    'torch.utils',
    'torchao',
    'onnxscript',
    'onnx_ir',
    'coremltools',
)


def write_onnx(
    net: nn.Module,
    path: str | Path,
    size: int,
    facts: dict[str, str],
    multiple: int | None = None,
    uint8: bool = False,
    opset: int = OPSET,
    names: Sequence[str] = ('input', 'output'),
    rewrites: Sequence[str] = (),
    scales: Mapping[str, dict] | None = None,
) -> None:
    """Write a network as ONNX.

    Args:
        net (nn.Module): Generator in eval mode; it stays as it is.
        path (str | Path): File to write, with the weights inside.
        size (int): Side of the images.
        facts (dict[str, str]): Metadata for the file.
        multiple (int | None): Size multiple of the network, to leave batch,
            height and width free; of noise, the batch.
        uint8 (bool): Take and give (N, H, W, C), uint8.
        opset (int): ONNX opset.
        names (Sequence[str]): Of the input and the output. An image and a
            style are called ``image`` and ``style``.
        rewrites (Sequence[str]): Other forms of layers, of
            ``rewrites.REWRITES``.
        scales (Mapping[str, dict] | None): Of layers that compute in 8 bits
            (see ``scales.py``).

    Raises:
        KeyError: If there are scales of a layer that is not there.
        ValueError: If a part of the network is in train mode, or the number
            of scales is not that of the filters.
    """
    net, example, free = traceable(net, size, multiple, uint8, rewrites, scales)
    with silenced():
        program = torch.onnx.export(
            net,
            example,
            dynamo=True,
            opset_version=opset,
            input_names=STYLED if len(example) > 1 else [names[0]],
            output_names=[names[1]],
            verbose=False,
            dynamic_shapes=free,
        )
        graph = program.model.graph
        values = itertools.chain(
            graph.inputs, graph.initializers.values(), *(node.outputs for node in graph)
        )
        for part in (graph, *graph, *values):  # how torch traced it: most of a small file
            part.metadata_props.clear()
        program.model.metadata_props.update(facts)
        program.save(str(path))


def traceable(
    net: nn.Module,
    size: int,
    multiple: int | None = None,
    uint8: bool = False,
    rewrites: Sequence[str] = (),
    scales: Mapping[str, dict] | None = None,
    **integers: bool,
) -> tuple:
    """Return what torch's exporters need.

    Args:
        net (nn.Module): As for :func:`write_onnx`.
        size (int): Likewise.
        multiple (int | None): Likewise.
        uint8 (bool): Likewise.
        rewrites (Sequence[str]): Likewise.
        scales (Mapping | None): Likewise.
        **integers (bool): As for ``scales.to_integers``.

    Returns:
        tuple: The network to export, a tuple of examples of its inputs, and
        their ``dynamic_shapes`` (None for fixed ones).
    """
    given, net = net, prepare(net, size, rewrites, multiple)
    to_integers(net, scales or {}, **integers)
    if multiple is None:
        batch, side, free = 1, size, None
    else:
        # a dimension that is 1 somewhere would be taken for a constant
        batch, side = 2, max(size, 2 * multiple)
        free = (_free_dims(multiple, first=1 if uint8 else 2),)
        if is_noise(net):
            free = ({0: torch.export.Dim('batch', min=1)},)
    takes, example = input_of(net), (torch.zeros(input_shape(given, side, batch)),)
    styled = isinstance(takes, StyledImage)
    if styled:
        example = takes.split(*example)
        free = free and (*free, {0: free[0][0]})
    if uint8:
        example = example[0].permute(0, 2, 3, 1).contiguous().byte(), *example[1:]
    return FileForm(net, uint8).eval() if uint8 or styled else net, example, free


def _free_dims(multiple: int, first: int) -> dict:
    least = max(1, MIN_SIDE // multiple)
    height, width = (torch.export.Dim(name, min=least) for name in ('height', 'width'))
    if multiple > 1:  # the names in the file are then '4*height', ...
        height, width = multiple * height, multiple * width
    return {0: torch.export.Dim('batch', min=1), first: height, first + 1: width}


@contextlib.contextmanager
def silenced():
    """Hide what exporters print when imported and at work; errors are exceptions."""
    with contextlib.ExitStack() as stack:
        for name in _LOUD:
            stack.enter_context(quiet(logging.getLogger(name), logging.ERROR))
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        warnings.simplefilter('ignore')
        yield
