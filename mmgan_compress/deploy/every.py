"""Exports of a student by every deploy config, in one table."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..core.configs import CONFIGS
from ..core.tables import plain
from ..core.timing import side_by_side
from ..models.student import load_student
from .export import checked_size, export_student
from .formats import FORMATS, open_model
from .targets import read_target
from .verify import ParityError

PREFIX, STATIC, DYNAMIC = 'image-translation_', '_static-256x256', '_dynamic'
SECONDS = 5  # for the times of all
# the runtime has no setting for it
OWN_THREADS = {'executorch': 'all'}


def export_all(
    student: str | Path,
    out_dir: str | Path,
    size: int | None = None,
    uint8: bool = False,
    dynamic: bool = False,
    **options: Any,
) -> list[dict]:
    """Export a student by each deploy config of one form.

    Args:
        student (str | Path): Student file.
        out_dir (str | Path): Folder; each export gets one in it, by the name
            of its deploy config.
        size (int | None): As of ``export_student``.
        uint8 (bool): Take and give 8-bit pictures, where a runtime can.
        dynamic (bool): Take the configs of free sides, not the fixed ones.
        **options (Any): Others of ``export_student``.

    Returns:
        list[dict]: For each config its ``name``, and ``kb`` (file size),
        ``ms`` (median of one image in one thread, None where the runtime is
        not for this system), ``max_abs``, ``psnr`` (dB, None if equal) and
        ``threads``, or a ``reason`` why there is no export, and whether that
        is because it ``differs`` from torch.

    Raises:
        ValueError: If the file is no student, or the size does not suit it.
        FileExistsError: As of ``export_student``.
    """
    checked_size(size, load_student(student, options.get('domain')).meta)
    suffix = DYNAMIC if dynamic else STATIC
    bar = tqdm(sorted(CONFIGS.joinpath('deploy').glob(f'{PREFIX}*{suffix}.py')), desc='exporting')
    rows, runs = [], {}
    for path in bar:
        target = read_target(path)
        pixels = target.uint8 or uint8 and FORMATS[target.backend].uint8
        target = dataclasses.replace(target, uint8=pixels)
        name = path.stem.removeprefix(PREFIX).removesuffix(suffix)
        bar.set_postfix_str(name)
        folder = Path(out_dir, name)
        try:
            report = export_student(student, folder, target, size, **options)
        # what is not installed, a converter that fails, images that int8 needs
        except (ImportError, ValueError, RuntimeError) as error:
            differs = isinstance(error, ParityError)
            reason, _, _ = str(error).partition(':\n' if differs else '\n')
            rows.append(dict(name=name, reason=reason, differs=differs))
            continue
        files = [folder / file for file in report['files'] if Path(file).name != 'end2end.json']
        rows.append(
            dict(
                name=name,
                kb=sum(file.stat().st_size for file in files) / 1000,
                ms=None,
                max_abs=report['max_abs'],
                psnr=report['psnr'],
                threads=OWN_THREADS.get(target.backend, '1'),
            )
        )
        if report['ran_on'] == 'CPU':
            runs[name] = _run(folder, report)
    times = side_by_side(runs, seconds=SECONDS) if runs else {}
    for row in rows:
        if row['name'] in times:
            row['ms'] = 1e3 * times[row['name']].median
    return rows


def _run(folder: Path, report: dict) -> Callable[[], Any]:
    """Return what computes one image in one thread."""
    run = open_model(folder, threads=1, trust=True).run
    side, channels = report['size'], report['channels'][0]
    if report['uint8']:
        x = np.zeros((1, side, side, channels), np.uint8)
    else:
        x = np.zeros((1, channels, side, side), np.float32)
    return lambda: run(x)


def to_table(rows: list[dict]) -> str:
    """Return the rows of :func:`export_all` as text: a table of the exports,
    and why the others are missing.
    """
    table = [['export', 'kB', 'ms', 'max-abs', 'PSNR, dB', 'threads']]
    for row in rows:
        if 'reason' not in row:
            ms = 'not run here' if row['ms'] is None else f'{row["ms"]:.1f}'
            psnr = 'equal' if row['psnr'] is None else f'{row["psnr"]:.1f}'
            figures = [f'{row["kb"]:.0f}', ms, f'{row["max_abs"]:.1e}', psnr, row['threads']]
            table.append([row['name'], *figures])
    missing = [f'no {row["name"]}: {row["reason"]}' for row in rows if 'reason' in row]
    return '\n'.join([plain(table), *missing])
