"""Image translation as a task of mmdeploy, which has none.

Importing this registers it; a deploy config asks for that itself::

    codebase_config = dict(type='mmagic', task='ImageTranslation',
                           module=['mmgan_compress.deploy.mmdeploy_task'])

``mmdeploy.apis.torch2onnx``, ``to_backend`` and ``inference_model`` then take
the files of ``configs/deploy`` with a student's own test config
(``student.read_test_config``) and the student file as checkpoint.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn as nn
from aenum import extend_enum
from mmdeploy.codebase.base import BaseBackendModel, BaseTask
from mmdeploy.codebase.mmagic.deploy.mmagic import MMAGIC_TASK
from mmdeploy.utils import Task, get_backend
from mmengine import Config
from PIL import Image
from torch import Tensor

from ..core.inputs import input_of
from ..datasets import pictures
from ..datasets.images import read_image
from ..models.student import load_student
from .formats import FORMATS
from .graph import prepare
from .targets import TASK, Target, read_target

if TASK not in [task.value for task in Task]:
    extend_enum(Task, 'IMAGE_TRANSLATION', TASK)
# what mmdeploy's own converters make of our configs
_PRECISIONS = {'onnxruntime': ('fp32', 'fp16'), 'tensorrt': ('fp32', 'fp16')}


class TestForm(nn.Module):
    """A generator, called as mmdeploy calls models.

    Args:
        net (nn.Module): Generator.
    """

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def __setattr__(self, name: str, value: Any) -> None:
        # mmdeploy puts a function of *args around forward, to which torch's
        # exporter cannot match free dimensions; it only gives the defaults
        if name != 'forward':
            super().__setattr__(name, value)

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = 'predict') -> Tensor:
        """Map (N, C, H, W) in [-1, 1] to the same."""
        return self.net(inputs)

    def test_step(self, data: dict) -> Tensor:
        """Translate what ``create_input`` made."""
        return self(data['inputs'])


class BackendForm(BaseBackendModel):
    """A converted generator in the same form.

    Args:
        backend (Backend): mmdeploy's.
        files (Sequence[str]): The model's files.
        device (str): Where it runs.
        deploy_cfg (Config): Deploy config.
    """

    def __init__(self, backend: Any, files: Sequence[str], device: str, deploy_cfg: Config):
        super().__init__(deploy_cfg=deploy_cfg)
        self.device = device
        self.wrapper = self._build_wrapper(
            backend, files, device, [self.input_name], self.output_names, deploy_cfg
        )

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = 'predict') -> Tensor:
        """Map (N, C, H, W) in [-1, 1] to the same."""
        output = self.wrapper({self.input_name: inputs.to(self.device)})
        return output[self.output_names[0]]

    def test_step(self, data: dict) -> Tensor:
        """Translate what ``create_input`` made."""
        return self(data['inputs'])


@MMAGIC_TASK.register_module(TASK)
class ImageTranslation(BaseTask):
    """Task processor of students.

    Args:
        model_cfg (Config): A student's test config.
        deploy_cfg (Config): One of ``configs/deploy``.
        device (str): Where to convert and run.

    Raises:
        ValueError: If mmdeploy cannot write what the config asks for; it
            would write single precision without a word.
    """

    def __init__(self, model_cfg: Config, deploy_cfg: Config, device: str):
        super().__init__(model_cfg, deploy_cfg, device, TASK)
        self.target: Target = read_target(deploy_cfg)
        precisions = _PRECISIONS.get(self.target.backend, ('fp32',))
        if self.target.precision not in precisions or self.target.uint8:
            raise ValueError(
                f'mmdeploy writes {self.target.backend} as {precisions}, not '
                f'as {self.target.precision}'
                f'{" of 8-bit pictures" if self.target.uint8 else ""}: use '
                'mmgan-compress export with the same config'
            )

    def build_pytorch_model(self, model_checkpoint: str | None = None, **kwargs) -> nn.Module:
        """Build the student in the form that mmgan-compress export writes.

        Args:
            model_checkpoint (str | None): Student file.
            **kwargs: Not used.

        Raises:
            ValueError: If there is none.
        """
        if model_checkpoint is None:
            raise ValueError('expected a student file as the checkpoint')
        net = load_student(model_checkpoint)
        if input_of(net) is not None:
            raise ValueError('mmdeploy reads images only: use mmgan-compress export')
        side = net.meta['image_size']
        # no proof follows that would choose the operator where it is fine
        norms = FORMATS[self.target.backend].norms[-1:]
        return TestForm(prepare(net, side, norms)).to(self.device).eval()

    def build_backend_model(
        self,
        model_files: Sequence[str],
        data_preprocessor_updater: Callable | None = None,
        **kwargs,
    ) -> nn.Module:
        """Open a converted model."""
        return BackendForm(get_backend(self.deploy_cfg), model_files, self.device, self.deploy_cfg)

    def create_input(
        self,
        imgs: str | np.ndarray,
        input_shape: Sequence[int] | None = None,
        data_preprocessor: Any = None,
        **kwargs,
    ) -> tuple[dict, Tensor]:
        """Turn images into the input of a generator.

        Args:
            imgs (str | ndarray | Sequence): Files, or (H, W), (H, W, 3) or
                (H, W, 4), BGR as OpenCV reads them.
            input_shape (Sequence[int] | None): Width and height to resize
                to.
            data_preprocessor (Any): Not used.
            **kwargs: Not used.

        Returns:
            tuple: What ``test_step`` takes, and the input in it.
        """
        images = imgs if isinstance(imgs, (list, tuple)) else [imgs]
        steps = self.model_cfg.test_dataloader.dataset.pipeline
        channels = next((step['channels'] for step in steps if 'channels' in step), None)
        if channels is None:
            raise ValueError('mmdeploy reads images only: use mmgan-compress export')
        tensors = []
        for image in images:
            if isinstance(image, np.ndarray):
                if image.ndim == 3:
                    image = image[..., [2, 1, 0, 3][: image.shape[2]]]
                image = Image.fromarray(image)
            image = read_image(image, channels)
            if input_shape is not None:
                image = image.resize(tuple(input_shape))
            tensors.append(pictures.to_tensor(image))
        inputs = torch.cat(tensors).to(self.device)
        return dict(inputs=inputs, data_samples=None), inputs

    def visualize(self, image: Any, result: Tensor, output_file: str, *args, **kwargs) -> None:
        """Save a result as a picture."""
        Path(output_file).parent.mkdir(parents=True, exist_ok=True)
        pictures.to_picture(result).save(output_file)

    @staticmethod
    def get_partition_cfg(partition_type: str, **kwargs) -> dict:
        """Refuse: generators are of one piece."""
        raise NotImplementedError('generators are exported in one piece')

    def get_preprocess(self, *args, **kwargs) -> list[dict]:
        """Describe the input for mmdeploy's SDK."""
        return []

    def get_postprocess(self, *args, **kwargs) -> dict:
        """Describe the output for mmdeploy's SDK."""
        return {}

    def get_model_name(self, *args, **kwargs) -> str:
        """Return the name of the generator."""
        return self.model_cfg.model.generator.type.split('.')[-1].lower()
