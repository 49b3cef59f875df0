"""Superscripts have one stored form in all formats, and a mark never joins a number."""

from __future__ import annotations

import pytest

from tvdb_assets.core.superscripts import separate_marks, subscript, superscript
from tvdb_assets.parsing.document_parser import parse_document
from tvdb_assets_tests.parsing.sample_files import with_members_changed
from tvdb_assets_tests.parsing.sample_office_files import make_odf, make_pptx, make_xlsx

_RTF = rb"{\rtf1\ansi{\fonttbl{\f0 Arial;}{\f1\fcharset2 Wingdings;}}\f0 "


@pytest.mark.parametrize(
    ("text", "before", "stored"),
    [
        ("1", "750", "¹"), ("1,2", "750", "¹,²"), (" 3 ", "x", " ³ "), ("n", "x", "ⁿ"),
        ("a", "750", "ᵃ"), ("q", "750", "^(q)"), ("n/2", "x", "^(n/2)"), ("th", "5", "th"),
        ("th", "x", "ᵗʰ"), ("*", "750", "*"), ("[1]", "750", "[1]"), ("TM", "Acme", "™"),
        ("", "", ""), ("raised", "is ", "raised"), ("note", "750", "^(note)"),
    ],
)  # fmt: skip
def test_the_stored_form(text: str, before: str, stored: str) -> None:
    assert superscript(text, before) == stored


def test_subscripts_and_marks_of_words() -> None:
    assert (subscript("2", "H"), subscript("2", "7"), subscript("ab", "7")) == ("2", "₂", "_(ab)")
    assert separate_marks("750¹ premium² 90 m² 10ᵃ") == "750 ¹ premium ² 90 m² 10 ᵃ"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (rb"EUR 750{\super 1} on 3{\super rd}", "EUR 750¹ on 3rd"),
        (rb"EUR 750{\up6 1}; H{\sub 2}O", "EUR 750¹; H2O"),
        (rb"EUR 750\super 1\nosupersub  net", "EUR 750¹ net"),
        (rb"EUR 750{\super\chftn}{\footnote\pard {\super\chftn}net}!", "EUR 750 [net] !"),
        (rb"{\f1 \'fe} Yes {\f1 \u61608 ?} No", "☑ Yes ☐ No"),
        (rb"{\deleted old}{\revised new}", "new"),
        (
            rb"{\field{\*\fldinst FORMCHECKBOX {\*\formfield{\fftype1\ffres25\ffdefres1}}}"
            rb"{\fldrslt }} yes {\field{\*\fldinst FORMCHECKBOX {\*\formfield{\fftype1\ffres0"
            rb"\ffdefres1}}}{\fldrslt }} no",
            "☒ yes ☐ no",
        ),
    ],
)
def test_rich_text_shows_marks_ticks_and_symbols(source: bytes, text: str) -> None:
    assert parse_document(_RTF + source + rb"\par}", "a.rtf").text == text


def test_office_formats_agree() -> None:
    run = '<r><t>EUR 750</t></r><r><rPr><vertAlign val="superscript"/></rPr><t>1</t></r>'
    cell = f'<row r="1"><c r="A1" t="inlineStr"><is>{run}</is></c></row>'
    assert "EUR 750¹" in parse_document(make_xlsx(cell), "a.xlsx").text

    def raised(name: str, content: bytes) -> bytes:
        mark = b'In a group</a:t></a:r><a:r><a:rPr baseline="30000"/><a:t>2</a:t></a:r>'
        return content.replace(b"In a group</a:t></a:r>", mark)

    assert "In a group²" in parse_document(with_members_changed(make_pptx(), raised), "a.pptx").text
    span = "<text:p>EUR 750<text:span text:style-name='S'>1</text:span></text:p>"
    style = (
        b'<office:automatic-styles xmlns:style="s"><style:style style:name="S">'
        b'<style:text-properties style:text-position="super 58%"/></style:style>'
        b"</office:automatic-styles><office:body>"
    )
    data = with_members_changed(
        make_odf("text", f"<office:text>{span}</office:text>"),
        lambda _, content: content.replace(b"<office:body>", style),
    )
    assert parse_document(data, "a.odt").text == "EUR 750¹"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (b"Insurer;Acme\nDate;3 May\n\nClaim;Paid;Open\n1;2;3\n4;5;6\n", "| Claim | Paid | Open |"),
        (b'"sep=;"\nClaim;Paid\n00417;2\n', "| Claim | Paid |\n| --- | --- |\n| 00417 | 2 |"),
        (b"sep=|\rClaim|Paid\r1|2\r", "| Claim | Paid |\n| --- | --- |\n| 1 | 2 |"),
    ],
)
def test_lines_above_the_header_of_a_csv_are_no_header(source: bytes, text: str) -> None:
    assert f"\n{text}" in f"\n{parse_document(source, 'a.csv').text}"
