"""Properties of every format: sniffing, refusals, damaged files, the registry, fingerprints."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tvdb_assets.errors import ParseError
from tvdb_assets.parsing import base_parser
from tvdb_assets.parsing.document_parser import parse_document, parser_fingerprint
from tvdb_assets.parsing.format_registry import all_parsers, parser_for
from tvdb_assets.parsing.formats import pdf
from tvdb_assets.parsing.reading.zip_packages import EXTENSIONS
from tvdb_assets_tests.parsing.sample_files import (
    MAIL,
    PAGE,
    make_docx,
    make_pdf,
    make_zip,
)
from tvdb_assets_tests.parsing.sample_office_files import (
    RTF,
    make_doc,
    make_msg,
    make_ppt,
    make_pptx,
    make_xls,
)


def _error(data: bytes, path: str) -> ParseError:
    with pytest.raises(ParseError) as caught:
        parse_document(data, path)
    assert caught.value.remedy
    return caught.value


# --- refused files

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@pytest.mark.parametrize(
    ("data", "path", "code"),
    [
        (b"", "a.pdf", "empty"),
        (b"\xef\xbb\xbf", "a.txt", "empty"),
        (b"\x00" * 4_096, "a.txt", "empty"),
        (b"{\\rtf1{\\fonttbl }}", "a.rtf", "empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "a.png", "corrupt"),
        (b"8BPS\x00\x01" + bytes(range(256)), "a.psd", "unsupported"),
        (b"8BPS\x00\x01" + bytes(range(256)), "a.pdf", "mislabelled"),
        (bytes(range(256)) * 20, "a.docx", "corrupt"),
        (bytes(range(256)) * 20, "a.dat", "unsupported"),
        (b"PK\x03\x04 torn", "a.docx", "corrupt"),
        (make_zip(mimetype=EXTENSIONS["epub"]), "a.epub", "corrupt"),
        (make_zip(mimetype=EXTENSIONS["odt"], **{"META-INF__manifest.xml": "encryption-data"}),
         "a.odt", "encrypted"),
        (make_zip(**{"[Content_Types].xml": "", "xl__workbook.xml": ""}), "a.docx", "corrupt"),
        (make_zip(**{"[Content_Types].xml": "", "visio__a.xml": ""}), "a.docx", "mislabelled"),
        (_OLE + "EncryptedPackage".encode("utf-16-le"), "a.docx", "encrypted"),
        (_OLE + "WordDocument".encode("utf-16-le"), "a.doc", "corrupt"),
        (_OLE + "VisioDocument".encode("utf-16-le"), "a.vsd", "unsupported"),
    ],
)  # fmt: skip
def test_refused(data: bytes, path: str, code: str) -> None:
    assert _error(data, path).code == code


@pytest.mark.parametrize(
    ("data", "path", "media_type"),
    [
        (b"<html><p>An error page saved as PDF</p>", "a.pdf", "text/html"),
        (b"# A title\n\ntext", "no-extension", "text/markdown"),
        (b"a,b\n1,2\n", "a.csv", "text/csv"),
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "/etc/passwd">]><a>text &x;</a>',
         "a.xml", "application/xml"),
        (b"# has <html> inside\n\n<p>x</p>", "a.md", "text/markdown"),
        (make_pdf(["Really a PDF"]), "a.txt", "application/pdf"),
    ],
)  # fmt: skip
def test_content_decides(data: bytes, path: str, media_type: str) -> None:
    parsed = parse_document(data, path)
    assert parsed.media_type == media_type
    assert "root:" not in parsed.text
    expected = {"a.pdf": 1, "a.txt": 1}.get(path, 0)
    assert len([note for note in parsed.notes if note.startswith("the name says")]) == expected


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_file_gives_text_or_a_coded_error(data: st.DataObject) -> None:
    name, good = data.draw(
        st.sampled_from(
            [
                *(("a.docx", _DOCX), ("a.html", PAGE.encode()), ("a.eml", MAIL), ("a.pdf", _PDF)),
                *(("a.doc", make_doc()), ("a.ppt", make_ppt()), ("a.msg", make_msg())),
                *(("a.xls", make_xls()), ("a.pptx", make_pptx()), ("a.rtf", RTF)),
            ]
        )
    )
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, min(len(good), start + 200)))
    damaged = good[:start] + data.draw(st.binary(max_size=20)) + good[end:]
    try:
        parsed = parse_document(damaged, name)
    except ParseError as error:
        assert error.remedy
    else:
        assert "\x00" not in parsed.text
        assert parsed.text.encode("utf-8").decode("utf-8") == parsed.text


_DOCX = make_docx()
_PDF = make_pdf(["Chapter", "text"])


# --- the registry


def test_every_parser_is_registered_with_a_unique_fingerprint() -> None:
    fingerprints = {parser.fingerprint for parser in all_parsers()}
    assert len(fingerprints) == len(all_parsers()) >= 5
    assert parser_for("application/x-unheard-of") is None
    assert parser_fingerprint("application/pdf") != parser_fingerprint("text/html")
    assert parser_fingerprint() == parser_fingerprint()


@pytest.mark.parametrize("part", ["version", "options"])
def test_version_and_options_change_the_fingerprint(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pdf.PARSER.fingerprint
    if part == "version":
        monkeypatch.setattr(base_parser, "version", lambda name: "999")
    else:
        monkeypatch.setitem(pdf._OPTIONS, "keep_headers_footers", False)
    assert pdf.PARSER.fingerprint != before
