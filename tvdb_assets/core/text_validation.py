"""Validates a parsed text: is there a text, and is it plausible as that of its document?

What belongs here: pure checks of a parsed document. What does not: parsing, cleaning
(`core.normalization`), storage. Every parse, local or paid, ends with `validate`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

from tvdb_assets import error_codes as codes
from tvdb_assets.models import ParsedDocument

_REPLACEMENT = "\ufffd"
_MAX_REPLACED_SHARE = 0.1  # of the letters
_MIN_REPLACED = 10  # characters; fewer are never refused
_LONG_LINE = 40  # characters; shorter lines repeat in every table and log
_MAX_REPEATED_SHARE = 0.5  # of the text, for the repetitions of one line
_MIN_REPEATS = 10  # repetitions; fewer are never noted
_MIN_REPEATED = 2_000  # repeated characters; fewer are never noted
_MOST_CHARACTERS = 225_000_000
"""Of any text: with four bytes each, they are below 1 GB, the most that Postgres stores."""
_MOST_OF_SMALL = (1 << 20, 1_000)
_MOST_OF_LARGE = (32 << 20, 20)
"""Characters of any text, and more for each byte of its file. Measured: 1 to 3 for each byte of
text, CSV and JSON, 12 for deeply nested JSON, and of files of up to 50 KB whose content repeats,
which compression shrinks, 20 (DOCX), 100 (XLSX) and 190 (ODT). A megabyte unpacks to 1 GB at most.
"""
_MAX_CHARACTERS_PER_BYTE = 400.0  # compressed formats expand, but not by more
_MAY_BE_EMPTY = frozenset({"sheets", "slides"})  # facts of formats whose pages may be empty
_MIN_SHARE_WITH_TEXT = 0.5  # of the pages
_MAX_ERROR_LENGTH = 600  # characters; a longer text is more than an error message
# A pattern must match the whole text, so that a document about errors is accepted.
_SENTENCE_ENDS = re.compile(r"[.!?] ")
_ERRORS = re.compile(
    r"(?:"
    r"traceback \(most recent call last\):.*"
    r"|(?:#* ?)?(?:http(?:/[\d.]+)? ?)?(?:error ?)?(?:[45]\d\d)[ :-]{1,3}(?:bad request"
    r"|unauthorized|forbidden|(?:page |file )?not found|internal server error|bad gateway"
    r"|service unavailable|gateway time-?out|too many requests)\b.{0,160}"
    r"|(?:\[?error\]?[: ]|failed to |could not |unable to |cannot )(?:\S+ ){0,6}?(?:pars(?:e|ing)"
    r"|extract|convert|decod|open|read|load)\w*\b.{0,160}"
    r"|(?:parsing|conversion|extraction)(?: error|error| failed)\b.{0,160}"
    r")",
    re.IGNORECASE | re.DOTALL,
)


def most_characters(size: int) -> int:
    """Most characters of the text of a file of so many bytes.

    No honest document reaches it. It bounds what a bomb, or a parser that was taken over, stores.
    """
    return min(
        _MOST_CHARACTERS, *(base + each * size for base, each in (_MOST_OF_SMALL, _MOST_OF_LARGE))
    )


def validate(parsed: ParsedDocument, size: int) -> ParsedDocument:
    """Refuse what has no text; note what is unusual, and count it as the fact ``warnings``.

    A check of plausibility refuses nothing that a person can read. Only an answer of a service is
    refused where it is an error message as a whole, because then it is not the document's text.

    Args:
        parsed: The result of the parser.
        size: Size of the source file in bytes.

    Returns:
        The document, with a note for each suspicion.

    Raises:
        ParseError: ``expands_too_far``, ``pages_without_text``, ``empty``, ``nul_in_text``,
            ``garbled`` or ``error_as_content``.
    """
    if (characters := len(parsed.text)) > (limit := most_characters(size)):
        raise codes.TEXT_EXPANDS_TOO_FAR.error(characters=characters, size=size, limit=limit)
    found = measure_text(parsed, size)
    pages, with_text = int(found["pages"]), int(found["pages_with_text"])
    has_pages = bool(pages) and not _MAY_BE_EMPTY & parsed.facts.keys()
    if has_pages and not with_text:
        raise codes.PAGES_WITHOUT_TEXT.error(with_text=with_text, pages=pages)
    if not found["letters"]:
        raise codes.EMPTY.error(what="The document")
    if found["has_nul"]:
        raise codes.NUL_IN_TEXT.error()
    replaced = int(found["replacement_characters"])
    if replaced >= _MIN_REPLACED and found["replacement_share"] > _MAX_REPLACED_SHARE:
        raise codes.GARBLED.error(count=replaced)
    if found["is_error_message"] and parsed.produced_by.mode != "local":
        raise codes.ERROR_AS_CONTENT.error()
    doubts = _doubts(found)
    notes = list(doubts)
    if has_pages and with_text < pages:
        notes.append(f"{pages - with_text} of {pages} pages have no text")
        if found["pages_with_text_share"] < _MIN_SHARE_WITH_TEXT:
            doubts.append(notes[-1])
    if not notes:
        return parsed
    facts = {**parsed.facts, "warnings": len(doubts)} if doubts else parsed.facts
    return replace(parsed, notes=(*parsed.notes, *notes), facts=facts)


def _doubts(found: dict[str, float | int | bool]) -> list[str]:
    doubts = []
    if found["is_error_message"]:
        doubts.append("the whole text reads like an error message; is it the right file?")
    if (
        found["most_repeats"] >= _MIN_REPEATS
        and found["repeated_characters"] >= _MIN_REPEATED
        and found["repeated_share"] > _MAX_REPEATED_SHARE
    ):
        doubts.append(f"one line stands {found['most_repeats']} times in the text")
    if found["characters_per_byte"] > _MAX_CHARACTERS_PER_BYTE:
        doubts.append("the text is much longer than the file; is it the whole and only text?")
    return doubts


def measure_text(parsed: ParsedDocument, size: int) -> dict[str, float | int | bool]:
    """The measurements that `validate` uses, by name.

    Characters are code points. ``size`` and ``…_per_byte`` refer to bytes of the source. Shares are
    between 0 and 1.
    """
    text = parsed.text
    letters = sum(map(len, text.split()))
    replaced = text.count(_REPLACEMENT)
    repeats, repeated = _repetition(text)
    pages = len(parsed.page_starts)
    with_text = _pages_with_text(parsed)
    return {
        "characters": len(text),
        "letters": letters,
        "has_nul": "\x00" in text,
        "replacement_characters": replaced,
        "replacement_share": replaced / letters if letters else 0.0,
        "is_error_message": _is_error(text),
        "most_repeats": repeats,
        "repeated_characters": repeated,
        "repeated_share": repeated / letters if letters else 0.0,
        "characters_per_byte": len(text) / size if size else 0.0,
        "pages": pages,
        "pages_with_text": with_text,
        "pages_with_text_share": with_text / pages if pages else 1.0,
    }


def _pages_with_text(parsed: ParsedDocument) -> int:
    scanned = parsed.facts.get("pages_scanned", 0)
    bounds = (*parsed.page_starts, len(parsed.text))
    filled = sum(1 for start, end in pairwise(bounds) if parsed.text[start:end].strip())
    # The few letters of a scanner's stamp on a picture are not the page's text.
    return min(filled, len(parsed.page_starts) - scanned)


def _is_error(text: str) -> bool:
    stripped = text[: _MAX_ERROR_LENGTH + 200].strip()
    return len(stripped) <= _MAX_ERROR_LENGTH and _ERRORS.fullmatch(stripped) is not None


def _repetition(text: str) -> tuple[int, int]:
    """Count of the most repeated long line or sentence, and the letters of its repetitions."""
    best_count, best_letters = 0, 0
    # White space is normalized in the whole text at once, which is faster than per piece.
    normalized = text.replace("\t", " ")
    while "  " in normalized:
        normalized = normalized.replace("  ", " ")
    lines = normalized.split("\n")
    sentences = _SENTENCE_ENDS.split(" ".join(text.split()))
    for pieces in (lines, sentences):
        counts = Counter(
            piece.strip()
            for piece in pieces
            # Table rows may repeat, because records may be equal.
            if len(piece) >= _LONG_LINE and not piece.lstrip().startswith("|")
        )
        if not counts:
            continue
        piece, count = max(counts.items(), key=lambda item: (item[1] - 1) * len(item[0]))
        letters = (count - 1) * sum(map(len, piece.split()))
        if letters > best_letters and any(char.isalpha() for char in piece):
            best_count, best_letters = count, letters
    return best_count, best_letters
