"""A config, a checkpoint and a student of the code before load.

They were made by the code before losses, model and teacher snapshots had
their names of today: OMGD's CycleGAN with channel distillation, tiny.
"""

import gzip
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmgan_compress import load_student
from mmgan_compress.core.checkpoints import read_checkpoint
from mmgan_compress.core.configs import read_config
from mmgan_compress.registry import HOOKS, MODELS
from mmgan_compress.renamed import update_config
from toy import REPO, last_checkpoint, set_everywhere, train, write_images

BEFORE = Path(__file__).parent / 'data/before_rename'
OMGD = Config.fromfile(REPO / 'configs/_base_/losses/omgd_losses.py').omgd_losses


@pytest.fixture
def config(tmp_path):
    cfg = read_config(str(BEFORE / 'config.py'))
    write_images(
        tmp_path / 'data',
        {  # those of the run of before
            f'{split}{side}': count
            for side in 'AB'
            for split, count in (('train', 5), ('val', 2), ('test', 2))
        },
    )
    set_everywhere(list(cfg.values()), 'data_root', str(tmp_path / 'data'))
    return cfg


def test_config_and_checkpoint_of_before_go_on(config, tmp_path):
    losses = config.model.distiller.losses
    assert losses[:4] == OMGD
    assert losses[4].type == 'mmgan_compress.ChannelLoss'
    assert config.optim_wrapper.student.modules == ['generators', 'distiller.losses']
    (tmp_path / 'iter_6.pth').write_bytes(gzip.decompress((BEFORE / 'iter_6.pth.gz').read_bytes()))
    held = read_checkpoint(tmp_path / 'iter_6.pth')
    runner = train(config, tmp_path / 'run', tmp_path / 'iter_6.pth')
    assert runner.iter == 8
    distiller = runner.model.distiller
    assert (
        distiller.teacher_snapshots.scores
        == held['mmgan_compress']['distiller']['teacher_snapshots']
    )
    again = last_checkpoint(runner)
    assert list(again['state_dict']) == list(held['state_dict'])
    # it ends where the run of before did
    wanted = torch.load(BEFORE / 'student.pth', weights_only=True)
    for key, value in wanted['state_dict'].items():
        torch.testing.assert_close(again['state_dict'][key], value)
    snapshot = 'distiller.teacher_snapshots.teacher:zebra.model.0.conv.weight'
    adaptor = 'distiller.losses.zebra.4.adaptors.teacher.0.0.weight'
    for key, same in ((snapshot, True), (adaptor, False)):
        assert torch.equal(again['state_dict'][key], held['state_dict'][key]) == same


def test_student_of_before_is_equal():
    net = load_student(BEFORE / 'student.pth')
    state = torch.load(BEFORE / 'student.pth', weights_only=True)['state_dict']
    assert all(
        torch.equal(value, state[f'generators.zebra.{key}'])
        for key, value in net.state_dict().items()
    )
    assert net.meta['source'] == 'OMGDCycleGAN'


def losses_of(**distiller):
    """Return losses of a distiller's config brought up to date, by type."""
    config = dict(model=dict(distiller=distiller))
    update_config(config)
    assert set(distiller) <= {'type', 'losses', 'gan_type'}
    return {loss['type'].split('.')[1]: loss for loss in distiller['losses']}


def test_arguments_of_before_are_losses():
    omgd, crd = 'mmgan_compress.OMGDPix2Pix', 'mmgan_compress.CRDPix2Pix'
    four = ['SSIMLoss', 'StyleLoss', 'PerceptualLoss', 'TotalVariationLoss']
    assert list(losses_of(type=omgd)) == four
    channel = dict(weight=5.0, layers=['a'])
    got = losses_of(type=omgd, channel=channel)
    assert list(got) == [*four, 'ChannelLoss']
    assert got['ChannelLoss'] == dict(channel, type='mmgan_compress.ChannelLoss')
    # a recipe of one's own on a base of today
    base = [*OMGD, dict(type='mmgan_compress.ChannelLoss', weight=9.0, layers=['b'])]
    assert list(losses_of(type=omgd, losses=base, channel=None)) == four
    assert losses_of(type=omgd, losses=base, channel=dict(weight=2.0))['ChannelLoss']['weight'] == 2
    # before, a list of losses was all
    only = [dict(type='mmgan_compress.SSIMTerm', weight=1.0)]
    assert list(losses_of(type=omgd, terms=only, channel=channel)) == ['SSIMLoss']
    got = losses_of(
        type=crd, relation=dict(patches='published'), adversarial_weight=2.0, gan_type='lsgan'
    )
    assert got['RelationLoss']['patches'] == 'published'
    assert got['RelationLoss']['weight'] == 2.5
    assert got['AdversarialLoss'] == dict(
        type='mmgan_compress.AdversarialLoss', weight=2.0, gan_type='lsgan'
    )


def test_registries_know_types_by_both_names():
    assert MODELS.get('mmgan_compress.DistilledTranslator') is MODELS.get('DistillationModel')
    hook = dict(type='mmgan_compress.TermWeightHook', term='ssim', begin=0, end=4)
    update_config([hook])
    assert HOOKS.build(hook).loss == 'ssim'
