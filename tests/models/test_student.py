"""The student file: what it holds, and how it loads."""

import numpy as np
import pytest
import torch
from mmengine import ConfigDict, DefaultScope
from PIL import Image

from mmgan_compress import load_student, save_student, translate
from mmgan_compress.models.student import Student, read_test_config, student_info
from mmgan_compress.models.student_config import build_generator, size_multiple
from mmgan_compress.registry import MODELS
from students import GENERATORS, MULTIPLE, expected, make_model, make_student, run_python


@pytest.fixture
def student(tmp_path):
    path = tmp_path / 'student.pth'
    make_student(path)
    return path


def test_round_trip_in_a_process_without_config_and_extras(tmp_path):
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    torch.save(x, tmp_path / 'x.pt')
    models = {kind: make_student(tmp_path / f'{kind}.pth', kind) for kind in GENERATORS}
    run_python(
        """
import torch, mmgan_compress
x = torch.load('x.pt')
for kind in sys.argv[1:]:
    net = mmgan_compress.load_student(f'{kind}.pth')
    assert not net.training
    with torch.no_grad():
        torch.save(net(x), f'{kind}_y.pt')
assert not Hide.names & {name.split('.')[0] for name in sys.modules}
""",
        *models,
        cwd=tmp_path,
    )
    for kind, model in models.items():
        y = torch.load(tmp_path / f'{kind}_y.pt')
        assert y.std() > 0.01
        assert torch.equal(y, expected(model, x)), kind


def test_file_is_plain_and_reproducible(tmp_path):
    model = make_model('unet', norm_cfg=dict(type='BN', eps=1e-5))
    model._gen_cfg = ConfigDict(model._gen_cfg, num_down=np.int64(6))
    state = torch.get_rng_state()
    for name in 'ab':
        save_student(
            tmp_path / name,
            model,
            source='Test',
            image_size=64,
            resources=dict(macs=np.float64(3), shape=(1, 2)),
        )
    assert torch.equal(state, torch.get_rng_state())
    assert (tmp_path / 'a').read_bytes() == (tmp_path / 'b').read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a', 'b']
    meta = torch.load(tmp_path / 'a', weights_only=True)['meta']

    def check(value):
        if type(value) in (dict, list):
            for item in value.items() if type(value) is dict else value:
                check(list(item) if isinstance(item, tuple) else item)
        else:
            assert type(value) in (str, int, float, bool), value

    check(meta)
    info = meta['mmgan_compress']
    assert info['generator']['norm_cfg'] == dict(type='BN', eps=1e-5)
    assert info['resources'] == dict(macs=3.0, shape=[1, 2])
    assert info['domains'] == ['horse', 'zebra']
    with pytest.raises(TypeError, match=r'resources\.x is a Tensor'):
        save_student(
            tmp_path / 'a', model, source='Test', image_size=64, resources=dict(x=torch.zeros(2))
        )


def test_failed_write_keeps_the_earlier_file(student, monkeypatch):
    before = student.read_bytes()

    def fail(content, file):
        file.write(b'half')
        raise OSError('disk full')

    monkeypatch.setattr(torch, 'save', fail)
    with pytest.raises(OSError, match='disk full'):
        make_student(student, seed=1)
    assert student.read_bytes() == before
    assert [p.name for p in student.parent.iterdir()] == ['student.pth']


def test_config_that_does_not_rebuild_the_network_is_refused(tmp_path):
    model = make_model()
    model._gen_cfg = dict(model._gen_cfg, base_channels=8)
    with pytest.raises(ValueError, match=r'does not rebuild it: \d+ tensors'):
        save_student(tmp_path / 's.pth', model, source='T', image_size=64)
    assert not list(tmp_path.iterdir())


def test_pretrained_path_does_not_travel(tmp_path):
    model = make_model()
    model._gen_cfg = dict(
        model._gen_cfg, init_cfg=dict(type='Pretrained', checkpoint='/not/there.pth')
    )
    save_student(tmp_path / 's.pth', model, source='T', image_size=64)
    assert 'init_cfg' not in student_info(tmp_path / 's.pth')['generator']


def test_two_directions(tmp_path):
    path = tmp_path / 's.pth'
    model = make_student(path, reachable=('horse', 'zebra'))
    for domain in ('horse', 'zebra'):
        net = load_student(path, domain)
        assert net.meta['domain'] == domain
        key = 'model.0.conv.weight'
        assert torch.equal(net.state_dict()[key], model.generators[domain].state_dict()[key])


@pytest.mark.parametrize('kind', GENERATORS)
def test_plain_mmagic_takes_it_as_pretrained(tmp_path, kind):
    model = make_student(tmp_path / 's.pth', kind)
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 's.pth'), prefix='generators.zebra')
    with DefaultScope.overwrite_default_scope('mmagic'):
        model = MODELS.build(
            dict(
                type='CycleGAN',
                default_domain='zebra',
                generator=dict(GENERATORS[kind], init_cfg=init),
                discriminator=None,
                reachable_domains=['zebra'],
                related_domains=['horse', 'zebra'],
                data_preprocessor=dict(type='DataPreprocessor'),
            )
        )
    model.init_weights()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        y = model.eval().translation(x, 'zebra')
    assert torch.equal(y, expected(model, x))


def test_config_inside_runs_in_mmengine(tmp_path):
    make_student(tmp_path / 'student.pth', 'unet')
    (tmp_path / 'data' / 'images').mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    image = Image.fromarray(noise)
    image.save(tmp_path / 'data' / 'images' / 'a.png')
    config = read_test_config(tmp_path / 'student.pth')
    assert config.model.reachable_domains == ['zebra']
    # mmengine's own tools read this one
    held = torch.load(tmp_path / 'student.pth', weights_only=True)['meta']
    assert held['cfg'] == config.pretty_text
    run_python(
        """
from mmengine.runner import Runner
from mmgan_compress.models.student import read_test_config
cfg = read_test_config('student.pth')
cfg.load_from = 'student.pth'
Runner.from_cfg(cfg).test()
""",
        cwd=tmp_path,
    )
    (found,) = (tmp_path / 'work_dirs').rglob('a_*.png')
    pair = np.array(Image.open(found))
    assert np.array_equal(pair[:, :64], noise)
    (picture,) = translate(tmp_path / 'student.pth', image)
    assert np.array_equal(pair[:, 64:], np.array(picture))


SLIM = dict(
    type='mmgan_compress.SlimNetwork',
    arch=dict(
        GENERATORS['separable'],
        type='SeparableResnetGenerator',
        init_cfg=dict(type='Pretrained', checkpoint='/not/there.pth'),
    ),
    channels={'model.1': [3, 3], 'model.2': [3], 'model.4': [3, 8]},
)


def uneven_model(**generators):
    """Build a model whose directions have generators of their own."""
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='mmgan_compress.DistillationModel',
            generator=generators,
            default_domain='zebra',
            reachable_domains=['horse', 'zebra'],
            related_domains=['horse', 'zebra'],
        )
    )


def test_directions_with_generators_of_their_own(tmp_path):
    """Pruned, another network, in a process without our training."""
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    torch.save(x, tmp_path / 'x.pt')
    model = uneven_model(horse=GENERATORS['unet'], zebra=SLIM).eval()
    assert model.generators['zebra'].model[1].out_channels == 3
    state = torch.get_rng_state()
    for name in ('s.pth', 'again.pth'):
        save_student(tmp_path / name, model, source='T', image_size=64)
    assert torch.equal(state, torch.get_rng_state())
    assert (tmp_path / 's.pth').read_bytes() == (tmp_path / 'again.pth').read_bytes()
    run_python(
        """
import torch, mmgan_compress
for domain in ('horse', 'zebra'):
    net = mmgan_compress.load_student('s.pth', domain)
    with torch.no_grad():
        torch.save(net(torch.load('x.pt')), f'{domain}.pt')
""",
        cwd=tmp_path,
    )
    for domain in ('horse', 'zebra'):
        with torch.no_grad():
            want = model.generators[domain](x)
        assert torch.equal(torch.load(tmp_path / f'{domain}.pt'), want)
    info = student_info(tmp_path / 's.pth')
    assert info['size_multiple'] == MULTIPLE['unet']
    assert info['generator'] == info['generators']['zebra']
    assert info['generator']['channels'] == SLIM['channels']
    assert 'init_cfg' not in info['generator']['arch']
    assert info['generators']['horse']['type'] == 'UnetGenerator'
    for domain in ('horse', 'zebra'):
        (picture,) = translate(load_student(tmp_path / 's.pth', domain), Image.new('RGB', (61, 47)))
        assert picture.size == (61, 47)


def test_pruned_student_in_mmengine(tmp_path):
    """The test config builds the network of the file."""
    model = make_model()
    model._gen_cfg = {'zebra': SLIM}
    model.generators['zebra'] = build_generator(SLIM)
    save_student(tmp_path / 's.pth', model, source='T', image_size=64)
    info = student_info(tmp_path / 's.pth')
    assert 'generators' not in info
    model = MODELS.build(read_test_config(tmp_path / 's.pth').model)
    state = torch.load(tmp_path / 's.pth', weights_only=True)['state_dict']
    model.load_state_dict(state)


def test_weights_and_domains_must_fit_their_config(tmp_path):
    model = uneven_model(horse=GENERATORS['separable'], zebra=SLIM)
    model._gen_cfg = dict(horse=SLIM, zebra=SLIM)
    with pytest.raises(ValueError, match="'horse' does not rebuild it"):
        save_student(tmp_path / 's.pth', model, source='T', image_size=64)
    with pytest.raises(
        ValueError,
        match=r"keys .'horse'.: expected a "
        r"config with a .type., or one for each of .'horse', ",
    ):
        uneven_model(horse=SLIM)


def test_equal_generators_are_one_config(tmp_path):
    """Given per domain or once: one file, and the same weights."""
    config = GENERATORS['separable']
    save_student(
        tmp_path / 'a', uneven_model(horse=config, zebra=config), source='T', image_size=64
    )
    save_student(tmp_path / 'b', uneven_model(**config), source='T', image_size=64)
    assert (tmp_path / 'a').read_bytes() == (tmp_path / 'b').read_bytes()
    assert 'generators' not in student_info(tmp_path / 'a')


@pytest.mark.parametrize('kind', GENERATORS)
def test_size_multiple(kind):
    twin = build_generator(GENERATORS[kind], 'meta').eval()
    assert size_multiple(twin, 100) == MULTIPLE[kind]


def test_size_multiple_of_a_full_unet_and_of_the_untriable():
    full = dict(GENERATORS['unet'], num_down=8)
    assert size_multiple(build_generator(full, 'meta').eval(), 256) == 256
    half = torch.nn.Conv2d(3, 3, 3, stride=2, device='meta')
    assert size_multiple(half, 256) == 256


def test_loaded_students_are_saved_as_they_were(tmp_path):
    model = uneven_model(horse=GENERATORS['unet'], zebra=SLIM)
    save_student(
        tmp_path / 'a',
        model,
        source='T',
        image_size=64,
        resources=dict(macs=3),
        data=dict(folder='x'),
    )
    student = Student.load(tmp_path / 'a')
    assert student.domains == ['horse', 'zebra']
    assert not any(net.training for net in student.generators.values())
    student.save(tmp_path / 'b')
    before, after = (torch.load(tmp_path / name, weights_only=True) for name in 'ab')
    assert after['meta'] == before['meta']
    assert after['state_dict'].keys() == before['state_dict'].keys()
    for key, value in before['state_dict'].items():
        assert torch.equal(after['state_dict'][key], value)
    student.measure()
    student.save(tmp_path / 'b')
    assert student_info(tmp_path / 'b')['resources']['macs'] > 3


def test_a_student_without_a_model(tmp_path):
    """From networks and configs alone; what does not fit is refused."""
    net, config = make_model().generators['zebra'], GENERATORS['resnet']
    student = Student(dict(zebra=net), dict(zebra=config), ['horse', 'zebra'], 'zebra', 64)
    student.save(tmp_path / 's.pth')
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(load_student(tmp_path / 's.pth')(x), net.eval()(x))
    student.configs = dict(zebra=GENERATORS['unet'])
    with pytest.raises(ValueError, match='does not rebuild it'):
        student.save(tmp_path / 's.pth')
