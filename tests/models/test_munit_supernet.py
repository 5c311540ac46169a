"""MUNIT's super-net: slices through its adaptive norms, and sub-networks."""

import pytest
import torch

from golden import assert_close_rel, build, load_npz
from mmgan_compress.core.complexity import count_macs, count_params
from mmgan_compress.models.supernet import SubnetCosts, part_of, transfer_weights
from mmgan_compress.pruning.subnetwork import subnet
from munit_golden import GOLDEN, TINY, image, load, normal

pytestmark = pytest.mark.numerical

CASES = GOLDEN['super_generator']['cases']
MOBILE = dict(TINY, base_channels=4, separable=True)


def supernet():
    net = build('mmgan_compress.SuperNet', arch=MOBILE, space=[[4, 3, 2, 1]] * 10)
    load(net.network, 'super/G')
    return net


@pytest.mark.parametrize('case', CASES, ids=lambda case: case['config'])
@torch.no_grad()
def test_slices_and_their_export(case):
    net, config, arrays = supernet().eval(), case['config'], load_npz('munit', 'super/')
    net.set_channels(config)
    a, b, z = image(410), image(411), normal(412, (2, 8))
    style, own = part_of(net, 'enc_style')(b).flatten(1), part_of(net, 'enc_style')(a).flatten(1)
    assert_close_rel(style, arrays[f'style/{config}'].flatten(1), 1e-3)
    small, rebuilt = subnet(net, config)
    small.eval()
    assert torch.equal(small.style_of(b), style)
    for name, code in (('z', z), ('recon', own)):
        packed = net.takes.pack(a, code)
        y = net(packed)
        assert_close_rel(y[:, :, ::4, ::4], arrays[f'y_{name}/{config}'], 1e-3)
        assert_close_rel(y.double().sum(), case[f'y_{name}_sum'], 2e-3)
        assert torch.equal(small(packed), y)
    assert count_params(small) == case['sub_params'] == count_params(build(**rebuilt))
    content = part_of(net, 'enc_content')(a)
    assert content.shape[1] == case['content_channels']
    assert_close_rel(content.double().sum(), case['content_sum'], 1e-3)


def test_costs_without_cutting():
    net = supernet()
    costs = SubnetCosts(net, 64).of([list(map(int, c['config'].split('_'))) for c in CASES])
    for case, params, macs in zip(CASES, costs['params'], costs['macs']):
        small, _ = subnet(net, case['config'])
        assert params == case['sub_params']
        assert macs == count_macs(small, (1, 11, 64, 64)).macs


def test_gradients_reach_the_whole_network():
    """Numbers that no norm takes get none."""
    net, config = supernet(), CASES[1]['config']
    net.set_channels(config)
    net(net.takes.pack(image(410), normal(412, (2, 8)))).sum().backward()
    grad = net.network.mlp.model[2].fc.weight.grad
    taken = grad.abs().sum(1) > 0
    assert int(taken.sum()) == CASES[1]['sub_adain'] < len(grad)
    assert net.network.enc_style.model[0].conv.weight.grad is None


@torch.no_grad()
def test_channels_in_another_order():
    """At equal width the function stays, through the adaptive norms too."""
    wide, other = build(**MOBILE), build(**MOBILE)
    transfer_weights(load(wide, 'super/G'), other)
    packed = wide.takes.pack(image(410), normal(412, (2, 8)))
    assert not torch.equal(wide.mlp.model[2].fc.weight, other.mlp.model[2].fc.weight)
    assert_close_rel(other(packed), wide(packed), 1e-4)
    assert_close_rel(other.style_of(image(411)), wide.style_of(image(411)), 1e-4)
