"""VGG features for perceptual and style losses."""

import json
import logging
import os
from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor

from ..core.tensor_files import load_tensors
from ..datasets.weights import weights_path
from ..registry import MODELS
from .blocks import imagenet_normalized


def _widths(*stages: int) -> dict[int, int]:
    """Return the widths of the convolutions by torchvision's ``features.N``;
    a pooling layer stands between two stages.
    """
    widths, index = {}, 0
    for width, count in zip((64, 128, 256, 512, 512), stages):
        widths.update({index + 2 * i: width for i in range(count)})
        index += 2 * count + 1
    return widths


@MODELS.register_module()
class VGG16Features(nn.Module):
    """VGG-16 up to relu4_3, frozen.

    Input is mapped to [0, 1] and, as in OMGD, CRD and GAN Slimming, *not*
    normalised with ImageNet's mean and deviation: their loss weights are
    tuned to that. A grey image is repeated, of RGBA it sees RGB. The weights
    are buffers that no checkpoint of the model holds, since they never
    change.

    Args:
        weights (str): ``'imagenet'`` (prepared by
            ``mmgan-compress weights vgg16``), a path to a state dict with
            torchvision's names, or ``'random'`` (for tests: every report
            states it).
        bfloat16 (bool): Compute in bfloat16, for processors that do;
            features are float32 all the same.

    Raises:
        FileNotFoundError: If the weights are not there; names the command.
        ChecksumError: If they are damaged; names the command.
    """

    widths = _widths(2, 2, 3, 3)
    tapped = (2, 7, 14, 21)  # convolutions in front of relu1_2 ... relu4_3

    def __init__(self, weights: str = 'imagenet', bfloat16: bool = False):
        super().__init__()
        self.bfloat16 = bfloat16
        self.note = self._note(weights)
        state = self._random() if weights == 'random' else self._read(weights)
        for index in self.widths:
            for part in ('weight', 'bias'):
                self.register_buffer(
                    f'{part}_{index}', state[f'features.{index}.{part}'].float(), persistent=False
                )

    def keep(self, count: int):
        """Compute the first ``count`` features only."""
        self.tapped = self.tapped[:count]

    @staticmethod
    def _note(weights: str) -> str:
        """Return what results must state of the weights, or ''."""
        if weights == 'random':
            return 'RANDOM weights'
        if weights != 'imagenet':
            return f'weights of {os.path.basename(weights)}'
        record = weights_path('vgg16').with_suffix('.json')
        known = not record.is_file() or json.loads(record.read_text()).get('imagenet', True)
        return '' if known else 'prepared from a file, not known as ImageNet'

    @staticmethod
    def _read(weights: str) -> dict:
        path = weights_path('vgg16') if weights == 'imagenet' else weights
        return load_tensors(path)

    @classmethod
    def _random(cls) -> dict:
        print_log(
            'The perceptual network has RANDOM weights: results are '
            'not comparable with published ones.',
            'current',
            logging.WARNING,
        )
        state, channels = {}, 3
        for index, width in cls.widths.items():
            kernel = torch.empty(width, channels, 3, 3)
            state[f'features.{index}.weight'] = nn.init.kaiming_normal_(kernel)
            state[f'features.{index}.bias'] = torch.zeros(width)
            channels = width
        return state

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the features, of VGG-16 relu1_2, relu2_2, relu3_3 and
        relu4_3, of (N, C, H, W) in [-1, 1].
        """
        x, features = image[:, :3].expand(-1, 3, -1, -1), []
        x = self.prepared(x)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bfloat16):
            for index in self.widths:
                if index and index - 2 not in self.widths:
                    x = F.max_pool2d(x, 2)
                weight, bias = (getattr(self, f'{part}_{index}') for part in ('weight', 'bias'))
                x = F.relu(F.conv2d(x, weight, bias, padding=1), inplace=True)
                if index in self.tapped:
                    features.append(x.float())
                if len(features) == len(self.tapped):
                    break
        return features

    def prepared(self, image: Tensor) -> Tensor:
        """Return RGB images in [-1, 1] as the first layer sees them."""
        return (image + 1) / 2


@MODELS.register_module()
class VGG19Features(VGG16Features):
    """VGG-19, by default at relu5_4 of images with ImageNet's mean and
    deviation: SRGAN.

    Args:
        weights (str): A path to a state dict with torchvision's names, such
            as its ``vgg19-dcbb9e9d.pth``, or ``'random'``.
        bfloat16 (bool): As of :class:`VGG16Features`.
        tapped (Sequence[int]): The convolutions in front of the features, by
            torchvision's ``features.N``. GauGAN has ``[0, 5, 10, 19, 28]``,
            relu1_1 to relu5_1.
        normalized (bool): False for images as they are, in [-1, 1], as
            GauGAN shows them.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If there is no such convolution.
    """

    widths = _widths(2, 2, 4, 4, 4)

    def __init__(
        self,
        weights: str,
        bfloat16: bool = False,
        tapped: Sequence[int] = (34,),
        normalized: bool = True,
    ):
        super().__init__(weights, bfloat16)
        if unknown := set(tapped) - self.widths.keys():
            raise ValueError(f'VGG-19 has no convolution features.{unknown.pop()}')
        self.tapped, self.normalized = tuple(tapped), normalized

    def prepared(self, image):
        return imagenet_normalized(image) if self.normalized else image
