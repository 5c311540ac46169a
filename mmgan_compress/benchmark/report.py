"""The figures of a benchmark: JSON, Markdown and a bar chart."""

import json
from pathlib import Path
from typing import Any

from ..core import units
from ..core.files import atomic_write, write_text
from ..core.tables import markdown
from ..core.timing import WIDE, Timing
from .candidates import EAGER, NOT_TIMED, Candidate
from .workers import GEMM_SIDE, gemm_rate

STEM = 'benchmark'
FILES = tuple(f'{STEM}{suffix}' for suffix in ('.json', '.md', '.png'))
NAMES = ('network', 'runtime', 'precision')
LOSS = ('kb', 'max_abs', 'psnr', 'psnr_images', 'exact')
# what the table says of each, beside the times of pictures
TIMES = ('IQR', 'p95', 'network, ms', 'images/s', 'memory, MB', 'faster', 'over floor')
LOSSES = ('file, kB', 'max-abs', 'PSNR, dB', 'images, dB')
BEFORE = ('before, ms', 'now / before')
# of networks, in the order that they are named: Okabe and Ito's palette
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00')


def build(
    candidates: list[Candidate],
    results: list[dict],
    gemm: Timing,
    networks: dict[str, dict],
    baseline: str,
    machine: dict,
    notes: list[str],
) -> dict:
    """Put the figures together.

    Args:
        candidates (list[Candidate]): What was measured.
        results (list[dict]): What came out, of ``workers.measure``.
        gemm (Timing): The same.
        networks (dict[str, dict]): ``params`` and ``macs`` by network.
        baseline (str): Network that is the measure of the others, in eager.
        machine (dict): Of ``machine_facts``.
        notes (list[str]): What else a reader must know.

    Returns:
        dict: ``machine``, ``gemm_gflops``, ``baseline``, ``networks``,
        ``notes`` and ``rows``, plain values only.
    """
    rate = gemm_rate(gemm)
    rows = [
        _row(candidate, result, networks[candidate.network], rate)
        for candidate, result in zip(candidates, results)
    ]
    measured = {_key(row): row for row in rows if 'pictures' in row}
    reference = measured.get((baseline, EAGER, 'fp32'))
    for row in measured.values() if reference else ():
        row['faster'] = _last(reference)['median_ms'] / _last(row)['median_ms']
    return dict(
        machine=machine,
        gemm_gflops=rate / 1e9,
        gemm_side=GEMM_SIDE,
        baseline=f'{baseline} in eager',
        networks=networks,
        notes=notes,
        rows=rows,
    )


def _row(candidate: Candidate, result: dict, network: dict, rate: float) -> dict[str, Any]:
    row = {name: getattr(candidate, name) for name in (*NAMES, *LOSS)}
    row['reason'] = result['reason'] or NOT_TIMED.get(candidate.runtime, '')
    if 'pictures' not in result:
        return row
    *_, last = result['pictures'].values()
    floor = 2 * network['macs'] / rate
    return dict(
        row,
        pictures={str(number): timing.ms() for number, timing in result['pictures'].items()},
        network_alone=result['network'].ms(),
        wide=last.wide,
        images_per_s=1 / last.median,
        memory_mb=result['memory'] and result['memory'] / 2**20,
        floor_ms=1e3 * floor,
        over_floor=last.median / floor,
    )


def _last(row: dict) -> dict:
    """Return the times of a row with the last number of threads."""
    return list(row['pictures'].values())[-1]


def compare(report: dict, earlier: dict) -> None:
    """Put the figures of an earlier run beside those of this one.

    Args:
        report (dict): Of :func:`build`; rows get ``earlier_ms``.
        earlier (dict): The same, of such a machine.
    """
    known = {_key(row): row for row in earlier['rows'] if 'pictures' in row}
    for row in report['rows']:
        if 'pictures' in row and _key(row) in known:
            row['earlier_ms'] = _last(known[_key(row)])['median_ms']


def _key(row: dict) -> tuple:
    return tuple(row[name] for name in NAMES)


def read(path: Path) -> dict:
    """Read the JSON of an earlier run.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is something else.
    """
    try:
        report = json.loads(path.read_text(encoding='utf-8'))
        report['machine'], report['rows']
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path} is no result of a benchmark: expected its {STEM}.json') from error
    return report


def to_markdown(report: dict) -> str:
    """Return the table and what a reader must know about it."""
    numbers = report['machine']['threads']
    before = any('earlier_ms' in row for row in report['rows'])
    times = [f'{number} thread{"s" * (number > 1)}, ms' for number in numbers]
    columns = [*NAMES, *LOSSES, *times, *TIMES, *(BEFORE if before else ())]
    rows = []
    for row in report['rows']:
        if row['kb'] is not None:
            cells = [*_key(row), *loss_cells(row), *_time_cells(row)]
            rows.append(cells + [''] * (len(columns) - len(cells)))
    table = markdown(columns, rows, len(NAMES))
    return table + '\n\n' + ''.join(f'- {x}\n' for x in [*_lines(report), *_missing(report)])


def loss_cells(row: dict) -> list[str]:
    """Return what the table says of the file of a row: ``LOSSES``."""
    if row['max_abs'] is None:  # of torch itself
        return [_number(row['kb']), '', '', '']
    max_abs = f'{row["max_abs"]:.1e}{"" if row["exact"] else " !"}'
    decibels = ['equal' if row[k] is None else f'{row[k]:.1f}' for k in ('psnr', 'psnr_images')]
    return [_number(row['kb']), max_abs, *decibels]


def _time_cells(row: dict) -> list[str]:
    if 'pictures' not in row:
        return []
    last, old = _last(row), row.get('earlier_ms')
    now = last['median_ms']
    return [
        *(_number(times['median_ms']) for times in row['pictures'].values()),
        f'{last["iqr_ms"] / now:.0%}' + (' (wide)' if row['wide'] else ''),
        _number(last['p95_ms']),
        _number(row['network_alone']['median_ms']),
        _number(row['images_per_s']),
        _number(row['memory_mb']),
        f'{row["faster"]:.1f}x' if 'faster' in row else '',
        f'{row["over_floor"]:.2f}x',
        *([] if old is None else [_number(old), f'{now / old:.2f}']),
    ]


def _missing(report: dict) -> list[str]:
    """Say what was not measured, and why: those with one reason together."""
    names: dict[str, list[str]] = {}
    for row in report['rows']:
        if row['reason']:
            what = 'not timed' if row['kb'] else 'not measured'
            names.setdefault(f'{what}: {row["reason"]}', []).append(' '.join(_key(row)))
    return [f'{", ".join(rows)}: {reason}' for reason, rows in names.items()]


def _number(value: float | None) -> str:
    if value is None:
        return ''
    return f'{value:.0f}' if value >= 100 else f'{value:.3g}'


def _lines(report: dict) -> list[str]:
    machine = report['machine']
    size = machine['size']
    versions = ', '.join(f'{k} {v}' for k, v in machine['versions'].items())
    sizes = '; '.join(
        f'{name} {units.count(network["params"])} parameters, {units.count(network["macs"])} MACs'
        for name, network in report['networks'].items()
    )
    return [
        f'{machine["cpu"]}, {machine["cores"]} cores, {machine["os"]}; '
        f'{" and ".join(map(str, machine["threads"]))} threads; Python {machine["python"]}, '
        f'{versions}; load before the run: {machine["load"]}',
        f'threads: from an 8-bit {size}x{size} picture to an 8-bit picture, '
        'median; network: from values to values, as all columns behind the times with '
        'the last number of threads. One process for each row, timed in turns',
        'IQR: the middle half of the times lies within so much of the '
        f'median; wide: above {WIDE:.0%}, measure again on a machine that '
        'does nothing else',
        'memory: growth of the process at its peak since before the model '
        'was opened; the libraries of the runtime count',
        'max-abs, PSNR: against torch in double precision, values in [-1, 1], the worst of '
        'images, noise and a flat picture; images: the worst of the images alone; '
        '!: more than mmgan-compress export allows',
        f'faster: than {report["baseline"]}, image to image',
        f'floor: 2 x MACs at the {report["gemm_gflops"]:.0f} GFLOP/s that '
        f'torch reaches for two {report["gemm_side"]}x{report["gemm_side"]} '
        'matrices in fp32 (BLAS or oneDNN, the faster), in the same run with '
        'the same threads; int8 is held against it too',
        sizes,
        *report['notes'],
    ]


def save(report: dict, out: Path) -> list[Path]:
    """Write ``benchmark.json``, ``.md`` and ``.png``; return their paths."""
    paths = [out / name for name in FILES]
    write_text(paths[0], json.dumps(report, indent=2, allow_nan=False) + '\n')
    write_text(paths[1], to_markdown(report))
    _draw(report, paths[2])
    return paths


def _draw(report: dict, path: Path) -> None:
    """Draw a bar for each row, in milliseconds on a logarithmic axis."""
    from matplotlib.figure import Figure  # slow to import; draws off screen

    rows = [row for row in report['rows'] if 'pictures' in row]
    names, machine = list(report['networks']), report['machine']
    figure = Figure(figsize=(8, 1.2 + 0.34 * len(rows)), layout='tight')
    axes = figure.subplots()
    for at, row in enumerate(rows):
        taken = _last(row)['median_ms']
        axes.barh(at, taken, color=COLOURS[names.index(row['network']) % len(COLOURS)])
        faster = f'  {row["faster"]:.1f}x' if 'faster' in row else ''
        axes.text(max(taken, row['floor_ms']), at, f'  {_number(taken)} ms{faster}', va='center')
        axes.plot([row['floor_ms']] * 2, [at - 0.4, at + 0.4], color='black')
    axes.set_yticks(range(len(rows)), [' '.join(_key(row)) for row in rows])
    axes.invert_yaxis()
    axes.set_xscale('log')
    axes.xaxis.set_major_formatter('{x:g}')
    axes.xaxis.set_minor_formatter('')
    axes.set_xlim(right=6 * axes.get_xlim()[1])  # room for the figures
    axes.set_xlabel(
        f'ms for a {machine["size"]}x{machine["size"]} picture, '
        f'{machine["threads"][-1]} threads\nblack: arithmetic floor'
    )
    with atomic_write(path) as part:
        figure.savefig(part, dpi=120)
