"""Losses on their way to the log."""

import torch
from mmengine.hooks import RuntimeInfoHook

from ...registry import HOOKS


@HOOKS.register_module()
class LossLogHook(RuntimeInfoHook):
    """Log the losses of an iteration by one copy from the device.

    mmengine's hook, whose place it takes, copies each by itself, and every
    copy waits until a GPU has done all that it was given.
    """

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if outputs:
            device = next((v.device for v in outputs.values() if isinstance(v, torch.Tensor)), None)
            values = [torch.as_tensor(value, device=device).float() for value in outputs.values()]
            outputs = dict(zip(outputs, torch.stack([v.reshape(()) for v in values]).tolist()))
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
