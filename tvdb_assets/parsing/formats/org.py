"""Org (Emacs outlines) to Markdown, line by line.

What belongs here: Org's lines. What does not: its code, which is never run, and included files,
which are never read.
"""

from __future__ import annotations

import re

from tvdb_assets.parsing.base_parser import THIS_PACKAGE
from tvdb_assets.parsing.markdown.tables import pipe_table
from tvdb_assets.parsing.markup_parser import (
    LONGEST_LINE,
    ConvertedMarkup,
    MarkupParser,
    join_lines,
)

_HEADING = re.compile(r"(\*{1,20})[ \t]+(.{1,2000}?)(?:[ \t]+:[\w@#%:]{1,200}:)?[ \t]*\Z")
_KEYWORD = re.compile(r"#\+(\w{1,40}):[ \t]*(.*)\Z")
_BLOCK = re.compile(r"[ \t]*#\+(begin|end)_(\w{1,40})\b[ \t]*(.*)\Z", re.IGNORECASE)
_DRAWER = re.compile(r"[ \t]*:[\w-]{1,40}:[ \t]*\Z")
_PLANNING = re.compile(r"[ \t]*(?:CLOSED|DEADLINE|SCHEDULED):[ \t]*[<\[]")
_LINK = re.compile(r"\[\[([^\[\]]{1,2000})\](?:\[([^\[\]]{1,2000})\])?\]")
_EMPHASIS = re.compile(r"(?<![\w\\])([*/_=~+])(?=\S)([^\n]{0,400}?\S)\1(?!\w)")
_ITEM = re.compile(r"([ \t]*)(?:[-+]|\*(?<=[ \t]\*))[ \t]+")
_VERBATIM = frozenset({"src", "example", "export", "verse"})
_VISIBLE_KEYWORDS = frozenset({"title", "subtitle", "author", "date", "caption", "description"})


class OrgParser(MarkupParser):
    """Reads headlines, lists, tables and blocks; omits drawers, clocks and settings."""

    media_types = frozenset({"text/x-org"})
    name = "Org"
    service = THIS_PACKAGE
    model = "org"
    preserved = "headings, lists, tables, code blocks, link texts"
    not_preserved = "drawers, tags, planning lines, included files, results of code"

    def convert(self, source: str) -> ConvertedMarkup:
        """Convert an outline; each line is read once."""
        return _to_markdown(source)


def _to_markdown(source: str) -> ConvertedMarkup:
    out: list[str] = []
    rows: list[list[str]] = []
    title = None
    tables = 0
    verbatim: str | None = None
    in_drawer = in_comment = False
    for line in source.splitlines():
        block = _BLOCK.match(line)
        if verbatim is not None:
            if block and block[1].lower() == "end" and block[2].lower() == verbatim:
                out.append("```")
                verbatim = None
            else:
                out.append(line.replace("```", "'''"))
            continue
        if in_comment:
            in_comment = not (block and block[1].lower() == "end")
            continue
        if in_drawer:
            in_drawer = line.strip().upper() != ":END:"
            continue
        if line.lstrip().startswith("|"):
            cells = line.strip().strip("|")
            if not set(cells) <= set("-+| "):
                rows.append([_inline(cell.strip()) for cell in cells.split("|")])
            continue
        if rows:
            out += ["", pipe_table(rows), ""]
            tables += 1
            rows = []
        if block:
            kind = block[2].lower()
            if block[1].lower() == "begin":
                if kind in _VERBATIM:
                    verbatim = kind
                    out.append("```")
                in_comment = kind == "comment"
            continue
        if keyword := _KEYWORD.match(line):
            name = keyword[1].lower()
            if name == "title":
                title = keyword[2].strip() or title
            if name in _VISIBLE_KEYWORDS and keyword[2].strip():
                out.append(("# " if name == "title" else "") + _inline(keyword[2].strip()))
                out.append("")
            continue
        if line.startswith("# ") or line == "#" or _PLANNING.match(line):
            continue
        if _DRAWER.match(line):
            in_drawer = line.strip().upper() != ":END:"
            continue
        if heading := _HEADING.match(line):
            out += ["", "#" * min(6, len(heading[1])) + " " + _inline(heading[2]), ""]
            continue
        item = _ITEM.match(line)
        out.append(f"{item[1]}- {_inline(line[item.end() :])}" if item else _inline(line))
    if rows:
        out += ["", pipe_table(rows)]
        tables += 1
    if verbatim is not None:
        out.append("```")
    return ConvertedMarkup(join_lines(out), tables, title)


def _inline(text: str) -> str:
    if len(text) > LONGEST_LINE:
        return text
    text = _LINK.sub(lambda found: found[2] or found[1].removeprefix("file:"), text)
    return _EMPHASIS.sub(lambda found: found[2], text)


PARSER = OrgParser()
