"""Rich text (RTF): paragraphs, headings by style, tables, in the encoding of each font.

What belongs here: RTF, also with HTML inside, as Outlook writes it. What does not: pictures and
embedded objects, which are omitted.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field, replace

from tvdb_assets.core.superscripts import subscript, superscript
from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.base_parser import THIS_PACKAGE, BaseParser
from tvdb_assets.parsing.formats.html import extract_main_text
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.markdown.tables import pipe_table
from tvdb_assets.parsing.parse_errors import corrupt, empty
from tvdb_assets.parsing.reading.symbol_fonts import is_symbol_font, show_symbols

_DOCUMENT_KIND = "rich text"
_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\(.)|([{}])|[\r\n]+|([^\\{}\r\n]+)",
    re.DOTALL,
)
# Groups whose content is not text of the document.
_OMITTED_GROUPS = frozenset(
    b"fonttbl colortbl stylesheet info pict object themedata datastore generator listtable "
    b"listoverridetable revtbl rsidtbl xmlnstbl latentstyles fldinst private nonesttables "
    b"filetbl bkmkstart bkmkend pgptbl mmathPr background shprslt ftnsep ftnsepc aftnsep "
    b"aftnsepc colorschememapping userprops docvar wgrffmtfilter atnid atnauthor annotation "
    b"headerl headerr headerf footerl footerr footerf header footer pntxta pntxtb".split()
)
_SHAPES = frozenset({b"shpinst", b"do"})
_BOXES = frozenset({b"shptxt", b"dptxbxtext"})
_TEXT_DESPITE_STAR = frozenset({b"shptxt", b"nesttableprops", b"cs", b"shppict"})
"""Groups that are text although ``\\*`` marks them as skippable."""
_CHARSETS = {
    0: "cp1252", 77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gbk",
    136: "big5", 161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256",
    186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250", 254: "cp437", 255: "cp850",
}  # fmt: skip
_SYMBOL_WORDS = {
    b"tab": " ", b"emdash": "\u2014", b"endash": "\u2013", b"lquote": "\u2018", b"rquote": "\u2019",
    b"ldblquote": "\u201c", b"rdblquote": "\u201d", b"bullet": "\u2022", b"emspace": " ",
    b"enspace": " ", b"line": "\n", b"qmspace": " ",
}  # fmt: skip
_SHIFTS = {
    b"super": b"super", b"up": b"super", b"sub": b"sub", b"dn": b"sub", b"nosupersub": b"",
}  # fmt: skip
_UNSET = 25  # the result of a form field that has only a default
_HEADING = re.compile(r"heading (\d)\b|(title)\b", re.IGNORECASE)
_CELL_LETTERS = 1_500  # a longer cell is layout, not data
_MAX_DEPTH = 1_000
_BULLETS = "\u2022\u00b7\uf0b7\u25cf\u25aa\u25a0o-"


@dataclass(slots=True)
class _Group:
    silent: bool = False
    encoding: str = "cp1252"
    skip: int = 1
    """Replacement characters for old readers after each ``\\u``."""
    hidden: bool = False
    in_styles: bool = False
    in_fonts: bool = False
    in_list_mark: bool = False
    in_html: bool = False
    holds_box: bool = False
    """It is a shape, which is silent except for a text box inside of it."""
    in_box: bool = False
    in_note: bool = False
    is_deleted: bool = False
    raised: bytes = b""
    """``super``, ``sub`` or empty."""
    symbols: str | None = None
    """The name of a symbol font, whose letters are symbols."""


@dataclass(slots=True)
class _State:
    default: str = "cp1252"
    fonts: dict[int, str] = field(default_factory=dict)
    symbol_fonts: dict[int, str] = field(default_factory=dict)
    """The names of symbol fonts."""
    tick: dict[bytes, int] = field(default_factory=dict)
    """What the properties of a form field say, while its field is read."""
    headings: dict[int, int] = field(default_factory=dict)
    blocks: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)
    mark: list[str] = field(default_factory=list)
    style_text: list[str] = field(default_factory=list)
    level: int = 0
    style: int = 0
    in_table: bool = False
    font: int = 0
    tables: int = 0
    was_item: bool = False
    html: list[str] = field(default_factory=list)
    around_box: list[tuple[list[str], int, bool]] = field(default_factory=list)
    """Text, level and table of the paragraph that each open text box is anchored in."""


class RtfParser(BaseParser):
    """Reads the visible text; in mail that Outlook wrapped, the HTML inside."""

    media_types = frozenset({"application/rtf"})
    name = "rich text (RTF)"
    service = THIS_PACKAGE
    revision = 3
    preserved = (
        "paragraphs, headings by style, list marks, tables, text boxes, notes in brackets, ticks, "
        "symbols, the encoding of each font"
    )
    not_preserved = (
        "pictures, embedded objects, comments, hidden and deleted text, headers and footers"
    )

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse rich text; a truncated file gives the text up to its end."""
        text, tables = rtf_to_markdown(data)
        if not text.strip():
            raise empty("The rich text")
        return build_document(
            [text],
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model="rtf",
            facts={"tables": tables},
        )


def rtf_to_markdown(data: bytes) -> tuple[str, int]:
    """The text, and its number of tables."""
    is_html = b"\\fromhtml" in data[:4_096]
    state = _State()
    group = _Group()
    stack: list[_Group] = []
    skip = 0  # replacement characters for old readers that are still to come
    starts = False  # the next control word decides the group's kind
    pending_star = False
    position = 0
    while position < len(data):
        found = _TOKEN.match(data, position)
        if found is None:
            position += 1
            continue
        position = found.end()
        word, number, code, symbol, brace, plain = found.groups()
        if brace == b"{":
            if len(stack) == _MAX_DEPTH:
                raise corrupt(_DOCUMENT_KIND, "it is nested too deeply")
            _flush(state, group)
            stack.append(group)
            group = replace(group)
            starts, pending_star, skip = True, False, 0
            continue
        if brace == b"}":
            _flush(state, group)
            if group.in_list_mark and stack and not stack[-1].in_list_mark:
                state.text += _list_mark("".join(state.mark))
                state.mark.clear()
            if not stack:
                break
            if group.in_box and not stack[-1].in_box:
                _end_box(state)
            if group.in_note and not stack[-1].in_note:
                state.text.append("] ")
            group = stack.pop()
            starts, skip = False, 0
            continue
        if symbol == b"*" and starts:
            pending_star = True
            continue
        if word is not None:
            value = int(number) if number is not None else None
            if word == b"bin":
                position += max(0, value or 0)
            elif word == b"u" and value is not None:
                _flush(state, group)
                _add_text(state, group, _character(value))
                skip = group.skip
            else:
                skip = 0
                _handle_control_word(state, group, word, value, pending_star and starts, is_html)
            starts = pending_star = False
            continue
        starts = pending_star = False
        if code is not None:
            if skip:
                skip -= 1
            else:
                state.raw.append(int(code, 16))
        elif symbol is not None:
            _flush(state, group)
            _add_text(state, group, {b"~": " ", b"-": "", b"_": "-", b"\n": "\n", b"\r": "\n"}.get(
                symbol, symbol.decode("latin-1") if symbol in b"\\{}" else ""))  # fmt: skip
        elif plain is not None:
            visible = plain[skip:]
            skip = max(0, skip - len(plain))
            state.raw += visible
    _flush(state, group)
    _end_paragraph(state)
    _end_table(state)
    if is_html and state.html:
        inner = extract_main_text("".join(state.html))
        if inner.text.strip():
            return inner.text, int(inner.facts.get("tables", 0))
    return "\n\n".join(state.blocks), state.tables


def _character(value: int) -> str:
    code = value + 65_536 if value < 0 else value
    if not 0 < code <= 0x10FFFF:
        return ""
    # Outlook and Word write private-use codes for the bullets of symbol fonts.
    return "\u2022" if code == 0xF0B7 else chr(code)


def _flush(state: _State, group: _Group) -> None:
    if not state.raw:
        return
    raw = bytes(state.raw)
    state.raw.clear()
    encoding = "latin-1" if group.symbols else group.encoding
    _add_text(state, group, raw.decode(encoding, errors="replace"))


def _add_text(state: _State, group: _Group, text: str) -> None:
    if not text:
        return
    if group.in_styles:
        state.style_text.append(text)
        if ";" in text:
            name = "".join(state.style_text)
            state.style_text.clear()
            if found := _HEADING.search(name):
                state.headings[state.style] = int(found[1] or 1)
    elif group.in_fonts:
        if is_symbol_font(name := text.strip().rstrip(";")):
            state.symbol_fonts[state.font] = name
    elif group.in_html:
        state.html.append(text)
    elif group.silent or group.hidden or group.is_deleted:
        return
    elif group.in_list_mark:
        state.mark.append(text)
    else:
        if group.symbols:
            text = show_symbols(group.symbols, text)
        if group.raised:
            before = next((piece for piece in reversed(state.text) if piece), "")
            text = (superscript if group.raised == b"super" else subscript)(text, before)
        state.text.append(text)
        state.html.append(text)


def _handle_control_word(
    state: _State, group: _Group, word: bytes, value: int | None, starred: bool, is_html: bool
) -> None:
    _flush(state, group)
    if word == b"htmltag":
        group.in_html, group.silent = True, False
    elif word == b"htmlrtf":
        # The text between these words is for readers without HTML.
        group.hidden = value != 0 and is_html
    elif word == b"fonttbl":
        group.silent = group.in_fonts = True
    elif word == b"stylesheet":
        group.silent = group.in_styles = True
    elif word in {b"listtext", b"pntext"}:
        group.in_list_mark = True
    elif word in _SHAPES:
        group.holds_box, group.silent = not group.silent, True
    elif word in _BOXES and group.holds_box:
        group.silent = group.holds_box = False
        group.in_box = True
        state.around_box.append((state.text, state.level, state.in_table))
        state.text, state.level, state.in_table = [], 0, False
    elif (starred and word not in _TEXT_DESPITE_STAR) or word in _OMITTED_GROUPS:
        group.silent, group.holds_box = True, False
    elif word == b"ansicpg" and value is not None:
        state.default = group.encoding = _codepage(value)
    elif word == b"mac":
        state.default = group.encoding = "mac_roman"
    elif word == b"f" and value is not None:
        state.font = value
        if not group.in_fonts:
            group.encoding = state.fonts.get(value, state.default)
            group.symbols = state.symbol_fonts.get(value)
    elif word == b"fcharset" and group.in_fonts and value in _CHARSETS:
        if value != 0:
            state.fonts[state.font] = _CHARSETS[value]
    elif word == b"uc":
        group.skip = min(16, max(0, value or 0))
    elif word == b"v":
        group.hidden = value != 0
    elif word == b"deleted":
        group.is_deleted = value != 0
    elif word in _SHIFTS:
        group.raised = _SHIFTS[word] if value is None or value > 0 else b""
    elif word in {b"fftype", b"ffres", b"ffdefres"}:
        state.tick[word] = value or 0
    elif word == b"plain":
        group.hidden, group.raised = False, b""
    elif word == b"s" and value is not None:
        state.style = value
        if not group.in_styles:
            state.level = state.headings.get(value, 0)
    elif word == b"outlinelevel" and value is not None and not group.in_styles:
        state.level = min(6, value + 1) if 0 <= value < 9 else 0
    elif group.silent:
        return
    elif word == b"footnote":
        # A note stands in brackets at its mark, so that it never joins a number.
        group.in_note, group.raised = True, b""
        state.text.append(" [")
    elif word == b"fldrslt":
        if state.tick.get(b"fftype") == 1:
            state.text.append("☒" if _is_ticked(state.tick) else "☐")
            group.silent = True
        state.tick.clear()
    elif word == b"pard":
        state.level, state.in_table = 0, False
    elif word in {b"intbl", b"itap"}:
        state.in_table = value != 0
    elif word in {b"par", b"sect", b"page"}:
        state.html.append("\n" if is_html else "")
        if state.in_table:
            state.text.append(" ")
        else:
            _end_paragraph(state)
    elif word in {b"cell", b"nestcell"}:
        state.cells.append(" ".join("".join(state.text).split()))
        state.text.clear()
    elif word in {b"row", b"nestrow"}:
        state.rows.append(state.cells)
        state.cells = []
    elif word in _SYMBOL_WORDS:
        _add_text(state, group, _SYMBOL_WORDS[word])


def _is_ticked(properties: dict[bytes, int]) -> bool:
    result = properties.get(b"ffres", _UNSET)
    return bool(properties.get(b"ffdefres", 0) if result == _UNSET else result)


def _codepage(number: int) -> str:
    name = {65001: "utf-8", 10000: "mac_roman"}.get(number, f"cp{number}")
    try:
        # The registry also has codecs from bytes to bytes.
        return name if getattr(codecs.lookup(name), "_is_text_encoding", False) else "cp1252"
    except LookupError:
        return "cp1252"


def _list_mark(mark: str) -> list[str]:
    stripped = mark.strip()
    if not stripped:
        return []
    return ["- " if stripped[0] in _BULLETS and len(stripped) == 1 else stripped + " "]


def _end_paragraph(state: _State) -> None:
    lines = [" ".join(line.split()) for line in "".join(state.text).split("\n")]
    text = "\n".join(line for line in lines if line)
    state.text.clear()
    if not text:
        return
    _end_table(state)
    if state.level:
        text = "#" * min(6, state.level) + " " + text.replace("\n", " ")
    elif text[0] in "#>|":
        text = "\\" + text
    is_item = text.startswith("- ")
    if is_item and state.was_item and state.blocks:
        state.blocks[-1] += "\n" + text
    else:
        state.blocks.append(text)
    state.was_item = is_item


def _end_box(state: _State) -> None:
    """A text box is a separate paragraph, before the one that it is anchored in."""
    _end_paragraph(state)
    if state.around_box:
        state.text, state.level, state.in_table = state.around_box.pop()


def _end_table(state: _State) -> None:
    if state.cells:
        state.rows.append(state.cells)
        state.cells = []
    rows = [row for row in state.rows if any(row)]
    state.rows = []
    if not rows:
        return
    longest = max(len(cell) for row in rows for cell in row)
    if max(map(len, rows)) > 1 and longest <= _CELL_LETTERS:
        state.blocks.append(pipe_table(rows))
        state.tables += 1
    else:
        state.blocks += [cell for row in rows for cell in row if cell]
    state.was_item = False


PARSER = RtfParser()
