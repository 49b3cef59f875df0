"""Chunks: a parsed text cut at its own joints into pieces of bounded tokens.

What belongs here: where to cut, and what each piece knows of its place. What does not:
embedding limits of a service, or storage. The same text gives the same chunks on every
machine: nothing here depends on a locale, a clock or a hash seed.

Each block's tokens are counted once and added up. That is exact, because a token of
cl100k_base never reaches across the start of a line that holds more than white space. A
splitter that searches for its cuts counts every token about four times.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from hashlib import sha256

from tvdb_assets.core.tokens import (
    LONGEST_TOKEN,
    count_tokens,
    count_up_to,
    prefix_within,
    tokenizer_fingerprint,
)
from tvdb_assets.models import Chunk, Heading, ParsedDocument, Provenance

ALGORITHM = 5
"""Raised when the same text would be cut elsewhere."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。\uff01\uff1f])\s*|\n\s*")
_LINE_START = re.compile(r"\n\s*")
_WORD = re.compile(r"\s+")
# What continues the character before it: marks, joiners, variation selectors, skin tones, tags.
_CONTINUES = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0900-\u0903"
    "\u093a-\u094f\u0e31-\u0e3a\u0e47-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d"
    "\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
)
_LONGEST_CHARACTER = 32
"""Code points looked back for the start of a character that people see as one."""


# With the blank lines that follow, which the group then holds: no line is white space alone,
# also not what ends a text. A line may end in a stray \r.
_LINE = re.compile(r"[^\n]*+\n(\s++\Z|\s*[\r\n])?|[^\n]+\Z")
_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]|$)", re.MULTILINE)
_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)[ \t]*(?:\n|\Z)")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ROW = re.compile(r"[ \t]*\|")
_RULE = re.compile(r"[ \t]*\|?(?:[ \t]*:?-+:?[ \t]*\|)+[ \t]*(?::?-+:?[ \t]*)?(?:\n|\Z)")
_HEADER_SHARE = 4
"""A header row takes at most this part of a chunk, or is not repeated."""


class _Kind(Enum):
    """What a block is, as far as it matters to where a text is cut."""

    TEXT = "text"
    TABLE = "table"
    HEADING = "heading"


@dataclass(frozen=True, slots=True)
class _Block:
    start: int
    end: int
    kind: _Kind
    tokens: int
    """Of ``text[start:end]`` with the white space at its end; for what exceeds a chunk, more
    than a chunk holds."""
    is_line: bool = False
    """A single line, or the rest of one."""
    is_torn: bool = False
    """Its end is not where its tokens end, so that its chunk ends with it."""
    repeated_header: str = ""
    """The header row of the table that a row stands in, with its line end."""
    header_tokens: int = 0
    header_start: int = 0


@dataclass(slots=True)
class _Open:
    """The chunk that is being filled."""

    start: int = 0
    """Of the overlap, if there is one."""
    tokens: int = 0
    """Of the repeated header too."""
    blocks: list[_Block] = field(default_factory=list)
    repeated_header: str = ""
    header_tokens: int = 0

    def needs(self, block: _Block) -> int:
        """Tokens that it takes with this block: a row that opens it brings its header row."""
        return self.tokens + block.tokens + (block.header_tokens if self._repeats(block) else 0)

    def add(self, block: _Block) -> None:
        if not self.blocks and not self.tokens:
            self.start = block.start
        if self._repeats(block):
            self.repeated_header, self.header_tokens = block.repeated_header, block.header_tokens
            self.tokens += block.header_tokens
        self.blocks.append(block)
        self.tokens += block.tokens

    def _repeats(self, block: _Block) -> bool:
        """Whether the block's header row is not in the chunk, nor in its overlap."""
        return not self.blocks and not (self.tokens and self.start <= block.header_start)


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    end: int
    tokens: int
    own: int
    """Where its own text starts: after the overlap, and after headings that open it."""
    repeated_header: str = ""


@dataclass(frozen=True)
class Chunker:
    """Cuts parsed documents into chunks of at most ``max_tokens`` cl100k tokens."""

    max_tokens: int = 512
    overlap_tokens: int = 64
    """Most tokens that a chunk repeats from the end of the one before."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same text may give other chunks."""
        return f"{ALGORITHM}:{self.max_tokens}/{self.overlap_tokens}:{tokenizer_fingerprint()}"

    @property
    def made_by(self) -> Provenance:
        """Who made the chunks."""
        return Provenance(
            service="chunker",
            mode="local",
            model=f"blocks cl100k_base {self.max_tokens}/{self.overlap_tokens}",
            version=str(ALGORITHM),
        )

    def chunk(self, parsed: ParsedDocument) -> list[Chunk]:
        """Cut a document; an empty list means that it holds only white space.

        Every character that is not white space is in a chunk; ``chunk.text`` is
        ``parsed.text[chunk.start:chunk.end]``. One that goes on with a Markdown table says its
        header row in ``chunk.repeated_header``. A heading opens a chunk or stands within one,
        it never ends one that text follows, unless headings alone are more than half a chunk.
        """
        chunks: list[Chunk] = []
        path = _HeadingPath(parsed.headings)
        for piece in self._pieces(parsed):
            text = parsed.text[piece.start : piece.end]
            chunks.append(
                Chunk(
                    ordinal=len(chunks),
                    start=piece.start,
                    end=piece.end,
                    text=text,
                    token_count=piece.tokens,
                    sha256=sha256((piece.repeated_header + text).encode("utf-8")).digest(),
                    heading_path=path.at(piece.own),
                    page_first=_page(parsed.page_starts, piece.start),
                    page_last=_page(parsed.page_starts, piece.end - 1),
                    repeated_header=piece.repeated_header,
                )
            )
        return chunks

    def _pieces(self, parsed: ParsedDocument) -> Iterator[_Piece]:
        """Fill chunks with blocks in order; take apart only a block that no chunk could hold."""
        text = parsed.text
        blocks = [self._block(text, *found) for found in _find_blocks(parsed)]
        sections = _section_tokens(blocks)
        waiting = blocks[::-1]
        chunk = _Open()
        while waiting:
            block = waiting.pop()
            held = chunk.blocks
            is_heading = block.kind is _Kind.HEADING
            is_new_section = is_heading and held and held[-1].kind is not _Kind.HEADING
            if (
                is_new_section
                and chunk.tokens * 2 >= self.max_tokens
                and chunk.tokens + sections[block.start] > self.max_tokens
            ):
                # A section that would be torn starts afresh once the chunk is half full.
                yield from self._close(text, chunk)
                chunk = _Open()
            if chunk.needs(block) <= self.max_tokens:
                chunk.add(block)
                if block.is_torn:
                    yield from self._close(text, chunk)
                    is_before_heading = bool(waiting) and waiting[-1].kind is _Kind.HEADING
                    chunk = _Open() if is_before_heading else self._with_overlap(text, chunk)
                continue
            if block.tokens > self.max_tokens and block.kind is _Kind.TEXT and not block.is_line:
                waiting += self._lines(text, block)[::-1]
                continue
            headings = self._headings_at_end(held)
            if len(headings) < len(held):
                chunk.blocks = held[: len(held) - len(headings)]
                chunk.tokens -= sum(heading.tokens for heading in headings)
                yield from self._close(text, chunk)
                closed, chunk = chunk, _Open()
                for heading in headings:
                    chunk.add(heading)
                if not headings and not is_heading:
                    chunk = self._with_overlap(text, closed)
                waiting.append(block)
            elif chunk.tokens and not held:
                chunk = _Open()  # the overlap leaves no room for the block
                waiting.append(block)
            elif block.repeated_header and not held:
                waiting.append(replace(block, repeated_header="", header_tokens=0))
            else:
                parts = self._taken_apart(text, block, self.max_tokens - chunk.tokens)
                if held and parts[0].start > block.start:
                    # Below the headings lies more white space than a chunk holds.
                    yield from self._close(text, chunk)
                    chunk = _Open()
                waiting += parts[::-1]
        if chunk.blocks:
            yield from self._close(text, chunk)

    def _block(self, text: str, start: int, end: int, kind: _Kind, is_line: bool = False) -> _Block:
        # A longer text surely has more tokens than fit; slicing it to see would be quadratic.
        is_long = end - start > self.max_tokens * LONGEST_TOKEN
        tokens = None if is_long else count_up_to(text[start:end], self.max_tokens)
        if kind is _Kind.HEADING and (tokens is None or tokens * 2 > self.max_tokens):
            kind = _Kind.TEXT  # so long a line is no title of what follows
        return _Block(start, end, kind, self.max_tokens + 1 if tokens is None else tokens, is_line)

    def _headings_at_end(self, blocks: list[_Block]) -> list[_Block]:
        """The headings that the next chunk opens with: half of one at most."""
        tokens = 0
        for count, block in enumerate(reversed(blocks)):
            tokens += block.tokens
            if block.kind is not _Kind.HEADING or tokens * 2 > self.max_tokens:
                return blocks[len(blocks) - count :]
        return blocks

    def _taken_apart(self, text: str, block: _Block, room: int) -> list[_Block]:
        """The block's lines; of a single line, what fits into ``room`` tokens, and the rest."""
        if not block.is_line:
            return self._lines(text, block)
        cut = _cut(text, block.start, prefix_within(text, block.start, block.end, room), block.end)
        first = text[block.start : cut].rstrip()
        gap = _WORD.match(text, cut if first else block.start)
        rest = gap.end() if gap else cut
        if not first:
            return [self._block(text, rest, block.end, block.kind, is_line=True)]
        torn = _Block(
            block.start, min(rest, block.end), block.kind, count_tokens(first), is_torn=True
        )
        if rest >= block.end:
            return [torn]
        return [torn, self._block(text, rest, block.end, block.kind, is_line=True)]

    def _lines(self, text: str, block: _Block) -> list[_Block]:
        lines = [
            self._block(text, *line.span(), block.kind, is_line=True)
            for line in _LINE.finditer(text, block.start, block.end)
        ]
        if block.kind is not _Kind.TABLE or len(lines) < 3 or not _RULE.match(text, lines[1].start):
            return lines
        repeated_header = text[lines[0].start : lines[0].end].strip() + "\n"
        tokens = count_up_to(repeated_header, self.max_tokens // _HEADER_SHARE)
        if tokens is None:
            return lines
        start = lines[0].start
        rows = [
            replace(r, repeated_header=repeated_header, header_tokens=tokens, header_start=start)
            for r in lines[2:]
        ]
        return lines[:2] + rows

    def _close(self, text: str, chunk: _Open) -> Iterator[_Piece]:
        first, last = chunk.blocks[0], chunk.blocks[-1]
        own = next((b.start for b in chunk.blocks if b.kind is not _Kind.HEADING), first.start)
        tail = text[last.start : last.end].rstrip()
        end = last.start + len(tail)
        start = chunk.start
        if start < first.start and text[first.start - 1] != "\n":
            # Where a line was torn, a token may reach from the overlap into the text.
            tokens = chunk.header_tokens + count_tokens(text[start:end])
            if tokens > self.max_tokens:
                start = first.start
                tokens = chunk.header_tokens + count_tokens(text[start:end])
        else:
            tokens = chunk.tokens - last.tokens + count_tokens(tail)
        if tokens <= self.max_tokens:
            yield _Piece(start, end, tokens, own, chunk.repeated_header)
            return
        # A line can have more tokens without the line end that was counted with it.
        while start < end:
            cut = prefix_within(text, start, end, self.max_tokens)
            piece = text[start:cut].rstrip()
            yield _Piece(start, start + len(piece), count_tokens(piece), max(start, own))
            rest = _WORD.match(text, cut)
            start = rest.end() if rest else cut

    def _with_overlap(self, text: str, closed: _Open) -> _Open:
        """A new chunk that repeats whole sentences, or else words, from the end of the last."""
        first, last = closed.blocks[0], closed.blocks[-1]
        end = last.start + len(text[last.start : last.end].rstrip())
        if not self.overlap_tokens:
            return _Open()
        # As many code points as the overlap has at this chunk's rate; counted exactly below.
        width = self.overlap_tokens * (end - closed.start) // max(closed.tokens, 1)
        low = max(first.start + 1, end - width)
        for joint in (_LINE_START,) if last.kind is _Kind.TABLE else (_SENTENCE, _WORD):
            for found in joint.finditer(text, low, end):
                start = found.end()
                if start < end and count_tokens(text[start:end]) <= self.overlap_tokens:
                    return _Open(start, count_tokens(text[start : last.end]))
        return _Open()


def _section_tokens(blocks: list[_Block]) -> dict[int, int]:
    """Tokens from each heading, by its start, to the next heading that follows a text."""
    sections: dict[int, int] = {}
    total = 0
    next_is_heading = False
    for block in reversed(blocks):
        is_heading = block.kind is _Kind.HEADING
        total = block.tokens + (0 if next_is_heading and not is_heading else total)
        if is_heading:
            sections[block.start] = total
        next_is_heading = is_heading
    return sections


def _cut(text: str, start: int, limit: int, end: int) -> int:
    """The best place to end a piece of a line that may reach to ``limit``."""
    if limit == end:
        return end
    low = start + (limit - start) // 2
    for joint in (_SENTENCE, _WORD):
        places = [found.start() for found in joint.finditer(text, low, min(limit + 1, end))]
        if places and start < places[-1] <= limit:
            return places[-1]
    cut = limit
    while cut > max(start + 1, limit - _LONGEST_CHARACTER):
        if not _CONTINUES.match(text, cut) and text[cut - 1] != "\u200d":
            return cut
        cut -= 1
    return limit


class _HeadingPath:
    """The titles above an offset; asked in the order of the text, so each is passed once."""

    def __init__(self, headings: tuple[Heading, ...]) -> None:
        self._headings = headings
        self._next = 0
        self._above: list[Heading] = []

    def at(self, offset: int) -> tuple[str, ...]:
        while self._next < len(self._headings) and self._headings[self._next].offset <= offset:
            heading = self._headings[self._next]
            while self._above and self._above[-1].level >= heading.level:
                self._above.pop()
            self._above.append(heading)
            self._next += 1
        return tuple(heading.title for heading in self._above)


def _page(page_starts: tuple[int, ...], offset: int) -> int | None:
    return bisect_right(page_starts, offset) or 1 if page_starts else None


def _find_blocks(parsed: ParsedDocument) -> list[tuple[int, int, _Kind]]:
    """Start, end and kind of each block, in order.

    Headings are those that the parser found and, in Markdown, lines marked with ``#``.
    Tables and fenced code, which may hold blank lines, are looked for in Markdown alone.
    """
    text, is_markdown = parsed.text, parsed.is_markdown
    known = {heading.offset for heading in parsed.headings}
    blocks: list[tuple[int, int, _Kind]] = []
    block_start, kind, is_ended = _first_line(text), _Kind.TEXT, False
    fence = ""
    for line in _LINE.finditer(text, block_start):
        start = line.start()
        mark = text[start] if is_markdown else ""
        if mark == " ":
            mark = text[start : start + 4].lstrip()[:1]
        if fence:
            if mark == fence[0] and text.startswith(fence, start + _indent(text, start)):
                fence, is_ended = "", True
            continue
        before, kind_of_line = kind, _Kind.TEXT
        if start in known or (mark == "#" and _HEADING.match(text, start)):
            kind_of_line = _Kind.HEADING
        elif mark == "|" or (mark and text[start] in " \t" and _ROW.match(text, start)):
            kind_of_line = _Kind.TABLE
        elif before is _Kind.HEADING and not is_ended and _UNDERLINE.match(text, start):
            is_ended = line[1] is not None
            continue
        opens_fence = _FENCE.match(text, start) if mark in ("`", "~") and mark else None
        is_new = is_ended or kind_of_line is not before or kind_of_line is _Kind.HEADING
        if start > block_start and (is_new or opens_fence):
            blocks.append((block_start, start, before))
            block_start = start
        kind, is_ended = kind_of_line, line[1] is not None
        if opens_fence:
            fence = opens_fence[1]
    if block_start < len(text):
        blocks.append((block_start, len(text), kind))
    return blocks


def _first_line(text: str) -> int:
    """Where the first line with more than white space starts; the text's length without one."""
    found = re.search(r"\S", text)
    return text.rfind("\n", 0, found.start()) + 1 if found else len(text)


def _indent(text: str, start: int) -> int:
    return len(text[start : start + 4]) - len(text[start : start + 4].lstrip(" "))
