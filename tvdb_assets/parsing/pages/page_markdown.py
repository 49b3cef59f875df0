"""Markdown of a page: the blocks of the layout library, with our tables in their places.

What belongs here: the order of blocks and tables, and words that no block holds. What does not:
finding tables (`pages.tables`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tvdb_assets.parsing.markdown.tables import pipe_table
from tvdb_assets.parsing.pages.table_model import Table
from tvdb_assets.parsing.pages.table_tests import is_data
from tvdb_assets.parsing.pages.words import Word, text_lines

if TYPE_CHECKING:
    from liteparse.types import LayoutBlock

_INSIDE = 0.5  # share of a block's words that a table holds, from which the block is rebuilt
_PARAGRAPH_GAP = 0.6  # heights of a line between two paragraphs


def page_markdown(
    blocks: Sequence[LayoutBlock], tables: Sequence[Table], words: Sequence[Word]
) -> tuple[str, int]:
    """The page's Markdown and its number of tables; each word is in one place."""
    taken = {id(word) for table in tables for word in table.words}
    free = [word for word in words if id(word) not in taken]
    count = len(tables)
    pending = sorted(tables, key=lambda table: table.top)
    claimed: set[int] = set()
    out: list[str] = []
    for block in blocks:
        box = block.bbox
        if box is None:
            out.append(_text_of(block)[0])
            continue
        inside = [
            word
            for word in words
            if box.x - 1 <= (word.left + word.right) / 2 <= box.x + box.width + 1
            and box.y - 1 <= (word.top + word.bottom) / 2 <= box.y + box.height + 1
        ]
        lost = [word for word in inside if id(word) in taken]
        while pending and (
            (any(id(word) in taken for word in inside) and pending[0].top <= box.y + box.height)
            or _is_above(pending[0], box.x, box.y, box.width)
        ):
            out.append(pipe_table(pending.pop(0).rows))
        if not inside or not lost:
            text, is_table = _text_of(block)
            out.append(text)
            count += is_table
            claimed.update(map(id, inside))
            continue
        rest = [word for word in inside if id(word) not in taken and id(word) not in claimed]
        claimed.update(map(id, rest))
        out += paragraphs(rest)
    out += [pipe_table(table.rows) for table in pending]
    text = "\n\n".join(part for part in out if part)
    # The library leaves out what it takes for a figure.
    left = [word for word in free if id(word) not in claimed and word.text not in text]
    return "\n\n".join([text, *paragraphs(left)]), count


def _is_above(table: Table, left: float, top: float, width: float) -> bool:
    return table.bottom <= top + 2 and min(table.right, left + width) > max(table.left, left)


def _text_of(block: LayoutBlock) -> tuple[str, bool]:
    """A block's Markdown, and whether it is a table."""
    text = (block.text or "").strip()
    if block.kind == "heading":
        return (f"{'#' * (block.level or 1)} {text}" if text else ""), False
    if block.kind == "list_item":
        marker = block.marker if block.ordered and block.marker else "-"
        return ("  " * (block.level or 0) + f"{marker} {text}" if text else ""), False
    if block.kind == "table":
        rows = [
            [cell.text for cell in row]
            for row in ([block.header] if block.header else []) + (block.rows or [])
        ]
        if is_data(rows):
            return pipe_table(rows), True
        return "\n".join(" ".join(filter(None, row)) for row in rows), False
    if block.kind == "code":
        lines = block.lines or []
        return f"```{block.lang or ''}\n" + "\n".join(lines) + "\n```" if lines else "", False
    if block.lines:
        return "\n".join(line.strip() for line in block.lines), False
    return text, False


def paragraphs(words: Sequence[Word]) -> list[str]:
    """Words as paragraphs: lines without a wide gap between them."""
    out: list[list[str]] = []
    bottom = 0.0
    for line in text_lines(words):
        if not out or line.top - bottom > _PARAGRAPH_GAP * line.height:
            out.append([])
        out[-1].append(line.text)
        bottom = line.bottom
    return [" ".join(lines) for lines in out]
