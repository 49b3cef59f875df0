"""Superscripts and subscripts in plain text, so that a mark never joins a number or a word.

What belongs here: the one form in which every format stores them. What does not: finding them in
a document (`parsing.formats`).

A superscript is written with Unicode's superscript characters where all of it has them: ``750¹``,
``m²``, ``xⁿ``. Any other one is written ``^(text)``. Ordinals stay as they are (``3rd``), and so do
raised words that stand alone, and marks that can't be taken for a part of a number, such as ``*``
or ``[1]``.
"""

from __future__ import annotations

import re

_RAISED = dict(
    zip(
        "0123456789+-=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVW\u2212",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂ⁻",
        strict=True,
    )
)
_LOWERED = dict(zip("0123456789+-=()", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎", strict=True))
_BETWEEN = frozenset(" ,;*\u2013\u2014\u2020\u2021\u00a7\u00b6\u00b0\u2032\u2033'.")
"""Characters that may stand between raised ones."""
_ORDINAL = re.compile(r"(?:st|nd|rd|th|er|ère|ème|eme)", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{4}")
_TRADE_MARKS = {"TM": "™", "SM": "℠", "R": "®", "(R)": "®", "(TM)": "™"}
_RAISED_CHARACTERS = "".join(sorted(set(_RAISED.values())))
_MARK = re.compile(
    rf"(?:(?<=\d)|(?<=[^\W\d_]{{3}}))(?=[⁰¹²³⁴-⁹])[{_RAISED_CHARACTERS}]+"
    rf"|(?<=\d)[{_RAISED_CHARACTERS}]+"
)


def superscript(text: str, before: str = "") -> str:
    """A raised text in the form in which it is stored.

    Args:
        text: the raised characters.
        before: what stands before them, which decides whether they are an ordinal's ending.
    """
    core = text.strip()
    if not any(map(str.isalnum, core)) or core.startswith("["):
        return text
    if (mark := _TRADE_MARKS.get(core)) is not None and before[-1:].isalpha():
        return text.replace(core, mark)
    if _ORDINAL.fullmatch(core) and before.rstrip()[-1:].isdigit():
        return text
    if _WORD.search(core):
        return text.replace(core, _marked(core)) if before[-1:].isalnum() else text
    raised = [_RAISED.get(char, char if char in _BETWEEN else "") for char in core]
    return text.replace(core, "".join(raised) if all(raised) else _marked(core))


def subscript(text: str, before: str = "") -> str:
    """A lowered text: unchanged after a letter (``H2O``), marked after a digit."""
    core = text.strip()
    if not core or not before[-1:].isdigit() or not core[0].isalnum():
        return text
    lowered = [_LOWERED.get(char, "") for char in core]
    return text.replace(core, "".join(lowered) if all(lowered) else f"_({core})")


def separate_marks(text: str) -> str:
    """A text with a space before each superscript that is a mark of the word or number before it.

    Superscripts of units (``m²``) follow one or two letters and stay with them.
    """
    return _MARK.sub(lambda found: " " + found[0], text)


def _marked(core: str) -> str:
    return core if core.startswith("^(") else f"^({core})"
