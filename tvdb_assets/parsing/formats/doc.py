"""Old Word documents (DOC), by their piece table.

What belongs here: the text of the binary format of Word 6 to 2003. What does not: the container
(`reading.ole_files`), DOCX (`formats.docx`).

Word stores a document's text in pieces, each in one of two encodings, in the order of the
piece table. Control characters end paragraphs and cells and enclose fields. Nothing else is
read, so no converter has to be installed.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.formats.doc_paragraphs import ParagraphKind, ParagraphKinds
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.markdown.tables import pipe_table
from tvdb_assets.parsing.parse_errors import corrupt, empty, encrypted
from tvdb_assets.parsing.reading.ole_files import OleFile

_DOCUMENT_KIND = "old Word document"
_MAGIC = 0xA5EC
_MAGIC_WORD6 = frozenset({0xA5DC, 0xA5DB, 0xA697, 0xA698, 0xA699})
_LAST_OF_WORD_95 = 105
_CLX = 0x01A2  # offset in the information block of the piece table's position
_KINDS = 0x0102  # the same for the paragraphs' kinds
_LENGTHS, _OLD_LENGTHS = 0x4C, 0x34  # characters of each part of the text
_PARTS = ("text", "footnotes", "headers", "macros", "comments", "endnotes", "boxes", "headboxes")
_MAX_PIECES = 200_000
_CHARSETS = {0x0411: "cp932", 0x0404: "cp950", 0x0804: "cp936", 0x0412: "cp949", 0x0419: "cp1251",
             0x0405: "cp1250", 0x0415: "cp1250", 0x040E: "cp1250", 0x0408: "cp1253",
             0x041F: "cp1254", 0x040D: "cp1255", 0x0401: "cp1256"}  # fmt: skip
_CELL = "\x07"
_MARK = re.compile("[\r\x07\x0c]")
_FIELD_MARK = re.compile("[\x13\x14\x15]")
_SPECIAL_CHARACTERS = str.maketrans(
    {"\x0b": "\n", "\x0e": "\n", "\x1e": "-", "\xa0": " ",
     **dict.fromkeys("\x00\x01\x02\x03\x04\x05\x08\x13\x14\x15\x1f", None)}
)  # fmt: skip


@dataclass(slots=True)
class _Text:
    """Characters in the document's order, and the position of each piece in the stream."""

    characters: str
    starts: list[int] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)
    """Byte offset of each piece, and bytes per character."""

    def offset(self, character: int) -> int:
        """The byte offset of a character in the stream, or -1."""
        piece = bisect_right(self.starts, character) - 1
        if piece < 0:
            return -1
        start, width = self.places[piece]
        return start + (character - self.starts[piece]) * width


class DocParser(BaseParser):
    """Reads paragraphs, headings, lists, tables, notes, text boxes; headers and footers once."""

    media_types = frozenset({"application/msword"})
    name = "old Word (DOC)"
    service = "olefile"
    preserved = "headings, lists, tables, notes, text boxes, headers and footers once"
    not_preserved = "pictures, comments, list numbers; in Word 6 and 95 also headings and lists"
    imports = ("olefile",)

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a document of Word 6 to 2003."""
        ole_file = OleFile(data, _DOCUMENT_KIND)
        stream = ole_file.read("WordDocument")
        if stream is None or len(stream) < 0x60:
            raise corrupt(_DOCUMENT_KIND, "its text can't be found")
        magic, version, _, language = struct.unpack_from("<4H", stream)
        flags = struct.unpack_from("<H", stream, 10)[0]
        if magic != _MAGIC and magic not in _MAGIC_WORD6:
            raise corrupt(_DOCUMENT_KIND, "it does not start as Word documents do")
        if flags & 0x0100:
            raise encrypted(_DOCUMENT_KIND)
        if magic in _MAGIC_WORD6 or version <= _LAST_OF_WORD_95:
            start, end = struct.unpack_from("<II", stream, 0x18)
            encoding = _CHARSETS.get(language, "cp1252")
            text = _Text(stream[start:end].decode(encoding, errors="replace"))
            lengths, kinds = _OLD_LENGTHS, ParagraphKinds(b"", b"")
        else:
            table = ole_file.read("1Table" if flags & 0x0200 else "0Table")
            if table is None or len(stream) < _CLX + 8:
                raise corrupt(_DOCUMENT_KIND, "its piece table is missing")
            text = _pieces(stream, table)
            offset, size = struct.unpack_from("<II", stream, _KINDS)
            lengths, kinds = _LENGTHS, ParagraphKinds(stream, table[offset : offset + size])
        blocks, tables = _body(
            _without_codes(text.characters), text, kinds, _parts(stream, lengths)
        )
        if not blocks:
            raise empty("The Word document")
        return build_document(
            ["\n\n".join(blocks)],
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model="pieces",
            title=ole_file.title(),
            facts={"tables": tables},
        )


def _pieces(stream: bytes, table: bytes) -> _Text:
    offset, size = struct.unpack_from("<II", stream, _CLX)
    clx = table[offset : offset + size]
    place = 0
    while place + 3 <= len(clx) and clx[place] == 1:  # formatting that pieces refer to
        place += 3 + int(struct.unpack_from("<H", clx, place + 1)[0])
    if place + 5 > len(clx) or clx[place] != 2:
        raise corrupt(_DOCUMENT_KIND, "its piece table can't be read")
    pieces = clx[place + 5 : place + 5 + struct.unpack_from("<I", clx, place + 1)[0]]
    count = (len(pieces) - 4) // 12
    if not 0 < count <= _MAX_PIECES:
        raise corrupt(_DOCUMENT_KIND, "its piece table can't be read")
    ends = struct.unpack_from(f"<{count + 1}I", pieces)
    parts: list[str] = []
    text = _Text("")
    left = len(stream)  # pieces must not give more text than the stream holds
    total = 0
    for number in range(count):
        length = ends[number + 1] - ends[number]
        where = struct.unpack_from("<I", pieces, 4 * (count + 1) + 8 * number + 2)[0]
        width = 1 if where & 0x40000000 else 2
        where = (where & 0x3FFFFFFF) // (2 if width == 1 else 1)
        left -= width * length
        if length < 0 or left < 0:
            break
        raw = stream[where : where + width * length]
        # Each UTF-16 unit is one character, so offsets stay valid; `add` joins surrogate pairs.
        part = raw.decode("cp1252", errors="replace") if width == 1 else _units(raw)
        text.starts.append(total)
        text.places.append((where, width))
        parts.append(part)
        total += len(part)
    text.characters = "".join(parts)
    return text


def _units(raw: bytes) -> str:
    return "".join(map(chr, struct.unpack_from(f"<{len(raw) // 2}H", raw)))


def _parts(stream: bytes, offset: int) -> list[tuple[str, int]]:
    room = min(len(_PARTS), max(0, len(stream) - offset) // 4)
    lengths = struct.unpack_from(f"<{room}i", stream, offset)
    return [(name, max(0, length)) for name, length in zip(_PARTS, lengths, strict=False)]


def _without_codes(text: str) -> str:
    """The text with field results; field codes become NUL, so that every offset stays valid."""
    out: list[str] = []
    last = 0
    stack: list[bool] = []  # for each open field: whether its code is still being read
    for mark in _FIELD_MARK.finditer(text):
        piece = text[last : mark.start()]
        out.append("\x00" * len(piece) if any(stack[-20:]) else piece)
        out.append("\x00")
        last = mark.end()
        if mark[0] == "\x13":
            stack.append(True)
        elif stack and mark[0] == "\x14":
            stack[-1] = False
        elif stack:
            stack.pop()
    # A field that never ends must not hide the rest.
    out.append(text[last:])
    return "".join(out)


def _body(
    characters: str, text: _Text, kinds: ParagraphKinds, parts: list[tuple[str, int]]
) -> tuple[list[str], int]:
    blocks: list[str] = []
    tables = place = 0
    if not any(length for _, length in parts):
        parts = [("text", len(characters))]
    for name, length in parts:
        start, place = place, place + length
        if name in {"macros", "comments"}:
            continue
        writer = _Writer()
        for piece, mark, end in _paragraphs(characters, start, min(place, len(characters))):
            writer.add(piece, mark, kinds.at(text.offset(end)))
        writer.end_table()
        if name in {"headers", "headboxes"}:
            # Each section has its own copy; a bare page number is worthless.
            found = dict.fromkeys(writer.blocks)
            writer.blocks = [b for b in found if not b.isdecimal() and b not in blocks]
        blocks += writer.blocks
        tables += writer.tables
    return blocks, tables


def _paragraphs(text: str, start: int, end: int) -> Iterator[tuple[str, str, int]]:
    """Text, end mark and the mark's offset of each paragraph."""
    for mark in _MARK.finditer(text, start, end):
        yield text[start : mark.start()], mark[0], mark.start()
        start = mark.end()
    if start < end:
        yield text[start:end], "\r", end - 1


class _Writer:
    """Takes paragraphs in order and collects the cells and rows of a table."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.tables = 0
        self._rows: list[list[str]] = []
        self._cells: list[str] = []
        self._cell: list[str] = []
        self._was_item = False

    def add(self, piece: str, mark: str, kind: ParagraphKind | None) -> None:
        whole = piece.encode("utf-16-le", "surrogatepass").decode("utf-16-le", errors="replace")
        lines = (
            " ".join(line.split()) for line in whole.translate(_SPECIAL_CHARACTERS).split("\n")
        )
        text = "\n".join(line for line in lines if line)
        in_table = mark == _CELL if kind is None else kind.in_table or mark == _CELL
        if in_table:
            is_end = (not text and bool(self._cells)) if kind is None else kind.ends_row
            if is_end and mark == _CELL:
                self._rows.append(self._cells)
                self._cells = []
                return
            self._cell.append(text)
            if mark == _CELL:
                self._cells.append(" ".join(filter(None, self._cell)))
                self._cell = []
            return
        self.end_table()
        if not text:
            return
        level = kind.level if kind is not None else 0
        is_item = kind is not None and kind.is_item and not level
        if level:
            text = "#" * min(6, level) + " " + text.replace("\n", " ")
        elif is_item:
            text = "- " + text
        elif text[0] in "#>|":
            text = "\\" + text
        if is_item and self._was_item:
            self.blocks[-1] += "\n" + text
        else:
            self.blocks.append(text)
        self._was_item = is_item

    def end_table(self) -> None:
        unfinished_row = [*self._cells, *filter(None, self._cell)]
        rows = [row for row in self._rows if any(row)] + (
            [unfinished_row] if any(unfinished_row) else []
        )
        self._rows, self._cells, self._cell = [], [], []
        if not rows:
            return
        self._was_item = False
        if max(map(len, rows)) > 1:
            self.blocks.append(pipe_table(rows))
            self.tables += 1
        else:
            self.blocks += [row[0] for row in rows]


PARSER = DocParser()
