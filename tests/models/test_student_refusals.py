"""Student files that are none, are damaged, or are not for this version."""

import re

import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmgan_compress import load_student
from students import make_student


@pytest.fixture
def student(tmp_path):
    path = tmp_path / 'student.pth'
    make_student(path)
    return path


def change(path, **changes):
    """Rewrite a student file with other facts or another state dict."""
    content = torch.load(path, weights_only=True)
    if 'state_dict' in changes:
        content['state_dict'] = changes.pop('state_dict')
    info = content['meta']['mmgan_compress']
    info.pop('sha256', None)  # as in files of earlier versions
    info.update(changes)
    torch.save(content, path)


def runner_checkpoint(history):
    return dict(
        meta=dict(iter=500), state_dict={'a': torch.zeros(1)}, message_hub=dict(log_scalars=history)
    )


@pytest.mark.parametrize(
    'content, message',
    [
        (runner_checkpoint({}), 'a training checkpoint .iteration 500'),
        (runner_checkpoint({'loss': HistoryBuffer()}), 'a training checkpoint'),
        ({'model.0.weight': torch.zeros(1)}, 'bare weights'),
        (dict(meta=dict(mmgan_compress=dict(format=1))), r"a dict with \['meta'"),
        (dict(a=1, b=2), r"a dict with \['a', 'b'\]"),
        ([1, 2], 'a list'),
        (torch.nn.Conv2d(1, 1, 1), 'a pickled model'),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    torch.save(content, tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='is no student file') as error:
        load_student(tmp_path / 'x.pth')
    assert re.search(message, str(error.value))
    assert 'save_student' in str(error.value)  # the way out


@pytest.mark.parametrize('content', [b'', b'hello', b'\x80\x02half'])
def test_garbage_is_refused(tmp_path, content):
    (tmp_path / 'x.pth').write_bytes(content)
    with pytest.raises(ValueError, match='is no student file'):
        load_student(tmp_path / 'x.pth')


def test_truncated_file_is_refused(student):
    student.write_bytes(student.read_bytes()[:-500])
    with pytest.raises(ValueError, match='is no student file'):
        load_student(student)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='no student file at'):
        load_student(tmp_path / 'x.pth')


def test_newer_format_is_refused(student):
    change(student, format=2, version='9.0')
    with pytest.raises(ValueError, match='format 2, written by version 9.0'):
        load_student(student)


def test_keys_are_strict(student):
    state = torch.load(student, weights_only=True)['state_dict']
    key = 'generators.zebra.model.0.conv.weight'
    change(student, state_dict={k: v for k, v in state.items() if k != key})
    with pytest.raises(ValueError, match='1 tensors differ.*model.0.conv.weight'):
        load_student(student)
    extra = 'generators.zebra.model.99.weight'
    change(student, state_dict={**state, extra: torch.zeros(1)})
    with pytest.raises(ValueError, match=r'model.99.weight .config: None'):
        load_student(student)
    change(student, state_dict={**state, 'discriminators.a': torch.zeros(1)})
    with pytest.raises(ValueError, match="unexpected 'discriminators.a'"):
        load_student(student)
    change(student, state_dict={**state, key: torch.zeros(4, 3, 5, 5)})
    with pytest.raises(ValueError, match=r'(?s)damaged.*weights: .4, 3, 5, 5.'):
        load_student(student)


def test_unknown_domain_and_generator(student):
    with pytest.raises(ValueError, match=r"no generator for 'cat'.*zebra"):
        load_student(student, 'cat')
    change(student, generator=dict(type='MyGenerator'), module='my.package')
    with pytest.raises(
        ValueError,
        match="cannot be read: .*not registered here. Import the module .defined in 'my.package'",
    ):
        load_student(student)
