"""The body of a mail: its parts in order, and of alternatives the one that says most.

What belongs here: the choice and the text of parts. What does not: headers and attachments
(`formats.mail`).
"""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message

from tvdb_assets.parsing.formats.html import extract_main_text
from tvdb_assets.parsing.formats.msg import text_of_compressed_rtf
from tvdb_assets.parsing.reading import signed_data, tnef
from tvdb_assets.parsing.reading.text_decoding import Decoded, decode

_MAX_DEPTH = 50
_PLAIN_IS_ENOUGH = 0.8  # share of the words of the richest alternative
_MUCH_LESS = 0.5  # share of the words of the longest alternative
_SIGNED_TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_TNEF_TYPES = frozenset({"application/ms-tnef", tnef.MEDIA_TYPE})
_ENCRYPTED_BLOCK = re.compile(
    r"^-----BEGIN PGP MESSAGE-----.*?(?:^-----END PGP MESSAGE-----|\Z)", re.DOTALL | re.MULTILINE
)
_SIGNED_START = re.compile(r"^-----BEGIN PGP SIGNED MESSAGE-----\n(?:[!-~]+: .*\n)*", re.MULTILINE)
_SIGNATURE = re.compile(
    r"^-----BEGIN PGP SIGNATURE-----.*?(?:^-----END PGP SIGNATURE-----|\Z)",
    re.DOTALL | re.MULTILINE,
)
_INVISIBLE = "\ufeff\u200b\u2060\u00ad"


@dataclass(slots=True)
class Body:
    """The text of a mail."""

    pieces: list[tuple[str, bool]] = field(default_factory=list)
    """The texts of its parts, and whether each is Markdown."""
    decoded: list[Decoded] = field(default_factory=list)
    is_encrypted: bool = False

    @property
    def text(self) -> str:
        """The texts in order; one that another text has word for word is left out."""
        plain = [" ".join(text.split()) for text, _ in self.pieces]
        return "\n\n".join(
            text for at, (text, _) in enumerate(self.pieces) if not _is_repeated(plain, at)
        )

    @property
    def is_markdown(self) -> bool:
        """Whether all of it is Markdown."""
        return bool(self.pieces) and all(is_markdown for _, is_markdown in self.pieces)

    def words(self) -> int:
        """Number of words."""
        return sum(len(text.split()) for text, _ in self.pieces)

    def add(self, text: str, is_markdown: bool) -> None:
        """Add the text of a part; one without visible characters is none."""
        text = text.strip().strip(_INVISIBLE).strip()
        if text:
            self.pieces.append((text, is_markdown))

    def extend(self, other: Body) -> None:
        """Add all parts of another body."""
        self.pieces += other.pieces
        self.decoded += other.decoded
        self.is_encrypted |= other.is_encrypted


def _is_repeated(texts: list[str], at: int) -> bool:
    """Whether a text is in another one, or equals an earlier one."""
    return any(
        texts[at] in other and (texts[at] != other or number < at)
        for number, other in enumerate(texts)
        if number != at
    )


def opened(message: Message) -> Message:
    """A message; what is inside of an S/MIME signature takes the place of the signature."""
    if message.get_content_type() in _SIGNED_TYPES:
        content = signed_data.signed_content(content_of(message))
        if content is not None:
            inner = email.message_from_bytes(content)
            for name in ("Content-Type", "Content-Transfer-Encoding", "Content-Disposition"):
                del message[name]
                if (value := inner[name]) is not None:
                    message[name] = value
            message.set_payload(inner.get_payload())
    return message


def is_tnef(part: Message) -> bool:
    """Whether a part is a ``winmail.dat``."""
    if part.get_content_type() in _TNEF_TYPES:
        return True
    return str(part.get_filename() or "").lower() == "winmail.dat"


def is_locked(part: Message) -> bool:
    """Whether a part is encrypted, or says how another one is."""
    kind = part.get_content_type()
    if kind == "application/pgp-encrypted":
        return True
    return kind in _SIGNED_TYPES and signed_data.is_encrypted(content_of(part))


def body_of(message: Message) -> Body:
    """The text of a message, without those that are attached to it."""
    return _body(message, 0)


def _body(part: Message, depth: int) -> Body:
    body = Body()
    kind = part.get_content_type()
    if depth > _MAX_DEPTH:
        return body
    inner = [child for child in _children(part) if child.get_content_type() != "message/rfc822"]
    if kind == "multipart/encrypted":
        body.is_encrypted = True
    elif kind == "multipart/alternative" and inner:
        return _fullest([_body(child, depth + 1) for child in inner])
    elif part.is_multipart() and kind != "message/rfc822":
        for child in inner:
            body.extend(_body(opened(child), depth + 1))
    elif kind == "message/rfc822" and depth == 0:
        for child in _children(part):
            body.extend(_body(child, depth + 1))
    elif is_locked(part):
        body.is_encrypted = True
    elif is_tnef(part):
        body.extend(tnef_body(tnef.read_tnef(content_of(part))))
    elif is_text(part):
        _add_text(body, part)
    return body


def _children(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    if isinstance(payload, list):
        yield from (child for child in payload if isinstance(child, Message))


def _fullest(bodies: list[Body]) -> Body:
    """The alternative that says most: the richest one, or a simpler one with its words.

    A plain text that only asks for another mail program has none of the words of the message.
    """
    most = max(body.words() for body in bodies)
    best = next(body for body in reversed(bodies) if body.words() >= _MUCH_LESS * most)
    words = set(best.text.split())
    chosen = next(
        body
        for body in bodies
        if len(words.intersection(body.text.split())) >= _PLAIN_IS_ENOUGH * len(words)
    )
    chosen.is_encrypted = any(body.is_encrypted for body in bodies)
    return chosen


def kind_of(part: Message) -> str:
    """The media type of a leaf."""
    kind = part.get_content_type()
    # A multipart leaf claims to have parts and has none.
    return "text/plain" if kind.startswith("multipart/") else kind


def is_text(part: Message) -> bool:
    """Whether a leaf is a part of the body."""
    # A broken disposition such as "attachment;;" must not hide the text.
    disposition = str(part.get("Content-Disposition") or "").strip().lower()
    is_attachment = disposition.startswith("attachment") or (
        bool(part.get_filename()) and not disposition.startswith("inline")
    )
    return kind_of(part) in {"text/plain", "text/html"} and not is_attachment


def content_of(part: Message) -> bytes:
    """The decoded bytes of a leaf."""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _add_text(body: Body, part: Message) -> None:
    charset = part.get_param("charset")
    decoded = decode(content_of(part), charset if isinstance(charset, str) else None)
    body.decoded.append(decoded)
    if kind_of(part) == "text/html":
        body.add(extract_main_text(decoded.text).text, is_markdown=True)
        return
    text = decoded.text.replace("\r\n", "\n")
    if "-----BEGIN PGP" in text:
        text, locked = _ENCRYPTED_BLOCK.subn("", text)
        body.is_encrypted |= locked > 0
        text = _SIGNATURE.sub("", _SIGNED_START.sub("", text))
    body.add(text, is_markdown=False)


def tnef_body(found: tnef.Tnef) -> Body:
    """The text of a TNEF stream."""
    body = Body()
    if found.html:
        body.add(extract_main_text(decode(found.html).text).text, is_markdown=True)
    elif found.body.strip():
        body.add(found.body, is_markdown=False)
    elif found.rtf:
        body.add(text_of_compressed_rtf(found.rtf), is_markdown=True)
    return body
