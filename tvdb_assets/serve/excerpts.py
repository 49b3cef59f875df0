"""The part of a result that a person is shown, and which of its words are marked.

What belongs here: choosing and marking text. What does not: HTML (`page`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tvdb_assets.retrieval.results import Hit

_EXCERPT: Final = 520
"""Maximum characters of an excerpt."""
_RULE = re.compile(r"^ {0,3}(?:\|(?: ?:?-+:? ?\|)+|-{3,}|\*{3,}|={3,})[ \t]*$", re.MULTILINE)
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+", re.MULTILINE)
_WITHOUT_SPACES = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Characters of scripts whose words are not separated by spaces."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an excerpt."""

    text: str
    is_marked: bool


def excerpt(hit: Hit, question: str) -> list[Part]:
    """The passage of a result as plain text, in parts that are marked or not.

    Words of the question are marked, also with other endings: ``covered`` marks ``coverage``.
    """
    pattern = _pattern(question)
    text = _plain(hit.repeated_header + hit.text)
    start, end = 0, len(text)
    if hit.passage_end > hit.passage_start:
        start = len(_plain(hit.repeated_header + hit.text[: hit.passage_start]))
        end = min(start + len(_plain(hit.text[hit.passage_start : hit.passage_end])), end)
    start, end = _window(text, start, end, pattern)
    shown = ("… " if start else "") + text[start:end].strip() + (" …" if end < len(text) else "")
    return _marked(shown, pattern)


def _window(text: str, start: int, end: int, pattern: re.Pattern[str] | None) -> tuple[int, int]:
    """Widen a short passage, or choose the part of a long one with most words of the question."""
    if end - start > _EXCERPT:
        found = [m.start() for m in pattern.finditer(text, start, end)] if pattern else []
        best = max(found or [start], key=lambda at: sum(at <= f < at + _EXCERPT for f in found))
        start = max(start, min(best - 60, end - _EXCERPT))
        end = start + _EXCERPT
    else:
        spare = _EXCERPT - (end - start)
        start = max(0, start - spare // 3)
        end = min(len(text), start + _EXCERPT)
    # Cut between words where there are any nearby.
    if start and (space := text.find(" ", start, start + 40)) >= 0:
        start = space + 1
    if end < len(text) and (space := text.rfind(" ", end - 40, end)) > start:
        end = space
    return start, end


def _pattern(question: str) -> re.Pattern[str] | None:
    words: set[str] = set()
    for word in re.findall(r"\w+", question.casefold()):
        if _WITHOUT_SPACES.search(word):
            words |= {re.escape(word[at : at + 2]) for at in range(max(1, len(word) - 1))}
        elif len(word) > 3 or any(character.isdigit() for character in word):
            words.add(rf"\b{re.escape(word[:-2] if len(word) > 5 else word)}\w*")
    return re.compile("|".join(sorted(words, reverse=True)), re.IGNORECASE) if words else None


def _marked(text: str, pattern: re.Pattern[str] | None) -> list[Part]:
    parts: list[Part] = []
    end = 0
    for found in pattern.finditer(text) if pattern else ():
        if found.start() > end:
            parts.append(Part(text[end : found.start()], False))
        if found[0]:
            parts.append(Part(found[0], True))
        end = found.end()
    if end < len(text):
        parts.append(Part(text[end:], False))
    return parts


def _plain(text: str) -> str:
    """Convert Markdown to running text, without rules and table markup."""
    rows = _HEADING.sub("", _RULE.sub("", text)).replace("**", "").splitlines()
    cells = [" · ".join(c.strip() for c in row.strip().strip("|").split("|")) for row in rows]
    return " ".join(" ".join(cells).split())
