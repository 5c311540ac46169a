"""GCC's recipes hold the figures of its scripts and options."""

from types import SimpleNamespace

import pytest

from golden import GCC_WIDTHS, load_json
from mmgan_compress.core.complexity import count_macs, count_params
from mmgan_compress.core.schedule import TrainSchedule
from mmgan_compress.registry import HOOKS
from pipelines import read
from recipes import (
    CONFIGS,
    MOBILE,
    MOBILE_TAPS,
    TRANSLATIONS,
    UNET,
    UNET_TAPS,
    build_model,
    build_optimizers,
    load,
    model_of,
    recipes_of,
)

GOLDEN = load_json('gcc')
IMAGE = (1, 3, 256, 256)
# By task: ndf, lambda_content, lambda_gram, root of the distances, epochs
# that decay, evaluation every so many.
COOPERATIVE = {
    'gcc_cyclegan': (64, 0.01, 10, False, 100, 1),
    'gcc_cyclegan-mobile24-published_1xb1-200e_horse2zebra': (64, 0.01, 10, False, 100, 1),
    'gcc_pix2pix': (128, 50, 1e4, True, 150, 5),
    'gcc_pix2pix-unet25-published_1xb1-250e_cityscapes': (128, 50, 1e4, True, 150, 5),
}
# ngf, ndf, lambda of the sparsity and on what, epochs (constant, decaying)
PRETRAIN = {
    'gcc_cyclegan-mobile24-pretrain_1xb1-20e_horse2zebra': (24, 64, 1e-3, 'weight', 10, 10),
    'gcc_pix2pix-unet32-pretrain_1xb1-25e_cityscapes': (32, 128, 1e-2, 'scale', 10, 15),
}
UNPAIRED = [n for n in recipes_of('gcc') if '_cyclegan' in n]
PAIRED = [n for n in recipes_of('gcc') if '_pix2pix' in n]


def test_every_recipe_is_in_a_table():
    assert sorted([*COOPERATIVE, *PRETRAIN]) == sorted(set(recipes_of('gcc')) & set(TRANSLATIONS))


# --- both stages ------------------------------------------------------------
@pytest.mark.parametrize('name', UNPAIRED)
def test_cyclegan_options(name):
    want, cfg = GOLDEN['options_cyclegan'], load(name)
    model, images = model_of(name), cfg.train_dataloader.dataset
    sides = [model.distiller]
    if 'teacher' in cfg.model.distiller:
        sides.append(model.distiller.teacher)
    for side in sides:
        assert side.loss_config == dict(
            cycle_loss_weight=want['lambda_A'],
            id_loss_weight=want['lambda_identity'] * want['lambda_A'],
        )
        buffers = side.image_buffers.values()
        # models/CycleGAN.py:342: ImagePool(50); nothing reads its pool_size
        assert [b.buffer_size for b in buffers] == [50] * 2
    assert (images.load_size, images.size) == (want['load_size'], want['crop_size'])
    assert cfg.train_dataloader.batch_size == want['batch_size']
    assert sorted(cfg.model.reachable_domains) == ['horse', 'zebra']
    assert cfg.model.default_domain == 'zebra'


@pytest.mark.parametrize('name', PAIRED)
def test_pix2pix_options(name):
    want, cfg = GOLDEN['options_pix2pix_cityscapes'], load(name)
    model, distiller = cfg.model, cfg.model.distiller
    images = cfg.train_dataloader.dataset
    assert distiller.gan_type == want['gan_mode']
    assert distiller.pixel_loss_weight == want['lambda_L1']
    assert (images.load_size, images.size) == (want['load_size'], want['crop_size'])
    assert images.flip == (not want['no_flip'])
    assert cfg.train_dataloader.batch_size == want['batch_size']
    # BtoA: from the right half of a pair to the left
    assert model.default_domain == images.domains[0]
    networks = [model.generator, *distiller.get('teachers', {}).values()]
    for network in networks:
        assert (network.type, network.norm_cfg, network.use_dropout) == (
            UNET,
            dict(type='BN'),
            True,
        )


# --- stage A ----------------------------------------------------------------
@pytest.mark.parametrize('name', PRETRAIN)
def test_pretraining(name):
    ngf, ndf, weight, on, constant, decay = PRETRAIN[name]
    cfg = load(name)
    model, distiller = cfg.model, cfg.model.distiller
    cyclegan = name in UNPAIRED
    assert not distiller.get('teacher') and not distiller.get('teachers')
    assert (model.generator.type, model.generator.base_channels) == (
        MOBILE if cyclegan else UNET,
        ngf,
    )
    plain = distiller.student_discriminator
    assert (plain.type, plain.base_channels, plain.norm_cfg.type) == (
        'PatchDiscriminator',
        ndf,
        'IN' if cyclegan else 'BN',
    )
    schedule = distiller.schedule
    assert (schedule.constant, schedule.epochs) == (constant, constant + decay)
    [loss] = distiller.losses
    assert (loss.weight, loss.on) == (weight, on)
    # m of GCC's CycleGAN; 1 elsewhere
    assert loss.get('factors', {}) == (
        {'model.1': 2, 'model.4': 2, 'model.19': 1000, 'model.22': 2} if cyclegan else {}
    )
    assert cfg.default_hooks.rate == dict(type='mmgan_compress.ScheduledLRHook')


def test_pretraining_takes_a_tenth_of_the_epochs():
    for name, stage_c in zip(PRETRAIN, ('gcc_cyclegan', 'gcc_pix2pix')):
        assert (
            10 * load(name).model.distiller.schedule.epochs
            == load(stage_c).model.distiller.schedule.epochs
        )


@pytest.mark.parametrize('demo', [False, True])
@pytest.mark.parametrize(
    'task, pruned',
    [
        ('pix2pix', 'student_best.pth'),  # model_best_BtoA.pth
        ('cyclegan', 'student.pth'),  # model_20.pth: of the last epoch
    ],
)
def test_what_is_pruned(task, pruned, demo, tmp_path):
    """--pretrain_path of scripts/*/train.sh; the run leaves that file."""
    steps = read(CONFIGS / f'gcc/gcc_{task}-pipeline.py', tmp_path, demo=demo)
    assert steps['prune'].files == {f'{{pretrain}}/{pruned}': steps['pretrain'].out / pruned}
    chosen = steps['pretrain'].recipe.default_hooks.student.metric is not None
    assert pruned != 'student_best.pth' or chosen


# --- stage C ----------------------------------------------------------------
@pytest.mark.parametrize('domain', GCC_WIDTHS)
def test_published_widths(domain):
    widths, params, macs = GCC_WIDTHS[domain]
    cfg = load('gcc_cyclegan')
    config = cfg.model.generator[domain]
    assert config.type == 'mmgan_compress.SlimNetwork'
    assert tuple(config.widths) == widths
    assert config.arch == dict(type=MOBILE, norm_cfg=dict(type='IN'), base_channels=24)
    net = model_of('gcc_cyclegan').generators[domain]
    assert count_params(net) == params
    assert count_macs(net, IMAGE).macs_paper == macs


def test_unpruned_student_keeps_the_budget():
    """The widest U-Net of 3.0 G papers' MACs."""
    costs = []
    for more in (0, 1):
        cfg = load('gcc_pix2pix')
        cfg.model.generator.base_channels += more
        net = build_model(cfg).generators['photo']
        costs.append(count_macs(net, IMAGE).macs_paper)
    assert costs[0] <= 3.0e9 < costs[1]


@pytest.mark.parametrize('name', COOPERATIVE)
def test_cooperative_training(name):
    ndf, content, texture, root, decay, block = COOPERATIVE[name]
    cfg = load(name)
    distiller, cyclegan = cfg.model.distiller, name in UNPAIRED
    published = '-published' in name
    teacher = distiller.teacher.generator if cyclegan else distiller.teachers.wide
    judge = distiller.teacher.discriminator if cyclegan else distiller.discriminator
    assert (teacher.type, teacher.base_channels) == (MOBILE if cyclegan else UNET, 64)
    assert (judge.base_channels, judge.norm_cfg.type) == (ndf, 'IN' if cyclegan else 'BN')
    # batch norm, though CycleGAN has instance norm everywhere else
    gated = distiller.student_discriminator
    assert (gated.type, gated.threshold) == ('mmgan_compress.GatedPatchDiscriminator', 0.5)
    assert gated.discriminator == dict(judge, norm_cfg=dict(type='BN'))
    [loss] = distiller.losses
    assert (loss.content_weight, loss.gram_weight) == (content, texture)
    assert loss.get('root', True) == root
    assert loss.layers == (MOBILE_TAPS if cyclegan else UNET_TAPS)
    assert loss.discriminator_layers == ['model.1', 'model.3']
    assert loss.get('detach_discriminator', False) == (published and cyclegan)
    assert distiller.get('published_features', False) == (published and cyclegan)
    assert model_of(name).distiller.average_gap == (not published)
    assert distiller.schedule == dict(epochs=100 + decay, constant=100, block=block)


@pytest.mark.parametrize('name', COOPERATIVE)
def test_rates(name):
    """The teacher's is constant, the gates' falls by steps of 99 epochs."""
    cfg = load(name)
    schedule = TrainSchedule(**cfg.model.distiller.schedule)
    wrappers = build_optimizers(cfg, model_of(name))
    runner = SimpleNamespace(optim_wrapper=wrappers, train_loop=SimpleNamespace(schedule=schedule))
    hook = HOOKS.build(cfg.default_hooks.rate)
    hook.before_train(runner)

    def rates(epoch):
        runner.iter = epoch - 1
        hook.before_train_iter(runner, 0)
        return {part: wrapper.param_groups[0]['lr'] for part, wrapper in wrappers.items()}

    epochs, decay = schedule.epochs, schedule.epochs - 100
    start = dict(
        student=2e-4, student_discriminators=2e-4, teachers=2e-4, discriminators=2e-4, gates=1e-4
    )
    assert rates(1) == pytest.approx(start)
    assert rates(99) == pytest.approx(start)
    assert rates(100) == pytest.approx(dict(start, gates=1e-5))
    last = 2e-4 / (decay + 1)
    assert rates(epochs) == pytest.approx(
        dict(start, student=last, student_discriminators=last, gates=1e-6)
    )
