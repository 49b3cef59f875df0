"""Tables of a page, from its words and rulings.

What belongs here: which tables a page has. What does not: their rows and columns
(`pages.ruled_tables`, `pages.open_tables`), words (`pages.words`), Markdown.
"""

from __future__ import annotations

from collections.abc import Sequence

from tvdb_assets.parsing.pages.open_tables import open_tables
from tvdb_assets.parsing.pages.ruled_tables import ruled_table
from tvdb_assets.parsing.pages.rulings import Grid, Ruling, grids
from tvdb_assets.parsing.pages.table_model import Table
from tvdb_assets.parsing.pages.words import Word


def find_tables(
    words: Sequence[Word], horizontal: Sequence[Ruling], vertical: Sequence[Ruling]
) -> list[Table]:
    """The tables of a page, from top to bottom."""
    tables: list[Table] = []
    rest = list(words)
    used: set[int] = set()
    for grid in grids(horizontal, vertical):
        inside = [word for word in rest if _is_inside(word, grid)]
        table = ruled_table(grid, inside) if len(inside) > 1 else None
        if table is not None:
            taken = set(map(id, table.words))
            rest = [word for word in rest if id(word) not in taken]
            used |= set(map(id, grid.horizontal))
            tables.append(table)
    free = [ruling for ruling in horizontal if id(ruling) not in used]
    tables += open_tables(rest, free, vertical)
    tables.sort(key=lambda table: (table.top, table.left))
    return tables


def _is_inside(word: Word, box: Grid) -> bool:
    x, y = (word.left + word.right) / 2, (word.top + word.bottom) / 2
    return box.left - 1 <= x <= box.right + 1 and box.top - 1 <= y <= box.bottom + 1
