"""Sheets of cells to Markdown tables, without a grid of the empty ones.

What belongs here: filled cells by place, to text. What does not: reading any file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tvdb_assets.parsing.formats.active_limits import allowed, over_limit

Row = Mapping[int, str]
"""Filled cells of a row by their 0-based column."""

_LEAST_FILLED = 0.05  # a table emptier than this is written as a list of its cells
_SMALL = 2_000  # places: so small a table may be as empty as it likes
_GAP_COLUMNS = 1


class CellBudget:
    """Counts filled cells over all sheets of a workbook."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._left = allowed().max_cells

    def spend(self, cells: int) -> None:
        """Count some.

        Raises:
            ParseError: ``over_limit``.
        """
        self._left -= cells
        if self._left < 0:
            raise over_limit(self._what, "max_cells", "filled cells")


def sheet_markdown(rows: Iterable[tuple[int, Row]]) -> tuple[str, int]:
    """A sheet's text and its number of tables: a table for each block of rows that touch.

    Args:
        rows: 0-based row numbers, rising, with their filled cells; empty rows may be absent.
    """
    parts: list[str] = []
    tables = 0
    block: list[tuple[int, Row]] = []
    for number, row in rows:
        if not row:
            continue
        if block and number != block[-1][0] + 1:
            text, is_table = _block(block)
            parts.append(text)
            tables += is_table
            block = []
        block.append((number, row))
    if block:
        text, is_table = _block(block)
        parts.append(text)
        tables += is_table
    return "\n\n".join(parts), tables


def pipe_table(rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; the first row is its header. Cells are cleaned and escaped here."""
    lines = [[clean(cell) for cell in row] for row in rows]
    width = max(map(len, lines), default=0)
    if not width:
        return ""
    texts = ["| " + " | ".join(cells + [""] * (width - len(cells))) + " |" for cells in lines]
    texts.insert(1, "|" + " --- |" * width)
    return "\n".join(texts)


def clean(cell: str) -> str:
    """One line, with what would end the cell escaped."""
    return " ".join(cell.replace("\x00", "").split()).replace("|", "\\|")


def column_name(column: int) -> str:
    """``A`` for 0, as spreadsheets say it."""
    name = ""
    column += 1
    while column:
        column, digit = divmod(column - 1, 26)
        name = chr(65 + digit) + name
    return name


def _block(block: list[tuple[int, Row]]) -> tuple[str, bool]:
    columns = sorted({column for _, row in block for column in row})
    cells = sum(len(row) for _, row in block)
    if len(block) == 1 or len(columns) == 1:
        # A title, a remark, a list: words, not a table.
        lines = (" \\| ".join(clean(row[c]) for c in sorted(row)) for _, row in block)
        if len(block) == 1 and len(columns) > 1:
            return pipe_table([[row[c] for c in columns] for _, row in block]), True
        return "\n".join(lines), False
    places = len(columns) * len(block)
    if places > _SMALL and cells < _LEAST_FILLED * places:
        lines = (
            f"{column_name(column)}{number + 1}: {clean(row[column])}"
            for number, row in block
            for column in sorted(row)
        )
        return "\n".join(lines), False
    return pipe_table([[row.get(c, "") for c in columns] for _, row in block]), True
