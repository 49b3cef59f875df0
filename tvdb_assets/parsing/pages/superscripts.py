"""Raised digits of a PDF page: footnote marks and exponents, which never join a number.

What belongs here: finding and marking them. What does not: footnotes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING

from tvdb_assets.core.superscripts import superscript

if TYPE_CHECKING:
    from liteparse import ParsedPage

_TALLER = 1.05  # times the usual height of the words of a line
_RAISED = 0.04  # share of that height, by which the top is higher
_MIN_WORDS = 3
_MAX_MARK = 2  # digits
_TOKEN = re.compile(r"^(.*?)(\d+)([.,;:)]*)$", re.DOTALL)
_LABEL = re.compile(r"^\(?(\d{1,2})\)?(?:\s|$)")


def mark_superscripts(page: ParsedPage, text: str) -> str:
    """Write raised digits at the end of a word as ``750¹`` and ``m²``.

    A word with raised digits is higher than its neighbours. How many digits are raised is seen from
    the labels of the footnotes on the page; without any, it is the last.
    """
    order: dict[str, list[bool]] = defaultdict(list)
    labels: set[str] = set()
    for item in page.text_items:
        if (label := _LABEL.match(item.text)) is not None:
            labels.add(label[1])
        usual = median(word.height for word in item.words) if item.words else 0.0
        top = median(word.y for word in item.words) if item.words else 0.0
        for word in item.words:
            if not word.text[-1:].isdigit() and word.text.rstrip(".,;:)")[-1:].isdigit() is False:
                continue
            is_raised = (
                len(item.words) >= _MIN_WORDS
                and word.height > _TALLER * usual
                and word.y < top - _RAISED * usual
            )
            order[word.text].append(is_raised)
    for token, raised in order.items():
        if not any(raised) or (marked := _marked(token, labels)) is None:
            continue
        pattern = re.compile(rf"(?<!\w){re.escape(token)}(?!\w)")
        places = list(pattern.finditer(text))
        if len(places) != len(raised) and not all(raised):
            continue
        for at, place in reversed(list(enumerate(places))):
            if all(raised) or raised[at]:
                text = text[: place.start()] + marked + text[place.end() :]
    return text


def _marked(token: str, labels: set[str]) -> str | None:
    match = _TOKEN.match(token)
    if match is None or not (match[1] or len(match[2]) > 1):
        return None
    before, digits, after = match.groups()
    count = len(digits)
    if not before or before[-1] in ".,'" or before[-1].isdigit():
        # The rest of the digits is the number.
        known = [n for n in range(min(_MAX_MARK, count - 1), 0, -1) if digits[-n:] in labels]
        count = known[0] if known else 1
    kept = before + digits[: len(digits) - count]
    return kept + superscript(digits[-count:], kept) + after
