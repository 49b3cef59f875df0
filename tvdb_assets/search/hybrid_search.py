"""Hybrid search: vectors and words, each ranked by itself, fused by rank.

What belongs here: the query over `tvdb.search_index`. What does not: making the query's
vector (`services`), or showing results (`cli`).
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
"""Of reciprocal rank fusion, as in Cormack, Clarke and Büttcher, SIGIR 2009."""
CANDIDATES = 100
"""Best of each ranking that take part in the fusion."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found."""

    score: float
    document: str
    title: str | None
    page: int | None
    heading: str
    start: int
    end: int
    repeated_header: str
    """Header row of the table that the text goes on with; no part of the offsets."""
    text: str
    chunk_id: int
    vector_space: str


def search(
    database: Database, query: str, vector: NDArray[np.float32], space: str, k: int
) -> list[Hit]:
    """The ``k`` chunks that fit best, best first.

    Args:
        database: where to search.
        query: the words, in any form that a person types.
        vector: of the query, shape (dimensions,), made in ``space``.
        space: label of the vector's space; must be the one that the index shows.
        k: how many.

    Raises:
        ConfigurationError: the index shows another space, so the vector can't be compared.
    """
    with database.transaction() as tx, tx.cursor(row_factory=class_row(Hit)) as cursor:
        # A switch between the two looks must not be seen.
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
            {"query": query, "vector": vector, "k": k, "fusion": FUSION_K, "most": CANDIDATES},
        )
        return cursor.fetchall()


def other_space(current: str, space: str) -> ConfigurationError:
    """The index shows one space, and the query's vector is, or could only be, of another."""
    return codes.OTHER_VECTOR_SPACE.error(current=current, space=space)


def unsearchable(database: Database) -> int:
    """Chunks that are published and yet kept out of search, because a mock made them."""
    with database.transaction() as tx:
        row: tuple[Any, ...] | None = tx.execute(
            "SELECT count(*) FROM tvdb.publications u JOIN tvdb.indexes USING (index_id)"
            " JOIN tvdb.vector_spaces s USING (space_id) JOIN tvdb.chunks c USING (chunk_set_id)"
            " WHERE s.is_mock"
        ).fetchone()
    return int(row[0]) if row else 0


# Any of the words may match, the rank says how many do: a question in plain language has
# words that no document has. Words are compared by their stems. What matches is found once, and
# then looked up in the view: a planner that expects few rows would look for it again and again.
_SEARCH = """
WITH query AS (
    SELECT replace(plainto_tsquery('english', %(query)s)::text, '&', '|')::tsquery AS q
), found AS MATERIALIZED (
    SELECT chunk_id, t.terms FROM tvdb.chunk_terms t WHERE t.terms @@ (SELECT q FROM query)
    UNION ALL
    SELECT chunk_id, computed.terms FROM (
        SELECT chunk_id, to_tsvector('english', c.repeated_header || c.text) AS terms
        FROM tvdb.chunk_sets k JOIN tvdb.chunks c USING (chunk_set_id)
        WHERE NOT k.has_terms OFFSET 0
    ) computed WHERE computed.terms @@ (SELECT q FROM query)
), by_terms AS (
    SELECT chunk_id, row_number() OVER (ORDER BY rank DESC, chunk_id) AS place FROM (
        SELECT chunk_id, ts_rank_cd(found.terms, (SELECT q FROM query), 1) AS rank
        FROM found JOIN tvdb.search_index USING (chunk_id)
        ORDER BY rank DESC, chunk_id LIMIT %(most)s
    ) ranked
), by_vector AS (
    SELECT chunk_id, row_number() OVER (ORDER BY distance, chunk_id) AS place FROM (
        SELECT chunk_id, embedding <=> %(vector)s AS distance
        FROM tvdb.search_index
        ORDER BY distance, chunk_id LIMIT %(most)s
    ) ranked
), fused AS (
    SELECT chunk_id, sum(1.0 / (%(fusion)s + place)) AS score
    FROM (SELECT * FROM by_terms UNION ALL SELECT * FROM by_vector) places
    GROUP BY chunk_id
    ORDER BY score DESC, chunk_id LIMIT %(k)s
)
SELECT f.score::float8 AS score, s.document, s.title, s.page_first AS page,
       array_to_string(s.heading_path, ' > ') AS heading, s.start_offset AS start,
       s.end_offset AS "end", s.repeated_header, s.text, s.chunk_id, s.vector_space
FROM fused f JOIN tvdb.search_index s USING (chunk_id)
ORDER BY f.score DESC, f.chunk_id
"""
