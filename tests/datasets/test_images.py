"""One function reads images, for whatever they are used."""

import io
import shutil

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmgan_compress import Translator, load_student, translate
from mmgan_compress.datasets.images import check_images, read_image
from mmgan_compress.datasets.translation import UnpairedImages
from mmgan_compress.evaluation.reference import Reference
from students import make_student

SIDE = 64
RAMP = np.linspace(0, 2**16 - 1, SIDE * SIDE).reshape(SIDE, SIDE)


def colours(mode='RGB') -> Image.Image:
    draw = np.random.default_rng(0)
    small = Image.fromarray(draw.integers(0, 256, (6, 6, 3), np.uint8))
    return small.resize((SIDE, SIDE)).convert(mode)


def lab() -> Image.Image:
    values = np.random.default_rng(1).integers(0, 256, (6, 6, 3), np.uint8)
    small = Image.merge('LAB', [Image.fromarray(v) for v in values.transpose(2, 0, 1)])
    return small.resize((SIDE, SIDE), Image.Resampling.NEAREST)


def turned() -> tuple[Image.Image, dict]:
    exif = Image.Exif()
    exif[0x0112] = 6
    return colours(), dict(exif=exif)


KINDS = {
    'rgb.png': colours,
    'grey.png': lambda: colours('L'),
    'deep.png': lambda: Image.fromarray(RAMP.astype(np.uint16)),
    'palette.png': lambda: colours().quantize(32),
    'la.png': lambda: colours('LA'),
    'rgba.png': lambda: colours('RGBA'),
    'bilevel.png': lambda: colours('1'),
    'cmyk.jpg': lambda: colours('CMYK'),
    'lab.tif': lab,
    'turned.jpg': turned,
    'turned_deep.png': lambda: (Image.fromarray(RAMP.astype(np.uint16)), turned()[1]),
}


def write(path, name):
    image = KINDS[name]()
    image, options = image if isinstance(image, tuple) else (image, {})
    image.save(path / name, **options)
    return str(path / name)


@pytest.fixture(scope='module')
def students(tmp_path_factory):
    folder = tmp_path_factory.mktemp('students')
    nets = {}
    for channels in (1, 3, 4):
        make_student(folder / f'{channels}.pth', in_channels=channels, out_channels=channels)
        nets[channels] = load_student(folder / f'{channels}.pth')
    return nets


def as_tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.atleast_3d(np.array(image))).permute(2, 0, 1)


@pytest.mark.parametrize('channels', [1, 3, 4])
@pytest.mark.parametrize('name', KINDS)
def test_training_scoring_and_translating_see_the_same(students, tmp_path, name, channels):
    for side in 'AB':
        (tmp_path / f'train{side}').mkdir()
        file = write(tmp_path / f'train{side}', name)
        shutil.copy(file, tmp_path / f'train{side}/same{name}')
    trained = UnpairedImages(
        str(tmp_path), ['a', 'b'], size=SIDE, flip=False, channels=dict(a=channels, b=channels)
    )[0]['inputs']['img_a']
    seen = []
    net = students[channels]
    handle = net.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    translate(net, file)
    handle.remove()
    assert trained.shape == (channels, SIDE, SIDE)
    assert torch.equal((trained.float()[None] - 127.5) / 127.5, seen[0])
    scored = Reference(str(tmp_path), 'B', 'train', size=SIDE, channels=channels).load(file)
    opaque = trained[:3].expand(3, -1, -1)
    assert torch.equal(scored, opaque.float())
    assert torch.equal(as_tensor(read_image(file, channels)), trained)


def test_what_the_kinds_become(tmp_path):
    deep = read_image(write(tmp_path, 'deep.png'), 1)
    assert np.array_equal(np.array(deep), RAMP.astype(np.uint16) >> 8)
    upright = read_image(write(tmp_path, 'turned_deep.png'), 1)
    assert np.array_equal(np.array(upright), np.rot90(np.array(deep), -1))
    want = lab().convert('RGB')
    assert read_image(write(tmp_path, 'lab.tif')).tobytes() == want.tobytes()
    clear = Image.new('RGBA', (SIDE, SIDE), (0, 0, 0, 0))
    assert read_image(clear).getextrema() == ((255, 255),) * 3
    assert read_image(clear, 1).getextrema() == (255, 255)
    assert read_image(clear, 4).getextrema() == ((0, 0),) * 4
    # a PGM says its range: 4095 is white
    (tmp_path / 'a.ppm').write_bytes(b'P5 16 16 4095\n' + b'\x07\xff' * 256)
    assert read_image(tmp_path / 'a.ppm', 1).getextrema() == (127, 127)


def saved(image, kind, **options) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def encoded(suffix, array) -> bytes:
    done, data = cv2.imencode(suffix, array)
    assert done
    return data.tobytes()


CT = (RAMP / 32 - 1000).astype(np.int16)
TWELVE = (RAMP / 16).astype(np.uint16)
PAGES = dict(save_all=True, append_images=[colours('L').convert('RGB')] * 2)
REFUSED = {
    'ct.tiff': (lambda: encoded('.tiff', CT), 'holds signed integers'),
    'twelve.png': (lambda: encoded('.png', TWELVE), 'no value above 4095'),
    'twelve_rgb.png': (lambda: encoded('.png', np.dstack([TWELVE] * 3)), 'no value above 4095'),
    'twelve.tif': (lambda: encoded('.tif', TWELVE), 'no value above 4095'),
    'long.tif': (
        lambda: saved(Image.fromarray(RAMP.astype(np.int32)), 'TIFF'),
        'integers, whose range nothing',
    ),
    'float.tif': (
        lambda: saved(Image.fromarray(RAMP.astype(np.float32)), 'TIFF'),
        'holds floating-point values',
    ),
    'pages.tif': (lambda: saved(colours(), 'TIFF', **PAGES), 'holds 3 pictures'),
    'moving.webp': (lambda: saved(colours(), 'WEBP', **PAGES), 'holds [23] pictures'),
    'half.png': (lambda: saved(colours(), 'PNG')[:900], 'cannot be read'),
}


@pytest.mark.parametrize('name', REFUSED)
def test_what_cannot_be_read_rightly_is_refused_by_name(students, tmp_path, name):
    data, reason = REFUSED[name]
    (tmp_path / name).write_bytes(data())
    for trains in (True, False):
        with pytest.raises(ValueError, match=f'{name} .*{reason}') as error:
            check_images([str(tmp_path / name)], trains=trains)
        assert len(str(error.value).splitlines()) == 2  # and the head
    with pytest.raises(ValueError, match=f'{name} .*{reason}'):
        Translator(students[3])(tmp_path, tmp_path.parent / 'out')


def test_open_images_are_refused_as_files_are(students):
    for values, reason in (
        (RAMP.astype(np.int32), '32-bit integers'),
        (TWELVE, 'no value above 4095'),
        (CT.astype(np.float32), 'floating-point'),
    ):
        with pytest.raises(ValueError, match=f'the image .*{reason}'):
            translate(students[3], Image.fromarray(values))
    gif = Image.open(io.BytesIO(saved(colours(), 'GIF', **PAGES)))
    with pytest.raises(ValueError, match='pictures: save each as a file'):
        translate(students[3], gif)
    black = Image.fromarray(np.zeros((SIDE, SIDE), np.uint16))
    assert translate(students[1], black)[0].mode == 'L'


def test_transparent_images_are_learnt_with_four_channels(tmp_path):
    image = colours('RGBA')
    image.putalpha(colours('L'))
    for side in 'AB':
        (tmp_path / f'train{side}').mkdir()
        image.save(tmp_path / f'train{side}/a.png')
    args = [str(tmp_path), ['a', 'b']]
    for channels in (None, dict(a=4, b=3)):
        with pytest.raises(ValueError, match='4 channels: --cfg-options'):
            UnpairedImages(*args, size=SIDE, channels=channels)
    data = UnpairedImages(*args, size=SIDE, flip=False, channels=dict(a=4, b=4))
    assert torch.equal(data[0]['inputs']['img_a'], as_tensor(image))


def test_size_is_that_of_the_upright_image(tmp_path):
    exif = turned()[1]['exif']
    Image.new('RGB', (64, 33)).save(tmp_path / 'pair.jpg', exif=exif)
    with pytest.raises(ValueError, match='is 33x64: a pair is two images'):
        check_images([str(tmp_path / 'pair.jpg')], paired=True)


def test_a_file_that_would_fill_the_memory_is_refused_in_one_line(tmp_path, monkeypatch):
    colours().save(tmp_path / 'large.png')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', SIDE)
    with pytest.raises(ValueError, match='large.png cannot be read .Image size .*exceeds limit'):
        check_images([str(tmp_path / 'large.png')], trains=False)
