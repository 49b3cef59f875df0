"""Archives and mailboxes: sections, budgets over all levels, nothing outside."""

from __future__ import annotations

import io
import zipfile

import pytest

from tvdb_assets.errors import ParseError
from tvdb_assets.services.parsers import limits, mailbox, nested, refusals
from tvdb_assets.services.parsers.limits import Limits
from tvdb_assets.services.parsing import parse_document
from tvdb_assets_tests.services.made_files import MAIL, make_docx, make_zip


def _error(data: bytes, path: str = "a.zip") -> ParseError:
    with pytest.raises(ParseError) as caught:
        parse_document(data, path)
    assert caught.value.remedy
    return caught.value


def _zip(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def _limit(monkeypatch: pytest.MonkeyPatch, chosen: Limits) -> None:
    for module in (limits, nested):
        monkeypatch.setattr(module, "LIMITS", chosen)


def test_each_file_is_a_section() -> None:
    data = _zip(
        ("a/readme.md", b"# Title\n\ntext"),
        ("../../etc/passwd", b"only a name"),
        ("b.docx", make_docx()),
        ("c.exe", b"MZ\x90\x00" + bytes(range(256))),
        ("plain.txt", b"# not a heading"),
        ("__MACOSX/x", b"system"),
    )
    parsed = parse_document(data, "a.zip")
    assert [(h.level, h.title) for h in parsed.headings] == [
        (1, "a/readme.md"),
        (2, "Title"),
        (1, "../../etc/passwd"),
        (1, "b.docx"),
        (2, "Cover"),
        (3, "Exclusions"),
        (1, "plain.txt"),
    ]
    assert "\\# not a heading" in parsed.text
    assert parsed.facts == {"files": 5, "files_parsed": 4}
    assert parsed.notes == ("1 files could not be parsed: unsupported 1",)


def test_an_archive_fails_only_if_all_in_it_fails() -> None:
    assert _error(_zip(("a.exe", b"MZ\x90\x00" + bytes(range(256))))).code == "unsupported"
    assert _error(_zip(("folder/", b""))).code == "empty"
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert _error(buffer.getvalue()).code == "empty"
    torn = bytearray(_zip(("a.txt", b"text " * 400), ("b.txt", b"whole")))
    torn[36:40] = b"\xff" * 4
    parsed = parse_document(bytes(torn), "a.zip")
    assert (parsed.text, parsed.notes) == ("# b.txt\n\nwhole", ("1 files are damaged or locked",))


def test_budgets_hold_over_all_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = _zip(*((f"{n}.txt", b"x") for n in range(5)))
    _limit(monkeypatch, Limits(members=8))
    assert parse_document(inner, "a.zip").facts["files_parsed"] == 5
    error = _error(_zip(("1.zip", inner), ("2.zip", inner)))
    assert (error.code, "8 documents inside it" in error.message) == ("over_limit", True)
    _limit(monkeypatch, Limits(expanded_mib=1))
    bomb = _zip(("zeros.txt", b"0" * (900 << 10)))
    assert "0" in parse_document(bomb, "a.zip").text
    error = _error(_zip(("1.zip", bomb), ("2.zip", bomb)))
    assert (error.code, "1 MiB" in error.message) == ("expands_too_far", True)


def test_archives_inside_each_other_end_at_a_depth() -> None:
    data = b"the innermost text"
    for level in range(5):
        data = _zip((f"{level}.zip" if level else "a.txt", data))
    error = _error(data)
    assert (error.code, "3 levels" in error.message) == ("over_limit", True)
    assert refusals.expands_too_far("x", 5).code == "expands_too_far"


_MBOX = (
    b"From a@example.org Mon Sep  6 05:25:34 2010\n" + MAIL + b"\n"
    b"From b@example.org Tue Sep  7 05:25:34 2010\nFrom: b@example.org\nSubject: Second\n\n"
    b"From here on it is text.\n>From quoted\n\n"
    b"From c@example.org Wed Sep  8 05:25:34 2010\n\n\n"
)


def test_mbox_messages_are_sections() -> None:
    parsed = parse_document(_MBOX, "inbox")
    assert parsed.media_type == "application/mbox"
    assert [heading.title for heading in parsed.headings] == ["Message 1", "Message 2"]
    assert parsed.text.count("Der Schaden beträgt 100.") == 1
    assert parsed.text.endswith(
        "# Message 2\n\nFrom: b@example.org\nSubject: Second\n\n"
        "From here on it is text.\nFrom quoted"
    )
    assert parsed.notes == ("1 messages could not be parsed: empty 1",)
    assert len(list(mailbox.messages(_MBOX.replace(b"\n", b"\r\n")))) == 3


def test_a_mail_that_begins_like_a_mailbox_is_a_mail() -> None:
    one = b"From a@example.org Mon Sep  6 05:25:34 2010\n" + MAIL
    assert parse_document(one, "a.eml").media_type == "message/rfc822"


def test_documents_that_are_archives_are_no_archives() -> None:
    assert parse_document(make_zip(**{"x.txt": "text"}), "a.docx").notes == (
        "the name says a Word document (DOCX), the content is a ZIP archive",
    )
