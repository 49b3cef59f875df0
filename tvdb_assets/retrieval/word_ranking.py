"""The ranking of chunks by the words of a question: BM25.

What belongs here: the terms of a question, and the scores of chunks. What does not: reading the
word index (`retrieval.word_index`), or the fusion with vectors (`retrieval.ranking`).

The formula is that of Robertson and Zaragoza, *The Probabilistic Relevance Framework: BM25 and
Beyond* (2009), with the idf of Lucene, which is never negative. A term's statistics are those of
the chunks that the searched index shows. A question's word is looked up in the form that it has in
each language of the index; its forms are counted as one term.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tvdb_assets.core.words import hash_term, normalize, split_words, terms_of
from tvdb_assets.repositories.database import Connection
from tvdb_assets.retrieval.word_index import Segment, WordIndexReader, WordSnapshot

K1 = 1.2
"""Saturation of repeated terms; the value of Lucene, and of Robertson and others at TREC-3."""
B = 0.75
"""Weight of the length of a chunk; from the same sources."""
_MOST_TERMS = 64
"""Terms of a question that are looked up: the rarest ones."""
_COMMON = 0.05
"""Share of all chunks above which a term is looked up in candidates only, if it can't matter."""
_EXACT_BELOW = 20_000
"""Chunks of an index up to which each term is looked up everywhere."""
_MOST_CANDIDATES = 2_000

Scores = NDArray[np.float32]


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
    """The forms of one term of the question, and their postings in each segment."""

    terms: tuple[int, ...]
    postings: dict[int, tuple[NDArray[np.int64], Scores]]
    chunk_count: int = 0
    idf: float = 0.0


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
        terms = question_terms(question, snapshot.languages)
        groups = [_Group(term, {}) for term in terms]
        buckets = reader.buckets(
            tx, snapshot.segments, {form for group in groups for form in group.terms}
        )
        for group in groups:
            for segment in snapshot.segments:
                found = [
                    postings
                    for form in group.terms
                    if (postings := buckets[_key(segment, form)].find(form)) is not None
                ]
                if found:
                    _add(group, segment, found)
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
        self._segments = {segment.segment_id: segment for segment in snapshot.segments}
        self._scores: dict[int, Scores] = {}
        self._rest: list[_Group] = []

    def best(
        self, limit: int, allowed: Mapping[int, NDArray[np.bool_]] | None = None
    ) -> list[Place]:
        """The places of the chunks with the best scores, the best one first.

        Args:
            limit: maximum number of chunks.
            allowed: for each segment id, the positions that may be returned; None allows all.
        """
        self._rest = []
        self._accumulate(limit, allowed)
        places: list[Place] = []
        ranked: list[tuple[float, int, int]] = []
        most = max(limit, _MOST_CANDIDATES if self._rest else 0)
        for segment_id, scores in self._scores.items():
            mask = scores if allowed is None else scores * allowed[segment_id]
            top = _top(mask, most)
            ranked += zip((-mask[top]).tolist(), [segment_id] * len(top), top.tolist(), strict=True)
        ranked.sort()
        places = [Place(segment_id, position) for _, segment_id, position in ranked[:most]]
        if self._rest:
            scored = self.scores(places)
            order = sorted(zip(places, scored, strict=True), key=lambda each: -each[1].bm25)
            places = [place for place, _ in order]
        return places[:limit]

    def masks(self, ranges: Iterable[tuple[int, int, int]]) -> dict[int, NDArray[np.bool_]]:
        """Masks of positions for `best`, by segment id.

        Args:
            ranges: triples of segment id, first position and number of positions.
        """
        masks = {
            segment_id: np.zeros(segment.chunk_count, bool)
            for segment_id, segment in self._segments.items()
        }
        for segment_id, first, count in ranges:
            if segment_id in masks:
                masks[segment_id][first : first + count] = True
        return masks

    def scores(self, places: Sequence[Place]) -> list[WordScore]:
        """The scores of these chunks."""
        by_segment: dict[int, list[int]] = {}
        for at, place in enumerate(places):
            by_segment.setdefault(place.segment_id, []).append(at)
        result = [WordScore(0.0, 0.0)] * len(places)
        for segment_id, indices in by_segment.items():
            asked = np.array([places[at].position for at in indices], np.int64)
            bm25, coverage = np.zeros(len(asked)), np.zeros(len(asked))
            segment = self._segments.get(segment_id)
            for group in self._groups:
                if segment is None or segment_id not in group.postings:
                    continue
                positions, counts = group.postings[segment_id]
                found = np.minimum(np.searchsorted(positions, asked), len(positions) - 1)
                has = positions[found] == asked
                bm25 += has * self._contribution(group, segment, asked, counts[found])
                coverage += has * group.idf
            for at_result, score, share in zip(indices, bm25, coverage, strict=True):
                result[at_result] = WordScore(float(score), float(share / self.idf_sum))
        return result

    def _accumulate(self, limit: int, allowed: Mapping[int, NDArray[np.bool_]] | None) -> None:
        """Add up the scores of all terms, except common ones that can't change the best chunks."""
        self._scores = {
            segment.segment_id: np.zeros(segment.chunk_count, np.float32)
            for segment in self._snapshot.segments
        }
        common = max(_EXACT_BELOW, _COMMON * self._snapshot.chunk_count)
        for number, group in enumerate(self._groups):
            if number and group.chunk_count > common:
                bound = sum(each.idf for each in self._groups[number:]) * (K1 + 1)
                if bound < self._best_score(limit, allowed):
                    self._rest = self._groups[number:]
                    return
            for segment_id, (positions, counts) in group.postings.items():
                segment = self._segments[segment_id]
                self._scores[segment_id][positions] += self._contribution(
                    group, segment, positions, counts
                )

    def _best_score(self, rank: int, allowed: Mapping[int, NDArray[np.bool_]] | None) -> float:
        """The score at this rank so far; 0 if fewer chunks have one."""
        best = [
            scores[_top(scores if allowed is None else scores * allowed[segment_id], rank)]
            for segment_id, scores in self._scores.items()
        ]
        ranked = np.sort(np.concatenate(best))[::-1] if best else np.zeros(0)
        return float(ranked[rank - 1]) if len(ranked) >= rank else 0.0

    def _contribution(
        self, group: _Group, segment: Segment, positions: NDArray[np.int64], counts: Scores
    ) -> Scores:
        norm = segment.lengths[positions] * np.float32(K1 * B / self._snapshot.mean_length)
        norm += np.float32(K1 * (1 - B))
        return np.asarray(group.idf * (K1 + 1) * counts / (counts + norm), np.float32)


def _key(segment: Segment, term: int) -> tuple[int, int]:
    return segment.segment_id, term >> (64 - segment.bits)


def _add(
    group: _Group,
    segment: Segment,
    found: Sequence[tuple[NDArray[np.uint16] | NDArray[np.uint32], NDArray[np.uint8]]],
) -> None:
    """Add the postings of all forms of a term in one segment, of visible chunks only."""
    if len(found) == 1:
        positions, counts = found[0][0].astype(np.int64), found[0][1].astype(np.float32)
    else:
        together = np.concatenate([each[0] for each in found]).astype(np.int64)
        positions, at = np.unique(together, return_inverse=True)
        counts = np.bincount(at, np.concatenate([each[1] for each in found])).astype(np.float32)
    live = segment.live[positions]
    if not live.all():
        positions, counts = positions[live], counts[live]
    if len(positions):
        group.postings[segment.segment_id] = positions, counts
        group.chunk_count += len(positions)


def _top(scores: Scores, limit: int) -> NDArray[np.int64]:
    """Positions of the best scores above 0, in no order."""
    positive = np.flatnonzero(scores)
    if len(positive) <= limit:
        return positive
    values = scores[positive]
    return positive[np.argpartition(values, len(values) - limit)[-limit:]]
