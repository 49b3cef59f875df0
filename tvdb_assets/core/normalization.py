"""Text normalization: every parsed text is normalized before offsets are computed.

What belongs here: removal of characters that break storage, search or offsets. What does not:
decoding of bytes (`parsing.reading.text_decoding`), structure, checks of the result
(`core.text_validation`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LIGATURES = {
    "\ufb00": "ff",
    "\ufb01": "fi",
    "\ufb02": "fl",
    "\ufb03": "ffi",
    "\ufb04": "ffl",
    "\ufb05": "st",
    "\ufb06": "st",
}
# ZWJ (U+200D) and ZWNJ (U+200C) stay: they carry meaning in emoji, Persian and Indic scripts.
_INVISIBLE = "\u00ad\u200b\u2060\ufeff"
# The hyphen and the space that keep a line together look like the plain ones and mean the same.
_PLAIN_FORMS = {"\u2010": "-", "\u2011": "-", "\u00a0": " ", "\u202f": " "}
# Tab, line feed and form feed are the only control characters with a meaning in text.
_CONTROLS = "".join(map(chr, (*range(1, 9), 11, *range(14, 32), 127)))
# The line ends of other systems: next line, line separator, paragraph separator.
_LINE_ENDS = "\x85\u2028\u2029"
_SUSPECT = re.compile(
    f"[\x00\r{_LINE_ENDS}\ud800-\udfff\ufb00-\ufb06{''.join(_PLAIN_FORMS)}{_INVISIBLE}{re.escape(_CONTROLS)}]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_TABLE = str.maketrans(
    {
        **_LIGATURES,
        **_PLAIN_FORMS,
        **dict.fromkeys(_LINE_ENDS, "\n"),
        **dict.fromkeys("\x00" + _INVISIBLE + _CONTROLS, None),
    }
)


@dataclass(frozen=True, slots=True)
class Normalized:
    """A clean text and the number of changed characters by kind."""

    text: str
    nul_removed: int = 0
    surrogates_replaced: int = 0

    def facts(self) -> dict[str, int]:
        """The counts above zero, by name."""
        counts = {
            "nul_removed": self.nul_removed,
            "surrogates_replaced": self.surrogates_replaced,
        }
        return {name: count for name, count in counts.items() if count}


def normalize(text: str) -> Normalized:
    r"""Clean ``text``: ``\n`` line ends, no NUL or control characters, whole code points.

    Lone surrogates become U+FFFD, Latin ligatures become letters, and hyphens and spaces without a
    line break become plain ones. Zero-width spaces, byte order
    marks, word joiners and soft hyphens are removed, so that search finds the words. Linear in the
    length of the text; a second application changes nothing.
    """
    # Most texts need no change; they cost only this scan in C.
    if _SUSPECT.search(text) is None:
        return Normalized(text)
    nul_removed = text.count("\x00")
    # NUL goes first: one between CR and LF must not turn a line end into two.
    text = text.translate(_TABLE).replace("\r\n", "\n").replace("\r", "\n")
    text, surrogates = _SURROGATE.subn("\ufffd", text)
    return Normalized(text, nul_removed, surrogates)
