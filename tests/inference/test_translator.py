"""One class for every runtime: the same pictures, from images and videos."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmgan_compress import Translator, load_student, translate
from mmgan_compress.deploy.export import export_student
from mmgan_compress.deploy.targets import Target
from mmgan_compress.inference import video
from students import REPO, make_student, refused_by_tool, run_tool

TARGETS = {
    'onnx': Target(),
    'dynamic': Target(dynamic=True),
    'pixels': Target(uint8=True),
    'openvino': Target('openvino'),
    'ncnn': Target('ncnn'),
}
PACKAGES = dict(
    onnx='onnxruntime',
    dynamic='onnxruntime',
    pixels='onnxruntime',
    openvino='openvino',
    ncnn='pnnx',
)


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    path = tmp_path_factory.mktemp('student') / 'student.pth'
    make_student(path)
    return path


@pytest.fixture(scope='module')
def exported(student, tmp_path_factory):
    """Return a maker of exports; each is made once."""
    made = {}

    def make(name):
        pytest.importorskip(PACKAGES[name])
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            export_student(student, made[name], TARGETS[name])
        return made[name]

    return make


def photo(width, height, seed=0):
    draw = np.random.default_rng(seed)
    small = draw.integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(small).resize((width, height))


def levels(one, other):
    """Return by how many grey levels two pictures differ at most."""
    assert one.size == other.size and one.mode == other.mode == 'RGB'
    return np.abs(np.array(one, int) - np.array(other, int)).max()


@pytest.mark.parametrize('name', TARGETS)
def test_every_runtime_gives_the_same_picture(student, exported, name):
    folder = exported(name)
    run = Translator(folder, domain='zebra', threads=1)
    assert run.runtime in ('onnxruntime', 'openvino', 'ncnn')
    assert run.domain == 'zebra'
    images = [photo(64, 64, seed) for seed in range(3)]
    expected = Translator(student)(images)
    for got, want in zip(run(images, batch_size=2), expected, strict=True):
        assert levels(got, want) <= 1
    assert np.array(expected[0]).std() > 1


def test_free_size_is_mirrored_and_fixed_size_resized(student, exported):
    image = photo(71, 50)
    want = Translator(student)(image)[0]
    assert levels(Translator(exported('dynamic'))(image)[0], want) <= 1
    fixed = Translator(exported('onnx'))(image)[0]
    net = load_student(student)
    net.meta['fixed_size'] = (64, 64)
    assert levels(fixed, Translator(net)(image)[0]) <= 1
    assert levels(fixed, want) > 1
    pixels = Translator(exported('pixels'))(image)[0]
    # what goes in and comes out is rounded to levels once more
    assert np.abs(np.array(pixels, int) - np.array(fixed, int)).mean() < 2


def test_onnx_in_openvino(student, exported):
    pytest.importorskip('openvino')
    run = Translator(exported('onnx') / 'end2end.onnx', runtime='openvino')
    assert run.runtime == 'openvino'
    image = photo(64, 64)
    assert levels(run(image)[0], translate(student, image)[0]) <= 1


def test_batches_are_of_one_size_and_keep_the_order(student):
    net = load_student(student)
    seen = []
    net.register_forward_pre_hook(lambda _, x: seen.append(len(x[0])))
    images = [photo(64, 64, seed) for seed in range(5)]
    images.insert(3, photo(32, 64))
    run = Translator(net)
    together = run(images, batch_size=2)
    assert seen == [2, 1, 1, 2]
    assert [image.size for image in together] == [i.size for i in images]
    for got, want in zip(together, run(images)):
        assert levels(got, want) <= 1
    with pytest.raises(ValueError, match='batch_size is 0'):
        run(images, batch_size=0)


def test_arrays(student):
    run = Translator(student)
    colour = np.array(photo(40, 24))
    grey = np.array(photo(40, 24).convert('L'))
    got = run([colour, grey, np.dstack([colour, np.zeros_like(grey)])])
    want = run([photo(40, 24), photo(40, 24).convert('L'), Image.new('RGB', (40, 24), 'white')])
    assert all(levels(a, b) == 0 for a, b in zip(got, want, strict=True))
    for wrong in (colour / 255.0, colour[None], np.dstack([colour, colour])):
        with pytest.raises(TypeError, match='expected uint8'):
            run(wrong)


class Negative(torch.nn.Module):
    """A generator that a codec leaves recognisable."""

    meta = dict(size_multiple=4, image_size=64, domain='negative')

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(-1.0))

    def forward(self, x):
        return self.weight * x


def make_video(path, width=64, height=48, fps=12.5, count=5):
    about = video.About(fps, width, height, count)
    with video.writing(path, about) as write:
        for i in range(count):
            write(np.full((height, width, 3), (40 * i, 200 - 40 * i, 90), np.uint8))
    return path


def test_video(tmp_path):
    source = make_video(tmp_path / 'clip.mp4')
    before = source.read_bytes()
    (path,) = Translator(Negative())(source, tmp_path / 'out', batch_size=2)
    assert path == str(tmp_path / 'out' / 'clip.mp4')
    assert video.probe(path) == (12.5, 64, 48, 5)
    for frame, got in zip(video.frames(source), video.frames(path), strict=True):
        assert np.abs(255 - frame.astype(int) - got).mean() < 4
    assert source.read_bytes() == before
    assert [p.name for p in (tmp_path / 'out').iterdir()] == ['clip.mp4']
    with pytest.raises(FileExistsError, match='exists already'):
        Translator(Negative())(source, tmp_path / 'out')


def test_bad_videos(student, tmp_path):
    run = Translator(student)
    source = make_video(tmp_path / 'clip.mp4', count=1)
    with pytest.raises(ValueError, match='is the input'):
        run(source, tmp_path)
    with pytest.raises(ValueError, match='give a folder for the result'):
        run(source)
    with pytest.raises(FileNotFoundError, match='no video at'):
        run(tmp_path / 'none.avi', tmp_path / 'out')
    (tmp_path / 'half.mp4').write_bytes(b'no video')
    with pytest.raises(ValueError, match='half.mp4 cannot be read'):
        run(tmp_path / 'half.mp4', tmp_path / 'out')
    with pytest.raises(RuntimeError, match='out of order'):
        with video.writing(tmp_path / 'new' / 'a.mp4', video.probe(source)):
            raise RuntimeError('out of order')
    assert not list((tmp_path / 'new').iterdir())
    assert not (tmp_path / 'out').exists()


def test_refused_models(student, exported, tmp_path):
    with pytest.raises(ValueError, match="generates 'zebra', not 'horse'"):
        Translator(exported('onnx'), domain='horse')
    with pytest.raises(ValueError, match='export it first'):
        Translator(student, runtime='openvino')
    with pytest.raises(FileNotFoundError):
        Translator(tmp_path / 'none.onnx')
    with pytest.raises(ValueError, match='README.md is no model that runs'):
        Translator(REPO / 'README.md')
    with pytest.raises(ValueError, match='threads is 0, expected 1'):
        Translator(student, threads=0)
    from onnx_files import write_onnx

    foreign = write_onnx(tmp_path / 'foreign.onnx', outputs=1)
    with pytest.raises(ValueError, match='does not say what it takes'):
        Translator(foreign)


@pytest.mark.parametrize('suffix', ['.onnx', '.xml', '.param', '.pt2', '.pt', '.pth'])
def test_half_a_file_is_refused_by_name(tmp_path, suffix):
    path = tmp_path / f'half{suffix}'
    path.write_bytes(b'PK\x03\x04 half')
    path.with_suffix('.bin').write_bytes(b'half')
    with pytest.raises(ValueError, match=f'half{suffix}'):
        Translator(path, trust=True)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which('ffmpeg'), reason='no ffmpeg')
def test_sound_is_copied(student, tmp_path):
    silent, source = make_video(tmp_path / 'silent.avi'), tmp_path / '-a.mp4'
    tone = ['-f', 'lavfi', '-i', 'sine=frequency=440:duration=1']
    run = ['ffmpeg', '-v', 'error', '-i', silent, *tone, '-c:v', 'copy', f'file:{source}']
    subprocess.run(run, check=True)

    def sound(path):
        show = ['ffprobe', '-v', 'error', '-show_entries', 'packet=size,data_hash']
        return subprocess.check_output(
            [*show, '-show_data_hash', 'md5', '-select_streams', 'a', f'file:{path}']
        )

    (result,) = Translator(student)(source, tmp_path / 'out')
    assert len(sound(source)) > 100 and sound(result) == sound(source)
    assert len(list(video.frames(Path(result)))) == len(list(video.frames(source)))
    (result,) = Translator(student)(silent, tmp_path / 'out')
    assert len(sound(result)) < 100
    assert {file.name for file in (tmp_path / 'out').iterdir()} == {'-a.mp4', 'silent.mp4'}


@pytest.mark.parametrize('kind', ['image', 'video'])
def test_tool(student, exported, tmp_path, monkeypatch, capsys, kind):
    if kind == 'image':
        source = tmp_path / 'a.png'
        photo(40, 24).save(source)
        told = f'1 picture(s) in {tmp_path}/out\n'
    else:
        source = make_video(tmp_path / 'a.avi')
        monkeypatch.setenv('PATH', str(tmp_path))  # no ffmpeg
        told = f'{tmp_path}/out/a.mp4, without sound, which ffmpeg would copy\n'
    args = [exported('onnx'), source, '--out', tmp_path / 'out', '--threads', 1, '--batch', 2]
    assert run_tool('translate', *args).stdout == told
    message = refused_by_tool('translate', *args[:4], '--domain', 'horse', monkeypatch=monkeypatch)
    assert "generates 'zebra'" in message


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_network_on_a_gpu(student):
    image = photo(40, 24)
    got = Translator(load_student(student).cuda())(image)[0]
    assert levels(got, translate(student, image)[0]) <= 1
