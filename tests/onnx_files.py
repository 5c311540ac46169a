"""Tiny ONNX files for the tests, written by hand."""
import onnx
from onnx import TensorProto, helper


def write_onnx(path, kind='FLOAT', shape=('N', 3, 16, 16), inputs=1,
               outputs=2):
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
    nodes = [helper.make_node('Sum', names, ['sum']),
             helper.make_node('Constant', [], ['half'],
                              value=helper.make_tensor('v', kind, [], [0.5])),
             helper.make_node('Mul', ['sum', 'half'], ['image']),
             helper.make_node('Add', ['sum', 'sum'], ['double'])]
    ends = [[helper.make_tensor_value_info(name, kind, shape)
             for name in side]
            for side in (names, ['double', 'image'][-outputs:])]
    graph = helper.make_graph(nodes, 'graph', *ends)
    onnx.save(helper.make_model(
        graph, ir_version=8, opset_imports=[helper.make_opsetid('', 17)]),
        str(path))
    return str(path)
