"""Copies that teach: the best so far, or a running average."""

import pytest
import torch
import torch.nn as nn

from mmgan_compress.distillers.teacher_snapshots import TeacherSnapshots
from toy import moved, snapshot


def network(seed=0):
    """One parameter, and the statistics of a batch norm."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    net(torch.rand(2, 3, 4, 4))
    return net


def assert_same(a, b):
    for key, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[key]), key


@pytest.fixture
def copies():
    net = network()
    copies = TeacherSnapshots()
    copies.include('wide', 'shoes', net)
    return net, copies


def test_nothing_teaches_before_a_hook_has_put_weights_into_it(copies):
    net, copies = copies
    assert copies.teaching('wide', 'shoes') is None
    assert copies.keep_if_best('wide', 'shoes', net, [1.0])
    assert copies.teaching('wide', 'shoes') is copies['wide:shoes']
    assert copies.teaching('wide', 'edges') is None
    assert copies.teaching('deep', 'shoes') is None


def test_copies_are_frozen_and_on_their_own(copies):
    net, copies = copies
    before = snapshot(copies)
    assert not any(p.requires_grad for p in copies.parameters())
    assert all(p.requires_grad for p in net.parameters())
    with torch.no_grad():
        net[0].weight.add_(1)
    assert not moved(copies, before)


def test_copies_stay_in_eval_mode(copies):
    """Also where the model that holds them is set to train."""
    net, copies = copies
    model = nn.ModuleDict(dict(net=net, copies=copies)).train()
    assert net.training and not any(m.training for m in copies.modules())
    mean = copies['wide:shoes'][1].running_mean.clone()
    model['copies']['wide:shoes'](torch.rand(2, 3, 4, 4))
    assert torch.equal(copies['wide:shoes'][1].running_mean, mean)


@pytest.mark.parametrize(
    'lower,scores,kept',
    [
        (True, [[3.0], [4.0], [2.0], [2.0]], [True, False, True, False]),
        (False, [[3.0], [2.0], [4.0], [4.0]], [True, False, True, False]),
        # of several figures any one that improves counts, and each is kept apart
        (True, [[3.0, 3.0], [4.0, 2.0], [2.0, 4.0], [2.0, 2.0]], [True, True, True, False]),
        (True, [[float('nan')], [3.0], [float('nan')]], [False, True, False]),
    ],
)
def test_the_best_is_kept(copies, lower, scores, kept):
    _, copies = copies
    best = None
    for index, (score, want) in enumerate(zip(scores, kept)):
        net = network(index + 1)
        assert copies.keep_if_best('wide', 'shoes', net, score, lower) == want
        best = net if want else best
        if best is not None:
            assert_same(copies['wide:shoes'], best)
    pick = min if lower else max
    assert copies.scores == {
        'wide:shoes': [pick(x for x in column if x == x) for column in zip(*scores)]
    }


def test_average_of_the_latest_weights(copies):
    """By hand: a_1 = w_1, then a_k = 0.75 a_(k-1) + 0.25 w_k."""
    _, copies = copies
    nets = [network(seed) for seed in (1, 2, 3)]
    for net in nets:
        copies.average('wide', 'shoes', net, 0.25)
    assert copies.teaching('wide', 'shoes') is copies['wide:shoes']
    for key, value in copies['wide:shoes'].named_parameters():
        w1, w2, w3 = (dict(net.named_parameters())[key] for net in nets)
        want = 0.75 * (0.75 * w1 + 0.25 * w2) + 0.25 * w3
        assert torch.allclose(value, want, atol=1e-7)
        assert not value.requires_grad
    for key, value in copies['wide:shoes'].named_buffers():
        assert torch.equal(value, dict(nets[-1].named_buffers())[key])


def test_the_first_average_is_the_network(copies):
    """Not a mixture with what the copy was made of."""
    _, copies = copies
    copies.average('wide', 'shoes', network(1), 0.01)
    assert_same(copies['wide:shoes'], network(1))


def test_teachers_and_domains_are_told_apart(copies):
    _, copies = copies
    copies.include('deep', 'shoes', network(8))
    copies.include('wide', 'edges', network(9))
    copies.keep_if_best('wide', 'shoes', network(1), [1.0])
    copies.average('deep', 'shoes', network(2), 0.5)
    for key, seed in (('wide:shoes', 1), ('deep:shoes', 2), ('wide:edges', 9)):
        assert_same(copies[key], network(seed))
    assert copies.scores == {'wide:shoes': [1.0], 'deep:shoes': []}
