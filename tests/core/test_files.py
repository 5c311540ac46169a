"""Nothing of the user's is overwritten or left half-written."""

import errno
import os

import pytest

from mmgan_compress.core.files import atomic_write, refuse_taken


def test_an_existing_output_is_refused_unless_asked_for(tmp_path):
    out = tmp_path / 'a.png'
    refuse_taken([out])
    out.write_text('mine')
    with pytest.raises(FileExistsError, match='a.png exists already'):
        refuse_taken([out])
    refuse_taken([out], overwrite=True)


@pytest.mark.parametrize('link', [os.symlink, os.link])
def test_an_input_is_never_an_output(tmp_path, link):
    source, out = tmp_path / 'in.png', tmp_path / 'out.png'
    source.write_text('mine')
    link(source, out)
    for target in (source, out):
        with pytest.raises(ValueError, match='is the input'):
            refuse_taken([target], inputs=[source], overwrite=True)


def test_a_dangling_link_counts_as_taken(tmp_path):
    out = tmp_path / 'out.png'
    out.symlink_to(tmp_path / 'nowhere')
    with pytest.raises(FileExistsError):
        refuse_taken([out])


def test_a_failed_write_leaves_the_old_file(tmp_path):
    out = tmp_path / 'new' / 'a.txt'
    with atomic_write(out) as part:
        part.write_text('old')
    assert part.suffix == '.txt'
    with pytest.raises(OSError, match=f'cannot write {out}: No space') as info:
        with atomic_write(out) as part:
            part.write_text('half')
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert info.value.errno == errno.ENOSPC
    assert out.read_text() == 'old'
    assert os.listdir(out.parent) == ['a.txt']
