"""Parameters and MACs, to the last digit, and layers by name."""

import pytest
import torch
import torch.nn as nn

from golden import build, load_json
from mmgan_compress.core.complexity import count_macs, count_params, measure_latency
from mmgan_compress.core.feature_extraction import infer_channels
from mmgan_compress.core.layers import find_layer

MULTI = 'mmgan_compress.MultiHeadPatchDiscriminator'
TYPES = {
    'resnet_9blocks': 'ResnetGenerator',
    'mobile_resnet_9blocks': 'mmgan_compress.SeparableResnetGenerator',
    'mobile_deepest_resnet': 'mmgan_compress.DeepSeparableResnetGenerator',
    'unet_256': 'UnetGenerator',
    'unet_deepest_256': 'mmgan_compress.DeepUnetGenerator',
    'n_layers': 'PatchDiscriminator',
    'multi_n_layers': MULTI,
}
# Rows of GCC for networks of the same names, at other sizes as well.
MOBILE = dict(netG='mobile_resnet_9blocks', norm='instance')
UNET = dict(netG='unet_256', norm='batch')
SAME = {
    'gcc_cyclegan_ngf24_256': dict(MOBILE, ngf=24),
    'gcc_cyclegan_ngf64_256': dict(MOBILE, ngf=64),
    'gcc_cyclegan_ngf24_286': dict(MOBILE, ngf=24),
    'gcc_cyclegan_ngf64_286': dict(MOBILE, ngf=64),
    'gcc_unet_ngf16_256': dict(UNET, ngf=16),
    'gcc_unet_ngf32_256': dict(UNET, ngf=32),
    'gcc_unet_ngf64_256': dict(UNET, ngf=64),
    'gcc_D_in3_ndf64': dict(netD='n_layers', ndf=64, norm='instance'),
    'gcc_D_in6_ndf128': dict(netD='n_layers', ndf=128, norm='batch'),
}
ENTRIES = {
    name: {**entry, **SAME.get(name, {})}
    for name, entry in load_json('macs').items()
    if name in SAME or entry.get('netG', entry.get('netD')) in TYPES
}


def build_entry(entry):
    """Build the network of a row of macs.json."""
    cfg = dict(
        type=TYPES[entry.get('netG') or entry['netD']],
        in_channels=entry['input'][1],
        base_channels=entry.get('ngf') or entry['ndf'],
        norm_cfg=dict(type='IN' if entry['norm'] == 'instance' else 'BN'),
    )
    if 'netG' in entry:
        cfg['out_channels'] = 3
    if cfg['type'] == MULTI:
        cfg['shared'] = entry['n_share']
    with torch.device('meta'):
        return build(**cfg)


def test_entries():
    assert len(ENTRIES) == 41, 'networks of macs.json that can be built'


@pytest.mark.parametrize('name', ENTRIES)
def test_figures_are_exact(name):
    entry = ENTRIES[name]
    net = build_entry(entry)
    multi = entry.get('netD') == 'multi_n_layers'
    macs = count_macs(net, entry['input'], **(dict(head=1) if multi else {}))
    assert macs.macs == entry['macs_flop_counter']
    assert macs.macs_paper == entry['macs_torchprofile']
    params = count_params(net)
    # The original also counts a copy, never used, of each shared block.
    dead = sum(map(count_params, net.blocks[: entry['n_share']])) if multi else 0
    assert params + dead == entry['params']
    assert sum(row.params for row in macs.layers) == params
    assert sum(row.macs for row in macs.layers) == macs.macs


def test_counting_leaves_the_network_alone():
    net = build('UnetGenerator', in_channels=3, out_channels=3, base_channels=1).train()
    net.model.model[1].eval()
    calls = []
    net.register_forward_hook(lambda *args: calls.append(args))
    modes = [m.training for m in net.modules()]
    before = {k: v.clone() for k, v in net.state_dict().items()}
    count_macs(net, (1, 3, 256, 256))
    infer_channels(net, ['model.model.0'], (1, 3, 256, 256))
    measure_latency(net, (1, 3, 256, 256))
    assert [m.training for m in net.modules()] == modes
    for key, value in net.state_dict().items():
        assert value.device.type == 'cpu' and torch.equal(value, before[key])
    # three to warm up, nine that are timed
    assert len(calls) == 12, 'the hook of the owner is for real passes only'


class Attention(nn.Module):
    """A layer called twice, a linear one and a product of matrices."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.norm = nn.InstanceNorm2d(4, affine=True)
        self.linear = nn.Linear(4, 8)

    def forward(self, x):
        x = self.norm(self.conv(self.conv(x))).flatten(2)
        return self.linear(x @ x.transpose(1, 2))


def test_all_arithmetic_is_counted():
    macs = count_macs(Attention(), (2, 4, 5, 7))
    conv, linear, product = 2 * 2 * 4 * 35 * 2 * 9, 2 * 4 * 8 * 4, 2 * 16 * 35
    assert macs.macs == conv + linear + product
    assert macs.macs_paper == macs.macs + 2 * 4 * 35
    rows = {row.name or row.type: row for row in macs.layers}
    assert rows['conv'].macs == conv
    assert rows['conv'].output_shape == (2, 4, 5, 7)
    assert rows['functional'].macs == product


def test_unknown_layers_name_the_nearest():
    net = build('ResnetGenerator', in_channels=3, out_channels=3, base_channels=1)
    assert find_layer(net, 'model.3') is net.model[3]
    with pytest.raises(KeyError) as error:
        infer_channels(net, ['model.3', 'model.33'], (1, 3, 32, 32))
    message = error.value.args[0]
    assert "no layer 'model.33' in ResnetGenerator; nearest: 'model.3', 'model.13'" in message
    for name in ('', 'nothing_like_it'):
        with pytest.raises(KeyError, match='nearest: '):
            find_layer(net, name)


def test_layers_that_do_not_run_are_refused():
    net = nn.Sequential(nn.Conv2d(3, 5, 1))
    net[0].unused = nn.Identity()
    assert infer_channels(net, ['0'], (1, 3, 8, 8)) == {'0': 5}
    with pytest.raises(LookupError, match="'0.unused' of Sequential ran 0 times"):
        infer_channels(net, ['0.unused'], (1, 3, 8, 8))


def test_latency():
    net = build('mmgan_compress.SeparableResnetGenerator', base_channels=1)
    latency = measure_latency(net, (1, 3, 32, 32))
    assert 0 < latency['median_ms'] <= latency['p95_ms']
    assert (latency['threads'], latency['device']) == (torch.get_num_threads(), 'cpu')
    assert net.training
