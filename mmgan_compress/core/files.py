"""Files of the user: none is overwritten unasked, none is left half-written.

Every command writes its results through these two functions::

    refuse_taken([target], inputs=[source], overwrite=args.overwrite)
    with atomic_write(target) as part:
        picture.save(part)
"""
import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Union

StrPath = Union[str, Path]


def refuse_taken(outputs: Iterable[StrPath],
                 inputs: Iterable[StrPath] = (),
                 overwrite: bool = False,
                 instead: str = 'name another output, or add --overwrite'):
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
    """
    outputs = [Path(path) for path in outputs]
    read = {_identity(Path(path)): path for path in inputs
            if Path(path).exists()}
    there = [path for path in outputs if os.path.lexists(path)]
    for path in there:
        source = read.get(_identity(path)) if path.exists() else None
        if source is not None:
            raise ValueError(f'the output {path} is the input {source}: name '
                             'another output')
    if there and not overwrite:
        more = f' and {len(there) - 1} more' if len(there) > 1 else ''
        raise FileExistsError(f'{there[0]} exists already{more}: {instead}')


def _identity(path: Path) -> tuple[int, int]:
    """Return what two names of one file share, links of both kinds too."""
    status = path.stat()
    return status.st_dev, status.st_ino


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
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except OSError as error:
        raise OSError(
            error.errno, f'cannot write {os.path.abspath(path)}: '
            f'{error.strerror or error}. What was there before is unchanged'
        ) from error
    finally:
        part.unlink(missing_ok=True)
