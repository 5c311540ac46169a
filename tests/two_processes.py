"""Assertions about the gradients of two processes.

``tests/train_recipes.py`` makes them behind its trainings; alone:
torchrun --nproc_per_node 2 tests/two_processes.py
"""

import copy
import sys
from pathlib import Path
from unittest import mock

import torch
import torch.distributed as dist
import torch.nn as nn
from mmengine.dist import all_gather, get_rank
from mmengine.optim import OptimWrapper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmgan_compress.core import training  # noqa: E402
from mmgan_compress.engine.distributed import DistributedTranslator, global_batch_norm  # noqa: E402
from mmgan_compress.models.generators import DeepUnetGenerator  # noqa: E402


def sgd(net, **kwargs):
    return OptimWrapper(torch.optim.SGD(net.parameters(), lr=0.1), **kwargs)


def chain():
    """Return five layers, one of which is frozen, and one that is unused."""
    torch.manual_seed(0)
    net = nn.Sequential(*(nn.Linear(8, 8) for _ in range(6))).double()
    net[1].requires_grad_(False)
    return net


def loss_of(net, x):
    return net[:5](x).tanh().square().mean()


def data(count, *shape):
    torch.manual_seed(1)
    return torch.rand(count, *shape, dtype=torch.double) * 2 - 1


def own(x):
    """Return this process's half of a batch."""
    return x.chunk(2)[get_rank()]


def buckets_leave_during_the_backward_pass():
    """They hold the mean of both processes, bit by bit; what is frozen or
    unused has no gradient, and no part in it."""
    net, alone, x, early = chain(), chain(), own(data(4, 8)), []
    send = dist.all_reduce

    def spy(*args, **kwargs):
        if kwargs.get('async_op'):
            early.append(net[0].weight.grad is None)
        return send(*args, **kwargs)

    loss_of(alone, x).backward()
    wrapper = sgd(net)
    with (
        mock.patch.object(training, '_BUCKET', 8 * 8 * 8),
        mock.patch.object(dist, 'all_reduce', spy),
    ):
        net[5].requires_grad_(False)
        training.backward(wrapper, loss_of(net, x))
        assert early == [True, True, True, False]
        net[5].requires_grad_(True)  # others learn: buckets are made anew
        wrapper.zero_grad()
        training._group_of(wrapper).passes = 0
        training.backward(wrapper, loss_of(net, x))
    with mock.patch.object(wrapper, 'step'), mock.patch.object(wrapper, 'zero_grad'):
        training.step(wrapper)
    for p, q in zip(net.parameters(), alone.parameters()):
        assert (p.grad is None) == (q.grad is None)
        if q.grad is not None:
            assert torch.equal(p.grad, sum(all_gather(q.grad)) / 2)


def only_the_last_pass_of_a_group_is_sent():
    """And two passes of two processes are one with the whole batch."""
    net, alone, x = chain(), chain(), data(8, 8)
    wrapper = sgd(net, accumulative_counts=2)
    optimizer = torch.optim.SGD(alone.parameters(), lr=0.1)
    for _ in range(2):
        for part in own(x).chunk(2):
            with mock.patch.object(dist, 'all_reduce', wraps=dist.all_reduce) as send:
                training.update(wrapper, loss_of(net, part))
            asynchronous = [call for call in send.call_args_list if call.kwargs.get('async_op')]
            assert bool(asynchronous) == (not training.passes_held(wrapper))
        optimizer.zero_grad()
        loss_of(alone, x).backward()
        optimizer.step()
    training.update(wrapper, loss_of(net, own(x)))
    training.step_rest(wrapper)
    optimizer.zero_grad()
    loss_of(alone, x).backward()
    optimizer.step()
    for p, q in zip(net.parameters(), alone.parameters()):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-12)


def optimizers_are_apart():
    """Two passes before two steps; one's loss reaches the other's network."""
    nets, alone, x = (chain(), chain()), (chain(), chain()), own(data(4, 8))
    wrappers = [sgd(net) for net in nets]
    losses = [loss_of(nets[0], x), loss_of(nets[1], nets[0](x)) / 3]
    for wrapper, loss in zip(wrappers, losses):
        training.backward(wrapper, loss)
    for wrapper in wrappers:
        training.step(wrapper)
    a, b = alone
    losses = [loss_of(a, x), loss_of(b, a(x).detach()) / 3]
    for net, loss in zip(alone, losses):
        loss.backward()
        for p in net.parameters():
            if p.grad is not None:
                p.data -= 0.1 * (sum(all_gather(p.grad)) / 2)
    for net, other in zip(nets, alone):
        for p, q in zip(net.parameters(), other.parameters()):
            torch.testing.assert_close(p, q, rtol=0, atol=1e-14)


class Uneven(nn.Module):
    """Its processes do not learn the same."""

    def __init__(self, kind):
        super().__init__()
        self.net, self.kind = chain(), kind

    def train_step(self, x, wrapper):
        odd, net = bool(get_rank()), self.net
        if self.kind == 'frozen':
            net[2].requires_grad_(odd)
        loss = loss_of(net, x)
        if self.kind == 'unused' and odd:
            loss = loss + net[5](x).mean()
        training.update(wrapper, 0 if self.kind == 'no loss' and odd else loss)


def disagreement_is_an_error():
    """On all processes, which can go on speaking to each other."""
    for kind, name in (
        ('unused', "'net.5.weight'"),
        ('no loss', "'net.0."),
        ('frozen', "'net.2.weight'"),
    ):
        model = DistributedTranslator(Uneven(kind))
        try:
            model.train_step(own(data(4, 8)), sgd(model.module.net))
        except RuntimeError as error:
            assert name in str(error) and 'every process' in str(error)
        else:
            raise AssertionError(f'{kind}: no error')
        assert len(all_gather(torch.zeros(1))) == 2


def batch_norm_is_that_of_the_whole_batch():
    """In forward, backward and running statistics, at one image each."""
    torch.manual_seed(0)
    net = DeepUnetGenerator(num_down=5, base_channels=4).double()
    net.init_weights()
    alone, x = copy.deepcopy(net), data(2, 3, 64, 64)
    wrapper = sgd(net)
    with global_batch_norm(net):
        for _ in range(2):
            training.update(wrapper, net(own(x)).square().mean())
    assert not any('Global' in type(m).__name__ for m in net.modules())
    optimizer = torch.optim.SGD(alone.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        alone(x).square().mean().backward()
        optimizer.step()
    for (key, a), b in zip(net.state_dict().items(), alone.state_dict().values()):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9, msg=key)


def buffers_are_those_of_rank_0():
    """Of a norm that averages over one process's images, say."""

    class Model(nn.Sequential):
        def train_step(self, x):
            return self(x)

    model = DistributedTranslator(Model(nn.InstanceNorm2d(3, track_running_stats=True)).double())
    model.train_step(own(data(4, 3, 8, 8)))
    a, b = all_gather(model.module[0].running_mean)
    assert torch.equal(a, b) and a.any()


CHECKS = (
    buckets_leave_during_the_backward_pass,
    only_the_last_pass_of_a_group_is_sent,
    optimizers_are_apart,
    disagreement_is_an_error,
    batch_norm_is_that_of_the_whole_batch,
    buffers_are_those_of_rank_0,
)

if __name__ == '__main__':
    torch.set_num_threads(1)
    dist.init_process_group('gloo')
    for check in CHECKS:
        check()
    dist.barrier()
    dist.destroy_process_group()
