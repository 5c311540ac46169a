"""The recipe that mmgan-compress prune leaves beside a pruned student."""

import os
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from mmgan_compress import Student, load_student
from mmgan_compress.engine import finetune
from mmgan_compress.engine.runner_builder import check_inputs, load_config, set_everywhere
from mmgan_compress.models import from_student
from mmgan_compress.models.from_student import FROM_STUDENT, resolve_students
from mmgan_compress.models.frozen_teacher import FrozenTeacher
from mmgan_compress.models.student_config import build_generator
from mmgan_compress.registry import MODELS
from pruning import AFFINE, CONFIGS
from recipes import ROOT, build_model
from students import make_model, make_student, refused_by_tool
from test_workflow import Quantized, run_here
from toy import Trainer, train

pytest.importorskip('torch_pruning')
BOTH = ['horse', 'zebra']


def read(path):
    return load_config(Namespace(config=path, demo=False, data_root=None, cfg_options=None))


def compress(monkeypatch, *args):
    run_here(
        monkeypatch,
        'dense.pth',
        '--pruner',
        'TorchPruner',
        '--budget',
        'macs=0.5',
        '--out',
        'small',
        *args,
    )
    return read('small/finetune.py')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a dense student, and the working directory."""
    monkeypatch.chdir(tmp_path)
    make_student('dense.pth', 'separable', base_channels=8, num_blocks=3)
    return tmp_path


@pytest.mark.parametrize(
    'method, model',
    [
        ('omgd', 'cyclegan'),
        ('omgd', 'pix2pix'),
        pytest.param('plain', 'pix2pix', marks=pytest.mark.slow),
    ],
)
def test_it_trains_the_student_and_not_the_teacher(method, model, folder, recipe, monkeypatch):
    """Of other domains and another size than the recipe's."""
    cfg = recipe(method, model)
    cfg.dump('toy.py')
    data = folder / f'data_{model}'
    cfg = compress(monkeypatch, '--finetune', 'toy.py', '--data-root', str(data))
    text = Path('small/finetune.py').read_text()
    assert text.startswith(
        '# Made by mmgan-compress prune: dense.pth, TorchPruner macs=0.5\n# Run: mmgan-compress '
    )
    assert "file='{{ fileDirname }}/student.pth'" in text
    assert "file='{{ fileDirname }}/../dense.pth'" in text
    assert str(folder) not in text and 'imitation' not in text
    assert cfg.train_dataloader.dataset.size == 64
    assert cfg.train_dataloader.dataset.data_root == f'data_{model}'
    check_inputs(cfg)
    cfg.model.distiller.schedule = dict(epochs=2, constant=1, block=2, iters_per_epoch=1)
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    model = train(cfg, folder / 'run').model
    teacher = (
        model.distiller.network('teacher', 'zebra')
        if method != 'plain'
        else model.distiller.teachers['teacher']
    )
    for key, value in load_student('dense.pth').state_dict().items():
        assert torch.equal(value, teacher.state_dict()[key])
    before = load_student('small/student.pth').state_dict()
    after = load_student('run/student.pth').state_dict()
    assert {k: v.shape for k, v in before.items()} == {k: v.shape for k, v in after.items()}
    moved = [(before[k] - after[k]).abs().max() for k in before if k.endswith('weight')]
    assert all(0 < distance < 0.1 for distance in moved)


def test_missing_files_are_named_before_training(folder, recipe, monkeypatch):
    recipe('omgd', 'cyclegan').dump('toy.py')
    cfg = compress(monkeypatch, '--finetune', 'toy.py')
    assert (
        cfg.train_dataloader.dataset.data_root
        == str(folder / 'data_cyclegan')[len(os.getcwd()) + 1 :]
    )
    Path('dense.pth').rename('other.pth')
    with pytest.raises(FileNotFoundError, match='dense.pth'):
        read('small/finetune.py')


def test_demo_and_what_has_none(folder, monkeypatch):
    """The demo of other domains is refused, and so is one of the result."""
    message = refused_by_tool(
        'compress',
        'dense.pth',
        '--pruner',
        'NormWidths',
        '--budget',
        'macs=0.5',
        '--demo',
        '--out',
        'x',
        monkeypatch=monkeypatch,
    )
    assert "the demo is of ['flat', 'emoji'], this student of" in message
    assert not Path('x').exists()
    compress(monkeypatch)
    message = refused_by_tool('train', 'small/finetune.py', '--demo', monkeypatch=monkeypatch)
    assert 'has no demo' in message and 'prune with --demo' in message
    domains = ['flat', 'emoji']
    cfg = finetune.read_recipe(finetune.UNPAIRED, domains, domains[1:], 64, demo=True)
    assert cfg.model.distiller.schedule.epochs == 1200
    assert cfg.train_dataloader.dataset.size == 64


def test_dense_weights_of_a_config(folder, monkeypatch):
    """They are kept as a file, which teaches."""
    config = dict(
        make_model('separable', base_channels=8, num_blocks=3)._gen_cfg,
        init_cfg=dict(type='Pretrained', checkpoint='dense.pth', prefix='generators.zebra'),
    )
    Path('net.py').write_text(
        f'model = dict(generator={config}, default_domain="zebra",\n'
        f'    reachable_domains=["zebra"], related_domains={BOTH})\n'
    )
    run_here(
        monkeypatch,
        'net.py',
        '--pruner',
        'TorchPruner',
        '--budget',
        'macs=0.5',
        '--out',
        'small',
        '--size',
        64,
    )
    assert "file='{{ fileDirname }}/dense.pth'" in Path('small/finetune.py').read_text()
    for key, value in load_student('dense.pth').state_dict().items():
        assert torch.equal(value, load_student('small/dense.pth').state_dict()[key])


@pytest.mark.parametrize('recipe', [finetune.UNPAIRED, finetune.PAIRED, 'crd_pix2pix.py'])
@pytest.mark.parametrize('name', ['resnet', 'mobile', 'unet-bn'])
def test_layers_fit_every_network(name, recipe, monkeypatch):
    """Also where the recipe is for another."""
    config = dict(CONFIGS[name], **(dict(num_blocks=6) if name != 'unet-bn' else {}))
    cfg = finetune.read_recipe(recipe, BOTH, BOTH[1:], 256)
    nets = dict(zebra=(build_generator(config, 'meta'), config))
    finetune.fit_networks(cfg, nets, 's.pth', 't.pth')
    assert cfg.model.generator == dict(type=FROM_STUDENT, file='s.pth')
    monkeypatch.setattr(
        from_student, 'student_info', lambda _: dict(reachable=BOTH[1:], generator=config)
    )
    resolve_students(cfg)
    cfg.model.distiller.perceptual = dict(type='mmgan_compress.VGG16Features', weights='random')
    model = build_model(cfg)
    assert model.distiller.offline
    layers = model.distiller.layers_of('zebra')
    assert len(layers) == (0 if 'crd' in recipe else 4)
    assert set(cfg.optim_wrapper) == {'constructor', 'student'}


MAIN = [path.name for path in sorted((ROOT / 'configs').glob('*.py'))]
REFUSED = {
    'gcc_pix2pix.py': 'GCC needs a teacher with a discriminator',
    'gcc_sagan.py': 'it makes images from noise',
    'gan_compression_gaugan.py': 'it takes label maps',
    'gan_compression_munit.py': 'it takes an image and a style',
    'gcc_srgan.py': 'GCC needs a teacher with a discriminator',
    'gcc_cyclegan.py': 'a CycleGAN generates both of its domains',
    'gan_slimming_cyclegan.py': 'has no scales',
    'gan_slimming_pix2pix.py': 'has no scales',
    'gan_slimming_cartoongan.py': 'has no scales',
}


def fitted(recipe, name, folder, num_blocks=3, domains=BOTH[1:]):
    """Return a main recipe for a student that is its own teacher."""
    path = folder / 'net.pth'
    options = dict(
        reachable=domains, base_channels=4, **(dict(norm_cfg=AFFINE) if name == 'affine' else {})
    )
    kind = 'unet' if name == 'unet' else 'separable'
    if kind == 'separable':
        options['num_blocks'] = num_blocks
    config = make_student(path, kind, **options)._gen_cfg
    cfg = finetune.read_recipe(recipe, BOTH, domains, 64)
    nets = {domain: (load_student(path, domain), config) for domain in domains}
    notes = finetune.fit_networks(cfg, nets, str(path), str(path))
    resolve_students(cfg)
    return cfg, notes


def step(cfg):
    """Take a step with random features and small discriminators."""
    distiller = cfg.model.distiller
    distiller.perceptual = dict(type='mmgan_compress.VGG16Features', weights='random')
    for part in ('student_discriminator', 'teacher'):
        set_everywhere(distiller.get(part), 'base_channels', 4)
    distiller.schedule.update(iters_per_epoch=1)
    return Trainer(cfg).step()


@pytest.mark.parametrize('recipe', MAIN)
def test_main_recipes_train_or_are_refused(recipe, tmp_path, monkeypatch):
    """Before the work, and saying why."""
    monkeypatch.setattr('toy.SIZE', 64)  # CRD compares patches of 32
    if recipe in REFUSED:
        with pytest.raises(
            ValueError,
            match=f'cannot train this student: .*{REFUSED[recipe]}.* another .* --finetune',
        ):
            fitted(recipe, 'separable', tmp_path)
        return
    cfg, notes = fitted(recipe, 'separable', tmp_path)
    assert sum(step(cfg).values()).isfinite()
    assert [note.split(':')[0] for note in notes] == (
        ['AdversarialLoss is removed'] if recipe == 'crd_cyclegan.py' else []
    )


@pytest.mark.parametrize('name', ['gan_slimming_cyclegan.py', 'gan_slimming_pix2pix.py'])
def test_slimming_goes_on_with_scales(name, tmp_path):
    """From the weights of the student, not from the teacher's."""
    cfg, _ = fitted(name, 'affine', tmp_path)
    assert cfg.model.distiller.start_from_teacher is False
    assert sum(step(cfg).values()).isfinite()
    with pytest.raises(ValueError, match='no row of residual blocks'):
        fitted(name, 'unet', tmp_path)


def test_gcc_of_both_directions_lacks_a_discriminator(tmp_path):
    with pytest.raises(ValueError, match='GCC needs a teacher with a discr'):
        fitted('gcc_cyclegan.py', 'separable', tmp_path, domains=BOTH)


def test_layers_of_generators_stay_without_the_discriminator():
    """Of a loss that compares both."""
    cfg = finetune.read_recipe('gcc_pix2pix.py', BOTH, BOTH[1:], 64)
    net = make_model('unet').generators['zebra']
    assert finetune._fit_losses(cfg, net) == [
        "CooperativeLoss compares no layers of the teacher's discriminator: a student file has none"
    ]
    (loss,) = cfg.model.distiller.losses
    assert len(loss.layers) == 4 and 'discriminator_layers' not in loss


def test_default_recipe():
    nets = {kind: make_model(kind).generators['zebra'] for kind in ('separable', 'unet')}
    for made_by, kind, want in [
        (['OMGDPix2Pix'], 'separable', finetune.PAIRED),
        (['OMGDCycleGAN', 'GCCWidths'], 'unet', finetune.UNPAIRED),
        ([], 'unet', finetune.PAIRED),
        ([], 'separable', finetune.UNPAIRED),
    ]:
        assert finetune.default_recipe(made_by, nets[kind], 64) == want
    # the recipe's images are four times as large
    for scale, want in [(4, finetune.BY_FOUR), (2, None)]:
        assert finetune.default_recipe([], torch.nn.Upsample(scale_factor=scale), 64) == want


MUNIT = dict(type='mmgan_compress.MUNITGenerator', base_channels=8, mlp_channels=16, num_blocks=1)
OTHER_KINDS = {
    'labels': dict(
        type='mmgan_compress.SPADEGenerator',
        labels=dict(classes=16),
        base_channels=4,
        separable=True,
    ),
    # also a teacher whose layers lie in a super-net
    'edges': dict(
        type='mmgan_compress.SuperNet', arch=dict(MUNIT, separable=True), space=[[8, 4]] * 10
    ),
    'low': dict(type='mmgan_compress.SRResNet', base_channels=8, num_blocks=4),
}


@pytest.mark.slow
@pytest.mark.parametrize('source', OTHER_KINDS)
def test_students_of_other_kinds_have_a_recipe(source, vgg_file, tmp_path, monkeypatch):
    """Label maps, styles and larger pictures: it trains on the demo's data."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    config, target = OTHER_KINDS[source], 'high' if source == 'low' else 'emoji'
    net = build_generator(config)
    net.init_weights()
    size = 16 if source == 'low' else 64
    domains = [source, target]
    Student({target: net}, {target: config}, domains, target, size, 'test').save('dense.pth')
    words = '--pruner TorchPruner --budget macs=0.85 --tolerance 0.05 --demo --out small'
    run_here(monkeypatch, 'dense.pth', *words.split())
    cfg = read('small/finetune.py')
    cfg.model.distiller.perceptual = dict(
        type='mmgan_compress.VGG16Features', weights=str(vgg_file)
    )
    cfg.model.distiller.schedule = dict(epochs=2, constant=1, block=2, iters_per_epoch=1)
    for part in ('dataloader', 'cfg', 'evaluator'):
        cfg[f'val_{part}'] = cfg[f'test_{part}'] = None
    cfg.default_hooks.student.metric = None
    model = train(cfg, 'run').model
    teacher = model.distiller.network('teacher', target).state_dict()
    assert all(torch.equal(value, teacher[key]) for key, value in net.state_dict().items())
    before = load_student('small/student.pth').state_dict()
    after = load_student('run/student.pth').state_dict()
    assert any(not torch.equal(before[key], after[key]) for key in before)
    assert sum(value.numel() for value in after.values()) < sum(
        value.numel() for value in net.state_dict().values()
    )


def test_teacher_without_weights_is_refused():
    with pytest.raises(ValueError, match="teacher for 'zebra' has no weig"):
        FrozenTeacher(dict(zebra=CONFIGS['resnet']))


def test_unknown_recipe(folder, monkeypatch):
    message = refused_by_tool(
        'compress',
        'dense.pth',
        '--pruner',
        'NormWidths',
        '--budget',
        'macs=0.5',
        '--finetune',
        'omgd_cycle.py',
        '--out',
        'x',
        monkeypatch=monkeypatch,
    )
    assert 'omgd_cyclegan.py' in message
    (folder / 'no.py').write_text('model = dict()')
    assert 'no model.distiller' in refused_by_tool(
        'compress',
        'dense.pth',
        '--pruner',
        'NormWidths',
        '--budget',
        'macs=0.5',
        '--finetune',
        'no.py',
        '--out',
        'x',
        monkeypatch=monkeypatch,
    )


def test_layers_that_no_network_has(monkeypatch):
    """Named by a recipe for a network that is no kind that is known."""
    monkeypatch.setitem(MODELS._module_dict, 'Quantized', Quantized)
    net = Quantized(quantized=False), dict(type='Quantized')
    cfg = finetune.read_recipe('omgd_cyclegan.py', BOTH, BOTH[1:], 64)
    (note,) = finetune._fit_losses(cfg, net[0])
    assert note.startswith("ChannelLoss is removed: layers='auto' does not work for Quantized")
    assert len(cfg.model.distiller.losses) == 4


def test_the_other_direction_is_scored():
    cfg = finetune.read_recipe('omgd_cyclegan.py', BOTH, BOTH[:1], 64)
    assert cfg.model.default_domain == 'horse'
    assert cfg.default_hooks.student.metric == 'horse/FID'
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        (metric,) = evaluator.metrics
        assert (metric.domain, metric.reference.side) == ('horse', 'A')
        assert metric.reference.size == 64
    cfg = finetune.read_recipe('gcc_cyclegan.py', BOTH, BOTH[1:], 64)
    assert [m.domain for m in cfg.val_evaluator.metrics] == ['zebra']


def test_schedule_is_the_student_s():
    """As many epochs as it has beside a teacher in turns."""
    cfg = finetune.read_recipe('omgd_cyclegan.py', BOTH, BOTH[1:], 64)
    assert cfg.model.distiller.schedule.to_dict() == dict(epochs=800, constant=400, block=40)
    assert cfg.custom_hooks == []
    cfg = finetune.read_recipe(finetune.UNPAIRED, BOTH, BOTH[1:], 64)
    assert cfg.model.distiller.schedule.to_dict() == dict(epochs=200, constant=100, block=10)
