"""The properties of each paragraph of an old Word document: heading, list item or table cell.

What belongs here: the pages of paragraph properties, as far as headings, lists and tables need
them. What does not: text (`formats.doc`).
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass

_PAGE = 512
_MAX_PAGES = 100_000
_IN_TABLE, _ENDS_ROW, _LIST, _OUTLINE = 0x2416, 0x2417, 0x460B, 0x2640
_SIZES = {0: 1, 1: 1, 2: 2, 3: 4, 4: 2, 5: 2, 7: 3}
_LONG = 0xD608  # the one property whose length takes two bytes


@dataclass(frozen=True, slots=True)
class ParagraphKind:
    """The kind of one paragraph."""

    level: int = 0
    """Level of a heading, 1 is the highest; 0 for any other paragraph."""
    is_item: bool = False
    in_table: bool = False
    ends_row: bool = False


class ParagraphKinds:
    """All kinds, found by the byte offset of a paragraph's mark in the stream."""

    def __init__(self, stream: bytes, plc: bytes) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._kinds: list[ParagraphKind] = []
        count = min((len(plc) - 4) // 8, _MAX_PAGES)
        for number in range(max(0, count)):
            page = struct.unpack_from("<I", plc, 4 * (count + 1) + 4 * number)[0] & 0x3FFFFF
            self._read_page(stream[page * _PAGE : (page + 1) * _PAGE])
        order = sorted(range(len(self._starts)), key=self._starts.__getitem__)
        self._ends = [self._ends[i] for i in order]
        self._kinds = [self._kinds[i] for i in order]
        self._starts = [self._starts[i] for i in order]

    def at(self, offset: int) -> ParagraphKind | None:
        """The kind at a byte offset; None if nothing is known."""
        found = bisect_right(self._starts, offset) - 1
        return self._kinds[found] if found >= 0 and offset < self._ends[found] else None

    def _read_page(self, page: bytes) -> None:
        if len(page) < _PAGE:
            return
        count = page[-1]
        if 4 * (count + 1) + 13 * count > _PAGE:
            return
        ends = struct.unpack_from(f"<{count + 1}I", page)
        for number in range(count):
            place = 2 * page[4 * (count + 1) + 13 * number]
            self._starts.append(ends[number])
            self._ends.append(ends[number + 1])
            self._kinds.append(_kind(page, place) if place else ParagraphKind())


def _kind(page: bytes, place: int) -> ParagraphKind:
    size = 2 * page[place] - 1
    place += 1
    if size < 0 and place < _PAGE:
        size = 2 * page[place]
        place += 1
    if size < 2 or place + 2 > _PAGE:
        return ParagraphKind()
    style = int.from_bytes(page[place : place + 2], "little")
    found = _properties(page[place + 2 : place + size])
    # Styles 1 to 9 are the headings.
    level = style if 1 <= style <= 9 else 0
    outline = found.get(_OUTLINE)
    if outline is not None and not level:
        level = outline + 1 if outline < 9 else 0
    return ParagraphKind(
        level=level,
        is_item=bool(found.get(_LIST)),
        in_table=bool(found.get(_IN_TABLE)),
        ends_row=bool(found.get(_ENDS_ROW)),
    )


def _properties(data: bytes) -> dict[int, int]:
    found: dict[int, int] = {}
    place = 0
    while place + 3 <= len(data):
        code = int.from_bytes(data[place : place + 2], "little")
        place += 2
        size = _SIZES.get(code >> 13)
        if size is None:
            if code == _LONG:
                size = 1 + int.from_bytes(data[place : place + 2], "little")
            else:
                size = 1 + data[place]
        elif size <= 2:
            found[code] = int.from_bytes(data[place : place + size], "little")
        place += size
    return found
