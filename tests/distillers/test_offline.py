"""Teachers that do not train: from a checkpoint, or no networks at all."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmgan_compress.registry import MODELS
from onnx_files import write_onnx
from students import run_tool
from test_training import assert_equal, state_of
from toy import SIZE, Trainer, build_model, last_checkpoint, moved, snapshot, toy_config, train

HERE = 'test_offline'
CASES = [(method, host) for method in ('omgd', 'crd', 'gcc') for host in ('cyclegan', 'pix2pix')]
IMAGES = [
    dict(type=f'mmgan_compress.{name}', weight=1.0) for name in ('SSIMLoss', 'PerceptualLoss')
]


def invert(x):
    """Stand for a diffusion model."""
    return -x


def alone(cfg):
    """Leave out the optimizers of what does not train, and its hooks."""
    for name in ('teachers', 'discriminators'):
        cfg.optim_wrapper.pop(name)
    cfg.default_hooks.rate = dict(type='mmgan_compress.ScheduledLRHook')
    cfg.custom_hooks = []
    return cfg


@pytest.mark.parametrize('host', ['cyclegan', 'pix2pix'])
def test_a_gan_that_trained_alone_teaches(host, recipe, tmp_path):
    """Its checkpoint as it is; of a run that had a teacher, the teacher."""
    trained = build_model(recipe('plain', host), seed=3)
    alone_, both = tmp_path / 'iter_9.pth', tmp_path / 'both.pth'
    torch.save(dict(state_dict=trained.state_dict()), alone_)
    (tmp_path / 'last_checkpoint').write_text(f'/elsewhere/{alone_.name}')
    cfg = alone(
        recipe('crd', host, offline=True, teacher_checkpoints=[str(tmp_path / 'last_checkpoint')])
    )
    own = build_model(cfg)
    torch.save(dict(state_dict=own.state_dict()), both)
    cfg.model.distiller.teacher_checkpoints = [str(both)]
    again = build_model(cfg, seed=5)
    domain = own.domains[0]
    for d in (own.distiller, again.distiller):
        (teacher,) = d.latest_networks()
        pairs = [
            (d.network(teacher, domain), trained.generators[domain]),
            (d.discriminator_of(teacher, domain), trained.distiller.student_discriminators[domain]),
        ]
        for one, other in pairs:
            assert_equal(dict(one.state_dict()), dict(other.state_dict()))


@pytest.fixture
def offline(recipe, tmp_path, monkeypatch):
    """Return a maker of offline recipes, and the trained host of each."""

    def make(method, host, **distiller):
        trained = build_model(recipe(method, host), seed=3)
        torch.save(dict(state_dict=trained.state_dict()), tmp_path / 'iter_1.pth')
        run_tool('save_teachers', tmp_path / 'iter_1.pth', tmp_path / 'teachers.pth')
        return alone(
            recipe(
                method,
                host,
                **{
                    **dict(offline=True, teacher_checkpoints=[str(tmp_path / 'teachers.pth')]),
                    **distiller,
                },
            )
        ), trained

    return make


def assert_taken_over(distiller, trained):
    """The teachers are those of the checkpoint, bit by bit."""
    pairs = list(zip(distiller.teacher_side(), trained.teacher_side()))
    assert pairs
    for own, other in pairs:
        for key, value in other.state_dict().items():
            assert torch.equal(own.state_dict()[key], value), key


# --- networks from a checkpoint -------------------------------------------
@pytest.mark.parametrize('method,host', CASES)
def test_teacher_from_a_checkpoint(offline, method, host):
    cfg, trained = offline(method, host)
    trainer = Trainer(cfg)
    d = trainer.distiller
    assert_taken_over(d, trained.distiller)
    modes, graphs = set(), set()
    for net in d.teacher_side():
        for module in net.modules():
            module.register_forward_hook(lambda m, *_: modes.add(m.training))
    for networks in d.latest_networks().values():
        for net in networks.values():
            net.register_forward_hook(lambda m, _, out: graphs.add(out.requires_grad))
    student = snapshot(trainer.model.generators)
    logs = [trainer.step() for _ in range(2)]  # sets all to train mode
    assert trainer.model.generators.training
    assert modes == graphs == {False}
    assert moved(trainer.model.generators, student)
    assert_taken_over(d, trained.distiller)
    assert not any(p.requires_grad for net in d.teacher_side() for p in net.parameters())
    # of the teachers nothing but the student's losses is logged
    taught = {
        f'loss_{loss.name}_{domain}_{name}'
        for domain, losses in d.losses.items()
        for loss in losses
        for name in loss.teachers
    }
    named = {k for k in logs[-1] if k.endswith(('_wide', '_deep', '_teacher')) or '_teacher_' in k}
    assert named == taught


def test_a_finished_teacher_runs_once_for_an_image(offline):
    """Where its pictures are remembered; the losses are those of before."""
    losses = [dict(type='mmgan_compress.SSIMLoss', weight=10.0)]
    logs, counts = [], []
    for most in (0, 1, 2):
        cfg, _ = offline('crd', 'cyclegan', losses=losses, remembered_images=most)
        trainer, ran = Trainer(cfg), []
        (networks,) = trainer.distiller.latest_networks().values()
        teacher = networks[trainer.model.domains[0]]
        teacher.register_forward_hook(lambda m, args, out, ran=ran: ran.append(len(args[0])))
        logs.append([])
        for _ in range(3):
            trainer.iter = 0  # the same images again
            logs[-1].append({name: float(value) for name, value in trainer.step().items()})
        counts.append(sum(ran))
    images = counts[0] // 3
    assert counts == [3 * images, 1 + 3 * (images - 1), 2 + 3 * (images - 2)]
    for log in logs[1:]:
        for one, other in zip(log, logs[0]):
            assert one == pytest.approx(other, rel=1e-4)


def test_teachers_that_train_are_not_remembered(recipe):
    with pytest.raises(ValueError, match='remembered_images=5 needs offline=True'):
        build_model(recipe('crd', 'cyclegan', remembered_images=5))


@pytest.mark.parametrize('method', ['omgd', 'crd', 'gcc'])
def test_a_cyclegan_of_mmagic_teaches(recipe, tmp_path, method):
    """Its own checkpoint, as mmagic's Runner writes it."""
    cfg = recipe(method, 'cyclegan')
    teacher = dict(cfg.model.distiller.teacher, type='mmagic.CycleGAN')
    torch.manual_seed(3)
    model = MODELS.build(teacher)
    path = tmp_path / 'iter_9.pth'
    torch.save(dict(meta=dict(iter=9), state_dict=model.state_dict()), path)
    cfg.model.distiller.update(offline=True, teacher_checkpoints=[str(path)])
    d = build_model(cfg).distiller
    held = model.state_dict()
    assert [k for k in held if k.startswith('generators.zebra')]
    for key, value in held.items():
        assert torch.equal(d.teacher.state_dict()[key], value), key


@pytest.mark.parametrize('method,host', CASES)
def test_a_checkpoint_is_needed(recipe, method, host):
    with pytest.raises(
        ValueError,
        match='offline=True needs trained '
        r'teachers: give teacher_checkpoints=\[...\]',
    ):
        build_model(recipe(method, host, offline=True))


@pytest.mark.parametrize(
    'method,host,losses,needed',
    [
        ('omgd', 'cyclegan', None, False),
        ('omgd', 'pix2pix', None, False),
        ('crd', 'cyclegan', None, True),
        ('crd', 'pix2pix', None, True),
        ('crd', 'pix2pix', IMAGES, False),
        ('gcc', 'cyclegan', None, True),
        # by the gap of its losses, not by a loss
        ('gcc', 'pix2pix', IMAGES, True),
    ],
)
def test_discriminators_are_needed_where_they_judge(
    offline, tmp_path, method, host, losses, needed
):
    cfg, _ = offline(method, host, **(dict(losses=losses) if losses else {}))
    path = tmp_path / 'teachers.pth'
    state = torch.load(path, weights_only=True)['state_dict']
    torch.save(dict(state_dict={k: v for k, v in state.items() if 'discriminator' not in k}), path)
    if not needed:
        assert build_model(cfg)
        return
    with pytest.raises(ValueError, match='missing: .*discriminator'):
        build_model(cfg)


def test_other_networks_are_refused(offline):
    cfg, _ = offline('omgd', 'pix2pix')
    cfg.model.distiller.teachers.wide.base_channels = 8
    with pytest.raises(ValueError, match='19 tensors have another shape'):
        build_model(cfg)


# --- images alone ------------------------------------------------------------
def image_recipe(recipe, method, host, teacher, **distiller):
    """Return a recipe whose teacher only gives images."""
    cfg = recipe(method, host)
    old = cfg.model.distiller
    new = dict(
        type=old.type, perceptual=old.perceptual, schedule=old.schedule, losses=IMAGES, offline=True
    )
    if method == 'crd':
        new['losses'] = [*IMAGES, dict(type='mmgan_compress.RelationLoss', patch_size=SIZE // 2)]
    new.update(dict(teacher=teacher) if host == 'cyclegan' else dict(teachers=dict(wide=teacher)))
    cfg.model.distiller = {**new, **distiller}
    return alone(Config(cfg.to_dict()))


def teacher_of(kind, folder):
    if kind == 'OnnxTeacher':
        path = write_onnx(folder / 'a.onnx', 'FLOAT', (1, 3, SIZE, SIZE))
        return dict(type='mmgan_compress.OnnxTeacher', path=str(path), output_name='image')
    if kind == 'CallableTeacher':
        return dict(type='mmgan_compress.CallableTeacher', function=f'{HERE}:invert')
    return dict(type='mmgan_compress.StoredTeacher')


KINDS = ['OnnxTeacher', 'CallableTeacher', 'StoredTeacher']


@pytest.mark.parametrize('host', ['cyclegan', 'pix2pix'])
@pytest.mark.parametrize('method', ['omgd', 'crd'])
@pytest.mark.parametrize('kind', KINDS[:2])
def test_images_teach(recipe, tmp_path, kind, method, host):
    """They are the target: the student that gives them has no loss."""
    trainer = Trainer(image_recipe(recipe, method, host, teacher_of(kind, tmp_path)))
    d, net = trainer.distiller, trainer.model.generators
    before = snapshot(net)
    log = trainer.step()
    assert moved(net, before)
    assert {k.split('_')[1] for k in log} == {'ssim', 'feature'} | (
        {'relation'} if method == 'crd' else set()
    )
    domain = trainer.model.domains[0]
    name = next(iter(d.latest_networks()))
    image = torch.rand(1, 3, SIZE, SIZE) * 2 - 1
    data = {f'img_{trainer.model.source_of(domain)}': image}
    target = d.run_teacher(name, domain, data)
    assert torch.equal(target[0], -image if kind == 'CallableTeacher' else image / 2)
    losses = d.distillation_losses(domain, image, target[0], {}, {name: target})
    assert all(abs(v) < 1e-5 for v in losses.values())
    assert d.reported_teachers in ((), [])


@pytest.mark.parametrize('host', ['cyclegan', 'pix2pix'])
@pytest.mark.parametrize('kind', KINDS)
def test_losses_of_layers_are_refused_with_the_reason(recipe, tmp_path, kind, host):
    layers = dict(layers=['model.9', 'model.12'])
    if host == 'pix2pix':
        layers = dict(layers=['model.model.1'])
    for loss, words in (
        (
            dict(type='ChannelLoss', weight=1.0, **layers),
            f"ChannelLoss compares layers, but the teacher '.*' is a {kind}"
            ', which only gives images: take losses of images',
        ),
        (
            dict(type='CooperativeLoss', content_weight=1.0, gram_weight=1.0, **layers),
            'CooperativeLoss compares layers',
        ),
        (
            dict(type='AdversarialLoss'),
            "AdversarialLoss asks the discriminator of the teacher '.*', which has none: leave",
        ),
    ):
        cfg = image_recipe(
            recipe,
            'omgd',
            host,
            teacher_of(kind, tmp_path),
            losses=[dict(loss, type=f'mmgan_compress.{loss["type"]}')],
        )
        with pytest.raises(ValueError, match=words):
            build_model(cfg)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('method,host', CASES[:4])
def test_images_are_not_trained(recipe, tmp_path, kind, method, host):
    cfg = image_recipe(recipe, method, host, teacher_of(kind, tmp_path), offline=False)
    if host == 'pix2pix':  # which is asked for first
        cfg.model.distiller.discriminator = dict(
            type='PatchDiscriminator', in_channels=6, base_channels=4
        )
    with pytest.raises(
        ValueError, match='only gives images and cannot be trained: set offline=True'
    ):
        build_model(cfg)


def test_gates_need_a_discriminator(recipe, tmp_path):
    cfg = image_recipe(
        recipe,
        'gcc',
        'cyclegan',
        teacher_of('StoredTeacher', tmp_path),
        student_discriminator=recipe('gcc', 'cyclegan').model.distiller.student_discriminator,
    )
    with pytest.raises(ValueError, match='GCC needs a teacher with a discriminator'):
        build_model(cfg)


@pytest.mark.parametrize('host', ['cyclegan', pytest.param('pix2pix', marks=pytest.mark.slow)])
def test_run_with_stored_images(recipe, tmp_path, vgg_file, host):
    """By the data set, with a report of the student alone, and resumed."""
    cfg = image_recipe(
        recipe, 'omgd', host, teacher_of('StoredTeacher', tmp_path), losses=IMAGES[:1]
    )
    scored = toy_config(host, tmp_path / f'data_{host}', vgg_file)
    for key in ('test_dataloader', 'test_cfg', 'test_evaluator'):
        cfg[key] = scored[key]
    domain = cfg.model.default_domain
    folder = tmp_path / f'data_{host}' / ('trainA' if host == 'cyclegan' else 'train')
    grey = tmp_path / 'grey'
    grey.mkdir()
    for file in folder.iterdir():  # whatever is shown: a flat grey
        Image.fromarray(np.full((SIZE, SIZE, 3), 90, np.uint8)).save(grey / file.name)
    cfg.train_dataloader.dataset.teacher_images = {domain: str(grey)}
    cfg.optim_wrapper.student.optimizer.lr = 1e-2
    cfg.model.distiller.schedule = dict(epochs=20, constant=20, block=10, iters_per_epoch=1)
    runner = train(cfg, tmp_path / 'run')
    last = last_checkpoint(runner)
    assert_equal(
        state_of(last),
        state_of(last_checkpoint(train(cfg, tmp_path / 'again', tmp_path / 'run/iter_10.pth'))),
    )
    losses = last['message_hub']['log_scalars'][
        f'train/loss_ssim_{domain}_' + ('teacher' if host == 'cyclegan' else 'wide')
    ]
    losses = losses['__history_buffer__'][0]
    assert losses[-1] < 0.7 * losses[0]
    rows = json.loads((tmp_path / 'run/report.json').read_text())['rows']
    assert [row['name'] for row in rows] == ['student', 'student, best(val)']
    with Image.open(tmp_path / 'run/comparison.png') as picture:
        assert picture.width < 4 * 192


def test_the_perceptual_network_ends_where_losses_do(recipe, tmp_path):
    """What is computed of it does not change."""
    feature = dict(type='mmgan_compress.PerceptualLoss')
    teacher = teacher_of('CallableTeacher', tmp_path)
    found = {}
    for losses in ([feature], [feature, dict(type='mmgan_compress.StyleLoss')]):
        cfg = image_recipe(recipe, 'omgd', 'pix2pix', teacher)
        cfg.model.distiller.losses = losses
        trainer = Trainer(cfg)
        image = torch.zeros(1, 3, 32, 32)
        log = trainer.step()
        (loss,) = [value for key, value in log.items() if 'feature' in key]
        found[len(losses)] = trainer.distiller.perceptual(image), loss
    (two, loss), (four, same) = found[1], found[2]
    assert len(two) == 2 and len(four) == 4 and torch.equal(two[1], four[1])
    assert torch.equal(loss, same)
