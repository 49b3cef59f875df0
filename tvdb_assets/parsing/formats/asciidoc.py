"""AsciiDoc to Markdown, line by line.

What belongs here: AsciiDoc's lines. What does not: included files, which are never read. No
library with a suitable licence parses AsciiDoc.
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

_HEADING = re.compile(r"(={1,6}|#{1,6})[ \t]+(.{1,2000}?)(?:[ \t]+=+)?[ \t]*\Z")
_ATTRIBUTE = re.compile(r":!?([\w-]{1,60})!?:[ \t]*(.*)\Z")
_FENCE = re.compile(r"(-{4,}|\.{4,}|={4,}|\*{4,}|_{4,}|\+{4,}|/{4,}|--|`{3,})[ \t]*\w{0,20}\Z")
_DIRECTIVE = re.compile(r"(?:include|ifdef|ifndef|ifeval|endif)::.*\[.*\][ \t]*\Z")
_BLOCK_MACRO = re.compile(
    r"(?:image|video|audio|toc|icon)::(\S{0,2000})\[([^\]]{0,2000})\][ \t]*\Z"
)
_ITEM = re.compile(r"[ \t]*(?:(\*{1,6}|-)|(\.{1,6}|\d{1,4}\.))[ \t]+(?=\S)")
_DEFINITION = re.compile(r"(\S.{0,500}?)(?:::|;;)(?:[ \t]+(.*))?\Z")
_LINK = re.compile(
    r"(?:link:|xref:|mailto:)?(?:(?:https?|ftp)://[^\s\[\]]{1,2000}|(?<=[a-z]:)[^\s\[\]]{1,2000})"
    r"\[([^\]]{0,1000})\]"
)
_CROSS_REFERENCE = re.compile(r"<<([^<>,]{1,300})(?:,([^<>]{1,500}))?>>")
_INLINE_MACRO = re.compile(
    r"\b(?:footnote|kbd|btn|menu|pass|stem|indexterm2?):\w{0,60}\[([^\]]{0,1000})\]"
)
_IMAGE = re.compile(r"\bimage:[^\s:\[\]]{1,2000}\[[^\]]{0,1000}\]")
_ATTRIBUTE_REFERENCE = re.compile(r"\{([\w-]{1,60})\}")
_EMPHASIS = re.compile(r"(?<![\w\\*_`])(\*\*|__|``|[*_`+])(?=\S)([^\n]{0,400}?\S)\1(?![\w])")
_ANCHOR = re.compile(r"\[\[[^\]]{1,200}\]\]")
_VERBATIM = frozenset("-.`+")
_CELL = re.compile(r"(?:(?<=\s)|\A)(?:\d{0,3}(?:\.\d{1,3})?[+*])?[<^>.]{0,4}[adehlmsv]?\|")
_MAX_REFERENCES = 100_000


class AsciiDocParser(MarkupParser):
    """Reads headings, lists, tables, blocks and the texts of links."""

    media_types = frozenset({"text/asciidoc"})
    name = "AsciiDoc"
    service = THIS_PACKAGE
    model = "asciidoc"
    preserved = "headings, lists, tables, code, attributes that the text uses"
    not_preserved = "included files, conditions, pictures, styles, nested tables, spanning cells"

    def convert(self, source: str) -> ConvertedMarkup:
        """Convert a source line by line."""
        converter = _Converter()
        for line in source.splitlines():
            converter.add_line(line.rstrip())
        return ConvertedMarkup(converter.finish(), converter.tables)


class _Converter:
    """Takes the lines in order and reads each of them once."""

    def __init__(self) -> None:
        self.tables = 0
        self._out: list[str] = []
        self._attributes: dict[str, str] = {}
        self._references = 0
        self._fence = ""
        self._table: list[str] | None = None
        self._table_mark = ""
        self._columns = 0

    def add_line(self, line: str) -> None:
        if self._fence:
            self._add_fenced_line(line)
        elif self._table is not None:
            if line.strip() == self._table_mark:
                self._end_table()
            else:
                self._table.append(line)
        elif line.startswith("//") and not line.startswith("////"):
            return
        elif line in {"|===", ",===", ":==="}:
            self._table, self._table_mark = [], line
        elif (fence := _FENCE.match(line)) and not _is_item(line):
            self._open_block(fence[1])
        else:
            self._add_plain_line(line)

    def _open_block(self, mark: str) -> None:
        if mark[0] in _VERBATIM and mark != "--":
            self._out.append("```")
            self._fence = mark
        elif mark[0] == "/":
            self._fence = mark
        # Examples, quotes, sidebars and open blocks hold ordinary text.

    def _add_fenced_line(self, line: str) -> None:
        if line == self._fence:
            if line[0] != "/":
                self._out.append("```")
            self._fence = ""
        elif self._fence[0] != "/":
            self._out.append(line.replace("```", "'''"))

    def _add_plain_line(self, line: str) -> None:
        if _DIRECTIVE.match(line):
            return
        if line.startswith("[") and line.endswith("]") and not line.startswith("[["):
            found = re.search(r'cols\s*=\s*"?([^"\]]{1,300})', line)
            self._columns = _count_columns(found[1]) if found else 0
            return
        if attribute := _ATTRIBUTE.match(line):
            self._attributes[attribute[1].lower()] = attribute[2][:2_000]
            return
        if heading := _HEADING.match(line):
            self._out += ["", "#" * len(heading[1]) + " " + self._inline(heading[2]), ""]
            return
        if macro := _BLOCK_MACRO.match(line):
            if alt := macro[2].split(",")[0].strip().strip('"'):
                self._out.append(self._inline(alt))
            return
        if item := _ITEM.match(line):
            stars, dots = item[1], item[2]
            depth = len(stars or dots) - 1 if (stars or dots)[0] in "*." else 0
            mark = "- " if stars else "1. "
            self._out.append("  " * depth + mark + self._inline(line[item.end() :]))
            return
        if line == "+":
            self._out.append("")
            return
        if line.startswith(".") and len(line) > 1 and line[1] not in ". ":
            self._out += ["", self._inline(line[1:]), ""]
            return
        definition = _DEFINITION.match(line)
        if definition and "://" not in line[: len(definition[1]) + 3]:
            meaning = f": {definition[2]}" if definition[2] else ":"
            self._out.append("- " + self._inline(definition[1] + meaning))
            return
        text = self._inline(line.strip() if line.startswith(" ") else line)
        self._out.append("\\" + text if text[:1] in {"|", ">"} else text)

    def _end_table(self) -> None:
        lines, self._table = self._table or [], None
        rows: list[list[str]] = []
        flat: list[str] = []
        if self._table_mark == "|===":
            for line in lines:
                marks = list(_CELL.finditer(line))
                if not marks:
                    if flat and line.strip():
                        flat[-1] += " " + line.strip()
                    continue
                cells = [
                    line[mark.end() : following].strip()
                    for mark, following in zip(
                        marks, [*(m.start() for m in marks[1:]), len(line)], strict=True
                    )
                ]
                if not self._columns:
                    self._columns = len(cells)
                flat += cells
            width = max(1, self._columns)
            rows = [flat[start : start + width] for start in range(0, len(flat), width)]
        else:
            mark = self._table_mark[0]
            rows = [line.split(mark) for line in lines if line.strip()]
        cleaned = [[self._inline(cell) for cell in row] for row in rows if any(row)]
        if cleaned:
            self._out += ["", pipe_table(cleaned), ""]
            self.tables += 1
        self._columns = 0

    def _inline(self, text: str) -> str:
        if len(text) > LONGEST_LINE:
            return text
        text = _ANCHOR.sub("", text)
        text = _IMAGE.sub("", text)
        text = _INLINE_MACRO.sub(lambda found: found[1], text)
        text = _LINK.sub(lambda found: found[1].split(",")[0].strip("^") or found[0][:-2], text)
        text = _CROSS_REFERENCE.sub(lambda found: (found[2] or found[1]).strip(), text)
        text = _ATTRIBUTE_REFERENCE.sub(self._attribute_value, text)
        return _EMPHASIS.sub(lambda found: found[2], text)

    def _attribute_value(self, found: re.Match[str]) -> str:
        value = self._attributes.get(found[1].lower())
        self._references += 1
        # Attributes inside of attributes stay as they are, so a text can't grow without bound.
        if value is None or self._references > _MAX_REFERENCES or "{" in value:
            return found[0]
        return value

    def finish(self) -> str:
        if self._table is not None:
            self._end_table()
        if self._fence and self._fence[0] != "/":
            self._out.append("```")
        return join_lines(self._out)


def _is_item(line: str) -> bool:
    return _ITEM.match(line) is not None


def _count_columns(spec: str) -> int:
    columns = 0
    for part in spec.split(","):
        times = re.match(r"\s*(\d{1,3})\*", part)
        columns += int(times[1]) if times else 1
    return min(columns, 1_000)


PARSER = AsciiDocParser()
