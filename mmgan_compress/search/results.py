"""What a search leaves behind: the front as picture, table and JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.files import atomic_write, write_text
from ..core.search_space import name_of
from ..core.tables import markdown
from ..pruning.budget import LATENCY
from .study import Found, Problem, front

FRONT, TABLE, PICTURE = 'front.json', 'search.md', 'front.png'
# unit and factor of a cost, as tables and axes have it
_UNITS = {'params': ('M', 1e-6), 'macs': ('G', 1e-9), 'macs_paper': ('G', 1e-9)}
_TITLES = {'params': 'parameters', 'macs': 'MACs', 'macs_paper': "MACs, papers'"}


def title_of(kind: str) -> str:
    """Return a cost as the head of a column."""
    return _TITLES.get(kind) or f'{kind.removeprefix(LATENCY)}, predicted'


def shown(kind: str, value: float) -> str:
    """Return a cost with its unit."""
    unit, factor = _UNITS.get(kind, ('ms', 1))
    return f'{value * factor:.4g} {unit}'


def state_of(found: Sequence[Found], problem: Problem) -> str:
    """Return the front in a line, for a progress bar."""
    rows = front(found, problem)
    step = max(1, -(-len(rows) // 3))  # as many as fit
    return (
        f'front of {len(rows)}: '
        + ', '.join(
            f'{shown(problem.objective, row.costs[problem.objective])} {row.metric:.4g}'
            for row in rows[::-step][::-1]
        )
        if rows
        else ''
    )


def save(
    out: Path,
    found: Sequence[Found],
    problem: Problem,
    facts: dict[str, Any],
    measured: dict[tuple, float],
):
    """Write ``front.json``, ``search.md`` and ``front.png``.

    Args:
        out (Path): Folder; what an earlier state of the same study left
            there is replaced.
        found (Sequence[Found]): All of the study.
        problem (Problem): What was searched for.
        facts (dict): Plain values that a reader must know: ``study``,
            ``settings``, ``notes`` and others.
        measured (dict[tuple, float]): Milliseconds by configuration, of
            those that were measured in the end.
    """
    rows = front(found, problem)
    content = dict(
        facts,
        metric=problem.metric,
        higher_is_better=problem.higher,
        objective=problem.objective,
        evaluated=len(found),
        space=len(problem.candidates.space),
        front=[_plain(row, measured) for row in rows],
        others=[_plain(row, measured) for row in found if row not in rows],
    )
    write_text(out / FRONT, json.dumps(content, indent=2) + '\n')
    write_text(out / TABLE, to_markdown(found, problem, facts, measured))
    _draw(out / PICTURE, found, problem)


def _plain(row: Found, measured: dict[tuple, float]) -> dict[str, Any]:
    plain = dict(configuration=name_of(row.configuration), metric=row.metric, **row.costs)
    if row.name:
        plain['name'] = row.name
    if row.configuration in measured:
        plain['measured_ms'] = measured[row.configuration]
    return plain


def to_markdown(
    found: Sequence[Found], problem: Problem, facts: dict[str, Any], measured: dict[tuple, float]
) -> str:
    """Return the front, the marked configurations and the notes."""
    kept = front(found, problem)
    marked = [row for row in found if row.name and row not in kept]
    kinds = list(found[0].costs) if found else []
    heads = ['configuration', problem.metric, *map(title_of, kinds)]
    if measured:
        heads.append('measured')
    rows = []
    for row in [*kept, *marked]:
        name = name_of(row.configuration).replace('_', r'\_')
        notes = [text for text in (row.name, None if row in kept else 'not on the front') if text]
        cells = [
            f'{name} ({", ".join(notes)})' if notes else name,
            f'{row.metric:.4g}',
            *(shown(kind, row.costs[kind]) for kind in kinds),
        ]
        if measured:
            at = measured.get(row.configuration)
            cells.append('' if at is None else f'{at:.4g} ms')
        rows.append(cells)
    notes = ''.join(f'- {note}\n' for note in facts['notes'])
    return markdown(heads, rows) + f'\n\n{notes}'


def _draw(path: Path, found: Sequence[Found], problem: Problem):
    """Draw all that was evaluated; the front is connected."""
    from matplotlib.figure import Figure  # slow to import; draws off screen

    kind = problem.objective
    factor = _UNITS.get(kind, ('ms', 1))[1]

    def points(rows: Sequence[Found]):
        return ([row.costs[kind] * factor for row in rows], [row.metric for row in rows])

    figure = Figure(figsize=(7, 4.5), layout='tight')
    axes = figure.subplots()
    rows = front(found, problem)
    axes.scatter(
        *points([row for row in found if row not in rows]), color='0.75', s=18, label='evaluated'
    )
    axes.plot(*points(rows), 'o-', color='tab:blue', label='front')
    for row, marker in zip((row for row in found if row.name), '^vsDP*Xd'):
        axes.scatter(
            *points([row]),
            marker=marker,
            s=70,
            color='tab:orange',
            edgecolor='black',
            zorder=3,
            label=row.name,
        )
    limit = problem.candidates.limit
    if limit is not None and limit.kind == kind:
        axes.axvline(limit.most * factor, color='black', linestyle=':', label='budget')
    unit = _UNITS.get(kind, ('ms', 1))[0]
    axes.set_xlabel(f'{title_of(kind)}, {unit}, {problem.candidates.costs.size} pixels')
    axes.set_ylabel(
        problem.metric + (' (more is better)' if problem.higher else ' (less is better)')
    )
    axes.legend()
    with atomic_write(path) as part:
        figure.savefig(part, dpi=120)
