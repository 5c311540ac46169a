"""GCC's cooperative step against the numbers of its own code."""

import copy
import inspect

import pytest
import torch
from mmengine.config import Config

from golden import assert_close_rel, load_json, load_npz
from mmgan_compress.models.original import load_original
from mmgan_compress.registry import DISTILLERS
from test_gates import image, load_gated
from toy import REPO, build_model, moved, optimizers, snapshot

pytestmark = pytest.mark.numerical

GOLDEN = load_json('gcc')
MOBILE = dict(type='mmgan_compress.SeparableResnetGenerator', norm_cfg=dict(type='IN'))
TAPS = ['model.9', 'model.12', 'model.15', 'model.18']


def recipe(model, published=False):
    """GCC's recipe with the networks of the fixtures."""
    cfg = Config.fromfile(REPO / f'configs/gcc_{model}.py')
    distiller = cfg.model.distiller
    distiller.schedule = dict(epochs=4, constant=2, block=4, iters_per_epoch=1)
    cfg.model.generator = dict(MOBILE, base_channels=2)
    if model == 'pix2pix':
        distiller.teachers.wide = dict(MOBILE, base_channels=4)
        distiller.losses[0].layers = TAPS
        nets = [distiller.discriminator, distiller.student_discriminator.discriminator]
    else:
        distiller.teacher.generator = dict(MOBILE, base_channels=4)
        nets = [distiller.teacher.discriminator, distiller.student_discriminator.discriminator]
        if published:
            distiller.published_features = True
            distiller.losses[0].detach_discriminator = True
    for net in nets:
        net.base_channels = 4
    return cfg


def put(module, prefix):
    # of GCC's discriminators, which have gates whatever they are used for
    load_original(
        module, {k: v for k, v in load_npz('gcc', prefix).items() if not k.endswith('.alpha')}
    )


def put_gated(net, prefix, in_channels):
    net.load_state_dict(load_gated(prefix, in_channels).state_dict())


def put_adaptors(loss, prefix):
    arrays = load_npz('gcc', prefix)
    with torch.no_grad():
        for index, adaptor in enumerate(loss.adaptors[loss.teachers[0]]):
            adaptor.weight.copy_(arrays[str(index)])


@pytest.fixture
def paired():
    cfg = recipe('pix2pix')
    model = build_model(cfg).train()
    d = model.distiller
    put(model.generators['photo'], 'p2p/Gs/')
    put(d.teachers['wide'], 'p2p/Gt/')
    put(d.discriminator, 'p2p/Dt/')
    put_gated(d.student_discriminators['photo'], 'p2p/Ds/', 6)
    put_adaptors(d.losses['photo'][0], 'p2p/A')
    return model, optimizers(model, cfg, lr=None)


@pytest.fixture
def unpaired():
    cfg = recipe('cyclegan', published=True)
    model = build_model(cfg).train()
    d = model.distiller
    # the originals name G_A, D_A: A -> B, and what judges its images
    for domain, letter in (('zebra', 'A'), ('horse', 'B')):
        put(model.generators[domain], f'cyc/s_G_{letter}/')
        put(d.teacher.generators[domain], f'cyc/t_G_{letter}/')
        put(d.teacher.discriminators[domain], f'cyc/t_D_{letter}/')
        put_gated(d.student_discriminators[domain], f'cyc/s_D_{letter}/', 3)
        put_adaptors(d.losses[domain][0], f'cyc/A_{letter}')
    return model, optimizers(model, cfg, lr=None)


def pair(label, photo):
    """BtoA: the condition is image B of the fixtures."""
    return dict(img_label=image(label), img_photo=image(photo))


def spied(loss):
    """Record content and texture of a loss."""
    seen, parts = [], loss.parts

    def spy(batch, teacher):
        seen[:] = [float(x) for x in parts(batch, teacher)]
        return parts(batch, teacher)

    loss.parts = spy
    return seen


def test_paired_iteration(paired):
    """pix2pix_iter1, then pix2pix_arch_step1 on the second stream."""
    model, optim = paired
    d, want = model.distiller, GOLDEN['pix2pix_iter1']
    seen = spied(d.losses['photo'][0])
    gate = d.student_discriminators['photo'].gates[0].alpha
    arch = GOLDEN['pix2pix_arch_step1']
    # stored as they were before the clip that every step begins with
    assert_close_rel(gate.clamp(0, 1), arch['alpha0_before'])
    log = d.train_step(dict(pair(11, 10), gates=pair(21, 20)), optim)
    teacher, student = want['teacher'], want['student']
    for got, expected in (
        (2 * log['loss_disc_real_wide'], teacher['D_real']),
        (2 * log['loss_disc_fake_wide'], teacher['D_fake']),
        (log['loss_gan_wide'], teacher['G_GAN']),
        (log['loss_pixel_wide'], teacher['G_L1']),
        (2 * log['loss_disc_real'], student['D_real']),
        (2 * log['loss_disc_fake'], student['D_fake']),
        (log['loss_gan'], student['G_GAN']),
        (log['loss_pixel'], student['G_L1']),
        (50 * seen[0], student['content']),
        (1e4 * seen[1], student['gram']),
    ):
        assert_close_rel(got, expected, 1e-3)
    # gradients through three optimizer steps and sums over few samples
    total = log['loss_gates_coordination_photo'] + log['loss_gates_capacity_photo']
    assert_close_rel(d.gaps['photo'], arch['teacher_D_arch_diff'], 2e-3)
    assert_close_rel(total, arch['loss_D_arch'], 5e-3)
    assert_close_rel(
        log['loss_gates_capacity_photo'], 0.5 * (arch['D_arch_real'] + arch['D_arch_fake']), 5e-3
    )
    assert_close_rel(gate, arch['alpha0_after'])


def test_teacher_learns_against_the_updated_discriminator(paired):
    """The G_GAN of the fixture is not that of the old discriminator."""
    model, _ = paired
    d, data = model.distiller, pair(11, 10)
    with torch.no_grad():
        fake = d.teachers['wide'](data['img_label'])
        old = d.generator_losses(data['img_label'], data['img_photo'], dict(wide=fake))[
            'loss_gan_wide'
        ]
    want = GOLDEN['pix2pix_iter1']['teacher']['G_GAN']
    assert abs(float(old) - want) > 0.01 * abs(want)


def test_unpaired_iteration(unpaired):
    """cyclegan_iter1, in the published order, then cyclegan_arch_step1."""
    model, optim = unpaired
    d, want = model.distiller, GOLDEN['cyclegan_iter1']
    seen = {domain: spied(d.losses[domain][0]) for domain in model.domains}
    data = dict(img_horse=image(40), img_zebra=image(41))
    second = dict(img_horse=image(50), img_zebra=image(51))
    log = d.train_step(dict(data, gates=second), optim)
    for who, prefix in (('teacher', 'loss_teacher_'), ('student', 'loss_')):
        for domain, letter, source in (('zebra', 'A', 'horse'), ('horse', 'B', 'zebra')):
            for name, key in (
                (f'gan_{domain}', f'G_{letter}'),
                (f'cycle_{source}', f'cycle_{letter}'),
                (f'identity_{domain}', f'idt_{letter}'),
                (f'disc_{domain}', f'D_{letter}'),
            ):
                assert_close_rel(log[prefix + name], want[who][key], 2e-3)
    for domain, letter in (('zebra', 'A'), ('horse', 'B')):
        content, texture = seen[domain]
        assert_close_rel(0.01 * content, want['student'][f'content_{letter}'], 1e-3)
        assert_close_rel(10 * texture, want['student'][f'gram_{letter}'], 1e-3)
        arch = GOLDEN['cyclegan_arch_step1']
        assert_close_rel(d.gaps[domain], arch[f'loss_teacher_netD_{letter}_arch_diff'], 5e-3)
        total = sum(log[f'loss_gates_{part}_{domain}'] for part in ('coordination', 'capacity'))
        assert_close_rel(total, arch[f'loss_D_arch_{letter}'], 2e-2)


def test_gap_is_averaged_as_the_paper_means_it(paired, monkeypatch):
    """The sequence `ema`: beta follows the epoch, 1 - (k - 1) / epochs."""
    model, optim = paired
    d = model.distiller
    raw = iter([e['raw'] for e in GOLDEN['ema']])
    monkeypatch.setattr(d, '_gap', lambda pred: torch.tensor(next(raw)))
    # 20 epochs of one step: beta 1, 0.9, 0.5, 0.25 in epochs 1, 3, 11, 16
    d.schedule = type(d.schedule)(epochs=20, constant=20, block=20)
    for iteration, entry in zip((1, 3, 11, 16), GOLDEN['ema']):
        d.iteration = iteration
        got = d._teacher_gap('photo', pair(21, 20), optim['gates'])
        assert_close_rel(got, entry['ema'])
    d.average_gap = False
    monkeypatch.setattr(d, '_gap', lambda pred: torch.tensor(7.0))
    assert d._teacher_gap('photo', pair(21, 20), optim['gates']) == 7.0


def test_gates_move_on_the_second_stream_alone(paired):
    model, optim = paired
    d = model.distiller
    net = d.student_discriminators['photo']
    steps = []
    run = d.gate_step

    def spy(inputs, wrappers):
        before = [
            snapshot(m)
            for m in (net.gates, net.body, model.generators, d.teachers, d.discriminator)
        ]
        steps.append(before)
        log = run(inputs, wrappers)
        parts = (net.gates, net.body, model.generators, d.teachers, d.discriminator)
        assert [moved(m, b) for m, b in zip(parts, before)] == [True, False, False, False, False]
        return log

    d.gate_step = spy
    start = snapshot(net.gates)
    d.train_step(dict(pair(11, 10), gates=pair(21, 20)), optim)
    # not by the discriminator's own step before
    assert steps and all(torch.equal(steps[0][0][k], start[k]) for k in start)
    assert all(p.requires_grad for p in d.student_discriminators.parameters())


def test_gradient_reaches_the_student_through_the_teachers_discriminator(paired, unpaired):
    for (model, _), domain, data, flows in (
        (paired, 'photo', pair(11, 10), True),
        (unpaired, 'zebra', dict(img_horse=image(40), img_zebra=image(41)), False),
    ):
        d = model.distiller
        loss = d.losses[domain][0]
        name = loss.teachers[0]
        source = data[f'img_{model.source_of(domain)}']
        shown = image(3).requires_grad_()
        # the discriminator's taps alone
        loss.layers = loss.target_layers = ()
        loss.adaptors[name] = torch.nn.ModuleList()
        target = d.run_teacher(name, domain, data)
        losses = d.distillation_losses(domain, source, shown, {}, {name: target})
        total = sum(losses.values())
        assert total.requires_grad == flows
        if flows:
            total.backward()
            assert shown.grad.abs().max() > 0
        judge = d.discriminator_of(name, domain)
        assert all(p.grad is None for p in judge.parameters())
        assert all(p.requires_grad for p in judge.parameters())


def test_distillation_can_stop(paired):
    """Then neither teacher nor gates run; the GAN game goes on."""
    model, optim = paired
    d = model.distiller
    for loss in d.losses['photo']:
        loss.weight = 0.0
    before = [snapshot(m) for m in (model.generators, d.teachers)]
    log = d.train_step(pair(11, 10), optim)
    assert [moved(m, b) for m, b in zip((model.generators, d.teachers), before)] == [True, False]
    assert not [k for k in log if 'wide' in k or 'gates' in k]


def test_layers_of_unequal_resolution_are_refused(paired):
    model, optim = paired
    loss = model.distiller.losses['photo'][0]
    loss.target_layers = ('model.9', 'model.12', 'model.15', 'model.22')
    loss.adaptors['wide'][3] = torch.nn.Conv2d(8, 8, 1)
    with pytest.raises(ValueError, match='name layers of one resolution'):
        model.distiller.train_step(dict(pair(11, 10), gates=pair(21, 20)), optim)


def test_state_holds_gaps_and_buffers(unpaired):
    model, optim = unpaired
    d = model.distiller
    data = dict(img_horse=image(40), img_zebra=image(41))
    d.train_step(dict(data, gates=data), optim)
    state = copy.deepcopy(d.training_state())
    assert set(state['gaps']) == {'horse', 'zebra'}
    assert state['student_buffers']['zebra'].shape == (1, 3, 64, 64)
    d.gaps, d.image_buffers['zebra'].image_buffer = {}, []
    d.load_training_state(state)
    assert set(d.gaps) == {'horse', 'zebra'}
    assert len(d.image_buffers['zebra'].image_buffer) == 1


def test_one_signature_shows_all_arguments():
    arguments = inspect.signature(DISTILLERS.get('GCCCycleGAN')).parameters
    assert {
        'average_gap',
        'buffer_size',
        'teacher',
        'student_discriminator',
        'losses',
        'schedule',
        'offline',
    } <= arguments.keys()
    assert 'kwargs' not in arguments
