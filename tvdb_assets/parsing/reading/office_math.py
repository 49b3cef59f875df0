"""Equations of Office (OMML) in one line of text: ``x = (a + b)/(2c)``.

What belongs here: the element names of OMML. What does not: the documents that hold equations.
"""

from __future__ import annotations

from collections.abc import Callable

from tvdb_assets.core.superscripts import superscript
from tvdb_assets.parsing.reading.safe_xml import Element, attribute, local_name


def math_text(element: Element) -> str:
    """The text of an equation or of a part of it."""
    if element is None:
        return ""
    name = local_name(element)
    if name == "t":
        return element.text or ""
    if name in {"br", "cr", "tab"}:
        return " "
    if name in {"rPr", "ctrlPr", "del", "moveFrom"} or (name.endswith("Pr") and name != "oMathPr"):
        return ""
    form = _FORMS.get(name)
    return form(element) if form is not None else "".join(map(math_text, element))


def _part(element: Element, name: str) -> str:
    return math_text(element.find("{*}" + name))


def _property(element: Element, name: str, otherwise: str) -> str:
    found = element.find(f"{{*}}{local_name(element)}Pr/{{*}}{name}")
    if found is None:
        return otherwise
    return attribute(found, "val") or ""


def _grouped(text: str) -> str:
    text = text.strip()
    return text if len(text) < 2 or text.replace(".", "").isalnum() else f"({text})"


def _fraction(element: Element) -> str:
    above, below = _part(element, "num"), _part(element, "den")
    if _property(element, "type", "bar") == "noBar":
        return f"({above} over {below})"
    return f"{_grouped(above)}/{_grouped(below)}"


def _raised(element: Element) -> str:
    base = _part(element, "e")
    lower, upper = _part(element, "sub"), _part(element, "sup")
    return base + (f"_{_grouped(lower)}" if lower else "") + (superscript(upper) if upper else "")


def _root(element: Element) -> str:
    degree = _part(element, "deg")
    return f"{superscript(degree) if degree else ''}√({_part(element, 'e')})"


def _sum(element: Element) -> str:
    lower, upper = _part(element, "sub"), _part(element, "sup")
    return (
        _property(element, "chr", "∫")
        + (f"_({lower})" if lower else "")
        + (f"^({upper})" if upper else "")
        + " "
        + _part(element, "e")
    )


def _limit(element: Element) -> str:
    mark = "_" if local_name(element) == "limLow" else "^"
    return f"{_part(element, 'e')}{mark}({_part(element, 'lim')})"


def _in_brackets(element: Element) -> str:
    parts = [math_text(part) for part in element.iterfind("{*}e")]
    left, right = _property(element, "begChr", "("), _property(element, "endChr", ")")
    return left + (_property(element, "sepChr", "|")).join(parts) + right


def _matrix(element: Element) -> str:
    rows = [", ".join(map(math_text, row.iterfind("{*}e"))) for row in element.iterfind("{*}mr")]
    return f"[{'; '.join(rows)}]"


def _lines(element: Element) -> str:
    return "; ".join(map(math_text, element.iterfind("{*}e")))


def _function(element: Element) -> str:
    return f"{_part(element, 'fName')} {_part(element, 'e')}"


_FORMS: dict[str, Callable[[Element], str]] = {
    "f": _fraction, "sSup": _raised, "sSub": _raised, "sSubSup": _raised, "rad": _root,
    "nary": _sum, "limLow": _limit, "limUpp": _limit, "d": _in_brackets, "m": _matrix,
    "eqArr": _lines, "func": _function,
}  # fmt: skip
