"""GauGAN's networks against the numbers of the published code."""

import pytest
import torch
import torch.nn as nn

import gaugan_golden as gaugan
from gaugan_golden import GENERATOR, GOLDEN, LABELS, label_map
from golden import assert_close_rel, build, load_npz
from mmgan_compress.core.channels import run_narrow
from mmgan_compress.core.checkpoints import fold_spectral, mismatch
from mmgan_compress.core.complexity import count_macs, count_params
from mmgan_compress.core.inputs import LabelMap
from mmgan_compress.models.spade import SPADE, SPADEBlock

pytestmark = pytest.mark.numerical

UNITS = load_npz('gaugan', 'unit/')


def unit(net, name):
    return gaugan.load(net, f'unit/{name}')


def test_label_maps():
    planes = LabelMap(**LABELS).one_hot(label_map())
    assert_close_rel(planes.sum((0, 2, 3)), GOLDEN['input_semantics']['channel_sums'])
    assert_close_rel(planes[:, 5, ::2, ::3], load_npz('gaugan', 'in/')['edge_sub'])
    plain = LabelMap(3, edges=False)
    levels = torch.tensor([0.0, 2, 3, 255]).view(1, 1, 2, 2)  # the last two are no class
    assert plain.one_hot(levels / 127.5 - 1).sum((0, 2, 3)).tolist() == [1, 0, 1]


@pytest.mark.parametrize('name', ['spade', 'mobile_spade', 'mobile_spade_nonorm'])
@torch.no_grad()
def test_norm(name):
    net = SPADE(6, 5, 4, separable='mobile' in name)
    if name.endswith('nonorm'):
        net.mlp_gamma.conv[1] = net.mlp_beta.conv[1] = nn.Identity()
    unit(net, name)
    labels = nn.functional.interpolate(UNITS['seg'], (8, 8))
    for mode in ('eval', 'train'):
        got = net.train(mode == 'train')(UNITS['x'], labels)
        assert_close_rel(got, UNITS[f'{name}_y_{mode}'], 2e-4)
    assert_close_rel(net.param_free_norm.running_mean, UNITS[f'{name}_rm'], 2e-4)
    assert_close_rel(net.param_free_norm.running_var, UNITS[f'{name}_rv'], 2e-4)


@torch.no_grad()
def test_narrow_norm():
    """Published: the statistics of absent channels go to 0. Here they stay."""
    net = unit(SPADE(6, 5, 4, separable=True), 'super_spade').train()
    norm, labels = net.param_free_norm, nn.functional.interpolate(UNITS['seg'], (8, 8))
    before = norm.running_mean.clone(), norm.running_var.clone()
    some, two = list(range(4)), [0, 1]
    kept = {'param_free_norm': [some], 'mlp_shared.0': [list(range(5)), two]}
    for side in ('gamma', 'beta'):
        layer = f'mlp_{side}.conv'
        kept |= {f'{layer}.0': [two, two], f'{layer}.1': [two], f'{layer}.2': [two, some]}
    got = run_narrow(net, kept, UNITS['x'][:, :4], labels)
    assert_close_rel(got, UNITS['super_spade_y_c4h2'], 2e-4)
    for own, old, key in zip((norm.running_mean, norm.running_var), before, ('rm', 'rv')):
        published = UNITS[f'super_spade_{key}']
        assert_close_rel(own[:4], published[:4], 2e-4)
        assert_close_rel(0.9 * old[4:], published[4:], 2e-4)
        assert torch.equal(own[4:], old[4:])


@pytest.mark.parametrize('name, outputs', [('block_sc', 4), ('block_id', 6)])
@torch.no_grad()
def test_block(name, outputs):
    args = dict(planes=5, hidden=4, separable=False)
    outputs = len(UNITS[f'{name}/conv_1.bias'])
    net = unit(SPADEBlock(6, outputs, **args, spectral_norm=True), name)
    assert_close_rel(net.train()(UNITS['x'], UNITS['seg']), UNITS[f'{name}_y_train'], 2e-4)
    for part in 'uv':
        got = getattr(net.conv_0, f'weight_{part}')
        assert_close_rel(got, UNITS[f'{name}_conv_0_{part}_after'], 2e-4)
    want = net.eval()(UNITS['x'], UNITS['seg'])
    assert_close_rel(want, UNITS[f'{name}_y_eval_after'], 2e-4)
    plain = SPADEBlock(6, outputs, **args, spectral_norm=False).eval()
    plain.load_state_dict(fold_spectral(net.state_dict(), plain.state_dict()))
    difference = (plain(UNITS['x'], UNITS['seg']) - want).abs().max()
    assert float(difference) < 1e-6 and GOLDEN[f'{name}_remove_spectral_norm_diff'] < 1e-6


@pytest.mark.parametrize('name', gaugan.CASES)
@torch.no_grad()
def test_generator(name):
    net, want, arrays = gaugan.generator(name), GOLDEN[f'gen/{name}'], load_npz('gaugan', 'gen/')
    x, taps = label_map()[..., : want['shape'][-1]], {}
    y = net.eval()(x)
    assert_close_rel(y[:, :, ::8, ::8], arrays[f'{name}_y_eval_sub'], 1e-3)
    assert_close_rel(y.double().sum(), want['y_eval_sum'], 2e-3)
    for tap in want['taps']:
        net.get_submodule(tap).register_forward_hook(
            lambda _, __, output, tap=tap: taps.update({tap: output})
        )
    assert_close_rel(net.train()(x)[:, :, ::8, ::8], arrays[f'{name}_y_train_sub'], 1e-3)
    for tap, own in want['taps'].items():
        assert list(taps[tap].shape) == own['shape']
        assert_close_rel(taps[tap].double().abs().sum(), own['abssum'], 1e-3)
    assert count_params(net) == want['params']


@torch.no_grad()
def test_discriminator():
    net, arrays = gaugan.discriminator(), load_npz('gaugan', 'disc/')
    shown = torch.cat([label_map(), gaugan.photo()], 1)
    for mode in ('eval', 'train'):
        outputs = net.train(mode == 'train')(shown)
        for scale, layers in enumerate(outputs):
            assert_close_rel(layers[-1], arrays[f'{mode}_pred_{scale}'], 1e-3)
            for own, want in zip(layers, GOLDEN['disc']['eval'][scale]) if mode == 'eval' else ():
                assert_close_rel(own.double().abs().sum(), want['abssum'], 1e-3)
    assert count_params(net) == GOLDEN['disc']['params']


def network(name):
    """Return what a name of the fixtures' costs stands for."""
    coco = 'coco' in name
    args = dict(labels=gaugan.COCO if coco else gaugan.CITYSCAPES)
    args |= dict(type=GENERATOR, upsampling='normal' if coco else 'more')
    if '_sub_' in name:
        args = dict(
            type='mmgan_compress.SlimNetwork',
            arch=dict(args, separable=True),
            configuration=name.split('_sub_')[1],
        )
    elif 'mobile' in name:
        args |= dict(separable=True, base_channels=int(name[-2:]))
    with torch.device('meta'):
        return build(**args)


@pytest.mark.parametrize('name', [n for n in GOLDEN['macs'] if '_D' not in n])
def test_costs_are_those_of_the_spec(name):
    want, net = GOLDEN['macs'][name], network(name)
    assert count_params(net) == want['params']
    ((count, _, *size),) = want['input']
    shape = count, net.takes.channels, *size
    assert count_macs(net, shape).macs == want['macs_flop_counter']
    # torchprofile counts outputs of LeakyReLU and of norms without scales, too
    more = []
    for layer, module in net.named_modules():
        if layer.endswith(('conv_0', 'conv_1', 'conv_img', 'param_free_norm')):
            module.register_forward_pre_hook(lambda _, inputs: more.append(inputs[0].numel()))
    net.eval()(torch.empty(shape, device='meta'))
    assert sum(more) == want['macs_torchprofile'] - want['macs_flop_counter']


def test_start():
    """Layers with spectral norms keep torch's start, as published."""
    torch.manual_seed(0)
    net = build(GENERATOR, labels=LABELS, base_channels=4, spectral_norm=True)
    before = net.head_0.conv_0.weight.clone()
    net.init_weights()
    want = GOLDEN['init_of_spectral_layers']
    assert torch.equal(net.head_0.conv_0.weight, before)
    assert float(before.std()) * 576**0.5 == pytest.approx(want['default_std'] * 72**0.5, rel=0.05)
    shared = net.head_0.norm_0.mlp_shared[0]
    assert float(shared.weight.std()) == pytest.approx(0.02 * (2 / 9 / (6 + 8)) ** 0.5, rel=0.2)
    assert not shared.bias.any()


@torch.no_grad()
def test_weights_with_spectral_norms_become_plain_ones():
    """Teachers are read so: torch's names, and what the norm does."""
    net = gaugan.generator('spade').eval()
    plain = build(GENERATOR, labels=LABELS, base_channels=1, upsampling='more').eval()
    assert not mismatch(plain.state_dict(), net.state_dict())
    plain.load_state_dict(net.state_dict())
    assert_close_rel(plain(label_map()), net(label_map()), 1e-5)
    # in a model that holds it, too
    nn.ModuleDict(dict(emoji=plain)).load_state_dict(
        {f'emoji.{key}': value for key, value in net.state_dict().items()}
    )
    assert mismatch(net.state_dict(), plain.state_dict())  # not the other way round
