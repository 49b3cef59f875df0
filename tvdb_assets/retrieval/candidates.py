"""The statements of a search: candidates first, from narrow tables, then what is shown of them.

What belongs here: SQL on chunks, publications and vectors. What does not: the word index
(`retrieval.word_index`), or scores (`retrieval.fusion`).

The joins are written in the order in which they are executed, from few rows to their details, and
the planner may neither change the order nor scan a table for it. So a plan does not depend on
statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import numpy as np
from numpy.typing import NDArray
from psycopg.rows import dict_row

from tvdb_assets.repositories.database import Connection
from tvdb_assets.retrieval.citations import best_passage, heading_at, page_at, stable_id
from tvdb_assets.retrieval.filters import Filters
from tvdb_assets.retrieval.fusion import Ranked
from tvdb_assets.retrieval.results import Hit
from tvdb_assets.retrieval.word_ranking import Place

_METHODS: tuple[LiteralString, ...] = ("hashjoin", "mergejoin", "seqscan", "bitmapscan", "sort")
_FEW_ROWS: tuple[LiteralString, ...] = (
    "SET LOCAL join_collapse_limit = 1",
    "SET LOCAL from_collapse_limit = 1",
    "SET LOCAL jit = off",
    *(f"SET LOCAL enable_{method} = off" for method in _METHODS),
    "SET LOCAL enable_sort = on",
)
_ANY_PLAN: tuple[LiteralString, ...] = tuple(
    f"SET LOCAL enable_{method} = on" for method in _METHODS
)
_MOST_FILTERED = 20_000
"""Chunks of a filter whose vectors are compared one by one if the nearest ones of all documents
don't pass it; about 0.1 s."""
_EF_SEARCH = 200
"""Vectors that an HNSW index keeps while it searches; see `benchmarks/search.py` for its recall."""
_MOST_EF = 1_000
"""The maximum of pgvector."""


@dataclass(frozen=True, slots=True)
class CurrentIndex:
    """The index that search reads."""

    index_id: int
    space_id: int
    space: str
    """Label of its vector space."""
    provider: str
    """Provider of its vectors."""
    last_vector: int | None
    """The last vector in the HNSW index of the space; None if it has no index."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that may be a result."""

    chunk_id: int
    place: Place | None
    """Its position in the word index; None if its words are not stored yet."""
    language: str | None
    similarity: float | None
    """Cosine similarity with the question; None without a vector of the question."""


def current_index(tx: Connection, index_id: int | None = None) -> CurrentIndex | None:
    """The index that search reads, or another one; None before the first document is published."""
    row = tx.execute(
        "SELECT index_id, space_id, label, provider, last_vector"
        " FROM tvdb.indexes JOIN tvdb.vector_spaces USING (space_id)"
        " LEFT JOIN tvdb.vector_indexes USING (space_id)"
        " WHERE CASE WHEN %(index)s::int IS NULL THEN is_current ELSE index_id = %(index)s END",
        {"index": index_id},
    ).fetchone()
    return CurrentIndex(*row) if row is not None else None


def nearest(
    tx: Connection,
    current: CurrentIndex,
    vector: NDArray[np.float32],
    limit: int,
    filters: Filters,
) -> list[Candidate]:
    """The published chunks with the nearest vectors that pass the filters; about ``limit``.

    With an index over the vectors the result is approximate; its similarities are exact.
    """
    found: list[Candidate] = []
    for depth in (limit * 2, limit * 20):
        hashes = _nearest_texts(tx, current, vector, depth)
        found = _with_texts(tx, current, hashes, vector, filters)
        # Unpublished texts, and documents that do not pass, leave fewer.
        if len(found) >= limit or len(hashes) < depth:
            break
    else:
        if filters and len(found) < limit:
            found = _nearest_in_filter(tx, current, vector, limit, filters) or found
    return sorted(found, key=lambda c: -(c.similarity or 0.0))[:limit]


def _nearest_in_filter(
    tx: Connection,
    current: CurrentIndex,
    vector: NDArray[np.float32],
    limit: int,
    filters: Filters,
) -> list[Candidate]:
    """Compare the vectors of all documents that pass the filters, if they are not too many."""
    _plan_freely(tx)
    condition, values = filters.condition()
    values |= {"index": current.index_id, "space": current.space_id, "most": _MOST_FILTERED}
    sets = tx.execute(_FILTERED_SETS.format(condition=condition), values).fetchall()
    if sum(row[1] for row in sets) > _MOST_FILTERED:
        return []
    values |= {"sets": [row[0] for row in sets], "vector": vector, "limit": limit}
    _read_few_rows(tx)
    hashes = [row[0] for row in tx.execute(_EXACT_IN_SETS, values).fetchall()]
    return _with_texts(tx, current, hashes, vector, filters)


def _nearest_texts(
    tx: Connection, current: CurrentIndex, vector: NDArray[np.float32], limit: int
) -> list[bytes]:
    """Hashes of the nearest texts of the space; newer ones than the index are compared exactly."""
    values = {"space": current.space_id, "vector": vector, "limit": limit}
    if current.last_vector is None:
        # A scan of all vectors, whatever plan earlier statements of the transaction needed.
        _plan_freely(tx)
        return [row[0] for row in tx.execute(_EXACT, values | {"after": 0}).fetchall()]
    tx.execute(
        "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;"
        " SET LOCAL enable_sort = off; SET LOCAL hnsw.iterative_scan = relaxed_order;"
        f" SET LOCAL hnsw.ef_search = {min(_MOST_EF, max(_EF_SEARCH, limit))}"
    )
    near = tx.execute(
        _APPROXIMATE.format(
            dimensions=len(vector), space=current.space_id, last=current.last_vector
        ),
        values,
    ).fetchall()
    _plan_freely(tx)
    newer = tx.execute(_EXACT, values | {"after": current.last_vector}).fetchall()
    return [row[0] for row in near + newer]


def _with_texts(
    tx: Connection,
    current: CurrentIndex,
    hashes: Sequence[bytes],
    vector: NDArray[np.float32],
    filters: Filters,
) -> list[Candidate]:
    """The published chunks with these texts."""
    start = (
        "unnest(%(hashes)s::bytea[]) AS n(text_sha256)"
        " JOIN tvdb.chunks c ON c.text_sha256 = n.text_sha256"
    )
    return _candidates(tx, current, start, {"hashes": list(hashes)}, vector, filters)


def at_places(
    tx: Connection,
    current: CurrentIndex,
    places: Sequence[Place],
    vector: NDArray[np.float32] | None,
    filters: Filters,
) -> list[Candidate]:
    """The published chunks at these positions of the word index that pass the filters."""
    if not places:
        return []
    start = (
        "unnest(%(segments)s::bigint[], %(positions)s::int[]) AS n(segment, position)"
        " CROSS JOIN LATERAL (SELECT chunk_set_id, first_position FROM tvdb.word_sets w"
        "   WHERE w.segment_id = n.segment AND w.first_position <= n.position"
        "   ORDER BY w.first_position DESC LIMIT 1) f"
        " JOIN tvdb.chunks c ON c.chunk_set_id = f.chunk_set_id"
        "   AND c.ordinal = n.position - f.first_position"
    )
    values = {
        "segments": [place.segment_id for place in places],
        "positions": [place.position for place in places],
    }
    return _candidates(tx, current, start, values, vector, filters)


def _candidates(
    tx: Connection,
    current: CurrentIndex,
    start: LiteralString,
    values: dict[str, Any],
    vector: NDArray[np.float32] | None,
    filters: Filters,
) -> list[Candidate]:
    _read_few_rows(tx)
    condition, filter_values = filters.condition()
    values |= {"index": current.index_id, "space": current.space_id, "vector": vector}
    rows = tx.execute(
        _CANDIDATES.format(start=start, condition=condition), values | filter_values
    ).fetchall()
    return [_candidate(row) for row in rows]


def allowed_positions(
    tx: Connection, current: CurrentIndex, filters: Filters
) -> list[tuple[int, int, int]]:
    """The places of all published chunk sets whose documents pass the filters.

    Returns:
        Triples of segment id, first position and number of positions.
    """
    _plan_freely(tx)
    condition, values = filters.condition()
    return tx.execute(
        _ALLOWED.format(condition=condition), values | {"index": current.index_id}
    ).fetchall()


def read_hits(
    tx: Connection,
    current: CurrentIndex,
    ranked: Sequence[Ranked],
    weights: Mapping[int, float],
) -> list[Hit]:
    """The results with what is shown of them, in the given order.

    Args:
        tx: the transaction of the search.
        current: the index that is searched.
        ranked: the results.
        weights: the weight of each term of the question, by its hash.
    """
    if not ranked:
        return []
    _read_few_rows(tx)
    with tx.cursor(row_factory=dict_row) as cursor:
        cursor.execute(_HITS, {"ids": [each.chunk_id for each in ranked]})
        rows = {row["chunk_id"]: row for row in cursor}
    return [
        Hit(
            score=each.score,
            vector_space=current.space,
            words_score=each.words_score,
            vector_score=each.vector_score,
            **_shown(rows[each.chunk_id], weights),
        )
        for each in ranked
        if each.chunk_id in rows
    ]


def _shown(row: dict[str, Any], weights: Mapping[int, float]) -> dict[str, Any]:
    """The fields of a `Hit` that a row gives: page and heading are those of the passage."""
    digest, headings = row.pop("text_sha256"), row.pop("headings")
    first, last = best_passage(row["text"], weights, row["language"])
    offset = row["start"] + first
    return row | {
        "page": page_at(row.pop("page_starts"), offset),
        "heading": heading_at(headings, offset),
        "passage_start": first,
        "passage_end": last,
        "stable_id": stable_id(row["source"], row["document"], row["start"], digest),
    }


def _read_few_rows(tx: Connection) -> None:
    """Make the planner join in the order of the text, by indexes only."""
    tx.execute(";".join(_FEW_ROWS))


def _plan_freely(tx: Connection) -> None:
    tx.execute(";".join(_ANY_PLAN))


def _candidate(row: tuple[Any, ...]) -> Candidate:
    chunk_id, segment_id, position, language, similarity = row
    place = Place(segment_id, position) if segment_id is not None else None
    return Candidate(chunk_id, place, language, similarity)


_CANDIDATES = """
SELECT c.chunk_id, w.segment_id, w.first_position + c.ordinal, k.language,
       1 - (e.embedding <=> %(vector)s::vector)
FROM {start}
JOIN tvdb.publications u ON u.document_id = c.document_id AND u.index_id = %(index)s
    AND u.chunk_set_id = c.chunk_set_id
JOIN tvdb.embeddings e ON e.space_id = %(space)s AND e.text_sha256 = c.text_sha256
JOIN tvdb.chunk_sets k ON k.chunk_set_id = c.chunk_set_id
JOIN tvdb.parsed_documents p ON p.parsed_id = k.parsed_id
JOIN tvdb.documents d ON d.document_id = c.document_id
LEFT JOIN tvdb.word_sets w ON w.chunk_set_id = c.chunk_set_id
WHERE NOT (e.is_degraded OR c.is_degraded OR p.is_degraded)
  AND 'mock' NOT IN (e.mode, c.mode, p.mode) AND {condition}
"""
_EXACT = """
SELECT text_sha256 FROM tvdb.embeddings WHERE space_id = %(space)s AND vector_id > %(after)s
ORDER BY embedding <=> %(vector)s LIMIT %(limit)s
"""
# The planner uses a partial index only if the condition contains the same numbers.
_APPROXIMATE = """
SELECT text_sha256 FROM tvdb.embeddings WHERE space_id = {space} AND vector_id <= {last}
ORDER BY embedding::halfvec({dimensions}) <=> %(vector)s::halfvec({dimensions}) LIMIT %(limit)s
"""
_FILTERED_SETS = """
SELECT k.chunk_set_id, k.chunk_count
FROM tvdb.publications u
JOIN tvdb.documents d ON d.document_id = u.document_id
JOIN tvdb.chunk_sets k ON k.chunk_set_id = u.chunk_set_id
JOIN tvdb.parsed_documents p ON p.parsed_id = k.parsed_id
WHERE u.index_id = %(index)s AND {condition} LIMIT %(most)s
"""
_EXACT_IN_SETS = """
SELECT text_sha256 FROM (
    SELECT c.text_sha256, e.embedding <=> %(vector)s AS distance
    FROM unnest(%(sets)s::bigint[]) AS n(chunk_set_id)
    JOIN tvdb.chunks c ON c.chunk_set_id = n.chunk_set_id
    JOIN tvdb.embeddings e ON e.space_id = %(space)s AND e.text_sha256 = c.text_sha256
) compared ORDER BY distance LIMIT %(limit)s
"""
_ALLOWED = """
SELECT w.segment_id, w.first_position, w.chunk_count
FROM tvdb.publications u
JOIN tvdb.documents d ON d.document_id = u.document_id
JOIN tvdb.chunk_sets k ON k.chunk_set_id = u.chunk_set_id
JOIN tvdb.parsed_documents p ON p.parsed_id = k.parsed_id
JOIN tvdb.word_sets w ON w.chunk_set_id = u.chunk_set_id
WHERE u.index_id = %(index)s AND {condition}
"""
_HITS = """
SELECT c.chunk_id, d.path AS document, d.source, p.title, c.start_offset AS start,
       c.end_offset AS "end", c.repeated_header, c.text, c.text_sha256, k.language,
       p.page_starts, p.headings
FROM unnest(%(ids)s::bigint[]) AS n(chunk_id)
JOIN tvdb.chunks c ON c.chunk_id = n.chunk_id
JOIN tvdb.chunk_sets k ON k.chunk_set_id = c.chunk_set_id
JOIN tvdb.parsed_documents p ON p.parsed_id = k.parsed_id
JOIN tvdb.documents d ON d.document_id = c.document_id
"""
