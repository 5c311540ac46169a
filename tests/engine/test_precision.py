"""Mixed precision: networks in bfloat16, losses in float32."""

import pytest
import torch

from mmgan_compress.engine.precision import use_amp
from mmgan_compress.losses import gan as gan_losses
from toy import Trainer, batch, moved, snapshot, toy_config

pytestmark = pytest.mark.numerical

CASES = [
    (method, model)
    for method in ('omgd', 'crd', 'gcc', 'plain')
    for model in ('cyclegan', 'pix2pix')
]


def autocast(model):
    return torch.autocast('cpu', torch.bfloat16)


@pytest.fixture(params=CASES, ids='-'.join)
def trainer(request, tmp_path, vgg_file):
    """A distiller of which each optimizer asks for mixed precision."""
    method, model = request.param
    trainer = Trainer(toy_config(model, tmp_path / 'data', vgg_file, method=method))
    for wrapper in trainer.optim_wrapper.values():
        wrapper.optim_context = autocast
    # phases in turn, where there are some
    trainer.distiller.schedule = type(trainer.distiller.schedule)(
        epochs=2,
        constant=2,
        block=1,
        student_epochs=int(method in ('omgd', 'crd') and model == 'cyclegan'),
    )
    return trainer


def generators(distiller):
    nets = [net for group in distiller.latest_networks().values() for net in group.values()]
    return [*nets, *distiller.model.generators.values()]


def discriminators(distiller):
    nets = [
        distiller.discriminator_of(name, domain)
        for name in distiller.latest_networks()
        for domain in distiller.model.domains
    ]
    return [*nets, *getattr(distiller, 'student_discriminators', {}).values()]


def test_networks_run_in_half_and_losses_in_single(trainer):
    """Every loss, every adversarial loss, and all that is logged."""
    d = trainer.distiller
    ran, judged, losses = [], set(), [loss for group in d.losses.values() for loss in group]
    for net in generators(d):
        kinds = set()
        net.register_forward_hook(lambda m, a, out, kinds=kinds: kinds.add(out.dtype))
        ran.append(kinds)
    for net in discriminators(d):
        for module in net.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.register_forward_hook(lambda m, a, out: judged.add(out.dtype))
    single = set()
    for loss in losses:
        loss.register_forward_hook(
            lambda m, a, out: single.add((out.dtype, torch.is_autocast_enabled('cpu')))
        )
    before = [snapshot(net) for net in generators(d)]
    log = {}
    for _ in range(2):
        log.update(trainer.step())
    assert all(kinds == {torch.bfloat16} for kinds in ran)
    # losses ask discriminators in single precision, with all that they do
    assert judged == {torch.bfloat16} | (
        {torch.float32} if any(t.uses_discriminator for t in losses) else set()
    )
    assert single == ({(torch.float32, False)} if losses else set())
    for key, value in log.items():
        assert value.dtype == torch.float32 and torch.isfinite(value), key
    for net, weights in zip(generators(d), before):
        assert moved(net, weights)
        assert all(p.dtype == torch.float32 and torch.isfinite(p).all() for p in net.parameters())


def test_losses_are_near_those_of_single_precision(recipe, monkeypatch):
    """What is compared is the same number, to the rounding of bfloat16."""
    logs = []
    for context in (None, autocast):
        trainer = Trainer(recipe('gcc', 'pix2pix'))
        for wrapper in trainer.optim_wrapper.values() if context else []:
            wrapper.optim_context = context
        logs.append(trainer.step())
    for key, value in logs[0].items():
        # relations of two losses that nearly cancel are left out
        if 'coordination' not in key:
            assert float(logs[1][key]) == pytest.approx(float(value), rel=0.05, abs=0.02), key
    assert logs[0]['loss_pixel'] != logs[1]['loss_pixel']


@pytest.mark.parametrize('trainer', CASES[:6], indirect=True, ids='-'.join)
def test_losses_leave_a_mixed_precision_that_is_on(trainer):
    """A caller's: Gram matrices and variances do not bear bfloat16."""
    d = trainer.distiller
    domain, name = trainer.model.domains[0], next(iter(d.latest_networks()))
    data = batch(trainer.model)
    source = data[f'img_{trainer.model.source_of(domain)}']
    wrapper, losses = trainer.optim_wrapper['student'], []
    with torch.no_grad():
        target = d.run_teacher(name, domain, data)
        image, features = d.run_student(domain, source, wrapper)
        for enabled in (False, True):
            with torch.autocast('cpu', torch.bfloat16, enabled=enabled):
                losses.append(
                    d.distillation_losses(
                        domain, source, image, features, {n: target for n in d.latest_networks()}
                    )
                )
    assert losses[0] and losses[0] == losses[1]


def test_adversarial_losses_are_computed_in_single_precision():
    """A mean of many logits is not that of rounded ones."""
    pred = torch.full((1, 1, 64, 64), 1.0078125, dtype=torch.bfloat16)
    for kind in ('lsgan', 'hinge', 'vanilla', 'wgan'):
        for role in ('real', 'fake', 'g'):
            loss = gan_losses.gan_loss(kind, pred, role)
            assert loss.dtype == torch.float32
            assert loss == gan_losses.gan_loss(kind, pred.float(), role)


def test_amp_on_a_processor_with_bfloat16(recipe, monkeypatch):
    """Networks and VGG compute in it; features and losses are float32."""
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    monkeypatch.setattr('torch.cpu.get_capabilities', lambda: dict(avx512_bf16=True))
    cfg, seen = recipe('omgd', 'pix2pix'), set()
    use_amp(cfg)
    trainer = Trainer(cfg)
    trainer.model.generators['shoes'].register_forward_hook(lambda *args: seen.add(args[2].dtype))
    features = trainer.distiller.perceptual(torch.zeros(1, 3, 32, 32))
    log = trainer.step()
    assert seen == {torch.bfloat16}
    assert {value.dtype for value in [*features, *log.values()]} == {torch.float32}
    exact = Trainer(recipe('omgd', 'pix2pix')).step()
    for name, loss in exact.items():
        assert float(log[name]) == pytest.approx(float(loss), rel=0.05, abs=0.05), name
    assert log != exact
