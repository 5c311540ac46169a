"""Pruning while training, and the cut behind it."""

import copy

import pytest
import torch

from golden import build
from mmgan_compress import load_student
from mmgan_compress.core.channels import channel_map
from mmgan_compress.core.complexity import count_macs
from mmgan_compress.core.layers import find_layer
from mmgan_compress.engine.hooks.pruning import GradualPruningHook, masks_of
from mmgan_compress.models.slim import slim_config
from mmgan_compress.models.student import student_info
from mmgan_compress.pruning.slicing import difference
from mmgan_compress.pruning.slimming import MaskExtraction
from mmgan_compress.pruning.torch_pruner import TorchPruner
from pruning import CONFIGS, image, network
from toy import SIZE, Trainer, last_checkpoint, train, without_report

pytest.importorskip('torch_pruning')
PRUNER = dict(type='mmgan_compress.TorchPruner', budget=dict(macs=0.4, size=SIZE, tolerance=0.1))
IMAGE = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture
def pruning(recipe):
    """A recipe of four steps that prunes before the second and third."""
    cfg = without_report(recipe('plain', 'pix2pix'))
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.default_hooks.student = dict(type='mmgan_compress.StudentHook')
    cfg.model.generator = dict(
        type='ResnetGenerator',
        in_channels=3,
        out_channels=3,
        base_channels=4,
        num_blocks=2,
        norm_cfg=dict(type='IN', affine=True),
    )
    cfg.custom_hooks = [
        dict(type='mmgan_compress.GradualPruningHook', pruner=PRUNER, begin=0.0, end=0.7, steps=2)
    ]
    return cfg


def dead(net):
    """Return the share of the filters that are all zero."""
    filters = [
        layer.weight.transpose(0, 1) if layer.transposed else layer.weight
        for layer in net.modules()
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.ConvTranspose2d))
    ]
    zero = torch.cat([(w.flatten(1) == 0).all(1) for w in filters])
    return zero.float().mean().item()


def test_masked_student_is_cut_exactly(pruning, tmp_path):
    """Resumed between its steps, the run ends bit-equal."""
    whole = train(pruning, tmp_path / 'a')
    student = tmp_path / 'a' / 'student.pth'
    net = load_student(student)
    small, config, summary = MaskExtraction().compress(net, student_info(student)['generator'])
    assert difference(net, small, IMAGE) <= 1e-5
    assert 0 < summary['removed'] < summary['removable']
    macs = [count_macs(n, (1, 3, SIZE, SIZE)).macs for n in (net, small)]
    assert macs[1] == pytest.approx(0.4 * macs[0], rel=0.1)
    rebuilt = build(**config)
    rebuilt.load_state_dict(small.state_dict())
    with pytest.raises(ValueError, match='no channel is zero'):
        MaskExtraction().compress(small, config)
    states = [torch.load(tmp_path / 'a' / f'iter_{n}.pth', weights_only=True) for n in (1, 2, 4)]
    assert [bool(state['gradual_pruning']) for state in states] == [False, True, True]
    for start in (2, 3):  # between the steps, and behind the last
        resumed = train(pruning, tmp_path / f'from_{start}', tmp_path / 'a' / f'iter_{start}.pth')
        one, other = map(last_checkpoint, (whole, resumed))
        assert one['gradual_pruning'] == other['gradual_pruning']
        for key, value in one['state_dict'].items():
            assert torch.equal(value, other['state_dict'][key]), key


def test_what_is_dead_stays_so_and_grows(pruning):
    hook = GradualPruningHook(PRUNER, 0.0, 0.7, 2)
    trainer = pruning_trainer(pruning, hook)
    net = trainer.model.generators[trainer.model.domains[0]]
    shares, before = [], copy.deepcopy(channel_map(net))
    for _ in range(4):
        trainer.step()
        shares.append(dead(net))
    assert shares[0] == 0 < shares[1] < shares[2] == shares[3]
    assert channel_map(net) == before  # never structure


def pruning_trainer(cfg, hook):
    class Run(Trainer):
        max_iters = 4

        class logger:
            info = staticmethod(lambda *_: None)

    return Run(cfg, hook)


@pytest.mark.parametrize(
    'settings, message',
    [(dict(begin=0.5, end=0.5), '0 <= begin < end <= 1'), (dict(steps=0), '1 step or more')],
)
def test_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        GradualPruningHook(PRUNER, **settings)


@pytest.mark.parametrize(
    'pruner, message',
    [
        (dict(PRUNER, budget=dict(macs=1e-4, size=SIZE)), 'nearest reachable'),
        (dict(type='mmgan_compress.TorchPruner', ratio=0.5), 'with a budget'),
        (dict(type='mmgan_compress.MaskExtraction'), 'that ranks channels'),
    ],
)
def test_what_cannot_work_is_refused_before_training(pruning, pruner, message):
    with pytest.raises(ValueError, match=message):
        pruning_trainer(pruning, GradualPruningHook(pruner))


@pytest.mark.parametrize('name', CONFIGS)
def test_zeros_are_what_is_cut(name):
    """Masked by the hook == sliced, for every architecture."""
    net, _ = network(name)
    masked = copy.deepcopy(net)
    small, kept, _ = TorchPruner(ratio=0.5).prune(net, image())
    for layer, sides in kept.items():
        for tensor, mask in masks_of(find_layer(masked, layer), sides):
            tensor.mul_(mask)
    assert difference(masked, small, image()) <= 1e-5
    cut, config, _ = MaskExtraction().compress(masked, CONFIGS[name])
    assert config == slim_config(small, CONFIGS[name])
    assert difference(cut, small, image()) == 0
