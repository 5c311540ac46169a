"""GAN Compression: its stages and hooks, through Runner."""

import copy
import json
import subprocess
import sys

import pytest
import torch

import toy
from golden import assert_close_rel
from mmgan_compress.models.student import load_student
from mmgan_compress.models.supernet import SuperNet
from mmgan_compress.registry import HOOKS

TASKS = ('cyclegan', 'pix2pix')
ARCH = dict(
    type='mmgan_compress.SeparableResnetGenerator',
    base_channels=6,
    num_blocks=3,
    norm_cfg=dict(type='IN'),
)


@pytest.fixture
def config(tmp_path, vgg_file):
    """Return the toy recipe of a task, with a checkpoint of its teacher."""

    def make(task, generator=None, iterations=4, **distiller):
        cfg = toy.toy_config(task, tmp_path / task, vgg_file, method='gan_compression')
        cfg.model.generator.space = [[4, 3, 2]] * (10 if task == 'munit' else 8)
        if generator is not None:
            cfg.model.generator = generator
            del cfg.default_hooks.subnets, cfg.default_hooks.scores
        own = cfg.model.distiller
        if task == 'cyclegan':
            own.teacher.generator = dict(ARCH)
        elif task == 'pix2pix':
            own.teachers.wide = dict(ARCH)
            own.discriminator = copy.deepcopy(own.student_discriminator)
            own.losses[0].layers = ['model.9', 'model.12']
        own.schedule.update(epochs=iterations, block=iterations // 2)
        path = tmp_path / f'{task}.pth'
        own.teacher_checkpoints = [str(path)]
        model = toy.MODELS.build(cfg.model)
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
        own.update(distiller)
        return toy.without_report(cfg)

    return make


@pytest.mark.parametrize('task', TASKS)
def test_training_and_resume(task, config, tmp_path):
    """Bit-equal behind a resume; the smallest sub-network is scored too."""
    cfg = config(task)
    whole = toy.train(cfg, tmp_path / 'whole')
    again = toy.train(cfg, tmp_path / 'again', tmp_path / 'whole/iter_2.pth')
    first, second = map(toy.last_checkpoint, (whole, again))
    for key, value in first['state_dict'].items():
        assert torch.equal(value, second['state_dict'][key]), key
    net = load_student(tmp_path / 'whole/student.pth')
    assert isinstance(net, SuperNet) and net.space.smallest == (2,) * 8
    # what a search must not show it
    assert net.meta['data'] == dict(folder=task, hold_out=dict(cyclegan=120, pix2pix=2048)[task])
    lines = [
        json.loads(line)
        for log in (tmp_path / 'whole').rglob('scalars.json')
        for line in log.read_text().splitlines()
    ]
    domain = cfg.model.default_domain
    scores = [line for line in lines if f'{domain}/SSIM' in line]
    assert len(scores) == 2
    for line in scores:
        assert 0 < line[f'smallest/{domain}/SSIM'] <= 1
        assert line[f'smallest/{domain}/SSIM'] != line[f'{domain}/SSIM']


def test_each_iteration_has_its_configuration(config):
    """The hook's draws are what runs, whoever asks."""
    cfg = config('pix2pix')
    hooks = [
        HOOKS.build(dict(type='mmgan_compress.SubnetSamplingHook', rule=rule))
        for rule in ('uniform', 'sandwich')
    ]
    toy.Trainer.seed = 5
    try:
        for hook, count in zip(hooks, (1, 3)):
            trainer = toy.Trainer(cfg, hook, start=7)
            net, ran = trainer.model.generators['shoes'], []
            trainer.model.generators['shoes'].set_channels, own = (
                (lambda c: (ran.append(c), own(c))),
                net.set_channels,
            )
            trainer.step()
            assert ran == [*net.space.draw(hook.rule, 5, 7), None]
            assert len(ran) == count + 1
    finally:
        del toy.Trainer.seed
    with pytest.raises(ValueError, match="rule is 'other', expected one of uniform, sandwich"):
        HOOKS.build(dict(type='mmgan_compress.SubnetSamplingHook', rule='other'))


def test_hooks_refuse_other_students(config):
    plain = config(
        'pix2pix',
        dict(type='mmgan_compress.SeparableResnetGenerator', base_channels=4, num_blocks=3),
    )
    for name in ('SubnetSamplingHook', 'SubnetScoresHook'):
        hook = HOOKS.build(dict(type=f'mmgan_compress.{name}'))
        with pytest.raises(ValueError, match='is a SeparableResnetGenerator'):
            toy.Trainer(plain, hook)


@pytest.mark.parametrize('task', TASKS)
def test_start_from_teacher(task, config, tmp_path):
    """At the teacher's width student and discriminator are its equals; a
    super-net starts so as well."""
    for generator in (ARCH, dict(type='mmgan_compress.SuperNet', arch=ARCH, space=[[6, 4]] * 8)):
        cfg = config(task, generator, start_from_teacher=True)
        model = toy.build_model(cfg).eval()
        d, (domain,) = model.distiller, model.domains
        (name,) = d.latest_networks()
        x = torch.rand(1, 3, 32, 32) * 2 - 1
        with torch.no_grad():
            assert_close_rel(model.generators[domain](x), d.network(name, domain)(x), 1e-4)
        judge = d.discriminator_of(name, domain)
        own = d.student_discriminators[domain]
        assert all(torch.equal(a, b) for a, b in zip(own.parameters(), judge.parameters()))
    state = torch.load(tmp_path / f'{task}.pth', weights_only=True)
    held = {k: v for k, v in state['state_dict'].items() if 'discriminator' not in k}
    torch.save(dict(state_dict=held), tmp_path / f'{task}.pth')
    with pytest.raises(ValueError, match='do not hold the teachers'):
        toy.build_model(cfg)


def test_discriminator_goes_on(config, tmp_path):
    """Through the file that Runner leaves; the teacher's is not asked."""
    runner = toy.train(config('cyclegan', iterations=2), tmp_path / 'first')
    cfg = config(
        'cyclegan',
        start_from_teacher=True,
        discriminator_checkpoint=str(tmp_path / 'first/last_checkpoint'),
    )
    own = toy.build_model(cfg).distiller.student_discriminators
    want = runner.model.distiller.student_discriminators
    assert all(torch.equal(a, b) for a, b in zip(own.parameters(), want.parameters()))


@pytest.mark.parametrize(
    'change, message',
    [(dict(offline=False), 'set offline=True'), (dict(teacher=None, losses=[]), 'needs a teacher')],
)
def test_what_is_refused(change, message, config):
    cfg = config('cyclegan')
    cfg.model.distiller.update(change)
    with pytest.raises(ValueError, match=message):
        toy.build_model(cfg)


def test_statistics_are_calibrated_for_what_is_scored(config, tmp_path):
    """A U-Net with batch norm: the file's are those of the largest."""
    cfg = config('pix2pix')
    unet = dict(
        type='UnetGenerator', in_channels=3, out_channels=3, num_down=5, norm_cfg=dict(type='BN')
    )
    cfg.model.generator = dict(
        type='mmgan_compress.SuperNet', arch=dict(unet, base_channels=4), space=[[4, 2]] * 5
    )
    cfg.model.distiller.losses = []
    cfg.default_hooks.scores.calibration_images = 3
    runner = toy.train(cfg, tmp_path / 'run')
    dataset, model = runner.train_dataloader.dataset, runner.model
    net = model.generators['shoes']
    norm = next(m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d))
    means = []
    norm.register_forward_pre_hook(lambda _, args: means.append(args[0].mean((0, 2, 3))))
    batch = [dataset[i]['inputs']['img_edges'] for i in range(3)]
    images = torch.stack(batch).float() / 127.5 - 1
    with torch.no_grad():
        net.train()(images)
    assert_close_rel(norm.running_mean, means[0], 1e-3)


@pytest.mark.slow
def test_two_processes_equal_one(config, tmp_path):
    """At the same global batch; both draw the same sub-networks."""
    files, tasks = [], (*TASKS, 'munit')
    for task in tasks:
        cfg = config(task)
        cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
        del cfg.default_hooks.scores
        for wrapper in cfg.optim_wrapper.values():
            if isinstance(wrapper, dict):  # as in test_distributed.py
                wrapper.optimizer = dict(type='SGD', lr=1e-3)
        files.append(tmp_path / f'two_{task}.py')
        cfg.dump(files[-1])
        toy.train(toy.Config.fromfile(files[-1]), tmp_path / f'one_{task}')
        cfg.train_dataloader.batch_size = 1
        cfg.dump(files[-1])
    subprocess.run(
        [
            sys.executable,
            '-m',
            'torch.distributed.run',
            '--standalone',
            '--nproc_per_node=2',
            str(toy.REPO / 'tests/train_recipes.py'),
            *map(str, files),
        ],
        check=True,
    )
    for task in tasks:
        one, two = (
            torch.load(tmp_path / f'{name}_{task}/iter_2.pth', weights_only=True)['state_dict']
            for name in ('one', 'two')
        )
        first = torch.load(tmp_path / f'one_{task}/iter_1.pth', weights_only=True)['state_dict']
        for key, value in one.items():
            assert torch.allclose(value, two[key], rtol=0, atol=1e-5), key
        assert max(float((value - first[key]).abs().max()) for key, value in one.items()) > 1e-3
