"""Tables in Markdown, and for the console."""

from collections.abc import Iterable, Sequence


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    """Return a table in Markdown.

    Args:
        header (Sequence[str]): Titles of the columns.
        rows (Iterable[Sequence[str]]): Cells of each row.
        words (int): How many columns, from the left, hold words. The others
            hold numbers, which are aligned to the right.
    """
    rule = ['---'] * words + ['---:'] * (len(header) - words)
    return '\n'.join('| ' + ' | '.join(cells) + ' |' for cells in (header, rule, *rows))


def plain(rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """Return a table whose columns are aligned by spaces.

    Args:
        rows (Sequence[Sequence[str]]): Cells of each row, the titles first.
        words (int): As of :func:`markdown`.
    """
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = map(str.ljust, row[:words], widths), map(str.rjust, row[words:], widths[words:])
        lines.append('  '.join([*cells[0], *cells[1]]).rstrip())
    return '\n'.join(lines)
