"""Instance norm in fewer passes."""

import pytest
import torch
import torch.nn as nn

from mmgan_compress.core.norms import OnePassInstanceNorm2d, speed_up_norms


@pytest.mark.parametrize('affine', [False, True])
def test_is_the_same_function(affine):
    torch.manual_seed(0)
    norm = nn.InstanceNorm2d(5, affine=affine)
    if affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    images, weights, results = torch.randn(2, 5, 7, 9) + 3, torch.randn(2, 5, 7, 9), []
    for change in (lambda _: None, speed_up_norms):
        change(norm)
        x = images.clone().requires_grad_()
        output = norm(x)
        (output * weights).sum().backward()
        results.append([output, x.grad, *(p.grad.clone() for p in norm.parameters())])
        norm.zero_grad()
    assert type(norm) is OnePassInstanceNorm2d
    for before, after in zip(*results):
        torch.testing.assert_close(after, before)
    plain = nn.InstanceNorm2d(5, affine=affine)
    plain.load_state_dict(norm.state_dict())
    assert torch.equal(norm.eval()(images), plain.eval()(images))


def test_running_statistics_stay():
    norm = nn.InstanceNorm2d(3, track_running_stats=True)
    speed_up_norms(norm)
    assert type(norm) is nn.InstanceNorm2d
