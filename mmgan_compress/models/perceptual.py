"""VGG-16 features for perceptual and style losses."""

import json
import logging
import os

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor

from ..core.tensor_files import load_tensors
from ..datasets.weights import weights_path
from ..registry import MODELS

# Widths of the convolutions up to relu4_3, by torchvision's `features.N`; a
# pooling layer stands wherever the next index skips one (architectures.md
# section 13). The ReLU behind a layer in `TAPPED` is a tap.
_WIDTHS = {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256, 17: 512, 19: 512, 21: 512}
_POOL_BEFORE = (5, 10, 17)
TAPPED = {2: 'relu1_2', 7: 'relu2_2', 14: 'relu3_3', 21: 'relu4_3'}


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

    def __init__(self, weights: str = 'imagenet', bfloat16: bool = False):
        super().__init__()
        self.bfloat16 = bfloat16
        self.note = self._note(weights)
        state = self._random() if weights == 'random' else self._read(weights)
        for index in _WIDTHS:
            for part in ('weight', 'bias'):
                self.register_buffer(
                    f'{part}_{index}', state[f'features.{index}.{part}'].float(), persistent=False
                )

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

    @staticmethod
    def _random() -> dict:
        print_log(
            'The perceptual network has RANDOM weights: results are '
            'not comparable with published ones.',
            'current',
            logging.WARNING,
        )
        state, channels = {}, 3
        for index, width in _WIDTHS.items():
            kernel = torch.empty(width, channels, 3, 3)
            state[f'features.{index}.weight'] = nn.init.kaiming_normal_(kernel)
            state[f'features.{index}.bias'] = torch.zeros(width)
            channels = width
        return state

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return relu1_2, relu2_2, relu3_3, relu4_3 of (N, C, H, W) in
        [-1, 1].
        """
        x, features = (image[:, :3].expand(-1, 3, -1, -1) + 1) / 2, []
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bfloat16):
            for index in _WIDTHS:
                if index in _POOL_BEFORE:
                    x = F.max_pool2d(x, 2)
                weight, bias = (getattr(self, f'{part}_{index}') for part in ('weight', 'bias'))
                x = F.relu(F.conv2d(x, weight, bias, padding=1), inplace=True)
                if index in TAPPED:
                    features.append(x.float())
        return features
