"""Excel workbooks (XLSX): a table per block of filled cells, a page per sheet.

What belongs here: SpreadsheetML. What does not: tables (`markdown.tables`), old workbooks
(`formats.xls`). Only the stored cells are read, so a sheet with two cells at far corners costs
two cells.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from lxml import etree

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.active_limits import current_limits, over_limit
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.markdown.tables import CellBudget, sheet_to_markdown
from tvdb_assets.parsing.parse_errors import corrupt, empty
from tvdb_assets.parsing.reading import safe_xml, zip_packages
from tvdb_assets.parsing.reading.ooxml import core_title, relations
from tvdb_assets.parsing.reading.safe_xml import Element

_DOCUMENT_KIND = "Excel workbook"
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})\Z")
_DATE_FORMATS = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
_NOT_FORMAT_CODE = re.compile(r'"[^"]{0,500}"|\\.|\[[^\]]{0,100}\]|_.|\*.')
_EPOCH = datetime(1899, 12, 30)
_EPOCH_1904 = datetime(1904, 1, 1)
_LAST_DAY = 2_958_466  # the day number of the end of the year 9999


class XlsxParser(BaseParser):
    """Reads the last computed values; formulas and most formats are omitted."""

    media_types = frozenset({zip_packages.EXTENSIONS["xlsx"]})
    name = "Excel (XLSX)"
    service = "lxml"
    preserved = "sheets as pages with their names, cells as tables, dates, comments"
    not_preserved = "formulas, charts, pictures, number formats other than dates and percents"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a workbook; hidden sheets are read too, with a note."""
        members = zip_packages.read_xml_members(data, _DOCUMENT_KIND)
        book = _Workbook(members)
        pages: list[str] = []
        notes: list[str] = []
        tables = hidden = broken = 0
        budget = CellBudget(_DOCUMENT_KIND)
        for title, part, is_hidden in book.sheets():
            if len(pages) == current_limits().max_pages:
                raise over_limit(_DOCUMENT_KIND, "max_pages", "sheets")
            content = members.get(part)
            if content is None:
                broken += 1
                continue
            rows = _Rows(content, book, budget)
            text, count = sheet_to_markdown(rows)
            broken += rows.is_broken
            remarks = _comments(members, part)
            body = "\n\n".join(piece for piece in (text, remarks) if piece)
            pages.append(f"## {title}\n\n{body}" if body else "")
            tables += count
            hidden += is_hidden
        if not any(pages):
            if broken:
                raise corrupt(_DOCUMENT_KIND, "its sheets can't be read")
            raise empty("The Excel workbook")
        if broken:
            notes.append(f"{broken} sheets are damaged; what comes before the damage is kept")
        if hidden:
            notes.append(f"{hidden} sheets are hidden; they are read too")
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
        self.epoch = _EPOCH
        if settings is not None and settings.get("date1904") in {"1", "true"}:
            self.epoch = _EPOCH_1904
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
        """For each cell style: ``date``, ``time``, ``both``, ``percent`` or empty."""
        root = self._of_kind("styles")
        if root is None:
            return []
        own = {
            item.get("numFmtId"): item.get("formatCode") or ""
            for item in root.iterfind("{*}numFmts/{*}numFmt")
        }
        return [
            number_format_kind(style.get("numFmtId") or "0", own.get(style.get("numFmtId")))
            for style in root.iterfind("{*}cellXfs/{*}xf")
        ]


def number_format_kind(number: str, code: str | None) -> str:
    """The kind of a number format: ``date``, ``time``, ``both``, ``percent`` or empty."""
    if code is None:
        if number in {"9", "10"}:
            return "percent"
        if not number.isdecimal() or int(number) not in _DATE_FORMATS:
            return ""
        return {"18": "time", "19": "time", "20": "time", "21": "time", "22": "both",
                "45": "time", "46": "time", "47": "time"}.get(number, "date")  # fmt: skip
    bare = _NOT_FORMAT_CODE.sub("", code.split(";")[0]).lower()
    has_date = "y" in bare or "d" in bare or ("m" in bare and "h" not in bare and "s" not in bare)
    has_time = "h" in bare or "s" in bare
    if "general" in bare or (any(mark in bare for mark in "0#?") and not has_date):
        has_date = has_time = False
    if has_date:
        return "both" if has_time else "date"
    return "time" if has_time else "percent" if "%" in bare else ""


def format_number(value: float, kind: str, epoch: datetime = _EPOCH) -> str:
    """A number as the sheet displays it."""
    if kind in {"date", "time", "both"} and 0 <= value < _LAST_DAY:
        moment = epoch + timedelta(seconds=round(value * 86_400))
        if kind == "time" and value < 1:
            return moment.strftime("%H:%M:%S").removesuffix(":00")
        has_time = kind != "date" and (moment.hour, moment.minute, moment.second) != (0, 0, 0)
        return moment.isoformat(" ", "minutes")[: None if has_time else 10]
    if kind == "percent":
        return f"{value * 100:.10g}%"
    return f"{value:.15g}"


def _rich_text(item: Element) -> str:
    """The text of one or many runs, without phonetic hints."""
    return "".join(
        text.text or ""
        for text in item.iter("{*}t")
        if safe_xml.local_name(text.getparent()) != "rPh"
    )


class _Rows:
    """The rows of a sheet with their filled cells, read one by one."""

    def __init__(self, content: bytes, book: _Workbook, budget: CellBudget) -> None:
        self._content = content
        self._book = book
        self._budget = budget
        self.is_broken = False

    def __iter__(self) -> Iterator[tuple[int, dict[int, str]]]:
        last = -1
        try:
            for _, row in etree.iterparse(
                io.BytesIO(self._content), tag="{*}row", resolve_entities=False, no_network=True
            ):
                stated = row.get("r") or ""
                number = int(stated) - 1 if stated.isdecimal() else last + 1
                last = max(last, number)
                cells = self._cells(row)
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
                cells[column] = text
        return cells

    def _value(self, cell: Element) -> str:
        kind = cell.get("t") or "n"
        if kind == "inlineStr":
            inline = cell.find("{*}is")
            return "" if inline is None else _rich_text(inline)
        value = cell.findtext("{*}v") or ""
        if kind == "s":
            texts = self._book.texts
            return texts[int(value)] if value.isdecimal() and int(value) < len(texts) else ""
        if kind == "b":
            return "TRUE" if value == "1" else "FALSE"
        if kind == "n" and value:
            style = cell.get("s") or ""
            formats = self._book.formats
            known = style.isdecimal() and int(style) < len(formats)
            try:
                number = float(value)
                return format_number(number, formats[int(style)] if known else "", self._book.epoch)
            except (ValueError, OverflowError):
                return value
        return value


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
