"""The body of a mail: alternatives, parts in order, winmail.dat, signed and encrypted parts."""

from __future__ import annotations

import base64
import struct
from email.message import EmailMessage

import pytest

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.container_members import ContainerBudget, extract_members, list_members
from tvdb_assets.parsing.document_parser import parse_document

_HEAD = b"From: ada@example.org\nTo: bob@example.org\nSubject: Claim 7\n"
_LONG = "We offer 14,250 dollars for the water damage at 12 Elm Street after the deductible."


def _mail(kind: str, *parts: tuple[str, str]) -> bytes:
    """A mail of parts, each with its headers and its content."""
    body = "".join(f"--b\n{head}\n\n{content}\n" for head, content in parts)
    return _HEAD + f"Content-Type: {kind}; boundary=b\n\n{body}--b--\n".encode()


def _body(data: bytes) -> str:
    return parse_document(data, "a.eml").text.partition("\n\n")[2]


_PLAIN, _HTML = "Content-Type: text/plain", "Content-Type: text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("plain", "html", "body"),
    [
        (_LONG, f"<p>{_LONG}</p>", _LONG),
        ("This message is in HTML format.", "<p>Premium 812 euros.</p>", "Premium 812 euros."),
        ("See below.", f"<p>See below.</p><p>{_LONG}</p>", f"See below.\n\n{_LONG}"),
        (_LONG, "<p>Open the file.</p>", _LONG),
        ("\ufeff", "<p>Words.</p>", "Words."),
        (_LONG, "", _LONG),
    ],
)
def test_of_alternatives_the_one_that_says_most_is_taken(plain: str, html: str, body: str) -> None:
    assert _body(_mail("multipart/alternative", (_PLAIN, plain), (_HTML, html))) == body


def test_parts_of_a_mixed_mail_are_kept_in_their_order_and_once() -> None:
    first, last = (_HTML, "<p>The offer.</p>"), (_PLAIN, "claims mailing list")
    assert _body(_mail("multipart/mixed", first, last)) == "The offer.\n\nclaims mailing list"
    assert _body(_mail("multipart/mixed", last, first)) == "claims mailing list\n\nThe offer."
    twice = _mail("multipart/mixed", (_PLAIN, "The offer. Yours, Ada"), first)
    assert _body(twice) == "The offer. Yours, Ada"


@pytest.mark.parametrize(
    ("charset", "content"),
    [
        ("us-ascii", "Prämie".encode()), ("iso-8859-1", "Prämie".encode()),
        ("utf-8", "Prämie für Häuser".encode("cp1252")), ("x-unknown", "Prämie".encode()),
    ],
)  # fmt: skip
def test_a_charset_that_is_wrong_costs_no_letters(charset: str, content: bytes) -> None:
    data = _HEAD + f"Content-Type: text/plain; charset={charset}\n\n".encode() + content
    assert _body(data).startswith("Prämie")


def test_a_mark_of_byte_order_is_no_body_and_no_header() -> None:
    data = _HEAD + b"Content-Type: text/plain; charset=utf-8\n\n\xef\xbb\xbf\n"
    assert _body(data) == ""
    assert parse_document(b"\xef\xbb\xbf" + _HEAD + b"\nWords.", "a.eml").title == "Claim 7"


# --- winmail.dat


def _attribute(level: int, kind: int, name: int, content: bytes) -> bytes:
    checksum = sum(content) & 0xFFFF
    return struct.pack("<BHHI", level, name, kind, len(content)) + content + struct.pack(
        "<H", checksum
    )  # fmt: skip


def _property(kind: int, number: int, value: bytes) -> bytes:
    padded = value + b"\0" * (-len(value) % 4)
    return struct.pack("<HHII", kind, number, 1, len(value)) + padded


def _tnef(*, in_properties: bool) -> bytes:
    body = "The roof was inspected; 480 € are due."
    if in_properties:
        named = struct.pack("<HH16sII", 3, 0x8005, b"\0" * 16, 0, 1) + struct.pack("<I", 9)
        wide = _property(0x1F, 0x1000, body.encode("utf-16-le"))
        start = _attribute(1, 6, 0x9003, struct.pack("<I", 2) + named + wide)
        name = _property(0x1F, 0x3707, "bill é.txt".encode("utf-16-le"))
        named_file = _attribute(2, 6, 0x9005, struct.pack("<I", 1) + name)
    else:
        start = _attribute(1, 2, 0x800C, body.encode("cp1252") + b"\0")
        named_file = _attribute(2, 1, 0x8010, "bill é.txt".encode("cp1252") + b"\0")
    return (
        b"\x78\x9f\x3e\x22\x01\x00" + start + _attribute(2, 6, 0x9002, b"\0" * 14)
        + _attribute(2, 6, 0x800F, b"480 euros") + named_file
    )  # fmt: skip


@pytest.mark.parametrize("in_properties", [False, True])
def test_winmail_is_read_with_its_attachments(in_properties: bool) -> None:
    content = _tnef(in_properties=in_properties)
    encoded = base64.encodebytes(content).decode()
    head = "Content-Type: application/ms-tnef; name=winmail.dat\nContent-Transfer-Encoding: base64"
    mail = _mail("multipart/mixed", (_PLAIN, ""), (head, encoded))
    for data, name in ((mail, "a.eml"), (content, "winmail.dat")):
        parsed = parse_document(data, name)
        assert parsed.text.endswith("The roof was inspected; 480 € are due.")
        assert parsed.facts["attachments"] == 1
        [member] = list_members(data, parsed.media_type, ContainerBudget(1, 9, 1 << 20))
        assert member.name == "bill é.txt"
        assert extract_members(data, parsed.media_type, [0]) == [b"480 euros"]


# --- signed and encrypted


def _signed(content: bytes, *, in_pieces: bool) -> bytes:
    def der(tag: int, value: bytes) -> bytes:
        if len(value) < 128:
            return bytes([tag, len(value)]) + value
        return bytes([tag, 0x82]) + len(value).to_bytes(2, "big") + value

    data = bytes.fromhex("06092a864886f70d010701")
    octets = der(0x04, content)
    if in_pieces:
        octets = der(0x24, der(0x04, content[:9]) + der(0x04, content[9:]))
    inner = der(0x30, b"\x02\x01\x01\x31\x00" + der(0x30, data + der(0xA0, octets)))
    return der(0x30, bytes.fromhex("06092a864886f70d010702") + der(0xA0, inner))


@pytest.mark.parametrize("in_pieces", [False, True])
def test_the_content_of_a_signature_is_the_body(in_pieces: bool) -> None:
    inner = b"Content-Type: text/plain\n\n" + _LONG.encode()
    message = EmailMessage()
    message["From"], message["Subject"] = "ada@example.org", "Signed"
    content = _signed(inner, in_pieces=in_pieces)
    message.set_content(content, "application", "pkcs7-mime", filename="smime.p7m")
    parsed = parse_document(message.as_bytes(), "a.eml")
    assert parsed.text.endswith(_LONG)
    assert parsed.facts["attachments"] == 0


def _noted(parsed: ParsedDocument) -> bool:
    return parsed.notes == ("a part of the mail is encrypted and not read",)


def test_an_encrypted_part_is_noted_and_no_attachment() -> None:
    block = "-----BEGIN PGP MESSAGE-----\n\nhQEMA5\n-----END PGP MESSAGE-----"
    version = ("Content-Type: application/pgp-encrypted", "Version: 1")
    whole = _mail("multipart/encrypted", version, ("Content-Type: application/octet-stream", block))
    envelope = bytes.fromhex("30800609 2a864886f70d010703") + bytes(60)
    head = "Content-Type: application/pkcs7-mime; name=smime.p7m\nContent-Transfer-Encoding: base64"
    sealed = _mail("multipart/mixed", (head, base64.encodebytes(envelope).decode()))
    inline = _HEAD + f"\nHello,\n\n{block}\n".encode()
    for data in (whole, sealed, inline):
        parsed = parse_document(data, "a.eml")
        assert _noted(parsed)
        assert parsed.facts["attachments"] == 0
        assert "hQEMA5" not in parsed.text


def test_a_clear_signature_is_no_text() -> None:
    source = (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nThe offer stands.\n"
        "-----BEGIN PGP SIGNATURE-----\n\niQEzBAEBCAAd\n-----END PGP SIGNATURE-----\n"
    )
    assert _body(_HEAD + b"\n" + source.encode()) == "The offer stands."


def test_a_mail_inside_of_a_mail_is_a_document_of_its_own() -> None:
    inner = ("Content-Type: message/rfc822", f"From: x@example.org\nSubject: Old\n\n{_LONG}")
    data = _mail("multipart/mixed", (_PLAIN, "See the mail below."), inner)
    assert _body(data) == "See the mail below."
    [member] = list_members(data, "message/rfc822", ContainerBudget(1, 9, 1 << 20))
    assert member.media_type == "message/rfc822"
