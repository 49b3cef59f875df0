"""Old Excel workbooks (XLS), by xlrd.

What belongs here: BIFF. What does not: tables (`markdown.tables`), the container
(`reading.ole_files`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from tvdb_assets.errors import ParseError
from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.active_limits import current_limits, over_limit
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.formats.xlsx import format_number
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.markdown.tables import CellBudget, sheet_to_markdown
from tvdb_assets.parsing.parse_errors import corrupt, empty, encrypted

_DOCUMENT_KIND = "old Excel workbook"


class XlsParser(BaseParser):
    """Reads the last computed values, a page per sheet."""

    media_types = frozenset({"application/vnd.ms-excel"})
    name = "old Excel (XLS)"
    service = "xlrd"
    preserved = "sheets as pages with their names, cells as tables, dates"
    not_preserved = "formulas, charts, pictures, comments, number formats other than dates"
    imports = ("xlrd",)

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a workbook of Excel 2 to 2003."""
        import xlrd  # it has no stubs

        try:
            book = xlrd.open_workbook(
                file_contents=data, ragged_rows=True, on_demand=True, logfile=io.StringIO()
            )
            names = book.sheet_names()
        except xlrd.biffh.XLRDError as error:
            if "encrypted" in str(error).lower():
                raise encrypted(_DOCUMENT_KIND) from None
            raise corrupt(_DOCUMENT_KIND, "its records can't be read") from None
        pages: list[str] = []
        tables = broken = 0
        budget = CellBudget(_DOCUMENT_KIND)
        for number, title in enumerate(names):
            if number == current_limits().max_pages:
                raise over_limit(_DOCUMENT_KIND, "max_pages", "sheets")
            try:
                text, count = sheet_to_markdown(_rows(book, book.sheet_by_index(number), budget))
            except (ParseError, MemoryError):
                raise
            except Exception:
                # A damaged record ends this sheet; the other sheets may be valid.
                broken += 1
                pages.append("")
                continue
            finally:
                book.unload_sheet(number)
            pages.append(f"## {' '.join(title.split()) or 'Sheet'}\n\n{text}" if text else "")
            tables += count
        if not any(pages):
            if broken:
                raise corrupt(_DOCUMENT_KIND, "its sheets can't be read")
            raise empty("The Excel workbook")
        return build_document(
            pages,
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model="sheets",
            has_pages=True,
            encoding=book.encoding,
            notes=(f"{broken} sheets are damaged and left out",) if broken else (),
            facts={"sheets": len(pages), "tables": tables},
        )


def _rows(book: Any, sheet: Any, budget: CellBudget) -> Iterator[tuple[int, dict[int, str]]]:
    for number in range(sheet.nrows):
        row = {
            column: text
            for column, cell in enumerate(sheet.row(number))
            if (text := _text(book, cell)) and not text.isspace()
        }
        budget.spend(len(row))
        yield number, row


def _text(book: Any, cell: Any) -> str:
    import xlrd

    if cell.ctype == xlrd.XL_CELL_NUMBER:
        return format_number(cell.value, "")
    if cell.ctype == xlrd.XL_CELL_DATE:
        try:
            moment = xlrd.xldate_as_datetime(cell.value, book.datemode)
        except (ValueError, OverflowError):
            return format_number(cell.value, "")
        if cell.value < 1:
            return str(moment.strftime("%H:%M"))
        text = str(moment.isoformat(" ", "minutes"))
        return text.removesuffix(" 00:00")
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return "TRUE" if cell.value else "FALSE"
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return str(xlrd.error_text_from_code.get(cell.value, ""))
    return str(cell.value)


PARSER = XlsParser()
