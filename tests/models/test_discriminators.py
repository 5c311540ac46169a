"""Discriminators against the outputs of OMGD's own code."""

import pytest
import torch

from golden import assert_close_rel, build, load_json, load_npz
from mmgan_compress.models.original import load_original

pytestmark = pytest.mark.numerical

MULTI = 'mmgan_compress.MultiHeadPatchDiscriminator'
NORMS = {'instance': 'IN', 'batch': 'BN'}


@pytest.fixture(scope='module')
def pair():
    fixture = load_npz('omgd')
    return torch.cat([fixture['real_A'], fixture['T1']], 1)


def load_multi(norm, shared):
    net = build(MULTI, base_channels=4, shared=shared, norm_cfg=dict(type=NORMS[norm]))
    load_original(net, load_npz('omgd', f'multiD_{norm}/'))
    return net


@pytest.mark.parametrize('norm', NORMS)
@pytest.mark.parametrize('shared', range(6))
def test_multi_head_equals_the_original(pair, norm, shared):
    net = load_multi(norm, shared).eval()
    want = load_json('omgd')[f'multi_n_layers_D_{norm}'][f'n_share={shared}']
    with torch.no_grad():
        wide, deep = net(pair, 0), net(pair, 1)
    assert list(wide.shape) == want['shape']
    assert_close_rel([wide.double().sum(), deep.double().sum()], [want['t1_sum'], want['t2_sum']])
    gap = (wide - deep).abs().max()
    assert gap.item() == pytest.approx(want['max_abs_diff_t1_t2'], rel=1e-4)


@pytest.mark.parametrize('norm', NORMS)
def test_patch_discriminator_of_mmagic_is_the_original(pair, norm):
    """Heads that share nothing are plain PatchGANs (``model.N`` names)."""
    source = load_npz('omgd', f'multiD_{norm}/')
    convs, norms = (0, 2, 5, 8, 11), (None, 3, 6, 9, None)
    state = {}
    for block in range(5):
        for child, index in ((0, convs[block]), (1, norms[block])):
            prefix = f'block{block + 1}s.0.block.{child}.'
            state.update(
                {
                    f'model.{index}.{key.removeprefix(prefix)}': value
                    for key, value in source.items()
                    if key.startswith(prefix)
                }
            )
    net = build(
        'PatchDiscriminator', in_channels=6, base_channels=4, norm_cfg=dict(type=NORMS[norm])
    ).eval()
    load_original(net, state)
    want = load_json('omgd')[f'multi_n_layers_D_{norm}']['n_share=0']
    with torch.no_grad():
        assert_close_rel(net(pair).double().sum(), want['t1_sum'])


@pytest.mark.parametrize('shared', range(6))
@pytest.mark.parametrize('head', [0, 1])
def test_gradient_reaches_only_the_used_head(pair, shared, head):
    net = load_multi('batch', shared)
    net(pair, head).sum().backward()
    for index, copies in enumerate(net.blocks):
        assert len(copies) == (1 if index < shared else 2)
        for copy, block in enumerate(copies):
            used = index < shared or copy == head
            for parameter in block.parameters():
                assert (parameter.grad is not None) == used


def test_any_number_of_heads(pair):
    net = build(MULTI, base_channels=2, num_heads=3, shared=4)
    net.init_weights()
    assert len({net(pair, head).sum().item() for head in range(3)}) == 3
    with pytest.raises(ValueError, match='head is 3, expected 0 to 2'):
        net(pair, 3)


@pytest.mark.parametrize('shared', [-1, 6])
def test_shared_out_of_range_is_refused(shared):
    with pytest.raises(ValueError, match=f'shared is {shared}, expected 0'):
        build(MULTI, shared=shared)
