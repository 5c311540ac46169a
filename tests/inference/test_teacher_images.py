"""A folder of a teacher's images: made by a tool, loaded with its sources."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmgan_compress.datasets import pictures
from mmgan_compress.datasets.images import read_image
from mmgan_compress.datasets.translation import PairedImages, PositionSampler, UnpairedImages
from mmgan_compress.inference.teacher_images import make_teacher_images
from onnx_files import write_onnx
from students import expected, make_student, refused_by_tool, run_tool
from toy import write_images

HERE = 'test_teacher_images'
TOOL = 'make_teacher_images'


def invert(x):
    return -x


def half(x):
    return x / 2


def too_bright(x):
    return x + 5


@pytest.fixture
def unpaired(tmp_path):
    """trainA has one image in a sub-folder, and one is no PNG."""
    root = tmp_path / 'unpaired'
    write_images(root, {'trainA': 4, 'trainB': 6, 'testA': 2, 'testB': 2})
    (root / 'trainA/more').mkdir()
    (root / 'trainA/3.png').rename(root / 'trainA/more/3.png')
    with Image.open(root / 'trainA/2.png') as image:
        image.save(root / 'trainA/2.bmp')
    (root / 'trainA/2.png').unlink()
    return root


@pytest.fixture
def paired(tmp_path):
    root = tmp_path / 'paired'
    write_images(root, {'train': 4, 'test': 2}, paired=True)
    return root


def invert_by_hand(root, folder, out, box=None):
    """Write inverted images without any code of the package."""
    for file in sorted((root / folder).rglob('*.*')):
        with Image.open(file) as image:
            array = 255 - np.asarray(image.crop(box) if box else image)
        target = out / file.relative_to(root / folder).with_suffix('.png')
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(target)
    return str(out)


def resized(file):
    with Image.open(file) as image:
        return np.asarray(image.resize((256, 256), Image.BICUBIC)).astype(int)


def draws(data, count=24, seed=3):
    PositionSampler(data, seed)
    return [data[position] for position in range(count)]


def assert_inverted(source, teacher):
    """Both passes of the interpolation round, by a half at most."""
    assert (source.int() + teacher.int() - 255).abs().max() <= 2
    assert source.float().std() > 5


def assert_augmented(items, key):
    """Check that crops and flips differ from draw to draw."""
    by_path = {}
    for item in items:
        path = item['data_samples'].metainfo[f'{key}_path']
        by_path.setdefault(path, []).append(item['inputs'][key])
    assert any(len({x.numpy().tobytes() for x in group}) > 2 for group in by_path.values())


@pytest.mark.parametrize('load_size', [32, 44])
def test_unpaired_images_move_with_their_source(unpaired, tmp_path, load_size):
    folders = {
        'b': invert_by_hand(unpaired, 'trainA', tmp_path / 'made_b'),
        'a': invert_by_hand(unpaired, 'trainB', tmp_path / 'made_a'),
    }
    items = draws(
        UnpairedImages(unpaired, ('a', 'b'), size=32, load_size=load_size, teacher_images=folders)
    )
    for item in items:
        inputs = item['inputs']
        assert set(inputs) == {'img_a', 'img_b', 'img_teacher_a', 'img_teacher_b'}
        assert all(x.shape == (3, 32, 32) for x in inputs.values())
        assert_inverted(inputs['img_a'], inputs['img_teacher_b'])
        assert_inverted(inputs['img_b'], inputs['img_teacher_a'])
        facts = item['data_samples'].metainfo
        assert Path(facts['img_teacher_b_path']).stem == Path(facts['img_a_path']).stem
    if load_size > 32:
        assert_augmented(items, 'img_teacher_b')


def test_pairs_move_with_their_teacher(paired, tmp_path):
    folder = invert_by_hand(paired, 'train', tmp_path / 'made', box=(32, 0, 64, 32))  # of side B
    items = draws(
        PairedImages(paired, ('a', 'b'), size=32, load_size=44, teacher_images={'a': folder})
    )
    for item in items:
        assert_inverted(item['inputs']['img_b'], item['inputs']['img_teacher_a'])
    assert_augmented(items, 'img_teacher_a')


@pytest.mark.parametrize('kind', ['unpaired', 'paired'])
def test_draws_are_those_without_a_teacher(kind, request, tmp_path):
    """And a position tells a draw, whatever was drawn before."""
    root = request.getfixturevalue(kind)
    paired = kind == 'paired'
    dataset = PairedImages if paired else UnpairedImages
    folder = invert_by_hand(
        root, 'train' if paired else 'trainA', tmp_path / 'made', (0, 0, 32, 32)
    )
    sizes = dict(domains=('a', 'b'), size=32, load_size=44)
    plain = draws(dataset(root, **sizes))
    data = dataset(root, teacher_images={'b': folder}, **sizes)
    taught = draws(data)
    for one, two in zip(plain, taught):
        for key in ('img_a', 'img_b'):
            assert torch.equal(one['inputs'][key], two['inputs'][key])
    resumed = [data[position]['inputs'] for position in range(17, 24)]
    for one, two in zip(taught[17:], resumed):
        assert torch.equal(one['inputs']['img_teacher_b'], two['img_teacher_b'])


def test_a_teacher_image_of_another_size_is_resized(unpaired, tmp_path):
    out = tmp_path / 'made'
    for name in ('0', '1', '2', 'more/3'):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (100, 60), 'red').save(out / f'{name}.jpg')
    data = UnpairedImages(
        unpaired, ('a', 'b'), size=32, load_size=36, teacher_images={'b': str(out)}
    )
    assert data[0]['inputs']['img_teacher_b'].shape == (3, 32, 32)


def test_val_and_test_need_no_teacher(unpaired):
    for split in ('val', 'test'):
        data = UnpairedImages(
            unpaired, ('a', 'b'), split, size=32, teacher_images={'b': 'not there'}
        )
        assert set(data[0]['inputs']) == {'img_a', 'img_b'}


def test_missing_teacher_images_are_refused(unpaired, paired, tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        UnpairedImages(unpaired, ('a', 'b'), size=32, teacher_images={'b': 'gone'})
    assert '4 of 4 training images' in str(error.value)
    assert f'TEACHER {unpaired}/trainA --out gone' in str(error.value)
    folder = invert_by_hand(unpaired, 'trainA', tmp_path / 'made')
    (tmp_path / 'made/1.png').unlink()
    with pytest.raises(FileNotFoundError, match='1 of 4 .*first is .*/1.png'):
        UnpairedImages(unpaired, ('a', 'b'), size=32, teacher_images={'b': folder})
    with pytest.raises(FileNotFoundError, match='--paired-side B'):
        PairedImages(paired, ('a', 'b'), size=32, teacher_images={'a': 'gone'})


def test_unusable_teacher_images_are_refused(unpaired, tmp_path):
    folder = invert_by_hand(unpaired, 'trainA', tmp_path / 'made')
    options = dict(domains=('a', 'b'), size=32)
    with pytest.raises(ValueError, match=r"'c'; known are \['a', 'b'\]"):
        UnpairedImages(unpaired, teacher_images={'c': folder}, **options)
    Image.new('RGB', (32, 32)).save(tmp_path / 'made/1.bmp')
    with pytest.raises(ValueError, match='1.bmp .*have the same name'):
        UnpairedImages(unpaired, teacher_images={'b': folder}, **options)
    (tmp_path / 'made/1.bmp').unlink()
    (tmp_path / 'made/0.png').write_text('no image')
    with pytest.raises(ValueError, match='0.png cannot be read'):
        UnpairedImages(unpaired, teacher_images={'b': folder}, **options)


def test_images_out_of_use_need_no_teacher(unpaired, tmp_path):
    folder = invert_by_hand(unpaired, 'trainA', tmp_path / 'made')
    (tmp_path / 'made/1.png').unlink()
    data = UnpairedImages(
        unpaired, ('a', 'b'), size=32, max_images=2, teacher_images={'b': folder}
    )  # 0 and more/3
    assert [Path(file).stem for file in data.files[0]] == ['0', '3']


# --- making them ---------------------------------------------------------
def test_what_is_made_is_what_is_loaded(unpaired, tmp_path):
    """At the size of the data set nothing is resized twice."""
    out = tmp_path / 'made'
    files = make_teacher_images(f'{HERE}:invert', unpaired / 'trainA', out, size=36)
    assert [Path(f).relative_to(out).as_posix() for f in files] == [
        '0.png',
        '1.png',
        '2.png',
        'more/3.png',
    ]
    for item in draws(
        UnpairedImages(unpaired, ('a', 'b'), size=32, load_size=36, teacher_images={'b': str(out)})
    ):
        source, teacher = (item['inputs'][key] for key in ('img_a', 'img_teacher_b'))
        assert torch.equal(teacher.int(), 255 - source.int())


@pytest.mark.parametrize('side,domain', [('A', 'b'), ('B', 'a')])
def test_a_side_of_pairs(paired, tmp_path, side, domain):
    out = tmp_path / 'made'
    make_teacher_images(f'{HERE}:invert', paired / 'train', out, size=40, paired_side=side)
    for item in draws(
        PairedImages(paired, ('a', 'b'), size=32, load_size=40, teacher_images={domain: str(out)})
    ):
        source = item['inputs'][f'img_{side.lower()}']
        teacher = item['inputs'][f'img_teacher_{domain}']
        assert torch.equal(teacher.int(), 255 - source.int())


def test_the_tool_runs_a_student(unpaired, tmp_path):
    model = make_student(tmp_path / 'student.pth')
    folder = unpaired / 'trainB'
    done = run_tool(
        TOOL, tmp_path / 'student.pth', folder, '--out', tmp_path / 'made', '--size', 32
    )
    assert done.returncode == 0, done.stderr
    assert f'6 image(s) in {tmp_path / "made"}' in done.stdout
    for file in sorted(folder.iterdir()):  # they are 32 pixels wide
        x = pictures.to_tensor(read_image(file))
        with Image.open(tmp_path / 'made' / file.name) as image:
            assert np.array_equal(image, pictures.to_picture(expected(model, x)))


def test_sizes(unpaired, tmp_path):
    """A teacher's own size is the default, else that of the recipes."""
    make_student(tmp_path / 'student.pth')  # of 64 pixels
    fixed, free = (
        write_onnx(tmp_path / f'{shape[2]}.onnx', shape=shape, outputs=1)
        for shape in ((1, 3, 48, 48), (1, 3, 'h', 'w'))
    )
    for teacher, size in (
        (str(tmp_path / 'student.pth'), 64),
        (fixed, 48),
        (free, 256),
        (f'{HERE}:half', 256),
    ):
        out = tmp_path / f'made_by_{Path(teacher).stem}'
        file, *_ = make_teacher_images(teacher, unpaired / 'testA', out)
        with Image.open(file) as image:
            assert image.size == (size, size)
            if size == 256:  # the two teachers do the same
                made = np.array(image).astype(int)
                assert np.abs(2 * made - resized(unpaired / 'testA/0.png') - 127.5).max() <= 1.5


def test_the_tool_refuses(unpaired, paired, tmp_path, monkeypatch):
    make_student(tmp_path / 'student.pth')

    def refused(teacher, folder, out, *options):
        return refused_by_tool(
            TOOL, teacher, folder, '--out', out, *options, monkeypatch=monkeypatch
        )

    source, new = unpaired / 'testA', tmp_path / 'new'
    assert 'is no empty folder' in refused(f'{HERE}:invert', source, paired)
    assert 'lies in the folder' in refused(f'{HERE}:invert', source, source / 'made')
    assert 'no student file' in refused(tmp_path / 'none.pth', source, new)
    assert 'no ONNX file' in refused(tmp_path / 'none.onnx', source, new)
    assert 'only a student file has domains' in refused(
        f'{HERE}:invert', source, new, '--domain', 'zebra'
    )
    assert "no generator for 'cat'" in refused(
        tmp_path / 'student.pth', source, new, '--domain', 'cat'
    )
    assert 'no image' in refused(f'{HERE}:invert', unpaired / 'none', new)
    assert 'values in [' in refused(f'{HERE}:too_bright', source, new)
    Image.new('RGB', (65, 32)).save(paired / 'train/odd.png')
    assert 'odd.png is 65x32: a pair' in refused(
        f'{HERE}:invert', paired / 'train', tmp_path / 'other', '--paired-side', 'A'
    )
    assert not (tmp_path / 'other').exists()
