"""Data-parallel training of models that step in parts."""
import torch.nn as nn
from mmengine.dist import broadcast

from ..registry import MODEL_WRAPPERS


@MODEL_WRAPPERS.register_module()
class DistributedTranslator(nn.Module):
    """Wrapper for several processes, on GPUs and on CPUs alike.

    Weights start equal on all processes; ``core.training.step`` averages the
    gradients. Batch-norm statistics stay those of each process, and rank
    0's are the ones that are saved, as with ``broadcast_buffers=False``.

    Args:
        module (nn.Module): The host model.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module
        for tensor in [*module.parameters(), *module.buffers()]:
            broadcast(tensor.data, src=0)

    def train_step(self, *args, **kwargs):
        """Take the module's step."""
        return self.module.train_step(*args, **kwargs)

    def val_step(self, *args, **kwargs):
        """Take the module's validation step."""
        return self.module.val_step(*args, **kwargs)

    def test_step(self, *args, **kwargs):
        """Take the module's test step."""
        return self.module.test_step(*args, **kwargs)
