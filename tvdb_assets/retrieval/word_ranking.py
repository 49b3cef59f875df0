"""The ranking of chunks by the words of a question: BM25.

What belongs here: the terms of a question, and the scores of chunks. What does not: reading the
word index (`retrieval.word_index`), or the fusion with vectors (`retrieval.ranking`).

The formula is that of Robertson and Zaragoza, *The Probabilistic Relevance Framework: BM25 and
Beyond* (2009), with the idf of Lucene, which is never negative. A term's statistics are those of
the chunks that the searched index shows. A question's word is looked up in the form that it has in
each language of the index; its forms are counted as one term.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvdb_assets.core.words import hash_term, normalize, split_words, terms_of
from tvdb_assets.repositories.database import Connection
from tvdb_assets.retrieval.word_index import Found, Segment, WordIndexReader, WordSnapshot

K1 = 1.2
"""Saturation of repeated terms; the value of Lucene, and of Robertson and others at TREC-3."""
B = 0.75
"""Weight of the length of a chunk; from the same sources."""
_MOST_TERMS = 64
"""Terms of a question that are looked up: the rarest ones."""
_COMMON = 0.02
"""Share of all chunks above which a term is looked up in candidates only, if it can't matter."""
_EXACT_BELOW = 5_000
"""Chunks with a term up to which it is always looked up everywhere; about 0.1 ms."""
_MOST_CANDIDATES = 4_000

Scores = NDArray[np.float32]
Positions = NDArray[np.int64]
"""Numbers of chunks, in which the segments of a snapshot follow one another."""


@dataclass(frozen=True, slots=True)
class Place:
    """The position of a chunk in the word index."""

    segment_id: int
    position: int


@dataclass(frozen=True, slots=True)
class WordScore:
    """How well a chunk matches the words of a question."""

    bm25: float
    coverage: float
    """Share of the words of the question, weighted by their idf, that the chunk has, 0 to 1."""


@dataclass(slots=True)
class _Group:
    """The forms of one term of the question, and their postings."""

    terms: tuple[int, ...]
    parts: list[tuple[Segment, int, list[Found]]] = field(default_factory=list)
    """For each segment with the term: where its positions begin, and the postings of each form."""
    chunk_count: int = 0
    idf: float = 0.0
    _whole: tuple[Positions, Scores] | None = None

    def count(self) -> None:
        """Set ``chunk_count`` to the number of published chunks with the term."""
        for segment, _, found in self.parts:
            known = segment.known_counts.get(self.terms)
            if known is None:
                if len(found) == 1 and segment.is_whole:
                    known = len(found[0][0])
                else:
                    known = len(_published(segment, found)[0])
                segment.known_counts[self.terms] = known
            self.chunk_count += known

    def postings(self) -> tuple[Positions, Scores]:
        """Positions of all published chunks with the term, ascending, and its occurrences."""
        if self._whole is None:
            parts = [(start, *_published(segment, found)) for segment, start, found in self.parts]
            self._whole = (
                np.concatenate([start + positions for start, positions, _ in parts]),
                np.concatenate([counts for _, _, counts in parts]),
            )
        return self._whole

    def counts_at(self, asked: Positions) -> Scores:
        """Occurrences in these published chunks, without reading all postings."""
        if self._whole is not None:
            return _counts_at(*self._whole, asked)
        counts = np.zeros(len(asked), np.float32)
        for segment, start, found in self.parts:
            inside = np.flatnonzero((asked >= start) & (asked < start + segment.chunk_count))
            if len(inside):
                for positions, occurrences in found:
                    local = (asked[inside] - start).astype(positions.dtype)
                    counts[inside] += _counts_at(positions, occurrences, local)
        return counts


def question_terms(question: str, languages: Sequence[str | None]) -> list[tuple[int, ...]]:
    """The terms of a question, each with the hashes of all its forms."""
    groups: dict[tuple[str, ...], tuple[int, ...]] = {}
    forms = dict.fromkeys((None, *languages))
    for word in split_words(normalize(question)):
        for term in zip(*(terms_of(word, language) for language in forms), strict=True):
            distinct = tuple(dict.fromkeys(term))
            groups[distinct] = tuple(map(hash_term, distinct))
    return list(groups.values())


class WordRanking:
    """The scores of all chunks for one question."""

    def __init__(
        self, tx: Connection, reader: WordIndexReader, snapshot: WordSnapshot, question: str
    ) -> None:
        """Read the postings of the question's terms."""
        self._snapshot = snapshot
        self._ends = np.cumsum([segment.chunk_count for segment in snapshot.segments])
        groups = [_Group(term) for term in question_terms(question, snapshot.languages)]
        forms = {form for group in groups for form in group.terms}
        found = reader.postings(tx, snapshot.segments, forms)
        for segment in snapshot.segments:
            start, segment_id = snapshot.offsets[segment.segment_id], segment.segment_id
            for group in groups:
                parts = [
                    found[segment_id, form] for form in group.terms if (segment_id, form) in found
                ]
                if parts:
                    group.parts.append((segment, start, parts))
        for group in groups:
            group.count()
            n = group.chunk_count
            group.idf = float(np.log1p((snapshot.chunk_count - n + 0.5) / (n + 0.5)))
        self.idf_sum = sum(group.idf for group in groups)
        """Of all terms of the question, also of those that no chunk has."""
        self.known_terms = sum(group.chunk_count > 0 for group in groups)
        self.most_bm25 = self.idf_sum * (K1 + 1)
        """Upper bound of the score of a chunk."""
        self.weights = {form: group.idf for group in groups for form in group.terms}
        """The idf of each term of the question, by its hash."""
        known = [group for group in groups if group.chunk_count]
        self._groups = sorted(known, key=lambda g: -g.idf)[:_MOST_TERMS]

    def best(self, limit: int, allowed: NDArray[np.bool_] | None = None) -> list[Place]:
        """The places of the chunks with the best scores, the best one first.

        Args:
            limit: maximum number of chunks.
            allowed: for each position of `mask`, whether it may be returned; None allows all.
        """
        scores, rest = self._accumulate(limit, allowed)
        top = _top(scores, limit)
        if rest:
            # Those that the other terms can lift to the first places; the best of them if many.
            bound = sum(group.idf for group in rest) * (K1 + 1)
            top = np.flatnonzero(scores > max(0.0, float(scores[top].min()) - bound))
            if len(top) > _MOST_CANDIDATES:
                top = top[_top(scores[top], _MOST_CANDIDATES)]
            values = scores[top]
            for group in rest:
                values += self._contribution(group, top, group.counts_at(top))
        else:
            values = scores[top]
        order = np.lexsort((top, -values))[:limit]
        return self._places(top[order])

    def mask(
        self, segments: NDArray[np.int64], firsts: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """A mask for `best` of some ranges: segment, first position and number of positions."""
        offsets = self._snapshot.offsets
        known = np.array([segment in offsets for segment in segments.tolist()], bool)
        starts = np.array([offsets.get(s, 0) for s in segments.tolist()], np.int64) + firsts
        total = int(self._ends[-1]) if len(self._ends) else 0
        changes = np.bincount(starts[known], minlength=total + 1).astype(np.int64)
        changes -= np.bincount((starts + counts)[known], minlength=total + 1)
        return np.cumsum(changes[:total]) > 0

    def scores(self, places: Sequence[Place]) -> list[WordScore]:
        """The scores of these chunks."""
        offsets = self._snapshot.offsets
        asked = np.array(
            [offsets.get(each.segment_id, -1) + each.position for each in places], np.int64
        )
        is_known = np.array([each.segment_id in offsets for each in places], bool)
        bm25, coverage = np.zeros(len(asked)), np.zeros(len(asked))
        known = asked[is_known]
        for group in self._groups:
            counts = group.counts_at(known)
            bm25[is_known] += self._contribution(group, known, counts)
            coverage[is_known] += group.idf * (counts > 0)
        coverage /= self.idf_sum or 1.0
        return list(map(WordScore, bm25.tolist(), coverage.tolist()))

    def _accumulate(
        self, limit: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[Scores, list[_Group]]:
        """Add up the scores of all terms, except common ones that can't change the best chunks.

        Returns:
            The scores, and the terms that are left out.
        """
        scores = np.zeros(int(self._ends[-1]) if len(self._ends) else 0, np.float32)
        common = max(_EXACT_BELOW, _COMMON * self._snapshot.chunk_count)
        rest: list[_Group] = []
        for number, group in enumerate(self._groups):
            if number and group.chunk_count > common:
                bound = sum(each.idf for each in self._groups[number:]) * (K1 + 1)
                above = scores > bound if allowed is None else (scores > bound) & allowed
                # A chunk with no other word of the question can't be among the first ones.
                if np.count_nonzero(above) >= limit:
                    rest = self._groups[number:]
                    break
            positions, counts = group.postings()
            scores[positions] += self._contribution(group, positions, counts)
        return scores if allowed is None else scores * allowed, rest

    def _contribution(self, group: _Group, positions: Positions, counts: Scores) -> Scores:
        norm = self._snapshot.lengths[positions]
        norm *= np.float32(K1 * B)
        norm += np.float32(K1 * (1 - B))
        norm += counts
        np.divide(counts, norm, out=norm)
        norm *= np.float32(group.idf * (K1 + 1))
        return norm

    def _places(self, positions: Positions) -> list[Place]:
        segments = self._snapshot.segments
        numbers = np.searchsorted(self._ends, positions, side="right").tolist()
        return [
            Place(segment_id, position - self._snapshot.offsets[segment_id])
            for number, position in zip(numbers, positions.tolist(), strict=True)
            for segment_id in (segments[number].segment_id,)
        ]


def _published(segment: Segment, found: Sequence[Found]) -> tuple[Positions, Scores]:
    """The postings of all forms of a term in one segment, of published chunks only."""
    if len(found) == 1:
        positions, counts = found[0][0].astype(np.int64), found[0][1].astype(np.float32)
    else:
        # A sort of many positions takes longer than an array of all chunks of a segment.
        occurrences = np.zeros(segment.chunk_count, np.float32)
        for each in found:
            occurrences[each[0]] += each[1]
        positions = np.flatnonzero(occurrences)
        counts = occurrences[positions]
    if not segment.is_whole:
        live = segment.live[positions]
        positions, counts = positions[live], counts[live]
    return positions, counts


def _counts_at(positions: NDArray[Any], counts: NDArray[Any], asked: NDArray[Any]) -> Scores:
    if not len(positions):
        return np.zeros(len(asked), np.float32)
    found = np.minimum(np.searchsorted(positions, asked), len(positions) - 1)
    return np.where(positions[found] == asked, counts[found], 0).astype(np.float32)


def _top(scores: Scores, limit: int) -> NDArray[np.int64]:
    """Positions of the best scores above 0, in no order."""
    positive = np.flatnonzero(scores)
    if len(positive) <= limit:
        return positive
    values = scores[positive]
    return positive[np.argpartition(values, len(values) - limit)[-limit:]]
