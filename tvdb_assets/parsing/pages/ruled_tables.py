"""Tables whose cells are drawn: rulings that cross, in full or in part.

What belongs here: rows and columns from rulings, and from gaps where rulings are left out. What
does not: tables without vertical rulings (`pages.open_tables`).
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from tvdb_assets.parsing.pages.rulings import Grid, is_drawn
from tvdb_assets.parsing.pages.table_model import Table, cell_text, gutters, without_empty
from tvdb_assets.parsing.pages.table_tests import is_data
from tvdb_assets.parsing.pages.words import Span, Word, is_figure, spans_of, text_lines

_HEADER_ROWS = 3
_TABULAR = 0.6  # share of a column's lines with a gap, above which the gap separates columns


@dataclass(slots=True)
class _Cell:
    row: int
    column: int
    last_row: int
    last_column: int
    words: list[Word] = field(default_factory=list)


def ruled_table(grid: Grid, words: Sequence[Word]) -> Table | None:
    """The table of a grid, or None if the grid is a frame around text."""
    ys = grid.ys
    xs = _with_gutters(grid.xs, words)
    if len(ys) < 2 or len(xs) < 3 or (len(ys) == 2 and len(xs) < 4):
        return None
    cells = _cells(grid, xs, ys)
    places = {
        (r, c): cell
        for cell in cells
        for r in range(cell.row, cell.last_row + 1)
        for c in range(cell.column, cell.last_column + 1)
    }
    for word in words:
        c = min(max(bisect_right(xs, (word.left + word.right) / 2) - 1, 0), len(xs) - 2)
        r = min(max(bisect_right(ys, (word.top + word.bottom) / 2) - 1, 0), len(ys) - 2)
        places[r, c].words.append(word)
    cells = [part for cell in cells if cell.words for part in _split(cell, xs, len(ys) - 1)]
    if len({cell.column for cell in cells}) < 2:
        return None
    # Most of the text in one cell is a frame around a text.
    longest = max(len(cell.words) for cell in cells)
    if longest > 40 and longest > 0.6 * len(words):
        return None
    rows = without_empty(_to_rows(cells, len(ys) - 1, len(xs) - 1))
    if not is_data(rows):
        return None
    return Table(grid.left, grid.top, grid.right, grid.bottom, rows, words, True)


def _with_gutters(xs: list[float], words: Sequence[Word]) -> list[float]:
    """Positions of the columns, also of those that only a gap separates."""
    out = list(xs)
    for left, right in itertools.pairwise(xs):
        inside = [
            w
            for w in words
            if left - 1 <= (w.left + w.right) / 2 <= right + 1
            and w.left > left - 3
            and w.right < right + 3
        ]
        lines = text_lines(inside)
        if len(lines) < 2:
            continue
        spans = [spans_of(line.words) for line in lines]
        tabular = [each for each in spans if len(each) > 1]
        if len(tabular) < 2 or len(tabular) < _TABULAR * len(spans):
            continue
        out += gutters(tabular, lines[0].height, len(tabular) // 8)
    return sorted(out)


def _cells(grid: Grid, xs: list[float], ys: list[float]) -> list[_Cell]:
    """Cells of the grid; where no ruling is drawn between two of them, they are one."""
    rows, columns = len(ys) - 1, len(xs) - 1
    parent = list(range(rows * columns))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for r in range(rows):
        for c in range(columns):
            if c + 1 < columns and not is_drawn(grid.vertical, xs[c + 1], ys[r], ys[r + 1]):
                parent[root(r * columns + c + 1)] = root(r * columns + c)
            if r + 1 < rows and not is_drawn(grid.horizontal, ys[r + 1], xs[c], xs[c + 1]):
                parent[root((r + 1) * columns + c)] = root(r * columns + c)
    groups: dict[int, list[tuple[int, int]]] = {}
    for i in range(rows * columns):
        groups.setdefault(root(i), []).append(divmod(i, columns))
    return [
        _Cell(
            min(r for r, _ in group),
            min(c for _, c in group),
            max(r for r, _ in group),
            max(c for _, c in group),
        )
        for group in groups.values()
    ]


def _split(cell: _Cell, xs: list[float], rows: int) -> list[_Cell]:
    """Split a wide cell at the columns of the other rows, unless a text crosses them."""
    if cell.column == cell.last_column:
        return [cell]
    inner = xs[cell.column + 1 : cell.last_column + 1]
    spans: list[Span] = []
    for line in text_lines(cell.words):
        spans += spans_of(line.words)
    crossing = {x for x in inner if any(s.left < x - 1 and s.right > x + 1 for s in spans)}
    columns = {bisect_right(inner, (span.left + span.right) / 2) for span in spans}
    is_whole_row = cell.column == 0 and cell.last_column == len(xs) - 2
    if len(columns) == 1 and not crossing and not is_whole_row and cell.row < _HEADER_ROWS:
        return [cell]
    if len(crossing) == len(inner):
        return [cell]
    parts: dict[int, _Cell] = {}
    # Columns between which a text crosses stay one cell.
    starts = [cell.column] + [c for c, x in enumerate(inner, cell.column + 1) if x not in crossing]
    ends = [start - 1 for start in starts[1:]] + [cell.last_column]
    for word in cell.words:
        column = cell.column + bisect_right(inner, (word.left + word.right) / 2)
        k = bisect_right(starts, column) - 1
        if k not in parts:
            parts[k] = _Cell(cell.row, starts[k], cell.last_row, ends[k])
        parts[k].words.append(word)
    return list(parts.values())


def _to_rows(cells: list[_Cell], rows: int, columns: int) -> list[list[str]]:
    """Rows of texts; a wide cell of the header is repeated in each of its columns."""
    out: list[list[str]] = []
    for r in range(rows):
        band = [cell for cell in cells if cell.row == r]
        tops = _stacked(band)
        lines = [[""] * columns for _ in range(max(1, len(tops)))]
        for cell in band:
            parts: list[list[Word]] = [[] for _ in lines]
            for word in cell.words:
                middle = (word.top + word.bottom) / 2
                parts[max(0, bisect_right(tops, middle) - 1) if tops else 0].append(word)
            is_header = (
                cell.last_column > cell.column
                and r < _HEADER_ROWS
                and not (cell.column == 0 and cell.last_column == columns - 1 and r > 0)
            )
            for k, part in enumerate(parts):
                text = cell_text(part)
                for c in range(cell.column, (cell.last_column if is_header else cell.column) + 1):
                    lines[k][c] = text
        out += lines
    return out


def _stacked(band: list[_Cell]) -> list[float]:
    """Tops of the lines if several rows of figures stand between two rulings, else nothing."""
    if len(band) < 2:
        return []
    best: list[float] = []
    for cell in band:
        if len(cell.words) < 2 or (False):
            continue
        lines = text_lines(cell.words)
        if len(lines) > max(1, len(best)) and all(is_figure(line.text) for line in lines):
            best = [line.top - 1 for line in lines]
    return best
