"""Teachers that only give images: ONNX files, callables, stored folders."""

import copy
import pickle

import numpy as np
import pytest
import torch
import torch.nn as nn
from mmengine.registry import DefaultScope

from mmgan_compress.deploy.export import export_student
from mmgan_compress.deploy.targets import Target
from mmgan_compress.models.image_teachers import CallableTeacher, OnnxTeacher, StoredTeacher
from mmgan_compress.registry import MODELS
from onnx_files import write_onnx
from students import expected, make_student

HERE = 'test_image_teachers'


# --- what the tests name as callables ----------------------------------
def half(x):
    return x / 2


def spoil_input(x):
    return x.mul_(0)


def by_inference(x):
    with torch.inference_mode():
        return x / 2


def with_graph(x):
    return x / 2 * torch.ones(1, requires_grad=True)


def as_double(x):
    return x.double() / 2


WRONG = dict(
    wrong_type=lambda x: x.numpy(),
    wrong_shape=lambda x: x[..., 1:],
    one_channel=lambda x: x[:, :1],
    bytes_=lambda x: x.byte(),
    not_finite=lambda x: x * float('nan'),
    infinite=lambda x: x + float('inf'),
    pixels=lambda x: (x + 1) * 127.5,
    too_dark=lambda x: x - 1,
)
globals().update(WRONG)


class Scale:
    """Stands for a pipeline that a factory makes."""

    made = 0

    def __init__(self, factor=0.5):
        Scale.made += 1
        self.factor = factor

    def __call__(self, x):
        return x * self.factor


class WithLayers(nn.Module):
    """A network of the user's: it stays out of the model's state."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.conv(x).tanh()


constant = 3


# --- ONNX ----------------------------------------------------------------
def images(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    folder = tmp_path_factory.mktemp('onnx')
    model = make_student(folder / 'student.pth')
    for name, dynamic in (('static', False), ('free', True)):
        export_student(
            folder / 'student.pth', folder / name, Target(dynamic=dynamic), size=32, images=[]
        )
    return folder, model


def file_of(student, kind):
    return str(student[0] / kind / 'end2end.onnx')


@pytest.mark.parametrize(
    'kind,shape',
    [
        ('static', (1, 3, 32, 32)),
        ('static', (3, 3, 32, 32)),
        ('free', (3, 3, 32, 32)),
        ('free', (2, 3, 64, 36)),
    ],
)
def test_onnx_is_the_network_that_it_was_made_from(student, kind, shape):
    teacher = OnnxTeacher(file_of(student, kind))
    x = images(*shape)
    y = teacher(x)
    torch.testing.assert_close(y, expected(student[1], x), atol=1e-5, rtol=0)
    assert y.dtype == torch.float32 and not y.requires_grad
    assert teacher.size == ((32, 32) if kind == 'static' else (None, None))


@pytest.mark.parametrize(
    'kind,shape,size',
    [
        ('FLOAT16', (1, 3, 'h', 'w'), (8, 8)),
        ('FLOAT', ('N', 3, 16, 16), (16, 16)),
        ('FLOAT', (1, 3, 16, 'w'), (16, 12)),
        ('FLOAT', ('a', 'b', 'c', 'd'), (5, 6)),
    ],
)
def test_foreign_onnx_files(tmp_path, kind, shape, size):
    path = write_onnx(tmp_path / 'a.onnx', kind, shape)
    x = images(3, 3, *size)
    y = OnnxTeacher(path, output_name='image')(x)
    torch.testing.assert_close(y, x / 2, rtol=0, atol=1e-3 if kind == 'FLOAT16' else 1e-7)
    assert y.dtype == torch.float32


@pytest.mark.parametrize('name', [None, 'other'])
def test_the_output_is_named_where_there_are_several(tmp_path, name):
    path = write_onnx(tmp_path / 'a.onnx')
    with pytest.raises(ValueError, match=r"\['double', 'image'\]"):
        OnnxTeacher(path, output_name=name)
    with pytest.raises(ValueError, match=r'double\) gave values in \[-'):
        OnnxTeacher(path, output_name='double')(images(1, 3, 16, 16))


@pytest.mark.parametrize(
    'options,words',
    [
        (dict(inputs=2), r"inputs \['picture', 'noise'\]: expected one image"),
        (dict(shape=(1, 2, 16, 16)), r'shape \[1, 2, 16, 16\]: expected floats'),
        (dict(shape=('N', 3, 16)), 'expected floats of shape'),
        (dict(shape=(2, 3, 16, 16)), 'N free or 1'),
        (dict(kind='DOUBLE'), r'takes tensor\(double\)'),
    ],
)
def test_other_onnx_files_are_refused(tmp_path, options, words):
    path = write_onnx(tmp_path / 'a.onnx', **options)
    with pytest.raises(ValueError, match=words):
        OnnxTeacher(path, output_name='image')


def test_what_is_no_onnx_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='no ONNX file'):
        OnnxTeacher(str(tmp_path / 'none.onnx'))
    (tmp_path / 'text.onnx').write_text('no network')
    with pytest.raises(ValueError, match='cannot be opened as ONNX'):
        OnnxTeacher(str(tmp_path / 'text.onnx'))


def test_images_of_another_size_are_refused(student):
    teacher = OnnxTeacher(file_of(student, 'static'))
    with pytest.raises(ValueError, match=r'\(32, 32\), got \(32, 36\)'):
        teacher(images(1, 3, 32, 36))
    # free, but this network halves twice
    with pytest.raises(ValueError, match=r'failed on .* \(34, 34\)'):
        OnnxTeacher(file_of(student, 'free'))(images(1, 3, 34, 34))


# --- copies and state ------------------------------------------------------
def test_copies_open_their_own_engine(student):
    x = images(1, 3, 32, 32)
    for teacher in (
        OnnxTeacher(file_of(student, 'static')),
        CallableTeacher(f'{HERE}:Scale', dict(factor=0.25)),
    ):
        for twin in (copy.deepcopy(teacher), pickle.loads(pickle.dumps(teacher))):
            assert torch.equal(twin(x), teacher(x))
            assert twin.engine is not teacher.engine


def test_teachers_have_no_state(student):
    for teacher in (
        OnnxTeacher(file_of(student, 'static')),
        StoredTeacher(),
        CallableTeacher(f'{HERE}:WithLayers', {}),
    ):
        assert teacher.image_only
        assert teacher.stored is isinstance(teacher, StoredTeacher)
        assert not list(teacher.parameters()) and not teacher.state_dict()


def test_built_by_name_from_the_scope_of_configs():
    with DefaultScope.overwrite_default_scope('mmagic'):
        teacher = MODELS.build(dict(type='mmgan_compress.CallableTeacher', function=f'{HERE}:half'))
    assert isinstance(teacher, CallableTeacher)


# --- callables ---------------------------------------------------------------
@pytest.mark.parametrize('name', ['half', 'by_inference', 'with_graph', 'as_double'])
def test_callables(name):
    x = images(2, 3, 8, 8)
    y = CallableTeacher(f'{HERE}:{name}')(x)
    torch.testing.assert_close(y, x / 2)
    assert y.dtype == torch.float32 and not y.requires_grad
    student = torch.ones(1, requires_grad=True)
    (student * x * y).sum().backward()  # a target that autograd can save
    assert student.grad is not None


def test_a_callable_may_write_into_its_input():
    x = images(2, 3, 8, 8)
    before = x.clone()
    assert not CallableTeacher(f'{HERE}:spoil_input')(x).any()
    assert torch.equal(x, before)


def test_half_precision_input_is_widened():
    x = images(1, 3, 8, 8)
    y = CallableTeacher(f'{HERE}:half')(x.half())
    assert y.dtype == torch.float32 and torch.equal(y, x.half().float() / 2)


def test_a_factory_is_called_once_with_its_arguments():
    Scale.made = 0
    teacher = CallableTeacher(f'{HERE}:Scale', dict(factor=-1))
    x = images(1, 3, 8, 8)
    assert torch.equal(teacher(x), -x) and torch.equal(teacher(x), -x)
    assert Scale.made == 1
    assert torch.equal(CallableTeacher(f'{HERE}:Scale', {})(x), x / 2)


@pytest.mark.parametrize(
    'name,words',
    [
        ('wrong_type', 'a ndarray'),
        ('wrong_shape', r'shape \(1, 3, 8, 7\)'),
        ('one_channel', r'shape \(1, 1, 8, 8\)'),
        ('bytes_', 'torch.uint8'),
        ('not_finite', 'no numbers'),
        ('infinite', 'no numbers'),
        ('pixels', r'values in \[.*, 2\d\d'),
        ('too_dark', r'values in \[-1\.9'),
    ],
)
def test_wrong_results_are_refused(name, words):
    teacher = CallableTeacher(f'{HERE}:{name}')
    with pytest.raises(ValueError, match=f'{name}.* gave .*{words}'):
        teacher(images(1, 3, 8, 8))


@pytest.mark.parametrize(
    'function,arguments,words',
    [
        ('no_such_module.sub:f', None, "No module named 'no_such_module'.*PYTHONPATH"),
        (f'{HERE}:missing', None, "has no attribute 'missing'"),
        ('a function', None, 'expected .package.module:name'),
        (f'{HERE}:constant', None, 'is 3: expected a function'),
        (f'{HERE}:Scale', None, 'Give arguments'),
        (f'{HERE}:np_zero', {}, 'expected a function'),
    ],
)
def test_what_is_no_callable_is_refused(function, arguments, words):
    with pytest.raises(ValueError, match=words):
        CallableTeacher(function, arguments)


def np_zero():
    return np.zeros(1)


def test_a_broken_module_tells_what_it_misses(tmp_path, monkeypatch):
    (tmp_path / 'broken_teacher.py').write_text('import not_installed_here')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match='not_installed_here'):
        CallableTeacher('broken_teacher:f')


def test_a_stored_teacher_cannot_run():
    with pytest.raises(RuntimeError, match='teacher_images='):
        StoredTeacher()(images(1, 3, 8, 8))
