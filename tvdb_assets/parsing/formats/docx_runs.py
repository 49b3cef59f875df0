"""The text inside of a paragraph of Word, as it is shown.

What belongs here: runs, fields, form fields, symbols, superscripts, equations, and what hangs on
them. What does not: blocks (`formats.docx_body`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lxml import etree

from tvdb_assets.core.superscripts import subscript, superscript
from tvdb_assets.parsing.formats.docx_styles import RunLook, Styles
from tvdb_assets.parsing.reading.office_math import math_text
from tvdb_assets.parsing.reading.safe_xml import Element, attribute, local_name
from tvdb_assets.parsing.reading.symbol_fonts import is_symbol_font, show_symbol, show_symbols

TICKED, UNTICKED = "☒", "☐"
_OFF = frozenset({"0", "false", "off"})
_WRAPPERS = frozenset(
    ["ins", "moveTo", "smartTag", "customXml", "hyperlink", "fldSimple", "dir", "bdo", "sdtContent"]
)
_GONE = frozenset(["del", "moveFrom", "pPr", "rPr", "sdtPr", "sdtEndPr", "delText", "delInstrText"])
_BOXES = frozenset(["txbxContent", "txBody", "textpath", "relIds", "chart"])
_SIGNS = {
    "tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "softHyphen": "",
}  # fmt: skip
_EQUATION = re.compile(r"\\[A-Za-z]+[A-Za-z0-9 ]*\(")

NoteMark = Callable[[str, str, str], str]
"""Takes the kind of a note, its id and its own mark, if it has one; returns the mark."""


@dataclass(slots=True)
class _Field:
    begin: Element
    instruction: list[str] = field(default_factory=list)
    shows_result: bool = False
    has_result: bool = False


class Runs:
    """Reads the paragraphs of one part in order; fields may reach over paragraphs."""

    def __init__(self, styles: Styles, root: Element, note_mark: NoteMark) -> None:
        """Runs of the part with this root."""
        self._styles = styles
        self._note_mark = note_mark
        self._fields: list[_Field] = []
        kinds = [
            attribute(char, "fldCharType")
            for char in root.iter("{*}fldChar")
            if not any(local_name(above) == "del" for above in char.iterancestors("{*}del"))
        ]
        # Where a field has no end, its instructions can't be distinguished from text.
        self._are_paired = kinds.count("begin") == kinds.count("end")
        self._out: list[str] = []
        self._boxes: list[Element] = []
        self._paragraph_look = RunLook()
        self.hidden = 0
        """Runs with text that are hidden."""

    def text_of(
        self,
        children: Iterable[Element],
        properties: Element | None = None,
    ) -> tuple[str, list[Element]]:
        """The text of a paragraph, and the boxes, diagrams and charts that hang on it."""
        self._out, self._boxes = [], []
        self._paragraph_look = self._styles.style_look(self._styles.style_of(properties))
        for child in children:
            self._inline(child)
        return "".join(self._out), self._boxes

    def is_hidden(self, mark: Element | None) -> bool:
        """Whether a paragraph mark with these properties is hidden."""
        return mark is not None and self._styles.run_look(mark, self._paragraph_look).is_hidden

    # --- inside of a paragraph

    def _inline(self, element: Element) -> None:
        name = local_name(element)
        if name == "r":
            self._run(element)
        elif name in {"oMath", "oMathPara"}:
            self._equation(element)
        elif name == "sdt":
            self._control(element)
        elif name == "AlternateContent":
            for child in chosen(element):
                self._inline(child)
        elif name in _WRAPPERS:
            for child in element:
                self._inline(child)
        elif name in {"pict", "drawing", "object"}:
            self._find_boxes(element)

    def _equation(self, element: Element) -> None:
        if not self._is_shown():
            return
        text = " ".join(math_text(element).split())
        if text:
            self._out.append(f" {text} " if self._out and self._out[-1][-1:].isalnum() else text)

    def _control(self, element: Element) -> None:
        """A content control; a tick is shown by its state."""
        box = element.find("{*}sdtPr/{*}checkbox")
        if box is not None:
            state = box.find("{*}checked")
            is_on = state is not None and attribute(state, "val") not in _OFF
            if self._is_shown():
                self._out.append(TICKED if is_on else UNTICKED)
            return
        for child in element.iterfind("{*}sdtContent/*"):
            self._inline(child)

    def _run(self, run: Element) -> None:
        look = self._styles.run_look(run.find("{*}rPr"), self._paragraph_look)
        self._pieces(run, run, look)

    def _pieces(self, parent: Element, run: Element, look: RunLook) -> None:
        for child in parent:
            name = local_name(child)
            if name == "fldChar":
                self._field_char(child, look)
            elif name == "instrText":
                if self._fields and not self._fields[-1].shows_result:
                    self._fields[-1].instruction.append(child.text or "")
            elif name in _GONE:
                continue
            elif look.is_hidden:
                if name == "t" and (child.text or "").strip():
                    self.hidden += 1
            elif name == "t":
                self._text(child.text or "", look)
            elif name in _SIGNS:
                if name != "br" or attribute(child, "type") in {None, "textWrapping"}:
                    self._text(_SIGNS[name], RunLook())
                else:
                    self._text("\n", RunLook())
            elif name == "sym":
                code = attribute(child, "char") or ""
                if re.fullmatch("[0-9A-Fa-f]{1,6}", code):
                    font = attribute(child, "font") or ""
                    self._text(show_symbol(font, int(code, 16)), RunLook())
            elif name in {"footnoteReference", "endnoteReference"}:
                self._note(child, run, name.removesuffix("Reference"))
            elif name in {"pict", "drawing", "object"}:
                self._find_boxes(child)
            elif name == "ruby":
                for base in child.iterfind("{*}rubyBase/{*}r"):
                    self._run(base)
            elif name == "AlternateContent":
                self._pieces(chosen(child), run, look)
            elif name in {"oMath", "oMathPara"}:
                self._equation(child)

    def _text(self, text: str, look: RunLook) -> None:
        if not text or not self._is_shown():
            return
        if is_symbol_font(look.font):
            text = show_symbols(look.font or "", text)
        if look.raised:
            before = self._out[-1] if self._out else ""
            shift = superscript if look.raised == "superscript" else subscript
            text = shift(text, before)
        if text:
            self._out.append(text)

    def _note(self, reference: Element, run: Element, kind: str) -> None:
        if not self._is_shown():
            return
        custom = ""
        if (attribute(reference, "customMarkFollows") or "0") not in _OFF:
            custom = "".join(text.text or "" for text in run.iterfind("{*}t")) or "*"
            self._note_mark(kind, attribute(reference, "id") or "", custom)
            return
        self._out.append(self._note_mark(kind, attribute(reference, "id") or "", custom))

    def _find_boxes(self, element: Element) -> None:
        """Collect what has text in a drawing, in order and each once."""
        pending = [element]
        while pending:
            here = pending.pop()
            name = local_name(here)
            if name in _BOXES:
                if name != "textpath" or here.get("string"):
                    self._boxes.append(here)
                continue
            if name == "AlternateContent":
                here = chosen(here)
            pending += reversed(here)

    # --- fields

    def _is_shown(self) -> bool:
        return not self._are_paired or all(each.shows_result for each in self._fields)

    def _field_char(self, char: Element, look: RunLook) -> None:
        kind = attribute(char, "fldCharType")
        if kind == "begin":
            self._fields.append(_Field(char))
        elif kind == "separate" and self._fields:
            self._fields[-1].shows_result = self._fields[-1].has_result = True
        elif kind == "end" and self._fields:
            ended = self._fields.pop()
            if not look.is_hidden and self._is_shown() and (text := _shown_by(ended)):
                self._out.append(text)


def chosen(alternatives: Element) -> Element:
    """The branch of an ``AlternateContent`` that has text; else the one for older versions."""
    for choice in alternatives.iterfind("{*}Choice"):
        for element in choice.iter():
            if local_name(element) in {"txbxContent", "relIds", "chart", "oMath", "t", "sym"}:
                return choice
    fallback = alternatives.find("{*}Fallback")
    return etree.Element("none") if fallback is None else fallback


def _shown_by(ended: _Field) -> str:
    """What a field shows that its result does not hold: a tick, a choice, an old equation."""
    instruction = " ".join("".join(ended.instruction).split())
    kind, _, rest = instruction.partition(" ")
    data = ended.begin.find("{*}ffData")
    if kind == "FORMCHECKBOX" and data is not None:
        box = data.find("{*}checkBox")
        state = None if box is None else box.find("{*}checked")
        if state is None and box is not None:
            state = box.find("{*}default")
        is_on = state is not None and (attribute(state, "val") or "1") not in _OFF
        return TICKED if is_on else UNTICKED
    if kind == "FORMDROPDOWN" and data is not None and not ended.has_result:
        choices = [attribute(each, "val") or "" for each in data.iterfind("{*}ddList/{*}listEntry")]
        index = data.find("{*}ddList/{*}result")
        index = data.find("{*}ddList/{*}default") if index is None else index
        value = "0" if index is None else attribute(index, "val") or "0"
        at = int(value) if value.isdecimal() else 0
        return choices[at] if at < len(choices) else ""
    if ended.has_result:
        return ""
    if kind == "EQ":
        return _EQUATION.sub("(", rest)
    if kind in {"MACROBUTTON", "GOTOBUTTON"}:
        return rest.partition(" ")[2]
    return ""
