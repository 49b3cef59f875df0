"""Rows and sheets of cells to Markdown tables; empty cells cost nothing.

What belongs here: filled cells by position, to text. What does not: reading any file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tvdb_assets.parsing.active_limits import current_limits, over_limit

Row = Mapping[int, str]
"""Filled cells of a row by their 0-based column."""

_MIN_FILLED_SHARE = 0.05  # a table with a lower share of filled cells is written as a list
_MAX_PREAMBLE = 30  # rows
_SMALL = 2_000  # cells: a smaller table may be emptier than that


class CellBudget:
    """Counts filled cells over all sheets of a workbook."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._left = current_limits().max_cells

    def spend(self, cells: int) -> None:
        """Count more cells.

        Raises:
            ParseError: ``over_limit``.
        """
        self._left -= cells
        if self._left < 0:
            raise over_limit(self._what, "max_cells", "filled cells")


def sheet_to_markdown(rows: Iterable[tuple[int, Row]]) -> tuple[str, int]:
    """A sheet's text and its number of tables; each block of adjacent rows is a table.

    Args:
        rows: 0-based row numbers, ascending, with their filled cells; empty rows may be absent.
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


def preamble_length(rows: Sequence[int]) -> int:
    """Number of rows above the header row of a table: titles and remarks.

    Args:
        rows: the number of filled cells of each row.
    """
    if len(rows) < 3:
        return 0
    usual = Counter(rows).most_common(1)[0][0]
    for at, filled in enumerate(rows[:_MAX_PREAMBLE]):
        if filled > max(1, usual // 2):
            return at
    return 0


def pipe_table(rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; the first row is its header. Cells are cleaned and escaped here."""
    lines = [[clean_cell(cell) for cell in row] for row in rows]
    width = max(map(len, lines), default=0)
    if not width:
        return ""
    texts = ["| " + " | ".join(cells + [""] * (width - len(cells))) + " |" for cells in lines]
    texts.insert(1, "|" + " --- |" * width)
    return "\n".join(texts)


def clean_cell(cell: str) -> str:
    """The cell's text on one line, with pipes escaped."""
    return " ".join(cell.replace("\x00", "").split()).replace("|", "\\|")


def column_letters(column: int) -> str:
    """The spreadsheet's name of a 0-based column: ``A`` for 0."""
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
        # A title, a remark or a list is not a table.
        lines = (" \\| ".join(clean_cell(row[c]) for c in sorted(row)) for _, row in block)
        if len(block) == 1 and len(columns) > 1:
            return pipe_table([[row[c] for c in columns] for _, row in block]), True
        return "\n".join(lines), False
    places = len(columns) * len(block)
    if places > _SMALL and cells < _MIN_FILLED_SHARE * places:
        lines = (
            f"{column_letters(column)}{number + 1}: {clean_cell(row[column])}"
            for number, row in block
            for column in sorted(row)
        )
        return "\n".join(lines), False
    above = preamble_length([len(row) for _, row in block])
    remarks = [" \\| ".join(clean_cell(row[c]) for c in sorted(row)) for _, row in block[:above]]
    columns = sorted({column for _, row in block[above:] for column in row})
    table = pipe_table([[row.get(c, "") for c in columns] for _, row in block[above:]])
    return "\n\n".join([*remarks, table]), True
