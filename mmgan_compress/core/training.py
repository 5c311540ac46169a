"""One optimizer step, correct on one process and on many."""

import contextlib
import functools
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.distributed as dist
import torch.nn as nn
from mmengine.dist import all_reduce, get_world_size, is_distributed
from torch import Tensor

# Bytes of gradients that are sent at once: the default of torch's DDP.
_BUCKET = 25 * 2**20


@contextlib.contextmanager
def frozen(*modules: nn.Module):
    """Keep gradients from parameters, not from what passes through them.

    For the forward passes inside the block; parameters that were frozen
    before stay so behind it.
    """
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


class UnevenGradients(RuntimeError):
    """Some processes have a gradient that others lack.

    Args:
        parameters (list[nn.Parameter]): Whose.
    """

    def __init__(self, parameters: list[nn.Parameter]):
        super().__init__(f'{len(parameters)} parameters have a gradient on some processes only')
        self.parameters = parameters


def _check_even(parameters: Sequence[nn.Parameter], flags: list[bool]):
    """Refuse flags of parameters that differ between processes."""
    count = torch.tensor(flags, dtype=torch.int32)
    all_reduce(count)
    uneven = [p for p, number in zip(parameters, count.tolist()) if 0 < number < get_world_size()]
    if uneven:
        raise UnevenGradients(uneven)


@functools.cache
def _group() -> Any:
    """Return a process group for gradients alone: what else is sent during
    a backward pass (batch norm's statistics) cannot come between them.
    """
    return dist.new_group()


def _buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Yield neighbours of ``_BUCKET`` bytes together, or a little more."""
    bucket, size = [], 0
    for parameter in parameters:
        bucket.append(parameter)
        size += parameter.numel() * parameter.element_size()
        if size >= _BUCKET:
            yield bucket
            bucket, size = [], 0
    if bucket:
        yield bucket


class _Average:
    """Replaces gradients by their mean over the processes.

    Buckets of them are sent while the backward pass computes the others. All
    processes send all buckets in one order, with zeros for a gradient that
    is not there: they never wait for each other in vain.

    Args:
        parameters (list[nn.Parameter]): The same on all processes, those
            whose gradients come first last.
    """

    def __init__(self, parameters: list[nn.Parameter]):
        self.parameters = parameters
        self.buckets = list(_buckets(parameters[::-1]))
        self.place = {p: i for i, bucket in enumerate(self.buckets) for p in bucket}
        self.awaited: list[int] = []
        self.sent: list[tuple[Tensor, Any]] = []
        self.hooks = [p.register_post_accumulate_grad_hook(self._arrived) for p in parameters]

    def remove(self):
        """Leave the parameters."""
        for hook in self.hooks:
            hook.remove()

    @contextlib.contextmanager
    def sending(self):
        """Send the gradients that a backward pass in the block completes."""
        self.awaited, self.sent = list(map(len, self.buckets)), []
        yield
        self.awaited = []
        while len(self.sent) < len(self.buckets):
            self._send()
        _check_even(self.parameters, [p.grad is not None for p in self.parameters])

    def _arrived(self, parameter: nn.Parameter):
        if not self.awaited:  # an earlier pass of the group
            return
        self.awaited[self.place[parameter]] -= 1
        while len(self.sent) < len(self.buckets) and not self.awaited[len(self.sent)]:
            self._send()

    def _send(self):
        flat = torch.cat(
            [
                (torch.zeros_like(p) if p.grad is None else p.grad).flatten()
                for p in self.buckets[len(self.sent)]
            ]
        )
        self.sent.append((flat, dist.all_reduce(flat, group=_group(), async_op=True)))

    def receive(self):
        """Wait for the means and put them into the gradients."""
        for bucket, (flat, work) in zip(self.buckets, self.sent):
            work.wait()
            flat.div_(get_world_size())
            for p, mean in zip(bucket, flat.split([p.numel() for p in bucket])):
                if p.grad is not None:
                    p.grad.copy_(mean.view_as(p))


class _Group:
    """The backward passes since the last step of one optimizer."""

    def __init__(self):
        self.passes, self.due = 0, False
        self._average: _Average | None = None

    def average(self, parameters: list[nn.Parameter]) -> _Average:
        """Return what averages the gradients of parameters; it is made
        again where others learn than before.
        """
        before = self._average
        if before is None or list(map(id, before.parameters)) != list(map(id, parameters)):
            if before is not None:
                before.remove()
            before = self._average = _Average(parameters)
        return before


_groups: MutableMapping[Any, _Group] = WeakKeyDictionary()


def _group_of(wrapper) -> _Group:
    return _groups.setdefault(wrapper, _Group())


def _parameters(wrapper) -> list[nn.Parameter]:
    return [p for group in wrapper.param_groups for p in group['params']]


def _learning(wrapper) -> list[nn.Parameter]:
    return [p for p in _parameters(wrapper) if p.requires_grad]


def accumulated(wrapper) -> int:
    """Return ``accumulative_counts`` of an ``OptimWrapper``: the number of
    backward passes per step.
    """
    return round(1 / float(wrapper.scale_loss(torch.ones(()))))


def passes_held(wrapper) -> int:
    """Return how many backward passes its next step has by now."""
    return _group_of(wrapper).passes


def backward(wrapper, loss: Tensor | int, *others):
    """Add the gradients of a loss to those that an ``OptimWrapper`` holds.

    Only its own parameters get any. Where this pass completes its group of
    ``accumulative_counts``, :func:`step` will step; in a group losses are
    averaged. Computes none where nothing is to be learnt: every loss is
    switched off, or every network frozen.

    On several processes the gradients of a complete group are averaged over
    them, beginning in the backward pass. Translation models call their
    sub-networks one by one, several times and in phases; torch's DDP reduces
    only what passes through its own forward.

    Args:
        wrapper (OptimWrapper): Optimizer; scales the loss under AMP.
        loss (Tensor | int): A scalar.
        others (OptimWrapper): Optimizers of further parameters that learn by
            the same pass.

    Raises:
        UnevenGradients: If a parameter gets a gradient on some processes
            only.
        ValueError: If the optimizers accumulate differently.
    """
    wrappers, size = (wrapper, *others), accumulated(wrapper)
    if any(accumulated(other) != size for other in others):
        raise ValueError(
            'optimizers that share a backward pass need the '
            'same accumulative_counts, got '
            f'{list(map(accumulated, wrappers))}'
        )
    learns = isinstance(loss, Tensor) and loss.requires_grad
    if is_distributed():
        every = [p for w in wrappers for p in _parameters(w)]
        _check_even(every, [learns and p.requires_grad for p in every])
    parameters = [p for w in wrappers for p in _learning(w)]
    if not learns or not parameters:
        return
    with contextlib.ExitStack() as stack:
        for each in wrappers:
            group = _group_of(each)
            group.passes += 1
            group.due = group.passes == size
            if group.due and is_distributed():
                stack.enter_context(group.average(_learning(each)).sending())
        wrapper.backward(wrapper.scale_loss(loss), inputs=parameters)


def step(wrapper):
    """Step an ``OptimWrapper`` if its group of backward passes is complete."""
    group = _group_of(wrapper)
    if not group.due:
        return
    if is_distributed():
        group.average(_learning(wrapper)).receive()
    # a gradient scaler refuses a step without any
    if any(p.grad is not None for p in _parameters(wrapper)):
        wrapper.step()
        wrapper.zero_grad()
    group.passes, group.due = 0, False


def update(wrapper, loss: Tensor | int, *others):
    """Backward and step in one call; the others step first."""
    backward(wrapper, loss, *others)
    for each in (*others, wrapper):
        step(each)


def step_rest(wrapper):
    """Step with the mean of a group that stays incomplete, if there is one."""
    group = _group_of(wrapper)
    if not group.passes:
        return
    for parameter in _parameters(wrapper):
        if parameter.grad is not None:
            parameter.grad.mul_(accumulated(wrapper) / group.passes)
    group.due = True
    if is_distributed():
        with group.average(_learning(wrapper)).sending():
            pass
    step(wrapper)


def held_gradients(wrapper) -> dict:
    """Return what an incomplete group holds, for a checkpoint.

    Returns:
        dict: ``passes`` and, by the parameter's place in the optimizer,
        ``gradients``; empty between two groups.
    """
    return (
        {}
        if not passes_held(wrapper)
        else dict(
            passes=passes_held(wrapper),
            gradients={
                index: p.grad for index, p in enumerate(_parameters(wrapper)) if p.grad is not None
            },
        )
    )


def hold_gradients(wrapper, state: dict):
    """Take back :func:`held_gradients`."""
    parameters = _parameters(wrapper)
    _group_of(wrapper).passes = state['passes']
    for index, gradient in state['gradients'].items():
        parameters[index].grad = gradient.to(parameters[index])


def global_mean(value: Tensor) -> Tensor:
    """Return the mean over the processes with the own share's gradient.

    For what is not linear in a mean over the batch (a root, an absolute
    value): gradients are averaged, so the result is then that of one process
    with the whole batch.
    """
    if not is_distributed():
        return value
    total = value.detach().clone()
    all_reduce(total, op='mean')
    return value + (total - value.detach())
