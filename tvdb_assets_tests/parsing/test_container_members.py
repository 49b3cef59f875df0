"""Containers: names and bytes of members, limits, and no access to files outside."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest

from tvdb_assets.core.member_paths import MAX_BYTES, MemberNames, is_safe
from tvdb_assets.document_limits import DocumentLimits
from tvdb_assets.errors import ParseError
from tvdb_assets.models import Member
from tvdb_assets.parsing.active_limits import limits_applied
from tvdb_assets.parsing.container_members import (
    ContainerBudget,
    check_extracted,
    check_listing,
    extract_members,
    list_members,
)
from tvdb_assets.parsing.document_parser import identify_document, parse_document
from tvdb_assets.parsing.formats.record_fields import MEDIA_TYPE
from tvdb_assets_tests.parsing.sample_files import MAIL, make_docx, make_zip

BUDGET = ContainerBudget(1, 1_000, 1 << 24)


def _zip(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def _extracted(
    data: bytes, path: str, budget: ContainerBudget = BUDGET
) -> list[tuple[Member, bytes]]:
    media_type = identify_document(data, path).media_type
    members = list_members(data, media_type, budget)
    good = [member for member in members if member.error is None]
    contents = extract_members(data, media_type, [member.position for member in good])
    # Each member can be extracted alone.
    assert [extract_members(data, media_type, [m.position]) for m in good[-2:]] == [
        [content] for content in contents[-2:]
    ]
    return list(zip(good, contents, strict=True))


def _error(action: Callable[[], object]) -> ParseError:
    with pytest.raises(ParseError) as caught:
        action()
    assert caught.value.remedy
    return caught.value


def test_names_of_archive_members_never_point_outside() -> None:
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, pytest.warns(UserWarning):
        archive.writestr(link, "/etc/passwd")
        archive.writestr("folder/", "")
        archive.writestr("__MACOSX/x", "system")
        for name in ("a/b.md", "../../etc/passwd", "/abs.txt", "a\\..\\b.md", "a/b.md", "x!/y"):
            archive.writestr(name, name)
    names = [member.name for member, _ in _extracted(buffer.getvalue(), "a.zip")]
    assert names == [
        "a/b.md",
        "%2E%2E/%2E%2E/etc/passwd",
        "%2Fabs.txt",
        "a/%2E%2E/b.md",
        "a/b (2).md",
        "x%21/y",
    ]


def test_an_entry_without_a_name_is_extracted() -> None:
    nameless = zipfile.ZipInfo("x")
    nameless.filename = ""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.md", "The first.")
        archive.writestr(nameless, "The other.")
    members = _extracted(buffer.getvalue(), "a.zip")
    assert [content for _, content in members] == [b"The first.", b"The other."]
    assert all(member.name for member, _ in members)


def test_long_and_unusual_names_are_unique() -> None:
    names = MemberNames()
    long = "é" * 500
    unique = [
        names.take(raw) for raw in (f"{long}1.md", f"{long}2.md", "", " ", "a\n%.md", "\ud800")
    ]
    assert len(set(unique)) == 6
    assert all(len(name.encode()) <= MAX_BYTES for name in unique)
    assert all(name.endswith(".md") for name in unique[:2])
    assert unique[2:] == ["unnamed", "unnamed (2)", "a%0A%25.md", "%ED%A0%80"]


def test_a_damaged_or_locked_member_fails_alone() -> None:
    damaged = bytearray(_zip(("a.txt", b"text " * 400), ("b.txt", b"whole")))
    damaged[36:40] = b"\xff" * 4
    members = list_members(bytes(damaged), "application/zip", BUDGET)
    assert [(m.name, m.error and m.error.code) for m in members] == [
        ("a.txt", "corrupt"),
        ("b.txt", None),
    ]
    locked = bytearray(_zip(("a.txt", b"text"), ("b.txt", b"whole")))
    at = locked.rindex(b"PK\x01\x02", 0, locked.rindex(b"PK\x01\x02"))
    locked[at + 8] |= 1
    members = list_members(
        bytes(locked), identify_document(bytes(locked), "a.zip").media_type, BUDGET
    )
    assert [m.error and m.error.code for m in members] == ["encrypted", None]
    assert (
        _error(lambda: list_members(_zip(("f/", b"")), "application/zip", BUDGET)).code == "empty"
    )
    assert _error(lambda: parse_document(_zip(("a.txt", b"x")), "a.zip")).code == "container"


def test_limits_apply_over_all_levels() -> None:
    data = _zip(*((f"{n}.txt", b"x" * 100) for n in range(5)))

    def listed(budget: ContainerBudget) -> Callable[[], object]:
        return lambda: list_members(data, "application/zip", budget)

    assert len(list_members(data, "application/zip", ContainerBudget(3, 5, 500))) == 5
    assert _error(listed(ContainerBudget(3, 4, 500))).code == "over_limit"
    assert _error(listed(ContainerBudget(4, 5, 500))).code == "over_limit"
    error = _error(listed(ContainerBudget(1, 5, 499)))
    assert (error.code, "512 MiB" in error.message) == ("expands_too_far", True)
    big = _zip(("zeros.txt", b"0" * (3 << 20)), ("small.txt", b"small"))
    with limits_applied(DocumentLimits(max_document_mib=2)):
        members = list_members(big, "application/zip", BUDGET)
    assert [m.error and m.error.code for m in members] == ["too_large", None]


_MBOX = (
    b"From a@example.org Mon Sep  6 05:25:34 2010\n" + MAIL + b"\n"
    b"From b@example.org Tue Sep  7 05:25:34 2010\nFrom: b@example.org\nSubject: Second\n\n"
    b"From here on it is text.\n>From quoted\n\n"
    b"From c@example.org Wed Sep  8 05:25:34 2010\n\n\n"
)


@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_each_message_of_a_mailbox_is_a_member(ends: bytes) -> None:
    members = _extracted(_MBOX.replace(b"\n", ends), "inbox")
    assert [(m.name, m.media_type) for m, _ in members] == [
        (f"#{n:06}.eml", "message/rfc822") for n in (1, 2, 3)
    ]
    text = parse_document(members[1][1], members[1][0].name).text
    assert text == ("From: b@example.org\nSubject: Second\n\nFrom here on it is text.\nFrom quoted")


def test_a_mail_that_begins_like_a_mailbox_is_a_mail() -> None:
    one = b"From a@example.org Mon Sep  6 05:25:34 2010\n" + MAIL
    assert parse_document(one, "a.eml").media_type == "message/rfc822"


def test_a_document_that_is_a_zip_file_is_not_an_archive() -> None:
    docx = make_docx()
    assert "wordprocessing" in identify_document(docx, "a.zip").media_type
    assert (
        identify_document(make_zip(**{"x.txt": "text"}), "a.docx").media_type == "application/zip"
    )


# --- records


def _record(content: bytes) -> tuple[str, str | None]:
    parsed = parse_document(content, "r", identify_document(content, "r", MEDIA_TYPE))
    assert parsed.media_type == MEDIA_TYPE
    return parsed.text, parsed.title


def test_records_of_json_lines() -> None:
    lines = [
        '{"id": 7, "text": "x"}',
        "",
        '{"id": 7, "a": 1}',
        "broken",
        '["list"]',
        '{"_id": "k"}',
    ]
    members = _extracted("\n".join(lines).encode(), "a.jsonl")
    assert [m.name for m, _ in members] == ["7", "7 (2)", "#000004", "#000005", "k"]
    assert [content.decode() for _, content in members] == [line for line in lines if line]
    assert _error(lambda: _record(b"broken")).code == "corrupt"
    wide = _extracted('{"id": "ü"}\n{"id": "b"}\n'.encode("utf-16"), "a.ndjson")
    assert [m.name for m, _ in wide] == ["ü", "b"]


def test_the_text_of_a_record() -> None:
    assert _record(b'{"title": "T", "text": "The text.", "n": 1}') == ("The text.", "T")
    assert _record(b'{"Body": "<p>Only <b>this</b></p>", "x": 1}') == ("Only this", None)
    assert _record(b'{"text": "# Head\\n\\n- one\\n- two"}') == ("# Head\n\n- one\n- two", "Head")
    # The field looks like a mail, but it is plain text.
    mail = "From: a\nTo: b\nSubject: c\nDate: d\n\nbody"
    assert _record(json.dumps({"content": mail}).encode())[0] == mail
    assert _record(b'{"text": " ", "name": "N", "size": 3}') == ("text:\nname: N\nsize: 3", "N")


def test_rows_of_parquet() -> None:
    from arro3.core import Array, DataType, Table
    from arro3.io import write_parquet

    columns = {
        "id": Array(["a", None, "c"], type=DataType.string()),
        "text": Array(["One.", "Two.", None], type=DataType.string()),
        "raw": Array([b"\xff", b"plain", None], type=DataType.binary()),
        "n": Array([1, None, 3], type=DataType.int64()),
    }
    buffer = io.BytesIO()
    write_parquet(Table.from_pydict(columns), buffer)
    data = buffer.getvalue()
    members = _extracted(data, "rows.bin")
    assert [(m.name, m.media_type) for m, _ in members] == [
        ("a", MEDIA_TYPE),
        ("#000002", MEDIA_TYPE),
        ("c", MEDIA_TYPE),
    ]
    assert json.loads(members[1][1]) == {"id": None, "text": "Two.", "raw": "plain", "n": None}
    assert [_record(content)[0] for _, content in members[:2]] == ["One.", "Two."]
    for broken in (data[:-1], data[:40] + data[60:], b"PAR1" + data[-8:]):
        code = _error(
            lambda d=broken: list_members(d, "application/vnd.apache.parquet", BUDGET)
        ).code
        assert code == "corrupt"


def test_a_forged_list_of_members_is_refused() -> None:
    budget = ContainerBudget(1, 3, 100)
    good = [Member(0, "a.txt", 40, bytes(32)), Member(1, "b/c.txt", 60, bytes(32))]
    check_listing(good, budget, 3)
    first, second = good
    forged = [
        [first, replace(second, name="a.txt")],
        [replace(first, position=1), second],
        [replace(first, size=-1), second],
        [replace(first, size=41), second],
        [replace(first, sha256=b"")],
        [replace(first, position=at, size=0, name=str(at)) for at in range(4)],
        *(
            [replace(first, name=name)]
            for name in (
                "",
                "../b",
                "/a",
                "a//b",
                "b.zip!/a",
                "a\nb",
                "a\0",
                "x" * 900,
                "保" * 200,
                "a/./b",
            )
        ),
    ]
    for listed in forged:
        with pytest.raises(ParseError) as raised:
            check_listing(listed, budget, 3)
        assert raised.value.code == "parser_crashed"
    # An archive that is inside of itself would never end.
    check_listing([], replace(budget, level=4), 3)
    with pytest.raises(ParseError, match="documents inside of it"):
        check_listing(good, replace(budget, level=4), 3)


def test_every_name_that_is_given_to_a_member_is_accepted() -> None:
    names = MemberNames()
    for raw in (
        "../b",
        "/a",
        "a//b",
        "b.zip!/a",
        "a\nb",
        "100%",
        "ä" * 900,
        "",
        "a",
        "a",
        ".",
        "%2",
    ):
        assert is_safe(names.take(raw)), raw


def test_bytes_that_are_not_the_listed_ones_are_refused() -> None:
    member = Member(0, "a.txt", 3, sha256(b"abc").digest())
    check_extracted([b"abc"], [member])
    for contents in ([b"abd"], [], [b"abc", b"abc"]):
        with pytest.raises(ParseError):
            check_extracted(contents, [member])
