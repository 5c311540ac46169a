"""Pretrained networks: found, made, refused."""

import io
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mmgan_compress.core.tensor_files import state_digest
from mmgan_compress.datasets import weights
from mmgan_compress.datasets.fetch import ChecksumError, FetchError
from mmgan_compress.models.perceptual import VGG16Features

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Keep the user's own cache out of the tests."""
    monkeypatch.setenv('MMGAN_COMPRESS_HOME', str(tmp_path / 'home'))
    return tmp_path / 'home'


def test_missing_weights_name_the_command(home):
    with pytest.raises(FileNotFoundError) as error:
        weights.weights_path('vgg16')
    assert str(home) in str(error.value)
    assert 'mmgan-compress weights vgg16' in str(error.value)
    with pytest.raises(ValueError, match='vgg16, inception'):
        weights.weights_path('vgg19')


class Malicious:
    def __reduce__(self):
        return print, ('owned',)


def test_malicious_pickle_is_refused(capsys):
    stream = io.BytesIO(pickle.dumps({'VGG16_0': Malicious()}))
    with pytest.raises(pickle.UnpicklingError, match='builtins.print'):
        weights.ArrayUnpickler(stream).load()
    assert 'owned' not in capsys.readouterr().out
    array = np.arange(6, dtype='<f4').reshape(2, 3)
    loaded = weights.ArrayUnpickler(io.BytesIO(pickle.dumps(array))).load()
    assert (loaded == array).all()


def vgg16_state():
    state, inputs = {'classifier.6.bias': torch.zeros(1000)}, 3
    widths = (64, 64, 128, 128, *[256] * 3, *[512] * 6)
    for place, outputs in zip(weights.VGG16_CONVS, widths):
        state[f'features.{place}.weight'] = torch.zeros(outputs, inputs, 3, 3)
        state[f'features.{place}.bias'] = torch.full((outputs,), place + 0.5)
        inputs = outputs
    return state


def test_vgg16_from_a_local_file(tmp_path, capsys):
    state = vgg16_state()
    torch.save(state, tmp_path / 'mine.pth')
    path = weights.prepare_weights('vgg16', tmp_path / 'mine.pth')
    assert path == weights.weights_path('vgg16')
    assert 'does not hold the ImageNet weights' in capsys.readouterr().out
    loaded = torch.load(path, weights_only=True)
    del state['classifier.6.bias']
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[k], state[k]) for k in state)
    weights.prepare_weights('vgg16')
    assert 'already prepared' in capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ChecksumError, match='mmgan-compress weights vgg16'):
        weights.weights_path('vgg16')
    with pytest.raises(ChecksumError, match=str(path)):
        VGG16Features()
    weights.prepare_weights('vgg16', tmp_path / 'mine.pth')  # mends it
    assert weights.weights_path('vgg16') == path
    path.with_suffix('.json').unlink()  # put there by hand
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=f'{path} is damaged'):
        VGG16Features()


def test_unfit_weights_are_refused(tmp_path):
    state = vgg16_state()
    state['features.5.weight'] = torch.zeros(1)
    torch.save(state, tmp_path / 'bad.pth')
    with pytest.raises(FetchError, match=r'features.5.weight is \(1,\)'):
        weights.prepare_weights('vgg16', tmp_path / 'bad.pth')
    (tmp_path / 'evil.pth').write_bytes(pickle.dumps(Malicious(), 2))
    with pytest.raises(FetchError, match='no plain state dict'):
        weights.prepare_weights('vgg16', tmp_path / 'evil.pth')
    with pytest.raises(FetchError, match='no FID'):
        weights.prepare_weights('inception', tmp_path / 'bad.pth')
    with pytest.raises(FetchError, match='local file'):
        weights.prepare_weights('vgg16', 'somewhere')
    with pytest.raises(FileNotFoundError):
        weights.weights_path('inception')
    place = weights.cache_dir() / 'weights/inception.pt'
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b'a program, run by torch.jit.load')
    with pytest.raises(ChecksumError, match='weights inception'):
        weights.weights_path('inception')


@pytest.mark.slow
def test_vgg16_is_really_fetched(home):
    command = [sys.executable, 'tools/prepare_weights.py', 'vgg16']
    subprocess.run(command, cwd=ROOT, check=True)
    record = json.loads((home / 'weights' / 'vgg16.json').read_text())
    assert record['digest'] == weights.VGG16_DIGEST and record['imagenet']
    state = torch.load(weights.weights_path('vgg16'), weights_only=True)
    assert state_digest(state) == weights.VGG16_DIGEST
