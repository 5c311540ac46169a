"""TensorRT: the engine where it can be built, else how to build it."""

import importlib.util
from pathlib import Path

from .targets import Target

# Precisions are those of the ONNX file, layer by layer: TensorRT's own choice
# would put the norms into half precision.
COMMAND = 'trtexec --onnx={onnx} --saveEngine={engine} --stronglyTyped'


def how_to_build(
    target: Target, size: int, multiple: int = 1, onnx: str = 'end2end.onnx', channels: int = 3
) -> str:
    """Return the command that builds an engine from an ONNX file.

    Args:
        target (Target): What the file was written for.
        size (int): Side of the images.
        multiple (int): Size multiple of the network.
        onnx (str): The file.
        channels (int): Of the images that it takes.
    """
    command = COMMAND.format(onnx=onnx, engine=str(Path(onnx).with_suffix('.engine')))
    if target.dynamic:
        shapes = _shapes(target, size, multiple, channels)
        command += ''.join(
            f' --{word}Shapes={target.names[0]}:{"x".join(map(str, shape))}'
            for word, shape in shapes.items()
        )
    return command


def _shapes(target: Target, size: int, multiple: int, channels: int) -> dict[str, tuple[int, ...]]:
    """Return least, usual and largest shape of a dynamic input.

    Those of the deploy config, (N, C, H, W), but for the channels; sides
    that the network does not take go up to the next ones that it does.
    """
    given = target.settings.get('model_inputs') or [{}]
    ranges = given[0].get('input_shapes', {}).get(target.names[0], {})
    shapes = {}
    for word, side in (('min', size // 2), ('opt', size), ('max', 2 * size)):
        batch, _, *sides = ranges.get(f'{word}_shape', (1, channels, side, side))
        sides = [-(-side // multiple) * multiple for side in sides]
        shapes[word] = (batch, *sides, channels) if target.uint8 else (batch, channels, *sides)
    return shapes


def build_engine(
    onnx: Path, engine: Path, target: Target, size: int, multiple: int = 1, channels: int = 3
) -> Path | None:
    """Build an engine for the GPU of this machine, if TensorRT is there.

    Args:
        onnx (Path): What to build from.
        engine (Path): File to write.
        target (Target): What the ONNX file was written for.
        size (int): Side of the images.
        multiple (int): Size multiple of the network.
        channels (int): Of the images that it takes.

    Returns:
        Path | None: The engine; None where the package is not installed.

    Raises:
        RuntimeError: If TensorRT refuses the file.
    """
    if importlib.util.find_spec('tensorrt') is None:
        return None
    import tensorrt as trt

    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(onnx)):
        errors = [str(parser.get_error(i)) for i in range(parser.num_errors)]
        raise RuntimeError('TensorRT cannot read the ONNX file: ' + '; '.join(errors))
    config = builder.create_builder_config()
    if target.dynamic:
        profile = builder.create_optimization_profile()
        profile.set_shape(target.names[0], *_shapes(target, size, multiple, channels).values())
        config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise RuntimeError('TensorRT built no engine, its log says why')
    engine.write_bytes(plan)
    return engine
