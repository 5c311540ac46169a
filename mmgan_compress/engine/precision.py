"""Mixed precision on processors, where mmengine's asks for a GPU."""

import contextlib

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from ..core.processors import has_bfloat16
from ..registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """Let networks compute in bfloat16 on a CPU.

    It has the range of float32: gradients need no scale.
    """

    @contextlib.contextmanager
    def optim_context(self, model):
        """Let what runs inside the block compute in bfloat16."""
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16):
            yield


def use_amp(cfg: Config):
    """Switch every optimizer to mixed precision.

    On a CPU the perceptual network computes in bfloat16 as well.

    Args:
        cfg (Config): Of a recipe; changed in place.

    Raises:
        ValueError: If there is neither a CUDA device nor a processor that
            computes in bfloat16.
    """
    kind = 'AmpOptimWrapper'
    if not torch.cuda.is_available():
        if not has_bfloat16():
            raise ValueError(
                '--amp needs a CUDA device, or a processor with bfloat16 (avx512_bf16, amx_bf16), '
                'and neither was found: leave it out'
            )
        kind = 'mmgan_compress.CPUAmpOptimWrapper'
        perceptual = cfg.model.distiller.get('perceptual') or dict(
            type='mmgan_compress.VGG16Features'
        )
        if str(perceptual['type']).endswith('VGG16Features'):
            cfg.model.distiller.perceptual = dict(perceptual, bfloat16=True)
    for value in cfg.optim_wrapper.values():
        if isinstance(value, dict):
            value.type = kind
