"""Characters of symbol fonts (Wingdings, Webdings, Symbol) as the Unicode characters they show.

What belongs here: the mapping. What does not: finding the font of a text.
"""

from __future__ import annotations

_TICKS = {
    "\U0001f5f9": "☑", "\U0001f5f5": "☒", "\U0001f5f7": "☒", "\u2bbd": "☒", "\u2327": "☒",
    "\U0001f78e": "☐", "\U0001f78f": "☐", "\u2751": "☐", "\u2752": "☐", "\U0001f5f8": "✓",
    "\U0001f5f6": "✗", "\U0001f5f4": "✗", "\u25a1": "☐", "\u25a3": "☒",
}  # fmt: skip
"""Boxes of several fonts in one form each, so that a question about a tick finds it."""
_PRIVATE = range(0xF000, 0xF100)
_FONTS = ("Wingdings", "Wingdings 2", "Wingdings 3", "Webdings", "Symbol")


def is_symbol_font(font: str | None) -> bool:
    """Whether the letters of this font are symbols."""
    return font in _FONTS


def show_symbol(font: str, code: int) -> str:
    """The character that a font shows for a code; empty for one that is not known."""
    from mammoth.docx.dingbats import dingbats  # it has no stubs

    if code in _PRIVATE:
        code -= _PRIVATE.start
    found = dingbats.get((font, code))
    if found is None:
        return "" if is_symbol_font(font) or code < 32 else chr(code)
    return _TICKS.get(chr(found), chr(found))


def show_symbols(font: str, text: str) -> str:
    """A text in a symbol font as it is shown; spaces stay."""
    return "".join(char if char.isspace() else show_symbol(font, ord(char)) for char in text)
