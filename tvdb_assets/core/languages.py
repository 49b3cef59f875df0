"""Detection of the language of a text, on this machine.

What belongs here: which language a text is written in. What does not: taking its words
(`core.words`).
"""

from __future__ import annotations

from collections.abc import Sequence

_MOST_BYTES = 8_192
"""Bytes of UTF-8 that are examined; more of a text would not change the result."""
_LEAST_LETTERS = 24
"""A shorter text, such as a name or a number, has no language that could be recognized."""
_CURRENT_CODES = {"iw": "he", "in": "id", "jw": "jv", "mo": "ro", "nb": "no", "nn": "no"}
"""Codes that CLD2 uses for languages that have another code in ISO 639-1 today, or that share the
rules of another one here."""


def detect_language(texts: Sequence[str]) -> str | None:
    """The ISO 639-1 code of the language of most of a text; None if there is no clear one.

    Args:
        texts: the text in parts. If it is long, the beginning of some parts is examined.
    """
    import pycld2

    sample = "\n".join(_sample(texts))
    if sum(map(str.isalpha, sample)) < _LEAST_LETTERS and sample.isascii():
        return None
    # Control characters make the detector fail.
    printable = "".join(c if c.isprintable() else " " for c in sample)
    data = printable.encode("utf-8", "ignore")
    try:
        is_reliable, _, found = pycld2.detect(data, isPlainText=True)
    except pycld2.error:
        return None
    code = str(found[0][1]).partition("-")[0]
    if not is_reliable or code == "un":
        return None
    return _CURRENT_CODES.get(code, code)


def _sample(texts: Sequence[str]) -> list[str]:
    """The beginnings of at most 8 parts, from all over the text."""
    step = max(1, len(texts) // 8)
    chosen = texts[::step][:8]
    return [text[: _MOST_BYTES // max(1, len(chosen))] for text in chosen]
