"""Files of the user: none is overwritten unasked, none is left half-written.

Every command writes its results through these functions::

    refuse_taken([target], inputs=[source], overwrite=args.overwrite)
    with atomic_write(target) as part:
        picture.save(part)

``atomic_folder`` does the same for a whole folder; ``write_text`` and
``write_tensors`` are short for the two most common kinds of files.
"""

import contextlib
import io
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .messages import is_in_the_way

StrPath = str | Path


def refuse_taken(
    outputs: Iterable[StrPath],
    inputs: Iterable[StrPath] = (),
    overwrite: bool = False,
    instead: str = 'name another output, or add --overwrite',
):
    """Refuse to write where a file of the user would be lost.

    Args:
        outputs (Iterable[str | Path]): Files that are going to be written.
        inputs (Iterable[str | Path]): Files that are going to be read. None
            of them may be written, also not through a link.
        overwrite (bool): Whether files that exist may be replaced.
        instead (str): What to do, for the message.

    Raises:
        ValueError: If an output is an input.
        FileExistsError: If outputs exist and ``overwrite`` is False.
        NotADirectoryError: If a file is where an output's folder should be.
    """
    written = [Path(path) for path in outputs]
    read = {_identity(Path(path)): path for path in inputs if Path(path).exists()}
    blocked = next(filter(None, (is_in_the_way(path.parent) for path in written)), None)
    if blocked is not None:
        raise NotADirectoryError(f'{blocked} is a file, expected a folder to write into')
    there = [path for path in written if os.path.lexists(path)]
    for path in there:
        source = read.get(_identity(path)) if path.exists() else None
        if source is not None:
            raise ValueError(f'the output {path} is the input {source}: name another output')
    if there and not overwrite:
        more = f' and {len(there) - 1} more' if len(there) > 1 else ''
        raise FileExistsError(f'{there[0]} exists already{more}: {instead}')


def _identity(path: Path) -> tuple[int, int]:
    """Return what two names of one file share, links of both kinds too."""
    status = path.stat()
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def naming(path: StrPath, part: StrPath | None = None) -> Iterator[None]:
    """Name the path in errors of writing inside the block; errors of reading
    other files pass as they are.

    Args:
        path (str | Path): File or folder that the user knows.
        part (str | Path | None): Where its content is collected, if not
            there.

    Raises:
        OSError: With the path.
    """
    try:
        yield
    except OSError as error:
        if (
            error.errno is None
            or error.filename is not None
            and not str(error.filename).startswith(str(part or path))
            and Path(error.filename) not in Path(path).parents
        ):
            raise
        cause: Any = error.__cause__ or error  # of the innermost path
        there = is_in_the_way(Path(path).parent)
        reason = f'{there} is a file, expected a folder' if there else cause.strerror
        raise OSError(
            error.errno,
            f'cannot write {os.path.abspath(path)}: {reason}. What was there before is unchanged',
        ) from cause


@contextlib.contextmanager
def atomic_write(path: StrPath) -> Iterator[Path]:
    """Write a file that appears whole or not at all.

    Args:
        path (str | Path): File to write; its folder is made.

    Yields:
        Path: A name beside it, with the same suffix, to write to. It is
        renamed when the block ends, and removed when the block fails.

    Raises:
        OSError: If it cannot be written (no space, no permission), with the
            path; what was there before is unchanged.
    """
    path = Path(path)
    part = path.with_name(f'.{path.stem}.{os.getpid()}.part{path.suffix}')
    try:
        with naming(path, part):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            os.replace(part, path)
    finally:
        with contextlib.suppress(OSError):  # there may be nothing to remove
            part.unlink()


@contextlib.contextmanager
def atomic_folder(path: StrPath) -> Iterator[Path]:
    """Fill a folder that appears whole or not at all.

    Args:
        path (str | Path): Folder to make: absent or empty.

    Yields:
        Path: An empty folder beside it, which takes its place when the block
        ends, and goes when the block fails.

    Raises:
        FileExistsError: If it holds something.
        OSError: As of :func:`atomic_write`.
    """
    path = Path(path)
    refuse_filled(path)
    with naming(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(
            prefix=f'.{path.name}.', suffix='.part', dir=path.parent
        )
    with beside, naming(path, beside.name):
        part = Path(beside.name, path.name)  # with ordinary permissions
        part.mkdir()
        yield part
        if path.exists():
            path.rmdir()  # not on every system by the next line
        os.replace(part, path)


def refuse_filled(path: StrPath):
    """Raise FileExistsError unless a folder is absent or empty.

    Args:
        path (str | Path): Of the folder; a file in its place is refused.
    """
    if os.path.lexists(path) and (not os.path.isdir(path) or os.listdir(path)):
        raise FileExistsError(
            f'{path} exists already and is no empty folder: name a new one, or empty it'
        )


def write_text(path: StrPath, text: str):
    """Write a text by :func:`atomic_write`, in UTF-8."""
    with atomic_write(path) as part:
        part.write_text(text, encoding='utf-8')


def write_tensors(path: StrPath, content: Any):
    """Write what ``torch.save`` takes by :func:`atomic_write`.

    Args:
        path (str | Path): File to write. Its name does not go into its
            bytes, which are those of any other name.
        content (Any): Plain values and tensors.
    """
    import torch  # slow to import, and not needed by the other functions

    buffer = io.BytesIO()  # torch reports a full disk as RuntimeError
    torch.save(content, buffer)
    with atomic_write(path) as part:
        part.write_bytes(buffer.getbuffer())
