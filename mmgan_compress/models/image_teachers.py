"""Teachers that give images and nothing else.

They have no parameters to train and no layers to look into, so only losses
of images can learn from them. A diffusion model is one of them, by any of
the three: exported, called, or run once over the training images.
"""

import functools
import os
import pkgutil
from typing import Any

import numpy as np
import torch
import torch.nn as nn
from torch import Tensor

from ..compat import require
from ..core.image_modes import IMAGE_MODES
from ..registry import MODELS

_SLACK = 1 / 127.5  # one grey level: rounding of half precision stays within
_PRECISIONS = {'tensor(float)': np.float32, 'tensor(float16)': np.float16}
# the first ones that are installed; TensorRT would compile for minutes
_PROVIDERS = ('CUDAExecutionProvider', 'CPUExecutionProvider')


class ImageTeacher(nn.Module):
    """Base of them: a frozen translator of images.

    A teacher overrides :meth:`open` and :meth:`translate`. What it opens is
    no part of the model's state and is opened anew in a copy.
    """

    image_only = True
    stored = False
    channels: int | None = None  # of its images, where that is known

    @functools.cached_property
    def engine(self) -> Any:
        """What runs it."""
        return self.open()

    def __getstate__(self) -> dict:
        # sessions cannot be copied, nor sent to another process
        return {k: v for k, v in self.__dict__.items() if k != 'engine'}

    def open(self) -> Any:
        """Return what runs it."""
        raise NotImplementedError

    def translate(self, x: Tensor) -> Tensor:
        """Run it; images as in :meth:`forward`, float32."""
        raise NotImplementedError

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Translate images.

        Args:
            x (Tensor): (N, C, H, W) in [-1, 1].

        Returns:
            Tensor: The same range and device, and the same shape or, of
            super-resolution, a multiple of H and W; float32, no graph.

        Raises:
            ValueError: If the teacher gives anything else.
        """
        # a copy, as foreign code may write into it
        image = self.translate(x.to(torch.float32, copy=True))
        problem = _problem(image, x)
        if problem:
            raise ValueError(
                f'{self} gave {problem}: expected finite numbers in [-1, 1] '
                'and the shape of its input. Mend the teacher, or wrap it '
                'in a function that does so'
            )
        if image.is_inference():  # autograd refuses those, even as targets
            image = image.clone()
        return image.to(x.device, torch.float32)


def _problem(image: Any, x: Tensor) -> str | None:
    """Say what is wrong with a teacher's image, if anything is."""
    if not isinstance(image, Tensor):
        return f'a {type(image).__name__}, no tensor'
    shape = tuple(image.shape)
    scale = max(1, shape[-1] // x.shape[-1]) if len(shape) == 4 else 1  # of super-resolution
    if shape != (*x.shape[:2], *(scale * side for side in x.shape[2:])):
        return f'shape {shape} for shape {tuple(x.shape)}'
    if not image.is_floating_point():
        return f'a tensor of {image.dtype}'
    if not image.isfinite().all():
        return 'values that are no numbers'
    low, high = (v.item() for v in image.aminmax())
    if max(-low, high) > 1 + _SLACK:
        return f'values in [{low:.4g}, {high:.4g}]'
    return None


@MODELS.register_module()
class OnnxTeacher(ImageTeacher):
    """An ONNX file with one image as input, on CUDA where it is installed.

    Args:
        path (str): File that maps (N, C, H, W) in [-1, 1] to the same,
            such as ``mmgan-compress export`` writes; N is free or 1, which
            makes it run image by image. Single or half precision.
        output_name (str | None): The image, where there are more outputs.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read or has other inputs or outputs.
        ImportError: If ONNX Runtime is not installed.
    """

    def __init__(self, path: str, output_name: str | None = None):
        super().__init__()
        if not os.path.isfile(path):
            raise FileNotFoundError(
                f'no ONNX file {path!r}: mmgan-compress export makes one of a student'
            )
        self.path = str(path)
        inputs = self.engine.get_inputs()
        if len(inputs) != 1:
            raise ValueError(
                f'{path} has the inputs {[i.name for i in inputs]}: expected one image'
            )
        self._take_input(inputs[0])
        outputs = [output.name for output in self.engine.get_outputs()]
        self.output_name = output_name or outputs[0]
        if self.output_name not in outputs or len(outputs) > 1 and not output_name:
            raise ValueError(
                f'{path} has the outputs {outputs}, got '
                f'output_name={output_name!r}: name one of them'
            )

    def _take_input(self, entry):
        """Keep name, precision and the fixed sizes of the input."""
        shape = [d if isinstance(d, int) else None for d in entry.shape]
        if (
            entry.type not in _PRECISIONS
            or len(shape) != 4
            or shape[0] not in (1, None)
            or shape[1] not in (None, *IMAGE_MODES)
        ):
            raise ValueError(
                f'{self.path} takes {entry.type} of shape {entry.shape}: '
                'expected floats of shape [N, C, H, W], N free or 1, C one '
                f'of {list(IMAGE_MODES)}'
            )
        self.input_name = entry.name
        self.precision = _PRECISIONS[entry.type]
        self.one_by_one = shape[0] == 1
        self.channels = shape[1]  # None where it is free
        self.size = tuple(shape[2:])  # (H, W), None where it is free

    def extra_repr(self) -> str:
        return f'{self.path}, {self.output_name}'

    def open(self):
        runtime = require('onnxruntime', 'OnnxTeacher')
        wanted = [p for p in _PROVIDERS if p in runtime.get_available_providers()]
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # errors only
        # every process of a run would start a thread per core
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            return runtime.InferenceSession(self.path, options, providers=wanted)
        except Exception as error:
            raise ValueError(f'{self.path} cannot be opened as ONNX ({error})') from error

    def translate(self, x):
        size = tuple(x.shape[2:])
        if any(want not in (None, got) for want, got in zip(self.size, size)):
            raise ValueError(
                f'{self.path} takes images of (H, W) = {self.size}, got '
                f'{size}: export it with free sizes (mmgan-compress export '
                '--dynamic) or train at its size'
            )
        array = x.cpu().numpy().astype(self.precision)
        parts = np.split(array, len(array)) if self.one_by_one else [array]
        try:
            return torch.from_numpy(
                np.concatenate(
                    [
                        self.engine.run([self.output_name], {self.input_name: part})[0]
                        for part in parts
                    ]
                )
            )
        except Exception as error:
            raise ValueError(
                f'{self.path} failed on images of (H, W) = {size}, try another size ({error})'
            ) from error


@MODELS.register_module()
class CallableTeacher(ImageTeacher):
    """Any Python callable, such as a diffusion pipeline.

    It is called as it is, without gradients, with images on the device of
    training, and may return them on another.

    Args:
        function (str): ``'package.module:name'`` of a callable that maps a
            tensor (N, C, H, W) in [-1, 1] to the same.
        arguments (dict | None): Where given, the object of that name is a
            class or a factory, which makes the callable of them:
            ``dict(device='cuda')``, or ``dict()`` for none.

    Raises:
        ValueError: If there is no such callable.
    """

    def __init__(self, function: str, arguments: dict | None = None):
        super().__init__()
        self.function, self.arguments = function, arguments
        if not callable(self.engine) or isinstance(self.engine, type):
            raise ValueError(
                f'the teacher {function!r} with arguments={arguments} is '
                f'{self.engine!r}: expected a function of images. Give '
                'arguments=dict(...) for a class or a factory, none for the '
                'function itself'
            )

    def extra_repr(self) -> str:
        return self.function

    def open(self):
        try:
            found = pkgutil.resolve_name(self.function)
        except (ImportError, AttributeError, ValueError) as error:
            raise ValueError(
                f'cannot import the teacher {self.function!r}: {error}; expected '
                "'package.module:name', of a module on PYTHONPATH"
            ) from error
        return found if self.arguments is None else found(**self.arguments)

    def translate(self, x):
        try:
            return self.engine(x)
        except Exception as error:  # of any code
            raise ValueError(
                f'the teacher {self.function!r} failed on images of shape '
                f'{tuple(x.shape)}: {type(error).__name__}: {error}'
            ) from error


@MODELS.register_module()
class StoredTeacher(ImageTeacher):
    """A folder of images that a teacher made beforehand.

    ``mmgan-compress images`` fills the folder; the training data set
    (``teacher_images={domain: folder}``) loads its images beside their
    sources, as ``inputs['img_teacher_<domain>']``.
    """

    stored = True
    key = 'img_teacher_{domain}'  # of its images among a step's inputs

    def forward(self, x):
        raise RuntimeError(
            'StoredTeacher has no network to run: its images are loaded by '
            'the training data set, teacher_images={domain: folder}, and '
            'there are none for other images'
        )


@MODELS.register_module()
class TruthTeacher(StoredTeacher):
    """The real images of the generated domain, in paired sets.

    With it, losses of images train a generator alone, without a game: the
    first stage of SRGAN.
    """

    key = 'img_{domain}'
