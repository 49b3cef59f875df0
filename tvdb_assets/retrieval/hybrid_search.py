"""Hybrid search: candidates by words and by vectors, and their fusion.

What belongs here: the order of the steps of one search, in one transaction. What does not: the
vector of the question (`retrieval.index`), the statements (`retrieval.candidates`), the scores
(`retrieval.word_ranking`, `retrieval.fusion`), or how results are displayed (`cli`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.repositories.database import Connection, Database
from tvdb_assets.retrieval import candidates as sql
from tvdb_assets.retrieval.candidates import CurrentIndex
from tvdb_assets.retrieval.filters import Filters
from tvdb_assets.retrieval.fusion import Features, by_vector, fuse
from tvdb_assets.retrieval.results import SearchResult
from tvdb_assets.retrieval.word_index import WordIndexReader
from tvdb_assets.retrieval.word_ranking import WordRanking, WordScore

CANDIDATES = 100
"""Number of chunks that each ranking contributes to the fusion."""


class Ranking(StrEnum):
    """What results are ranked by."""

    WORDS = "words"
    VECTORS = "vectors"
    BOTH = "both"


_FILTERED = 4
"""How many times as many chunks are ranked before the filters are looked up for all documents."""

_SOME_SHARE = 0.05
"""Of the nearest texts that are published, from which more of the nearest ones are looked at."""


def search(
    database: Database,
    question: str,
    vector: NDArray[np.float32],
    space: str,
    k: int,
    filters: Filters | None = None,
    *,
    min_score: float | None = None,
    reader: WordIndexReader | None = None,
    ranking: Ranking = Ranking.BOTH,
    index_id: int | None = None,
) -> SearchResult:
    """Find the ``k`` chunks that match the question best, the best one first.

    Args:
        database: contains the index.
        question: a question in plain language.
        vector: the vector of the question in ``space``, with shape (dimensions,). If it contains
            NaN or only zeros, as for a text without a known token, only words are ranked.
        space: label of the vector's space; must be the space of the current index.
        k: maximum number of results.
        filters: the documents to search; None searches all.
        min_score: omit results with a lower score; None omits none.
        reader: keeps parts of the word index for later searches; None reads all that is needed.
        ranking: what the results are ranked by.
        index_id: another index than the one that search reads.

    Raises:
        ConfigurationError: the current index has another vector space than the vector.
    """
    has_direction = bool(np.isfinite(vector).all() and vector.any())
    has_direction = has_direction and ranking is not Ranking.WORDS
    # All statements must see the same index, also when a switch happens between them.
    with database.snapshot() as tx:
        current = sql.current_index(tx, index_id)
        if current is None:
            return SearchResult()
        if current.space != space:
            raise other_space(current.space, space)
        asked = vector if has_direction else None
        reader = reader or WordIndexReader()
        features, words = rank(tx, current, question, asked, filters or Filters(), reader)
        is_fused = ranking is not Ranking.VECTORS
        ranked = (fuse(features, current.provider) if is_fused else by_vector(features))[:k]
        if min_score is not None:
            ranked = [each for each in ranked if each.score >= min_score]
        hits = sql.read_hits(tx, current, ranked, words.weights)
    is_confident = bool(ranked) and ranked[0].is_confident
    return SearchResult(tuple(hits), is_confident)


def rank(
    tx: Connection,
    current: CurrentIndex,
    question: str,
    vector: NDArray[np.float32] | None,
    filters: Filters,
    reader: WordIndexReader,
) -> tuple[list[Features], WordRanking]:
    """The candidates of both rankings with their scores, in no order; and the ranking by words."""
    snapshot = reader.snapshot(tx, current.index_id)
    depth = _depth(snapshot.chunk_count / max(1, snapshot.chunk_count, current.vector_count))
    # The server looks for vectors while this process ranks by words.
    near = None if vector is None else sql.NearestTexts(tx, current, vector, depth)
    words = WordRanking(tx, reader, snapshot, question)
    wanted = _FILTERED * CANDIDATES if filters else CANDIDATES
    places = words.best(wanted)
    hashes = near.read() if near is not None else []
    by_words = sql.at_places(tx, current, places, vector, filters)
    by_vectors = None
    if vector is not None:
        by_vectors = sql.with_texts(tx, current, hashes, vector, filters, CANDIDATES)
    best = [sql.candidate(row) for row in by_words.fetchall()]
    nearest = [sql.candidate(row) for row in by_vectors.fetchall()] if by_vectors else []
    # Places are live, so that only filters leave fewer of them.
    lacks_words = len(best) < CANDIDATES and len(places) == wanted and bool(filters)
    lacks_vectors = len(nearest) < CANDIDATES and len(hashes) >= depth
    share = max(1, len(nearest)) / max(1, len(hashes))
    if lacks_vectors and vector is not None and not filters and share >= _SOME_SHARE:
        # Texts of other indexes or former versions are among the nearest ones.
        hashes = sql.NearestTexts(tx, current, vector, _depth(share)).read()
        rows = sql.with_texts(tx, current, hashes, vector, filters, CANDIDATES).fetchall()
        nearest, lacks_vectors = [sql.candidate(row) for row in rows], False
    if lacks_words or lacks_vectors:
        allowed = sql.allowed_sets(tx, current, filters)
        if lacks_words:
            mask = words.mask(allowed.segments, allowed.firsts, allowed.counts)
            places = words.best(CANDIDATES, mask)
            cursor = sql.at_places(tx, current, places, vector, filters)
            best = [sql.candidate(row) for row in cursor.fetchall()]
        if lacks_vectors and vector is not None:
            nearest = sql.nearest_of(tx, current, vector, CANDIDATES, allowed, share, filters)
    candidates = list({c.chunk_id: c for c in (*nearest, *best)}.values())
    scores = words.scores([c.place for c in candidates if c.place is not None])
    by_place = iter(scores)
    none = WordScore(0.0, 0.0)
    features = [
        Features(
            chunk_id=c.chunk_id,
            bm25=(score := next(by_place) if c.place is not None else none).bm25,
            most_bm25=words.most_bm25,
            coverage=score.coverage,
            similarity=c.similarity,
            language=c.language,
        )
        for c in candidates
    ]
    return features, words


def _depth(share: float) -> int:
    """The number of nearest texts to look at if this share of all texts, or none, is published."""
    return int(2 * CANDIDATES / max(share, 2 * CANDIDATES / sql.MOST_NEAREST))


def other_space(current: str, space: str) -> ConfigurationError:
    """The error for a question vector that is in another space than the current index."""
    return codes.OTHER_VECTOR_SPACE.error(current=current, space=space)


def unsearchable(database: Database) -> int:
    """The number of published chunks that search excludes, because their vectors are mocks."""
    with database.transaction() as tx:
        row: tuple[Any, ...] | None = tx.execute(
            "SELECT count(*) FROM tvdb.publications u JOIN tvdb.indexes USING (index_id)"
            " JOIN tvdb.vector_spaces s USING (space_id) JOIN tvdb.chunks c USING (chunk_set_id)"
            " WHERE s.is_mock"
        ).fetchone()
    return int(row[0]) if row else 0
