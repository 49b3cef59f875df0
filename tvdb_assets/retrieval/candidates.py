"""The statements of a search: candidates first, from narrow tables, then what is shown of them.

What belongs here: SQL on chunks, publications and vectors. What does not: the word index
(`retrieval.word_index`), or scores (`retrieval.fusion`).

The joins are written in the order in which they are executed, from few rows to their details, and
the planner can neither change the order nor scan a table for it. So a plan does not depend on
statistics; `docs/search.md` shows the plans.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString, TypeAlias

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.rows import dict_row

from tvdb_assets.repositories.database import Connection
from tvdb_assets.retrieval.citations import Matches, best_passage, heading_at, page_at, stable_id
from tvdb_assets.retrieval.filters import Filters
from tvdb_assets.retrieval.fusion import Ranked
from tvdb_assets.retrieval.results import Hit
from tvdb_assets.retrieval.word_ranking import Place

Cursor: TypeAlias = psycopg.Cursor[Any]
_MOST_COMPARED = 20_000
"""Published chunks whose vectors are compared one by one if too few of the nearest ones of all
documents are among them; about 0.1 s."""
_EF_SEARCH = 200
"""Vectors that an HNSW index keeps while it searches; see `benchmarks/search.py` for its recall."""
_MOST_EF = 1_000
"""The maximum of pgvector."""
MOST_NEAREST = 5_000
"""Nearest vectors that are looked at if few of them are published, or pass the filters."""
_COPIES = 100
"""Published chunks with the same text that are candidates."""


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
    vector_count: int
    """Vectors in the HNSW index; 0 if the space has no index."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The published chunk sets whose documents pass the filters."""

    sets: NDArray[np.int64]
    """Ids."""
    segments: NDArray[np.int64]
    """Of the word index; -1 for a set whose words are not stored yet."""
    firsts: NDArray[np.int64]
    """First position of each set in its segment."""
    counts: NDArray[np.int64]
    """Chunks of each set."""


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
        "SELECT index_id, space_id, label, provider, last_vector, coalesce(vector_count, 0)"
        " FROM tvdb.indexes JOIN tvdb.vector_spaces USING (space_id)"
        " LEFT JOIN tvdb.vector_indexes USING (space_id)"
        " WHERE CASE WHEN %(index)s::int IS NULL THEN is_current ELSE index_id = %(index)s END",
        {"index": index_id},
    ).fetchone()
    return CurrentIndex(*row) if row is not None else None


class NearestTexts:
    """The nearest texts of a vector space, of all indexes: sent first, and read later."""

    def __init__(
        self, tx: Connection, current: CurrentIndex, vector: NDArray[np.float32], limit: int
    ) -> None:
        """Send the statements; in pipeline mode this does not wait for the server."""
        self._limit = limit
        values = {"space": current.space_id, "vector": vector, "limit": limit}
        if current.last_vector is None:
            # A scan of all vectors, whatever plan earlier statements of the transaction needed.
            tx.execute(_ANY_PLAN)
            self._cursors = [tx.execute(_EXACT, values | {"after": 0})]
            return
        ef = min(_MOST_EF, max(_EF_SEARCH, limit))
        tx.execute(_BY_HNSW, (str(ef),))
        statement = _APPROXIMATE.format(
            dimensions=len(vector), space=current.space_id, last=current.last_vector
        )
        near = tx.execute(statement, values)
        tx.execute(_ANY_PLAN)
        # Vectors that are newer than the index are compared exactly.
        self._cursors = [near, tx.execute(_EXACT, values | {"after": current.last_vector})]

    def read(self) -> list[bytes]:
        """The hashes of the texts, the nearest one first."""
        rows = [row for cursor in self._cursors for row in cursor.fetchall()]
        return [row[0] for row in sorted(rows, key=lambda row: row[1])]


def nearest_of(
    tx: Connection,
    current: CurrentIndex,
    vector: NDArray[np.float32],
    limit: int,
    allowed: Allowed,
    share: float,
    filters: Filters,
) -> list[Candidate]:
    """The chunks of some chunk sets with the nearest vectors; about ``limit``.

    Args:
        tx: the transaction.
        current: the index that is searched.
        vector: of the question.
        limit: maximum number of chunks.
        allowed: the chunk sets.
        share: which part of the vectors of the space they have, above 0 to 1, as far as is known.
        filters: that the chunk sets pass.
    """
    if not len(allowed.sets):
        return []
    values: dict[str, Any] = {"sets": allowed.sets.tolist(), "limit": limit}
    count, depth = int(allowed.counts.sum()), min(MOST_NEAREST, int(1.5 * limit / share))
    if count > min(_MOST_COMPARED, 2 * depth):
        near = NearestTexts(tx, current, vector, depth).read()
        statement, values = _IN_SETS, values | {"hashes": near}
    else:
        statement, values = _EXACT_IN_SETS, values | {"space": current.space_id, "vector": vector}
    tx.execute(_FEW_ROWS)
    hashes = [row[0] for row in tx.execute(statement, values).fetchall()]
    found = with_texts(tx, current, hashes, vector, filters, limit).fetchall()
    return list(map(candidate, found))


def with_texts(
    tx: Connection,
    current: CurrentIndex,
    hashes: Sequence[bytes],
    vector: NDArray[np.float32],
    filters: Filters,
    limit: int,
) -> Cursor:
    """The first published chunks with these texts that pass the filters; see `candidate`."""
    values = {"hashes": list(hashes), "limit": limit}
    return _candidates(tx, current, _WITH_TEXTS, values, vector, filters)


def at_places(
    tx: Connection,
    current: CurrentIndex,
    places: Sequence[Place],
    vector: NDArray[np.float32] | None,
    filters: Filters,
) -> Cursor:
    """The published chunks at these positions of the word index that pass the filters."""
    values = {
        "segments": [place.segment_id for place in places],
        "positions": [place.position for place in places],
        "limit": len(places),
    }
    return _candidates(tx, current, _AT_PLACES, values, vector, filters)


def _candidates(
    tx: Connection,
    current: CurrentIndex,
    start: LiteralString,
    values: Mapping[str, Any],
    vector: NDArray[np.float32] | None,
    filters: Filters,
) -> Cursor:
    tx.execute(_FEW_ROWS)
    condition, filter_values = filters.condition()
    of_index = {"index": current.index_id, "space": current.space_id, "vector": vector}
    # Each table costs a few reads of the index for each candidate.
    rest = _DOCUMENT if "d." in condition else ""
    rest += _WORDS if start is _WITH_TEXTS else ""
    return tx.execute(
        _CANDIDATES.format(start=start, rest=rest, condition=condition),
        {**values, **of_index, **filter_values},
    )


def candidate(row: tuple[Any, ...]) -> Candidate:
    """A row of `with_texts` or `at_places`."""
    chunk_id, segment_id, position, language, similarity = row
    place = Place(segment_id, position) if segment_id is not None else None
    return Candidate(chunk_id, place, language, similarity)


def allowed_sets(tx: Connection, current: CurrentIndex, filters: Filters) -> Allowed:
    """All published chunk sets whose documents pass the filters."""
    tx.execute(_ANY_PLAN)
    condition, values = filters.condition()
    tables = _DOCUMENTS_OF_SETS if "d." in condition else ""
    tables += _PARSES_OF_SETS if "p." in condition or "k." in condition else ""
    row = tx.execute(
        _ALLOWED.format(tables=tables, condition=condition),
        values | {"index": current.index_id},
        binary=True,
    ).fetchone()
    assert row is not None
    found = np.frombuffer(row[0] or b"", ">i8").astype(np.int64).reshape(-1, 4)
    return Allowed(found[:, 0], found[:, 1], found[:, 2], found[:, 3])


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
    tx.execute(_FEW_ROWS)
    with tx.cursor(row_factory=dict_row) as cursor:
        cursor.execute(_HITS, {"ids": [each.chunk_id for each in ranked]})
        rows = {row["chunk_id"]: row for row in cursor}
    matches: dict[str | None, Matches] = {}
    return [
        Hit(
            score=each.score,
            vector_space=current.space,
            words_score=each.words_score,
            vector_score=each.vector_score,
            **_shown(rows[each.chunk_id], weights, matches),
        )
        for each in ranked
        if each.chunk_id in rows
    ]


def _shown(
    row: dict[str, Any], weights: Mapping[int, float], matches: dict[str | None, Matches]
) -> dict[str, Any]:
    """The fields of a `Hit` that a row gives: page and heading are those of the passage."""
    digest, headings = row.pop("text_sha256"), row.pop("headings")
    language = row["language"]
    if language not in matches:
        matches[language] = Matches(weights, language)
    first, last = best_passage(row["text"], weights, matches[language])
    offset = row["start"] + first
    return row | {
        "page": page_at(row.pop("page_starts"), offset),
        "heading": heading_at(headings, offset),
        "passage_start": first,
        "passage_end": last,
        "stable_id": stable_id(row["source"], row["document"], row["start"], digest),
    }


_METHODS: tuple[LiteralString, ...] = ("hashjoin", "mergejoin", "bitmapscan", "seqscan", "sort")


def _setting(name: LiteralString, value: LiteralString) -> LiteralString:
    return f"set_config('{name}', '{value}', true)"


def _settings(*off: LiteralString) -> LiteralString:
    values = (_setting(f"enable_{each}", "off" if each in off else "on") for each in _METHODS)
    return f"SELECT {', '.join(values)}"


# Each is one statement, as a pipeline takes no several ones in one text.
_ANY_PLAN = _settings()
_FEW_ROWS = ", ".join(
    (
        _settings("hashjoin", "mergejoin", "bitmapscan", "seqscan"),
        _setting("jit", "off"),
    )
)
"""Joins in the order of the text, by indexes only."""
_BY_HNSW = ", ".join(
    (
        _settings("bitmapscan", "seqscan", "sort"),
        _setting("hnsw.iterative_scan", "relaxed_order"),
        "set_config('hnsw.ef_search', %s, true)",
    )
)


def _one(alias: LiteralString, table: LiteralString, condition: LiteralString) -> LiteralString:
    """The row of a table that belongs to those before; its index gives one row at most.

    Because of the limit, the planner can only look up the rows one by one.
    """
    return (
        f"CROSS JOIN LATERAL (SELECT {alias}.* FROM tvdb.{table} {alias}"
        f" WHERE {condition} LIMIT 1) {alias}\n"
    )


_SET = _one("k", "chunk_sets", "k.chunk_set_id = c.chunk_set_id")
_PARSE = _one("p", "parsed_documents", "p.parsed_id = k.parsed_id")
_DOCUMENT = _one("d", "documents", "d.document_id = c.document_id")
_PUBLISHED: LiteralString = (
    "u.document_id = c.document_id AND u.index_id = %(index)s AND u.chunk_set_id = c.chunk_set_id"
)
_AT_PLACES: LiteralString = (
    """unnest(%(segments)s::bigint[], %(positions)s::int[]) AS n(segment, position)
CROSS JOIN LATERAL (
    SELECT chunk_set_id, segment_id, first_position FROM tvdb.word_sets w
    WHERE w.segment_id = n.segment AND w.first_position <= n.position
    ORDER BY w.first_position DESC LIMIT 1) w
"""
    + _one(
        *("c", "chunks"),
        "c.chunk_set_id = w.chunk_set_id AND c.ordinal = n.position - w.first_position",
    )
    + _one("u", "publications", _PUBLISHED)
)
_WITH_TEXTS: LiteralString = f"""unnest(%(hashes)b::bytea[]) AS n(text_sha256)
CROSS JOIN LATERAL (
    SELECT c.* FROM tvdb.chunks c {_one("u", "publications", _PUBLISHED)}
    WHERE c.text_sha256 = n.text_sha256 LIMIT {_COPIES}) c
"""
_WORDS: LiteralString = (
    "LEFT JOIN LATERAL (SELECT w.* FROM tvdb.word_sets w"
    " WHERE w.chunk_set_id = c.chunk_set_id LIMIT 1) w ON true\n"
)
_CANDIDATES: LiteralString = (
    """
SELECT c.chunk_id, w.segment_id, w.first_position + c.ordinal, k.language,
       1 - (e.embedding <=> %(vector)s::vector)
FROM {start}"""
    + _one("e", "embeddings", "e.space_id = %(space)s AND e.text_sha256 = c.text_sha256")
    + _SET
    + _PARSE
    + """{rest}
WHERE NOT (e.is_degraded OR c.is_degraded OR p.is_degraded)
  AND 'mock' NOT IN (e.mode, c.mode, p.mode) AND {condition}
LIMIT %(limit)s
"""
)
_EXACT = """
SELECT text_sha256, embedding <=> %(vector)s
FROM tvdb.embeddings WHERE space_id = %(space)s AND vector_id > %(after)s
ORDER BY 2 LIMIT %(limit)s
"""
# The planner uses a partial index only if the condition contains the same numbers.
_APPROXIMATE = """
SELECT text_sha256, embedding::halfvec({dimensions}) <=> %(vector)s::halfvec({dimensions})
FROM tvdb.embeddings WHERE space_id = {space} AND vector_id <= {last}
ORDER BY embedding::halfvec({dimensions}) <=> %(vector)s::halfvec({dimensions}) LIMIT %(limit)s
"""
_IN_SETS = """
SELECT n.text_sha256 FROM unnest(%(hashes)b::bytea[]) WITH ORDINALITY AS n(text_sha256, rank)
WHERE EXISTS (SELECT FROM tvdb.chunks c
    WHERE c.text_sha256 = n.text_sha256 AND c.chunk_set_id = ANY(%(sets)s::bigint[]))
ORDER BY n.rank LIMIT %(limit)s
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
SELECT string_agg(int8send(u.chunk_set_id) || int8send(coalesce(w.segment_id, -1))
    || int8send(coalesce(w.first_position, 0)) || int8send(coalesce(w.chunk_count, 0)), '')
FROM tvdb.publications u {tables}
LEFT JOIN tvdb.word_sets w ON w.chunk_set_id = u.chunk_set_id
WHERE u.index_id = %(index)s AND {condition}
"""
_DOCUMENTS_OF_SETS: LiteralString = " JOIN tvdb.documents d ON d.document_id = u.document_id"
_PARSES_OF_SETS: LiteralString = (
    " JOIN tvdb.chunk_sets k ON k.chunk_set_id = u.chunk_set_id"
    " JOIN tvdb.parsed_documents p ON p.parsed_id = k.parsed_id"
)
_HITS: LiteralString = (
    """
SELECT c.chunk_id, d.path AS document, d.source, p.title, c.start_offset AS start,
       c.end_offset AS "end", c.repeated_header, c.text, c.text_sha256, k.language,
       p.page_starts, p.headings
FROM unnest(%(ids)s::bigint[]) AS n(chunk_id)
"""
    + _one("c", "chunks", "c.chunk_id = n.chunk_id")
    + _SET
    + _PARSE
    + _DOCUMENT
)
