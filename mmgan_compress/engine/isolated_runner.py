"""A Runner of an existing model that leaves no files and no state."""

import contextlib
import inspect
import tempfile
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import torch.nn as nn
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from torch import Tensor
from tqdm import tqdm

# Hooks of configs/_base_/runtime.py that write files. The last two are
# mmengine's own, which None switches off.
_OURS, _THEIRS = ('student', 'report', 'progress'), ('checkpoint', 'logger')
_OWN = {'model', 'work_dir', 'cfg', 'experiment_name'}
_SETTINGS = inspect.signature(Runner).parameters.keys() - _OWN
# Of these the latest that was made is the current one, everywhere: a run
# takes its own away with it.
_CURRENT = (MMLogger, MessageHub, Visualizer, DefaultScope)


class StepTasksHook(Hook):
    """Do tasks around the steps of the optimizer that trains a network.

    One hook serves several runs, one after the other.

    Args:
        network (nn.Module): Generator of the model.

    Attributes:
        loss_patches (list): Functions of a loss and the batch, which return
            another loss.
        before (list): Functions to call before a step, in this order.
        after (list): Functions to call after it.
        trained (set[int]): Ids of the parameters that the optimizer may
            train; others that its recipe gives it are taken out.
        steps (int | None): Steps after which a run ends; None leaves its
            length to the recipe.
        done (int): Steps of the latest run.
    """

    priority = 'LOWEST'  # behind those that look at the optimizers

    def __init__(self, network: nn.Module):
        self.network, self.steps, self.batch = network, None, None
        self.loss_patches: list[Callable[[Tensor, Any], Tensor]] = []
        self.before: list[Callable[[], Any]] = []
        self.after: list[Callable[[], Any]] = []
        self.trained: set[int] = set()
        self.done = 0

    def before_train(self, runner):
        if self.steps is not None and runner.max_iters < self.steps:
            raise ValueError(
                f'the recipe trains for {runner.max_iters} iterations and '
                f'{self.steps} steps were asked for: ask for fewer, or '
                'lengthen its schedule'
            )
        self.done = 0
        wrapper = wrapper_of(self.network, runner.optim_wrapper)
        for group in wrapper.param_groups:
            group['params'] = [p for p in group['params'] if id(p) in self.trained]
        backward = wrapper.backward

        def patched(loss: Tensor, **kwargs):
            for patch in self.loss_patches:
                loss = patch(loss, self.batch)
            backward(loss, **kwargs)

        # whoever computes the loss, it comes by here; run and wrapper end
        # together
        wrapper.backward = patched
        wrapper.optimizer.register_step_pre_hook(self._before_step)
        wrapper.optimizer.register_step_post_hook(lambda *_: self._after_step(runner.train_loop))
        self._bar = tqdm(total=self.steps, desc='training steps')

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.batch = data_batch

    def after_train(self, runner):
        self._bar.close()

    def _before_step(self, *_):
        for task in self.before:
            task()

    def _after_step(self, loop):
        for task in self.after:
            task()
        self.done += 1
        self._bar.update()
        if self.done == self.steps:
            loop.stop_training = True


def wrapper_of(network: nn.Module, wrappers):
    """Return the optimizer wrapper that trains a network.

    Args:
        network (nn.Module): Part of the model.
        wrappers (OptimWrapperDict): Of the run.

    Returns:
        OptimWrapper: The one with most of its parameters.

    Raises:
        ValueError: If none has any.
    """
    own = {id(p) for p in network.parameters()}

    def count(wrapper) -> int:
        return sum(id(p) in own for group in wrapper.param_groups for p in group['params'])

    best = max(wrappers.values(), key=count)
    if not count(best):
        raise ValueError(
            f'none of the optimizers {", ".join(wrappers.keys())} trains the student: expected '
            "one with modules=['generators']"
        )
    return best


@contextlib.contextmanager
def isolated_run(cfg: Config, model: nn.Module) -> Iterator[Runner]:
    """Build a Runner of an existing model in a temporary folder.

    Folder, logger and message hub go when the block ends.

    Args:
        cfg (Config): Recipe, which is changed: files to write and weights to
            start from are taken out.
        model (nn.Module): Trains, or is validated.
    """
    hooks = {k: v for k, v in (cfg.get('default_hooks') or {}).items() if k not in _OURS}
    cfg.default_hooks = {**hooks, **dict.fromkeys(_THEIRS)}
    cfg.update(load_from=None, resume=False, log_level='WARNING')
    known = {kind: set(kind._instance_dict) for kind in _CURRENT}
    with tempfile.TemporaryDirectory(prefix='mmgan_compress-') as folder:
        try:
            settings = {k: v for k, v in cfg.items() if k in _SETTINGS}
            yield Runner(model, folder, cfg=cfg, experiment_name=uuid.uuid4().hex, **settings)
        finally:
            for kind, names in known.items():
                for name in set(kind._instance_dict) - names:
                    ended = kind._instance_dict.pop(name)
                    for handler in getattr(ended, 'handlers', ()):
                        handler.close()  # or Windows keeps the folder
