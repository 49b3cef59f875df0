"""The passage of a chunk that answers a question best, and its place in the document.

What belongs here: pure functions on one chunk. What does not: which chunks are found
(`retrieval.hybrid_search`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from tvdb_assets.core.words import normalize, split_words, term_cache

_MOST_CHARACTERS = 400
"""Length of a passage, unless a single sentence is longer."""
_SENTENCE_END = re.compile("([.!?\u2026])[\"'\u201d\u2019)\\]]*\\s+|([\u3002\uff01\uff1f])|\\n\\s*")
_NO_TERMS: frozenset[int] = frozenset()


class Matches(dict[str, frozenset[int]]):
    """The terms of a question that a normalized word has; computed once for each word."""

    def __init__(self, weights: Mapping[int, float], language: str | None) -> None:
        """No word is known at first.

        Args:
            weights: the weight of each term of the question, by its hash; see `core.words`.
            language: of the documents with the words.
        """
        super().__init__()
        self._asked, self._terms = frozenset(weights), term_cache(language)

    def __missing__(self, word: str) -> frozenset[int]:
        terms = self._terms(word)
        found = _NO_TERMS if self._asked.isdisjoint(terms) else self._asked & frozenset(terms)
        self[word] = found
        return found


def best_passage(text: str, weights: Mapping[int, float], matches: Matches) -> tuple[int, int]:
    """Start and end of the consecutive sentences with most of the question's words.

    Args:
        text: the text of the chunk.
        weights: the weight of each term of the question, by its hash.
        matches: finds the terms in words of the text.
    """
    sentences = _sentences(text)
    if not sentences:
        return 0, len(text)
    found = [
        _NO_TERMS.union(*map(matches.__getitem__, split_words(normalize(text[start:end]))))
        for start, end in sentences
    ]
    best, best_key = (sentences[0][0], sentences[0][1]), (0.0, 0.0)
    for first, (start, _) in enumerate(sentences):
        known: set[int] = set()
        for last in range(first, len(sentences)):
            end = sentences[last][1]
            if last > first and end - start > _MOST_CHARACTERS:
                break
            known |= found[last]
            # Of equally good passages the shortest one, then the first.
            key = (sum(weights[term] for term in known), -float(end - start))
            if key[0] > 0 and key > best_key:
                best, best_key = (start, end), key
    return best


def page_at(page_starts: Sequence[int], offset: int) -> int | None:
    """The page of an offset, from 1; None for a format without pages."""
    return max(1, bisect_right(page_starts, offset)) if page_starts else None


def heading_at(headings: Iterable[Mapping[str, Any]], offset: int) -> str:
    """The headings above an offset, joined by " > "; they are sorted by offset."""
    path: list[tuple[int, str]] = []
    for heading in headings:
        if heading["offset"] > offset:
            break
        while path and path[-1][0] >= heading["level"]:
            path.pop()
        path.append((heading["level"], heading["title"]))
    return " > ".join(title for _, title in path)


def stable_id(source: str, document: str, start: int, text_sha256: bytes) -> str:
    """Identifies a text at a place of a document; 32 hexadecimal digits."""
    place = "\0".join((source, document, str(start)))
    return sha256(place.encode("utf-8", "surrogatepass") + b"\0" + text_sha256).hexdigest()[:32]


def _sentences(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence or line, without white space around it."""
    parts: list[tuple[int, int]] = []
    start = 0
    for match in (*_SENTENCE_END.finditer(text), None):
        end = len(text) if match is None else match.start() + (match.lastindex is not None)
        stripped = text[start:end].strip()
        if stripped:
            at = start + text[start:end].index(stripped)
            parts.append((at, at + len(stripped)))
        start = match.end() if match else end
    return parts
