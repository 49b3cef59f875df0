"""Mail (EML), by the standard library: a header block, the body, and the attachments.

What belongs here: one RFC 5322 message. What does not: mailboxes (`formats.mbox`), and the text
of attachments, which are separate documents.
"""

from __future__ import annotations

import codecs
import email
import mimetypes
import platform
from collections.abc import Iterator
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from functools import partial
from importlib.metadata import version

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.format_protocol import ContainerEntry
from tvdb_assets.parsing.formats.mail_body import (
    body_of,
    content_of,
    is_locked,
    is_text,
    is_tnef,
    kind_of,
    opened,
)
from tvdb_assets.parsing.formats.winmail import tnef_entries
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.parse_errors import corrupt, empty
from tvdb_assets.parsing.reading import tnef
from tvdb_assets.parsing.reading.text_decoding import decode

_REVISION = 3
_HEADERS_IN_TEXT = ("From", "To", "Cc", "Subject", "Date")
_MAX_PARTS = 1_000
_SIGNATURES = frozenset(
    {"application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"}
)


class MailParser(BaseParser):
    """Reads sender, recipients, date, subject and all texts; of alternatives the fullest one."""

    media_types = frozenset({"message/rfc822"})
    name = "mail (EML)"
    preserved = (
        "sender, recipients, subject, date; all parts of the body in order, of alternatives "
        "the one that says most; the text of winmail.dat and of signed parts; each attachment, as "
        "a separate document"
    )
    not_preserved = "pictures within the text, signatures, encrypted parts, other headers"
    # The library detects the charset of headers and bodies; Python does the rest.
    service = "chardetng-py"

    @property
    def fingerprint(self) -> str:
        python = platform.python_version()
        return f"mail{_REVISION}:{python}:{self.version}:lxml{version('lxml')}"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a mail; a damaged one gives its readable parts."""
        message = _message(data)
        attachments = sum(1 for _ in self.entries(data))
        body = body_of(message)
        text = body.text
        header = "\n".join(
            f"{name}: {value}" for name in _HEADERS_IN_TEXT if (value := _header(message, name))
        )
        if not (header or text):
            raise empty("The mail")
        encodings = sorted({decoded.encoding for decoded in body.decoded})
        notes = [note for decoded in body.decoded for note in decoded.notes()]
        if body.is_encrypted:
            notes.append("a part of the mail is encrypted and not read")
        return build_document(
            ["\n\n".join(part for part in (header, text) if part)],
            media_type=media_type,
            is_markdown=body.is_markdown,
            service=self.service,
            model="mail",
            title=_header(message, "Subject") or None,
            encoding=encodings[0] if len(encodings) == 1 else None,
            notes=notes,
            facts={"attachments": attachments},
        )

    def body_of(self, data: bytes) -> str:
        """The text of a mail or of a web archive (MHT), without its headers."""
        return body_of(_message(data)).text

    def entries(self, data: bytes) -> Iterator[ContainerEntry]:
        """The attachments of a mail."""
        for part in _parts(_message(data)):
            if is_tnef(part):
                yield from tnef_entries(tnef.read_tnef(content_of(part)))
            elif _is_attached(part):
                kind = part.get_content_type()
                is_mail = kind == "message/rfc822"
                name = _filename(part) or ("attached.eml" if is_mail else _unnamed(kind))
                yield ContainerEntry(name, partial(_attached, part), kind if is_mail else None)


def _message(data: bytes) -> Message:
    # The lenient policy: the strict one raises on headers that real mails have.
    data = data.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n")
    return opened(email.message_from_bytes(data))


def _parts(message: Message) -> Iterator[Message]:
    """The leaves of a mail; an attached mail is one of them."""
    pending = [message]
    seen = 0
    while pending:
        part = pending.pop()
        seen += 1
        if seen > _MAX_PARTS:
            raise corrupt("mail", f"it has more than {_MAX_PARTS} parts")
        if part is not message:
            opened(part)
        payload = part.get_payload()
        if part.get_content_type() == "multipart/encrypted":
            continue
        is_inner = part is not message and part.get_content_type() == "message/rfc822"
        if isinstance(payload, list) and not is_inner:
            pending.extend(inner for inner in reversed(payload) if isinstance(inner, Message))
        else:
            yield part


def _is_attached(part: Message) -> bool:
    kind = kind_of(part)
    if (
        is_text(part)
        or is_locked(part)
        or kind in _SIGNATURES
        or kind.startswith("message/delivery")
    ):
        return False
    is_inline = part["Content-ID"] is not None or _disposition(part).startswith("inline")
    return not (kind.startswith("image/") and is_inline)


def _disposition(part: Message) -> str:
    return str(part.get("Content-Disposition") or "").strip().lower()


def _attached(part: Message, max_bytes: int) -> bytes:
    payload = part.get_payload()
    try:
        if isinstance(payload, list):
            return b"\n\n".join(inner.as_bytes() for inner in payload if isinstance(inner, Message))
        content = part.get_payload(decode=True)
    except (ValueError, LookupError, TypeError, AttributeError, MessageError):
        raise corrupt("attachment", "it can't be decoded") from None
    return content if isinstance(content, bytes) else b""


def _unnamed(kind: str) -> str:
    return f"attached{mimetypes.guess_extension(kind) or ''}"


def _header(message: Message, name: str) -> str:
    values = [_decode_header(str(value)) for value in message.get_all(name, [])[:5]]
    return ", ".join(value for value in values if value)


def _decode_header(raw: str) -> str:
    raw = raw[:10_000]
    # The lenient policy passes undecoded bytes on as surrogates.
    if any("\udc80" <= char <= "\udcff" for char in raw):
        raw = decode(raw.encode("ascii", errors="surrogateescape")).text
    try:
        pieces = decode_header(raw)
    except (ValueError, MessageError):
        return " ".join(raw.split())
    parts = [
        piece if isinstance(piece, str) else decode(piece, charset).text
        for piece, charset in pieces
    ]
    return " ".join("".join(parts).split())


def _filename(part: Message) -> str:
    try:
        return " ".join(_decode_header(part.get_filename() or "").split())[:120]
    except (ValueError, LookupError, TypeError):
        return ""


PARSER = CONTAINER = MailParser()
