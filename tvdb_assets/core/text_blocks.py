"""Finds the blocks of a parsed text: paragraphs, headings, tables and fenced code.

What belongs here: the start, end and kind of each block. What does not: chunks (`core.chunking`).
"""

from __future__ import annotations

import re
from enum import Enum

from tvdb_assets.models import ParsedDocument

# A line with the blank lines after it, which are the group: so no match is white space alone, also
# not at the end of a text. A line may end in a stray \r.
LINE = re.compile(r"[^\n]*+\n(\s++\Z|\s*[\r\n])?|[^\n]+\Z")
_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]|$)", re.MULTILINE)
_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)[ \t]*(?:\n|\Z)")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ROW = re.compile(r"[ \t]*\|")


class BlockKind(Enum):
    """The kinds of blocks that the splitting treats differently."""

    TEXT = "text"
    TABLE = "table"
    HEADING = "heading"


def find_blocks(parsed: ParsedDocument) -> list[tuple[int, int, BlockKind]]:
    """Start, end and kind of each block, in order.

    Headings are those of the parser and, in Markdown, lines marked with ``#``. Tables and fenced
    code, which may contain blank lines, are found in Markdown only.
    """
    text, is_markdown = parsed.text, parsed.is_markdown
    known = {heading.offset for heading in parsed.headings}
    blocks: list[tuple[int, int, BlockKind]] = []
    block_start, kind, block_ended = _first_line(text), BlockKind.TEXT, False
    fence = ""
    for line in LINE.finditer(text, block_start):
        start = line.start()
        mark = text[start] if is_markdown else ""
        if mark == " ":
            mark = text[start : start + 4].lstrip()[:1]
        if fence:
            if mark == fence[0] and text.startswith(fence, start + _indent(text, start)):
                fence, block_ended = "", True
            continue
        before, kind_of_line = kind, BlockKind.TEXT
        if start in known or (mark == "#" and _HEADING.match(text, start)):
            kind_of_line = BlockKind.HEADING
        elif mark == "|" or (mark and text[start] in " \t" and _ROW.match(text, start)):
            kind_of_line = BlockKind.TABLE
        elif before is BlockKind.HEADING and not block_ended and _UNDERLINE.match(text, start):
            block_ended = line[1] is not None
            continue
        opens_fence = _FENCE.match(text, start) if mark in ("`", "~") and mark else None
        is_new = block_ended or kind_of_line is not before or kind_of_line is BlockKind.HEADING
        if start > block_start and (is_new or opens_fence):
            blocks.append((block_start, start, before))
            block_start = start
        kind, block_ended = kind_of_line, line[1] is not None
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
