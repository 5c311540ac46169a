import numpy as np
import pytest
import torch
from PIL import Image

from mmgan_compress import Translator, load_student
from mmgan_compress.cli import main
from mmgan_compress.datasets import pictures
from mmgan_compress.deploy.export import export_student
from mmgan_compress.deploy.targets import Target
from mmgan_compress.inference.tiles import Tiles, _with_statistics
from students import make_student

TILE = 96


@pytest.fixture(scope='module')
def photo():
    small = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    return Image.fromarray(small).resize((300, 200))  # not in size multiples


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    def make(norm):
        path = tmp_path_factory.mktemp(norm) / 'student.pth'
        make_student(path, 'resnet', num_blocks=1, norm_cfg=dict(type=norm))
        return path

    return {norm: make(norm) for norm in ('IN', 'BN')}


def picture(translated):
    return np.asarray(translated[0]).astype(int)


def test_tiles_of_batch_norms_equal_the_whole(student, photo):
    whole = picture(Translator(student['BN'])(photo))
    tiled = picture(Translator(student['BN'], tile=TILE)(photo))
    assert whole.shape == (200, 300, 3)
    assert np.abs(whole - tiled).max() <= 1


def test_all_tiles_have_the_statistics_of_the_whole(student, photo):
    """No seam: the tiles are those of one pass with these statistics."""
    net = load_student(student['IN'])
    x = pictures.to_tensor(photo)[..., :200, :296]
    tiles = Tiles(net, TILE, 4, net)
    kept = []

    def frozen(net, small):
        kept.append(_with_statistics(net, small))
        return kept[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mmgan_compress.inference.tiles._with_statistics', frozen)
        tiled = tiles(x)
    torch.testing.assert_close(tiled, kept[0](x), atol=2e-4, rtol=0)
    assert not any(layer.track_running_stats for layer in net.modules() if hasattr(layer, 'eps'))


def test_no_pass_is_larger_than_a_tile(student, photo):
    net = load_student(student['BN'])
    sides = []

    def run(x):
        sides.append(max(x.shape[-2:]))
        return net(x)

    Tiles(torch.no_grad()(run), TILE, 4)(pictures.to_tensor(photo)[..., :200, :300])
    assert max(sides) <= TILE and len(sides) > 12


def test_larger_outputs_keep_their_scale():
    def enlarge(x):
        return torch.nn.functional.interpolate(x, scale_factor=4, mode='nearest')

    x = torch.rand(2, 3, 40, 56) * 2 - 1
    assert torch.equal(Tiles(enlarge, 16, 1)(x), enlarge(x))


def test_what_looks_at_the_whole_picture_is_refused(student, photo):
    net = torch.inference_mode()(load_student(student['IN']))
    with pytest.raises(ValueError, match='looks .* at the whole picture'):
        Tiles(net, TILE, 4)(pictures.to_tensor(photo)[..., :200, :300])


@pytest.mark.slow
def test_exports(student, photo, tmp_path, capsys):
    target = Target(dynamic=True, uint8=True)
    export_student(student['BN'], tmp_path / 'onnx', target, 64)
    whole = picture(Translator(tmp_path / 'onnx')(photo))
    assert np.abs(whole - picture(Translator(tmp_path / 'onnx', tile=TILE)(photo))).max() <= 1
    export_student(student['IN'], tmp_path / 'fixed', Target(), 64)
    photo.save(tmp_path / 'photo.png')
    command = ['translate', str(tmp_path / 'fixed'), str(tmp_path / 'photo.png')]
    assert main([*command, '--out', str(tmp_path / 'out'), '--tile', '96']) != 0
    assert 'one size' in capsys.readouterr().err
