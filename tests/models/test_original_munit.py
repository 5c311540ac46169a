"""Published checkpoints of MUNIT: two auto-encoders become a translation."""

import torch

from golden import build, load_npz
from mmgan_compress.models.original import convert_original
from munit_golden import TINY, assembled, image, normal


@torch.no_grad()
def test_two_auto_encoders_are_assembled(tmp_path):
    """A's content encoder, all else of B's: the other way round it is another network."""
    for side in 'AB':
        torch.save(load_npz('munit', f'orig/G_{side}/'), tmp_path / f'latest_net_G_{side}.pth')
    small = dict(TINY, base_channels=2)
    recipe = tmp_path / 'recipe.py'
    recipe.write_text(f'model = dict(generator={small})')
    a, b, out = (
        str(tmp_path / f'{name}.pth') for name in ('latest_net_G_A', 'latest_net_G_B', 'G')
    )
    convert_original(a, out, str(recipe), rest=b)
    net, want = build(**small), assembled(build(**small), 'orig/G_A', 'orig/G_B')
    net.load_state_dict(torch.load(out))
    picture, style = image(410), normal(412, (2, 8))
    assert torch.equal(net.paint(picture, style), want.paint(picture, style))
    assert torch.equal(net.style_of(picture), want.style_of(picture))
    other = assembled(build(**small), 'orig/G_B', 'orig/G_A')
    assert not torch.allclose(net.paint(picture, style), other.paint(picture, style), atol=1e-3)
