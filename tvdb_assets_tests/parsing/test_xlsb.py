"""Binary Excel workbooks are stored as their cells show them."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from tvdb_assets.core.text_validation import validate
from tvdb_assets.errors import ParseError
from tvdb_assets.parsing.document_parser import parse_document

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def _record(kind: int, body: bytes = b"") -> bytes:
    name = bytes([kind]) if kind < 128 else bytes([kind & 0x7F | 0x80, kind >> 7])
    length, rest = len(body), b""
    while length >= 128:
        rest += bytes([length & 0x7F | 0x80])
        length >>= 7
    return name + rest + bytes([length]) + body


def _text(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def _row(number: int, *cells: bytes, hidden: bool = False) -> bytes:
    head = struct.pack("<IIHBB", number, 0, 300, 0, 0x10 if hidden else 0) + bytes(5)
    return _record(0, head) + b"".join(cells)


def _cell(column: int, kind: int, value: bytes, style: int = 0) -> bytes:
    return _record(kind, struct.pack("<II", column, style) + value)


def _workbook(rows: bytes, before: bytes = b"", state: int = 0) -> bytes:
    links = (
        ("r1", "worksheet", "worksheets/sheet1.bin"), ("r2", "sharedStrings", "sharedStrings.bin"),
        ("r3", "styles", "styles.bin"),
    )  # fmt: skip
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    relations = "".join(
        f'<Relationship Id="{name}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for name, kind, target in links
    )
    styles = b"".join(_record(47, struct.pack("<HH", 0, number)) for number in (0, 10, 46, 200))
    own = _record(44, struct.pack("<H", 200) + _text("00000"))
    sheet = struct.pack("<II", state, 1) + _text("r1") + _text("Claims")
    members = {
        "xl/workbook.bin": _record(153, bytes(12)) + _record(156, sheet),
        "xl/_rels/workbook.bin.rels": f'<Relationships xmlns="{package}">{relations}'
        "</Relationships>",
        "xl/SharedStrings.bin": _record(19, b"\0" + _text("Claim"))
        + _record(19, b"\0" + _text("Paid")),
        "xl/styles.bin": own + _record(617) + styles + _record(618),
        "xl/worksheets/sheet1.bin": before + rows,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _whole(number: int) -> bytes:
    return struct.pack("<I", number << 2 & 0xFFFFFFFF | 2)


_HEADER = _row(0, _cell(0, 7, struct.pack("<I", 0)), _cell(1, 7, struct.pack("<I", 1)))


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (_cell(1, 2, _whole(417), style=3), "00417"),
        (_cell(1, 2, struct.pack("<I", 123_450 << 2 | 3)), "1234.5"),
        (_cell(1, 5, struct.pack("<d", 2026000000000417.0)), "2026000000000417"),
        (_cell(1, 5, struct.pack("<d", 0.0725), style=1), "7.25%"),
        (_cell(1, 9, struct.pack("<d", 1.5), style=2), "36:00:00"),
        (_cell(1, 6, _text("Roof | tiles")), "Roof \\| tiles"),
        (_cell(1, 8, _text("computed")), "computed"),
        (_cell(1, 4, b"\x01"), "TRUE"),
        (_cell(1, 11, b"\x2a"), "#N/A"),
    ],
)
def test_a_cell_is_as_it_is_shown(cell: bytes, shown: str) -> None:
    data = _workbook(_HEADER + _row(1, _cell(0, 6, _text("x")), cell))
    parsed = validate(parse_document(data, "a.xlsb"), len(data))
    assert parsed.text == f"## Claims\n\n| Claim | Paid |\n| --- | --- |\n| x | {shown} |"


def test_hidden_rows_columns_and_sheets_are_left_out_and_noted() -> None:
    rows = _HEADER + _row(1, _cell(0, 6, _text("gone")), hidden=True)
    column = _record(60, struct.pack("<IIIIH", 1, 1, 9, 0, 1))
    parsed = parse_document(_workbook(rows, column), "a.xlsb")
    assert parsed.text == "## Claims\n\nClaim"
    assert parsed.notes == ("2 cells of hidden rows and columns are left out",)
    with pytest.raises(ParseError) as caught:
        parse_document(_workbook(rows, state=1), "a.xlsb")
    assert (caught.value.code, "hidden" in caught.value.message) == ("empty", True)


def test_a_damaged_sheet_gives_what_comes_before_the_damage() -> None:
    data = _workbook(_HEADER + _record(5, b"\0\0"))
    parsed = parse_document(data, "a.xlsb")
    assert "| Claim | Paid |" in parsed.text
    assert parsed.notes == ("1 sheets are damaged; what comes before the damage is kept",)
