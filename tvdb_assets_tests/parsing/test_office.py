"""Office formats, new and old, on files created here: structure, order, limits, errors."""

from __future__ import annotations

import struct

import pytest

from tvdb_assets.core.text_validation import validate
from tvdb_assets.document_limits import DocumentLimits
from tvdb_assets.errors import ParseError
from tvdb_assets.parsing.active_limits import limits_applied
from tvdb_assets.parsing.container_members import ContainerBudget, list_members
from tvdb_assets.parsing.document_parser import parse_document
from tvdb_assets.parsing.markdown.tables import sheet_to_markdown
from tvdb_assets_tests.parsing.sample_files import make_zip, with_members_changed
from tvdb_assets_tests.parsing.sample_office_files import (
    RTF,
    make_doc,
    make_epub,
    make_msg,
    make_odf,
    make_ole,
    make_ppt,
    make_pptx,
    make_xls,
    make_xlsx,
)


def _error(data: bytes, path: str) -> ParseError:
    with pytest.raises(ParseError) as caught:
        parse_document(data, path)
    assert caught.value.remedy
    return caught.value


def _cell(place: str, value: str, kind: str = "n", style: int = 0) -> str:
    return f'<c r="{place}" t="{kind}" s="{style}"><v>{value}</v></c>'


# --- workbooks


def test_xlsx_sheets_tables_dates_and_texts() -> None:
    rows = (
        f'<row r="1">{_cell("A1", "0", "s")}{_cell("B1", "1", "s")}</row>'
        '<row r="2"><c r="A2" t="inlineStr"><is><t>Roof | tiles</t></is></c>'
        f"{_cell('B2', '45000.5', style=1)}{_cell('C2', '0.25', style=3)}</row>"
        f'<row r="9">{_cell("A9", "1", "b")}</row>'
    )
    data = make_xlsx(rows, extra_sheet=f"<row>{_cell('A1', 'x', 'str')}</row>", state="hidden")
    parsed = parse_document(data, "a.xlsx")
    validate(parsed, len(data))
    assert parsed.text == (
        "## First\n\n| Item | Bound until |  |\n| --- | --- | --- |\n"
        "| Roof \\| tiles | 2023-03-15 | 25.00% |\n\nTRUE"
    )
    assert [heading.title for heading in parsed.headings] == ["First"]
    assert len(parsed.page_starts) == 1
    assert parsed.notes == ("1 hidden sheets are left out",)


def test_xlsx_far_cells_cost_nothing() -> None:
    far = f'<row r="1">{_cell("A1", "1")}</row><row r="1048576">{_cell("XFD1048576", "2")}</row>'
    assert parse_document(make_xlsx(far), "a.xlsx").text.strip() == "## First\n\n1\n\n2"
    diagonal = [(number, {37 * number: f"v{number}"}) for number in range(400)]
    text, tables = sheet_to_markdown(diagonal)
    assert (len(text) < 10_000, tables) == (True, 0)
    assert "AL2: v1\n" in text


def test_xlsx_limits_and_damage() -> None:
    rows = "".join(f'<row r="{n}">{_cell(f"A{n}", str(n))}</row>' for n in range(1, 9))
    good = make_xlsx(rows)
    damaged = with_members_changed(
        good, lambda name, content: content[:-60] if name.endswith("sheet1.xml") else content
    )
    parsed = parse_document(damaged, "a.xlsx")
    assert "1\n2\n3" in parsed.text
    assert parsed.notes == ("1 sheets are damaged; what comes before the damage is kept",)
    with limits_applied(DocumentLimits(max_cells=7)):
        error = _error(good, "a.xlsx")
    assert (error.code, "7 filled cells" in error.message) == ("over_limit", True)
    assert "TVDB_MAX_CELLS" in error.remedy
    assert _error(make_xlsx(""), "a.xlsx").code == "empty"


def test_xlsx_cells_are_as_they_are_shown() -> None:
    rows = (
        '<row r="1"><c r="A1" t="inlineStr"><is><t>Open claims</t></is></c></row>'
        '<row r="2"><c r="A2" t="inlineStr"><is><t>Claim</t></is></c>'
        '<c r="B2" t="inlineStr"><is><t>Line_x000D_\nbreak</t></is></c>'
        '<c r="C2" t="inlineStr"><is><t>Sum</t></is></c></row>'
        '<row r="3"><c r="A3"><v>2026000000000417</v></c><c r="B3"><v>0.30000000000000004</v></c>'
        '<c r="C3"><f>A3*2</f></c></row>'
        '<row r="4"><c r="A4"><v>7</v></c><c r="B4" t="str"><f>T(A1)</f><v>a_x000D_b</v></c>'
        '<c r="C4"><f t="shared" si="0"/><v></v></c></row>'
    )
    parsed = parse_document(make_xlsx(rows), "a.xlsx")
    assert parsed.text.split("\n\n")[1:3] == [
        "Open claims",
        "| Claim | Line break | Sum |\n| --- | --- | --- |\n"
        "| 2026000000000417 | 0.3 | =A3*2 |\n| 7 | a b |  |",
    ]
    assert parsed.notes == ("2 formulas have no stored result; the formulas are kept instead",)


def test_a_sheet_of_many_rows_is_an_ordinary_workbook() -> None:
    rows = "".join(
        f'<row r="{n}">'
        + "".join(_cell(f"{column}{n}", str(n * 7919)) for column in "ABCDEFGH")
        + "</row>"
        for n in range(1, 6_000)
    )
    data = make_xlsx(rows)
    parsed = validate(parse_document(data, "a.xlsx"), len(data))
    assert len(parsed.text) > 200_000
    assert "warnings" not in parsed.facts


def test_xls_with_a_far_cell() -> None:
    parsed = parse_document(make_xls(), "a.xls")
    assert parsed.text.startswith(
        "## Prices\n\n| Item | Price € |\n| --- | --- |\n| Roof | 12.5 |\n\n7"
    )
    assert parsed.produced_by.service == "xlrd"
    assert _error(make_ole({"Workbook": b"\x09\x08nothing"}), "a.xls").code == "corrupt"


def test_ods_repeated_cells_cost_nothing() -> None:
    cell = "<table:table-cell><text:p>{}</text:p></table:table-cell>"
    body = (
        '<office:spreadsheet><table:table table:name="Costs"><table:table-row>'
        + cell.format("a") + cell.format("b") + "</table:table-row><table:table-row>"
        '<table:table-cell table:number-columns-repeated="2"><text:p>1</text:p></table:table-cell>'
        '<table:table-cell table:number-columns-repeated="16000"/></table:table-row>'
        '<table:table-row table:number-rows-repeated="1048000"><table:table-cell/>'
        "</table:table-row><table:table-row>" + cell.format("end") + "</table:table-row>"
        "</table:table></office:spreadsheet>"
    )  # fmt: skip
    parsed = parse_document(make_odf("spreadsheet", body), "a.ods")
    assert parsed.text == "## Costs\n\n| a | b |\n| --- | --- |\n| 1 | 1 |\n\nend"


# --- presentations


def test_pptx_slides_in_their_order_with_notes() -> None:
    parsed = parse_document(make_pptx(), "a.pptx")
    first, second = parsed.page_starts
    assert parsed.text[first:second].strip() == (
        "## Cover\n\n- one\n- two\n\nIn a group\n\n| Item | Limit |\n| --- | --- |\n| Roof | 500 |"
        "\n\nSpeaker notes:\n\nSpeak slowly."
    )
    assert parsed.text[second:] == ""
    assert parsed.facts == {"slides": 2, "speaker_notes": 1, "tables": 1}
    assert parsed.notes == ("1 hidden slides are left out",)


def test_pptx_damage_and_limits() -> None:
    def damage(name: str, content: bytes) -> bytes:
        return b"<broken" if name.endswith("slide1.xml") else content

    parsed = parse_document(with_members_changed(make_pptx(), damage), "a.pptx")
    assert parsed.notes == ("1 slides are damaged and left out",)
    with limits_applied(DocumentLimits(max_pages=1)):
        assert _error(make_pptx(), "a.pptx").code == "over_limit"


def test_ppt_gives_the_last_save_with_notes() -> None:
    parsed = parse_document(make_ppt(), "a.ppt")
    assert parsed.text == (
        "## New title\n\nA box: € 5\n\nsecond line\n\nSpeaker notes:\n\nSay this aloud."
    )
    assert parsed.page_starts == (0,)
    # Without the directory of the last save, all texts are read.
    without_directory = make_ppt().replace(struct.pack("<I", 0xE391C05F), b"\0" * 4)
    assert "New title" in parse_document(without_directory, "a.ppt").text
    assert _error(make_ole({"PowerPoint Document": b"\0" * 99}), "a.ppt").code == "empty"


def test_odp_slides_and_notes() -> None:
    body = (
        "<office:presentation><drawing:page><drawing:frame presentation:class='title'>"
        "<drawing:text-box><text:p>Cover</text:p></drawing:text-box></drawing:frame>"
        "<drawing:frame><drawing:text-box><text:list><text:list-item><text:p>one</text:p>"
        "</text:list-item></text:list></drawing:text-box></drawing:frame>"
        "<presentation:notes><text:p>Say it.</text:p></presentation:notes></drawing:page>"
        "<drawing:page/></office:presentation>"
    )
    parsed = parse_document(make_odf("presentation", body), "a.odp")
    assert parsed.text.strip() == "## Cover\n\n- one\n\nSpeaker notes:\n\nSay it."
    assert len(parsed.page_starts) == 2


# --- texts


def test_doc_headings_lists_tables_fields_and_both_encodings() -> None:
    parsed = parse_document(make_doc(), "a.doc")
    assert parsed.text == (
        "# Cover\n\n- first item\n\n| Item | Limit |\n| --- | --- |\n| Roof |  |\n\n"
        "Paid in €, see the 😀 list."
    )
    assert (parsed.title, parsed.facts["tables"]) == ("Cover", 1)


def test_doc_refusals() -> None:
    good = make_doc()
    start = b"\xec\xa5\xc1\x00" + b"\0" * 6
    locked = good.replace(start + b"\x00\x02", start + b"\x00\x03")
    assert _error(locked, "a.doc").code == "encrypted"
    assert _error(make_ole({"WordDocument": b"no document" * 9}), "a.doc").code == "corrupt"
    assert _error(good[:600], "a.doc").code == "corrupt"


def test_odt_structure_and_omitted_parts() -> None:
    body = (
        "<office:text><text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>"
        "<text:table-of-content><text:p>Cover 1</text:p></text:table-of-content>"
        "<text:h text:outline-level='2'>Cover</text:h><text:p>What<text:s/>is"
        "<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>a note"
        "</text:p></text:note-body></text:note> insured.</text:p>"
        "<text:list><text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>inner"
        "</text:p></text:list-item></text:list></text:list-item></text:list>"
        "<table:table><table:table-row><table:table-cell table:number-columns-spanned='2'>"
        "<text:p>wide</text:p></table:table-cell><table:covered-table-cell/></table:table-row>"
        "<table:table-row><table:table-cell><text:p>1</text:p></table:table-cell>"
        "<table:table-cell><text:p>2</text:p></table:table-cell></table:table-row></table:table>"
        "</office:text>"
    )
    parsed = parse_document(make_odf("text", body), "a.odt")
    assert parsed.text.strip() == (
        "## Cover\n\nWhat is [a note] insured.\n\n- one\n  - inner\n\n"
        "| wide |  |\n| --- | --- |\n| 1 | 2 |"
    )
    assert _error(make_odf("text", "<office:text/>"), "a.odt").code == "empty"


def test_epub_reading_order_without_files_from_outside() -> None:
    outside = '<item id="out" href="../../../../etc/passwd" media-type="application/xhtml+xml"/>'
    data = make_epub("<h1>One</h1><p>caf&eacute;</p>", "<h2>Two</h2>", manifest=outside)
    parsed = parse_document(data, "a.epub")
    assert (parsed.text, parsed.title) == ("# One\n\ncafé\n\n## Two", "The Book")
    assert parsed.notes == ("1 chapters are missing from the file",)
    assert _error(make_zip(mimetype="application/epub+zip"), "a.epub").code == "corrupt"


def test_rtf_encodings_headings_lists_tables() -> None:
    parsed = parse_document(RTF, "a.rtf")
    assert parsed.text == (
        "# Cover\n\nČlánek costs €5…\n\n- one\n- two\n\n"
        "| Item | Limit |\n| --- | --- |\n| Roof | 500 |\n\na link"
    )
    html = rb"{\rtf1\ansi\fromhtml1 {\*\htmltag <p>}Hi {\*\htmltag <b>}\htmlrtf {\b\htmlrtf0 you}}"
    assert parse_document(html, "a.rtf").text == "Hi you"
    assert parse_document(b"{\\rtf1" + b"{" * 900 + b"deep", "a.rtf").text == "deep"
    assert _error(b"{\\rtf1" + b"{" * 2_000 + b"deep", "a.rtf").code == "corrupt"


# --- Outlook


def test_msg_headers_body_and_named_attachments() -> None:
    parsed = parse_document(make_msg(), "a.msg")
    assert parsed.text == (
        "From: Ann <ann@example.org>\nTo: Bob\nSubject: Claim 7\nDate: 2001-09-09 01:46 UTC\n\n"
        "The body.\nÜber €."
    )
    assert (parsed.title, parsed.facts) == ("Claim 7", {"attachments": 1})
    [member] = list_members(make_msg(), parsed.media_type, ContainerBudget(1, 9, 1 << 20))
    assert (member.name, member.error) == ("bill.pdf", None)
    html = make_msg(body=None, html="<p>Only <b>HTML</b> — \u20ac</p>".encode("cp1252"))
    assert parse_document(html, "a.msg").text.endswith("\n\nOnly HTML — €")
