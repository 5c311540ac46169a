"""The metadata inside the file of an exported model.

All values are text, since ONNX and OpenVINO hold nothing else::

    {'student_sha256': '8f3c...', 'made_by': 'mmgan_compress 0.1.0, OMGD...',
     'domains': '["horse", "zebra"]', 'value_range': '[-1, 1]',
     'layout': 'NCHW', 'colours': 'RGB', 'channels': '[3, 3]',
     'size_multiple': '4', 'image_size': '256', 'scale': '1',
     'input_shape': '[1, 3, 256, 256]', 'precision': 'int8',
     'processor': 'any'}

``scale`` is how many times as large the output is. A model of label maps has
``takes``, see ``core/inputs.py``, and the ``colours`` ``labels``; one that makes
images from noise has ``takes``, too, ``colours`` and layout ``noise`` and ``NC``,
and the input shape ``[1, 128]``. ``takes`` of the kind ``styled`` means a second
input, ``style``, (N, style), float32; all else is said of the image.
``input_shape`` has null where a dimension is free; ``colours`` (L, RGB or
RGBA) are those of the input, ``channels`` of input and output. A model of
8-bit pictures has the layout ``NHWC`` and the range ``[0, 255]``.
``processor``, in int8 only, names the processors that the 8-bit weights suit
(``core/processors.py``).
"""

import json
from pathlib import Path

from ..core.image_modes import IMAGE_MODES
from ..core.inputs import LabelMap, Noise, StyledImage, read_input
from ..datasets.fetch import sha256_of
from ..models.student_config import channels_of, kind_of_input
from .targets import Target

FACTS = 'mmgan_compress'  # section of OpenVINO's files


def student_facts(
    student: str | Path, meta: dict, size: int | None = None, target: Target = Target()
) -> dict[str, str]:
    """Return the metadata of a model made from a student.

    Args:
        student (str | Path): Student file.
        meta (dict): ``net.meta`` of :func:`load_student`.
        size (int | None): Side of the images; None where batch, height and
            width are free.
        target (Target): What it was exported for.

    Returns:
        dict[str, str]: As at the head of this module.
    """
    source = next(d for d in meta['domains'] if d != meta['domain'])
    batch = 1 if size else None
    channels = channels_of(meta)
    uint8 = target.uint8
    shape = [batch, size, size, channels[0]] if uint8 else [batch, channels[0], size, size]
    layout = 'NHWC' if uint8 else 'NCHW'
    kind = kind_of_input(meta)
    if isinstance(kind, Noise):
        shape, layout = [batch, kind.size], 'NC'
    return dict(
        student_sha256=sha256_of(student),
        made_by=f'mmgan_compress {meta["version"]}, {meta["source"]}',
        domains=json.dumps([source, meta['domain']]),
        value_range='[0, 255]' if uint8 else '[-1, 1]',
        layout=layout,
        colours=IMAGE_MODES[channels[0]] if isinstance(kind, int) else kind.kind,
        **(dict(takes=json.dumps(meta['takes'])) if meta.get('takes') else {}),
        channels=json.dumps(channels),
        size_multiple=str(meta['size_multiple']),
        image_size=str(meta['image_size']),
        scale=str(meta['scale']),
        input_shape=json.dumps(shape),
        precision=target.precision,
        **(dict(processor=target.processor) if target.precision == 'int8' else {}),
    )


def takes_of(facts: dict[str, str], model: str | Path) -> LabelMap | Noise | StyledImage | None:
    """Return what an exported model takes; None for an image.

    Args:
        facts (dict[str, str]): As at the head of this module.
        model (str | Path): Its file, for the message.

    Raises:
        ValueError: If they say something else.
    """
    try:
        return read_input(json.loads(facts.get('takes', 'null')))
    except (ValueError, TypeError) as error:
        raise ValueError(f'{model} is damaged or was changed: {error}') from error
