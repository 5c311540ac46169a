"""MUNIT's steps, alone and distilled, against the numbers of the published code."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from golden import assert_close_rel, load_npz
from mmgan_compress.core.schedule import TrainSchedule
from mmgan_compress.core.search_space import read_configuration
from mmgan_compress.registry import MODELS
from munit_golden import GENERATOR, GOLDEN, assembled, image, load
from recipes import RECIPES
from toy import build_model, optimizers

pytestmark = pytest.mark.numerical

TEACHER = 'gan_compression_munit-munit64-teacher_1xb1-21e_edges2shoes'
PART = 'gan_compression_munit-mobile64-finetune_1xb1-42e_edges2shoes'
INPUTS = dict(img_edges=image(410), img_shoes=image(411))


def recipe(name):
    """Return a recipe with the widths of the fixtures."""
    cfg = Config.fromfile(RECIPES[name])
    d = cfg.model.distiller
    d.student_discriminator.base_channels = 2
    if 'teachers' in d:
        d.teachers.wide.update(base_channels=3, mlp_channels=16)
        d.teachers.wide.init_cfg = dict(type='Pretrained', checkpoint='unused.pth')
        d.pop('teacher_checkpoints')
    return cfg


def two_domains():
    """Return the original trainer with the networks of the fixtures."""
    cfg = recipe(TEACHER)
    cfg.model.generator.update(base_channels=2, mlp_channels=16)
    model = build_model(cfg).train()
    for domain, source, own in (('edges', 'B', 'A'), ('shoes', 'A', 'B')):
        assembled(model.generators[domain], f'orig/G_{source}', f'orig/G_{own}')
        load(model.distiller.student_discriminators[domain], f'orig/D_{own}')
    return model, optimizers(model, cfg, lr=None)


def test_original_step():
    (model, optim), want, seen = two_domains(), GOLDEN['original_step'], []
    styles = [load_npz('munit', 'orig/')[f'style_{at}'].flatten(1) for at in range(4)]
    last = model.generators['edges'].dec.model[5].conv.weight
    for wrapper in optim.values():
        (group,) = wrapper.param_groups
        assert (group['lr'], group['betas'], group['weight_decay']) == (1e-4, (0.5, 0.999), 1e-4)
    optim['student'].optimizer.register_step_pre_hook(lambda *_: seen.append(last.grad.clone()))
    log = model.distiller.train_step(dict(INPUTS, noise=torch.cat(styles, 1)), optim)
    for letter, domain in (('A', 'edges'), ('B', 'shoes')):
        for key, name in (('rec_x', 'image'), ('rec_s', 'style'), ('rec_c', 'content')):
            assert_close_rel(log[f'loss_{name}_{domain}'], want[f'G_{key}{letter}'], 1e-3)
        assert_close_rel(log[f'loss_gan_{domain}'], want[f'G_gan_{letter}'], 1e-3)
        own = [log[f'loss_disc_{role}_{domain}'] for role in ('fake', 'real')]
        assert_close_rel(sum(own), want[f'D_{letter}'], 2e-3)
    total = {part: 0.0 for part in 'GD'}
    for name, value in log.items():
        total['D' if 'disc' in name else 'G'] += float(value)
    assert total == pytest.approx({part: want[part] for part in 'GD'}, rel=2e-3)
    assert_close_rel(seen[0], load_npz('munit', 'orig/')['grad_G_A_dec_last'], 5e-3)
    with pytest.raises(ValueError, match='dataset.noise_size=32'):
        model.distiller.train_step(dict(INPUTS, noise=styles[0]), optim)


def distilled(configuration=None):
    """Return a recipe's model and optimizers with the networks of the fixtures."""
    cfg = recipe('gan_compression_munit' if configuration else PART)
    if configuration:
        cfg.model.generator.arch.update(base_channels=4, mlp_channels=16)
        cfg.model.generator.space = [[4, 3, 2, 1]] * 10
    else:
        cfg.model.generator = dict(type=GENERATOR, base_channels=2, mlp_channels=16)
    with DefaultScope.overwrite_default_scope('mmagic'):
        model = MODELS.build(cfg.model).train()
    d, net = model.distiller, model.generators['shoes']
    load(getattr(net, 'network', net), 'super/G' if configuration else 'distill/S')
    load(d.teachers['wide'], 'T')
    load(d.student_discriminators['shoes'], 'D')
    tag = 'super' if configuration else 'distill'
    (adaptor,) = d.losses['shoes'][0].adaptors['wide']
    adaptor.load_state_dict(load_npz('munit', f'{tag}/A/'))
    if configuration:
        d.configurations = [read_configuration(configuration)]
    return model, optimizers(model, cfg, lr=None)


@pytest.mark.parametrize('tag', ['distill', 'super'])
def test_distillation(tag):
    """Two steps: encoded styles, then a random one."""
    arrays, seen = load_npz('munit', f'{tag}/'), {}
    own = GOLDEN['supernet_steps'] if tag == 'super' else dict(steps=GOLDEN['distill_steps'])
    model, optim = distilled(own.get('config'))
    d, net = model.distiller, model.generators['shoes']
    (adaptor,) = d.losses['shoes'][0].adaptors['wide']
    learnt = dict(mlp0=net.mlp.model[0].fc.weight, A=adaptor.weight)

    def spy(*_):
        for name, parameter in learnt.items():
            seen.setdefault(name, parameter.grad.clone())

    optim['student'].optimizer.register_step_pre_hook(spy)
    style = arrays['style_0'].flatten(1)
    for want in own['steps']:
        log = d.train_step(dict(INPUTS, noise=style), optim)
        assert d.iteration == want['steps']
        assert (log['loss_style'] > 0) == want['encoded_style']
        losses = dict(
            G_rec_x=log['loss_pixel'],
            G_rec_c=log['loss_feature_map_shoes_wide'],
            G_gan=log['loss_gan'],
            D_fake=log['loss_disc_fake'],
            D_real=log['loss_disc_real'],
        )
        if want['encoded_style']:
            losses['G_rec_s'] = log['loss_style']
        for name, value in losses.items():
            assert_close_rel(value, want[name], 2e-3)
        assert_close_rel(sum(v for k, v in log.items() if 'disc' not in k), want['G'], 2e-3)
        assert_close_rel(log['loss_disc_fake'] + log['loss_disc_real'], want['D'], 2e-3)
    assert_close_rel(seen['mlp0'], arrays['grad_mlp0_step1'], 2e-2)
    assert_close_rel(seen['A'], arrays['grad_A_step1'], 5e-3)
    first = d.student_discriminators['shoes'].cnns[0][0].conv.weight
    assert_close_rel(first, arrays['D_first_weight_after_step1_plus'], 2e-3)


@pytest.mark.parametrize('begin', [two_domains, distilled])
def test_resume_is_bit_equal(begin):
    """Also between an encoded style and a random one."""
    inputs = dict(INPUTS, noise=torch.ones(2, 32 if begin is two_domains else 8))
    whole, optim = begin()
    whole.distiller.train_step(inputs, optim)
    saved = copy.deepcopy(whole.state_dict()), copy.deepcopy(optim.state_dict())
    whole.distiller.train_step(inputs, optim)
    resumed, optim = begin()
    resumed.load_state_dict(saved[0])
    optim.load_state_dict(saved[1])
    resumed.distiller.iteration = 1  # TrainingStateHook
    resumed.distiller.train_step(inputs, optim)
    want = whole.state_dict()
    assert all(torch.equal(value, want[key]) for key, value in resumed.state_dict().items())


def test_start_from_teacher(tmp_path):
    """The way of a style is the teacher's; separable convolutions are new."""
    cfg = recipe(PART)
    distiller, teacher = cfg.model.distiller, cfg.model.distiller.teachers.wide
    with DefaultScope.overwrite_default_scope('mmagic'):
        wide = MODELS.build(dict(teacher, init_cfg=None))
    wide.init_weights()
    state = {f'generators.shoes.{key}': value for key, value in wide.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'teacher.pth')
    teacher.init_cfg.update(checkpoint=str(tmp_path / 'teacher.pth'), prefix='generators.shoes')
    distiller.start_from_teacher = True
    cfg.model.generator = dict(
        type='mmgan_compress.SuperNet',
        arch=dict(type=GENERATOR, base_channels=3, mlp_channels=16, separable=True),
        space=[[3, 2]] * 10,
    )
    student = build_model(cfg).generators['shoes'].state_dict()
    same = {key for key, value in wide.state_dict().items() if key in student}
    assert all(torch.equal(student[key], wide.state_dict()[key]) for key in same)
    assert {key.split('.')[0] for key in same} == {'enc_style', 'enc_content', 'dec', 'mlp'}
    assert any(key.startswith('dec') for key in student.keys() - same)
    cfg.model.generator.arch.update(mlp_channels=24)
    with pytest.raises(ValueError, match="'mlp.model.0.fc.bias' has not .* the same base_channels"):
        build_model(cfg)


def test_networks_without_styles_are_refused():
    plain = dict(type='mmgan_compress.SeparableResnetGenerator', base_channels=4)
    for name, needed in ((TEACHER, 'both of its domains'), (PART, 'needs one teacher')):
        cfg = recipe(name)
        cfg.model.generator = plain
        with DefaultScope.overwrite_default_scope('mmagic'):
            with pytest.raises(ValueError, match=needed):
                MODELS.build(cfg.model)


def test_rate():
    schedule = TrainSchedule(epochs=8, constant=8, block=8, halving=3)
    rates = [1e-4 * schedule.lr_factor(at) for at in range(8)]
    assert rates == pytest.approx(GOLDEN['lr_step_every_3'])
