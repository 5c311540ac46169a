"""Teachers that people have: mmagic's checkpoints, and original ones."""

import pytest
import torch
from mmengine.registry import DefaultScope

from golden import build
from mmgan_compress.cli import main
from mmgan_compress.demo import apply_demo
from mmgan_compress.models.original import to_rgb
from mmgan_compress.registry import MODELS
from recipes import load, recipes_of
from toy import build_model

CYCLEGAN = 'omgd_cyclegan-mobile16-mmagic_1xb1-200e_horse2zebra'
PIX2PIX = 'omgd_pix2pix-unet16-mmagic_1xb4-200e_edges2shoes'


def test_every_recipe_is_tested():
    names = [CYCLEGAN, PIX2PIX]
    assert sorted(recipes_of('mmagic')) == sorted(
        name.replace('-mmagic', kind)
        for name in names
        for kind in ('-mmagic', '-mmagic-online', '-original')
    )


@pytest.mark.parametrize('name', recipes_of('mmagic'))
def test_its_demo_builds(name):
    """With the teachers that the package ships."""
    cfg = load(name)
    apply_demo(cfg)
    assert build_model(cfg).domains == ['emoji']


def shrink(node):
    """Make networks of 64 channels small, wherever they are."""
    if isinstance(node, dict):
        if node.get('base_channels', 0) > 4:
            node['base_channels'] = 4
        node = list(node.values())
    for child in node if isinstance(node, (list, tuple)) else ():
        shrink(child)


def mmagic_model(kind, domains):
    """Build a small model of mmagic, as its own configs describe it."""
    generator = dict(
        type='ResnetGenerator',
        norm_cfg=dict(type='IN'),
        use_dropout=False,
        num_blocks=9,
        padding_mode='reflect',
    )
    inputs = 3
    if kind == 'Pix2Pix':
        generator = dict(
            type='UnetGenerator', norm_cfg=dict(type='BN'), num_down=8, use_dropout=True
        )
        inputs = 6
    init = dict(type='normal', gain=0.02)
    torch.manual_seed(3)
    with DefaultScope.overwrite_default_scope('mmagic'):
        return MODELS.build(
            dict(
                type=kind,
                generator=dict(
                    generator, in_channels=3, out_channels=3, base_channels=4, init_cfg=init
                ),
                discriminator=dict(
                    type='PatchDiscriminator',
                    in_channels=inputs,
                    base_channels=4,
                    num_conv=3,
                    init_cfg=init,
                    norm_cfg=generator['norm_cfg'],
                ),
                default_domain=domains[-1],
                related_domains=domains,
                reachable_domains=domains if kind == 'CycleGAN' else domains[-1:],
                data_preprocessor=dict(type='DataPreprocessor'),
            )
        )


def checkpoint(kind, domains, path):
    """Write what mmagic's Runner writes; return its networks."""
    model = mmagic_model(kind, domains)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            value.normal_(0, 0.1) if 'var' not in name else value.fill_(0.5)
    torch.save(
        dict(meta=dict(iter=9, epoch=1), message_hub={}, state_dict=model.state_dict()), path
    )
    return model.eval()


@torch.no_grad()
@pytest.mark.parametrize('kind', ['CycleGAN', 'Pix2Pix'])
def test_channels_of_mmagic_are_turned(kind, tmp_path):
    """It reads BGR and gives BGR: the same picture, in RGB."""
    model = checkpoint(kind, ['edges', 'photo'], tmp_path / 'iter_9.pth')
    bgr = torch.rand(1, 3, 256, 256) * 2 - 1
    want = model.generators['photo'](bgr).flip(1)
    pair = torch.cat([bgr, bgr] if kind == 'Pix2Pix' else [bgr], 1)
    judged = model.discriminators['photo'](pair)
    model.load_state_dict(to_rgb(tmp_path / 'iter_9.pth'))
    got = model.generators['photo'](bgr.flip(1))
    assert (got - want).abs().max() < 1e-5
    rgb = torch.cat([part.flip(1) for part in pair.split(3, 1)], 1)
    assert (model.discriminators['photo'](rgb) - judged).abs().max() < 1e-5


def test_what_is_no_gan_of_mmagic_is_not_turned():
    with pytest.raises(ValueError, match='expected a checkpoint of a Cycle'):
        to_rgb({'model.0.weight': torch.zeros(4, 3, 3, 3)})
    with pytest.raises(ValueError, match='not for images of 3 channels'):
        to_rgb({'generators.a.model.0.weight': torch.zeros(4, 1, 3, 3)})


def small_recipe(name):
    """Load a recipe with small networks."""
    cfg = load(name)
    shrink(cfg.model)
    return cfg


@pytest.mark.parametrize('online', [False, True])
def test_cyclegan_of_mmagic(online, tmp_path):
    """Both ways: the networks of its file teach."""
    name = CYCLEGAN.replace('-mmagic', '-mmagic-online') if online else CYCLEGAN
    cfg = small_recipe(name)
    held = checkpoint('CycleGAN', ['horse', 'zebra'], tmp_path / 'a.pth')
    cfg.model.distiller.teacher_checkpoints = [str(tmp_path / 'a.pth')]
    model = build_model(cfg)
    teacher = model.distiller.network('teacher', 'zebra')
    for key, value in held.generators['zebra'].state_dict().items():
        assert torch.equal(teacher.state_dict()[key], value)
    assert model.distiller.offline != online
    if online:
        own = model.distiller.discriminator_of('teacher', 'horse')
        for key, value in held.discriminators['horse'].state_dict().items():
            assert torch.equal(own.state_dict()[key], value)


@pytest.mark.parametrize('online', [False, True])
def test_pix2pix_of_mmagic(online, tmp_path):
    """Its only domain may have another name."""
    name = PIX2PIX.replace('-mmagic', '-mmagic-online') if online else PIX2PIX
    cfg = small_recipe(name)
    held = checkpoint('Pix2Pix', ['edges', 'photo'], tmp_path / 'a.pth')
    cfg.model.distiller.teacher_checkpoints = [str(tmp_path / 'a.pth')]
    model = build_model(cfg)
    teacher = model.distiller.network('wide', 'shoes')
    for key, value in held.generators['photo'].state_dict().items():
        assert torch.equal(teacher.state_dict()[key], value)
    if online:
        own = model.distiller.discriminator.state_dict()
        for key, value in held.discriminators['photo'].state_dict().items():
            assert torch.equal(own[key], value)


@pytest.mark.parametrize('name, domain', [(CYCLEGAN, 'zebra'), (PIX2PIX, 'shoes')])
def test_converted_original(name, domain, tmp_path):
    """A generator alone, by the file that ``convert`` writes."""
    cfg = small_recipe(name.replace('-mmagic', '-original'))
    distiller = cfg.model.distiller
    config = (
        distiller.teachers.wide if 'teachers' in distiller else distiller.teacher.generators[domain]
    )
    config.init_cfg.checkpoint = str(tmp_path / 'a.pth')
    torch.manual_seed(3)
    held = build(**{key: value for key, value in config.items() if key != 'init_cfg'}).state_dict()
    torch.save(held, tmp_path / 'a.pth')
    own = build_model(cfg).distiller
    teacher = own.network(next(iter(own.latest_networks())), domain)
    for key, value in held.items():
        assert torch.equal(teacher.state_dict()[key], value)


def test_the_command_turns_a_checkpoint(tmp_path, capsys):
    source, out = tmp_path / 'iter_9.pth', tmp_path / 'teacher.pth'
    checkpoint('CycleGAN', ['horse', 'zebra'], source)
    assert not main(['convert', str(source), str(out), '--bgr'])
    found = torch.load(out, weights_only=True)['state_dict']
    for key, value in to_rgb(source).items():
        assert torch.equal(found[key], value)
    assert main(['convert', str(source), str(out)]) == 1
    assert 'error: give either --config' in capsys.readouterr().err
