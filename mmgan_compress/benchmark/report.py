"""The figures of a benchmark: JSON, Markdown and a bar chart."""

import json
from pathlib import Path
from typing import Any

from ..core import units
from ..core.files import atomic_write, write_text
from ..core.tables import markdown
from ..core.timing import WIDE, Timing
from .candidates import EAGER, Candidate
from .workers import GEMM_SIDE, gemm_rate

STEM = 'benchmark'
FILES = tuple(f'{STEM}{suffix}' for suffix in ('.json', '.md', '.png'))
NAMES = ('network', 'runtime', 'precision')
COLUMNS = (
    *NAMES,
    'image, ms',
    'IQR',
    'p95',
    'network, ms',
    'images/s',
    'memory, MB',
    'PSNR, dB',
    'faster',
    'over floor',
)
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
    measured = {_key(row): row for row in rows if not row['reason']}
    reference = measured.get((baseline, EAGER, 'fp32'))
    for row in measured.values() if reference else ():
        row['faster'] = reference['picture']['median_ms'] / row['picture']['median_ms']
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
    row = {name: getattr(candidate, name) for name in NAMES} | {'reason': result.get('reason', '')}
    if row['reason']:
        return row
    picture, floor = result['picture'], 2 * network['macs'] / rate
    return dict(
        row,
        picture=picture.ms(),
        network_alone=result['network'].ms(),
        wide=picture.wide,
        images_per_s=1 / picture.median,
        memory_mb=result['memory'] and result['memory'] / 2**20,
        psnr=candidate.psnr,
        floor_ms=1e3 * floor,
        over_floor=picture.median / floor,
    )


def compare(report: dict, earlier: dict) -> None:
    """Put the figures of an earlier run beside those of this one.

    Args:
        report (dict): Of :func:`build`; rows get ``earlier_ms``.
        earlier (dict): The same, of such a machine.
    """
    known = {_key(row): row for row in earlier['rows'] if not row['reason']}
    for row in report['rows']:
        if not row['reason'] and _key(row) in known:
            row['earlier_ms'] = known[_key(row)]['picture']['median_ms']


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
    before = any('earlier_ms' in row for row in report['rows'])
    columns = [*COLUMNS, *(BEFORE if before else ())]
    rows = []
    for row in report['rows']:
        cells = [*_key(row), *_figures(row)]
        rows.append(cells + [''] * (len(columns) - len(cells)))
    table = markdown(columns, rows, len(NAMES))
    return table + '\n\n' + ''.join(f'- {x}\n' for x in _lines(report))


def _figures(row: dict) -> list[str]:
    if row['reason']:
        reason = ' '.join(row['reason'].split()).replace('|', '/')
        return [f'not measured: {reason[:200]}']
    picture, old = row['picture'], row.get('earlier_ms')
    now = picture['median_ms']
    return [
        _number(now),
        f'{picture["iqr_ms"] / now:.0%}' + (' (wide)' if row['wide'] else ''),
        _number(picture['p95_ms']),
        _number(row['network_alone']['median_ms']),
        _number(row['images_per_s']),
        _number(row['memory_mb']),
        _number(row['psnr']),
        f'{row["faster"]:.1f}x' if 'faster' in row else '',
        f'{row["over_floor"]:.2f}x',
        *([] if old is None else [_number(old), f'{now / old:.2f}']),
    ]


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
        f'{machine["threads"]} threads; Python {machine["python"]}, '
        f'{versions}; load before the run: {machine["load"]}',
        f'image: from an 8-bit {size}x{size} picture to an 8-bit picture, '
        'median; network: from values to values. One process for each row, '
        'timed in turns',
        'IQR: the middle half of the times lies within so much of the '
        f'median; wide: above {WIDE:.0%}, measure again on a machine that '
        'does nothing else',
        'memory: growth of the process at its peak since before the model '
        'was opened; the libraries of the runtime count',
        'PSNR: against torch in double precision, range 2, the worst of two '
        'images, noise and a flat picture; empty where not compared',
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

    rows = [row for row in report['rows'] if not row['reason']]
    names, machine = list(report['networks']), report['machine']
    figure = Figure(figsize=(8, 1.2 + 0.34 * len(rows)), layout='tight')
    axes = figure.subplots()
    for at, row in enumerate(rows):
        taken = row['picture']['median_ms']
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
        f'{machine["threads"]} threads\nblack: arithmetic floor'
    )
    with atomic_write(path) as part:
        figure.savefig(part, dpi=120)
