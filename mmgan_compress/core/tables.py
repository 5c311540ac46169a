"""Tables in Markdown."""

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
