"""Outlook messages (MSG): a header block and the body, as of any other mail.

What belongs here: the properties of one message. What does not: the container
(`compound`), attachments' own text, which are only named.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

from tvdb_assets.models import ParsedDocument
from tvdb_assets.services.parsers.assemble import make
from tvdb_assets.services.parsers.base import BaseParser
from tvdb_assets.services.parsers.compound import Compound
from tvdb_assets.services.parsers.decode import decode
from tvdb_assets.services.parsers.refusals import empty

_WHAT = "Outlook message"
_SUBJECT, _BODY, _HTML, _RTF = "0037", "1000", "1013", "1009"
_TO, _CC, _SENDER_NAME, _SENDER_MAIL, _SENDER_SMTP = "0E04", "0E03", "0C1A", "0C1F", "5D01"
_LONG_NAME, _SHORT_NAME, _SHOWN_NAME = "3707", "3704", "3001"
_SENT, _RECEIVED = 0x0039, 0x0E06
_PAGES = (0x3FDE, 0x3FFD)  # code page of the body, of the message
_HEAD = 32
_MOST_RTF = 64 * 1024 * 1024
_MOST_NAMES = 20


class MsgParser(BaseParser):
    """Who, to whom, when, about what, and the text; HTML or rich text where there is no plain."""

    media_types = frozenset({"application/vnd.ms-outlook"})
    name = "Outlook message (MSG)"
    service = "olefile"
    also = ("compressed-rtf", "lxml")
    kept = "sender, recipients, subject, date, body, names of attachments"
    lost = "attachments' content, other properties"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a message, or another Outlook item that has a text."""
        compound = Compound(data, _WHAT)
        numbers = _numbers(compound.read("__properties_version1.0") or b"")
        encoding = _encoding(numbers)
        message = _Properties(compound, (), encoding)
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
        header = "\n".join(f"{name}: {value}" for name, value in fields if value)
        body = _body(message, numbers)
        names = _attachments(compound, encoding)
        if not (header or body):
            raise empty("The message")
        listed = ", ".join(names[:_MOST_NAMES])
        more = len(names) - _MOST_NAMES
        return make(
            ["\n\n".join(part for part in (header, body) if part)],
            media_type=media_type,
            is_markdown=False,
            service=self.service,
            model="message",
            title=message.text(_SUBJECT) or None,
            notes=(
                f"attachments, not parsed: {listed}" + (f" and {more} more" if more > 0 else ""),
            )
            if names
            else (),
            facts={"attachments": len(names)},
        )


class _Properties:
    """Text and binary properties of a message or an attachment."""

    def __init__(self, compound: Compound, folder: tuple[str, ...], encoding: str) -> None:
        self._compound = compound
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


def _numbers(stream: bytes) -> dict[int, int]:
    """Numbers and times, by property."""
    found: dict[int, int] = {}
    for place in range(_HEAD, len(stream) - 15, 16):
        tag, _, value = struct.unpack_from("<IIQ", stream, place)
        if tag & 0xFFFF in {0x0003, 0x0040}:
            found[tag >> 16] = value if tag & 0xFFFF == 0x0040 else value & 0xFFFFFFFF
    return found


def _encoding(numbers: dict[int, int]) -> str:
    page = next((numbers[number] for number in _PAGES[::-1] if numbers.get(number)), 1252)
    return {65001: "utf-8", 20127: "cp1252", 28591: "cp1252"}.get(page, f"cp{page}")


def _date(ticks: int) -> str:
    try:
        moment = datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)
    except OverflowError:
        return ""
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _body(message: _Properties, numbers: dict[int, int]) -> str:
    from tvdb_assets.services.parsers.html import html_to_markdown

    if plain := message.verbatim(_BODY).strip():
        return plain
    if html := message.binary(_HTML):
        page = numbers.get(_PAGES[0], 0)
        text = decode(html, "utf-8" if page == 65001 else f"cp{page}").text
        return html_to_markdown(text).text
    if html_text := message.verbatim(_HTML):
        return html_to_markdown(html_text).text
    if packed := message.binary(_RTF):
        return _from_rtf(packed)
    return ""


def _from_rtf(packed: bytes) -> str:
    from compressed_rtf import decompress

    from tvdb_assets.services.parsers.rtf import to_markdown

    if len(packed) < 16 or struct.unpack_from("<I", packed, 4)[0] > _MOST_RTF:
        return ""
    try:
        return to_markdown(decompress(packed))[0]
    except Exception:
        return ""  # its library raises bare exceptions; the header block stays


def _attachments(compound: Compound, encoding: str) -> list[str]:
    folders = dict.fromkeys(
        path[0] for path in compound.names() if path[0].startswith("__attach_version1.0_")
    )
    names = []
    for folder in folders:
        attachment = _Properties(compound, (folder,), encoding)
        name = next(
            filter(None, map(attachment.text, (_LONG_NAME, _SHORT_NAME, _SHOWN_NAME))), "unnamed"
        )
        names.append(name[:120])
    return names


PARSER = MsgParser()
