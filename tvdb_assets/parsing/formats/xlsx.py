"""Excel workbooks (XLSX): a table per block of filled cells, a page per sheet.

What belongs here: SpreadsheetML. What does not: tables (`markdown.tables`), old workbooks
(`formats.xls`). Only the stored cells are read, so a sheet with two cells at far corners costs
two cells.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from lxml import etree

from tvdb_assets.core.superscripts import subscript, superscript
from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.active_limits import current_limits, over_limit
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.markdown.tables import CellBudget, sheet_to_markdown
from tvdb_assets.parsing.parse_errors import corrupt, empty
from tvdb_assets.parsing.reading import safe_xml, zip_packages
from tvdb_assets.parsing.reading.number_formats import EPOCH, EPOCH_1904, code_of, show_number
from tvdb_assets.parsing.reading.ooxml import core_title, relations
from tvdb_assets.parsing.reading.safe_xml import Element

_DOCUMENT_KIND = "Excel workbook"
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})\Z")
_FILTER = re.compile(
    rb"""<(?:\w+:)?autoFilter\b[^>]*?\bref=["']\$?[A-Z]+\$?(\d{1,7}):\$?[A-Z]+\$?(\d{1,7})["']"""
)
_SHIFTS = {"superscript": superscript, "subscript": subscript}
_TRUE = frozenset({"1", "true"})
_MAX_COLUMNS = 16_384
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
"""A character that XML can't hold, such as a carriage return, as Excel writes it."""


class XlsxParser(BaseParser):
    """Reads the last computed values, as the cells show them."""

    revision = 3

    media_types = frozenset({zip_packages.EXTENSIONS["xlsx"]})
    name = "Excel (XLSX)"
    service = "lxml"
    preserved = (
        "sheets as pages with their names, cells as tables in their number formats, dates by "
        "ISO 8601, comments, formulas without a stored result"
    )
    not_preserved = "hidden sheets, rows and columns, other formulas, charts, pictures, colors"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a workbook; hidden sheets, rows and columns are left out, with a note."""
        members = zip_packages.read_xml_members(data, _DOCUMENT_KIND)
        book = _Workbook(members)
        pages: list[str] = []
        notes: list[str] = []
        tables = hidden = broken = formulas = 0
        budget = CellBudget(_DOCUMENT_KIND)
        hidden_cells = 0
        for title, part, is_hidden in book.sheets():
            if is_hidden:
                hidden += 1
                continue
            if len(pages) == current_limits().max_pages:
                raise over_limit(_DOCUMENT_KIND, "max_pages", "sheets")
            content = members.get(part)
            if content is None:
                broken += 1
                continue
            rows = _Rows(content, book, budget)
            text, count = sheet_to_markdown(rows)
            broken += rows.is_broken
            formulas += rows.formulas
            hidden_cells += rows.hidden
            remarks = _comments(members, part)
            body = "\n\n".join(piece for piece in (text, remarks) if piece)
            pages.append(f"## {title}\n\n{body}" if body else "")
            tables += count
        if not any(pages):
            if broken:
                raise corrupt(_DOCUMENT_KIND, "its sheets can't be read")
            is_hidden = bool(hidden or hidden_cells)
            raise empty("The Excel workbook" + ", except for hidden cells," * is_hidden)
        if broken:
            notes.append(f"{broken} sheets are damaged; what comes before the damage is kept")
        if hidden:
            notes.append(f"{hidden} hidden sheets are left out")
        if hidden_cells:
            notes.append(f"{hidden_cells} cells of hidden rows and columns are left out")
        if formulas:
            notes.append(
                f"{formulas} formulas have no stored result; the formulas are kept instead"
            )
        return build_document(
            pages,
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model="sheets",
            has_pages=True,
            title=core_title(members),
            notes=notes,
            facts={"sheets": len(pages), "tables": tables},
        )


class _Workbook:
    """The shared texts, number formats and list of sheets of a workbook."""

    def __init__(self, members: dict[str, bytes]) -> None:
        self._members = members
        self._part = next(
            (name for kind, name in relations(members, "").values() if kind == "officeDocument"),
            "xl/workbook.xml",
        )
        content = members.get(self._part)
        if content is None:
            raise corrupt(_DOCUMENT_KIND, "its list of sheets is missing")
        self._root = safe_xml.read(content, _DOCUMENT_KIND)
        self._relations = relations(members, self._part)
        settings = self._root.find("{*}workbookPr")
        self.epoch = EPOCH
        if settings is not None and settings.get("date1904") in {"1", "true"}:
            self.epoch = EPOCH_1904
        self.texts = self._shared_texts()
        self.formats = self._formats()

    def sheets(self) -> Iterator[tuple[str, str, bool]]:
        """Of each sheet: its name, its member of the package, whether it is hidden."""
        for sheet in self._root.iterfind("{*}sheets/{*}sheet"):
            kind, part = self._relations.get(
                safe_xml.attribute_of(sheet, "relationships", "id") or "", ("", "")
            )
            if kind != "chartsheet":
                title = " ".join((sheet.get("name") or "").split())
                yield title or "Sheet", part, sheet.get("state") in {"hidden", "veryHidden"}

    def _of_kind(self, wanted: str) -> Element | None:
        for kind, part in self._relations.values():
            if kind == wanted:
                return safe_xml.try_read(self._members.get(part))
        return None

    def _shared_texts(self) -> list[str]:
        root = self._of_kind("sharedStrings")
        return [] if root is None else [_rich_text(item) for item in root.iterfind("{*}si")]

    def _formats(self) -> list[str]:
        """The code of the number format of each cell style."""
        root = self._of_kind("styles")
        if root is None:
            return []
        own = {
            item.get("numFmtId"): item.get("formatCode") or ""
            for item in root.iterfind("{*}numFmts/{*}numFmt")
        }
        return [
            code_of(style.get("numFmtId") or "0", own.get(style.get("numFmtId")))
            for style in root.iterfind("{*}cellXfs/{*}xf")
        ]


def _rich_text(item: Element) -> str:
    """The text of one or many runs, without phonetic hints."""
    parts: list[str] = []
    for text in item.iter("{*}t"):
        run = text.getparent()
        if safe_xml.local_name(run) == "rPh":
            continue
        look = run.find("{*}rPr/{*}vertAlign")
        shift = None if look is None else _SHIFTS.get(look.get("val") or "")
        before = parts[-1] if parts else ""
        parts.append(text.text or "" if shift is None else shift(text.text or "", before))
    return _unescaped("".join(parts))


def _unescaped(text: str) -> str:
    if "_x" not in text:
        return text
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


class _Rows:
    """The rows of a sheet with their filled cells, read one by one."""

    def __init__(self, content: bytes, book: _Workbook, budget: CellBudget) -> None:
        self._content = content
        self._book = book
        self._budget = budget
        self.is_broken = False
        self.formulas = 0
        """Formulas without a stored result."""
        self.hidden = 0
        """Filled cells in hidden rows and columns."""
        self._unseen: set[int] = set()
        self._filtered = range(0)
        """Rows that a filter may hide; its user can show them by a click."""

    def __iter__(self) -> Iterator[tuple[int, dict[int, str]]]:
        last = -1
        try:
            self._filtered = _filtered_rows(self._content)
            for _, row in etree.iterparse(
                io.BytesIO(self._content),
                tag=("{*}row", "{*}col"),
                resolve_entities=False,
                no_network=True,
            ):
                if safe_xml.local_name(row) == "col":
                    self._note_column(row)
                    continue
                stated = row.get("r") or ""
                number = int(stated) - 1 if stated.isdecimal() else last + 1
                last = max(last, number)
                cells = self._cells(row)
                if (
                    row.get("hidden") in _TRUE
                    and last not in self._filtered
                    and not (row.get("outlineLevel") or "0").strip("0")
                ):
                    self.hidden += len(cells)
                    cells = {}
                self._budget.spend(len(cells))
                yield last, cells
                row.clear()
                while row.getprevious() is not None:
                    del row.getparent()[0]
        except etree.XMLSyntaxError:
            self.is_broken = True

    def _cells(self, row: Element) -> dict[int, str]:
        cells: dict[int, str] = {}
        column = -1
        for cell in row.iterchildren("{*}c"):
            place = _REFERENCE.match(cell.get("r") or "")
            column = _column(place[1]) if place else column + 1
            text = self._value(cell)
            if text and not text.isspace():
                if column in self._unseen:
                    self.hidden += 1
                else:
                    cells[column] = text
        return cells

    def _note_column(self, column: Element) -> None:
        first, last = column.get("min") or "", column.get("max") or ""
        # What is folded up in an outline can be unfolded by a click.
        is_folded = bool((column.get("outlineLevel") or "0").strip("0"))
        if column.get("hidden") in _TRUE and not is_folded and (first + last).isdecimal():
            self._unseen.update(range(int(first) - 1, min(int(last), _MAX_COLUMNS)))

    def _value(self, cell: Element) -> str:
        kind = cell.get("t") or "n"
        if kind == "inlineStr":
            inline = cell.find("{*}is")
            return "" if inline is None else _rich_text(inline)
        value = cell.findtext("{*}v") or ""
        if not value and (formula := cell.find("{*}f")) is not None:
            self.formulas += 1
            return f"={formula.text}" if formula.text else ""
        if kind == "s":
            texts = self._book.texts
            return texts[int(value)] if value.isdecimal() and int(value) < len(texts) else ""
        if kind == "b":
            return "TRUE" if value == "1" else "FALSE"
        if kind == "n" and value:
            style = cell.get("s") or ""
            formats = self._book.formats
            known = style.isdecimal() and int(style) < len(formats)
            return show_number(value, formats[int(style)] if known else "", self._book.epoch)
        return _unescaped(value)


def _filtered_rows(content: bytes) -> range:
    found = _FILTER.search(content)
    return range(int(found[1]) - 1, int(found[2])) if found else range(0)


def _column(letters: str) -> int:
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - 64
    return column - 1


def _comments(members: dict[str, bytes], part: str) -> str:
    lines: list[str] = []
    for kind, name in relations(members, part).values():
        if kind == "comments" and (root := safe_xml.try_read(members.get(name))) is not None:
            lines += [
                f"Comment on {comment.get('ref')}: {' '.join(_rich_text(comment).split())}"
                for comment in root.iter("{*}comment")
            ]
    return "\n\n".join(lines)


PARSER = XlsxParser()
