"""Passes of several batches at once."""

import pytest
import torch
import torch.nn as nn

from mmgan_compress.core.feature_extraction import forward_together


def network(*layers):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), *layers, nn.Conv2d(4, 3, 1))


@pytest.mark.parametrize(
    ('layers', 'passes'),
    [
        ([nn.InstanceNorm2d(4), nn.ReLU()], 1),
        ([nn.InstanceNorm2d(4, affine=True), nn.Dropout(0.0)], 1),
        ([nn.Dropout(0.5).eval()], 1),
        ([nn.Dropout(0.5)], 2),
        ([nn.BatchNorm2d(4)], 2),
        ([nn.BatchNorm2d(4, track_running_stats=False)], 2),
        ([nn.InstanceNorm2d(4, track_running_stats=True)], 2),
    ],
)
def test_one_pass_where_images_are_kept_apart(layers, passes):
    net, seen = network(*layers), []
    net[0].register_forward_hook(lambda _, args, out: seen.append(len(args[0])))
    first, second = torch.rand(1, 3, 8, 8), torch.rand(2, 3, 8, 8)
    (a, features), (b, _) = forward_together(net, [first, second], ['0'])
    assert seen == ([3] if passes == 1 else [1, 2])
    assert len(a) == len(features['0']) == 1 and len(b) == 2
    if passes == 1:
        torch.testing.assert_close(b, net(second))
        torch.testing.assert_close(features['0'], net[0](first))


def test_images_of_other_sizes_have_their_own_pass():
    outputs = forward_together(network(), [torch.rand(1, 3, 8, 8), torch.rand(1, 3, 6, 6)])
    assert [image.shape[2] for image, _ in outputs] == [6, 4]
