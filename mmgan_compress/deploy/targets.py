"""Deploy configs, in the schema of mmdeploy 1.3.1, and TensorRT's command."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmengine import Config

from ..core.configs import CONFIGS, find_config, read_config
from ..core.processors import ANY
from .onnx import OPSET

TASK = 'ImageTranslation'
AXES = {0, 2, 3}  # free ones: batch, height and width
_NAMED = {'fp16_mode': 'fp16', 'int8_mode': 'int8'}  # TensorRT's spelling


@dataclass(frozen=True)
class Target:
    """A format to export a student to, and its form.

    Args:
        backend (str): Of ``deploy.formats.FORMATS``.
        precision (str): ``'fp32'``, ``'fp16'`` or ``'int8'``.
        size (int | None): Side of the images that the deploy config names.
        dynamic (bool): Leave batch, height and width free.
        uint8 (bool): Take and give 8-bit pictures, (N, H, W, 3).
        opset (int): ONNX opset.
        names (tuple[str, str]): Of the input and the output.
        settings (dict): ``backend_config`` of the deploy config.
        processor (str): Processors that int8 is for, of
            ``core.processors.TOPS``.
    """

    backend: str = 'onnxruntime'
    precision: str = 'fp32'
    size: int | None = None
    dynamic: bool = False
    uint8: bool = False
    opset: int = OPSET
    names: tuple[str, str] = ('input', 'output')
    settings: dict[str, Any] = field(default_factory=dict)
    processor: str = ANY


def read_target(config: str | Path | dict | Config) -> Target:
    """Read a deploy config.

    Args:
        config (str | Path | dict | Config): One of ``configs/deploy``, also
            by its file name alone, or its content.

    Returns:
        Target: What it asks for.

    Raises:
        FileNotFoundError: If there is none of that name.
        ValueError: If it is for another task, or asks for what is not done
            here; the message says what.
    """
    name = 'the deploy config'
    if isinstance(config, (str, Path)):
        name, config = str(config), read_config(find_config(str(config)))
    codebase = config.get('codebase_config', {})
    backend = dict(config.get('backend_config', {}))
    ir = config.get('ir_config', config.get('onnx_config', {}))
    if codebase.get('task') != TASK or 'type' not in backend:
        raise ValueError(
            f'{name} is no deploy config for a student: expected '
            f"codebase_config=dict(task='{TASK}', ...) and backend_config="
            'dict(type=...), as in configs/deploy'
        )
    dynamic = _is_dynamic(ir.get('dynamic_axes'), name)
    shape = ir.get('input_shape')
    if shape and (dynamic or len(set(shape)) != 1):
        raise ValueError(
            f'{name} asks for input_shape {list(shape)}'
            f'{" and dynamic_axes" if dynamic else ""}: expected one side '
            'twice, or no input_shape and dynamic_axes'
        )
    sides = (*(shape or ()), ir.get('opset_version', OPSET))
    if any(type(number) is not int or number < 1 for number in sides):
        raise ValueError(
            f'{name} asks for input_shape {shape} and opset_version '
            f'{sides[-1]!r}: expected whole numbers above 0'
        )
    uint8 = bool(ir.get('uint8'))
    return Target(
        backend=backend['type'],
        precision=_precision(backend),
        size=shape[0] if shape else None,
        dynamic=dynamic,
        uint8=uint8,
        opset=ir.get('opset_version', OPSET),
        names=(ir.get('input_names', ['input'])[0], ir.get('output_names', ['output'])[0]),
        settings=backend,
        processor=backend.get('processor', ANY),
    )


def shipped_targets(dynamic: bool = False) -> dict[tuple[str, str], Target]:
    """Return the targets of the package's deploy configs of fixed, or of free
    sides, by backend and precision.
    """
    form = 'dynamic' if dynamic else 'static-256x256'
    paths = sorted(CONFIGS.joinpath('deploy').glob(f'*_{form}.py'))
    targets = [read_target(path) for path in paths]
    return {(target.backend, target.precision): target for target in targets}


def choose_target(
    config: str | None, dynamic: bool = False, uint8: bool = False, processor: str | None = None
) -> Target:
    """Return the target of a deploy config under further options.

    Args:
        config (str | None): Deploy config; None for ONNX Runtime.
        dynamic (bool): Whether to leave batch, height and width free.
        uint8 (bool): Whether to take and give 8-bit pictures.
        processor (str | None): What 8-bit weights are made for.

    Raises:
        ValueError: If the config contradicts an option.
    """
    target = read_target(config) if config else Target(dynamic=dynamic)
    if processor and target.precision != 'int8':
        raise ValueError('--processor is about int8: take a deploy config of int8, or leave it out')
    if dynamic and not target.dynamic:
        raise ValueError(
            f'{config} has a fixed size: leave --dynamic out or take the ..._dynamic.py'
        )
    return replace(target, uint8=target.uint8 or uint8, processor=processor or target.processor)


def _is_dynamic(axes: Any, name: str) -> bool:
    """Tell whether all but the channels is free, or nothing is."""
    if not axes:
        return False
    ends = axes.values() if isinstance(axes, dict) else axes
    if any(set(map(int, end)) != AXES for end in ends):
        raise ValueError(
            f'{name} has dynamic_axes {axes}: expected 0, 2 and '
            '3 of the input and of the output (batch, height, '
            'width), or none'
        )
    return True


def _precision(backend: dict) -> str:
    modes = [
        precision
        for mode, precision in _NAMED.items()
        if backend.get('common_config', {}).get(mode)
    ]
    return str(backend.get('precision', (modes or ['fp32'])[-1])).lower()


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
