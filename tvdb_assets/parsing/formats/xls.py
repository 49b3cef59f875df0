"""Old Excel workbooks (XLS), by xlrd.

What belongs here: BIFF. What does not: tables of text (`grid`), the container (`ole`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from tvdb_assets.errors import ParseError
from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.formats.active_limits import allowed, over_limit
from tvdb_assets.parsing.formats.assemble import make
from tvdb_assets.parsing.formats.base import BaseParser
from tvdb_assets.parsing.formats.grid import CellBudget, sheet_markdown
from tvdb_assets.parsing.formats.refusals import corrupt, empty, encrypted
from tvdb_assets.parsing.formats.xlsx import show_number

_WHAT = "old Excel workbook"


class XlsParser(BaseParser):
    """Values as they were last computed, a page for each sheet."""

    media_types = frozenset({"application/vnd.ms-excel"})
    name = "old Excel (XLS)"
    service = "xlrd"
    kept = "sheets as pages with their names, cells as tables, dates"
    lost = "formulas, charts, pictures, comments, number formats other than dates"

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
                raise encrypted(_WHAT) from None
            raise corrupt(_WHAT, "its records can't be read") from None
        pages: list[str] = []
        tables = broken = 0
        budget = CellBudget(_WHAT)
        for number, title in enumerate(names):
            if number == allowed().max_pages:
                raise over_limit(_WHAT, "max_pages", "sheets")
            try:
                text, count = sheet_markdown(_rows(book, book.sheet_by_index(number), budget))
            except (ParseError, MemoryError):
                raise
            except Exception:
                # A damaged record ends this sheet; the others may be whole.
                broken += 1
                pages.append("")
                continue
            finally:
                book.unload_sheet(number)
            pages.append(f"## {' '.join(title.split()) or 'Sheet'}\n\n{text}" if text else "")
            tables += count
        if not any(pages):
            if broken:
                raise corrupt(_WHAT, "its sheets can't be read")
            raise empty("The Excel workbook")
        return make(
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
        return show_number(cell.value, "")
    if cell.ctype == xlrd.XL_CELL_DATE:
        try:
            moment = xlrd.xldate_as_datetime(cell.value, book.datemode)
        except (ValueError, OverflowError):
            return show_number(cell.value, "")
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
