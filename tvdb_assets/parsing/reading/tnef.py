"""TNEF (``winmail.dat``): what Outlook sends in the place of a body and of attachments.

What belongs here: the attributes of a TNEF stream, by [MS-OXTNEF]. What does not: mails
(`formats.mail`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

MEDIA_TYPE = "application/vnd.ms-tnef"
MAGIC = b"\x78\x9f\x3e\x22"
_SUBJECT, _BODY, _PROPERTIES, _CODE_PAGE = 0x8004, 0x800C, 0x9003, 0x9007
_NEW_ATTACHMENT, _DATA, _TITLE, _ATTACHMENT = 0x9002, 0x800F, 0x8010, 0x9005
_P_BODY, _P_HTML, _P_RTF, _P_DATA, _P_NAME, _P_SUBJECT = (
    0x1000, 0x1013, 0x1009, 0x3701, 0x3707, 0x0037,
)  # fmt: skip
_SIZES = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 64: 8, 72: 16}
_TEXTS = (0x1E, 0x1F)
_VARIABLE = (*_TEXTS, 0x0D, 0x0102)
_MOST = 10_000  # attributes, properties, values of one property
_INTERFACE = 16  # bytes of an interface's id before an embedded object


@dataclass(slots=True)
class TnefFile:
    """A file in the stream."""

    name: str = ""
    content: bytes = b""
    is_message: bool = False
    """Whether the content is a TNEF stream alone."""


@dataclass(slots=True)
class Tnef:
    """What a stream holds; a damaged one gives what comes before the damage."""

    subject: str = ""
    body: str = ""
    html: bytes = b""
    rtf: bytes = b""
    """Compressed, as Outlook stores rich text."""
    files: list[TnefFile] = field(default_factory=list)


def read_tnef(data: bytes) -> Tnef:
    """Read a stream that begins with `MAGIC`."""
    found = Tnef()
    encoding = "cp1252"
    for name, content in _attributes(data):
        if name == _CODE_PAGE and len(content) >= 4:
            page = struct.unpack_from("<I", content)[0]
            encoding = {0: "cp1252", 65001: "utf-8", 20127: "cp1252"}.get(page, f"cp{page}")
        elif name == _SUBJECT:
            found.subject = _text(content, encoding)
        elif name == _BODY:
            found.body = _text(content, encoding)
        elif name == _PROPERTIES:
            _read_message(found, content, encoding)
        elif name == _NEW_ATTACHMENT:
            found.files.append(TnefFile())
        elif name in (_DATA, _TITLE, _ATTACHMENT):
            if not found.files:
                found.files.append(TnefFile())
            _read_file(found.files[-1], name, content, encoding)
    found.files = [each for each in found.files if each.content]
    return found


def _read_message(found: Tnef, content: bytes, encoding: str) -> None:
    for number, kind, value in _properties(content):
        if number == _P_BODY and kind in _TEXTS:
            found.body = found.body or _property_text(kind, value, encoding)
        elif number == _P_SUBJECT and kind in _TEXTS:
            found.subject = found.subject or _property_text(kind, value, encoding)
        elif number == _P_HTML:
            found.html = _property_text(kind, value, encoding).encode() if kind == 0x1F else value
        elif number == _P_RTF:
            found.rtf = value


def _read_file(file: TnefFile, name: int, content: bytes, encoding: str) -> None:
    if name == _DATA:
        file.content = content
    elif name == _TITLE:
        file.name = file.name or _text(content, encoding)
    else:
        for number, kind, value in _properties(content):
            if number == _P_NAME and kind in _TEXTS:
                file.name = _property_text(kind, value, encoding)
            elif number == _P_DATA and value[_INTERFACE : _INTERFACE + 4] == MAGIC:
                file.content, file.is_message = value[_INTERFACE:], True
            elif number == _P_DATA and not file.content:
                file.content = value


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Name and content of each attribute."""
    place = 6
    for _ in range(_MOST):
        if place + 9 > len(data):
            return
        name, length = struct.unpack_from("<HxxI", data, place + 1)
        content = data[place + 9 : place + 9 + length]
        yield name, content
        place += 9 + length + 2  # a checksum follows


def _properties(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, type and first value of each property."""
    try:
        count = min(_MOST, struct.unpack_from("<I", data)[0])
        place = 4
        for _ in range(count):
            kind, number = struct.unpack_from("<HH", data, place)
            place += 4
            if number >= 0x8000:
                (is_named,) = struct.unpack_from("<I", data, place + 16)
                place += 20
                if is_named:
                    (length,) = struct.unpack_from("<I", data, place)
                    place += 4 + length + -length % 4
                else:
                    place += 4
            many, kind = kind & 0x1000, kind & 0xEFFF
            times = 1
            if many or kind in _VARIABLE:
                times = min(_MOST, struct.unpack_from("<I", data, place)[0])
                place += 4
            first = b""
            for at in range(times):
                if kind in _VARIABLE:
                    (length,) = struct.unpack_from("<I", data, place)
                    place += 4
                    value = data[place : place + length]
                    place += length + -length % 4
                elif kind in _SIZES:
                    value = data[place : place + _SIZES[kind]]
                    place += _SIZES[kind]
                else:
                    return  # the length of an unknown type is unknown
                first = value if at == 0 else first
            yield number, kind, first
    except struct.error:
        return


def _property_text(kind: int, value: bytes, encoding: str) -> str:
    return _text(value, "utf-16-le" if kind == 0x1F else encoding)


def _text(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding, errors="replace").rstrip("\0")
    except LookupError:
        return content.decode("cp1252", errors="replace").rstrip("\0")
