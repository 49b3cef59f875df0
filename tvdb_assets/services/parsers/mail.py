"""Mail (EML), by the standard library: a header block and the body.

What belongs here: one RFC 5322 message. What does not: mailboxes; the attachments' own
text, which are only named.
"""

from __future__ import annotations

import email
import platform
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from importlib.metadata import version

from tvdb_assets.models import ParsedDocument
from tvdb_assets.services.parsers.assemble import make
from tvdb_assets.services.parsers.decode import Decoded, decode
from tvdb_assets.services.parsers.refusals import corrupt, empty

_REVISION = 1
_SHOWN = ("From", "To", "Cc", "Subject", "Date")
_MOST_PARTS = 1_000
_MOST_NAMES = 20


class MailParser:
    """Who, to whom, when, about what, and the text; HTML only where there is no plain text."""

    media_types = frozenset({"message/rfc822"})
    name = "mail (EML)"
    kept = "sender, recipients, subject, date, body, names of attachments"
    lost = "attachments' content, HTML where there is plain text, other headers"
    # Headers and bodies are decoded by the charset detector; the rest is Python's own.
    service = "chardetng-py"

    @property
    def version(self) -> str:
        return version(self.service)

    @property
    def fingerprint(self) -> str:
        python = platform.python_version()
        return f"mail{_REVISION}:{python}:{self.version}:lxml{version('lxml')}"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a mail; a broken one gives what can be read of it."""
        # The lenient policy: the strict one raises on headers that real mails have.
        message = email.message_from_bytes(data.lstrip(b"\r\n"))
        plain: list[Decoded] = []
        html: list[Decoded] = []
        names: list[str] = []
        attachments = 0
        for number, part in enumerate(message.walk()):
            if number == _MOST_PARTS:
                raise corrupt("mail", f"it has more than {_MOST_PARTS} parts")
            if part.is_multipart():
                continue
            name = _filename(part)
            kind = part.get_content_type()
            if kind.startswith("multipart/"):
                kind = "text/plain"  # it says that it has parts, and has none
            is_body = kind in {"text/plain", "text/html"} and not _is_attachment(part, name)
            if not is_body:
                attachments += 1
                names.append(name or kind)
            elif kind == "text/html":
                html.append(_body(part))
            else:
                plain.append(_body(part))
        text = "\n\n".join(body.text.strip() for body in plain if body.text.strip())
        bodies = plain
        if not text:
            text, bodies = "\n\n".join(_from_html(body.text) for body in html).strip(), html
        header = "\n".join(
            f"{name}: {value}" for name in _SHOWN if (value := _header(message, name))
        )
        if not (header or text):
            raise empty("The mail")
        encodings = sorted({body.encoding for body in bodies})
        return make(
            ["\n\n".join(part for part in (header, text) if part)],
            media_type=media_type,
            is_markdown=False,
            service=self.service,
            model="mail",
            title=_header(message, "Subject") or None,
            encoding=encodings[0] if len(encodings) == 1 else None,
            notes=(
                *(note for body in bodies for note in body.notes()),
                *((f"attachments, not parsed: {_names(names)}",) if names else ()),
            ),
            facts={"attachments": attachments},
        )


def _is_attachment(part: Message, name: str) -> bool:
    # A broken disposition such as "attachment;;" must not hide the text.
    disposition = str(part.get("Content-Disposition") or "").strip().lower()
    return disposition.startswith("attachment") or (bool(name) and disposition != "inline")


def _body(part: Message) -> Decoded:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    charset = part.get_param("charset")
    return decode(content, charset if isinstance(charset, str) else None)


def _from_html(source: str) -> str:
    from tvdb_assets.services.parsers.html import html_to_markdown

    return html_to_markdown(source).text


def _header(message: Message, name: str) -> str:
    values = [_decode_header(str(value)) for value in message.get_all(name, [])[:5]]
    return ", ".join(value for value in values if value)


def _decode_header(raw: str) -> str:
    raw = raw[:10_000]
    # The lenient policy hands undecoded bytes over as surrogates.
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


def _names(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


PARSER = MailParser()
