"""Tables without vertical rulings: columns are gaps, rows are lines or rulings.

What belongs here: runs of lines with common gaps. What does not: drawn cells
(`pages.ruled_tables`), the rows that lines form (`pages.table_rows`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from tvdb_assets.parsing.pages.rulings import Ruling
from tvdb_assets.parsing.pages.table_model import Table, gutters, without_empty
from tvdb_assets.parsing.pages.table_rows import TableLine, merge_lines
from tvdb_assets.parsing.pages.words import (
    MARKER,
    Line,
    Span,
    Word,
    is_figure,
    spans_of,
    text_lines,
)

_LEADERS = re.compile(r"(?:\.\s?){5,}")
_WORDS_OF_PROSE = 8
_MAX_GAP = 2.0  # heights of a line between two rows
_MIN_FIGURES = 0.4  # share of the cells after the first column
_USUAL_SPANS = 0.6  # share of the most spans of a line, from which a line shows the columns


@dataclass(slots=True)
class _Row:
    """A line with its spans."""

    line: Line
    spans: list[Span]
    figures: int
    is_prose: bool

    @property
    def is_tabular(self) -> bool:
        return len(self.spans) > 1


def open_tables(
    words: Sequence[Word], horizontal: Sequence[Ruling], vertical: Sequence[Ruling]
) -> list[Table]:
    """The tables among these words."""
    out: list[Table] = []
    rows = [_row(line) for line in text_lines(words)]
    for run in _runs(rows):
        for part in _parts(run):
            table = _table(part, horizontal)
            if table is not None:
                out.append(table)
    return out


def _row(line: Line) -> _Row:
    spans = spans_of(line.words)
    figures = sum(is_figure(span.text) for span in spans[1:])
    is_prose = False
    if len(spans) == 1:
        is_prose = len(line.words) > _WORDS_OF_PROSE
    elif len(spans) == 2 and MARKER.match(spans[0].text):
        is_prose = not figures
    return _Row(line, spans, figures, is_prose or bool(_LEADERS.search(line.text)))


def _runs(rows: list[_Row]) -> Iterator[list[_Row]]:
    """Lines between wide gaps and lines of prose."""
    run: list[_Row] = []
    for row in rows:
        if run and (
            row.is_prose or row.line.top - run[-1].line.bottom > _MAX_GAP * row.line.height
        ):
            yield run
            run = []
        if not row.is_prose:
            run.append(row)
    if run:
        yield run


def _parts(run: list[_Row]) -> Iterator[list[_Row]]:
    """Tables that follow one another: a title stands between figures and the next header."""
    start = 0
    for at in range(1, len(run) - 1):
        if run[at].is_tabular or not run[at - 1].figures:
            continue
        after = next((row for row in run[at + 1 :] if row.is_tabular), None)
        if after is not None and not after.figures and run[at + 1] is after:
            yield run[start:at]
            start = at
    yield run[start:]


def _table(run: list[_Row], horizontal: Sequence[Ruling]) -> Table | None:
    while run and not run[0].is_tabular:
        run = run[1:]
    while run and not run[-1].is_tabular and not run[-1].line.text[:1].islower():
        run = run[:-1]
    tabular = [row for row in run if row.is_tabular]
    if len(tabular) < 2:
        return None
    height = median(row.line.height for row in tabular)
    edges = _columns(tabular, height)
    if not edges:
        return None
    lines = [_cells(row, edges) for row in run]
    rows = merge_lines(lines, height)
    cells = [cell for row in rows for cell in row[1:] if cell]
    if sum(map(is_figure, cells)) < _MIN_FIGURES * len(cells):
        return None
    words = [word for row in run for word in row.line.words]
    return Table(
        min(word.left for word in words),
        run[0].line.top,
        max(word.right for word in words),
        run[-1].line.bottom,
        without_empty(rows),
        words,
    )


def _columns(tabular: list[_Row], height: float) -> list[float]:
    """Positions between the columns, as the lines with figures show them."""
    body = [row for row in tabular if row.figures and 2 * row.figures >= len(row.spans) - 1]
    basis = body if len(body) >= 2 else tabular
    most = max(len(row.spans) for row in basis)
    basis = [row for row in basis if len(row.spans) >= _USUAL_SPANS * most]
    return gutters([row.spans for row in basis], height, len(basis) // 9)


def _cells(row: _Row, edges: list[float]) -> TableLine:
    cells = [""] * (len(edges) + 1)
    wide: set[int] = set()

    def put(column: int, text: str) -> None:
        cells[column] = f"{cells[column]} {text}".strip()

    for span in spans_of(row.line.words):
        first = bisect_right(edges, span.left + 1)
        last = bisect_right(edges, span.right - 1)
        if first == last:
            put(first, span.text)
        elif row.figures and len(row.spans) > 0.5 * len(edges):
            for word in span.words:
                put(bisect_right(edges, (word.left + word.right) / 2), word.text)
        else:
            wide.update(range(first, last + 1))
            for column in range(first, last + 1):
                put(column, span.text)
    return TableLine(row.line.top, row.line.bottom, cells, wide)
