"""Full-text terms of chunks, kept in a table of their own.

What belongs here: filling `tvdb.chunk_terms` from chunks that are stored already. What does not:
ranking by them (`search`).
"""

from __future__ import annotations

import psycopg

from tvdb_assets.repositories.database import Database


def index_full_text(database: Database, at_least: int = 1) -> int:
    """Take the words out of texts where that has not been done; it makes searches faster.

    Not done while documents are stored, because it would double the database's work then. A
    search is complete without it: it looks through the texts that lack it.

    Args:
        database: where the chunks are.
        at_least: chunk sets, of as many documents, that must lack it; fewer are left for later.

    Returns:
        Of how many chunk sets it was done; of 5,000 at most.
    """
    try:
        with database.transaction() as tx:
            waiting = tx.execute(
                "SELECT count(*) FROM (SELECT FROM tvdb.chunk_sets WHERE NOT has_terms LIMIT %s) k",
                (at_least,),
            ).fetchone()
            if waiting is None or waiting[0] < at_least:
                return 0
            return tx.execute(_INDEX_TERMS).rowcount
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
        return 0  # Who may only read can search all the same.


# What another process has in hand is left to it. The rest, after so many, to the next call.
_INDEX_TERMS = """
WITH taken AS (
    SELECT chunk_set_id FROM tvdb.chunk_sets WHERE NOT has_terms
    ORDER BY chunk_set_id LIMIT 5000 FOR UPDATE SKIP LOCKED
), made AS (
    INSERT INTO tvdb.chunk_terms (chunk_id, terms)
    SELECT chunk_id, to_tsvector('english', repeated_header || text)
    FROM taken JOIN tvdb.chunks USING (chunk_set_id)
)
UPDATE tvdb.chunk_sets k SET has_terms = true FROM taken t WHERE k.chunk_set_id = t.chunk_set_id
"""
