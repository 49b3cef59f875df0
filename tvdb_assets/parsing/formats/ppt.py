"""Old PowerPoint presentations (PPT), by their records.

What belongs here: the text of the binary format of PowerPoint 97 to 2003. What does not: the
container (`reading.ole_files`), PPTX (`formats.pptx`).

A file keeps old versions of changed records. The directory of the last save lists the valid ones.
If that directory is damaged, all texts are read in the order of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.active_limits import current_limits, over_limit
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.parse_errors import corrupt, empty, encrypted
from tvdb_assets.parsing.reading.ole_files import OleFile

_DOCUMENT_KIND = "old PowerPoint presentation"
_LOCKED = 0xF3D1C4DF
_EDIT, _DIRECTORY, _DOCUMENT, _LIST, _ENTRY = 0x0FF5, 0x1772, 0x03E8, 0x0FF0, 0x03F3
_SLIDE, _SLIDE_ATOM, _NOTES = 0x03EE, 0x03EF, 0x03F0
_KIND, _WIDE, _NARROW, _REFERENCE, _BOX = 0x0F9F, 0x0FA0, 0x0FA8, 0x0F9E, 0xF00D
_TITLES = frozenset({0, 6})
_SLIDES_LIST, _NOTES_LIST = 0, 2
_MAX_DEPTH = 40
_MAX_EDITS = 10_000
_MAX_RECORDS = 2_000_000


@dataclass(frozen=True, slots=True)
class _Record:
    kind: int
    instance: int
    is_container: bool
    start: int
    end: int


@dataclass(slots=True)
class _Entry:
    """A slide or a page of notes in the document's list."""

    persist: int
    number: int
    outline: list[tuple[int, str]] = field(default_factory=list)


class PptParser(BaseParser):
    """Reads slides in their order with titles, texts and speaker notes."""

    media_types = frozenset({"application/vnd.ms-powerpoint"})
    name = "old PowerPoint (PPT)"
    service = "olefile"
    preserved = "slides as pages, titles, texts, speaker notes"
    not_preserved = "list marks, the shape of tables, pictures, charts, embedded objects"
    imports = ("olefile",)

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a presentation of PowerPoint 97 to 2003."""
        ole_file = OleFile(data, _DOCUMENT_KIND)
        stream = ole_file.read("PowerPoint Document")
        if stream is None:
            raise corrupt(_DOCUMENT_KIND, "its slides can't be found")
        user = ole_file.read("Current User") or b""
        if len(user) >= 20 and struct.unpack_from("<I", user, 12)[0] == _LOCKED:
            raise encrypted(_DOCUMENT_KIND)
        notes: list[str] = []
        pages = _slides(stream, user)
        if not any(pages):
            texts = [text for _, text in _texts(stream, 0, len(stream))]
            pages = ["\n\n".join(dict.fromkeys(texts))]
            notes.append("its list of slides is damaged; texts are kept in the order of the file")
        if not any(pages):
            raise empty("The presentation")
        return build_document(
            pages,
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model="records",
            has_pages=not notes,
            title=ole_file.title(),
            notes=notes,
            facts={"slides": len(pages)},
        )


def _records(data: bytes, start: int, end: int) -> Iterator[_Record]:
    """The records of one level."""
    while start + 8 <= end:
        mark, kind, size = struct.unpack_from("<HHI", data, start)
        stop = start + 8 + size
        if stop > end:
            stop = end  # a truncated file: read the rest
        yield _Record(kind, mark >> 4, mark & 15 == 15, start + 8, stop)
        start = stop


def _all_records(data: bytes, start: int, end: int) -> Iterator[_Record]:
    """All records in order; the records inside of a container follow it."""
    stack = [_records(data, start, end)]
    for _ in range(_MAX_RECORDS):
        record = next(stack[-1], None)
        if record is None:
            stack.pop()
            if not stack:
                return
            continue
        yield record
        if record.is_container and len(stack) < _MAX_DEPTH:
            stack.append(_records(data, record.start, record.end))


def _texts(data: bytes, start: int, end: int) -> Iterator[tuple[int, str]]:
    kind = 4
    for record in _all_records(data, start, end):
        if record.kind == _KIND:
            kind = int.from_bytes(data[record.start : record.start + 4], "little")
        elif record.kind in {_WIDE, _NARROW} and (text := _text(data, record)):
            yield kind, text


def _text(data: bytes, record: _Record) -> str:
    raw = data[record.start : record.end]
    text = raw.decode("utf-16-le" if record.kind == _WIDE else "latin-1", errors="replace")
    lines = (" ".join(line.split()) for line in text.replace("\x0b", "\r").split("\r"))
    found = "\n\n".join(line for line in lines if line)
    return "" if found == "*" else found  # the placeholder of a slide's number or date


def _slides(data: bytes, user: bytes) -> list[str]:
    places = _directory(data, user)
    document = _document(data, places)
    if document is None:
        return []
    slides: list[_Entry] = []
    notes: dict[int, _Entry] = {}
    for part in _records(data, document.start, document.end):
        if part.kind == _LIST and part.instance == _SLIDES_LIST:
            slides = _entries(data, part)
        elif part.kind == _LIST and part.instance == _NOTES_LIST:
            notes = {entry.number: entry for entry in _entries(data, part)}
    if len(slides) > current_limits().max_pages:
        raise over_limit(_DOCUMENT_KIND, "max_pages", "slides")
    return [_slide(data, entry, places, notes) for entry in slides]


def _document(data: bytes, places: dict[int, int]) -> _Record | None:
    for place in places.values():
        record = next(_records(data, place, len(data)), None)
        if record is not None and record.kind == _DOCUMENT:
            return record
    return None


def _directory(data: bytes, user: bytes) -> dict[int, int]:
    """The byte offset of each object, as of the last save."""
    places: dict[int, int] = {}
    offset = struct.unpack_from("<I", user, 16)[0] if len(user) >= 20 else 0
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < _MAX_EDITS:
        seen.add(offset)
        edit = next(_records(data, offset, len(data)), None)
        if edit is None or edit.kind != _EDIT or edit.end - edit.start < 20:
            break
        offset, listed = struct.unpack_from("<II", data, edit.start + 8)
        directory = next(_records(data, listed, len(data)), None)
        if directory is None or directory.kind != _DIRECTORY:
            break
        place = directory.start
        while place + 4 <= directory.end:
            packed = struct.unpack_from("<I", data, place)[0]
            first, count = packed & 0xFFFFF, packed >> 20
            place += 4
            for number in range(min(count, (directory.end - place) // 4)):
                where = struct.unpack_from("<I", data, place + 4 * number)[0]
                places.setdefault(first + number, where)
            place += 4 * count
    return places


def _entries(data: bytes, part: _Record) -> list[_Entry]:
    found: list[_Entry] = []
    kind = 4
    for record in _records(data, part.start, part.end):
        if record.kind == _ENTRY and record.end - record.start >= 16:
            persist, _, _, number = struct.unpack_from("<IIII", data, record.start)
            found.append(_Entry(persist, number))
            kind = 4
        elif record.kind == _KIND:
            kind = int.from_bytes(data[record.start : record.start + 4], "little")
            if found:
                found[-1].outline.append((kind, ""))
        elif record.kind in {_WIDE, _NARROW} and found and found[-1].outline:
            found[-1].outline[-1] = (kind, _text(data, record))
    return found


def _slide(data: bytes, entry: _Entry, places: dict[int, int], notes: dict[int, _Entry]) -> str:
    outline = dict(enumerate(entry.outline))
    texts: list[tuple[int, str]] = []
    slide = _at(data, places.get(entry.persist), _SLIDE)
    spoken = ""
    if slide is not None:
        for record in _all_records(data, slide.start, slide.end):
            if record.kind == _SLIDE_ATOM and record.end - record.start >= 20:
                number = struct.unpack_from("<I", data, record.start + 16)[0]
                spoken = _notes(data, notes.get(number), places) if number else ""
            elif record.kind == _REFERENCE:
                index = int.from_bytes(data[record.start : record.start + 4], "little")
                texts += [outline.pop(index)] if index in outline else []
            elif record.kind == _BOX:
                texts += _texts(data, record.start, record.end)
    texts += outline.values()
    title = next((text for kind, text in texts if kind in _TITLES and text), "")
    heading = f"## {' '.join(title.split())}" if title else ""
    rest = [text for kind, text in texts if text and not (kind in _TITLES and text == title)]
    speaker_notes = f"Speaker notes:\n\n{spoken}" if spoken else ""
    return "\n\n".join(part for part in (heading, *rest, speaker_notes) if part)


def _notes(data: bytes, entry: _Entry | None, places: dict[int, int]) -> str:
    if entry is None:
        return ""
    page = _at(data, places.get(entry.persist), _NOTES)
    if page is None:
        return ""
    return "\n\n".join(text for kind, text in _texts(data, page.start, page.end) if kind == 2)


def _at(data: bytes, place: int | None, kind: int) -> _Record | None:
    record = next(_records(data, place, len(data)), None) if place is not None else None
    return record if record is not None and record.kind == kind else None


PARSER = PptParser()
