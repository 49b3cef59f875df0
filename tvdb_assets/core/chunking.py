"""Splits a parsed text at its natural boundaries into chunks with a maximum number of tokens.

What belongs here: the choice of the boundaries, and the position of each chunk in its document.
What does not: embedding limits of a service, storage. The same text gives the same chunks on every
machine: nothing here depends on a locale, a clock or a hash seed.

The tokens of each block are counted once and added up. The sum is exact, because a token of
cl100k_base never crosses the start of a line with more than white space. A splitter that searches
for its boundaries by counting would count every token about four times.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256

from tvdb_assets.core.text_blocks import LINE, BlockKind, find_blocks
from tvdb_assets.core.token_counting import (
    LONGEST_TOKEN,
    count_tokens,
    count_up_to,
    prefix_within,
    tokenizer_fingerprint,
)
from tvdb_assets.models import Chunk, Heading, ParsedDocument, Provenance

ALGORITHM = 5
"""Increase it whenever the same text would give other chunks."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。\uff01\uff1f])\s*|\n\s*")
_LINE_START = re.compile(r"\n\s*")
_WORD = re.compile(r"\s+")
# Code points that extend the previous character: marks, joiners, variation selectors, skin tones,
# tags.
_COMBINING = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0900-\u0903"
    "\u093a-\u094f\u0e31-\u0e3a\u0e47-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d"
    "\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
)
_LONGEST_GRAPHEME = 32
"""Code points that are searched backwards for the start of a visible character (grapheme)."""
_RULE = re.compile(r"[ \t]*\|?(?:[ \t]*:?-+:?[ \t]*\|)+[ \t]*(?::?-+:?[ \t]*)?(?:\n|\Z)")
_HEADER_SHARE = 4
"""A header row is repeated only if it needs at most 1/4 of a chunk's tokens."""


@dataclass(frozen=True, slots=True)
class _Block:
    """A paragraph, table, heading or code fence, or one line of it; ``text[start:end]``."""

    start: int
    end: int
    kind: BlockKind
    tokens: int
    """Tokens of ``text[start:end]`` with its trailing white space. For a block that exceeds a
    chunk, some number above the maximum of a chunk."""
    is_line: bool = False
    """Whether it is a single line or the rest of one."""
    ends_chunk: bool = False
    """Whether its chunk has to end with it, because the line goes on in the next block."""
    header: str = ""
    """The header row, with its line end, of the table that this row belongs to; empty otherwise."""
    header_tokens: int = 0
    header_start: int = 0
    """Offset of the header row in the text."""


@dataclass(slots=True)
class _OpenChunk:
    """The chunk that is being filled."""

    start: int = 0
    """Offset of its text, with the overlap if there is one."""
    tokens: int = 0
    """Tokens so far, with the overlap and the repeated header row."""
    blocks: list[_Block] = field(default_factory=list)
    header: str = ""
    header_tokens: int = 0

    def tokens_with(self, block: _Block) -> int:
        """Tokens with this block; a table row at the start adds its header row."""
        return (
            self.tokens + block.tokens + (block.header_tokens if self._needs_header(block) else 0)
        )

    def add(self, block: _Block) -> None:
        if not self.blocks and not self.tokens:
            self.start = block.start
        if self._needs_header(block):
            self.header, self.header_tokens = block.header, block.header_tokens
            self.tokens += block.header_tokens
        self.blocks.append(block)
        self.tokens += block.tokens

    def _needs_header(self, block: _Block) -> bool:
        """Whether the header row has to be repeated: it is not in the chunk or its overlap."""
        return not self.blocks and not (self.tokens and self.start <= block.header_start)


@dataclass(frozen=True, slots=True)
class _ClosedChunk:
    """The position of a finished chunk; ``text[start:end]``."""

    start: int
    end: int
    tokens: int
    own_start: int
    """Offset of its first text after the overlap and after the headings at its start."""
    header: str = ""


@dataclass(frozen=True)
class Chunker:
    """Splits parsed documents into chunks of at most ``max_tokens`` cl100k_base tokens."""

    max_tokens: int = 512
    """Maximum number of tokens of a chunk, with its repeated header row."""
    overlap_tokens: int = 64
    """Maximum number of tokens that a chunk repeats from the end of the previous one."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same text may give other chunks."""
        return f"{ALGORITHM}:{self.max_tokens}/{self.overlap_tokens}:{tokenizer_fingerprint()}"

    @property
    def produced_by(self) -> Provenance:
        """The provenance of the chunks."""
        return Provenance(
            service="chunker",
            mode="local",
            model=f"blocks cl100k_base {self.max_tokens}/{self.overlap_tokens}",
            version=str(ALGORITHM),
        )

    def chunk(self, parsed: ParsedDocument) -> list[Chunk]:
        """Split a document into chunks; the list is empty for a text of white space only.

        Every character except white space is in a chunk, and ``chunk.text`` equals
        ``parsed.text[chunk.start:chunk.end]``. A chunk that continues a Markdown table has the
        table's header row in ``chunk.repeated_header``. A heading is at the start or inside of a
        chunk. It is at the end only if no text follows, or if headings alone are more than half a
        chunk.
        """
        chunks: list[Chunk] = []
        path = _HeadingPath(parsed.headings)
        for closed in self._closed_chunks(parsed):
            text = parsed.text[closed.start : closed.end]
            chunks.append(
                Chunk(
                    ordinal=len(chunks),
                    start=closed.start,
                    end=closed.end,
                    text=text,
                    token_count=closed.tokens,
                    sha256=sha256((closed.header + text).encode("utf-8")).digest(),
                    heading_path=path.at(closed.own_start),
                    page_first=_page_at(parsed.page_starts, closed.start),
                    page_last=_page_at(parsed.page_starts, closed.end - 1),
                    repeated_header=closed.header,
                )
            )
        return chunks

    def _closed_chunks(self, parsed: ParsedDocument) -> Iterator[_ClosedChunk]:
        """Fill chunks with blocks in order; split only a block that exceeds a whole chunk."""
        text = parsed.text
        blocks = [self._make_block(text, *found) for found in find_blocks(parsed)]
        sections = _section_tokens(blocks)
        pending = blocks[::-1]
        chunk = _OpenChunk()
        while pending:
            block = pending.pop()
            filled = chunk.blocks
            is_heading = block.kind is BlockKind.HEADING
            is_new_section = is_heading and filled and filled[-1].kind is not BlockKind.HEADING
            if (
                is_new_section
                and chunk.tokens * 2 >= self.max_tokens
                and chunk.tokens + sections[block.start] > self.max_tokens
            ):
                # A section that does not fit starts a new chunk if this one is half full.
                yield from self._close(text, chunk)
                chunk = _OpenChunk()
            if chunk.tokens_with(block) <= self.max_tokens:
                chunk.add(block)
                if block.ends_chunk:
                    yield from self._close(text, chunk)
                    is_before_heading = bool(pending) and pending[-1].kind is BlockKind.HEADING
                    chunk = _OpenChunk() if is_before_heading else self._with_overlap(text, chunk)
                continue
            if (
                block.tokens > self.max_tokens
                and block.kind is BlockKind.TEXT
                and not block.is_line
            ):
                pending += self._split_lines(text, block)[::-1]
                continue
            headings = self._headings_at_end(filled)
            if len(headings) < len(filled):
                chunk.blocks = filled[: len(filled) - len(headings)]
                chunk.tokens -= sum(heading.tokens for heading in headings)
                yield from self._close(text, chunk)
                closed, chunk = chunk, _OpenChunk()
                for heading in headings:
                    chunk.add(heading)
                if not headings and not is_heading:
                    chunk = self._with_overlap(text, closed)
                pending.append(block)
            elif chunk.tokens and not filled:
                chunk = _OpenChunk()  # the overlap leaves no room for the block
                pending.append(block)
            elif block.header and not filled:
                pending.append(replace(block, header="", header_tokens=0))
            else:
                parts = self._split_block(text, block, self.max_tokens - chunk.tokens)
                if filled and parts[0].start > block.start:
                    # More white space than a chunk holds follows the headings.
                    yield from self._close(text, chunk)
                    chunk = _OpenChunk()
                pending += parts[::-1]
        if chunk.blocks:
            yield from self._close(text, chunk)

    def _make_block(
        self, text: str, start: int, end: int, kind: BlockKind, is_line: bool = False
    ) -> _Block:
        # A longer text certainly exceeds a chunk; slicing it to count would take quadratic time.
        is_long = end - start > self.max_tokens * LONGEST_TOKEN
        tokens = None if is_long else count_up_to(text[start:end], self.max_tokens)
        if kind is BlockKind.HEADING and (tokens is None or tokens * 2 > self.max_tokens):
            kind = BlockKind.TEXT  # so long a line is not a heading
        return _Block(start, end, kind, self.max_tokens + 1 if tokens is None else tokens, is_line)

    def _headings_at_end(self, blocks: list[_Block]) -> list[_Block]:
        """The headings that move to the start of the next chunk: at most half of a chunk."""
        tokens = 0
        for count, block in enumerate(reversed(blocks)):
            tokens += block.tokens
            if block.kind is not BlockKind.HEADING or tokens * 2 > self.max_tokens:
                return blocks[len(blocks) - count :]
        return blocks

    def _split_block(self, text: str, block: _Block, available: int) -> list[_Block]:
        """A block's lines, or the first ``available`` tokens of a single line and its rest."""
        if not block.is_line:
            return self._split_lines(text, block)
        cut = _best_cut(
            text, block.start, prefix_within(text, block.start, block.end, available), block.end
        )
        first = text[block.start : cut].rstrip()
        gap = _WORD.match(text, cut if first else block.start)
        rest = gap.end() if gap else cut
        if not first:
            return [self._make_block(text, rest, block.end, block.kind, is_line=True)]
        fitting = _Block(
            block.start, min(rest, block.end), block.kind, count_tokens(first), ends_chunk=True
        )
        if rest >= block.end:
            return [fitting]
        return [fitting, self._make_block(text, rest, block.end, block.kind, is_line=True)]

    def _split_lines(self, text: str, block: _Block) -> list[_Block]:
        lines = [
            self._make_block(text, *line.span(), block.kind, is_line=True)
            for line in LINE.finditer(text, block.start, block.end)
        ]
        if (
            block.kind is not BlockKind.TABLE
            or len(lines) < 3
            or not _RULE.match(text, lines[1].start)
        ):
            return lines
        header = text[lines[0].start : lines[0].end].strip() + "\n"
        tokens = count_up_to(header, self.max_tokens // _HEADER_SHARE)
        if tokens is None:
            return lines
        start = lines[0].start
        rows = [
            replace(r, header=header, header_tokens=tokens, header_start=start) for r in lines[2:]
        ]
        return lines[:2] + rows

    def _close(self, text: str, chunk: _OpenChunk) -> Iterator[_ClosedChunk]:
        first, last = chunk.blocks[0], chunk.blocks[-1]
        own_start = next(
            (b.start for b in chunk.blocks if b.kind is not BlockKind.HEADING), first.start
        )
        tail = text[last.start : last.end].rstrip()
        end = last.start + len(tail)
        start = chunk.start
        if start < first.start and text[first.start - 1] != "\n":
            # In a split line, a token may cross from the overlap into the text.
            tokens = chunk.header_tokens + count_tokens(text[start:end])
            if tokens > self.max_tokens:
                start = first.start
                tokens = chunk.header_tokens + count_tokens(text[start:end])
        else:
            tokens = chunk.tokens - last.tokens + count_tokens(tail)
        if tokens <= self.max_tokens:
            yield _ClosedChunk(start, end, tokens, own_start, chunk.header)
            return
        # Without its line end, which was counted with it, a line can have more tokens.
        while start < end:
            cut = prefix_within(text, start, end, self.max_tokens)
            piece = text[start:cut].rstrip()
            yield _ClosedChunk(
                start, start + len(piece), count_tokens(piece), max(start, own_start)
            )
            rest = _WORD.match(text, cut)
            start = rest.end() if rest else cut

    def _with_overlap(self, text: str, closed: _OpenChunk) -> _OpenChunk:
        """A new chunk that repeats sentences, or else words, from the end of the last chunk."""
        first, last = closed.blocks[0], closed.blocks[-1]
        end = last.start + len(text[last.start : last.end].rstrip())
        if not self.overlap_tokens:
            return _OpenChunk()
        # The overlap's code points, estimated by this chunk's ratio; tokens are counted below.
        width = self.overlap_tokens * (end - closed.start) // max(closed.tokens, 1)
        low = max(first.start + 1, end - width)
        for boundary in (_LINE_START,) if last.kind is BlockKind.TABLE else (_SENTENCE, _WORD):
            for found in boundary.finditer(text, low, end):
                start = found.end()
                if start < end and count_tokens(text[start:end]) <= self.overlap_tokens:
                    return _OpenChunk(start, count_tokens(text[start : last.end]))
        return _OpenChunk()


def _section_tokens(blocks: list[_Block]) -> dict[int, int]:
    """Tokens from each heading, by its start, up to the next heading that follows a text."""
    sections: dict[int, int] = {}
    total = 0
    next_is_heading = False
    for block in reversed(blocks):
        is_heading = block.kind is BlockKind.HEADING
        total = block.tokens + (0 if next_is_heading and not is_heading else total)
        if is_heading:
            sections[block.start] = total
        next_is_heading = is_heading
    return sections


def _best_cut(text: str, start: int, limit: int, end: int) -> int:
    """The best offset up to ``limit`` to split a line: sentence, word or visible character."""
    if limit == end:
        return end
    low = start + (limit - start) // 2
    for boundary in (_SENTENCE, _WORD):
        places = [found.start() for found in boundary.finditer(text, low, min(limit + 1, end))]
        if places and start < places[-1] <= limit:
            return places[-1]
    cut = limit
    while cut > max(start + 1, limit - _LONGEST_GRAPHEME):
        if not _COMBINING.match(text, cut) and text[cut - 1] != "\u200d":
            return cut
        cut -= 1
    return limit


class _HeadingPath:
    """The heading titles above an offset; offsets must ascend, so each heading is read once."""

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


def _page_at(page_starts: tuple[int, ...], offset: int) -> int | None:
    """The 1-based page at an offset; None for a format without pages."""
    return bisect_right(page_starts, offset) or 1 if page_starts else None
