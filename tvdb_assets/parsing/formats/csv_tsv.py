"""Tables in text files (CSV, TSV): find the delimiter, write a Markdown table.

What belongs here: delimited text. What does not: workbooks (`formats.xlsx`, `formats.xls`).
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import Literal

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.markdown.tables import CellBudget, clean_cell, pipe_table, preamble_length
from tvdb_assets.parsing.parse_errors import corrupt, empty
from tvdb_assets.parsing.reading.text_decoding import decode

_DOCUMENT_KIND = "table"
_DELIMITERS = ",;\t|"
_STATED_DELIMITER = re.compile(r"""\ufeff?"?sep=([,;\t|])"?[,;\t|]*(?:\r\n?|\n)""", re.IGNORECASE)
"""The first line of a file that Excel is to open; it is no data."""
_SAMPLE_LINES = 50
_MAX_ABOVE = 30  # rows
_LONGEST_CELL = 10_000_000
_MAX_COLUMNS = 16_384


class DelimitedParser(BaseParser):
    """Reads one table with its first row as the header. No formula in a cell is computed."""

    media_types = frozenset({"text/csv", "text/tab-separated-values"})
    name = "CSV, TSV"
    service = "chardetng-py"
    revision = 3
    preserved = (
        "every cell, as one table with its first full row as the header; titles and remarks above "
        "the table as text"
    )
    not_preserved = "line breaks inside cells"
    is_memory_safe = True

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a table."""
        decoded = decode(data)
        text = decoded.text.replace("\x00", "")
        preferred = "\t" if media_type.startswith("text/tab") else ","
        if (stated := _STATED_DELIMITER.match(text)) is not None:
            delimiter, text = stated[1], text[stated.end() :]
        else:
            delimiter = find_delimiter(text, preferred)
        rows = list(_rows(text, delimiter))
        if not any(rows):
            raise empty("The table")
        is_table = max(map(len, rows)) > 1
        above = _rows_above(rows)
        rows = [row for row in rows if row]
        remarks = [
            " \\| ".join(clean_cell(cell) for cell in row if cell.strip()) for row in rows[:above]
        ]
        body = (
            "\n\n".join([*remarks, pipe_table(rows[above:])])
            if is_table
            else "\n".join(cell for row in rows for cell in row)
        )
        return build_document(
            [body],
            media_type=media_type,
            is_markdown=is_table,
            service=self.service,
            model="table" if is_table else "lines",
            encoding=decoded.encoding,
            notes=decoded.notes(),
            facts={"tables": int(is_table), "rows": len(rows)},
        )


def find_delimiter(text: str, preferred: str) -> str:
    """The delimiter that splits the first lines into the same number of cells, and into most."""
    sample = text[:65_536].splitlines()[:_SAMPLE_LINES]
    best, best_score = preferred, 0.0
    for delimiter in (preferred, *_DELIMITERS):
        try:
            widths = [len(row) for row in csv.reader(sample, delimiter=delimiter) if row]
        except csv.Error:
            continue
        if not widths:
            continue
        width, count = Counter(widths).most_common(1)[0]
        score = (count / len(widths)) * min(width, 20) if width > 1 else 0.0
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    budget = CellBudget(_DOCUMENT_KIND)
    csv.field_size_limit(_LONGEST_CELL)
    # A quote that is never closed must not swallow the rest of the file as one cell.
    quoting: Literal[0, 3] = (
        csv.QUOTE_NONE if _has_open_quote(text, delimiter) else csv.QUOTE_MINIMAL
    )
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting):
            cells = row[:_MAX_COLUMNS]
            while cells and not cells[-1].strip():
                cells.pop()
            budget.spend(len(cells))
            yield cells
    except csv.Error:
        raise corrupt(
            _DOCUMENT_KIND, f"a cell has more than {_LONGEST_CELL:,} characters"
        ) from None


def _rows_above(rows: list[list[str]]) -> int:
    """Number of filled rows above the header row, which an empty row may part from it."""
    filled = [sum(1 for cell in row if cell.strip()) for row in rows]
    above = preamble_length([count for count in filled if count])
    start = next((at for at, count in enumerate(filled) if count), 0)
    gap = next((at for at in range(start, min(_MAX_ABOVE, len(filled))) if not filled[at]), 0)
    rest = [count for count in filled[gap:] if count]
    if gap and len(rest) > 2:
        usual = Counter(rest).most_common(1)[0][0]
        if all(count < usual for count in filled[:gap]):
            above = max(above, sum(1 for count in filled[:gap] if count))
    return above


def _has_open_quote(text: str, delimiter: str) -> bool:
    try:
        for _ in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            pass
    except csv.Error as error:
        return "unexpected end of data" in str(error)
    return False


PARSER = DelimitedParser()
