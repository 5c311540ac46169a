"""Data-parallel training on several processes."""

import contextlib
from collections.abc import Iterator

import torch
import torch.nn as nn
from mmengine.dist import all_gather, all_reduce, broadcast, get_rank
from torch import Tensor

from ..core.training import UnevenGradients
from ..registry import MODEL_WRAPPERS


class _Gather(torch.autograd.Function):
    """Stack a tensor of each process; the gradient is that of all losses."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return torch.stack(all_gather(x.contiguous()))

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        grad = grad.clone(memory_format=torch.contiguous_format)
        all_reduce(grad)
        return grad[get_rank()]


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the images of all processes, on CPUs as well, where
    torch's ``SyncBatchNorm`` refuses. Each must have as many.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        if not self.training:
            return super().forward(x)
        values = x.float() if x.dtype in (torch.half, torch.bfloat16) else x
        with torch.autocast(x.device.type, enabled=False):
            own = torch.stack(torch.var_mean(values, (0, 2, 3), correction=0))
            variances, means = _Gather.apply(own).unbind(1)
            mean = means.mean(0)
            variance = (variances + (means - mean) ** 2).mean(0)
            if self.track_running_stats:
                self._follow(
                    mean.detach(), variance.detach(), len(means) * values.numel() // len(mean)
                )
            scale = (variance + self.eps).rsqrt()
            if self.affine:
                scale = scale * self.weight
            out = (values - mean[:, None, None]) * scale[:, None, None]
            if self.affine:
                out = out + self.bias[:, None, None]
        return out.to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: int):
        self.num_batches_tracked.add_(1)
        momentum = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), momentum)


@contextlib.contextmanager
def global_batch_norm(module: nn.Module) -> Iterator[None]:
    """Let batch norms be :class:`GlobalBatchNorm2d` inside the block."""
    norms = [m for m in module.modules() if type(m) is nn.BatchNorm2d]
    for norm in norms:
        norm.__class__ = GlobalBatchNorm2d
    try:
        yield
    finally:
        for norm in norms:
            norm.__class__ = nn.BatchNorm2d


@MODEL_WRAPPERS.register_module()
class DistributedTranslator(nn.Module):
    """Wrapper for several processes, on GPUs and on CPUs alike.

    All processes hold the same student at all times. Weights start equal,
    and ``core.training`` averages the gradients. While training, batch norm
    takes its statistics over the images of all processes, as one process
    with the whole batch would. After each step the other buffers are copied
    from rank 0.

    Args:
        module (nn.Module): The model.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module
        for tensor in [*module.parameters(), *module.buffers()]:
            broadcast(tensor.data, src=0)

    def train_step(self, *args, **kwargs):
        """Take the module's step.

        Raises:
            RuntimeError: If processes disagree about which parameters learn.
        """
        try:
            with global_batch_norm(self.module):
                log = self.module.train_step(*args, **kwargs)
        except UnevenGradients as error:
            uneven = set(error.parameters)
            names = [
                name for name, parameter in self.module.named_parameters() if parameter in uneven
            ]
            raise RuntimeError(
                f'{error}, such as {names[0]!r}: a step must use the same '
                'networks on every process, whatever its images are'
            ) from None
        for layer in self.module.modules():
            if not isinstance(layer, nn.BatchNorm2d):
                for buffer in layer.buffers(recurse=False):
                    broadcast(buffer, src=0)
        return log

    def val_step(self, *args, **kwargs):
        """Take the module's validation step."""
        return self.module.val_step(*args, **kwargs)

    def test_step(self, *args, **kwargs):
        """Take the module's test step."""
        return self.module.test_step(*args, **kwargs)
