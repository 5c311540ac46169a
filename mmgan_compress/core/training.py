"""One optimizer step, correct on one process and on many."""
from mmengine.dist import all_reduce_params, is_distributed
from torch import Tensor


def backward(wrapper, loss: Tensor):
    """Clear the gradients of an ``OptimWrapper`` and compute new ones."""
    wrapper.zero_grad()
    wrapper.backward(loss)


def step(wrapper):
    """Average gradients over the processes and step an ``OptimWrapper``.

    Translation models call their sub-networks one by one, several times and
    in phases; torch's DDP reduces only what passes through its own forward.
    Averaging here covers every schedule.
    """
    if is_distributed():
        all_reduce_params((p.grad for group in wrapper.param_groups
                           for p in group['params'] if p.grad is not None),
                          op='mean')
    wrapper.step()
    wrapper.zero_grad()


def update(wrapper, loss: Tensor):
    """Backward and step in one call."""
    backward(wrapper, loss)
    step(wrapper)
