"""Read archives from elsewhere safely."""

import os
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from .fetch import CHUNK, FetchError, PathLike

MOST_FILES = 1_000_000
# Images and weights hardly shrink, drawings (SVG) to a tenth or so.
MOST_GROWTH, ALWAYS_ALLOWED = 30, 1 << 30  # bytes out of a byte; bytes


def members(archive: PathLike) -> Iterator[tuple[str, IO[bytes]]]:
    """Go through the files of a tar or zip archive without unpacking it.

    Args:
        archive: A .tar(.gz), .tgz, .zip or .whl file.

    Yields:
        tuple: The file's name in the archive and its open stream, which is
        valid until the next step.

    Raises:
        FetchError: If it is no such file, a member leads out of the folder,
            or there is more in it than a data set has: it would fill the
            disk.
    """
    most = max(ALWAYS_ALLOWED, MOST_GROWTH * os.path.getsize(archive))
    files = held = 0
    for name, size, stream in _members(archive):
        files, held = files + 1, held + size
        if files > MOST_FILES or held > most:
            raise FetchError(
                f'{archive} unpacks to more than {MOST_FILES} files or '
                f'{most >> 20} MB, which no data set of its size does. Do '
                'not use this archive; fetch it again from its home.'
            )
        yield name, stream


def _members(archive: PathLike) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Go through the files of an archive; links and devices are left out."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as pack:
            for info in pack.infolist():
                _check_member(archive, info.filename)
                if not info.is_dir():
                    with pack.open(info) as stream:
                        yield info.filename, info.file_size, stream
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as pack:
            for info in pack:
                _check_member(archive, info.name)
                if info.isfile():
                    yield info.name, info.size, pack.extractfile(info)
    else:
        raise FetchError(
            f'{archive} is neither a tar nor a zip archive. Fetch it again, or name the right file.'
        )


@contextmanager
def open_member(archive: PathLike, ending: str) -> Iterator[IO[bytes]]:
    """Open the first file of an archive whose name has the given ending."""
    for name, stream in members(archive):
        if name.endswith(ending):
            yield stream
            return
    raise FetchError(f'{archive} holds no file {ending}. Is it the right archive?')


def extract(archive: PathLike, folder: PathLike) -> None:
    """Unpack an archive; a member that leads out of the folder is refused.

    Args:
        archive: A .tar(.gz), .tgz, .zip or .whl file.
        folder: Where to put its files; links are left out.
    """
    for name, stream in tqdm(
        members(archive), desc=f'Unpacking {Path(archive).name}', unit='file', disable=None
    ):
        target = Path(folder) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, 'wb') as out:
            shutil.copyfileobj(stream, out, CHUNK)


def _check_member(archive: PathLike, name: str) -> None:
    """Refuse a member that would be written outside the target folder."""
    pure = PurePosixPath(name.replace('\\', '/'))
    if pure.is_absolute() or '..' in pure.parts or ':' in name:
        raise FetchError(
            f'{archive} holds the member {name!r}, which would '
            'be written outside the target folder. Do not use '
            'this archive; fetch it again from its home.'
        )
