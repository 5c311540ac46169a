"""Files from elsewhere run nothing, import nothing and fill no memory."""

import copy
import json
import logging
import os
import pickle
import resource
import sys
import tarfile
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from PIL import Image

from archives import image_bytes, make_tar, make_zip
from mmgan_compress import Translator, load_student, save_student
from mmgan_compress.core.tensor_files import load_tensors
from mmgan_compress.datasets import archive
from mmgan_compress.datasets.fetch import FetchError
from mmgan_compress.models.student import Student, read_test_config, student_info
from mmgan_compress.models.student_config import MOST_LEVELS
from mmgan_compress.registry import MODELS
from students import GENERATORS, make_model, make_student, refused_by_tool

RESNET = GENERATORS['resnet']
# where it is imported, it leaves a mark
EVIL = """
import pathlib, torch
pathlib.Path(__file__).with_name('mark').touch()
class Net(torch.nn.Module): pass
def run(*args, **kwargs): return Net()
"""


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A module on the path; returns the mark that it leaves."""
    (tmp_path / 'evilmod.py').write_text(EVIL)
    (tmp_path / 'evilmod2').mkdir()
    (tmp_path / 'evilmod2/__init__.py').write_text('')
    (tmp_path / 'evilmod2/registry.py').write_text(
        EVIL.replace("with_name('mark')", "parents[1].joinpath('mark')")
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / 'mark'
    for name in ('evilmod', 'evilmod2', 'evilmod2.registry'):
        sys.modules.pop(name, None)


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
    """What a student file holds."""
    path = tmp_path_factory.mktemp('plain') / 'student.pth'
    make_student(path)
    return torch.load(path, weights_only=True)


def written(path, content, **changes):
    """Write a student file with other facts."""
    content = copy.deepcopy(content)
    content['meta']['mmgan_compress'].update(changes)
    torch.save(content, path)
    return path


def refused(path, match=''):
    """Open a student by all ways; return the message, which is one line."""
    for read in (load_student, student_info, read_test_config, Translator):
        with pytest.raises(ValueError, match=match) as error:
            read(path)
        text = str(error.value)
        assert text.startswith(str(path)) and '\n' not in text
    return text


EVIL_GENERATORS = [
    dict(type='os.system', command='touch mark'),
    dict(type='mmgan_compress.os.system', command='touch mark'),
    dict(type='evilmod.Net'),
    dict(type='evilmod'),
    dict(type='evilmod2.Net'),
    dict(RESNET, _scope_='evilmod2'),
    dict(RESNET, norm_cfg=dict(type='evilmod.run')),
    dict(RESNET, norm_cfg=dict(type='IN', _scope_='evilmod2')),
    dict(RESNET, padding_mode='evilmod'),
    dict(RESNET, padding_mode='evilmod.run'),
    dict(RESNET, init_cfg=dict(type='evilmod.run')),
    dict(
        RESNET,
        init_cfg=[
            dict(type='Constant', layer='Conv2d', override=dict(name='model', type='evilmod.run'))
        ],
    ),
    dict(RESNET, init_cfg=dict(type='Pretrained', checkpoint='evil.pth')),
    dict(type='SlimNetwork', arch=dict(type='evilmod.Net')),
    dict(type='SlimNetwork', channels={}, arch=dict(RESNET, norm_cfg=dict(type='evilmod.Net'))),
    dict(type='mmgan_compress.CallableTeacher', function='evilmod:run'),
    dict(type='CallableTeacher', function='evilmod:run', arguments={}),
    dict(type='SwinIRNet', **{"a': __import__('evilmod'), 'b": 1}),
    dict(type=dict(a=1)),
    dict(type=['evilmod', 'run']),
    dict(a=1),
    'evilmod',
    # known, but no networks
    dict(type='mmengine.build_from_cfg'),
    dict(type='mmgan_compress.KID'),
]


@pytest.mark.parametrize('generator', EVIL_GENERATORS, ids=str)
def test_types_in_a_file_run_nothing(generator, plain, evil, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(written(tmp_path / 's.pth', plain, generator=generator))
    refused(written(tmp_path / 's.pth', plain, generators=dict(zebra=generator)))
    assert not evil.exists()


def test_what_could_not_be_opened_is_not_saved(evil, tmp_path):
    """And not trained: the hook that saves asks first."""
    model = make_model()
    for more in (
        dict(norm_cfg=dict(type='evilmod.Net')),
        dict(padding_mode='a/b'),
        dict(weights_pretrained='x'),
    ):
        model._gen_cfg = dict(RESNET, **more)
        with pytest.raises(ValueError, match='generator'):
            Student.from_model(model, 64).check()
        with pytest.raises(ValueError, match='generator'):
            save_student(tmp_path / 's.pth', model, source='T', image_size=64)
    assert not (tmp_path / 's.pth').exists()


def test_the_module_that_a_file_names_is_not_imported(plain, evil, tmp_path):
    """Neither here nor by the config that tests it, nor the text in it."""
    content = copy.deepcopy(plain)
    content['meta']['cfg'] = 'import evilmod'
    path = written(tmp_path / 's.pth', content, module='evilmod')
    assert read_test_config(path).custom_imports.imports == ['mmgan_compress.registry']
    assert load_student(path).meta['module'] == 'evilmod'
    assert not evil.exists()
    load_student(path, imports=['evilmod'])  # the caller may
    assert evil.exists()


@pytest.fixture
def attack(plain, evil, tmp_path):
    """A student file that would touch a file, and the words of commands."""
    path = written(
        tmp_path / 's.pth',
        plain,
        generator=dict(type='os.system', command=f'touch {evil}'),
        module='evilmod',
    )
    photos = tmp_path / 'photos'
    photos.mkdir()
    Image.new('RGB', (64, 64)).save(photos / 'a.png')
    out = ['--out', tmp_path / 'out']
    return dict(
        translate=[path, photos, *out],
        get_flops=[path],
        compress=[path, '--pruner', 'TorchPruner', '--budget', 'macs=0.5', *out],
        make_teacher_images=[path, photos, *out],
        benchmark=[path, *out, '--size', '64'],
        export=[path, *out],
        quantize=[path, *out],
        demo_page=['--student', path],
        report=['omgd_cyclegan.py', f'a={path}', *out],
        search=['gan_compression_cyclegan.py', path, '--demo', *out],
    )


MESSAGE = "is 'os.system', which is not registered here"


@pytest.mark.parametrize(
    'name',
    [
        'translate',
        'get_flops',
        'compress',
        'make_teacher_images',
        'benchmark',
        'export',
        'quantize',
        'demo_page',
        'report',
        'search',
    ],
)
def test_commands_run_nothing(name, attack, evil, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert MESSAGE in refused_by_tool(name, *attack[name], monkeypatch=monkeypatch)
    assert not evil.exists()


HUGE = 30_000


def deep(levels):
    value = {}
    for _ in range(levels):
        value = dict(a=value)
    return value


def shared(levels):
    """A small file whose values, counted one by one, never end."""
    value = [0]
    for _ in range(levels):
        value = [value] * 10
    return value


@pytest.mark.parametrize(
    'changes',
    [
        dict(generator=dict(RESNET, base_channels=HUGE)),
        dict(generator=dict(RESNET, num_blocks=10**9)),
        dict(
            generator=dict(type='SlimNetwork', channels={}, arch=dict(RESNET, base_channels=1024))
        ),
        dict(generator=dict(RESNET, base_channels=-4)),
        dict(generator=dict(RESNET, base_channels='4')),
        dict(generator=dict(RESNET, a=deep(MOST_LEVELS + 1))),
        dict(resources=deep(200)),
        dict(resources=shared(9)),
        dict(size_multiple=0),
        dict(size_multiple='4'),
        dict(size_multiple=True),
        dict(image_size=-64),
        dict(image_size='64'),
        dict(image_size=10**9),
        dict(image_size=None),
        dict(domains='ab'),
        dict(domains=['zebra']),
        dict(domains=['../../x', 'zebra']),
        dict(domains=[{}, 'zebra']),
        dict(default_domain='cat'),
        dict(default_domain=[]),
        dict(source=3),
        dict(module=None),
        dict(data=[1]),
        dict(generators=[1]),
        dict(resources=dict(x=float('nan'))),
        dict(version=1),
        dict(quantization=dict(zebra=3)),
        dict(
            quantization=dict(zebra=dict(made_by='x', layers={'model.0.conv': dict(weight=['a'])}))
        ),
        dict(format='1'),
        dict(format=torch.zeros(2)),
    ],
    ids=lambda changes: next(iter(changes)),
)  # str(shared(9)) takes 3 GB
def test_values_have_types_and_bounds(changes, plain, tmp_path):
    path = written(tmp_path / 's.pth', plain, **changes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 400_000  # KB: of the imports


@pytest.mark.parametrize(
    'state, message',
    [
        ([1, 2], 'is a list'),
        ({}, 'is a dict'),
        ({3: torch.zeros(1)}, '3'),
        ({'generators': torch.zeros(1)}, "unexpected 'generators'"),
        ({'generators.zebra.a': 3}, 'no plain tensor'),
        ({'generators.zebra.a': torch.zeros(1).expand(HUGE, HUGE)}, 'which the file does not hold'),
        ({'generators.zebra.a': torch.zeros(3, 3).to_sparse()}, 'no plain tensor'),
        ({'generators.zebra.a': torch.zeros(3, device='meta')}, 'no plain tensor'),
    ],
)
def test_weights_that_are_none(state, message, plain, tmp_path):
    content = dict(plain, state_dict=state)
    refused(written(tmp_path / 's.pth', content), message)


def test_a_missing_test_config_is_no_loss(plain, tmp_path):
    content = copy.deepcopy(plain)
    del content['meta']['cfg']
    path = written(tmp_path / 's.pth', content)
    assert read_test_config(path).model.generator.type == 'ResnetGenerator'
    assert load_student(path)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_not_finite(value, plain, tmp_path):
    model = make_model()
    net = model.generators['zebra']
    net.model[0].conv.bias.data[1] = value
    with pytest.raises(ValueError, match='model.0.conv.bias holds values that are not finite'):
        save_student(tmp_path / 's.pth', model, source='T', image_size=64)
    assert not list(tmp_path.iterdir())
    content = copy.deepcopy(plain)  # saved by an earlier version
    content['state_dict']['generators.zebra.model.0.conv.bias'][1] = value
    del content['meta']['mmgan_compress']['sha256']
    refused(written(tmp_path / 's.pth', content), 'not finite')


def test_a_flipped_byte_is_noticed(plain, tmp_path):
    """Of the weights and of what is said of them; old files too."""
    content = copy.deepcopy(plain)
    del content['meta']['mmgan_compress']['sha256']
    path = written(tmp_path / 'old.pth', content)
    assert load_student(path)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as file:
        records = {info.filename.rpartition('/')[2]: info for info in file.infolist()}
    for name in ('0', 'data.pkl'):
        data = bytearray(whole)
        at = records[name].header_offset + 200
        data[at] ^= 1
        path.write_bytes(data)
        refused(path, 'is damaged')
    changed = copy.deepcopy(plain)  # and put together again
    changed['state_dict']['generators.zebra.model.0.conv.weight'] *= 2
    refused(written(path, changed), 'weights are not those that were saved')


def test_a_file_that_grows_is_refused(plain, tmp_path):
    source = written(tmp_path / 'a.pth', plain)
    path = tmp_path / 's.pth'
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        new.writestr('archive/bomb', bytes(10**7))
    refused(path, 'larger than the file')


class Mark:
    """A pickle that leaves a mark."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


def test_pickles_are_refused(tmp_path):
    mark = tmp_path / 'mark'
    torch.save(dict(state_dict=Mark(mark)), tmp_path / 's.pth')
    (tmp_path / 'old.pth').write_bytes(pickle.dumps(Mark(mark)))
    for name in ('s.pth', 'old.pth'):
        refused(tmp_path / name, 'is no student')
        with pytest.raises(ValueError, match='holds more than tensors'):
            load_tensors(tmp_path / name)
    assert not mark.exists()


@pytest.mark.parametrize('suffix', ['.pt2', '.aoti.pt2', '.pt', '.torchscript'])
def test_programs_are_opened_only_where_they_are_trusted(suffix, tmp_path):
    """``torch.export`` names any function, also by a pickle in it."""
    mark, path = tmp_path / 'mark', tmp_path / f'end2end{suffix}'
    if suffix == '.pt2':
        net = torch.nn.Conv2d(3, 3, 1)
        program = torch.export.export(net, (torch.rand(1, 3, 8, 8),))
        torch.export.save(program, path)
        with zipfile.ZipFile(path) as file:
            records = {name: file.read(name) for name in file.namelist()}
        inputs = next(name for name in records if name.endswith('sample_inputs/model.pt'))
        records[inputs] = pickle.dumps(Mark(mark))
        make_zip(path, records)
    else:
        make_zip(path, {'data.pkl': pickle.dumps(Mark(mark))})
    for source in (path, tmp_path):
        with pytest.raises(ValueError, match=f'{path} is a program.*--trust'):
            Translator(source)
    assert not mark.exists()


def test_our_own_programs_open_with_trust(tmp_path):
    path = tmp_path / 'end2end.pt'
    net = torch.nn.Conv2d(3, 3, 1)
    facts = dict(
        size_multiple='1',
        image_size='8',
        layout='NCHW',
        domains='["a", "b"]',
        input_shape='[1, 3, null, null]',
    )
    torch.jit.save(
        torch.jit.trace(net, torch.rand(1, 3, 8, 8)),
        path,
        _extra_files={'facts.json': json.dumps(facts)},
    )
    image = np.zeros((1, 8, 8, 3), np.uint8)
    assert Translator(path, trust=True).run(image).shape == image.shape
    for key, value in (
        ('size_multiple', '0'),
        ('image_size', 'x'),
        ('input_shape', '[1, 3, -8, 8]'),
        ('domains', '{}'),
    ):
        torch.jit.save(
            torch.jit.trace(net, torch.rand(1, 3, 8, 8)),
            path,
            _extra_files={'facts.json': json.dumps(dict(facts, **{key: value}))},
        )
        with pytest.raises(ValueError, match=f'{path} is damaged'):
            Translator(path, trust=True)


class Getattr:
    """What a pickle of mmengine's history asks for, of another object."""

    def __init__(self, *args):
        self.args = args

    def __reduce__(self):
        return getattr, self.args


def test_checkpoints_of_runs_run_nothing(tmp_path):
    """``Runner.resume`` executes the config in one; getattr finds all."""
    mark = tmp_path / 'mark'
    history = HistoryBuffer([1.0], [1])

    path = tmp_path / 'iter_1.pth'
    stub = SimpleNamespace(
        logger=logging.getLogger('stub'),
        model=torch.nn.Conv2d(1, 1, 1),
        call_hook=lambda *args, **kwargs: None,
    )
    content = dict(
        state_dict=stub.model.state_dict(),
        message_hub=history,
        meta=dict(iter=1, config=f'import os\nos.system("touch {mark}")'),
    )
    torch.save(content, path)
    loaded = Runner.load_checkpoint(stub, str(path))
    assert loaded['message_hub'].current() == 1
    assert 'config' not in loaded['meta']  # resume() would execute it
    for args in ((HistoryBuffer, '__init__'), (dict, 'fromkeys')):
        content['message_hub'] = Getattr(*args)
        torch.save(content, path)
        with pytest.raises(pickle.UnpicklingError):
            Runner.load_checkpoint(stub, str(path))
    assert not mark.exists()


def test_our_registries_import_nothing(evil):
    for name in (
        'evilmod.Net',
        'evilmod',
        'evilmod2.Net',
        'os.system',
        'mmagic.os.system',
        'mmgan_compress.evilmod',
    ):
        assert MODELS.get(name) is None
    assert not evil.exists()
    for name in (
        'SlimNetwork',
        'mmgan_compress.SlimNetwork',
        'mmagic.ResnetGenerator',
        'ResnetGenerator',
        'BN',
        'mmengine.BN',
        'mmagic.BN',
    ):
        assert MODELS.get(name) is not None


@pytest.mark.parametrize('make', [make_zip, make_tar])
def test_archives_have_a_bound(make, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, 'ALWAYS_ALLOWED', 1 << 20)
    image = image_bytes()
    path = make(tmp_path / 'a', {'a.png': image, 'b': bytes(1 << 19)})
    archive.extract(path, tmp_path / 'fine')
    assert (tmp_path / 'fine/a.png').read_bytes() == image
    if make is make_zip:  # ours does not compress
        with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as pack:
            pack.writestr('a', bytes(1 << 22))
    else:
        make(path, {'a': bytes(1 << 22)})
    with pytest.raises(FetchError, match=f'{path} unpacks to more than .* 1 MB'):
        archive.extract(path, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
    monkeypatch.setattr(archive, 'MOST_FILES', 3)
    make(path, {str(i): b'' for i in range(4)})
    with pytest.raises(FetchError, match='more than 3 files'):
        list(archive.members(path))


def test_links_and_devices_are_left_out(tmp_path):
    path = tmp_path / 'a.tar'
    with tarfile.open(path, 'w') as pack:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f'a{kind.decode()}')
            info.type, info.linkname = kind, '/etc/passwd'
            pack.addfile(info)
        pack.addfile(tarfile.TarInfo('plain'))
    archive.extract(path, tmp_path / 'out')
    assert [p.name for p in (tmp_path / 'out').iterdir()] == ['plain']
