"""Hooks that sample and score the sub-networks of a super-net."""

from collections.abc import Iterator

import torch
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook

from ...core.channels import recalibrate
from ...core.messages import check_choice
from ...core.search_space import RULES
from ...evaluation.report import evaluate
from ...models.supernet import SuperNet
from ...registry import HOOKS
from ..resume import unwrap


def _supernet(runner) -> SuperNet:
    """Return the student, if it is a super-net."""
    model = unwrap(runner.model)
    student = model.generators[model._default_domain]
    if not isinstance(student, SuperNet):
        needed = "generator=dict(type='mmgan_compress.SuperNet', arch=..., space=...)"
        raise ValueError(f'the student is a {type(student).__name__}: this hook needs {needed}')
    return student


@HOOKS.register_module()
class SubnetSamplingHook(Hook):
    """Choose the sub-networks that each iteration trains.

    For ``GANCompressionPix2Pix`` and ``-CycleGAN`` with a ``SuperNet``. The
    choice depends on seed and iteration alone.

    Args:
        rule (str): ``'uniform'``: one at random (published);
            ``'sandwich'``: the largest, the smallest and one at random, in
            one step, at three times the cost.

    Raises:
        ValueError: If ``rule`` is another word.
    """

    def __init__(self, rule: str = 'uniform'):
        check_choice('rule', rule, RULES)
        self.rule = rule

    def before_train(self, runner):
        self.space = _supernet(runner).space
        if not hasattr(unwrap(runner.model).distiller, 'configurations'):
            raise ValueError('SubnetSamplingHook needs a distiller of GAN Compression')

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        unwrap(runner.model).distiller.configurations = self.space.draw(
            self.rule, runner.seed or 0, runner.iter
        )


@HOOKS.register_module()
class SubnetScoresHook(Hook):
    """Score the smallest sub-network in addition to the largest.

    Ordinary validation scores the largest sub-network. The log also has the
    figures of the smallest one, as ``smallest/<figure>``; the best student
    is chosen by the largest. Batch norms are calibrated to a sub-network
    before it is scored.

    Args:
        calibration_images (int): Training images for that; GAN Compression
            takes 256 in training.
    """

    def __init__(self, calibration_images: int = 256):
        self.calibration_images = calibration_images

    def before_train(self, runner):
        _supernet(runner)

    def before_val_epoch(self, runner):
        net, model = _supernet(runner), unwrap(runner.model)
        try:
            net.set_channels(net.space.smallest)
            recalibrate(net, self._batches(runner))
            self._scores = evaluate(model, runner.val_loop.dataloader, runner.val_loop.evaluator)
        finally:
            net.set_channels(None)
        recalibrate(net, self._batches(runner))

    def after_val_epoch(self, runner, metrics=None):
        for name, value in self._scores.items():
            runner.message_hub.update_scalar(f'val/smallest/{name}', value)

    def _batches(self, runner) -> Iterator[torch.Tensor]:
        """Yield source images of the training set, the same each time."""
        model = unwrap(runner.model)
        size = runner.val_loop.dataloader.batch_size
        key = f'img_{model.source_of(model._default_domain)}'
        images = runner.train_dataloader.dataset
        count = min(self.calibration_images, len(images))
        for start in range(0, count, size):
            batch = pseudo_collate([images[i] for i in range(start, min(start + size, count))])
            yield model.data_preprocessor(batch)['inputs'][key]
