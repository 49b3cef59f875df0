"""Binary Excel workbooks (XLSB), by the records of [MS-XLSB].

What belongs here: BIFF12. What does not: tables (`markdown.tables`), number formats
(`reading.number_formats`), other workbooks (`formats.xlsx`, `formats.xls`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.active_limits import current_limits, over_limit
from tvdb_assets.parsing.base_parser import THIS_PACKAGE, BaseParser
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.markdown.tables import CellBudget, sheet_to_markdown
from tvdb_assets.parsing.parse_errors import corrupt, empty
from tvdb_assets.parsing.reading import zip_packages
from tvdb_assets.parsing.reading.number_formats import EPOCH, EPOCH_1904, code_of, show_number
from tvdb_assets.parsing.reading.ooxml import core_title, relations

_DOCUMENT_KIND = "binary Excel workbook"
_ROW, _RK, _ERROR, _BOOL, _REAL, _TEXT, _SHARED = 0, 2, 3, 4, 5, 6, 7
_F_TEXT, _F_REAL, _F_BOOL, _F_ERROR = 8, 9, 10, 11
_SHARED_ITEM, _FORMAT, _STYLE, _COLUMN, _RICH_TEXT = 19, 44, 47, 60, 62
_BOOK, _SHEET, _FILTER, _STYLES_START, _STYLES_END = 153, 156, 161, 617, 618
_ERRORS = {
    0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A",
}  # fmt: skip
_MAX_COLUMNS = 16_384


class XlsbParser(BaseParser):
    """Reads the last computed values, as the cells show them."""

    media_types = frozenset({zip_packages.EXTENSIONS["xlsb"]})
    name = "binary Excel (XLSB)"
    service = THIS_PACKAGE
    other_libraries = ("lxml",)
    preserved = (
        "sheets as pages with their names, cells as tables in their number formats, dates by "
        "ISO 8601"
    )
    not_preserved = "hidden sheets, rows and columns, formulas, comments, charts, pictures, colors"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a workbook; hidden sheets, rows and columns are left out, with a note."""
        members = zip_packages.read_members(data, _DOCUMENT_KIND, (".bin", ".rels", ".xml"))
        book = _Workbook(members)
        pages: list[str] = []
        tables = hidden = broken = cells = 0
        budget = CellBudget(_DOCUMENT_KIND)
        for title, part, is_hidden in book.sheets:
            if len(pages) == current_limits().max_pages:
                raise over_limit(_DOCUMENT_KIND, "max_pages", "sheets")
            content = members.get(part)
            if content is None or is_hidden:
                hidden += is_hidden
                broken += not is_hidden
                continue
            rows = _Rows(content, book, budget)
            text, count = sheet_to_markdown(rows)
            cells += rows.hidden
            broken += rows.is_broken
            pages.append(f"## {title}\n\n{text}" if text else "")
            tables += count
        if not any(pages):
            if broken:
                raise corrupt(_DOCUMENT_KIND, "its sheets can't be read")
            raise empty("The Excel workbook" + ", except for hidden cells," * bool(hidden or cells))
        notes = (
            (broken, f"{broken} sheets are damaged; what comes before the damage is kept"),
            (hidden, f"{hidden} hidden sheets are left out"),
            (cells, f"{cells} cells of hidden rows and columns are left out"),
        )
        return build_document(
            pages,
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model="sheets",
            has_pages=True,
            title=core_title(members),
            notes=[note for number, note in notes if number],
            facts={"sheets": len(pages), "tables": tables},
        )


class _Workbook:
    """The list of sheets, shared texts and number formats of a workbook."""

    def __init__(self, members: dict[str, bytes]) -> None:
        part = "xl/workbook.bin"
        content = members.get(part)
        if content is None:
            raise corrupt(_DOCUMENT_KIND, "its list of sheets is missing")
        links = relations(members, part)
        self.epoch = EPOCH
        self.sheets: list[tuple[str, str, bool]] = []
        """Name, member of the package, and whether it is hidden."""
        for kind, body in _records(content):
            if kind == _BOOK and len(body) >= 4 and body[0] & 1:
                self.epoch = EPOCH_1904
            elif kind == _SHEET and len(body) >= 12:
                state = struct.unpack_from("<I", body)[0]
                link, end = _string(body, 8)
                name, _ = _string(body, end)
                relation, target = links.get(link, ("", ""))
                if relation in {"worksheet", ""}:
                    self.sheets.append((" ".join(name.split()) or "Sheet", target, state > 0))
        by_kind = {kind: members.get(name, b"") for kind, name in links.values()}
        self.texts = [
            _string(body, 1)[0]
            for kind, body in _records(by_kind.get("sharedStrings", b""))
            if kind == _SHARED_ITEM
        ]
        self.formats = _formats(by_kind.get("styles", b""))


def _formats(content: bytes) -> list[str]:
    """The code of the number format of each cell style."""
    own: dict[int, str] = {}
    numbers: list[int] = []
    is_inside = False
    for kind, body in _records(content):
        if kind == _FORMAT and len(body) >= 6:
            own[struct.unpack_from("<H", body)[0]] = _string(body, 2)[0]
        elif kind in {_STYLES_START, _STYLES_END}:
            is_inside = kind == _STYLES_START
        elif kind == _STYLE and is_inside and len(body) >= 4:
            numbers.append(struct.unpack_from("<H", body, 2)[0])
    return [code_of(str(number), own.get(number)) for number in numbers]


class _Rows:
    """The rows of a sheet with their filled cells, read one by one."""

    def __init__(self, content: bytes, book: _Workbook, budget: CellBudget) -> None:
        self._content = content
        self._book = book
        self._budget = budget
        self._unseen: set[int] = set()
        self.hidden = 0
        """Filled cells in hidden rows and columns."""
        self.is_broken = False

    def __iter__(self) -> Iterator[tuple[int, dict[int, str]]]:
        filtered = _filtered_rows(self._content)
        row, cells, is_hidden = -1, dict[int, str](), False
        try:
            for kind, body in _records(self._content):
                if kind == _ROW:
                    yield from self._finished(row, cells, is_hidden)
                    row, cells = struct.unpack_from("<I", body)[0], {}
                    # A row of an outline that is folded up, or behind a filter, can be shown.
                    is_hidden = bool(body[11] & 0x10) and not body[11] & 7 and row not in filtered
                elif kind == _COLUMN:
                    self._note_column(body)
                elif _RK <= kind <= _F_ERROR or kind == _RICH_TEXT:
                    column, style = struct.unpack_from("<II", body)
                    text = self._value(kind, body, style & 0xFFFFFF)
                    if text and not text.isspace() and column < _MAX_COLUMNS:
                        cells[column] = text
        except (struct.error, IndexError):
            self.is_broken = True
        yield from self._finished(row, cells, is_hidden)

    def _finished(
        self, row: int, cells: dict[int, str], is_hidden: bool
    ) -> Iterator[tuple[int, dict[int, str]]]:
        seen = {} if is_hidden else {c: cells[c] for c in cells if c not in self._unseen}
        self.hidden += len(cells) - len(seen)
        self._budget.spend(len(seen))
        if seen:
            yield row, seen

    def _note_column(self, body: bytes) -> None:
        first, last, _, _, flags = struct.unpack_from("<IIIIH", body)
        if flags & 1 and not flags >> 8 & 7:
            self._unseen.update(range(first, min(last + 1, _MAX_COLUMNS)))

    def _value(self, kind: int, body: bytes, style: int) -> str:
        if kind in {_TEXT, _F_TEXT}:
            return _string(body, 8)[0]
        if kind == _RICH_TEXT:
            return _string(body, 9)[0]
        if kind == _SHARED:
            number = struct.unpack_from("<I", body, 8)[0]
            return self._book.texts[number] if number < len(self._book.texts) else ""
        if kind in {_BOOL, _F_BOOL}:
            return "TRUE" if body[8] else "FALSE"
        if kind in {_ERROR, _F_ERROR}:
            return _ERRORS.get(body[8], "")
        number = _packed(body) if kind == _RK else repr(struct.unpack_from("<d", body, 8)[0])
        formats = self._book.formats
        return show_number(number, formats[style] if style < len(formats) else "", self._book.epoch)


def _filtered_rows(content: bytes) -> range:
    for kind, body in _records(content):
        if kind == _FILTER and len(body) >= 8:
            first, last = struct.unpack_from("<II", body)
            return range(first, last + 1)
    return range(0)


def _packed(body: bytes) -> str:
    """A number in 30 bits: a whole number, or the upper half of a double; maybe of hundredths."""
    raw = struct.unpack_from("<I", body, 8)[0]
    if raw & 2:
        number = struct.unpack_from("<i", body, 8)[0] >> 2
        return f"{number}E-2" if raw & 1 else str(number)
    value = struct.unpack("<d", b"\0\0\0\0" + struct.pack("<I", raw & ~3))[0]
    return f"{value!r}" if not raw & 1 else repr(value / 100)


def _string(body: bytes, at: int) -> tuple[str, int]:
    """A text with its length before it, and where it ends."""
    if at + 4 > len(body):
        return "", len(body)
    length = struct.unpack_from("<I", body, at)[0]
    if length == 0xFFFFFFFF:  # an absent text
        return "", at + 4
    end = at + 4 + 2 * length
    return body[at + 4 : end].decode("utf-16-le", errors="replace"), end


def _records(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and body of each record; a damaged one ends the sequence."""
    at, end = 0, len(content)
    while at < end:
        kind = content[at]
        at += 1
        if kind & 0x80 and at < end:
            kind = kind & 0x7F | (content[at] & 0x7F) << 7
            at += 1
        length = 0
        for shift in range(0, 28, 7):
            if at >= end:
                return
            byte = content[at]
            at += 1
            length |= (byte & 0x7F) << shift
            if not byte & 0x80:
                break
        if at + length > end:
            return
        yield kind, content[at : at + length]
        at += length


PARSER = XlsbParser()
