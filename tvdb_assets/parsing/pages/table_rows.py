"""Lines of a table to rows: a cell may have several lines.

What belongs here: which lines are one row. What does not: columns.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from tvdb_assets.parsing.pages.words import is_figure

_OVERLAP = 0.25  # share of a line's height
_LOOSE = 1.3  # times the narrowest distance of lines: between rows


@dataclass(slots=True)
class TableLine:
    """The texts of a line by column; `wide` are columns that share a text with a neighbour."""

    top: float
    bottom: float
    cells: list[str]
    wide: set[int]


def merge_lines(lines: Sequence[TableLine], height: float) -> list[list[str]]:
    """The rows, from top to bottom."""
    groups: list[list[TableLine]] = []
    first_body = next((i for i, line in enumerate(lines) if _has_figures(line)), 0)
    pitches = sorted(
        b.top - a.top for a, b in itertools.pairwise(lines) if b.top - a.top > 0.6 * height
    )
    tight = pitches[len(pitches) // 10] if pitches else height
    is_spaced = bool(pitches) and pitches[-len(pitches) // 3] > _LOOSE * tight
    for at, line in enumerate(lines):
        if groups and _belongs(groups[-1], line, at, first_body, height, tight, is_spaced):
            groups[-1].append(line)
        else:
            groups.append([line])
    rows = [_joined(group) for group in groups]
    return rows


def _has_figures(line: TableLine) -> bool:
    filled = [cell for cell in line.cells[1:] if cell]
    return bool(filled) and 2 * sum(map(is_figure, filled)) >= len(filled) and not line.wide


def _belongs(
    group: list[TableLine],
    line: TableLine,
    at: int,
    first_body: int,
    height: float,
    tight: float,
    is_spaced: bool,
) -> bool:
    last = group[-1]
    if _collide(group, line):
        return False
    if min(last.bottom, line.bottom) - max(last.top, line.top) > _OVERLAP * height:
        return True
    if at < first_body:
        # The lines of a header, unless one stands above several columns.
        return (
            not line.wide
            and not any(each.wide for each in group)
            and line.top - last.top < 1.6 * height
        )
    if at == first_body:
        return False
    only_label = not any(line.cells[1:])
    no_figure = not any(is_figure(cell) for cell in line.cells[1:] if cell)
    if is_spaced and line.top - last.top > _LOOSE * tight:
        return False
    if only_label:
        return _continues(line.cells[0]) or (
            is_spaced and not last.cells[0].endswith(":") and any(last.cells[1:])
        )
    if not line.cells[0] and no_figure:
        return True
    last_only_label = not any(cell for each in group for cell in each.cells[1:])
    return last_only_label and (_continues(line.cells[0]))


def _continues(text: str) -> bool:
    return text[:1].islower() or text[:1] in "(&/"


def _collide(group: list[TableLine], line: TableLine) -> bool:
    """Whether both have a figure in a column."""
    return any(
        cell
        and is_figure(cell)
        and any(each.cells[c] and is_figure(each.cells[c]) for each in group)
        for c, cell in enumerate(line.cells)
        if c
    )


def _joined(group: list[TableLine]) -> list[str]:
    return [
        " ".join(line.cells[c] for line in group if line.cells[c])
        for c in range(len(group[0].cells))
    ]
