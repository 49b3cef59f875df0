"""Whether rows and columns are a table, or text that a frame or columns made look like one.

What belongs here: judgement of rows of texts. What does not: positions.
"""

from __future__ import annotations

from collections.abc import Sequence

from tvdb_assets.parsing.pages.words import is_figure

_LONG = 12  # words of a cell, from which it is a sentence rather than a term


def is_data(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the rows are a table of data: several rows and columns, and no running text."""
    filled = [[cell for cell in row if cell.strip()] for row in rows]
    filled = [row for row in filled if row]
    if len(filled) < 2 or sum(1 for row in filled if len(row) > 1) < 2:
        return False
    if max(map(len, filled)) < 2:
        return False
    cells = [cell for row in filled for cell in row]
    return not is_prose(cells)


def is_prose(cells: Sequence[str]) -> bool:
    """Whether most of the words stand in long cells, and few cells hold figures."""
    words = [len(cell.split()) for cell in cells]
    long = sum(count for count in words if count >= _LONG)
    figures = sum(map(is_figure, cells))
    return long > 0.6 * sum(words) and figures < 0.2 * len(cells)
