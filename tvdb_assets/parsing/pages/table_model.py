"""A table and what its two kinds have in common.

What belongs here: the table, texts of cells, gutters. What does not: how tables are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvdb_assets.parsing.pages.words import Span, Word, text_lines

_MIN_GUTTER = 0.35  # share of the height of a line


@dataclass(slots=True)
class Table:
    """Rows of cell texts, and the region of the page that they fill, in points."""

    left: float
    top: float
    right: float
    bottom: float
    rows: list[list[str]]
    words: Sequence[Word]
    is_ruled: bool = False


def cell_text(words: Sequence[Word]) -> str:
    """The words of a cell, line by line."""
    if not words:
        return ""
    return " ".join(line.text for line in text_lines(words))


def without_empty(rows: list[list[str]]) -> list[list[str]]:
    """The rows and columns that have a text."""
    rows = [row for row in rows if any(row)]
    keep = [c for c in range(len(rows[0]) if rows else 0) if any(row[c] for row in rows)]
    return [[row[c] for c in keep] for row in rows]


def gutters(lines: Sequence[Sequence[Span]], height: float, allowed: int) -> list[float]:
    """Positions between columns: vertical bands that at most `allowed` lines cross.

    Args:
        lines: the spans of each line.
        height: of a line in points.
        allowed: number of lines that may cross a gutter.
    """
    events: list[tuple[float, int]] = []
    for spans in lines:
        for span in spans:
            events.append((span.left, 1))
            events.append((span.right, -1))
    if not events:
        return []
    events.sort()
    out: list[float] = []
    depth = 0
    start: float | None = None
    for x, step in events:
        depth += step
        if depth <= allowed:
            if start is None and step < 0:
                start = x
        elif start is not None:
            if x - start >= _MIN_GUTTER * height:
                out.append((start + x) / 2)
            start = None
    return out
