"""Published checkpoints of GauGAN."""

import pytest
import torch

import gaugan_golden as gaugan
from gaugan_golden import GENERATOR, LABELS, label_map
from golden import assert_close_rel, build, load_npz
from mmgan_compress.models.original import load_original
from mmgan_compress.pruning.subnetwork import subnet
from test_spade_supernet import CASES, supernet


@torch.no_grad()
def test_original_generator_loses_its_spectral_norms(tmp_path):
    """As a file of its own, the names behind 'module.'."""
    state = {f'module.{key}': value for key, value in load_npz('gaugan', 'gen/spade/').items()}
    torch.save(state, tmp_path / 'latest_net_G.pth')
    net = build(GENERATOR, labels=LABELS, base_channels=1, upsampling='more').eval()
    load_original(net, tmp_path / 'latest_net_G.pth')
    assert_close_rel(net(label_map()), gaugan.generator('spade').eval()(label_map()), 1e-4)
    with pytest.raises(ValueError, match='does not fit'):
        load_original(build(GENERATOR, labels=LABELS, base_channels=2), state)


@torch.no_grad()
def test_subnetwork_with_the_statistics_of_its_supernet():
    wide, case = supernet().eval(), CASES[1]
    small, config = subnet(wide, case['config'])
    whole = wide.network.state_dict()
    published = {
        key: whole[key] if 'running' in key else value for key, value in small.state_dict().items()
    }
    net = build(**config).eval()
    load_original(net, published)
    assert torch.equal(net(label_map()), small.eval()(label_map()))


def test_discriminator():
    net = build(gaugan.DISCRIMINATOR, labels=LABELS, base_channels=2)
    load_original(net, load_npz('gaugan', 'D/'))
    for key, value in load_npz('gaugan', 'D/').items():
        assert torch.equal(net.state_dict()[key], value)
