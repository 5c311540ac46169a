"""Data sets by name and the demo data."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archives import image_bytes, make_tar, make_zip
from mmgan_compress.datasets.fetch import sha256_of
from mmgan_compress.datasets.layout import DataError, split_of
from mmgan_compress.datasets.prepare import prepare_data
from projects.demo_data.emoji import draw_edges

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / 'mmgan_compress' / 'datasets' / 'demo'


def test_horse2zebra_from_archive(tmp_path):
    files = {
        f'horse2zebra/{folder}/n{i}.jpg': image_bytes(form='JPEG')
        for folder in ('trainA', 'trainB', 'testA', 'testB')
        for i in range(2)
    }
    files['__MACOSX/horse2zebra/trainA/._n0.jpg'] = b'junk'
    files['horse2zebra/trainA/.DS_Store'] = b'junk'
    archive = make_zip(tmp_path / 'h.zip', files)
    out = tmp_path / 'data'
    made = prepare_data('horse2zebra', out, archives=[archive])
    assert made['counts'] == dict(testA=2, testB=2, trainA=2, trainB=2)
    name = 'trainA/n1.jpg'
    assert (out / name).read_bytes() == files[f'horse2zebra/{name}']
    on_disk = json.loads((out / '.prepared.json').read_text())
    assert on_disk == made
    assert made['sources'] == {'h.zip': sha256_of(archive)}
    assert 'research' in made['licence']
    assert sorted(p.name for p in tmp_path.iterdir()) == ['data', 'h.zip']


def test_second_call_does_nothing(tmp_path, capsys):
    archive = make_zip(tmp_path / 'h.zip', {'h/trainA/1.png': image_bytes()})
    out = tmp_path / 'data'
    made = prepare_data('horse2zebra', out, archives=[archive])
    archive.unlink()
    assert prepare_data('horse2zebra', out) == made
    assert 'already prepared' in capsys.readouterr().out
    with pytest.raises(DataError, match='size None, asked was.* size 8'):
        prepare_data('horse2zebra', out, size=8)
    (out / 'trainA' / '1.png').unlink()
    with pytest.raises(DataError, match='incomplete'):
        prepare_data('horse2zebra', out)


def test_facades_from_archive(tmp_path):
    files = {
        f'facades/{split}/{i}.jpg': image_bytes((16, 8), form='JPEG')
        for split in ('train', 'val', 'test')
        for i in (1, 2, 3)
    }
    archive = make_tar(tmp_path / 'f.tar.gz', files)
    made = prepare_data('facades', tmp_path / 'a', archives=[archive])
    assert made['counts'] == dict(test=3, train=3, val=3)
    prepare_data('facades', tmp_path / 'b', size=4, archives=[archive])
    with Image.open(tmp_path / 'b' / 'val' / '1.jpg') as image:
        assert image.size == (8, 4)


def street(color):
    """A fine pattern of a color and black, 96x48."""
    on = np.random.default_rng(0).random((48, 96, 1)) < 0.5
    return Image.fromarray((on * np.array(color)).astype(np.uint8))


def cityscapes_archives(folder, stems=('a_1', 'b_2')):
    photos, labels = {}, {}
    for stem in stems:
        place = f'train/{stem[0]}/{stem}'
        for files, name, color in (
            (photos, f'leftImg8bit/{place}_leftImg8bit.png', (0, 0, 255)),
            (labels, f'gtFine/{place}_gtFine_color.png', (255, 0, 0)),
        ):
            stream = io.BytesIO()
            street(color).save(stream, 'PNG')
            files[name] = stream.getvalue()
        labels[f'gtFine/{place}_gtFine_labelIds.png'] = b'not wanted'
    return [
        make_zip(folder / 'leftImg8bit_trainvaltest.zip', photos),
        make_zip(folder / 'gtFine_trainvaltest.zip', labels),
    ]


def test_cityscapes_pairs(tmp_path):
    """As prepare_cityscapes_dataset.py of pytorch-CycleGAN-and-pix2pix:
    PIL's default filter, for labels too, and JPEG of quality 100."""
    archives = cityscapes_archives(tmp_path)
    out = tmp_path / 'data'
    made = prepare_data('cityscapes', out, size=16, archives=archives)
    assert made['counts'] == {'train': 2}
    pair = Image.new('RGB', (32, 16))
    pair.paste(street((0, 0, 255)).resize((16, 16)), (0, 0))
    pair.paste(street((255, 0, 0)).resize((16, 16)), (16, 0))
    stream = io.BytesIO()
    pair.save(stream, 'JPEG', quality=100, subsampling=0)
    assert (out / 'train/a_1.jpg').read_bytes() == stream.getvalue()
    with pytest.raises(DataError, match='a_1 has a photograph but no label'):
        prepare_data('cityscapes', tmp_path / 'b', archives=archives[:1])
    assert not (tmp_path / 'b').exists()
    with pytest.raises(DataError, match='cityscapes-dataset.com'):
        prepare_data('cityscapes', tmp_path / 'b')


def emoji_archive(folder, kind, files):
    return make_tar(folder / f'{kind}.tgz', {f'package/assets/{k}': v for k, v in files.items()})


def test_edges2emoji_from_archive(tmp_path):
    red, blue = (image_bytes((256, 256), color, 'WEBP', lossless=True) for color in ('red', 'blue'))
    archive = emoji_archive(
        tmp_path, '3d', {'1f600.webp': red, '1f600-1f3fb.webp': blue, '1f601.webp': red}
    )
    out = tmp_path / 'data'
    made = prepare_data('edges2emoji', out, size=32, archives=[archive])
    # one is a repetition; skin tones share the split of their base
    assert made['counts'] == {split_of('1f600'): 2}
    with Image.open(out / split_of('1f600') / '1f600-1f3fb.png') as pair:
        assert pair.size == (64, 32)
        assert pair.getpixel((5, 5)) == (255, 255, 255)
        assert pair.getpixel((40, 5)) == (0, 0, 255)


def test_flat2emoji_from_archives(tmp_path):
    pytest.importorskip('resvg_py')
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
        '<rect x="8" y="8" width="16" height="16" fill="#f00"/></svg>'
    )
    webp = image_bytes((256, 256), 'red', 'WEBP', lossless=True)
    flat = emoji_archive(
        tmp_path, 'flat', {'1f600.svg': svg.encode(), 'only-flat.svg': svg.encode()}
    )
    solid = emoji_archive(tmp_path, '3d', {'1f600.webp': webp})
    out = tmp_path / 'data'
    made = prepare_data('flat2emoji', out, size=32, archives=[solid, flat])
    split = split_of('1f600')
    assert made['counts'] == {f'{split}A': 1, f'{split}B': 1}
    with Image.open(out / f'{split}A' / '1f600.png') as image:
        assert image.getpixel((0, 0)) == (255, 255, 255)
        assert image.getpixel((16, 16)) == (255, 0, 0)
    with pytest.raises(DataError, match='No .svg file'):
        prepare_data('flat2emoji', tmp_path / 'b', archives=[solid])


def test_elpv_from_archive(tmp_path):
    rows = ''.join(
        f'images/c{i}.png  0.0  {kind}\n' for i, kind in enumerate(['mono', 'poly'] * 20)
    )
    files = {'elpv_dataset/data/labels.csv': rows.encode()}
    for i in range(40):
        files[f'elpv_dataset/data/images/c{i}.png'] = image_bytes((30, 30))
    archive = make_zip(tmp_path / 'elpv.whl', files)
    counts = prepare_data('elpv', tmp_path / 'data', size=8, archives=[archive])['counts']
    assert sum(counts[k] for k in counts if k.endswith('A')) == 20
    assert sum(counts[k] for k in counts if k.endswith('B')) == 20


def test_edges_stay_dark_at_every_size():
    pixels = np.full((256, 256, 3), 255, np.uint8)
    pixels[64:192, 64:192] = 200, 30, 30
    image = Image.fromarray(pixels)
    for size in (256, 128, 64):
        drawing = np.asarray(draw_edges(image, size))
        assert drawing.shape == (size, size, 3)
        assert drawing[:, size // 2].min() < 128
        assert drawing[size // 2, size // 2].min() == 255


def test_bad_requests_are_refused(tmp_path):
    with pytest.raises(DataError, match='horse2zebra'):
        prepare_data('horse2zebr', tmp_path / 'a')
    with pytest.raises(DataError, match='does not exist'):
        prepare_data('maps', tmp_path / 'a', archives=[tmp_path / 'no.zip'])
    archive = make_zip(tmp_path / 'x.zip', {'readme.txt': b'x'})
    with pytest.raises(DataError, match='no folder train/'):
        prepare_data('maps', tmp_path / 'a', archives=[archive])
    (tmp_path / 'used').mkdir()
    (tmp_path / 'used' / 'mine.txt').write_text('keep')
    with pytest.raises(DataError, match='not empty'):
        prepare_data('maps', tmp_path / 'used', archives=[archive])
    assert (tmp_path / 'used' / 'mine.txt').read_text() == 'keep'


def test_truncated_archive_is_named(tmp_path):
    noise = np.random.default_rng(0).bytes(100000)
    archive = make_tar(tmp_path / 'f.tgz', {'facades/train/1.jpg': noise})
    archive.write_bytes(archive.read_bytes()[:50000])
    with pytest.raises(DataError, match=r'damaged.*f\.tgz'):
        prepare_data('facades', tmp_path / 'a', archives=[archive])


def test_demo_data():
    counts = dict(train=90, val=16, test=32)
    for split, count in counts.items():
        names = {
            folder: sorted(p.name for p in (DEMO / folder).glob('*.png'))
            for folder in (f'flat2emoji/{split}A', f'flat2emoji/{split}B', f'edges2emoji/{split}')
        }
        first, *others = names.values()
        assert len(first) == count and all(o == first for o in others)
        for folder, width in zip(names, (64, 64, 128)):
            for name in first:
                with Image.open(DEMO / folder / name) as image:
                    assert image.size == (width, 64)
                    assert image.mode == 'RGB'
                # a demo test image is no training image of the full set
                assert split_of(name[:-4].replace('-fe0f', '')) == split
    faces = sorted((DEMO / 'faces/train').iterdir())
    assert len(faces) == 99
    for file in faces:
        with Image.open(file) as image:
            assert image.size == (64, 64) and image.mode == 'RGB'
    assert sum(p.stat().st_size for p in DEMO.rglob('*.png')) <= 2_700_000
    assert 'MIT' in (DEMO / 'LICENSE.md').read_text()


@pytest.mark.slow
def test_edges2emoji_is_really_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv('MMGAN_COMPRESS_HOME', str(tmp_path / 'home'))
    command = [
        sys.executable,
        'tools/prepare_data.py',
        'edges2emoji',
        '--import',
        'projects.demo_data.emoji',
        '--size',
        '64',
        '--out',
        str(tmp_path / 'data'),
    ]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert 'train: 2717 images' in done.stdout
    assert 'MIT' in done.stdout
    name = sorted((DEMO / 'edges2emoji' / 'test').iterdir())[0]
    with Image.open(name) as demo, Image.open(tmp_path / 'data' / 'test' / name.name) as full:
        assert demo.tobytes() == full.tobytes()
