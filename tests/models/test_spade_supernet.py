"""GauGAN's super-net: slices, statistics, sub-networks and weight transfer."""

import numpy as np
import pytest
import torch

import gaugan_golden as gaugan
from gaugan_golden import GENERATOR, GOLDEN, LABELS, label_map
from golden import assert_close_rel, build, load_npz
from mmgan_compress.core.channels import recalibrate
from mmgan_compress.core.complexity import count_macs, count_params
from mmgan_compress.models.supernet import SubnetCosts, transfer_weights
from mmgan_compress.models.topology import feature_layers
from mmgan_compress.pruning.subnetwork import subnet

pytestmark = pytest.mark.numerical

MOBILE = dict(type=GENERATOR, labels=LABELS, upsampling='more', separable=True)
CASES = GOLDEN['super_generator']['cases']


def supernet():
    net = build(
        'mmgan_compress.SuperNet', arch=dict(MOBILE, base_channels=3), space=[[3, 2, 1]] * 8
    )
    gaugan.load(net.network, 'super/G', 'gaugan_super')
    return net


@pytest.mark.parametrize('case', CASES, ids=lambda case: case['config'])
@torch.no_grad()
def test_slices_and_their_export(case):
    net, config, x = supernet().eval(), case['config'], label_map()
    net.set_channels(config)
    y = net(x)
    arrays = load_npz('gaugan_super', 'super/')
    assert_close_rel(y[:, :, ::8, ::8], arrays[f'y_eval/{config}'], 1e-3)
    small, rebuilt = subnet(net, config)
    assert torch.equal(small.eval()(x), y)
    assert count_params(small) == case['sub_params'] == count_params(build(**rebuilt))
    assert_close_rel(net.train()(x)[:, :, ::8, ::8], arrays[f'y_train/{config}'], 1e-3)


def test_costs_without_cutting():
    net = supernet()
    costs = SubnetCosts(net, 128).of([case_widths(case) for case in CASES])
    for case, params, macs in zip(CASES, costs['params'], costs['macs']):
        small, _ = subnet(net, case['config'])
        assert params == case['sub_params']
        assert macs == count_macs(small, (1, 2, 128, 128)).macs


def case_widths(case):
    return [int(width) for width in case['config'].split('_')]


def test_layers_to_compare():
    assert feature_layers(supernet()) == ['head_0', 'G_middle_1', 'up_1']


@torch.no_grad()
def test_calibration():
    """By all batches; published: by the last one, and absent channels have 0."""
    want, arrays = GOLDEN['calibration'], load_npz('gaugan_super', 'calib/')
    batches = [
        gaugan.picture_of(
            np.random.RandomState(320 + k).randint(0, 5, (2, 1, 8, 16)),
            np.random.RandomState(323 + k).randint(0, 40, (2, 1, 16, 32)),
        )
        for k in range(3)
    ]
    net = supernet()
    net.set_channels(want['config'])
    norm = net.get_submodule(want['layer']).param_free_norm
    assert recalibrate(net, batches) == 6
    kept = len(arrays['rm']) - want['zero_tail']
    assert_close_rel(norm.running_mean[:kept], arrays['rm_mean3'][:kept], 1e-3)
    assert_close_rel(norm.running_var[:kept], arrays['rv_mean3'][:kept], 1e-3)
    recalibrate(net, batches[-1:])
    assert_close_rel(norm.running_mean[:kept], arrays['rm'][:kept], 1e-3)
    assert_close_rel(norm.running_var[:kept], arrays['rv'][:kept], 1e-3)
    assert not arrays['rv'][kept:].any()
    assert_close_rel(net.eval()(label_map())[:, :, ::8, ::8], arrays['y_eval_sub'], 2e-3)


def test_transfer_of_weights():
    want = GOLDEN['weight_transfer']
    wide, narrow = (build(**MOBILE, base_channels=width) for width in (4, 2))
    wide.load_state_dict(gaugan.transfer_weights_of(want['names']), strict=False)
    transfer_weights(wide, narrow)
    state = narrow.state_dict()
    for name, (total, weighted) in want['expect'].items():
        own = state[name].double()
        place = torch.arange(own.numel()).view_as(own)
        assert float(own.sum()) == pytest.approx(total, abs=1e-3)
        assert float((own * place).sum() / own.numel()) == pytest.approx(weighted, abs=1e-3)
    full = build(**dict(MOBILE, separable=False), base_channels=4)
    with pytest.raises(ValueError, match='other names'):
        transfer_weights(full, narrow)
