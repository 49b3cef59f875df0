"""Full-text terms of chunks.

What belongs here: filling `tvdb.chunk_terms` from stored chunks. What does not: ranking by terms
(`retrieval.hybrid_search`).
"""

from __future__ import annotations

import psycopg

from tvdb_assets.repositories.database import Database


def index_full_text(database: Database, at_least: int = 1) -> int:
    """Store the terms of chunks that have none, which makes searches faster.

    This is a separate step, because it would double the work of the database while documents are
    stored. A search is complete without it: it reads the texts of chunks without terms.

    Args:
        database: contains the chunks.
        at_least: do nothing if fewer chunk sets, one for each document, have no terms.

    Returns:
        The number of chunk sets whose terms were stored, at most 5,000.
    """
    try:
        with database.transaction() as tx:
            pending = tx.execute(
                "SELECT count(*) FROM (SELECT FROM tvdb.chunk_sets WHERE NOT has_terms LIMIT %s) k",
                (at_least,),
            ).fetchone()
            if pending is None or pending[0] < at_least:
                return 0
            return tx.execute(_STORE_TERMS).rowcount
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
        return 0  # A user with read-only access can search without terms.


# Chunk sets that another process has locked are skipped.
_STORE_TERMS = """
WITH selected AS (
    SELECT chunk_set_id FROM tvdb.chunk_sets WHERE NOT has_terms
    ORDER BY chunk_set_id LIMIT 5000 FOR UPDATE SKIP LOCKED
), stored AS (
    INSERT INTO tvdb.chunk_terms (chunk_id, terms)
    SELECT chunk_id, to_tsvector('english', repeated_header || text)
    FROM selected JOIN tvdb.chunks USING (chunk_set_id)
)
UPDATE tvdb.chunk_sets k SET has_terms = true FROM selected t WHERE k.chunk_set_id = t.chunk_set_id
"""
