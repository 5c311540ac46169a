"""Gradients of a recipe's training, for the pruners that ask for them."""

import copy
import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmgan_compress import load_student, save_student
from mmgan_compress.engine.gradients import training_gradients
from mmgan_compress.registry import PRUNERS
from students import refused_by_tool
from test_workflow import run_here
from toy import SIZE, build_model

pytestmark = pytest.mark.numerical

pytest.importorskip('torch_pruning')


@pytest.fixture
def training(recipe):
    """A Pix2Pix of its own, which trains without a teacher."""
    return recipe('plain', 'pix2pix')


def generator_of(cfg, seed=3):
    """Return a generator of a recipe, and its config."""
    net = build_model(cfg, seed).generators['shoes']
    return net.train(), cfg.model.generator.to_dict()


def gradients(*args):
    """Take them with the same discriminator and dropout."""
    torch.manual_seed(0)
    return training_gradients(*args)


def test_the_network_stands_still(training):
    """Means over the same steps: of gradients, and of their squares."""
    net, config = generator_of(training)
    before = copy.deepcopy(net)
    mean, square = (gradients(training, net, config, 3, power) for power in (1, 2))
    for key, value in before.state_dict().items():
        assert torch.equal(value, net.state_dict()[key])
    assert all(p.grad is None for p in net.parameters())
    assert set(mean) == set(square)
    assert any((mean[key] ** 2 < square[key] * 0.99).any() for key in mean)
    for key in mean:
        assert (mean[key] ** 2 <= square[key] * 1.001 + 1e-12).all()


def test_first_step_is_the_loss(training):
    """One step of the L1 to the truth alone."""
    distiller = training.model.distiller
    distiller.update(gan_loss_weight=0.0, pixel_loss_weight=1.0)
    net, config = generator_of(training)
    found = gradients(training, net, config, 1)
    distiller.pixel_loss_weight = 2.0
    twice = gradients(training, net, config, 1)
    for key, value in found.items():
        torch.testing.assert_close(2 * value, twice[key], atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize('importance', ['taylor', pytest.param('hessian', marks=pytest.mark.slow)])
def test_command(importance, training, tmp_path, monkeypatch):
    training.dump(str(tmp_path / 'toy.py'))
    model = build_model(training, 3)
    save_student(tmp_path / 'wide.pth', model, source='Test', image_size=SIZE)
    args = [
        tmp_path / 'wide.pth',
        '--pruner',
        'TorchPruner',
        '--budget',
        'macs=0.5',
        '--training',
        tmp_path / 'toy.py',
        '--finetune',
        tmp_path / 'toy.py',
        '--tolerance',
        0.1,
    ]
    run_here(
        monkeypatch,
        *args,
        '--out',
        tmp_path / 'a',
        '--options',
        f'importance={importance}',
        'steps=2',
    )
    facts = json.loads((tmp_path / 'a' / 'compress.json').read_text())
    assert facts['domains']['shoes']['importance'] == importance
    small = load_student(tmp_path / 'a' / 'student.pth')
    assert sum(p.numel() for p in small.parameters()) < sum(
        p.numel() for p in model.generators['shoes'].parameters()
    )
    assert 'training is for the importances taylor, hessian' in refused_by_tool(
        'compress', *args, '--out', tmp_path / 'b', monkeypatch=monkeypatch
    )
    other = Config.fromfile(tmp_path / 'toy.py')
    other.model.reachable_domains = ['edges']
    other.dump(str(tmp_path / 'other.py'))
    args[6] = tmp_path / 'other.py'
    assert "the training does not generate 'shoes', but ['edges']" in refused_by_tool(
        'compress',
        *args,
        '--out',
        tmp_path / 'b',
        '--options',
        'importance=taylor',
        monkeypatch=monkeypatch,
    )
    assert not Path(tmp_path / 'b').exists()


def test_no_gradient_is_refused(recipe, tmp_path):
    """A network that imitates itself."""
    cfg = recipe('omgd', 'pix2pix')
    net, config = generator_of(cfg)
    save_student(tmp_path / 'net.pth', build_model(cfg, 3), source='Test', image_size=SIZE)
    teacher = dict(
        config,
        init_cfg=dict(
            type='Pretrained', checkpoint=str(tmp_path / 'net.pth'), prefix='generators.shoes'
        ),
    )
    distiller = cfg.model.distiller
    distiller.teachers = dict(teacher=teacher)
    distiller.update(
        offline=True, discriminator=None, losses=[dict(type='mmgan_compress.PerceptualLoss')]
    )
    for name in ('teachers', 'discriminators'):
        cfg.optim_wrapper.pop(name)
    with pytest.raises(ValueError, match='losses are at their least'):
        training_gradients(cfg, net, config, 1)


def test_python_needs_the_config(training):
    net, _ = generator_of(training)
    pruner = PRUNERS.build(
        dict(type='mmgan_compress.TorchPruner', ratio=0.5, importance='taylor', training=training)
    )
    with pytest.raises(ValueError, match='needs the config of its network'):
        pruner.prune(net, torch.empty(1, 3, SIZE, SIZE))
