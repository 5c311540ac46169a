"""What an export leaves in its folder, and what it leaves alone."""

import pytest

from mmgan_compress.deploy.export import export_student
from mmgan_compress.deploy.targets import Target
from mmgan_compress.deploy.verify import ParityError
from students import make_student


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    path = tmp_path_factory.mktemp('student') / 'unet.pth'
    make_student(path, 'unet')
    return path


def test_another_runtime_in_the_same_folder(student, tmp_path):
    export_student(student, tmp_path, images=[])
    with pytest.raises(FileExistsError, match='another runtime'):
        export_student(student, tmp_path, Target('torchscript'), images=[])
    export_student(student, tmp_path, images=[])
    (tmp_path / 'end2end.onnx').write_bytes(b'mine now')
    with pytest.raises(FileExistsError, match='changed since'):
        export_student(student, tmp_path, images=[])


def test_what_a_failed_export_leaves(student, tmp_path):
    with pytest.raises(ParityError):
        export_student(student, tmp_path / 'out', images=[], tolerance=1e-12)
    with pytest.raises(ValueError, match='tolerance is -1'):
        export_student(student, tmp_path / 'out', images=[], tolerance=-1.0)
    assert not (tmp_path / 'out').exists()


def test_another_export_takes_the_loss_away(student, tmp_path):
    """quantize.json of ours goes, that of somebody else is refused."""
    (tmp_path / 'quantize.json').write_text('{"notes": "mine"}')
    with pytest.raises(FileExistsError, match='quantize.json was not writ'):
        export_student(student, tmp_path, images=[])
    (tmp_path / 'quantize.json').write_text('{"student_sha256": "0"}')
    export_student(student, tmp_path, images=[])
    assert not (tmp_path / 'quantize.json').exists()
