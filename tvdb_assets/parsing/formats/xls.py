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
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.markdown.tables import CellBudget, sheet_to_markdown
from tvdb_assets.parsing.parse_errors import corrupt, empty, encrypted
from tvdb_assets.parsing.reading.number_formats import EPOCH, EPOCH_1904, show_number

_DOCUMENT_KIND = "old Excel workbook"


class XlsParser(BaseParser):
    """Reads the last computed values as the cells show them, a page per sheet."""

    revision = 3

    media_types = frozenset({"application/vnd.ms-excel"})
    name = "old Excel (XLS)"
    service = "xlrd"
    preserved = "sheets as pages with their names, cells as tables in their number formats, dates"
    not_preserved = "hidden sheets, rows and columns, formulas, charts, pictures, comments, colors"
    imports = ("xlrd",)

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a workbook of Excel 2 to 2003."""
        import xlrd  # it has no stubs

        try:
            book = _opened(data)
            names = book.sheet_names()
        except xlrd.biffh.XLRDError as error:
            if "encrypted" in str(error).lower():
                raise encrypted(_DOCUMENT_KIND) from None
            raise corrupt(_DOCUMENT_KIND, "its records can't be read") from None
        pages: list[str] = []
        tables = broken = hidden = 0
        hidden_cells = [0]
        budget = CellBudget(_DOCUMENT_KIND)
        for number, title in enumerate(names):
            if number == current_limits().max_pages:
                raise over_limit(_DOCUMENT_KIND, "max_pages", "sheets")
            try:
                sheet = book.sheet_by_index(number)
                if sheet.visibility:
                    hidden += 1
                    continue
                text, count = sheet_to_markdown(_rows(book, sheet, budget, hidden_cells))
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
            is_hidden = bool(hidden or hidden_cells[0])
            raise empty("The Excel workbook" + ", except for hidden cells," * is_hidden)
        return build_document(
            pages,
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model="sheets",
            has_pages=True,
            encoding=book.encoding,
            notes=[
                note
                for count, note in (
                    (broken, f"{broken} sheets are damaged and left out"),
                    (hidden, f"{hidden} hidden sheets are left out"),
                    (
                        hidden_cells[0],
                        f"{hidden_cells[0]} cells of hidden rows and columns are left out",
                    ),
                )
                if count
            ],
            facts={"sheets": len(pages), "tables": tables},
        )


def _opened(data: bytes) -> Any:
    """The workbook with its number formats; without them where their records are damaged."""
    import xlrd

    options = {"ragged_rows": True, "on_demand": True, "logfile": io.StringIO()}
    try:
        return xlrd.open_workbook(file_contents=data, formatting_info=True, **options)
    except (xlrd.biffh.XLRDError, MemoryError):
        raise
    except Exception:
        return xlrd.open_workbook(file_contents=data, **options)


def _rows(
    book: Any, sheet: Any, budget: CellBudget, hidden: list[int]
) -> Iterator[tuple[int, dict[int, str]]]:
    unseen = {at for at, look in sheet.colinfo_map.items() if _is_unseen(look)}
    # A filter has no record of its rows here, so rows that it hides count as shown.
    is_filtered = any(name.name == "_FilterDatabase" for name in book.name_obj_list)
    for number in range(sheet.nrows):
        row = {
            column: text
            for column, cell in enumerate(sheet.row(number))
            if (text := _text(book, cell)) and not text.isspace()
        }
        look = sheet.rowinfo_map.get(number)
        if look is not None and _is_unseen(look) and not is_filtered:
            hidden[0] += len(row)
            continue
        hidden[0] += len(unseen.intersection(row))
        row = {column: text for column, text in row.items() if column not in unseen}
        budget.spend(len(row))
        yield number, row


def _is_unseen(look: Any) -> bool:
    """Whether a row or column is hidden; what is folded up in an outline is not."""
    return bool(look.hidden) and not look.outline_level


def _text(book: Any, cell: Any) -> str:
    import xlrd

    if cell.ctype in (xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE):
        epoch = EPOCH_1904 if book.datemode else EPOCH
        return show_number(repr(cell.value), _format_code(book, cell), epoch)
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return "TRUE" if cell.value else "FALSE"
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return str(xlrd.error_text_from_code.get(cell.value, ""))
    return str(cell.value)


def _format_code(book: Any, cell: Any) -> str:
    """The code of a cell's number format."""
    try:
        found = book.format_map[book.xf_list[cell.xf_index].format_key].format_str
    except (AttributeError, IndexError, KeyError, TypeError):
        return "yyyy-mm-dd h:mm" if cell.ctype == 3 else ""  # a date
    return str(found or "")


PARSER = XlsParser()
