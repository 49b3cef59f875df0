"""The numbers of paragraphs in Word, as Word shows them: ``2.1``, ``(a)``, ``Article IV``.

What belongs here: the part ``numbering``, and counting. What does not: which list a paragraph is in
(`formats.docx_styles`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tvdb_assets.parsing.markdown.list_numbers import format_number
from tvdb_assets.parsing.reading.safe_xml import Element, attribute

LEVELS = 9
_PLACE = re.compile(r"%([1-9])")


@dataclass(slots=True)
class _Level:
    start: int = 0
    form: str = "decimal"
    text: str = ""
    style: str | None = None
    restarts_after: int | None = None
    """Restart after an item of this level or one above it (1 is the highest); 0 for never."""
    is_legal: bool = False


@dataclass(slots=True)
class _List:
    levels: dict[int, _Level]
    style_link: str | None = None
    counts: dict[int, int] = field(default_factory=dict)


class Numbering:
    """Lists of a document; `label` counts, so it is called once for each paragraph, in order."""

    def __init__(self, root: Element | None, list_styles: dict[str, str]) -> None:
        """Read the lists.

        Args:
            root: of the part ``numbering``.
            list_styles: the number of the list of each list style.
        """
        self._lists: dict[str, _List] = {}
        self._list_of: dict[str, str] = {}
        self._overrides: dict[str, dict[int, tuple[int | None, _Level | None]]] = {}
        self._list_styles = list_styles
        self._started: set[str] = set()
        for item in () if root is None else root.iterfind("{*}abstractNum"):
            levels = {_int(level, "ilvl"): _level(level) for level in item.iterfind("{*}lvl")}
            linked = item.find("{*}numStyleLink")
            self._lists[attribute(item, "abstractNumId") or ""] = _List(
                levels, None if linked is None else attribute(linked, "val")
            )
        for item in () if root is None else root.iterfind("{*}num"):
            number, target = attribute(item, "numId") or "", item.find("{*}abstractNumId")
            self._list_of[number] = "" if target is None else attribute(target, "val") or ""
            self._overrides[number] = {
                _int(each, "ilvl"): (_value(each, "startOverride"), _own_level(each))
                for each in item.iterfind("{*}lvlOverride")
            }

    def level_of_style(self, number: str, style: str) -> int | None:
        """The level of a list that belongs to a paragraph style."""
        found = self._find(number)
        if found is None:
            return None
        for at, level in found.levels.items():
            if level.style == style:
                return at
        return None

    def label(self, number: str, level: int) -> str | None:
        """The number of the next paragraph; empty for a bullet, None if there is no such list."""
        found = self._find(number)
        if found is None or not 0 <= level < LEVELS:
            return None
        own = self._overrides.get(number, {})
        levels = {**found.levels, **{at: each for at, (_, each) in own.items() if each is not None}}
        counts = found.counts
        if number not in self._started:
            self._started.add(number)
            for at, (start, _) in own.items():
                if start is not None:
                    counts[at] = start - 1
        here = levels.get(level) or _Level(text=f"%{level + 1}.", start=1)
        counts[level] = counts.get(level, here.start - 1) + 1
        for below in range(level + 1, LEVELS):
            after = (levels.get(below) or here).restarts_after
            if below in counts and (after is None or level < after):
                start = own.get(below, (None, None))[0]
                if start is None:
                    del counts[below]
                else:
                    counts[below] = start - 1
        if here.form == "bullet":
            return ""

        def place(match: re.Match[str]) -> str:
            at = int(match[1]) - 1
            other = levels.get(at) or _Level(start=1)
            form = "decimal" if here.is_legal and other.form != "decimalZero" else other.form
            return format_number(counts.get(at, other.start), form)

        return " ".join(_PLACE.sub(place, here.text).split())

    def _find(self, number: str) -> _List | None:
        for _ in range(LEVELS):
            found = self._lists.get(self._list_of.get(number, ""))
            if found is None or found.style_link is None:
                return found
            number = self._list_styles.get(found.style_link, "")
        return None


def _int(element: Element, name: str) -> int:
    value = attribute(element, name) or "0"
    return int(value) if value.isdecimal() else 0


def _value(element: Element, name: str) -> int | None:
    found = element.find("{*}" + name)
    return None if found is None else _int(found, "val")


def _own_level(override: Element) -> _Level | None:
    found = override.find("{*}lvl")
    return None if found is None else _level(found)


def _level(element: Element) -> _Level:
    def text(name: str) -> str | None:
        found = element.find("{*}" + name)
        return None if found is None else attribute(found, "val")

    legal = element.find("{*}isLgl")
    # A format that older versions lack has an alternative, whose fallback they understand.
    own = element.find(".//{*}Fallback/{*}numFmt")
    form = (attribute(own, "val") if own is not None else text("numFmt")) or "decimal"
    custom = element.find(".//{*}Choice/{*}numFmt")
    if custom is not None and (digits := (attribute(custom, "format") or "").split(",")[0]):
        form = f"zeros{len(digits.strip())}" if digits.strip().isdecimal() else form
    return _Level(
        start=_value(element, "start") or 0,
        form=form,
        text=text("lvlText") or "",
        style=text("pStyle"),
        restarts_after=_value(element, "lvlRestart"),
        is_legal=legal is not None and attribute(legal, "val") not in {"0", "false", "off"},
    )
