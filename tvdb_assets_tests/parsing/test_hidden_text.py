"""One rule for all formats: hidden text is left out and noted; what a click unfolds is kept."""

from __future__ import annotations

import pytest

from tvdb_assets.errors import ParseError
from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.document_parser import parse_document
from tvdb_assets_tests.parsing.sample_files import with_members_changed
from tvdb_assets_tests.parsing.sample_office_files import make_odf, make_xlsx


def _row(number: int, *texts: str, look: str = "") -> str:
    cells = "".join(
        f'<c r="{"ABCD"[at]}{number}" t="inlineStr"><is><t>{text}</t></is></c>'
        for at, text in enumerate(texts)
    )
    return f'<row r="{number}" {look}>{cells}</row>'


def _workbook(rows: str, columns: str = "", after: str = "") -> ParsedDocument:
    def change(name: str, content: bytes) -> bytes:
        if not name.endswith("sheet1.xml"):
            return content
        before = content.replace(b"<sheetData>", f"{columns}<sheetData>".encode())
        return before.replace(b"</sheetData>", f"</sheetData>{after}".encode())

    return parse_document(with_members_changed(make_xlsx(rows), change), "a.xlsx")


def test_hidden_rows_and_columns_of_a_workbook_are_left_out_and_noted() -> None:
    rows = _row(1, "Item", "Cost", "Note") + _row(2, "Roof", "500", "gone") + _row(
        3, "Gone", "7", "x", look='hidden="1"'
    )  # fmt: skip
    parsed = _workbook(rows, '<cols><col min="3" max="4" hidden="true"/></cols>')
    assert parsed.text.strip() == "## First\n\n| Item | Cost |\n| --- | --- |\n| Roof | 500 |"
    assert parsed.notes == ("5 cells of hidden rows and columns are left out",)


def test_rows_that_a_filter_or_a_folded_outline_hides_are_kept() -> None:
    rows = _row(1, "Item", "Cost") + _row(2, "Roof", "500", look='hidden="1"') + _row(
        3, "Wall", "7"
    ) + _row(4, "Door", "9", look='hidden="1" outlineLevel="1"')  # fmt: skip
    parsed = _workbook(rows, after='<autoFilter ref="A1:B3"/>')
    assert all(word in parsed.text for word in ("Roof", "Wall", "Door"))
    assert parsed.notes == ()


def test_a_workbook_of_hidden_cells_says_so() -> None:
    with pytest.raises(ParseError) as caught:
        _workbook(_row(1, "secret", look='hidden="1"'))
    assert (caught.value.code, "hidden" in caught.value.message) == ("empty", True)


_STYLES = (
    '<office:automatic-styles xmlns:style="s" xmlns:fo="f">'
    '<style:style style:name="S1"><style:{} {}/></style:style></office:automatic-styles>'
)


@pytest.mark.parametrize(
    ("kind", "style", "body"),
    [
        (
            "text", ("text-properties", 'text:display="none"'),
            "<office:text><text:p>Seen <text:span text:style-name='S1'>Gone</text:span>too."
            "</text:p></office:text>",
        ),
        (
            "spreadsheet", ("table-properties", 'table:display="false"'),
            "<office:spreadsheet><table:table table:style-name='S1'><table:table-row>"
            "<table:table-cell><text:p>Gone</text:p></table:table-cell></table:table-row>"
            "</table:table><table:table><table:table-row><table:table-cell><text:p>Seen too."
            "</text:p></table:table-cell></table:table-row><table:table-row "
            "table:visibility='filter'><table:table-cell><text:p>Filtered</text:p>"
            "</table:table-cell></table:table-row><table:table-row table:visibility='collapse'>"
            "<table:table-cell><text:p>Gone</text:p></table:table-cell></table:table-row>"
            "</table:table></office:spreadsheet>",
        ),
        (
            "presentation", ("drawing-page-properties", 'presentation:visibility="hidden"'),
            "<office:presentation><drawing:page><text:p>Seen too.</text:p></drawing:page>"
            "<drawing:page drawing:style-name='S1'><text:p>Gone</text:p></drawing:page>"
            "</office:presentation>",
        ),
    ],
)  # fmt: skip
def test_hidden_parts_of_open_documents_are_left_out_and_noted(
    kind: str, style: tuple[str, str], body: str
) -> None:
    def change(name: str, content: bytes) -> bytes:
        if name != "content.xml":
            return content
        return content.replace(b"<office:body>", f"{_STYLES.format(*style)}<office:body>".encode())

    data = with_members_changed(make_odf(kind, body), change)
    parsed = parse_document(data, "a.odf")
    assert "Seen" in parsed.text
    assert "Gone" not in parsed.text
    assert ("Filtered" in parsed.text) == (kind == "spreadsheet")
    assert "hidden" in parsed.notes[0]
