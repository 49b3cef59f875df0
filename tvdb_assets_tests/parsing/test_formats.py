"""PDF, DOCX, HTML, text and mail: structure, offsets and errors, on files created here."""

from __future__ import annotations

import io
from collections.abc import Iterator
from email.message import EmailMessage
from itertools import pairwise

import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tvdb_assets.core.text_validation import validate
from tvdb_assets.document_limits import DocumentLimits
from tvdb_assets.errors import ParseError
from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.active_limits import limits_applied
from tvdb_assets.parsing.container_members import ContainerBudget, extract_members, list_members
from tvdb_assets.parsing.document_parser import parse_document
from tvdb_assets.parsing.markdown.document_builder import find_headings
from tvdb_assets_tests.parsing.sample_files import (
    MAIL,
    PAGE,
    make_docx,
    make_pdf,
    with_members_changed,
)


def _error(data: bytes, path: str) -> ParseError:
    with pytest.raises(ParseError) as caught:
        parse_document(data, path)
    assert caught.value.remedy
    return caught.value


def _check_offsets(parsed: ParsedDocument) -> None:
    assert list(parsed.page_starts) == sorted(parsed.page_starts)
    for heading in parsed.headings:
        line = parsed.text[heading.offset :].split("\n", 1)[0]
        assert heading.offset == 0 or parsed.text[heading.offset - 1] == "\n"
        assert heading.title.split()[0] in line


# --- PDF


def test_pdf_pages_headings_and_offsets() -> None:
    body = [f"A sentence of ordinary text, number {number}." for number in range(12)]
    data = make_pdf(["Chapter One", *body], [], ["Chapter Two", *body])
    parsed = parse_document(data, "a.pdf")
    validate(parsed, len(data))
    _check_offsets(parsed)
    assert len(parsed.page_starts) == 3
    first, second, third = parsed.page_starts
    assert "Chapter One" in parsed.text[first:second]
    assert not parsed.text[second:third].strip()
    assert parsed.text[third:].lstrip("# ").startswith("Chapter Two")
    assert [heading.title for heading in parsed.headings] == ["Chapter One", "Chapter Two"]
    assert (parsed.facts["pages"], parsed.facts["pages_with_text"]) == (3, 2)
    assert parsed.produced_by.service == "liteparse"


def test_pdf_with_bytes_before_its_header() -> None:
    assert "Hello" in parse_document(b"\r\n\r\njunk\n" + make_pdf(["Hello"]), "a.pdf").text


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotated_pdf_pages_are_read_upright(degrees: int) -> None:
    body = [f"A sentence of ordinary text, number {number}." for number in range(12)]
    with pikepdf.open(io.BytesIO(make_pdf(["Upright", *body], ["Turned", *body]))) as document:
        document.pages[1].rotate(degrees, relative=True)
        buffer = io.BytesIO()
        document.save(buffer)
    parsed = parse_document(buffer.getvalue(), "a.pdf")
    assert [heading.title for heading in parsed.headings] == ["Upright", "Turned"]
    first, second = parsed.text[: parsed.page_starts[1]], parsed.text[parsed.page_starts[1] :]
    assert second.replace("Turned", "Upright").split() == first.split()


def test_pdf_refusals() -> None:
    good = make_pdf(["Secret"])
    assert _error(make_pdf(["Secret"], password="p"), "a.pdf").code == "encrypted"
    assert _error(b"%PDF-1.7\nnothing else", "a.pdf").code == "corrupt"
    assert _error(good[8:], "a.pdf").code == "corrupt"
    with pytest.raises(ParseError) as caught:
        validate(parse_document(make_pdf([], []), "a.pdf"), 1_000)
    assert caught.value.code == "pages_without_text"


# --- DOCX


def test_docx_structure_is_in_order() -> None:
    parsed = parse_document(make_docx(), "a.docx")
    _check_offsets(parsed)
    assert [(h.level, h.title) for h in parsed.headings] == [(1, "Cover"), (2, "Exclusions")]
    order = [
        "# Cover",
        "What is insured.",
        "- first item",
        "| Item | Limit |",
        "Roof",
        "What is not.",
    ]
    offsets = [parsed.text.index(piece) for piece in order]
    assert offsets == sorted(offsets)
    assert "500 \\| 600" in parsed.text
    assert parsed.text.count("Kept header") == 1
    assert parsed.title == "Policy"
    assert parsed.facts["tables"] == 1


def test_docx_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_entity(name: str, content: bytes) -> bytes:
        if name != "word/document.xml":
            return content
        entity = b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
        return content.replace(b"?>", b"?>" + entity, 1).replace(b"What is not.", b"&x;")

    good = make_docx()
    assert _error(with_members_changed(good, with_entity), "a.docx").code == "corrupt"
    assert _error(good[: len(good) // 2], "a.docx").code == "corrupt"
    bomb = with_members_changed(
        good, lambda name, c: b" " * (8 << 20) if name == "word/document.xml" else c
    )
    assert len(bomb) < 1 << 20
    with limits_applied(DocumentLimits(max_expanded_mib=4)):
        error = _error(bomb, "a.docx")
    assert (error.code, "4 MiB" in error.message) == ("expands_too_far", True)


# --- HTML


def test_html_main_text_appears_once() -> None:
    parsed = parse_document(PAGE.encode(), "a.html")
    _check_offsets(parsed)
    assert parsed.title == "A title"
    assert [heading.title for heading in parsed.headings] == ["Top"]
    for omitted in ("Menu entry", "Imprint", "var no", "invisible", "p{"):
        assert omitted not in parsed.text
    for once in ("Main text that the reader came for", "- one\n- two\n  1. inner"):
        assert parsed.text.count(once) == 1
    assert "| a | b |\n| --- | --- |\n| 1 | 2 |\n|  | 3 |" in parsed.text
    assert "kept\n  as it is" in parsed.text


@pytest.mark.parametrize(
    "source",
    [
        "<html><body><nav>All the text there is, in a nav.</nav></body></html>",
        "<html><main></main><div>All the text there is, beside main.</div></html>",
        "<html>All the text there is, unclosed <b><i><td>",
        "<html><body>" + "<div>" * 5_000 + "All the text there is, far down." + "</div>" * 5_000,
        "<html><article>short</article>" + "<p>All the text there is, outside it.</p>" * 9,
        "<html><div class='menu'>All the text there is, not one link.</div>",
    ],
)
def test_html_with_text_is_never_empty(source: str) -> None:
    assert "All the text there is" in parse_document(source.encode(), "a.html").text


def test_html_forbidden_characters_and_encodings() -> None:
    parsed = parse_document(b"<html><p>be\x00fore &#0; &#xD800; after</p></html>", "a.html")
    assert parsed.text == "before after"
    hidden = b"<html><b>in</b>\x01<i hidden>x</i>to\x0b &#2;&#xFFFF;it</html>"
    assert parse_document(hidden, "a.html").text == "into it"
    page = '<html><meta charset="windows-1251"><p>Полис страхования</p></html>'
    parsed = parse_document(page.encode("cp1251"), "a.html")
    assert (parsed.text, parsed.encoding) == ("Полис страхования", "cp1251")
    assert _error(b"<html><script>1</script></html>", "a.html").code == "empty"


# --- text and Markdown


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("utf-32-le", b"\xff\xfe\x00\x00"),
        ("utf-32-be", b""),
    ],
)
def test_text_in_unicode(encoding: str, mark: bytes) -> None:
    text = "The café's policy covers fire and theft.\nIt does not cover war."
    parsed = parse_document(mark + text.encode(encoding), "a.txt")
    assert (parsed.text, parsed.encoding) == (text, encoding)


_OLDER = {
    "Die Gebäudeversicherung gilt für Schäden durch Überschwemmung, ausgenommen am Haus.":
        "cp1252 mac_roman cp850",
    "Die Prämie beträgt 500 € für jedes größere Gebäude.": "cp1252 iso8859-15",
    "L'assurance couvre les dégâts causés par l'incendie, à Noël.": "cp1252 mac_roman cp850",
    "O seguro cobre os danos causados pelo incêndio. Não há exceção.": "cp1252",
    "Försäkringen gäller för skador på huset. Ägaren måste betala.": "cp1252 mac_roman",
    "Pojištění se vztahuje na škody způsobené požárem. Příliš kůň.": "cp1250 iso8859-2",
    "Ubezpieczenie obejmuje szkody spowodowane pożarem. Zażółć gęślą.": "cp1250 iso8859-2",
    "Страховщик возмещает ущерб, причинённый пожаром.": "cp1251 koi8-r iso8859-5 cp866",
    "Καλύπτει ζημιές από πυρκαγιά η ασφάλεια.": "cp1253 iso8859-7",
    "Sigorta, yangının neden olduğu zararları karşılar.": "cp1254",  # noqa: RUF001
    "הביטוח מכסה נזקים שנגרמו מאש.": "cp1255 iso8859-8",
    "يغطي التأمين الأضرار الناجمة عن الحريق.": "cp1256 iso8859-6",
    "保険契約者は、保険料を支払わなければなりません。": "shift_jis euc_jp iso2022_jp",
    "保险合同是投保人与保险人约定保险权利义务关系的协议。": "gbk gb18030",
    "보험계약자는 보험료를 지급하여야 합니다.": "euc_kr",
    "ผู้เอาประกันภัยต้องชำระเบี้ยประกันภัย": "cp874",
}  # fmt: skip
_ENGLISH = "An English sentence comes first here, as in a long report. " * 40


@pytest.mark.parametrize(
    ("encoding", "text"),
    [(name, text) for text, names in _OLDER.items() for name in names.split()],
)
def test_text_in_older_encodings(encoding: str, text: str) -> None:
    for whole in (text, text * 5, _ENGLISH + text):
        assert parse_document(whole.encode(encoding), "a.txt").text == whole


def test_invalid_utf8_is_replaced_with_a_note() -> None:
    parsed = parse_document("größere Schäden für Häuser ".encode() + b"\xff end", "a.txt")
    assert parsed.text.endswith("Häuser \ufffd end")
    assert parsed.notes == ("1 invalid utf-8 sequences were replaced",)


def test_front_matter_gives_the_title() -> None:
    parsed = parse_document(b"---\ntitle: 'Home: cover'\nx: 1\n---\n\n# Top\n\ntext", "a.md")
    assert (parsed.title, parsed.text) == ("Home: cover", "# Top\n\ntext")
    assert parse_document(b"---\n\nBetween rules\n\n---\n\ntext", "a.md").text.startswith("---")
    assert _error(b"---\ntitle: only\n---\n", "a.md").code == "empty"


_SAMPLES = """# One #
text

Two
===

```
# not this
```

### Three *and* [a link](http://x)

~~~~
```
~~~
# nor this
~~~~

| a |
|---|

- item
---

<!-- # hidden
# hidden too
-->

Four
lines
---
#5 not
####### not
##
"""


def test_headings_agree_with_commonmark() -> None:
    tokens = MarkdownIt("commonmark").parse(_SAMPLES)
    starts = [0]
    for line in _SAMPLES.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    expected = [
        (starts[token.map[0]], int(token.tag[1]))
        for token, inline in pairwise(tokens)
        if token.type == "heading_open" and token.map and inline.content
    ]
    found = find_headings(_SAMPLES)
    assert [(heading.offset, heading.level) for heading in found] == expected
    assert [heading.title for heading in found] == ["One", "Two", "Three and a link", "Four lines"]


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "piece", ["# ", "[", "<", "a\n-\n", "```\n", "<!--\n", "> ", "* ", "-", "=\n", "# [](\n", "`"]
)
def test_headings_take_linear_time(piece: str) -> None:
    find_headings(piece * 200_000)


@settings(max_examples=200)
@given(st.text(st.sampled_from("#=-`~<>!|*_ []()\n\tab")))
def test_heading_offsets_are_line_starts(text: str) -> None:
    for heading in find_headings(text):
        assert heading.offset == 0 or text[heading.offset - 1] == "\n"
        assert heading.title


# --- mail


def test_mail_headers_body_and_named_attachments() -> None:
    parsed = parse_document(MAIL, "a.eml")
    assert parsed.text == (
        "From: Jürgen <j@example.org>\nTo: claims@example.org\nSubject: Schäden\n"
        "Date: Mon, 6 Sep 2010 05:25:34 -0400\n\nDer Schaden beträgt 100."
    )
    assert parsed.title == "Schäden"
    assert parsed.facts["attachments"] == 1
    assert list(_members(MAIL, "message/rfc822")) == [("bill.pdf", b"%PDF")]


def test_attached_mails_are_attachments_and_inline_pictures_are_not() -> None:
    inner = EmailMessage()
    inner["Subject"] = "Inner"
    inner.set_content("Only in the inner one.")
    mail = EmailMessage()
    mail["Subject"] = "Outer"
    mail.set_content("The outer text.")
    mail.add_attachment(inner)
    mail.add_attachment(b"x,y", maintype="text", subtype="csv", filename="../a.csv")
    mail.add_attachment(b"logo", maintype="image", subtype="png", filename="l.png", cid="<1>")
    mail.add_attachment(b"signed", maintype="application", subtype="pkcs7-signature")
    parsed = parse_document(mail.as_bytes(), "a.eml")
    assert parsed.text == "Subject: Outer\n\nThe outer text."
    assert parsed.facts["attachments"] == 2
    [(_, attached), table] = _members(mail.as_bytes(), "message/rfc822")
    assert "Only in the inner one." in parse_document(attached, "inner.eml").text
    assert table == ("%2E%2E/a.csv", b"x,y")


def _members(data: bytes, media_type: str) -> Iterator[tuple[str, bytes]]:
    members = list_members(data, media_type, ContainerBudget(1, 100, 1 << 20))
    contents = extract_members(data, media_type, [member.position for member in members])
    return zip((member.name for member in members), contents, strict=True)


def test_mail_with_html_only_and_broken_mail() -> None:
    html = b"From: a@example.org\nSubject: x\nContent-Type: text/html\n\n<p>Hello <b>you</b></p>"
    assert parse_document(html, "a.eml").text.endswith("\n\nHello you")
    broken = b"From: a\nSubject: =?x?q?=\nContent-Type: multipart/mixed; boundary=\n\nstill read"
    assert "still read" in parse_document(broken, "a.eml").text


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (
            "Report: Open claims\nCreated: 2026-03-14\n\nClaim,Peril,Reserve\n1,Fire,2\n2,Hail,3\n",
            "Report: Open claims\n\nCreated: 2026-03-14\n\n| Claim | Peril | Reserve |",
        ),
        ("sep=;\nClaim;Sum\n1;2,50\n", "| Claim | Sum |\n| --- | --- |\n| 1 | 2,50 |"),
        ("sep=\t\r\nClaim\tSum\r\n1\t2;3\r\n", "| Claim | Sum |\n| --- | --- |\n| 1 | 2;3 |"),
        ("Bordereau;;;\n;;;\nNo;Name;Sum;Tax\n1;a;2;3\n2;b;4;5\n", "Bordereau\n\n| No | Name |"),
        # The header row may lack a name.
        ("Claim,Peril,\n1,Fire,2\n2,Hail,3\n", "| Claim | Peril |  |\n| --- | --- | --- |"),
        ("a,b\n1,\n2,\n", "| a | b |\n| --- | --- |"),
    ],
)
def test_what_stands_above_the_header_of_a_csv_is_no_header(table: str, text: str) -> None:
    assert parse_document(table.encode(), "a.csv").text.startswith(text)
