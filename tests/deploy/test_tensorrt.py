"""The command that builds an engine where there is a GPU."""

from mmgan_compress.deploy import targets
from mmgan_compress.deploy.targets import Target


def test_trtexec_command():
    assert targets.how_to_build(Target('tensorrt'), 64) == (
        'trtexec --onnx=end2end.onnx --saveEngine=end2end.engine --stronglyTyped'
    )
    free = targets.how_to_build(Target('tensorrt', dynamic=True), 64)
    assert free.endswith(
        '--minShapes=input:1x3x32x32 --optShapes=input:1x3x64x64 --maxShapes=input:1x3x128x128'
    )
    ranges = {
        f'{word}_shape': [1, 3, side, side]
        for word, side in (('min', 128), ('opt', 256), ('max', 512))
    }
    pictures = Target(
        'tensorrt',
        dynamic=True,
        uint8=True,
        settings=dict(model_inputs=[dict(input_shapes=dict(input=ranges))]),
    )
    # a U-Net of eight levels takes nothing smaller than 256
    assert targets.how_to_build(pictures, 256, 256).endswith(
        '--minShapes=input:1x256x256x3 --optShapes=input:1x256x256x3 --maxShapes=input:1x512x512x3'
    )
