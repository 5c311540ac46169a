"""A run of an existing model for somebody else, who acts around its steps."""
import inspect
import tempfile
import uuid
from collections.abc import Callable
from typing import Any, Optional

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
_OURS, _THEIRS = ('student', 'report'), ('checkpoint', 'logger')
_SETTINGS = frozenset(inspect.signature(Runner).parameters) - {
    'model', 'work_dir', 'cfg', 'experiment_name'}
# Of these the latest that was made is the current one, everywhere: a run
# takes its own away with it.
_CURRENT = (MMLogger, MessageHub, Visualizer, DefaultScope)


class StepTasks:
    """What is done around the steps of a network's optimizer.

    Attributes:
        loss_patches (list): Functions of a loss and the batch, which return
            another loss.
        before (list): Called before a step, in this order.
        after (list): Called behind it.
        trained (set[int]): Ids of the parameters that the optimizer may
            train; others that its recipe gives it are taken out.
    """

    def __init__(self):
        self.loss_patches: list[Callable[[Tensor, Any], Tensor]] = []
        self.before: list[Callable[[], Any]] = []
        self.after: list[Callable[[], Any]] = []
        self.trained: set[int] = set()


class StepTasksHook(Hook):
    """Do tasks around the steps of the optimizer that trains a network.

    Args:
        network (nn.Module): Generator of the model.
        tasks (StepTasks): May change while the run goes on.
        steps (int | None): Steps after which the run ends; None leaves its
            length to the recipe.
    """
    priority = 'LOWEST'  # behind those that look at the optimizers

    def __init__(self, network: nn.Module, tasks: StepTasks,
                 steps: Optional[int]):
        self.network, self.tasks, self.steps = network, tasks, steps
        self.done, self.batch = 0, None

    def before_train(self, runner):
        if self.steps is not None and runner.max_iters < self.steps:
            raise ValueError(
                f'the recipe trains for {runner.max_iters} iterations and '
                f'{self.steps} steps were asked for: ask for fewer, or '
                'lengthen its schedule')
        wrapper = wrapper_of(self.network, runner.optim_wrapper)
        for group in wrapper.param_groups:
            group['params'] = [p for p in group['params']
                               if id(p) in self.tasks.trained]
        backward = wrapper.backward

        def patched(loss: Tensor, **kwargs):
            for patch in self.tasks.loss_patches:
                loss = patch(loss, self.batch)
            backward(loss, **kwargs)

        # whoever computes the loss, it comes by here; run and wrapper end
        # together
        wrapper.backward = patched
        wrapper.optimizer.register_step_pre_hook(self._before_step)
        wrapper.optimizer.register_step_post_hook(
            lambda *_: self._after_step(runner.train_loop))
        self._bar = tqdm(total=self.steps, desc='training steps')

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.batch = data_batch

    def after_train(self, runner):
        self._bar.close()

    def _before_step(self, *_):
        for task in self.tasks.before:
            task()

    def _after_step(self, loop):
        for task in self.tasks.after:
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
        return sum(id(p) in own for group in wrapper.param_groups
                   for p in group['params'])

    best = max(wrappers.values(), key=count)
    if not count(best):
        raise ValueError('none of the optimizers '
                         f'{", ".join(wrappers.keys())} trains the student: '
                         "expected one with modules=['generators']")
    return best


class IsolatedRun:
    """A Runner of an existing model, in a folder that ends with the block.

    Args:
        cfg (Config): Recipe; what it says of files to write, and of weights
            to start from, is passed over.
        model (nn.Module): Trains, or is validated.
    """

    def __init__(self, cfg: Config, model: nn.Module):
        self.cfg, self.model = cfg, model

    def __enter__(self) -> Runner:
        hooks = self.cfg.get('default_hooks') or {}
        self.cfg.default_hooks = {
            **{k: v for k, v in hooks.items() if k not in _OURS},
            **dict.fromkeys(_THEIRS)}
        self.cfg.update(load_from=None, resume=False, log_level='WARNING')
        self.folder = tempfile.TemporaryDirectory(prefix='mmgan_compress-')
        self.known = {kind: set(kind._instance_dict) for kind in _CURRENT}
        return Runner(
            model=self.model, work_dir=self.folder.name, cfg=self.cfg,
            experiment_name=uuid.uuid4().hex,
            **{k: v for k, v in self.cfg.items() if k in _SETTINGS})

    def __exit__(self, *_):
        for kind, known in self.known.items():
            for name in set(kind._instance_dict) - known:
                ended = kind._instance_dict.pop(name)
                for handler in getattr(ended, 'handlers', ()):
                    handler.close()  # else the folder cannot go on Windows
        self.folder.cleanup()
