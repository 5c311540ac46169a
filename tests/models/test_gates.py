"""Gates and the gated discriminator against the numbers of GCC's code."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from golden import assert_close_rel, build, load_json, load_npz
from mmgan_compress.core.complexity import count_params
from mmgan_compress.losses.gan import gan_loss
from mmgan_compress.models.gates import ChannelGate
from mmgan_compress.models.original import load_original
from mmgan_compress.models.slim import slim_config

pytestmark = pytest.mark.numerical

GOLDEN = load_json('gcc')
GATED = 'mmgan_compress.GatedPatchDiscriminator'


def make(norm='BN', in_channels=3, width=4, norm_cfg=None, **kwargs):
    plain = dict(
        type='PatchDiscriminator',
        in_channels=in_channels,
        base_channels=width,
        norm_cfg=norm_cfg or dict(type=norm),
    )
    return build(GATED, discriminator=plain, **kwargs)


def image(seed, channels=3):
    noise = np.random.RandomState(seed).standard_normal((1, channels, 64, 64))
    return torch.from_numpy(np.tanh(noise).astype('float32'))


# --- one gate -----------------------------------------------------------
@pytest.fixture
def gate():
    gate = ChannelGate(6)
    gate.alpha.data = torch.tensor(GOLDEN['mask']['alpha'])
    return gate


def test_gate_equals_the_original(gate):
    arrays, want = load_npz('gcc', 'mask_'), GOLDEN['mask']
    x = arrays['x'].requires_grad_()
    y = gate(x)
    y.backward(arrays['go'])
    assert gate.mask.tolist() == want['mask']
    assert torch.equal(y, arrays['y'])
    assert torch.equal(x.grad, arrays['gx'])
    assert_close_rel(gate.alpha.grad, want['grad_alpha'], 1e-6)
    gate.clip_()
    assert torch.equal(gate.alpha, torch.tensor(want['alpha_after_clip']))
    assert list(gate.state_dict()) == list(want['state_dict_keys'])
    assert repr(gate) == 'ChannelGate(6, threshold=0.5)'


def test_threshold():
    gate = ChannelGate(3, threshold=0.25)
    gate.alpha.data = torch.tensor([0.2, 0.25, 0.3])
    assert gate.mask.tolist() == [0, 0.5, 1]
    for never_crossed in (0, 1, -0.5):
        with pytest.raises(ValueError, match='expected between 0 and 1'):
            ChannelGate(2, never_crossed)


def test_gates_gradient_is_summed_in_float32():
    gate = ChannelGate(1)
    x = torch.full((1, 1, 32, 32), 32.0, dtype=torch.float16)
    y = gate(x)
    assert y.dtype == torch.float16
    y.backward(torch.full_like(y, 16384.0))  # as AMP's loss scale may make it
    assert gate.alpha.grad.item() == 32 * 16384.0 * 32**2


def test_frozen_gate_keeps_no_activation():
    kept = []

    def pack(tensor):
        kept.append(tensor.numel())
        return tensor

    x = torch.rand(2, 6, 8, 8, requires_grad=True)
    for frozen, largest in ((True, 6), (False, x.numel())):
        gate = ChannelGate(6).requires_grad_(not frozen)
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            gate(x)
        assert max(kept) == largest


# --- the discriminator --------------------------------------------------
def load_gated(prefix, in_channels):
    """Load the original's masked discriminator: layers in their order."""
    state = load_npz('gcc', prefix)
    net = make(in_channels=in_channels)
    load_original(net.body, {k: v for k, v in state.items() if not k.endswith('.alpha')})
    for gate, index in zip(net.gates, (2, 5, 9, 13)):
        gate.alpha.data = state[f'model.{index}.alpha']
    return net


@torch.no_grad()
def translate(prefix, x, width=2):
    net = build('mmgan_compress.SeparableResnetGenerator', base_channels=width)
    load_original(net, load_npz('gcc', prefix))
    return net.eval()(x)


@torch.no_grad()
def test_pix2pix_losses_of_the_original():
    condition, target = image(11), image(10)
    net, want = load_gated('p2p/Ds/', 6), GOLDEN['pix2pix_iter1']['student']
    fake = translate('p2p/Gs/', condition)
    assert sum(opened for opened, _ in net.open_channels()) == 60 - 38
    for role, shown in (('real', target), ('fake', fake)):
        loss = gan_loss('hinge', net(torch.cat([condition, shown], 1)), role)
        assert_close_rel(loss, want[f'D_{role}'], 1e-3)


@pytest.mark.parametrize('name', ['A', 'B'])
@torch.no_grad()
def test_cyclegan_losses_of_the_original(name):
    source, target = (image(40), image(41))[:: 1 if name == 'A' else -1]
    net, want = load_gated(f'cyc/s_D_{name}/', 3), GOLDEN['cyclegan_iter1']['student']
    on_fake = net(translate(f'cyc/s_G_{name}/', source))
    loss = 0.5 * (gan_loss('lsgan', net(target), 'real') + gan_loss('lsgan', on_fake, 'fake'))
    assert_close_rel(loss, want[f'D_{name}'], 1e-3)
    assert_close_rel(gan_loss('lsgan', on_fake, 'g'), want[f'G_{name}'], 1e-3)


def written_out(state, alphas, x):
    """Return logits of the original's masked discriminator, layer by layer."""

    def gated(x, alpha):
        mask = (torch.sign(alpha.detach() - 0.5) + 1) / 2
        slope = (alpha - alpha.detach()).view(-1, 1, 1)  # zero, slope one
        return x * mask.view(-1, 1, 1) + x.detach() * slope

    x = F.conv2d(x, state['model.0.weight'], state['model.0.bias'], 2, 1)
    x = gated(F.leaky_relu(x, 0.2), alphas[0])
    for conv, stride, alpha in zip((3, 7, 11), (2, 2, 1), alphas[1:]):
        norm = f'model.{conv + 1}'
        x = F.conv2d(x, state[f'model.{conv}.weight'], None, stride, 1)
        x = F.batch_norm(
            x, None, None, state[f'{norm}.weight'], state[f'{norm}.bias'], training=True
        )
        x = F.leaky_relu(gated(x, alpha), 0.2)
    return F.conv2d(x, state['model.15.weight'], state['model.15.bias'], padding=1)


def test_gradients_tell_where_the_gates_stand():
    """Outputs do not: LeakyReLU(x / 2) is LeakyReLU(x) / 2."""
    net, x = load_gated('p2p/Ds/', 6), image(3, channels=6)
    gates = list(net.gates.parameters())
    alphas = [gate.detach().clone().requires_grad_() for gate in gates]
    want = written_out(load_npz('gcc', 'p2p/Ds/'), alphas, x)
    got = net(x)
    assert_close_rel(got.detach(), want.detach())
    for mine, other in zip(
        torch.autograd.grad(got.square().mean(), gates),
        torch.autograd.grad(want.square().mean(), alphas),
    ):
        assert_close_rel(mine, other, 1e-3)


@torch.no_grad()
def test_conversion_of_a_trained_discriminator():
    gated = make(in_channels=6, threshold=0.3)
    load_original(gated.body, load_npz('gcc', 'p2p/Dt/'))
    x = torch.cat([image(11), image(10)], 1)
    logits = gated(x)
    assert_close_rel(
        gan_loss('hinge', logits, 'real'), GOLDEN['pix2pix_iter1']['teacher']['D_real'], 1e-3
    )
    assert torch.equal(logits, gated.body(x))
    assert gated.gates[0].threshold == 0.3


def close(net, seed=0):
    """Close channels at random, some half-way, and the third layer."""
    generator = torch.Generator().manual_seed(seed)
    for gate in net.gates:
        gate.alpha.data.uniform_(0, 1, generator=generator)
        gate.alpha.data[:2] = torch.tensor([0.5, 0.9])
    net.gates[2].alpha.data.fill_(0.1)
    return net


def test_every_gate_gets_a_gradient_and_no_other():
    net = make(width=8)
    net.init_weights()
    for gate in net.gates:
        gate.alpha.data[::2] = 0.0
    net.body.requires_grad_(False)
    net(torch.rand(2, 3, 48, 48)).square().mean().backward()
    assert all((alpha.grad != 0).all() for alpha in net.gates.parameters())
    assert all(p.grad is None for p in net.body.parameters())


def test_frozen_gates_let_weights_of_open_channels_train():
    net = make()
    net.init_weights()
    net.gates.requires_grad_(False)
    net.gates[0].alpha.data[1] = 0.0
    net(image(0)).square().mean().backward()
    grad = net.body.model[0].conv.weight.grad.abs().sum((1, 2, 3))
    assert (grad > 0).tolist() == [True, False, True, True]
    assert all(alpha.grad is None for alpha in net.gates.parameters())


def test_optimizers_can_tell_gates_from_weights():
    net = make()
    gates = {f'gates.{i}.alpha' for i in range(4)}
    others = {name for name, _ in net.named_parameters()} - gates
    assert len(list(net.gates.parameters())) == 4
    assert {name.split('.')[0] for name in others} == {'body'}


def test_clip_and_count():
    net = make()
    net.gates[1].alpha.data[:4] = torch.tensor([-1.0, 3.0, 0.5, 0.4])
    assert net.open_channels() == [(4, 4), (6, 8), (16, 16), (32, 32)]
    net.clip_gates()
    assert_close_rel(net.gates[1].alpha[:4].detach(), [0, 1, 0.5, 0.4], 1e-6)


@pytest.mark.parametrize('std,want', [(0, 0), (1, GOLDEN['bn_init']['bias_std'])])
def test_initialisation(std, want):
    net = make(width=32, norm_bias_std=std)
    close(net).init_weights()
    norms = [block.norm for block in net.body.model[1:-1]]
    bias = torch.cat([norm.bias for norm in norms])
    weight = torch.cat([norm.weight for norm in norms])
    assert bias.std().item() == pytest.approx(want, rel=0.1)
    assert weight.std().item() == pytest.approx(GOLDEN['bn_init']['weight_std'], rel=0.1)
    assert all((gate.alpha == 1).all() for gate in net.gates)


# --- without closed channels --------------------------------------------
@pytest.mark.parametrize(
    'norm_cfg', [dict(type='BN'), dict(type='IN'), dict(type='IN', affine=True)], ids=str
)
@torch.no_grad()
def test_smaller_is_the_same_function(norm_cfg):
    net = make(norm_cfg=norm_cfg, width=8).double()
    net.init_weights()
    for value in net.body.state_dict().values():
        if value.dim() == 1:  # biases and norms that matter
            value.uniform_(0.5, 1.5)
    small = close(net).smaller()
    assert count_params(small) < count_params(net.body) / 3
    for seed, mode in enumerate([True, False, True, False]):
        x = torch.cat([image(seed), image(seed + 9)]).double()
        assert_close_rel(small.train(mode)(x), net.train(mode)(x), 1e-12)


@torch.no_grad()
def test_all_layers_closed():
    net = make()
    net.init_weights()
    for alpha in net.gates.parameters():
        alpha.zero_()
    small, x = net.smaller(), image(0)
    assert [conv.out_channels for conv in small.modules() if isinstance(conv, torch.nn.Conv2d)] == [
        1
    ] * 5
    assert torch.equal(small(x), net(x))


@torch.no_grad()
def test_smaller_is_rebuilt_from_its_config():
    net = make()
    net.init_weights()
    x, small = image(0), close(net).smaller().eval()
    before = net.eval()(x)
    arch = dict(type='PatchDiscriminator', in_channels=3, base_channels=4, norm_cfg=dict(type='BN'))
    config = json.loads(json.dumps(slim_config(small, arch)))
    assert config['type'] == 'mmgan_compress.SlimNetwork'
    rebuilt = build(**config).eval()
    rebuilt.load_state_dict(small.state_dict())
    assert torch.equal(rebuilt(x), small(x))
    for parameter in small.parameters():
        parameter.fill_(7.0)
    assert torch.equal(net(x), before)  # no tensor is shared


# --- refusals -----------------------------------------------------------
def test_other_discriminators_are_refused():
    multi = dict(type='mmgan_compress.MultiHeadPatchDiscriminator')
    with pytest.raises(TypeError, match='MultiHeadPatch.* cannot be gated'):
        build(GATED, discriminator=multi)
    with pytest.raises(TypeError, match='PatchDiscriminator cannot be gated'):
        make(norm_cfg=dict(type='GN', num_groups=2))


def test_norm_bias_where_there_is_none_is_refused():
    with pytest.raises(ValueError, match='norms of .* have no bias'):
        make('IN', norm_bias_std=1.0)
