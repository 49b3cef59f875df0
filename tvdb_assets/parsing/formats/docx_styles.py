"""The styles of a Word document, as far as the text needs them: headings, lists, hidden text.

What belongs here: the part ``styles`` and the properties of paragraphs and runs, styles included.
What does not: the numbers of lists (`formats.docx_numbering`), text (`formats.docx_body`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tvdb_assets.parsing.reading.safe_xml import Element, attribute

_HEADING = re.compile(r"heading ([1-9])", re.IGNORECASE)
_LOWEST = 6
_MAX_CHAIN = 20
_OFF = frozenset({"0", "false", "off"})


@dataclass(frozen=True, slots=True)
class RunLook:
    """How a run is shown, as far as the text depends on it."""

    is_hidden: bool = False
    raised: str = ""
    """``superscript``, ``subscript`` or empty."""
    font: str | None = None


class Styles:
    """The styles of a document; properties of a style include those of the styles below it."""

    def __init__(self, root: Element | None) -> None:
        """Read the part ``styles``; without one there are no styles."""
        self._styles: dict[str, Element] = {}
        self.list_styles: dict[str, str] = {}
        """The number of the list of each list style."""
        self._levels: dict[str, int] = {}
        self._looks: dict[str, RunLook] = {}
        self._defaults: dict[str, str] = {}
        for style in () if root is None else root.iterfind("{*}style"):
            name = attribute(style, "styleId") or ""
            if name in self._styles:
                continue  # the first definition holds
            self._styles[name] = style
            kind = attribute(style, "type") or ""
            if attribute(style, "default") in {"1", "true", "on"}:
                self._defaults.setdefault(kind, name)
            if kind == "numbering" and (number := _value(style, "pPr/numPr/numId")):
                self.list_styles[name] = number

    def style_of(self, properties: Element | None) -> str:
        """The id of a paragraph's style; empty if there is none."""
        return _value(properties, "pStyle") or self._defaults.get("paragraph", "")

    def heading_level(self, properties: Element | None) -> int:
        """The level of a paragraph as a heading, 1 is the highest; 0 for any other paragraph."""
        direct = _value(properties, "outlineLvl")
        if direct is not None:
            return _level_of(direct)
        style = self.style_of(properties)
        if style not in self._levels:
            self._levels[style] = self._level_of_style(style)
        return self._levels[style]

    def list_of(self, properties: Element | None) -> tuple[str, int | None, str]:
        """The number of a paragraph's list, its level if it is stated, and the style that says it.

        The number is empty for a paragraph outside of lists.
        """
        number, level = _value(properties, "numPr/numId"), _value(properties, "numPr/ilvl")
        stated = int(level) if level is not None and level.isdecimal() else None
        style = ""
        if number is None:
            for name, element in self._chain(self.style_of(properties)):
                number = _value(element, "pPr/numPr/numId")
                if number is not None:
                    style = name
                    own = _value(element, "pPr/numPr/ilvl")
                    if stated is None and own is not None and own.isdecimal():
                        stated = int(own)
                    break
        return ("" if number in {None, "0"} else str(number)), stated, style

    def run_look(self, properties: Element | None, paragraph: RunLook) -> RunLook:
        """How a run is shown.

        Args:
            properties: of the run.
            paragraph: how the runs of its paragraph's style are shown.
        """
        if properties is None:
            return paragraph
        name = _value(properties, "rStyle")
        base = paragraph if name is None else _merged(self.style_look(name), paragraph)
        return _look(properties, base)

    def style_look(self, name: str) -> RunLook:
        """How runs of a style are shown."""
        if name not in self._looks:
            look = RunLook()
            for _, element in reversed([*self._chain(name)]):
                if (properties := element.find("{*}rPr")) is not None:
                    look = _look(properties, look)
            self._looks[name] = look
        return self._looks[name]

    def _chain(self, name: str) -> Iterator[tuple[str, Element]]:
        for _ in range(_MAX_CHAIN):
            style = self._styles.get(name)
            if style is None:
                return
            yield name, style
            name = _value(style, "basedOn") or ""

    def _level_of_style(self, style: str) -> int:
        for _, element in self._chain(style):
            outline = _value(element, "pPr/outlineLvl")
            if outline is not None:
                return _level_of(outline)
            name = (_value(element, "name") or "").lower()
            if name == "title":
                return 1
            if name == "subtitle":
                return 2
            if (found := _HEADING.fullmatch(name)) is not None:
                return min(_LOWEST, int(found[1]))
        return 0


def _level_of(outline: str) -> int:
    # The outline level 9 is that of body text.
    return min(_LOWEST, int(outline) + 1) if outline.isdecimal() and int(outline) < 9 else 0


def _merged(style: RunLook, paragraph: RunLook) -> RunLook:
    return RunLook(
        style.is_hidden or paragraph.is_hidden,
        style.raised or paragraph.raised,
        style.font or paragraph.font,
    )


def _look(properties: Element, base: RunLook) -> RunLook:
    hidden = properties.find("{*}vanish")
    raised = _value(properties, "vertAlign")
    fonts = properties.find("{*}rFonts")
    font = None if fonts is None else attribute(fonts, "ascii") or attribute(fonts, "hAnsi")
    return RunLook(
        base.is_hidden if hidden is None else attribute(hidden, "val") not in _OFF,
        base.raised if raised is None else raised if raised != "baseline" else "",
        font or base.font,
    )


def _value(element: Element | None, path: str) -> str | None:
    if element is None:
        return None
    found = element.find("/".join("{*}" + step for step in path.split("/")))
    return None if found is None else attribute(found, "val")
