"""Losses on their way to the log."""

from types import SimpleNamespace
from unittest import mock

import torch
from mmengine.logging import MessageHub

from mmgan_compress.engine.hooks import LossLogHook


def test_one_copy_for_all_losses():
    hub = MessageHub('test_one_copy_for_all_losses')
    outputs = dict(loss_a=torch.tensor(1.5), share=torch.tensor([0.25]), fixed=2.0)
    with mock.patch.object(torch.Tensor, 'item', side_effect=AssertionError):
        LossLogHook().after_train_iter(SimpleNamespace(message_hub=hub), 0, outputs=outputs)
        LossLogHook().after_train_iter(SimpleNamespace(message_hub=hub), 0, outputs={})
    logged = {name: buffer.current() for name, buffer in hub.log_scalars.items()}
    assert logged == {'train/loss_a': 1.5, 'train/share': 0.25, 'train/fixed': 2.0}
