"""Words and text lines of a page, and the spans of a line.

What belongs here: words, lines, and the wide gaps that separate spans. What does not: tables
(`pages.tables`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

_SAME_LINE = 0.5  # share of the lower word's height by which two words of a line overlap
_NO_GAP = 0.08  # share of the height: narrower than any space
WIDE_GAP = (
    0.95  # share of the height: wider than the spaces of justified text, with rare exceptions
)
_DASHES = r"\-\u2010-\u2015\u2212"
_FIGURES = re.compile(
    rf"^[(\[<>~\u00b1+{_DASHES}$€£¥]*\s*(?:[A-Z]{{1,3}}\s?)?"
    rf"[\d.,'\u00a0\u2019 /:%{_DASHES}]*\d[\d.,'\u00a0\u2019 /:%{_DASHES}]*"
    r"\s?(?:[%)\]*†‡°]|\(\d+\)|[a-z]{1,2}\b|[A-Z]{3}\b)*\**$"
)
_NOTHING = re.compile(
    rf"^(?:[{_DASHES}.:*…/]{{1,3}}|n/?a\.?|n\.?[ad]\.?|nil|none|x|✓|✔|yes|no)$", re.IGNORECASE
)


MARKER = re.compile(
    r"^(?:[•▪◦●○■□\u2010-\u2015\-*·o]|\(?[0-9a-zA-Z]{1,4}[.)]|\([0-9a-zA-Z]{1,4}\)|\d+(?:\.\d+)+)$"
)
"""What stands before an item of a list."""


class Word(NamedTuple):
    """A word and its box in points; `top` is less than `bottom`."""

    left: float
    top: float
    right: float
    bottom: float
    text: str


class Span(NamedTuple):
    """Words of a line without a wide gap between them."""

    left: float
    top: float
    right: float
    bottom: float
    text: str
    words: tuple[Word, ...]


@dataclass(slots=True)
class Line:
    """Words with a common baseline, from left to right."""

    words: list[Word]
    top: float
    bottom: float

    @property
    def left(self) -> float:
        """The left end in points."""
        return self.words[0].left

    @property
    def right(self) -> float:
        """The right end in points."""
        return max(word.right for word in self.words)

    @property
    def height(self) -> float:
        """The usual height of its words in points."""
        return median(word.bottom - word.top for word in self.words)

    @property
    def text(self) -> str:
        """The words, separated by spaces."""
        return " ".join(word.text for word in self.words)


def join_fragments(words: Iterable[Word]) -> list[Word]:
    """Join fragments without a gap: libraries split words at punctuation."""
    out: list[Word] = []
    for word in words:
        if out:
            last = out[-1]
            gap = word.left - last.right
            height = last.bottom - last.top
            if (
                abs(gap) <= _NO_GAP * height
                and min(last.bottom, word.bottom) - max(last.top, word.top) > _SAME_LINE * height
            ):
                out[-1] = Word(
                    last.left,
                    min(last.top, word.top),
                    max(last.right, word.right),
                    max(last.bottom, word.bottom),
                    last.text + word.text,
                )
                continue
        out.append(word)
    return out


def text_lines(words: Iterable[Word]) -> list[Line]:
    """Lines from top to bottom; each word is in one."""
    lines: list[Line] = []
    for word in sorted(words, key=lambda word: (word.top + word.bottom) / 2):
        middle = (word.top + word.bottom) / 2
        for line in reversed(lines[-4:]):
            overlap = min(line.bottom, word.bottom) - max(line.top, word.top)
            lower = min(line.bottom - line.top, word.bottom - word.top)
            if overlap > _SAME_LINE * lower and line.top <= middle <= line.bottom:
                line.words.append(word)
                # A tall word must not draw the next line into this one.
                break
        else:
            lines.append(Line([word], word.top, word.bottom))
    for line in lines:
        line.words.sort(key=lambda word: word.left)
    lines.sort(key=lambda line: line.top)
    return lines


def spans_of(
    words: Sequence[Word], separators: Sequence[float] = (), wide: float = WIDE_GAP
) -> list[Span]:
    """Split a line's words, from left to right, at wide gaps and at vertical rulings."""
    groups: list[list[Word]] = []
    end = 0.0
    for word in words:
        if groups:
            gap = word.left - end
            height = word.bottom - word.top
            crossed = (
                any(end - 1 <= x <= word.left + 1 for x in separators) if separators else False
            )
            if gap <= wide * height and not crossed:
                groups[-1].append(word)
                end = max(end, word.right)
                continue
        groups.append([word])
        end = word.right
    return [span_of(group) for group in groups]


def span_of(words: Sequence[Word]) -> Span:
    """One span of these words."""
    return Span(
        words[0].left,
        min(word.top for word in words),
        max(word.right for word in words),
        max(word.bottom for word in words),
        " ".join(word.text for word in words),
        tuple(words),
    )


def is_figure(text: str) -> bool:
    """Whether a cell holds a number, an amount, a share, a date, or a sign that there is none."""
    return len(text) < 40 and bool(_FIGURES.match(text) or _NOTHING.match(text))
