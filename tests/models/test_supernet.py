"""Super-nets: the slices of their layers, and their sub-networks."""

import copy

import pytest
import torch
import torch.nn as nn

from golden import assert_close_rel, build, load_json, load_npz
from mmgan_compress.core.channels import recalibrate, run_narrow
from mmgan_compress.core.complexity import count_params
from mmgan_compress.core.search_space import read_configuration
from mmgan_compress.models.blocks import SeparableConv
from mmgan_compress.models.original import load_original
from mmgan_compress.models.student_config import build_generator
from mmgan_compress.models.topology import filters_for
from mmgan_compress.pruning.slicing import difference, masked
from mmgan_compress.pruning.subnetwork import SubNet, subnet
from supernets import CASES, SMALL, filled, photo, separable, supernet

pytestmark = pytest.mark.numerical

GOLDEN, ARRAYS = load_json('gan_compression'), load_npz('gan_compression')


# --- layers -----------------------------------------------------------------
def put(layers, prefix):
    layers.load_state_dict(load_npz('gan_compression', prefix))
    return layers


def test_golden_slices():
    """Convolution, transposed and separable convolution."""
    x, want = ARRAYS['slice/x'], GOLDEN['slicing']
    conv = put(nn.Conv2d(6, 8, 3, padding=1), 'slice/c/')
    deconv = put(nn.ConvTranspose2d(8, 6, 3, 2, 1, 1), 'slice/t/')
    pair = put(SeparableConv(8, 10), 'slice/s/')
    four, five, six = (list(range(n)) for n in (4, 5, 6))
    cases = [
        (conv, {'0': [four, five]}, x, 'slice/y_conv'),
        (deconv, {'0': [four, [0, 1, 2]]}, x, 'slice/y_convT'),
        (
            pair,
            {'0.conv.0': [five, five], '0.conv.1': [five], '0.conv.2': [five, six]},
            torch.cat([x, x[:, :1]], 1),
            'slice/y_sep',
        ),
    ]
    for (layer, kept, image, key), figures in zip(cases, want.values()):
        y = run_narrow(nn.Sequential(layer), kept, image)
        assert list(y.shape) == figures['shape']
        assert_close_rel(y.detach(), ARRAYS[key], 1e-6)
        assert float(y.sum()) == pytest.approx(figures['sum'], rel=1e-4)


def test_golden_batch_norm():
    """Statistics of present channels are the published ones; those of absent
    ones stay, where published they are drawn to those of zeros."""
    want, x = GOLDEN['super_bn'], ARRAYS['bn/x']
    norm, kept = nn.BatchNorm2d(6), {'0': [[0, 1, 2, 3]]}
    before = ARRAYS['bn/rm'], ARRAYS['bn/rv']
    norm.running_mean.copy_(before[0])
    norm.running_var.copy_(before[1])
    net = nn.Sequential(norm)
    assert_close_rel(run_narrow(net.eval(), kept, x).detach(), ARRAYS['bn/y_eval'])
    assert_close_rel(run_narrow(net.train(), kept, x).detach(), ARRAYS['bn/y_train'], 1e-3)
    for got, old, key in zip(
        (norm.running_mean, norm.running_var), before, ('rm_after_train', 'rv_after_train')
    ):
        assert_close_rel(got[:4], want[key][:4], 1e-3)
        assert torch.equal(got[4:], old[4:])
        # published: absent channels read zeros
        assert_close_rel(0.9 * old[4:], want[key][4:], 1e-3)
    assert norm.num_features == 6


class Narrow(nn.Module):
    """Four of six channels of a batch norm."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.BatchNorm2d(6), nn.Dropout(0.5))

    def forward(self, x):
        return run_narrow(self.net, {'0': [[0, 1, 2, 3]]}, x)


def test_recalibration():
    """One batch as published; of several every image counts alike."""
    want, x, net = GOLDEN['super_bn'], ARRAYS['bn/x'], Narrow().train()
    norm = net.net[0]
    norm.running_var.fill_(float('inf'))  # of a pass that went wrong
    assert recalibrate(net, [x]) == len(x)
    assert_close_rel(norm.running_mean[:4], want['rm_after_calibrate'][:4], 1e-3)
    assert_close_rel(norm.running_var[:4], want['rv_after_calibrate'][:4], 1e-3)
    assert norm.training and norm.momentum == 0.1 and net.net[1].training
    torch.manual_seed(0)
    images = torch.randn(5, 4, 5, 5)
    net.eval()
    assert recalibrate(net, iter(images.split([2, 2, 1]))) == 5
    assert_close_rel(norm.running_mean[:4], images.mean((0, 2, 3)), 1e-5)
    assert not norm.training
    with pytest.raises(ValueError, match='there is no image'):
        recalibrate(net, [])
    # nothing to calibrate: nothing runs
    assert recalibrate(nn.Sequential(nn.InstanceNorm2d(4)), [None]) == 0


# --- generators -------------------------------------------------------------
@pytest.mark.parametrize(
    'case', GOLDEN['super_generator']['cases'], ids=lambda case: case['config']
)
def test_golden_super_generator(case):
    net = build('mmgan_compress.SuperNet', arch=separable(8), space=[[8, 6, 4]] * 8)
    load_original(net, load_npz('gan_compression', 'super/'))
    assert count_params(net) == GOLDEN['super_generator']['params']
    net.set_channels(case['config'])
    with torch.no_grad():
        y = net(ARRAYS['super_x'].clamp(-1, 1))
        assert_close_rel(y, ARRAYS[f'super_y/{case["config"]}'])
        assert float(y.double().sum()) == pytest.approx(case['y_sum'], rel=1e-4)
        assert float(y.abs().mean()) == pytest.approx(case['y_absmean'], rel=1e-4)
        small, _ = subnet(net, case['config'])
        assert count_params(small) == case['sub_params']
        exported = small(ARRAYS['super_x'].clamp(-1, 1))
    assert float((exported - y).abs().max()) == case['export_max_abs_diff']


@pytest.mark.parametrize('kind, configuration', CASES)
@pytest.mark.parametrize('training', [False, True])
def test_subnet_equals_its_slice(kind, configuration, training):
    """Bit by bit, also rebuilt from its config."""
    net = filled(supernet(SMALL[kind], len(read_configuration(configuration)))).train(training)
    net.set_channels(configuration)
    small, config = subnet(net, configuration)
    twin = build_generator(config).train(training)
    twin.load_state_dict(small.state_dict())
    assert config['type'] == 'mmgan_compress.SlimNetwork'
    x = photo()
    with torch.no_grad():
        y = net(x)
        assert torch.equal(small(x), y) and torch.equal(twin(x), y)
        net.set_channels(None)
        assert not torch.equal(net(x), y)
        assert torch.equal(net(x), net.network(x)) or training
    assert y.std() > 0.05
    for name, layer in net.named_modules():  # nothing of the pass is left
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            assert layer.groups == len(layer.weight), name


@pytest.mark.parametrize('kind, configuration', CASES)
def test_layers_read_what_others_keep(kind, configuration):
    """The whole network says the same if the others' channels are zero where
    they are read: the halves of a U-Net's skip are sliced apart."""
    net = filled(supernet(SMALL[kind], len(read_configuration(configuration)))).eval()
    dense = masked(net.network, net.kept(configuration))
    net.set_channels(configuration)
    assert difference(dense, net, photo()) < 1e-5


@pytest.mark.parametrize('kind, configuration', CASES)
def test_gradients_are_those_of_the_subnet(kind, configuration):
    """And zero where the sub-network is not."""
    net = filled(supernet(SMALL[kind], len(read_configuration(configuration)))).train()
    small, _ = subnet(net, configuration)
    net.set_channels(configuration)
    for network in (net, small):
        network(photo()).square().sum().backward()
    kept = net.kept(configuration)
    for name, layer in small.named_modules():
        wide = net.network.get_submodule(name)
        for key, own in layer.named_parameters(recurse=False):
            inputs, outputs = kept[name][0], kept[name][-1]
            grad = wide.get_parameter(key).grad
            assert int((grad != 0).sum()) <= own.numel()
            if grad.dim() > 1:
                first, second = (
                    (inputs, outputs) if getattr(layer, 'transposed', False) else (outputs, inputs)
                )
                grad = grad[first]
                grad = grad if layer.groups > 1 else grad[:, second]
            else:
                grad = grad[outputs]
            assert torch.equal(grad, own.grad), (name, key)


def test_pruner_takes_a_subnet():
    """What mmgan-compress prune --pruner SubNet runs."""
    net = filled(supernet(SMALL['separable'])).eval()
    found = SubNet('6-8-4-6-8-4-6-4').compress(net, {})
    net.set_channels('6_8_4_6_8_4_6_4')
    with torch.no_grad():
        assert torch.equal(found.network(photo()), net(photo()))
    assert found.config == subnet(net, '6_8_4_6_8_4_6_4')[1]
    assert found.summary == dict(configuration='6_8_4_6_8_4_6_4')


def test_running_statistics_of_a_narrow_pass_reach_the_network():
    net = filled(supernet(SMALL['unet'], 5)).train()
    small, _ = subnet(net, '6_8_4_2_6')
    net.set_channels('6_8_4_2_6')
    with torch.no_grad():
        net(photo()), small(photo())
    again, _ = subnet(net, '6_8_4_2_6')
    assert all(torch.equal(a, b) for a, b in zip(small.buffers(), again.buffers()))


def test_supernet_is_its_generator():
    """Names, config and copies are those of the ordinary network."""
    arch, net = SMALL['separable'], supernet(SMALL['separable'])
    plain = build(**arch)
    assert net.state_dict().keys() == plain.state_dict().keys()
    assert [n for n, _ in net.named_parameters()] == [n for n, _ in plain.named_parameters()]
    filled(net)
    twin = copy.deepcopy(net)
    with torch.no_grad():
        twin.network.model[1].weight.zero_()
        assert not twin.model[1].weight.any() and net.model[1].weight.any()
    net.init_weights()
    assert net.model[1].weight.std() < 0.03


def test_pretrained_start(tmp_path):
    plain = filled(build(**SMALL['separable']))
    torch.save(
        dict(state_dict={f'generators.x.{k}': v for k, v in plain.state_dict().items()}),
        tmp_path / 'a.pth',
    )
    net = supernet(
        SMALL['separable'],
        init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth'), prefix='generators.x'),
    )
    net.init_weights()
    assert torch.equal(net.model[1].weight, plain.model[1].weight)


def test_what_is_refused():
    with pytest.raises(ValueError, match='wider than the network, which has'):
        build('mmgan_compress.SuperNet', arch=separable(8), space=[[16, 8]] * 8)
    with pytest.raises(ValueError, match='expected 6 to 8'):
        supernet(SMALL['separable'], 9)
    with pytest.raises(ValueError, match='expected 5 or 9'):
        supernet(SMALL['unet'], 8)
    with pytest.raises(TypeError, match='cannot be a super-net'):
        supernet(dict(type='mmgan_compress.DeepSeparableResnetGenerator', base_channels=8))
    net = supernet(SMALL['separable'])
    with pytest.raises(ValueError, match='is no configuration'):
        net.set_channels('8_0_8_8_8_8_8_8')
    with pytest.raises(ValueError, match='one number to Python'):
        SubNet(8_8_8)
    with pytest.raises(TypeError, match='is no SuperNet'):
        SubNet('8-8').compress(net.network, SMALL['separable'])
    slim = dict(
        type='mmgan_compress.SlimNetwork', arch=SMALL['separable'], configuration='8_6_8_8_8_8_8_7'
    )
    with pytest.raises(ValueError, match='needs multiples of 8'):
        filters_for(build(**slim), [4] * 8)
