"""Generators against the outputs of the papers' own code."""

import copy

import numpy as np
import pytest
import torch
import torch.nn as nn
from mmengine.model import BaseModule

from golden import assert_close_rel, build, load_json, load_npz, relative_error
from mmgan_compress.core.feature_extraction import infer_channels
from mmgan_compress.models.original import load_original

pytestmark = pytest.mark.numerical

MOBILE = 'mmgan_compress.SeparableResnetGenerator'
MOBILE_DEEP = 'mmgan_compress.DeepSeparableResnetGenerator'
UNET_DEEP = 'mmgan_compress.DeepUnetGenerator'
SMALL = dict(in_channels=3, out_channels=3, base_channels=2)
RESNETS = {
    'resnet_9blocks_in': 'ResnetGenerator',
    'mobile_resnet_9blocks_in': MOBILE,
    'mobile_deepest_resnet_in': MOBILE_DEEP,
}
UNETS = {
    'unet_256_bn': dict(SMALL, type='UnetGenerator'),
    'unet_256_in': dict(SMALL, type='UnetGenerator', norm_cfg=dict(type='IN')),
    'unet_deepest_256_bn': dict(type=UNET_DEEP, base_channels=1),
}


def original(name):
    return load_npz(f'gen_{name}', 'sd/')


@pytest.mark.parametrize('name', RESNETS)
@pytest.mark.parametrize('train', [True, False])
def test_resnets_equal_the_original(name, train):
    """Norms are instance norms: both modes give the stored output."""
    net = build(RESNETS[name], **SMALL)
    load_original(net, original(name))
    fixture = load_npz(f'gen_{name}')
    with torch.no_grad():
        got = net.double().train(train)(fixture['x'].double())
    assert_close_rel(got, fixture['y_sub'])
    want = load_json('omgd')['generators'][name]
    assert_close_rel(got.sum(), want['y_sum'])


@pytest.mark.parametrize('name', UNETS)
@pytest.mark.parametrize('mode', ['train', 'eval'])
def test_unets_equal_the_original(name, mode):
    noise = np.random.RandomState(8).standard_normal((1, 3, 256, 256))
    image = torch.from_numpy(np.tanh(noise).astype('float32')).double()
    net = build(**UNETS[name]).double()
    load_original(net, original(name))
    with torch.no_grad():
        got = net.train(mode == 'train')(image)
    # One channel, batch norm over few samples: in float64, as here, this
    # output is 2e-2 from the stored float32 one. A skip without LeakyReLU
    # changes it by 1.1, which the tolerance still tells apart.
    noisy = (name, mode) == ('unet_deepest_256_bn', 'train')
    assert_close_rel(
        got[:, :, ::16, ::16], load_npz(f'gen_{name}')[f'y_sub_{mode}'], 5e-2 if noisy else 1e-3
    )


def test_wrong_order_is_seen():
    """Negative control: two equal-shaped blocks exchanged."""
    state = original('mobile_resnet_9blocks_in')
    swap = {'model.10.': 'model.11.', 'model.11.': 'model.10.'}
    state = {swap.get(k[:9], k[:9]) + k[9:]: v for k, v in state.items()}
    net = build(MOBILE, **SMALL)
    load_original(net, state)
    fixture = load_npz('gen_mobile_resnet_9blocks_in')
    with torch.no_grad():
        assert relative_error(net(fixture['x']), fixture['y_sub']) > 1e-2


@pytest.mark.parametrize('name', [*RESNETS, 'unet_256_bn'])
def test_order_of_the_file_does_not_matter(name):
    """Nor do DataParallel's prefix and statistics that torch 0.3 wrote."""
    state = original(name)
    cfg = UNETS.get(name) or dict(SMALL, type=RESNETS[name])
    nets = build(**cfg), build(**cfg)
    load_original(nets[0], state)
    mixed = {f'module.{k}': v for k, v in reversed(state.items())}
    mixed['module.model.2.running_mean'] = torch.zeros(2)
    load_original(nets[1], mixed)
    for got, want in zip(nets[1].parameters(), nets[0].parameters()):
        assert torch.equal(got, want)


def test_blocks_without_a_dropout_child_are_read(tmp_path):
    """pytorch-CycleGAN leaves out Dropout: the second conv is child 5."""
    state = original('resnet_9blocks_in')
    renamed = {k.replace('block.6', 'block.5'): v for k, v in state.items()}
    torch.save(renamed, tmp_path / 'latest_net_G.pth')
    net = build('ResnetGenerator', **SMALL)
    load_original(net, tmp_path / 'latest_net_G.pth')
    assert torch.equal(net.model[3].block[1].conv.weight, state['model.10.conv_block.6.weight'])


def test_other_architectures_are_refused():
    state = original('mobile_resnet_9blocks_in')
    net = build(MOBILE, **SMALL)
    before = copy.deepcopy(net.state_dict())
    missing = {k: v for k, v in state.items() if 'model.26' not in k}
    with pytest.raises(ValueError, match="'model.26' of .* does not fit None"):
        load_original(net, missing)
    with pytest.raises(ValueError, match="None of .* fit 'model.27'"):
        load_original(net, {**state, 'model.27.weight': torch.zeros(1)})
    with pytest.raises(ValueError, match="'model.1.*base_channels"):
        load_original(build(MOBILE, base_channels=3), state)
    with pytest.raises(ValueError, match="fit 'model.10.conv_block.*another shape: weight is"):
        load_original(build('ResnetGenerator', **SMALL), state)
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key]), 'refused, yet changed'


@pytest.mark.parametrize('name', [MOBILE, MOBILE_DEEP, UNET_DEEP])
def test_no_activation_is_inplace(name):
    net = build(name, base_channels=1)
    assert not any(getattr(m, 'inplace', False) for m in net.modules())


def test_enlarging_by_neighbours_leaves_no_checkerboard():
    """A flat image stays flat far from the borders, unlike mmagic's."""

    @torch.no_grad()
    def spread(name):
        torch.manual_seed(0)
        net = build(name, **SMALL, num_blocks=1)
        image = net(torch.full((1, 3, 96, 96), 0.5))
        assert image.shape == (1, 3, 96, 96)
        return image[..., 40:56, 40:56].std((2, 3)).max()

    assert spread('mmgan_compress.ResizeResnetGenerator') < 1e-3 < 1e-2 < spread('ResnetGenerator')


@pytest.mark.parametrize('init_cfg', [None, dict(type='normal', gain=0.1)])
def test_initial_weights(init_cfg):
    torch.manual_seed(0)
    gain = init_cfg['gain'] if init_cfg else 0.02
    net = build(UNET_DEEP, base_channels=4, init_cfg=init_cfg)
    net.init_weights()
    weights = {nn.Conv2d: [], nn.ConvTranspose2d: [], nn.BatchNorm2d: []}
    for layer in net.modules():
        if type(layer) in weights:
            weights[type(layer)].append(layer.weight.detach().flatten())
            assert layer.bias is None or not layer.bias.any()
    for kind, values in weights.items():
        values = torch.cat(values)
        mean = 1.0 if kind is nn.BatchNorm2d else 0.0
        assert values.std().item() == pytest.approx(gain, rel=0.05)
        assert values.mean().item() == pytest.approx(mean, abs=0.1 * gain)


def test_pretrained_weights_stay(tmp_path):
    """Runner calls init_weights of a model that may have called it before."""
    state = {f'generators.photo.{k}': v for k, v in original('mobile_resnet_9blocks_in').items()}
    torch.save(state, tmp_path / 'student.pth')
    model = BaseModule()
    model.net = build(
        MOBILE,
        **SMALL,
        init_cfg=dict(
            type='Pretrained', checkpoint=str(tmp_path / 'student.pth'), prefix='generators.photo'
        ),
    )
    for _ in range(2):
        model.net.init_weights()
        model.init_weights()
    for key, value in model.net.state_dict().items():
        assert torch.equal(value, state[f'generators.photo.{key}'])


def test_unet_of_other_depth():
    image = torch.zeros(2, 1, 32, 64)
    net = build(
        UNET_DEEP, in_channels=1, out_channels=2, num_down=5, base_channels=1, use_dropout=True
    )
    assert net(image).shape == (2, 2, 32, 64)
    with pytest.raises(ValueError, match='num_down is 4, expected 5'):
        build(UNET_DEEP, num_down=4)


@pytest.mark.parametrize(
    'type, layers, factors',
    [
        (MOBILE, 'model.9 model.12 model.15 model.18', (4, 4, 4, 4)),
        ('ResnetGenerator', 'model.2 model.5 model.8 model.11', (4, 4, 4, 4)),
        (
            'UnetGenerator',
            'model.model.1.model.1.model.0.activate '
            'model.model.1.model.1.model.1.model.1.model.0.activate '
            'model.model.1.model.1.model.1.model.2.activate '
            'model.model.1.model.2.activate',
            (2, 8, 16, 4),
        ),
    ],
)
def test_taps_of_channel_distillation(type, layers, factors):
    """Widths of OMGD's four taps, in mmagic's and our layer names."""
    net = build(type, in_channels=3, out_channels=3, base_channels=2)
    channels = infer_channels(net, layers.split(), (1, 3, 256, 256))
    assert list(channels.values()) == [2 * factor for factor in factors]


# --- which tensors of a file ------------------------------------------------
FILTER = {'model.5.filt': torch.ones(8, 1, 3, 3)}


def test_filters_against_aliasing_are_not_dropped():
    """CUT's ResNet became one without them."""
    state = original('resnet_9blocks_in')
    net = build('ResnetGenerator', **SMALL)
    with pytest.raises(ValueError, match="fit 'model.5' of .*expected weight, bias, found filt"):
        load_original(net, {**state, **FILTER})
    with pytest.raises(ValueError, match="fit 'model.5' of .*found scale"):
        load_original(net, {**state, 'model.5.scale': torch.ones(1)})
    load_original(
        net,
        {
            **state,
            'model.2.num_batches_tracked': torch.tensor(3),
            'model.2.running_var': torch.ones(2),
        },
    )


WRAPPED = {
    'netG': lambda g, d: dict(netG=g, netD=d, epoch=3),
    'params_ema': lambda g, d: dict(params=d, params_ema=g),
    'netG_A': lambda g, d: {
        **{f'netG_A.{k}': v for k, v in g.items()},
        **{f'netD_A.{k}': v for k, v in d.items()},
    },
    'model.netG': lambda g, d: dict(
        epoch=1,
        state_dict={
            **{f'model.netG.{k}': v for k, v in g.items()},
            **{f'model.netD.{k}': v for k, v in d.items()},
        },
    ),
}


@pytest.mark.parametrize('part', WRAPPED)
def test_part_of_a_file(part, tmp_path):
    state = original('resnet_9blocks_in')
    other = {'model.0.weight': torch.zeros(3), 'model.0.bias': torch.ones(3)}
    torch.save(WRAPPED[part](state, other), tmp_path / 'all.pth')
    net = build('ResnetGenerator', **SMALL)
    load_original(net, tmp_path / 'all.pth', part)
    assert torch.equal(net.model[0].conv.weight, state['model.1.weight'])
    for wrong in ('', 'netX'):
        with pytest.raises(ValueError, match='choose one') as caught:
            load_original(net, tmp_path / 'all.pth', wrong)
        assert part.split('.')[0] in str(caught.value)


def test_a_part_may_name_the_state_dict_too():
    state = original('resnet_9blocks_in')
    content = WRAPPED['model.netG'](state, dict(x=torch.zeros(1)))
    net = build('ResnetGenerator', **SMALL)
    for part in ('state_dict.model.netG', 'model.netG.'):
        load_original(net, content, part)
    load_original(net, dict(state_dict=state, epoch=3))  # needs no part
