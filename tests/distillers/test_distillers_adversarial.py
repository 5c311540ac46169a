"""Students that play the GAN game themselves, with or without a teacher."""

import copy

import pytest
import torch

from mmgan_compress.losses.gan import gan_loss
from toy import Trainer, batch, build_model, moved, snapshot

pytestmark = pytest.mark.numerical

HOSTS = ['cyclegan', 'pix2pix']
SPARSE = dict(type='mmgan_compress.SparsityLoss', weight=0.5, on='weight')


@pytest.fixture(params=HOSTS)
def plain(request, recipe):
    return Trainer(recipe('plain', request.param))


def test_student_and_its_discriminators_learn_alone(plain):
    d = plain.distiller
    assert not d.teacher_side() and not d.latest_networks()
    assert not list(d.reported_teachers) and not len(d.teacher_snapshots)
    assert set(plain.optim_wrapper.keys()) == {'student', 'student_discriminators'}
    nets = [*plain.model.generators.values(), *d.student_discriminators.values()]
    before = [snapshot(net) for net in nets]
    log = plain.step()
    assert all(moved(net, b) for net, b in zip(nets, before))
    assert all(p.requires_grad for net in nets for p in net.parameters())
    assert all(torch.isfinite(v) and not v.requires_grad for v in log.values())


def test_paired_losses_and_their_order(recipe):
    """The discriminator judges old images, the student meets a new one."""
    trainer = Trainer(recipe('plain', 'pix2pix'))
    d, data = trainer.distiller, batch(trainer.model, 0)
    source, real = data['img_edges'], data['img_shoes']
    net = d.student_discriminators['shoes']
    old = copy.deepcopy(net)
    with torch.no_grad():
        fake = trainer.model.generators['shoes'].train()(source)
        shown = {'fake': torch.cat([source, fake], 1), 'real': torch.cat([source, real], 1)}
    log = trainer.step()
    with torch.no_grad():
        want = {
            f'loss_disc_{role}': 0.5 * gan_loss('hinge', old(pair), role)
            for role, pair in shown.items()
        }
        want['loss_gan'] = -net(shown['fake']).mean()
        want['loss_pixel'] = 100 * (fake - real).abs().mean()
        before = -old(shown['fake']).mean()
    assert log.keys() == want.keys()
    for key, value in want.items():
        assert float(log[key]) == pytest.approx(float(value), rel=1e-5), key
    assert float(log['loss_gan']) != pytest.approx(float(before), rel=1e-3)


def test_unpaired_losses_and_their_order(recipe):
    """The students meet the old discriminators, which step after them."""
    trainer = Trainer(recipe('plain', 'cyclegan'))
    d, data = trainer.distiller, batch(trainer.model, 0)
    nets = copy.deepcopy(d.student_discriminators)
    sources = dict(zebra='horse', horse='zebra')
    with torch.no_grad():
        fake = {
            k: trainer.model.generators[k].train()(data[f'img_{s}']) for k, s in sources.items()
        }
        want = {}
        for domain, other in sources.items():
            real = data[f'img_{domain}']
            want[f'loss_gan_{domain}'] = ((nets[domain](fake[domain]) - 1) ** 2).mean()
            again = trainer.model.generators[domain](fake[other])
            want[f'loss_cycle_{domain}'] = 10 * (again - real).abs().mean()
            own = trainer.model.generators[domain](real)
            want[f'loss_identity_{domain}'] = 5 * (own - real).abs().mean()
            want[f'loss_disc_{domain}'] = 0.5 * (
                ((nets[domain](real) - 1) ** 2).mean() + (nets[domain](fake[domain]) ** 2).mean()
            )
    log = trainer.step()
    assert log.keys() == want.keys()
    for key, value in want.items():
        assert float(log[key]) == pytest.approx(float(value), rel=1e-5), key


@pytest.mark.parametrize('weight,passes', [(5.0, 6), (0.0, 4)])
def test_identity_images_only_where_they_count(recipe, weight, passes):
    trainer = Trainer(
        recipe('plain', 'cyclegan', loss_config=dict(cycle_loss_weight=10.0, id_loss_weight=weight))
    )
    seen = []
    for net in trainer.model.generators.values():
        net.register_forward_hook(lambda _, args, __: seen.append(len(args[0])))
    log = trainer.step()
    assert sum(seen) == passes * len(batch(trainer.model)['img_zebra'])
    assert ('loss_identity_zebra' in log) == bool(weight)


def test_discriminators_are_shown_the_pool(recipe):
    trainer = Trainer(recipe('plain', 'cyclegan', buffer_size=2))
    buffer = trainer.distiller.image_buffers['zebra']
    asked, query = [], buffer.query

    def spy(images):
        asked.append((images.clone(), query(images)))
        return asked[-1][1]

    buffer.query = spy
    for _ in range(6):
        trainer.step()
    assert len(buffer.image_buffer) == 2
    # one of twelve images, at even odds, has been another than the latest
    assert any(not torch.equal(*pair) for pair in asked)


@pytest.mark.parametrize('host', HOSTS)
def test_losses_that_need_a_teacher_are_refused(recipe, host):
    with pytest.raises(
        ValueError, match='SSIMLoss needs a teacher, and the distiller has none: leave the loss out'
    ):
        build_model(recipe('plain', host, losses=[dict(type='mmgan_compress.SSIMLoss')]))


@pytest.mark.parametrize('host', HOSTS)
def test_losses_without_teacher_come_on_top(recipe, host):
    trainer = Trainer(recipe('plain', host, losses=[SPARSE]))
    log = trainer.step()
    domains = trainer.model.domains
    keys = [k for k in log if 'spars' in k]
    assert keys == [f'loss_{trainer.distiller.losses[d][0].name}_{d}' for d in domains]
    assert all(log[k] > 0 for k in keys)
    weights = []
    for weight in (0.5, 50.0):
        trainer = Trainer(recipe('plain', host, losses=[dict(SPARSE, weight=weight)]))
        for wrapper in trainer.optim_wrapper.values():
            wrapper.optimizer = torch.optim.SGD(
                [p for g in wrapper.param_groups for p in g['params']], 1e-4
            )
        trainer.step()
        weights.append(
            sum(
                v.detach().abs().sum() for v in trainer.model.generators.parameters() if v.dim() > 1
            )
        )
    assert weights[1] < weights[0]


def test_domains_that_a_task_needs(recipe):
    cfg = recipe('plain', 'pix2pix')
    cfg.model.reachable_domains = ['edges', 'shoes']
    with pytest.raises(
        ValueError,
        match='a paired distiller generates one '
        r"domain, got reachable_domains=\['edges', 'shoes'\]",
    ):
        build_model(cfg)
    cfg = recipe('plain', 'cyclegan')
    cfg.model.reachable_domains = ['zebra']
    with pytest.raises(ValueError, match='generates both of its domains'):
        build_model(cfg)


def test_teachers_that_train_need_a_discriminator(recipe):
    cfg = recipe('gcc', 'pix2pix')
    del cfg.model.distiller['discriminator']
    with pytest.raises(ValueError, match='need a discriminator'):
        build_model(cfg)


@pytest.mark.parametrize('host', HOSTS)
def test_with_a_teacher_but_without_gates(recipe, host):
    """GCC's cooperation with an ordinary discriminator."""
    cfg = recipe('gcc', host)
    d = cfg.model.distiller
    d.type = d.type.replace('GCC', 'Adversarial')
    d.student_discriminator = d.student_discriminator.discriminator
    cfg.optim_wrapper.pop('gates')
    cfg.optim_wrapper.student_discriminators.modules = ['distiller.student_discriminators']
    trainer = Trainer(cfg)
    d = trainer.distiller
    nets = [trainer.model.generators, d.student_discriminators, d.losses, *d.teacher_side()]
    before = [snapshot(net) for net in nets]
    log = trainer.step()
    assert all(moved(net, b) for net, b in zip(nets, before))
    assert [k for k in log if 'cooperative' in k]


@pytest.mark.parametrize('host', HOSTS)
def test_copy_of_the_teacher_teaches_players(recipe, host):
    """Its features are the targets; the latest pair trains on."""
    trainer = Trainer(recipe('gcc', host, teacher_snapshots=True))
    d = trainer.distiller
    name = next(iter(d.latest_networks()))
    domain = trainer.model.domains[-1]
    d.teacher_snapshots.keep_if_best(name, domain, d.network(f'latest:{name}', domain), [1.0])
    for parameter in d.teacher_snapshots[f'{name}:{domain}'].parameters():
        parameter.add_(0.1)  # so that it is told from the latest
    copied = snapshot(d.teacher_snapshots)
    latest = [snapshot(net) for net in d.teacher_side()]
    data = batch(trainer.model, 0)
    with torch.no_grad():
        want = d.run_teacher(name, domain, data)[0]
    seen, loss = [], d.losses[domain][0]
    loss.register_forward_pre_hook(lambda m, args: seen.append(args[0].targets[name]))
    trainer.step()
    assert torch.equal(seen[0], want)
    assert not moved(d.teacher_snapshots, copied)
    assert all(moved(net, b) for net, b in zip(d.teacher_side(), latest))


def test_pools_of_images_are_kept(recipe):
    trainer = Trainer(recipe('plain', 'cyclegan'))
    trainer.step()
    state = copy.deepcopy(trainer.distiller.training_state())
    other = Trainer(recipe('plain', 'cyclegan')).distiller
    other.load_training_state(state)
    assert set(state['student_buffers']) == {'horse', 'zebra'}
    for domain, images in state['student_buffers'].items():
        assert torch.equal(torch.cat(other.image_buffers[domain].image_buffer), images)
        assert other.image_buffers[domain].img_num == len(images) == 2
