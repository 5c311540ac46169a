"""Checkpoints from which a run continues bit-equal, in plain types."""

import contextlib
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn as nn
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ..core.checkpoints import mismatch, refuse, weights_in
from ..core.files import atomic_write
from ..core.training import held_gradients, hold_gradients
from ..registry import HOOKS
from ..renamed import update_checkpoint

_KEY = 'mmgan_compress'
_BUFFER = '__history_buffer__'


def unwrap(model):
    """Return the model inside a distributed wrapper."""
    return model.module if is_model_wrapper(model) else model


def rng_state() -> dict:
    """Return the state of all generators as tensors and plain types."""
    return dict(
        python=to_plain(random.getstate()),
        numpy=to_plain(np.random.get_state()),
        torch=torch.get_rng_state(),
        cuda=torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    )


def set_rng_state(state: dict):
    """Restore what :func:`rng_state` returned."""
    version, numbers, gauss = state['python']
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(tuple(state['numpy']))
    torch.set_rng_state(state['torch'].cpu())
    for device, own in zip(range(torch.cuda.device_count()), state['cuda']):
        torch.cuda.set_rng_state(own.cpu(), device)


@contextlib.contextmanager
def preserved_rng():
    """Leave the generators as they were before the block."""
    state = rng_state()
    try:
        yield
    finally:
        set_rng_state(state)


def to_plain(value: Any) -> Any:
    """Turn a value into what ``torch.load(weights_only=True)`` accepts."""
    if isinstance(value, HistoryBuffer):
        history, counts = value.data
        return {_BUFFER: [history.tolist(), counts.tolist(), value.max_length]}
    if isinstance(value, dict):
        return {k: to_plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return value.tolist() if isinstance(value, np.ndarray) else value


def from_plain(value: Any) -> Any:
    """Undo :func:`to_plain` for history buffers."""
    if isinstance(value, dict):
        if _BUFFER in value:
            history, counts, length = value[_BUFFER]
            return HistoryBuffer(history, counts, length)
        return {k: from_plain(v) for k, v in value.items()}
    return value


def resume_faults(checkpoint: dict, runner: Runner) -> list[str]:
    """Say what keeps a run from going on from a checkpoint.

    Args:
        checkpoint (dict): As a run of ours writes it.
        runner (Runner): That is to go on. Of its hooks those with a
            ``checkpoint_key`` need their own entry.
    """
    model = unwrap(runner.model)
    of_hooks = [hook.checkpoint_key for hook in runner.hooks if hasattr(hook, 'checkpoint_key')]
    needed = ('state_dict', 'optimizer', 'message_hub', 'meta', _KEY, *of_hooks)
    lacking = [key for key in needed if key not in checkpoint]
    if lacking:
        return [
            f'it holds no {", no ".join(lacking)}, so that the run would begin anew: resume from '
            'an iter_N.pth of this recipe, or start a new run with --cfg-options load_from=...'
        ]
    own = model.distiller.training_state()
    compared = [
        ('was written by', checkpoint[_KEY].get('method'), model.distiller.method),
        ('remembers', sorted(checkpoint[_KEY]['distiller']), sorted(own)),
        ('has the optimizers', sorted(checkpoint['optimizer']), _optimizers(runner.optim_wrapper)),
    ]
    faults = [
        f'it {what} {there}, the recipe has {here}'
        for what, there, here in compared
        if there and here and there != here
    ]
    differs = mismatch(model.state_dict(), weights_in(checkpoint))
    return [*faults, differs] if differs else faults


def start_faults(checkpoint: dict, model: nn.Module) -> list[str]:
    """Say what keeps a run from starting with a file's weights.

    The student must be there; of the other networks (the distiller's) a
    file has all or none.

    Args:
        checkpoint (dict): Student file, or checkpoint.
        model (DistillationModel): Takes the weights.
    """
    own, found = model.state_dict(), weights_in(checkpoint)
    both = {key.split('.')[0] for key in found} & {key.split('.')[0] for key in own}
    tops = both | {'generators'}
    differs = mismatch({k: v for k, v in own.items() if k.split('.')[0] in tops}, found)
    return [differs] if differs else []


def _optimizers(wrappers: Any) -> list[str] | None:
    """Return the names of several optimizers, built or to be built."""
    if not hasattr(wrappers, 'items') or 'optimizer' in wrappers:
        return None
    return sorted(name for name, value in wrappers.items() if not isinstance(value, str))


class AtomicBackend(LocalBackend):
    """Files of mmengine's that appear whole or not at all.

    Of mmengine's hooks by ``backend_args=dict(backend='atomic')``: else a
    full disk or the end of the process leaves a part of a checkpoint.
    """

    def put(self, obj: bytes, filepath: str | Path):
        """Write bytes."""
        with atomic_write(filepath) as part:
            part.write_bytes(obj)


register_backend('atomic', AtomicBackend)


@HOOKS.register_module()
class TrainingStateHook(Hook):
    """Put into checkpoints what mmengine leaves out, and take it back.

    That is: the generators of random numbers, the distiller's own state
    (image buffers, best-teacher score) and the gradients that wait for
    further iterations (``accumulative_counts``), on several processes those
    of rank 0. The message hub is written in plain
    types, so that a checkpoint of ours loads with ``weights_only=True``.
    """

    # before LoggerHook and CheckpointHook read what it restores
    priority = 'VERY_HIGH'

    def __init__(self):
        self._pending = None

    def before_save_checkpoint(self, runner, checkpoint: dict):
        checkpoint['message_hub'] = to_plain(checkpoint['message_hub'])
        checkpoint['meta'] = to_plain(checkpoint['meta'])
        model = unwrap(runner.model)
        checkpoint[_KEY] = dict(
            rng=rng_state(),
            method=model.distiller.method,
            gradients={
                name: held
                for name, wrapper in runner.optim_wrapper.items()
                if (held := held_gradients(wrapper))
            },
            distiller=model.distiller.training_state(),
        )

    def after_load_checkpoint(self, runner, checkpoint: dict):
        """Refuse what mmengine would load in part.

        Raises:
            ValueError: If a run cannot go on from it, or start with it.
        """
        update_checkpoint(checkpoint)
        faults = (
            resume_faults(checkpoint, runner)
            if runner._resume
            else start_faults(checkpoint, unwrap(runner.model))
        )
        refuse([f'the checkpoint does not fit: {fault}' for fault in faults])
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = from_plain(checkpoint['message_hub'])
        self._pending = checkpoint.get(_KEY) if runner._resume else None

    def before_train(self, runner):
        if self._pending is not None:
            unwrap(runner.model).distiller.load_training_state(self._pending['distiller'])
            for name, held in self._pending.get('gradients', {}).items():
                hold_gradients(runner.optim_wrapper[name], held)
            set_rng_state(self._pending['rng'])  # last: loaders draw as well
            self._pending = None
