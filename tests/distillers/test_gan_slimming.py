"""GAN Slimming: its step, and runs of it."""

import copy
from pathlib import Path

import pytest
import torch

import toy
from golden import assert_close_rel, load_json, load_npz
from mmgan_compress.engine.runner_builder import check_inputs
from mmgan_compress.models.fake_quant import is_quantized
from mmgan_compress.models.student import load_student
from mmgan_compress.pruning.slimming import SlimExtraction

pytestmark = pytest.mark.numerical

GOLDEN, ARRAYS = load_json('gan_slimming'), load_npz('gan_slimming')
GS8 = dict(activation_max=4.0, levels=256)


@pytest.fixture
def config(tmp_path, vgg_file):
    """Return the toy recipe of a task, with a checkpoint of its teacher."""

    def make(task='cyclegan', **distiller):
        cfg = toy.toy_config(task, tmp_path / task, vgg_file, method='gan_slimming')
        cfg.model.generator.norm_cfg = dict(type='IN', affine=True)
        path = tmp_path / f'{task}.pth'
        fresh = copy.deepcopy(cfg)
        fresh.model.distiller.update(teacher_checkpoints=[str(path)], start_from_teacher=False)
        torch.save(dict(state_dict={}), path)
        with toy.DefaultScope.overwrite_default_scope('mmagic'):
            model = toy.MODELS.build(fresh.model)
        torch.manual_seed(3)
        for network in model.distiller.teacher_side():
            network.init_weights()
        torch.save(
            dict(
                state_dict={
                    k: v
                    for k, v in model.distiller.state_dict().items()
                    if k.startswith(('teacher', 'discriminator'))
                }
            ),
            path,
        )
        cfg.model.distiller.teacher_checkpoints = [str(path)]
        for key, value in distiller.items():
            cfg.model.distiller[key] = value
        return cfg

    return make


@pytest.mark.parametrize('quantize', [None, GS8], ids=['GS32', 'GS8'])
@pytest.mark.parametrize('task', ['cyclegan', 'pix2pix'])
def test_who_learns(config, task, quantize):
    cfg = config(task, quantize=quantize)
    if task == 'pix2pix':  # the teacher's judge and the student's are alike
        assert cfg.model.distiller.start_from_teacher
    model = toy.build_model(cfg)
    distiller, domain = model.distiller, model.domains[0]
    student = model.generators[domain]
    assert is_quantized(student) == (quantize is not None)
    wrappers = toy.optimizers(model, cfg)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    log = distiller.train_step(toy.batch(model), wrappers)
    assert set(log) == {
        'loss_gan',
        'loss_disc_real',
        'loss_disc_fake',
        f'loss_perceptual_{domain}_' + ('teacher' if task == 'cyclegan' else 'wide'),
    }
    same = {k for k, v in model.state_dict().items() if torch.equal(v, before[k])}
    trunk = {
        f'generators.{domain}.{name}'
        for name, p in student.named_parameters()
        if not p.requires_grad
    }
    teacher = {k for k in before if k.startswith(('distiller.teacher', 'distiller.discrim'))}
    assert same >= trunk | teacher and trunk
    learning = before.keys() - same
    assert {
        f'generators.{domain}.{free}.weight' for free in ('model.0.in', 'model.3.block.0.in')
    } <= learning
    assert any('student_discriminators' in k for k in learning)
    # GS-8 clamps the trunk, which can leave single biases without gradient
    unmoved = same - trunk - teacher
    assert quantize or all(k.endswith('bias') for k in unmoved)
    assert bool(distiller.notes()[1:]) == (quantize is not None)


def test_every_parameter_has_one_optimizer(config):
    cfg = config()
    model = toy.build_model(cfg)
    wrappers = toy.optimizers(model, cfg)
    held = {
        name: [id(p) for g in w.param_groups for p in g['params']] for name, w in wrappers.items()
    }
    free = [
        id(p)
        for p in model.parameters()
        if p.requires_grad and id(p) not in map(id, model.distiller.teacher.parameters())
    ]
    assert sorted(sum(held.values(), [])) == sorted(free)
    student = model.generators[model.domains[0]]
    assert held['scales'] == [id(n.weight) for n in model.distiller.slim_norms]
    assert all(id(n.bias) in held['student'] for n in model.distiller.slim_norms)
    assert len(held['scales']) == 2 + 3 + 2  # three blocks
    # views own nothing: no entry of a checkpoint twice
    assert not [
        k for k in model.state_dict() if k.startswith(('distiller.scales', 'distiller.weights'))
    ]
    assert student.model[2].norm.weight.requires_grad is False  # trunk


def test_student_starts_as_its_teacher(config):
    model = toy.build_model(config())
    distiller, (domain,) = model.distiller, model.domains
    x = toy.batch(model)[f'img_{model.source_of(domain)}']
    student, teacher = model.generators[domain], distiller.network('teacher', domain)
    with torch.no_grad():
        assert_close_rel(student(x), teacher(x), 1e-5)
        judges = (
            distiller.student_discriminators[domain],
            distiller.teacher.discriminators[domain],
        )
        assert_close_rel(*(net(x) for net in judges), 1e-5)


def test_one_step_is_the_published_one(config):
    """Adam on weights and SGD on scales see one gradient; D sees the
    teacher's images as real."""
    cfg = config()
    model = toy.build_model(cfg)
    distiller, (domain,) = model.distiller, model.domains
    wrappers = toy.optimizers(model, cfg, lr=None)
    inputs = toy.batch(model)
    student = copy.deepcopy(model.generators[domain])
    judge = copy.deepcopy(distiller.student_discriminators[domain])
    x = inputs[f'img_{model.source_of(domain)}']
    with torch.no_grad():
        taught = distiller.network('teacher', domain)(x)
    image = student(x)
    taps, targets = distiller.perceptual(image), distiller.perceptual(taught)
    grams = [
        [f.flatten(2) @ f.flatten(2).mT / f[0].numel() for f in side] for side in (taps, targets)
    ]
    loss = (
        20
        * (
            (taps[0] - targets[0]).abs().mean()
            + 1e5 * sum((s - t).square().mean() for s, t in zip(*grams))
        )
        + (judge(image).mean((1, 2, 3)) - 1).square().mean()
    )
    loss.backward()
    norm = student.model[0].norm
    want = norm.weight.detach() - 0.1 * norm.weight.grad
    log = distiller.train_step(inputs, wrappers)
    got = model.generators[domain].model[0].norm.weight
    assert_close_rel(got.detach(), want)
    assert_close_rel(log['loss_gan'] + log[f'loss_perceptual_{domain}_teacher'], loss.detach())
    with torch.no_grad():
        real = 0.5 * (judge(taught).mean((1, 2, 3)) - 1).square().mean()
        fake = 0.5 * judge(image).mean((1, 2, 3)).square().mean()
    assert_close_rel(log['loss_disc_real'], real)
    assert_close_rel(log['loss_disc_fake'], fake)


def test_fine_tuning_has_one_optimizer(config):
    cfg = config()
    recipe = (
        toy.REPO
        / 'configs/gan_slimming'
        / ('gan_slimming_cyclegan-finetune_1xb16-200e_horse2zebra.py')
    )
    cfg.optim_wrapper = toy.Config.fromfile(recipe).optim_wrapper
    model = toy.build_model(cfg)
    wrappers = toy.optimizers(model, cfg)
    student = model.generators[model.domains[0]]
    before = toy.snapshot(student)
    model.distiller.train_step(toy.batch(model), wrappers)
    for norm in model.distiller.slim_norms:
        name = next(n for n, p in student.named_parameters() if p is norm.weight)
        # Adam's first step is the rate
        step = (norm.weight - before[name]).abs().max().item()
        assert step == pytest.approx(1e-3, rel=1e-2)


def test_mixed_precision_is_refused_while_slimming(config):
    cfg = config()
    model = toy.build_model(cfg)
    wrappers = toy.optimizers(model, cfg)
    wrappers['scales'].loss_scaler = object()
    with pytest.raises(ValueError, match='leave out --amp'):
        model.distiller.train_step(toy.batch(model), wrappers)


def test_stored_images_teach(config):
    cfg = config(teacher=dict(type='mmgan_compress.StoredTeacher'), start_from_teacher=False)
    cfg.model.distiller.teacher_checkpoints = []
    model = toy.build_model(cfg)
    inputs, (domain,) = toy.batch(model), model.domains
    logs = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        inputs[f'img_teacher_{domain}'] = torch.rand(2, 3, 32, 32)
        twin = toy.build_model(cfg)
        logs.append(twin.distiller.train_step(inputs, toy.optimizers(twin, cfg)))
    assert logs[0]['loss_disc_fake'] == logs[1]['loss_disc_fake']
    assert logs[0]['loss_disc_real'] != logs[1]['loss_disc_real']


@pytest.mark.parametrize(
    'change, message',
    [(dict(offline=False), 'set offline=True'), (dict(losses=[]), 'needs a teacher and a loss')],
)
def test_what_is_refused(config, change, message):
    with pytest.raises(ValueError, match=message):
        toy.build_model(config(**change))


def test_only_copies_can_start_as_the_teacher(config):
    cfg = config()
    cfg.model.generator.base_channels = 6
    with pytest.raises(ValueError, match='no copy of the teacher'):
        toy.build_model(cfg)


def test_gs8_goes_on_from_a_dense_model_in_8_bits(config, tmp_path):
    """One checkpoint is both networks' start, and rounds alike at once."""
    cfg = config(quantize=GS8)
    del cfg.default_hooks.slimming
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    dense = toy.train(cfg, tmp_path / 'dense').model
    file = str(tmp_path / 'dense/iter_4.pth')
    cfg = config(quantize=GS8, start_from_teacher=False, discriminator_checkpoint=file)
    (domain,) = dense.domains
    cfg.model.generator.init_cfg = dict(
        type='Pretrained', checkpoint=file, prefix=f'generators.{domain}'
    )
    model, x = toy.build_model(cfg), toy.batch(dense)['img_horse']
    for networks in (model.generators, model.distiller.student_discriminators):
        for key, value in networks.state_dict().items():
            name = (
                'generators.'
                if networks is model.generators
                else 'distiller.student_discriminators.'
            )
            assert torch.equal(value, dense.state_dict()[name + key])
    with torch.no_grad():
        assert torch.equal(model.generators[domain].eval()(x), dense.generators[domain].eval()(x))
    Path(file).unlink()  # found before anything is built
    with pytest.raises(FileNotFoundError, match='iter_4.pth'):
        check_inputs(cfg, loaders=[])


def same(a, b):
    """Tell whether nested values are equal, bit by bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, (dict, list, tuple)):
        keys = a if isinstance(a, dict) else range(len(a))
        return len(a) == len(b) and all(same(a[k], b[k]) for k in keys)
    return a == b


@pytest.mark.parametrize(
    'quantize', [pytest.param(None, marks=pytest.mark.slow), GS8], ids=['GS32', 'GS8']
)
def test_a_run_slims_and_resumes(config, tmp_path, quantize):
    cfg = config(quantize=quantize)
    cfg.default_hooks.slimming.rho = 6.0  # 0.6 in the first step
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    whole = toy.train(cfg, tmp_path / 'whole')
    (domain,) = whole.model.domains
    norms = whole.model.distiller.slim_norms
    assert any((norm.weight == 0).any() for norm in norms)
    resumed = toy.train(cfg, tmp_path / 'resumed', tmp_path / 'whole/iter_2.pth')
    a, b = map(toy.last_checkpoint, (whole, resumed))
    for key, value in a['state_dict'].items():
        assert torch.equal(value, b['state_dict'][key]), key
    # momentum and rates of the scales among them
    assert a['optimizer']['scales']['state']
    assert same(a['optimizer'], b['optimizer'])
    buffers = [
        dict(run.model.distiller.training_state())['student_buffers'] for run in (whole, resumed)
    ]
    assert buffers[0] and same(*buffers)
    # the student file holds a plain network, which can be extracted
    net = load_student(tmp_path / 'whole/student.pth')
    assert not is_quantized(net)
    result = SlimExtraction().compress(net, net.meta['generator'])
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert (result.network(x) - net(x)).abs().max() <= 1e-5
    # fine-tuning goes on with the discriminator of this run
    again = toy.build_model(
        config(discriminator_checkpoint=str(tmp_path / 'whole/last_checkpoint'))
    )
    for key, value in again.distiller.student_discriminators[domain].state_dict().items():
        assert torch.equal(
            value, a['state_dict'][f'distiller.student_discriminators.{domain}.{key}']
        )


def test_an_epoch_is_the_sources(config, tmp_path):
    """Published, each is drawn once; best is who comes late enough."""
    toy.write_images(
        tmp_path / 'cyclegan',
        {
            f'{split}{side}': count
            for split, side, count in (
                ('train', 'A', 5),
                ('train', 'B', 9),
                ('val', 'A', 2),
                ('val', 'B', 2),
            )
        },
    )
    cfg = toy.without_report(config(schedule=dict(epochs=2, constant=2, block=1)))
    cfg.default_hooks.student.since = 2
    done = toy.train(cfg, tmp_path / 'run')
    dataset = done.train_dataloader.dataset
    assert done.iter == 2 * (5 // 2) and len(dataset) == 5
    seen = [dataset[i]['data_samples'].metainfo['img_horse_path'] for i in range(5)]
    assert sorted(seen) == dataset.files[0]
    at_3 = torch.load(tmp_path / 'run/iter_3.pth', weights_only=True)
    assert 'best_student' not in at_3['message_hub']['runtime_info']
    assert done.message_hub.get_info('best_student') is not None
