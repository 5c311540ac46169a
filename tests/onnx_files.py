"""Tiny ONNX files for the tests, by hand and in 8 bits."""

import tempfile
from dataclasses import replace
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from mmgan_compress.core.processors import ANY
from mmgan_compress.deploy.formats import FORMATS, Job
from mmgan_compress.deploy.targets import Target


def write_onnx(path, kind='FLOAT', shape=('N', 3, 16, 16), inputs=1, outputs=2):
    """Write a file that halves and doubles an image; return its path.

    Args:
        path (Path): File to write.
        kind (str): Type of all values.
        shape (Sequence[int | str]): Of each input, with names where free.
        inputs (int): How many there are; they are added.
        outputs (int): Only the half, or the double before it too.
    """
    kind = getattr(TensorProto, kind)
    names = ['picture', 'noise', 'time'][:inputs]
    nodes = [
        helper.make_node('Sum', names, ['sum']),
        helper.make_node('Constant', [], ['half'], value=helper.make_tensor('v', kind, [], [0.5])),
        helper.make_node('Mul', ['sum', 'half'], ['image']),
        helper.make_node('Add', ['sum', 'sum'], ['double']),
    ]
    ends = [
        [helper.make_tensor_value_info(name, kind, shape) for name in side]
        for side in (names, ['double', 'image'][-outputs:])
    ]
    graph = helper.make_graph(nodes, 'graph', *ends)
    onnx.save(
        helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid('', 17)]),
        str(path),
    )
    return str(path)


def write_int8(net, path, images, settings=None, facts=None):
    """Write a network of 64x64 images in 8 bits, as exports do.

    Args:
        net (nn.Module): Generator.
        path (Path): File to write.
        images (Sequence[ndarray]): To calibrate on, if there are no scales.
        settings (dict | None): As of ``quantize_onnx.check_settings``.
        facts (dict | None): Metadata for the file.
    """
    settings = dict(settings or {})
    target = Target(
        'tensorrt',  # whose convolutions are not laid out in phases
        'int8',
        processor=settings.pop('processor', ANY),
        settings=dict(quantization_config=settings),
    )
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        job = Job(net, target, 64, 1, facts or {}, Path(folder), images)
        for precision in ('fp32', 'int8'):
            FORMATS['onnxruntime'].write(replace(job, target=replace(target, precision=precision)))
        job.file('.onnx').rename(path)
