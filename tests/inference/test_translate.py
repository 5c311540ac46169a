"""Pictures in, pictures out: sizes, kinds of images, files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmgan_compress import load_student, translate
from mmgan_compress.datasets import pictures
from students import make_student, refused_by_tool, run_tool


@pytest.fixture(scope='module')
def students(tmp_path_factory):
    folder = tmp_path_factory.mktemp('students')
    for kind in ('resnet', 'unet'):
        make_student(folder / f'{kind}.pth', kind)
    return {kind: folder / f'{kind}.pth' for kind in ('resnet', 'unet')}


@pytest.fixture(scope='module')
def resnet(students):
    return load_student(students['resnet'])


def picture(width=40, height=24, mode='RGB', seed=0):
    draw = np.random.default_rng(seed)
    small = draw.integers(0, 256, (6, 6, 4), np.uint8)
    image = Image.fromarray(small, 'RGBA').resize((width, height))
    return image.convert(mode)


def pixels(image):
    return np.array(image).astype(int)


@pytest.mark.parametrize('kind', ['resnet', 'unet'])
@pytest.mark.parametrize('size', [(64, 64), (64, 128), (61, 47), (17, 200), (5, 9)])
def test_any_size(students, kind, size):
    net = load_student(students[kind])
    image = picture(*size)
    (result,) = translate(net, image)
    assert result.size == size and result.mode == 'RGB'
    assert pixels(result).std() > 1
    if size[1] in (64, 128):  # fits both networks: untouched by any resizing
        with torch.no_grad():
            y = net(pictures.to_tensor(image))
        assert np.array_equal(pixels(result), pixels(pictures.to_picture(y)))


def test_resnet_sees_a_mirrored_edge(resnet):
    seen = []
    hook = resnet.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    image = picture(63, 62)
    (result,) = translate(resnet, image)
    hook.remove()
    mirrored = np.pad(np.array(image), ((0, 2), (0, 1), (0, 0)), 'reflect')
    x = pictures.to_tensor(Image.fromarray(mirrored))
    assert torch.equal(seen[0], x)
    with torch.no_grad():
        whole = pictures.to_picture(resnet(x))
    assert np.array_equal(pixels(result), pixels(whole)[:62, :63])


def test_unet_sees_the_training_size(students):
    seen = []
    net = load_student(students['unet'])
    net.register_forward_pre_hook(lambda _, x: seen.append(x[0].shape[-2:]))
    translate(net, [picture(50, 70), picture(128, 64)])
    assert seen == [(64, 64), (64, 128)]


def test_kinds_of_images(resnet, tmp_path):
    grey = picture(mode='L')
    same = Image.merge('RGB', [grey] * 3)
    clear = picture(mode='RGBA')
    clear.putalpha(0)
    deep = Image.fromarray(np.array(grey).astype(np.uint16) * 256)
    deep.save(tmp_path / 'deep.png')
    turned = picture().rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a turn by 90 degrees clockwise
    turned.save(tmp_path / 'turned.png', exif=exif)
    clear.save(tmp_path / 'clear.png')
    results = translate(
        resnet,
        [
            grey,
            same,
            tmp_path / 'clear.png',
            Image.new('RGB', clear.size, 'white'),
            tmp_path / 'deep.png',
            tmp_path / 'turned.png',
            picture(),
            clear,
            picture().quantize(),
            picture().convert('CMYK'),
        ],
    )
    values = [pixels(result) for result in results]
    assert np.array_equal(values[0], values[1])
    assert np.array_equal(values[2], values[3])
    assert np.array_equal(values[0], values[4])
    assert np.array_equal(values[5], values[6])
    assert np.array_equal(values[7], values[3])
    assert all(value.shape == (24, 40, 3) for value in values)


def test_small_files_are_resized_and_floats_refused(resnet, tmp_path):
    picture(12, 10).save(tmp_path / 'small.png')
    (result,) = translate(resnet, tmp_path / 'small.png')
    assert result.size == (12, 10)
    Image.fromarray(np.ones((24, 40), np.float32)).save(tmp_path / 'f.tiff')
    with pytest.raises(ValueError, match='floating-point values'):
        translate(resnet, tmp_path / 'f.tiff')


def test_folder_keeps_names_and_inputs(students, tmp_path):
    source, out = tmp_path / 'in', tmp_path / 'new' / 'out'
    (source / 'sub').mkdir(parents=True)
    picture(seed=1).save(source / 'a.b.jpg')
    picture(seed=2).save(source / 'sub' / 'c.png')
    (source / 'notes.txt').write_text('no image')
    before = {p: p.read_bytes() for p in source.rglob('*.*')}
    paths = translate(students['resnet'], source, out)
    assert paths == [str(out / 'a.b.png'), str(out / 'sub' / 'c.png')]
    expected = translate(students['resnet'], str(source))
    for path, result in zip(paths, expected):
        assert np.array_equal(pixels(Image.open(path)), pixels(result))
    Path(paths[0]).write_bytes(b'mine')
    with pytest.raises(FileExistsError, match='a.b.png exists .* 1 more'):
        translate(students['resnet'], source, out)
    assert Path(paths[0]).read_bytes() == b'mine'
    assert translate(students['resnet'], source, out, overwrite=True) == paths
    assert np.array_equal(pixels(Image.open(paths[0])), pixels(expected[0]))
    assert before == {p: p.read_bytes() for p in source.rglob('*.*')}


def test_inputs_are_never_replaced(students, tmp_path):
    source = tmp_path / 'in'
    source.mkdir()
    picture().save(source / 'a.png')
    for out in (source, source / 'out', tmp_path / 'x' / '..' / 'in'):
        with pytest.raises(ValueError, match='in the folder of the inputs'):
            translate(students['resnet'], source, out)
    with pytest.raises(ValueError, match='is the input'):
        translate(students['resnet'], source / 'a.png', source, overwrite=True)
    picture().save(source / 'a.jpg')
    with pytest.raises(ValueError, match='would both become'):
        translate(students['resnet'], source, tmp_path / 'out')
    assert sorted(p.name for p in tmp_path.rglob('*')) == ['a.jpg', 'a.png', 'in']


def test_bad_inputs(students, tmp_path):
    with pytest.raises(FileNotFoundError, match='no images in'):
        translate(students['resnet'], tmp_path)
    with pytest.raises(FileNotFoundError, match='no image at'):
        translate(students['resnet'], tmp_path / 'x.png')
    with pytest.raises(TypeError, match='got a int'):
        translate(students['resnet'], 3)
    with pytest.raises(ValueError, match='at least one'):
        translate(students['resnet'], [])
    picture().save(tmp_path / 'a.png')
    (tmp_path / 'broken.png').write_bytes(b'\x89PNG half')
    with pytest.raises(ValueError, match='broken.png cannot be read'):
        translate(students['resnet'], tmp_path, tmp_path.parent / 'out')
    assert not (tmp_path.parent / 'out').exists()


def test_tool(students, tmp_path, monkeypatch):
    picture().save(tmp_path / 'a.png')
    args = [tmp_path / 'a.png', '--out', tmp_path / 'out']
    done = run_tool('translate', students['resnet'], *args)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f'1 picture(s) in {tmp_path}/out\n'
    assert Image.open(tmp_path / 'out' / 'a.png').size == (40, 24)
    message = refused_by_tool('translate', students['resnet'], *args, monkeypatch=monkeypatch)
    assert 'exists already' in message
    (tmp_path / 'a.pth').write_bytes((tmp_path / 'a.png').read_bytes())
    message = refused_by_tool('translate', tmp_path / 'a.pth', *args, monkeypatch=monkeypatch)
    assert 'is no student file' in message
