"""``accumulative_counts``: one step by the gradients of several iterations."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import DefaultScope

from mmgan_compress.core import training
from mmgan_compress.engine.hooks.slimming import SoftThresholdHook
from mmgan_compress.engine.hooks.teaching import FreezeHook
from test_training import assert_equal, state_of
from toy import last_checkpoint, leave_out, set_everywhere, toy_config, train


class CPUAmp(OptimWrapper):
    """``AmpOptimWrapper``, which refuses to be built without a GPU."""

    _scale_update_param = None
    backward, step = AmpOptimWrapper.backward, AmpOptimWrapper.step

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.loss_scaler = torch.amp.GradScaler('cpu')


def network():
    torch.manual_seed(0)
    return torch.nn.Linear(3, 2).double()


def wrapper_of(net, count, kind=OptimWrapper, **kwargs):
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    return kind(optimizer, accumulative_counts=count, **kwargs)


def images(count):
    return torch.linspace(-1, 2, 3 * count).double().view(count, 3).sin()


@pytest.mark.parametrize('kind', [OptimWrapper, CPUAmp])
def test_passes_of_a_group_are_one_with_all_images(kind):
    """The last group is incomplete."""
    parts, whole = network(), network()
    wrapper, other = (
        wrapper_of(net, count, kind, clip_grad=dict(max_norm=0.5))
        for net, count in ((parts, 3), (whole, 1))
    )
    x = images(5)
    for index, image in enumerate(x.split(1)):
        before = parts.weight.clone()
        training.update(wrapper, parts(image).square().mean())
        assert torch.equal(before, parts.weight) == (index != 2)
        assert training.passes_held(wrapper) == (index + 1) % 3
    training.step_rest(wrapper)
    training.step_rest(wrapper)  # nothing is left
    for batch in (x[:3], x[3:]):
        training.update(other, whole(batch).square().mean())
    for p, q in zip(parts.parameters(), whole.parameters()):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-12)


def test_optimizers_that_share_a_pass_step_together():
    """And must agree how often."""
    first, second = network(), network()
    wrappers = wrapper_of(first, 2), wrapper_of(second, 2)
    before = second.weight.clone()
    for moves in (False, True):
        loss = (first(images(1)) * second(images(1))).mean()
        training.update(wrappers[0], loss, wrappers[1])
        assert torch.equal(before, second.weight) != moves
    with pytest.raises(ValueError, match=r'same accumulative_counts, .*2, 1'):
        training.backward(wrappers[0], loss, wrapper_of(second, 1))


def test_only_its_own_parameters_get_a_gradient():
    first, second = network(), network()
    loss = (first(images(1)) * second(images(1))).mean()
    training.backward(wrapper_of(first, 1), loss)
    assert first.weight.grad is not None and second.weight.grad is None


def test_hooks_wait_for_the_step():
    """Scales shrink once a step; what is frozen forgets its gradient."""
    norm = torch.nn.InstanceNorm2d(3, affine=True)
    model = torch.nn.Module()
    model.norm, model.distiller = norm, SimpleNamespace(slim_norms=[norm])
    wrapper = wrapper_of(norm, 2)
    runner = SimpleNamespace(
        model=model,
        optim_wrapper=dict(scales=wrapper),
        iter=0,
        message_hub=SimpleNamespace(update_scalar=lambda *args: None),
    )
    hook = SoftThresholdHook(rho=1.0)
    for expected in (1.0, 0.8):  # Adam's step and the threshold are 0.1
        training.update(wrapper, norm.weight.sum() + norm.bias.sum())
        hook.after_train_iter(runner, 0)
        torch.testing.assert_close(norm.weight, torch.full((3,), expected))
    training.update(wrapper, norm.weight.sum() + norm.bias.sum())
    FreezeHook(['norm']).before_train_iter(runner, 0)
    training.step_rest(wrapper)
    torch.testing.assert_close(norm.weight, torch.full((3,), 0.8))


@pytest.fixture(scope='module')
def recipe(tmp_path_factory, vgg_file):
    """Return a maker of a recipe with three optimizers, whose images do not
    meet in a batch norm."""
    data = tmp_path_factory.mktemp('accumulation') / 'data'

    def make(count):
        cfg = toy_config('pix2pix', data, vgg_file)
        leave_out(cfg, 'ChannelLoss')
        cfg.model.distiller.update(
            schedule=dict(epochs=3, constant=3, block=1, iters_per_epoch=count)
        )
        cfg.train_dataloader.batch_size = 2 // count
        # by SGD, and no one-pixel norms, as in test_distributed.py
        net = dict(type='mmgan_compress.SeparableResnetGenerator', base_channels=4, num_blocks=2)
        cfg.model.generator = dict(net)
        for name in cfg.model.distiller.teachers:
            cfg.model.distiller.teachers[name] = dict(net)
        set_everywhere(cfg.model, 'norm_cfg', dict(type='IN'))
        for wrapper in cfg.optim_wrapper.values():
            if isinstance(wrapper, dict):
                wrapper.accumulative_counts = count
                wrapper.optimizer = dict(type='SGD', lr=1e-3)
        cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
        cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
        cfg.custom_hooks = []
        return cfg

    return make


@pytest.fixture(scope='module')
def accumulated(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp('accumulated')
    with DefaultScope.overwrite_default_scope('mmagic'):
        return folder, last_checkpoint(train(recipe(2), folder))


def test_two_iterations_at_batch_1_are_one_at_batch_2(accumulated, recipe, tmp_path):
    """Sums over images (total variation) included; the first moves
    nothing."""
    folder, _ = accumulated
    cfg = recipe(1)
    cfg.model.distiller.schedule.update(epochs=1, constant=1)
    whole = last_checkpoint(train(cfg, tmp_path))['state_dict']
    first, second, third = (
        torch.load(folder / f'iter_{i}.pth', weights_only=True)['state_dict'] for i in (1, 2, 3)
    )
    assert_equal(second, third)
    for key, value in whole.items():
        assert torch.allclose(second[key], value, rtol=0, atol=1e-6), key
        assert key.endswith('bias') or not torch.allclose(first[key], value, rtol=0, atol=1e-4), key


@pytest.mark.parametrize('start', [2, 3])
def test_resume_in_a_group_is_bit_equal(accumulated, recipe, tmp_path, start):
    folder, last = accumulated
    again = train(recipe(2), tmp_path, folder / f'iter_{start}.pth')
    assert_equal(state_of(last), state_of(last_checkpoint(again)))
    held = torch.load(folder / f'iter_{start}.pth', weights_only=True)['mmgan_compress'][
        'gradients'
    ]
    assert sorted(held) == (['discriminators', 'student', 'teachers'] if start == 3 else [])


def test_losses_that_grow_are_named(accumulated):
    folder, _ = accumulated
    log = next(folder.glob('*/*.log')).read_text()
    assert 'TotalVariationLoss: a sum over the 2 images of a step' in log
