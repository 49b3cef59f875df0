"""Outlook messages (MSG): a header block and the body, like any other mail.

What belongs here: the properties of one message, and its attachments. What does not: the
container (`reading.ole_files`), and the text of attachments, which are separate documents.
"""

from __future__ import annotations

import mimetypes
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.active_limits import current_limits
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.format_protocol import ContainerEntry
from tvdb_assets.parsing.formats.html import extract_main_text
from tvdb_assets.parsing.formats.rtf import rtf_to_markdown
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.parse_errors import corrupt, empty
from tvdb_assets.parsing.reading.ole_files import OleFile
from tvdb_assets.parsing.reading.text_decoding import decode

_DOCUMENT_KIND = "Outlook message"
_SUBJECT, _BODY, _HTML, _RTF = "0037", "1000", "1013", "1009"
_TO, _CC, _SENDER_NAME, _SENDER_MAIL, _SENDER_SMTP = "0E04", "0E03", "0C1A", "0C1F", "5D01"
_LONG_NAME, _SHORT_NAME, _DISPLAY_NAME = "3707", "3704", "3001"
_SENT, _RECEIVED = 0x0039, 0x0E06
_CODE_PAGES = (0x3FDE, 0x3FFD)  # of the body, of the message
_DATA, _MIME_TYPE, _CONTENT_ID = "3701", "370E", "3712"
_PROPERTIES, _ATTACHMENT = "__properties_version1.0", "__attach_version1.0_"
_HEAD, _INNER_HEAD = 32, 24  # bytes before the properties
_MAX_RTF = 64 * 1024 * 1024


class MsgParser(BaseParser):
    """Reads sender, recipients, date, subject and text; HTML or rich text if there is no plain."""

    media_types = frozenset({"application/vnd.ms-outlook"})
    name = "Outlook message (MSG)"
    service = "olefile"
    other_libraries = ("compressed-rtf", "lxml")
    revision = 3
    preserved = "sender, recipients, subject, date, body; each attachment, as a separate document"
    not_preserved = "pictures within the text, other properties"
    imports = ("olefile", "compressed_rtf")

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a message or another Outlook item with text."""
        ole_file = OleFile(data, _DOCUMENT_KIND)
        numbers = _numbers(ole_file.read(_PROPERTIES) or b"")
        encoding = _encoding(numbers)
        message = _Properties(ole_file, (), encoding)
        header, body = _header(message, numbers), _body(message, numbers)
        attached = sum(1 for _ in self.entries(data))
        if not (header or body):
            raise empty("The message")
        return build_document(
            ["\n\n".join(part for part in (header, body) if part)],
            media_type=media_type,
            is_markdown=False,
            service=self.service,
            model="message",
            title=message.text(_SUBJECT) or None,
            facts={"attachments": attached},
        )

    def entries(self, data: bytes) -> Iterator[ContainerEntry]:
        """The attachments of a message; an attached message gives its text and attachments."""
        ole_file = OleFile(data, _DOCUMENT_KIND)
        encoding = _encoding(_numbers(ole_file.read(_PROPERTIES) or b""))
        yield from _attachments(ole_file, (), encoding, "", current_limits().max_depth)


class _Properties:
    """Text and binary properties of a message or an attachment."""

    def __init__(self, ole_file: OleFile, folder: tuple[str, ...], encoding: str) -> None:
        self._compound = ole_file
        self._folder = folder
        self._encoding = encoding

    def binary(self, number: str) -> bytes | None:
        return self._compound.read(*self._folder, f"__substg1.0_{number}0102")

    def verbatim(self, number: str) -> str:
        wide = self._compound.read(*self._folder, f"__substg1.0_{number}001F")
        if wide is not None:
            return wide.decode("utf-16-le", errors="replace").rstrip("\x00")
        narrow = self._compound.read(*self._folder, f"__substg1.0_{number}001E")
        if narrow is None:
            return ""
        return decode(narrow.rstrip(b"\x00"), self._encoding).text

    def text(self, number: str) -> str:
        return " ".join(self.verbatim(number).split())[:2_000]


def _numbers(stream: bytes, head: int = _HEAD) -> dict[int, int]:
    """Numbers and times by property number."""
    found: dict[int, int] = {}
    for place in range(head, len(stream) - 15, 16):
        tag, _, value = struct.unpack_from("<IIQ", stream, place)
        if tag & 0xFFFF in {0x0003, 0x0040}:
            found[tag >> 16] = value if tag & 0xFFFF == 0x0040 else value & 0xFFFFFFFF
    return found


def _encoding(numbers: dict[int, int]) -> str:
    page = next((numbers[number] for number in _CODE_PAGES[::-1] if numbers.get(number)), 1252)
    return {65001: "utf-8", 20127: "cp1252", 28591: "cp1252"}.get(page, f"cp{page}")


def _date(ticks: int) -> str:
    try:
        moment = datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)
    except OverflowError:
        return ""
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _body(message: _Properties, numbers: dict[int, int]) -> str:
    if plain := message.verbatim(_BODY).strip():
        return plain
    if html := message.binary(_HTML):
        page = numbers.get(_CODE_PAGES[0], 0)
        text = decode(html, "utf-8" if page == 65001 else f"cp{page}").text
        return extract_main_text(text).text
    if html_text := message.verbatim(_HTML):
        return extract_main_text(html_text).text
    if packed := message.binary(_RTF):
        return text_of_compressed_rtf(packed)
    return ""


def text_of_compressed_rtf(packed: bytes) -> str:
    """The text of rich text as Outlook compresses it; empty if it can't be read."""
    from compressed_rtf import decompress

    if len(packed) < 16 or struct.unpack_from("<I", packed, 4)[0] > _MAX_RTF:
        return ""
    try:
        return rtf_to_markdown(decompress(packed))[0]
    except Exception:
        return ""  # the library raises bare exceptions; the header block stays


def _header(message: _Properties, numbers: dict[int, int]) -> str:
    sender = message.text(_SENDER_NAME)
    address = message.text(_SENDER_SMTP) or message.text(_SENDER_MAIL)
    if address and "@" in address and address != sender:
        sender = f"{sender} <{address}>".strip()
    moment = numbers.get(_SENT) or numbers.get(_RECEIVED)
    fields = (
        ("From", sender),
        ("To", message.text(_TO)),
        ("Cc", message.text(_CC)),
        ("Subject", message.text(_SUBJECT)),
        ("Date", _date(moment) if moment else ""),
    )
    return "\n".join(f"{name}: {value}" for name, value in fields if value)


def _attachments(
    ole_file: OleFile, inside: tuple[str, ...], encoding: str, prefix: str, levels: int
) -> Iterator[ContainerEntry]:
    """The attachments of a message, then those of each message that is attached to it.

    Args:
        ole_file: the file.
        inside: the folder of the message.
        encoding: of its narrow texts.
        prefix: of the names.
        levels: how many levels of attached messages to open.
    """
    depth = len(inside)
    for folder in dict.fromkeys(
        path[: depth + 1]
        for path in ole_file.names()
        if path[:depth] == inside and path[depth].startswith(_ATTACHMENT)
    ):
        attachment = _Properties(ole_file, folder, encoding)
        names = map(attachment.text, (_LONG_NAME, _SHORT_NAME, _DISPLAY_NAME))
        name = prefix + next(filter(None, names), "attached")[:120]
        inner = (*folder, f"__substg1.0_{_DATA}000D")
        if (properties := ole_file.read(*inner, _PROPERTIES)) is not None:
            yield ContainerEntry(
                f"{name}.txt", partial(_attached_text, ole_file, inner), "text/plain"
            )
            if levels > 1:
                own = _encoding(_numbers(properties, _INNER_HEAD))
                yield from _attachments(ole_file, inner, own, f"{name}/", levels - 1)
        elif not (attachment.text(_CONTENT_ID) and _is_picture(attachment, name)):
            yield ContainerEntry(name, partial(_attached, attachment))


def _attached(attachment: _Properties, max_bytes: int) -> bytes:
    content = attachment.binary(_DATA)
    if content is None:
        raise corrupt("attachment", "its content is missing")
    return content


def _attached_text(ole_file: OleFile, folder: tuple[str, ...], max_bytes: int) -> bytes:
    numbers = _numbers(ole_file.read(*folder, _PROPERTIES) or b"", _INNER_HEAD)
    message = _Properties(ole_file, folder, _encoding(numbers))
    parts = (_header(message, numbers), _body(message, numbers))
    return "\n\n".join(part for part in parts if part).encode()


def _is_picture(attachment: _Properties, name: str) -> bool:
    kind = attachment.text(_MIME_TYPE) or mimetypes.guess_type(name)[0] or ""
    return kind.startswith("image/")


PARSER = CONTAINER = MsgParser()
