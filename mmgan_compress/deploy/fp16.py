"""Half precision for ONNX, with the norms in single precision."""

from pathlib import Path

from ..compat import require

# What instance norms and 8-bit pictures consist of. In half precision the
# square of a value above 256 is infinite, and means lose their digits.
SINGLE = [
    'InstanceNormalization',
    'ReduceMean',
    'Unsqueeze',
    'Reshape',
    'Sub',
    'Mul',
    'Add',
    'Sqrt',
    'Reciprocal',
    'Div',
    'Clip',
    'Round',
    'Cast',
]


def to_half(path: Path) -> None:
    """Store weights and all but the norms of an ONNX file in half precision.

    Inputs and outputs keep their type.

    Args:
        path (Path): File; it is replaced.
    """
    onnx = require('onnx', 'Half precision')
    float16 = require('onnxruntime.transformers.float16', 'Half precision')
    model = float16.convert_float_to_float16(
        onnx.load(str(path)), keep_io_types=True, op_block_list=SINGLE
    )
    # what several of these nodes read is cast once for each, by one name
    made = {node.output[0]: node for node in reversed(model.graph.node)}
    nodes = [node for node in model.graph.node if node is made[node.output[0]]]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(_without_detours(model), str(path))


def _without_detours(model):
    """Take out casts to half precision and back, between nodes in single.

    Args:
        model (onnx.ModelProto): With casts around each such node.

    Returns:
        onnx.ModelProto: The same, in an order in which it can be run.
    """
    ir = require('onnx_ir', 'Half precision')
    passes = require('onnx_ir.passes.common', 'Half precision')
    model = ir.from_proto(model)
    for node in model.graph:
        inner = node.inputs[0].producer() if node.op_type == 'Cast' else None
        if inner is not None and inner.op_type == 'Cast' and not node.outputs[0].is_graph_output():
            ir.convenience.replace_all_uses_with(node.outputs[0], inner.inputs[0])
    passes.RemoveUnusedNodesPass()(model)
    model.graph.sort()
    return ir.to_proto(model)
