"""Hybrid search: one ranking by vectors and one by full text, fused by rank.

What belongs here: the query over `tvdb.search_index`. What does not: the vector of the question
(`retrieval.index`), or how results are displayed (`cli`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg.rows import class_row

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.repositories.database import Database

FUSION_K = 60
"""The constant of reciprocal rank fusion, as in Cormack, Clarke and Büttcher, SIGIR 2009."""
CANDIDATES = 100
"""Number of chunks that each ranking contributes to the fusion."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One result of a search: a chunk of a document."""

    score: float
    """Sum of reciprocal ranks; comparable within one result list only."""
    document: str
    """Path of the document within its source."""
    source: str
    """Root of its source: the absolute path of a folder, or a URL."""
    title: str | None
    page: int | None
    """Page on which the chunk begins, from 1; None where the format has no pages."""
    heading: str
    """Headings above the chunk, joined by " > "."""
    start: int
    """Offset of the first character of ``text`` in the stored text of the document."""
    end: int
    """Offset after the last character."""
    repeated_header: str
    """Header row of the table that ``text`` continues; not part of the offsets."""
    text: str
    chunk_id: int
    vector_space: str
    """Label of the space of the vectors that were compared."""


def search(
    database: Database, question: str, vector: NDArray[np.float32], space: str, k: int
) -> list[Hit]:
    """Find the ``k`` chunks that match the question best, the best one first.

    Args:
        database: contains the index.
        question: a question in plain language.
        vector: the vector of the question in ``space``, with shape (dimensions,). If it contains
            NaN or only zeros, as for a text without a known token, only full text is ranked.
        space: label of the vector's space; must be the space of the current index.
        k: maximum number of results.

    Raises:
        ConfigurationError: the current index has another vector space than the vector.
    """
    has_direction = bool(np.isfinite(vector).all() and vector.any())
    with database.transaction() as tx, tx.cursor(row_factory=class_row(Hit)) as cursor:
        # Both statements must see the same index, also when a switch happens between them.
        tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        current = tx.execute(
            "SELECT label FROM tvdb.indexes JOIN tvdb.vector_spaces USING (space_id)"
            " WHERE is_current"
        ).fetchone()
        if current is None:
            return []
        if current[0] != space:
            raise other_space(current[0], space)
        cursor.execute(
            _SEARCH,
            {
                "query": question,
                "vector": np.nan_to_num(vector),
                "k": k,
                "fusion": FUSION_K,
                "candidates": CANDIDATES,
                "vector_candidates": CANDIDATES if has_direction else 0,
            },
        )
        return cursor.fetchall()


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


# A chunk matches if it has any term of the question, and more terms give a higher rank: a question
# in plain language contains words that no document has. Terms are compared by their stems. Matches
# are materialized first and joined with the view afterwards, because a planner that expects few
# rows would repeat the full-text search for each row of the view.
_SEARCH = """
WITH query AS (
    SELECT replace(plainto_tsquery('english', %(query)s)::text, '&', '|')::tsquery AS q
), matches AS MATERIALIZED (
    SELECT chunk_id, t.terms FROM tvdb.chunk_terms t WHERE t.terms @@ (SELECT q FROM query)
    UNION ALL
    SELECT chunk_id, computed.terms FROM (
        SELECT chunk_id, to_tsvector('english', c.repeated_header || c.text) AS terms
        FROM tvdb.chunk_sets k JOIN tvdb.chunks c USING (chunk_set_id)
        WHERE NOT k.has_terms OFFSET 0
    ) computed WHERE computed.terms @@ (SELECT q FROM query)
), by_full_text AS (
    SELECT chunk_id, row_number() OVER (ORDER BY rank DESC, chunk_id) AS position FROM (
        SELECT chunk_id, ts_rank_cd(matches.terms, (SELECT q FROM query), 1) AS rank
        FROM matches JOIN tvdb.search_index USING (chunk_id)
        ORDER BY rank DESC, chunk_id LIMIT %(candidates)s
    ) ranked
), by_vector AS (
    SELECT chunk_id, row_number() OVER (ORDER BY distance, chunk_id) AS position FROM (
        SELECT chunk_id, embedding <=> %(vector)s AS distance
        FROM tvdb.search_index
        ORDER BY distance, chunk_id LIMIT %(vector_candidates)s
    ) ranked
), fused AS (
    SELECT chunk_id, sum(1.0 / (%(fusion)s + position)) AS score
    FROM (SELECT * FROM by_full_text UNION ALL SELECT * FROM by_vector) rankings
    GROUP BY chunk_id
    ORDER BY score DESC, chunk_id LIMIT %(k)s
)
SELECT f.score::float8 AS score, s.document, d.source, s.title, s.page_first AS page,
       array_to_string(s.heading_path, ' > ') AS heading, s.start_offset AS start,
       s.end_offset AS "end", s.repeated_header, s.text, s.chunk_id, s.vector_space
FROM fused f JOIN tvdb.search_index s USING (chunk_id) JOIN tvdb.documents d USING (document_id)
ORDER BY f.score DESC, f.chunk_id
"""
