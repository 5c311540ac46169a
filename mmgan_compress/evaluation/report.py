"""The result of a run: a table of teachers and student, and pictures."""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn as nn
from mmengine.evaluator import Evaluator

from ..core import units
from ..core.channels import input_shape
from ..core.complexity import count_macs, count_params, measure_latency, style_note
from ..core.files import write_text
from ..core.tables import markdown, plain
from ..core.timing import WIDE

STUDENT = 'student'
FILES = ('report.json', 'report.md')
COLUMNS = {
    'params': 'parameters',
    'macs': 'MACs',
    'macs_paper': "MACs, papers'",
    'latency': 'eager latency',
}


@dataclass
class Row:
    """One line of the table.

    Args:
        name (str): As shown: a teacher's name, or ``'student'`` or such as
            ``'student, best(val)'``.
        params (int): Number of parameters.
        macs (int): Multiply-accumulates of one image, the true count.
        macs_paper (int): The same in the papers' convention.
        latency (dict): ``median_ms``, ``p95_ms``, ``iqr_ms``, ``threads``,
            ``device``.
        metrics (dict[str, float]): Figures by name.
        ratio (dict[str, float]): How many times smaller or faster than the
            first teacher, by ``params``, ``macs``, ``macs_paper`` and
            ``latency``.
    """

    name: str
    params: int
    macs: int
    macs_paper: int
    latency: dict[str, Any]
    metrics: dict[str, float] = field(default_factory=dict)
    ratio: dict[str, float] = field(default_factory=dict)

    def cost(self, key: str) -> float:
        """Return the number behind a column of `COLUMNS`."""
        return self.latency['median_ms'] if key == 'latency' else getattr(self, key)

    def caption(self, figure: str | None, domain: str) -> str:
        """Return MACs and one figure, to stand above pictures.

        Args:
            figure (str | None): Name of the figure. The first one of the
                domain is taken if there is no such figure.
            domain (str): Domain of the pictures.
        """
        own = [name for name in self.metrics if name.startswith(f'{domain}/')]
        shown = [figure] if figure in own else own[:1]
        figures = [f'{name.partition("/")[2]} {_figure(self.metrics, name)}' for name in shown]
        return '\n'.join([f'{units.count(self.macs)} MACs', *figures])


@dataclass
class Report:
    """What a run has come to, on the console, as JSON and as Markdown.

    Args:
        rows (list[Row]): Teachers first.
        size (int): Side in pixels of the square images that MACs and latency
            hold for.
        protocols (dict[str, str]): One line per figure.
        notes (list[str]): What else a reader must know, such as
            ``'perceptual weights: random'``.
    """

    rows: list[Row]
    size: int
    protocols: dict[str, str]
    notes: list[str]

    def table(self) -> list[list[str]]:
        """Return the cells, the header first."""
        figures = list(dict.fromkeys(name for row in self.rows for name in row.metrics))
        # KID_std stands beside KID, not in a column of its own.
        shown = [
            f for f in figures if f.removesuffix('_std') not in figures or not f.endswith('_std')
        ]
        cells = [['network', *COLUMNS.values(), *shown]]
        for row in self.rows:
            cells.append(
                [row.name]
                + [_cost(row, key) for key in COLUMNS]
                + [_figure(row.metrics, name) for name in shown]
            )
        return cells

    def lines(self) -> list[str]:
        """Return what belongs under the table: protocols and notes."""
        latency = self.rows[-1].latency
        wide = dict.fromkeys(
            row.name.partition(',')[0]
            for row in self.rows
            if row.latency['iqr_ms'] > WIDE * row.latency['median_ms']
        )
        warning = (
            f'eager latency of {", ".join(wide)} spreads widely (interquartile range above '
            f'{WIDE:.0%} of the median): measure again on a quiet machine'
        )
        return [
            f"MACs: one 3x{self.size}x{self.size} image; papers' convention: "
            'a transposed convolution counted at its output size',
            'eager latency: median ± half the interquartile range, batch 1, '
            f'{latency["device"]}, {latency["threads"]} threads; in '
            f'brackets: against {self.rows[0].name}',
            *([warning] if wide else []),
            *(f'{name}: {text}' for name, text in self.protocols.items()),
            *self.notes,
        ]

    def to_markdown(self) -> str:
        """Return the table and its protocol lines as Markdown."""
        header, *body = self.table()
        return markdown(header, body) + '\n\n' + ''.join(f'- {line}\n' for line in self.lines())

    def to_text(self) -> str:
        """Return the table and its protocol lines for a console.

        A line of the table may be wider than the console: a figure that is
        cut off is worse than a line that wraps.
        """
        return '\n'.join([plain(self.table()), *(f'  {line}' for line in self.lines()), ''])

    def print(self):
        """Print the table and its protocol lines."""
        print(self.to_text())

    def to_dict(self) -> dict:
        """Return plain types only; counts are exact integers."""
        return _plain(asdict(self))

    def save(self, work_dir: str | os.PathLike):
        """Write ``report.json`` and ``report.md`` in ``work_dir``."""
        text = json.dumps(self.to_dict(), indent=2, allow_nan=False) + '\n'
        for name, content in zip(FILES, (text, self.to_markdown())):
            write_text(Path(work_dir, name), content)


@torch.no_grad()
def evaluate(model: nn.Module, dataloader: Iterable, evaluator: Evaluator) -> dict[str, float]:
    """Score a model as the loops of mmengine do, outside of a run.

    Args:
        model (nn.Module): With ``val_step``; left in the mode it was in.
        dataloader (DataLoader): Of the split to score on.
        evaluator (Evaluator): Its metrics keep their ``protocol``.

    Returns:
        dict[str, float]: Value by name, as ``zebra/FID``.
    """
    training = model.training
    model.eval()
    try:
        for batch in dataloader:
            evaluator.process(model.val_step(batch), batch)
        return evaluator.evaluate(len(dataloader.dataset))
    finally:
        model.train(training)


def check_names(names: Sequence[str], evaluator: Evaluator):
    """Refuse names that no metric of an evaluator computes.

    Metrics of other packages do not say what they compute; with one of them
    every name is accepted.

    Raises:
        KeyError: With what is computed.
    """
    known: list[str] = []
    for metric in evaluator.metrics:
        if not hasattr(metric, 'names'):
            return
        known += metric.names
    unknown = [name for name in names if name not in known]
    if unknown:
        raise KeyError(f'no metric {unknown[0]!r}; computed are {known}')


def protocols_of(evaluator: Evaluator) -> dict[str, str]:
    """Return the protocol line of each figure that was last computed."""
    found: dict[str, str] = {}
    for metric in evaluator.metrics:
        found.update(getattr(metric, 'protocol', {}))
    return found


def build_report(
    teachers: Mapping[str, nn.Module],
    student: nn.Module,
    metrics: Mapping[str, Mapping[str, float]],
    protocols: Mapping[str, str],
    size: int,
    notes: Sequence[str] = (),
) -> Report:
    """Measure the networks and put the figures beside them.

    Args:
        teachers (Mapping[str, nn.Module]): Generators by name; ratios are
            against the first one.
        student (nn.Module): Student generator.
        metrics (Mapping[str, Mapping[str, float]]): Figures by row: a
            teacher's name, ``'student'``, or ``'student, <checkpoint>'`` for
            a row more of the student.
        protocols (Mapping[str, str]): One line per figure.
        size (int): Side in pixels of the square images.
        notes (Sequence[str]): More lines under the table.

    Returns:
        Report: Teachers first, then the rows of the student.
    """
    rows = [_measure(name, net, size, metrics.get(name, {})) for name, net in teachers.items()]
    own = _measure(STUDENT, student, size, {})
    names = [name for name in metrics if name not in teachers] or [STUDENT]
    rows += [replace(own, name=name, metrics=dict(metrics.get(name, {}))) for name in names]
    for row in rows[1:]:
        row.ratio = {key: rows[0].cost(key) / row.cost(key) for key in COLUMNS}
    networks = zip([*rows[: len(teachers)], own], [*teachers.values(), student])
    styled = [
        line
        for row, net in networks
        for line in style_note(row.name, net, row.params, row.macs, size)
    ]
    return Report(rows, size, dict(protocols), [*styled, *notes])


def _measure(name: str, network: nn.Module, size: int, metrics: Mapping[str, float]) -> Row:
    shape = input_shape(network, size)
    macs, latency = count_macs(network, shape), measure_latency(network, shape)
    params = count_params(network)
    return Row(name, params, macs.macs, macs.macs_paper, latency, dict(metrics))


def _cost(row: Row, key: str) -> str:
    value = row.cost(key)
    text = (
        f'{units.milliseconds(value)} ± {row.latency["iqr_ms"] / 2:.2g}'
        if key == 'latency'
        else units.count(value)
    )
    return f'{text} ({row.ratio[key]:.1f}x)' if row.ratio else text


def _figure(metrics: Mapping[str, float], name: str) -> str:
    if name not in metrics:
        return '-'
    text = f'{metrics[name]:.4g}'
    if f'{name}_std' in metrics:
        text += f' ± {metrics[f"{name}_std"]:.2g}'
    return text


def _plain(value: Any) -> Any:
    """Replace what JSON has no number for by None, all through."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
