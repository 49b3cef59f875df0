"""Renders a tree of HTML elements as Markdown: each element once, without recursion.

What belongs here: rendering. What does not: the choice of the elements (`formats.html`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from functools import partial

from lxml import etree

from tvdb_assets.core.superscripts import subscript, superscript
from tvdb_assets.parsing.markdown.list_numbers import format_number
from tvdb_assets.parsing.reading.safe_xml import Element

_BLOCKS = frozenset(
    {
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "caption",
        "center",
        "dd",
        "details",
        "dialog",
        "dir",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "header",
        "hr",
        "html",
        "legend",
        "main",
        "menu",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
        "li",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "title",
        "head",
    }
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_SHIFTED = {"sup": superscript, "sub": subscript}
_ITEM_MARKS: dict[str, Callable[[int], str]] = {
    "a": partial(format_number, form="lowerLetter"),
    "A": partial(format_number, form="upperLetter"),
    "i": partial(format_number, form="lowerRoman"),
    "I": partial(format_number, form="upperRoman"),
}
"""By the type of an ordered list; any other is decimal."""
_INTEGER = re.compile(r"-?\d{1,6}")
_MAX_CELL_LETTERS = 1_500  # a longer cell is layout, not data
_MAX_SPAN = 50
_MAX_COLUMNS = 200
_SPACE = re.compile(r"[ \t\r\n\f]+")
_RULE = re.compile(r"=+|-+")
_TICKS = re.compile(r"`+")
_BREAK = "\x00"  # the marker of a line break; NUL is removed from every source
_FORBIDDEN = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF])
_REFERENCE = re.compile(r"&#(x[0-9a-f]{1,8}|[0-9]{1,8});?", re.IGNORECASE)


@dataclass(slots=True)
class Rendered:
    """Markdown and the number of its tables."""

    text: str
    tables: int


@dataclass(slots=True)
class _State:
    blocks: list[str] = field(default_factory=list)
    inline: list[str] = field(default_factory=list)
    prefix: str = ""
    lists: list[tuple[str, int]] = field(default_factory=list)
    in_pre: int = 0
    tables: int = 0
    tight: bool = False
    shifted: list[int] = field(default_factory=list)
    """Where the text of each open superscript or subscript begins."""

    def flush(self) -> None:
        if self.in_pre:
            self._flush_verbatim()
            return
        raw = "".join(self.inline)
        self.inline.clear()
        self.shifted.clear()
        prefix, self.prefix = self.prefix, ""
        lines = [_SPACE.sub(" ", line).strip() for line in raw.split(_BREAK)]
        # Markdown reads a line above a row of dashes as a heading.
        lines = ["\\" + line if _RULE.fullmatch(line) else line for line in lines]
        text = "\n".join(line for line in lines if line)
        if not text:
            self.prefix = prefix
            return
        if not prefix and not self.lists and text.startswith(("#", ">")):
            text = "\\" + text  # the page's text must not become structure
        is_item = bool(prefix.strip()) and not prefix.startswith("#")
        if is_item and self.tight and self.blocks:
            self.blocks[-1] += "\n" + prefix + text
        else:
            self.blocks.append(prefix + text)
        self.tight = is_item

    def _flush_verbatim(self) -> None:
        text = "".join(self.inline).replace(_BREAK, "\n").strip("\n")
        self.inline.clear()
        if text.strip():
            fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(text)), default=0))
            self.blocks.append(f"{fence}\n{text}\n{fence}")
            self.tight = False


def parse_tree(source: str) -> tuple[Element | None, bool]:
    """The tree, and whether it holds the whole page. Nothing is fetched and no DTD is read."""
    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=False
    )
    clean = _without_forbidden(source).encode("utf-8", errors="replace")
    if not clean.strip():
        return None, True
    try:
        tree = etree.fromstring(clean, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None, False
    too_deep = any("depth" in entry.message.lower() for entry in parser.error_log)
    return tree, not too_deep


def _without_forbidden(source: str) -> str:
    """The source without characters that a tree must not hold, and without references to them."""

    def allowed_reference(match: re.Match[str]) -> str:
        digits = match[1]
        code = int(digits[1:], 16) if digits[0] in "xX" else int(digits)
        return "" if code in _FORBIDDEN or 0xD800 <= code <= 0xDFFF else match[0]

    source = source.translate(_FORBIDDEN)
    return _REFERENCE.sub(allowed_reference, source) if "&#" in source else source


def render(root: Element, skipped: Set[Element]) -> Rendered:
    """Markdown of ``root`` without the ``skipped`` elements."""
    state = _State()
    elements = etree.iterwalk(root, events=("start", "end"))
    for event, element in elements:
        tag = element.tag if isinstance(element.tag, str) else ""
        if event == "end":
            if element not in skipped:
                _end(state, tag)
            if element is not root and element.tail:
                state.inline.append(element.tail)
            continue
        if element in skipped:
            state.inline.append(" ")
            elements.skip_subtree()
            continue
        if tag == "table" and (table := _pipe_table(element, skipped)) is not None:
            state.flush()
            state.blocks.append(table)
            state.tight = False
            state.tables += 1
            elements.skip_subtree()
            continue
        _start(state, tag, element)
        if element.text:
            state.inline.append(element.text)
    state.flush()
    return Rendered("\n\n".join(state.blocks), state.tables)


def _start(state: _State, tag: str, element: Element) -> None:
    if tag in _BLOCKS:
        state.flush()
        if tag in _HEADINGS:
            state.prefix = "#" * _HEADINGS[tag] + " "
        elif tag in {"ul", "ol", "menu", "dir"}:
            start = element.get("start") or "1"
            kind = element.get("type") or "1" if tag == "ol" else ""
            state.lists.append((kind, int(start) - 1 if _INTEGER.fullmatch(start) else 0))
        elif tag == "li":
            kind, count = state.lists[-1] if state.lists else ("", 0)
            if kind and _INTEGER.fullmatch(own := element.get("value") or ""):
                count = int(own) - 1
            indent = "  " * min(10, max(0, len(state.lists) - 1))
            if state.lists:
                state.lists[-1] = (kind, count + 1)
            state.prefix = indent + (f"{_ITEM_MARKS.get(kind, str)(count + 1)}. " if kind else "- ")
        elif tag == "pre":
            state.in_pre += 1
    elif tag == "br":
        state.inline.append(_BREAK)
    elif tag in _SHIFTED:
        state.shifted.append(len(state.inline))
    elif tag == "img":
        state.inline.append(" ")


def _end(state: _State, tag: str) -> None:
    if tag in _SHIFTED and state.shifted and not state.in_pre:
        _shift(state.inline, state.shifted.pop(), tag)
    if tag not in _BLOCKS:
        return
    if tag in _HEADINGS and state.inline:
        state.inline[:] = ["".join(state.inline).replace(_BREAK, " ")]
    state.flush()
    if tag in _HEADINGS or tag == "li":
        state.prefix = ""
    if tag in {"ul", "ol", "menu", "dir"} and state.lists:
        state.lists.pop()
        if not state.lists:
            state.tight = False
    if tag == "pre":
        state.in_pre = max(0, state.in_pre - 1)


def _shift(inline: list[str], start: int, tag: str) -> None:
    """Give the text of a superscript or subscript its stored form."""
    before = next((text for text in reversed(inline[:start]) if text), "")
    text = "".join(inline[start:]).replace(_BREAK, " ")
    inline[start:] = [_SHIFTED[tag](text, before)]


def _pipe_table(table: Element, skipped: Set[Element]) -> str | None:
    """A Markdown table, or None for a table that only lays out the page."""
    if next(table.iterdescendants("table", *_HEADINGS), None) is not None:
        return None
    rows: list[list[str]] = []
    carried: dict[int, tuple[int, str]] = {}
    for row in table.iter("tr"):
        cells: list[str] = []
        for cell in row.iterchildren("td", "th"):
            _carry(cells, carried)
            text = _cell(cell, skipped)
            if len(text) > _MAX_CELL_LETTERS:
                return None
            span = _span(cell.get("colspan"))
            down = _span(cell.get("rowspan"))
            for column in range(span):
                if down > 1:
                    carried[len(cells)] = (down - 1, "")
                cells.append(text if column == 0 else "")
        _carry(cells, carried)
        if any(cells):
            rows.append(cells[:_MAX_COLUMNS])
    width = max(map(len, rows), default=0)
    if len(rows) < 2 or width < 2:
        return None
    lines = ["| " + " | ".join(cells + [""] * (width - len(cells))) + " |" for cells in rows]
    lines.insert(1, "|" + " --- |" * width)
    caption = table.find("caption")
    title = _cell(caption, skipped) if caption is not None else ""
    return (f"{title}\n\n" if title else "") + "\n".join(lines)


def _carry(cells: list[str], carried: dict[int, tuple[int, str]]) -> None:
    """Fill the columns that cells of earlier rows span."""
    while (place := carried.pop(len(cells), None)) is not None:
        if place[0] > 1:
            carried[len(cells)] = (place[0] - 1, place[1])
        cells.append(place[1])


def _span(value: str | None) -> int:
    return min(_MAX_SPAN, max(1, int(value))) if value and value.isdecimal() else 1


def _cell(cell: Element, skipped: Set[Element]) -> str:
    parts: list[str] = []
    shifted: list[int] = []
    elements = etree.iterwalk(cell, events=("start", "end"))
    for event, element in elements:
        tag = element.tag
        if event == "end":
            if tag in _BLOCKS or tag == "br":
                parts.append(" ")
            if tag in _SHIFTED and shifted:
                _shift(parts, shifted.pop(), tag)
            if element is not cell and element.tail:
                parts.append(element.tail)
        elif element in skipped:
            elements.skip_subtree()
        else:
            if tag in _BLOCKS:
                parts.append(" ")
            if tag in _SHIFTED:
                shifted.append(len(parts))
            if element.text:
                parts.append(element.text)
    return " ".join("".join(parts).split()).replace("|", "\\|")
