"""GAN Slimming: its losses, its operator and its schedules."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub

import toy
from golden import assert_close_rel, build, load_json, load_npz
from mmgan_compress.core.schedule import TrainSchedule
from mmgan_compress.distillers.gan_slimming import logit
from mmgan_compress.engine.hooks.slimming import soft_threshold
from mmgan_compress.losses.base import DistillBatch
from mmgan_compress.registry import HOOKS

pytestmark = pytest.mark.numerical

GOLDEN, ARRAYS = load_json('gan_slimming'), load_npz('gan_slimming')


def test_soft_threshold():
    want = GOLDEN['soft_threshold']
    for threshold, values in want['cases'].items():
        got = soft_threshold(torch.tensor(want['w']), float(threshold))
        assert_close_rel(got, values, 1e-6)
        assert [v == 0 for v in got.tolist()] == [v == 0 for v in values]


class Wrapper(SimpleNamespace):
    """Stands for an optimizer, which is the key of what is held for it."""

    __hash__ = object.__hash__


def optim_wrapper(**parameters):
    return {name: Wrapper(param_groups=[dict(params=p, lr=0.1)]) for name, p in parameters.items()}


def test_cosine_is_the_optimizers_rate():
    """And not what the published code reads off ``get_lr()``."""
    schedule = TrainSchedule(200, 200, 20, iters_per_epoch=3)
    hook = HOOKS.build(dict(type='mmgan_compress.CosineLRHook'))
    runner = SimpleNamespace(
        optim_wrapper=optim_wrapper(scales=[]),
        iter=0,
        train_loop=SimpleNamespace(schedule=schedule),
    )
    hook.before_train(runner)
    (group,) = runner.optim_wrapper['scales'].param_groups
    for epoch, want in GOLDEN['cosine_get_lr_quirk'].items():
        for runner.iter in (3 * int(epoch), 3 * int(epoch) + 2):
            hook.before_train_iter(runner, 0)
            assert group['lr'] == pytest.approx(want['param_group_lr'])


@pytest.mark.parametrize('shrink', [True, False])
def test_hook_steps_by_the_rate_of_the_scales(shrink):
    norm = torch.nn.InstanceNorm2d(4, affine=True)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, -0.0005, 0.0, 0.0014]))
        norm.bias.copy_(torch.tensor([0.3, 0.3, -0.0004, 0.3]))
    hook = HOOKS.build(
        dict(type='mmgan_compress.SoftThresholdHook', rho=0.01, shrink_shifts=shrink)
    )
    model = SimpleNamespace(distiller=SimpleNamespace(slim_norms=[norm]))
    hub = MessageHub.get_instance(f'slimming-{shrink}')
    runner = SimpleNamespace(
        model=model, message_hub=hub, optim_wrapper=optim_wrapper(scales=[norm.weight])
    )
    hook.before_train(runner)
    hook.after_train_iter(runner, 0)  # by 0.01 * 0.1
    assert norm.weight.tolist() == pytest.approx([0.999, 0, 0, 0.0004])
    assert norm.bias.tolist() == pytest.approx(
        [0.3, 0.299, 0, 0.3] if shrink else [0.3, 0.3, -0.0004, 0.3]
    )
    runner.optim_wrapper['scales'].param_groups[0]['lr'] = 0.05
    hook.after_train_iter(runner, 1)
    assert norm.weight.tolist() == pytest.approx([0.9985, 0, 0, 0])
    assert hub.get_scalar('train/scales_alive').data[0].tolist() == [0.5, 0.25]
    runner.optim_wrapper = {'student': None}
    with pytest.raises(KeyError, match="no optimizer 'scales'"):
        hook.before_train(runner)


# --- losses -----------------------------------------------------------------
def test_perceptual_loss(vgg_file):
    want = GOLDEN['perceptual']
    vgg = build('mmgan_compress.VGG16Features', weights=vgg_file)
    loss = build('mmgan_compress.SlimmingPerceptualLoss')
    image = ARRAYS['S'].clone().requires_grad_()
    batch = DistillBatch(image, image, {'t': ARRAYS['T']}, perceptual=vgg)
    value = loss(batch, 't')
    assert_close_rel(value.detach(), want['perceptual'])
    content = build('mmgan_compress.SlimmingPerceptualLoss', style_weight=0.0)
    assert_close_rel(content(batch, 't').detach(), want['content_l1_relu1_2'])
    (loss.weight * value).backward()
    assert_close_rel(image.grad, ARRAYS['perceptual_grad_S_x20'], 2e-3)
    pixel = build('mmgan_compress.SlimmingPixelLoss')
    assert pixel.weight == loss.weight == 20
    assert_close_rel(pixel(batch, 't').detach(), (ARRAYS['S'] - ARRAYS['T']).square().mean())


def test_discriminator_gives_one_logit_per_image():
    want, cfg = (
        GOLDEN['discriminator'],
        toy.Config.fromfile(toy.recipe_of('gan_slimming', 'cyclegan')),
    )
    net = build(**cfg.model.distiller.student_discriminator)
    assert sum(p.numel() for p in net.parameters()) == want['params']
    with torch.no_grad():
        pred = logit(net(torch.rand(2, 3, 64, 64)))
    assert list(pred.shape) == want['output_shape_for_2x3x64x64']
