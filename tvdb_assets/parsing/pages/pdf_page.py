"""Words and rulings of a page that liteparse parsed, and whether it can hold a table.

What belongs here: liteparse's objects to ours. What does not: layout.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING

from tvdb_assets.parsing.pages.page_markdown import page_markdown
from tvdb_assets.parsing.pages.rulings import Ruling, merge_rulings
from tvdb_assets.parsing.pages.tables import find_tables
from tvdb_assets.parsing.pages.words import MARKER, WIDE_GAP, Word, join_fragments

if TYPE_CHECKING:
    from liteparse import ParsedPage

_UPRIGHT = 2.0  # degrees
_STRAIGHT = 1.0  # points between the ends of a ruling


def layout(page: ParsedPage) -> tuple[str, int] | None:
    """The page's Markdown with its tables, and their number; None if it has no table."""
    if not _may_have_tables(page):
        return None
    words = words_of(page)
    tables = find_tables(words, *_rulings(page))
    return page_markdown(page.blocks or (), tables, words)


def words_of(page: ParsedPage) -> list[Word]:
    """The upright words, in the order of the content."""
    return join_fragments(
        Word(word.x, word.y, word.x + word.width, word.y + word.height, word.text)
        for item in page.text_items
        if -_UPRIGHT < (item.rotation + 180) % 360 - 180 < _UPRIGHT
        for word in item.words
    )


def _may_have_tables(page: ParsedPage) -> bool:
    """Whether two lines have a wide gap, or the library sees a table; it costs little."""
    if any(block.kind in ("table", "grid_fallback") for block in page.blocks or ()):
        return True
    rows: dict[int, list[tuple[float, float, float, str]]] = defaultdict(list)
    for item in page.text_items:
        rows[round((item.y + item.height / 2) / 4)].append(
            (item.x, item.x + item.width, item.height, item.text)
        )
    found = 0
    for row in rows.values():
        if len(row) > 1:
            row.sort()
            is_item = len(row) == 2 and MARKER.match(row[0][3]) is not None
            found += not is_item and any(
                right[0] - left[1] > WIDE_GAP * left[2] for left, right in itertools.pairwise(row)
            )
            if found > 1:
                return True
    return False


def _rulings(page: ParsedPage) -> tuple[list[Ruling], list[Ruling]]:
    """Horizontal and vertical rulings, the edges of areas among them."""
    horizontal: list[Ruling] = []
    vertical: list[Ruling] = []
    for line in page.vector_graphics.lines if page.vector_graphics else ():
        if abs(line.y1 - line.y2) < _STRAIGHT:
            horizontal.append(Ruling(line.y1, min(line.x1, line.x2), max(line.x1, line.x2)))
        elif abs(line.x1 - line.x2) < _STRAIGHT:
            vertical.append(Ruling(line.x1, min(line.y1, line.y2), max(line.y1, line.y2)))
    return merge_rulings(horizontal), merge_rulings(vertical)
